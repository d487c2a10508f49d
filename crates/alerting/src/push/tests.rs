//! Who is told what, over restarts and changes of rights. What goes over sockets is tested from outside.

use bellwire_journal::MemoryJournal;
use bellwire_model::limits::{PUSH_GATHER, PUSH_LOOK_INTERVAL, PUSH_OVERDUE, PUSH_PAUSE};
use bellwire_model::{AlertState, AlertStatus, Epoch, NameMap, Timestamp};
use serde_json::Value;

use super::rounds::{Moment, Rounds};
use super::subscription::tests::new;
use super::*;
use crate::tests::fixture::{AsMandated, Nobody, no_push, posted};

/// Subscriptions are made by the clock of the system, and alerts fire many years from then.
const FOR_EVER: Duration = Duration::from_hours(24 * 365 * 1_000);

/// A server whose clock the test has.
struct House {
    push: Arc<Push>,
    rounds: Rounds,
    standing: Arc<AsMandated>,
    now: Timestamp,
}

fn journal() -> Arc<dyn Journal> {
    Arc::new(MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody)))
}

impl House {
    /// One that has begun, where these alerts are known at the start.
    fn open(journal: &Arc<dyn Journal>, now: Timestamp, alerts: &[Update]) -> Self {
        let standing = Arc::new(AsMandated::default());
        let key = VapidKey::read(&VapidKey::draw().expect("drawn")).expect("a key");
        let standing_too = Arc::clone(&standing) as Arc<dyn Standing>;
        let parts = PushParts {
            key: Some(key),
            standing: standing_too,
            lasts: FOR_EVER,
            ..no_push(journal)
        };
        let (push, _courier) = Push::open(parts).expect("opened");
        let told = register::told_marks(&journal.records(register::TOLD).expect("records"));
        let standing_too = Arc::clone(&standing) as Arc<dyn Standing>;
        let rounds = Rounds::new(Arc::clone(&push), standing_too, (told, Timestamp::MIN));
        push.take(alerts.iter().cloned());
        push.begin();
        Self { push, rounds, standing, now }
    }

    async fn subscribe(&self, endpoint: &str, mandate: &str) -> Box<str> {
        let endpoint = format!("https://push.example/{endpoint}");
        let new = NewSubscription { mandate: mandate.into(), ..new(&endpoint) };
        self.push.subscribe(new, || true).await.expect("room").0.id
    }

    /// Has the journal keep what is to be kept by now.
    async fn keep(&mut self) {
        self.rounds.take_news(self.moment());
        self.rounds.go(self.moment());
        // What is behind it in the queue is done behind it.
        self.push.write(Vec::new(), |_| ()).await.expect("kept");
    }

    fn moment(&self) -> Moment {
        Moment { steady: self.now, wall: self.now }
    }

    /// What is sent once so much time has passed: to whom, and the names of alerts.
    fn after(&mut self, pause: Duration) -> Vec<String> {
        // What is new came before.
        self.rounds.take_news(self.moment());
        self.now = self.now.saturating_add(pause);
        if !self.rounds.is_due(self.moment()) {
            return Vec::new();
        }
        let round = self.rounds.go(self.moment());
        let story = |(to, message): (Arc<Subscription>, payload::Payload)| {
            let text: Value = serde_json::from_slice(&message.text).expect("JSON");
            let news = text["news"].as_array().expect("a list").iter();
            let word = |it: &Value| {
                let text = |name: &str| it[name].as_str().expect("a text").to_owned();
                format!("{} {}", text("alertname"), text("state"))
            };
            let about = text["about"].as_str().map(ToOwned::to_owned);
            let words: Vec<String> = news.map(word).chain(about).collect();
            let path = to.endpoint.path()[1..].to_owned();
            (to, format!("{path}: {}", words.join(", ")))
        };
        let farewells = round.farewells.into_iter().map(story).map(|(_, text)| text);
        let farewells: Vec<String> = farewells.collect();
        let mut told = farewells;
        for (to, text) in round.messages.into_iter().map(|(to, text, _)| story((to, text))) {
            let now = self.now;
            self.rounds.mailbox(&to.id).expect("it is told").on_taken(now);
            told.push(text);
        }
        told
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_ms(4_000_000_000_000).saturating_add(Duration::from_secs(seconds))
}

fn update(name: &str, site: &str, state: AlertState, since: Timestamp) -> Update {
    let mut alert = posted(&[("alertname", name), ("site", site)], at(0));
    (alert.state, alert.fired_at) = (state, Some(since));
    alert.resolved_at = (state == AlertState::Resolved).then_some(since);
    Update { alert: Arc::new(alert), status: AlertStatus::default() }
}

fn fires(name: &str) -> Update {
    update(name, "oslo", AlertState::Firing, at(10))
}

fn resolved(name: &str) -> Update {
    update(name, "oslo", AlertState::Resolved, at(20))
}

#[tokio::test]
async fn a_burst_is_one_message_to_each_who_sees_some_of_it() {
    let journal = journal();
    let mut house = House::open(&journal, at(100), &[]);
    house.subscribe("all", "all").await;
    house.subscribe("bergen", "site=bergen").await;
    assert!(house.after(Duration::ZERO).is_empty());
    house.push.take([fires("A"), update("B", "bergen", AlertState::Firing, at(10))]);
    assert!(house.after(Duration::ZERO).is_empty(), "more may come");
    house.push.take([fires("C"), fires("D"), resolved("D")]);
    let mut told = house.after(PUSH_GATHER);
    told.sort();
    assert_eq!(told, ["all: A firing, B firing, C firing", "bergen: B firing"]);
    // What comes soon behind it waits for its time.
    house.push.take([resolved("A")]);
    assert!(house.after(PUSH_GATHER).is_empty());
    assert_eq!(house.after(PUSH_PAUSE), ["all: A resolved"]);
}

#[tokio::test]
async fn what_was_told_before_a_restart_is_not_told_again() {
    let journal = journal();
    let mut before = House::open(&journal, at(100), &[]);
    before.subscribe("a", "all").await;
    before.after(Duration::ZERO);
    before.push.take([fires("A")]);
    assert_eq!(before.after(PUSH_GATHER), ["a: A firing"]);
    // The next look keeps what was told.
    before.keep().await;
    let later = before.now.saturating_add(Duration::from_secs(1));
    let known = [fires("A"), update("B", "oslo", AlertState::Firing, later)];
    let mut after = House::open(&journal, at(200), &known);
    assert_eq!(after.after(PUSH_GATHER), ["a: B firing"]);
    after.push.take([resolved("A")]);
    after.after(PUSH_GATHER);
    assert_eq!(after.after(PUSH_PAUSE), ["a: A resolved"]);
}

#[tokio::test]
async fn who_may_see_nothing_any_more_is_told_nothing_and_is_forgotten() {
    let journal = journal();
    let mut house = House::open(&journal, at(100), &[]);
    house.subscribe("a", "all").await;
    house.subscribe("b", "site=oslo").await;
    house.after(Duration::ZERO);
    house.push.take([fires("A")]);
    house.standing.0.lock().expect("whole").push("all".to_owned());
    assert_eq!(house.after(PUSH_GATHER), ["b: A firing"]);
    house.keep().await;
    assert_eq!(house.push.list(Owner("ada")).len(), 1);
    assert_eq!(journal.records(register::PREFIX).expect("records").len(), 1);
    assert_eq!(house.push.figures.push_subscriptions_ended.get(), 1);
}

#[tokio::test]
async fn a_subscription_that_no_page_renews_says_so_and_ends() {
    let journal = journal();
    let standing = Arc::new(AsMandated::default());
    let key = VapidKey::read(&VapidKey::draw().expect("drawn")).expect("a key");
    let lasts = Duration::from_hours(1);
    let parts = PushParts { key: Some(key), standing, lasts, ..no_push(&journal) };
    let (push, _courier) = Push::open(parts).expect("opened");
    push.begin();
    let standing = Arc::new(AsMandated::default());
    let rounds = Rounds::new(Arc::clone(&push), standing.clone(), (NameMap::default(), at(0)));
    let mut house = House { push, rounds, standing, now: clock::now() };
    house.subscribe("a", "all").await;
    assert!(house.after(Duration::ZERO).is_empty());
    // A clock that jumps, and is put right, ends nothing.
    let real = house.now;
    assert!(house.after(Duration::from_hours(2)).is_empty());
    house.rounds.go(Moment { steady: house.now, wall: real });
    assert!(house.after(PUSH_LOOK_INTERVAL).is_empty());
    assert!(house.after(PUSH_OVERDUE / 2).is_empty());
    assert_eq!(house.push.list(Owner("ada")).len(), 1);
    assert_eq!(house.after(PUSH_OVERDUE / 2), ["a: ended"]);
    assert!(house.push.list(Owner("ada")).is_empty());
}

#[tokio::test]
async fn a_mark_without_its_subscription_goes_at_the_next_start() {
    let journal = journal();
    let mut house = House::open(&journal, at(100), &[]);
    house.subscribe("a", "all").await;
    house.after(Duration::ZERO);
    house.push.take([fires("A")]);
    assert_eq!(house.after(PUSH_GATHER), ["a: A firing"]);
    house.keep().await;
    house.push.write(vec![register::told("gone", at(1))], |_| ()).await.expect("kept");
    let marks = || journal.records(register::TOLD).expect("records").len();
    assert_eq!(marks(), 2);
    let after = House::open(&journal, at(200), &[]);
    after.push.write(Vec::new(), |_| ()).await.expect("kept");
    assert_eq!(marks(), 1);
}

#[tokio::test]
async fn a_browser_has_one_subscription_and_whoever_does_not_have_it_takes_nobodys() {
    let journal = journal();
    let house = House::open(&journal, at(100), &[]);
    let first = house.subscribe("a", "all").await;
    assert_eq!(house.subscribe("a", "site=oslo").await, first);
    assert_eq!(house.push.list(Owner("ada")).len(), 1);
    let of = |owner: &str, auth: &str| {
        let usual = new("https://push.example/a");
        NewSubscription { owner: owner.into(), auth: auth.into(), ..usual }
    };
    let stranger = house.push.subscribe(of("eve", "AAAAAAAAAAAAAAAAAAAAAA"), || true).await;
    assert_eq!(stranger.expect_err("refused").code, Code::PushUnavailable);
    let usual = new("https://push.example/a").auth;
    let (handed_on, _) = house.push.subscribe(of("bob", &usual), || true).await.expect("theirs");
    assert_ne!(handed_on.id, first);
    assert!(house.push.list(Owner("ada")).is_empty());
    assert_eq!(journal.records(register::PREFIX).expect("records").len(), 1);
    let gone = house.push.unsubscribe(&handed_on.id, Owner("ada")).await;
    assert_eq!(gone.expect_err("not theirs").code, Code::NotFound);
    house.push.unsubscribe(&handed_on.id, Owner("bob")).await.expect("theirs");
    assert!(journal.records(register::PREFIX).expect("records").is_empty());
}
