//! Stories in virtual time: what happens when, and who is told what at which millisecond.

mod bounds;
mod clocks;
mod laws;
mod orphans;
mod siblings;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bellwire_model::{Alert, AlertSource, AlertState, AlertStatus, Fingerprint};

use super::*;
use crate::route::Variant;

/// A dispatcher, its storage, and what has been sent so far.
struct Story {
    dispatcher: Dispatcher,
    config: Arc<Config>,
    /// Steady time.
    now: Timestamp,
    /// How far the wall clock is ahead of it.
    ahead_ms: i64,
    /// What has passed beside steady time, which begins anew with each process.
    passed_ms: i64,
    stored: BTreeMap<String, Vec<u8>>,
    /// What webhooks are not told: whom and how many alerts.
    forgone: Vec<String>,
    /// Webhooks that take nothing, by receiver and number.
    dead: BTreeSet<String>,
    /// Webhooks that take everything and do not answer.
    silent: BTreeSet<String>,
    /// What dead webhooks of `a` should have heard to fire, but for what has become a dead letter.
    owed: BTreeSet<(usize, String)>,
    told: String,
    delivered: Vec<Notification>,
    /// Those of the delivered ones that nobody has confirmed.
    heard: Vec<usize>,
    /// Webhooks with a notification of which nobody knows, and how many had been delivered then.
    lost: Vec<(usize, usize)>,
}

const EPOCH: Now = Now { steady: Timestamp::from_ms(0), wall: Timestamp::from_ms(0) };

#[derive(PartialEq)]
enum Sound {
    Audible,
    Muted,
}

impl Story {
    /// `route` is below `receiver: a`; the webhooks of `a`, and those of `b` without resolved ones.
    fn new(route: &str, webhooks: usize) -> Self {
        let hooks = |extra: &str| {
            let hook = format!("{{url: 'http://localhost'{extra}}}");
            vec![hook; webhooks].join(", ")
        };
        let text = format!(
            "route:\n  receiver: a\n{route}\nreceivers:\n- name: a\n  webhook_configs: [{}]\n\
             - name: b\n  webhook_configs: [{}]\n\
             time_intervals:\n- name: early\n  time_intervals:\n  \
             - times: [{{start_time: '00:00', end_time: '00:10'}}]\n",
            hooks(""),
            hooks(", send_resolved: false"),
        );
        let config = Arc::new(Config::parse(&text).unwrap_or_else(|e| panic!("{e:?}: {text}")));
        Self {
            dispatcher: Dispatcher::new(Arc::clone(&config), EPOCH, []),
            config,
            now: EPOCH.steady,
            ahead_ms: 0,
            passed_ms: 0,
            stored: BTreeMap::new(),
            forgone: Vec::new(),
            dead: BTreeSet::new(),
            silent: BTreeSet::new(),
            owed: BTreeSet::new(),
            told: String::new(),
            delivered: Vec::new(),
            heard: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// Lets the time pass until so many seconds after the start; whatever is due happens.
    fn until(&mut self, seconds: f64) {
        let end = Timestamp::from_ms((seconds * 1e3) as i64);
        while let Some(deadline) = self.dispatcher.next_deadline()
            && deadline <= end
        {
            self.now = self.now.max(deadline);
            self.advance();
        }
        self.now = end;
    }

    fn passes(&mut self, ms: u32) {
        let end = self.now.as_ms() + i64::from(ms);
        self.until(end as f64 / 1e3);
    }

    fn dies(&mut self, webhook: usize) {
        self.dead.insert(format!("a{webhook}"));
    }

    /// It takes notifications again; what was on its way is given up.
    fn revives(&mut self, webhook: usize) {
        self.dead.remove(&format!("a{webhook}"));
        let was_silent = self.silent.remove(&format!("a{webhook}"));
        let address = address_of_all(webhook);
        if was_silent {
            // Whether it has taken what it did not answer, nobody knows.
            self.lose(&address);
            let changes = self.dispatcher.on_given_up(&address, Arrival::Possible);
            return self.store(changes);
        }
        if self.dispatcher.on_the_way.contains_key(&address) {
            self.owed.retain(|(of, _)| *of != webhook);
        }
        let changes = self.dispatcher.on_given_up(&address, Arrival::Impossible);
        self.store(changes);
    }

    fn lose(&mut self, address: &Address) {
        if self.dispatcher.on_the_way.contains_key(address) {
            self.lost.push((address.webhook, self.delivered.len()));
        }
    }

    /// It takes notifications and does not answer.
    fn falls_silent(&mut self, webhook: usize) {
        self.silent.insert(format!("a{webhook}"));
    }

    fn advance(&mut self) {
        let due = self.dispatcher.advance(self.clocks());
        self.store(due.changes);
        for mut notification in due.notifications {
            assert_eq!(notification.time, self.clocks().wall);
            notification.time = Timestamp::from_ms(self.now.as_ms() + self.passed_ms);
            let to = format!("{}{}", notification.address.receiver, notification.address.webhook);
            if self.dead.contains(&to) {
                self.tell(&to, "fails", &notification);
                let firing = notification.alerts.iter().filter(|update| !update.is_resolved());
                let webhook = notification.address.webhook;
                self.owed.extend(firing.map(|update| (webhook, update.alert.name().to_owned())));
                continue;
            }
            let told = notification.alerts.iter().map(|update| update.alert.name().to_owned());
            for name in told {
                self.owed.remove(&(notification.address.webhook, name));
            }
            if self.silent.contains(&to) {
                self.tell(&to, "hears", &notification);
                self.heard.push(self.delivered.len());
                self.delivered.push(notification);
                continue;
            }
            self.tell(&to, notification.reason.as_str(), &notification);
            let changes = self.dispatcher.on_sent(&notification.address);
            self.store(changes);
            self.delivered.push(notification);
        }
    }

    fn tell(&mut self, to: &str, what: &str, notification: &Notification) {
        let alerts = notification.in_reading_order().into_iter().map(|update| {
            let name = update.alert.labels.get("alertname").expect("named");
            let sign = if update.is_resolved() { '-' } else { '+' };
            format!("{sign}{name}")
        });
        let alerts = alerts.collect::<Vec<_>>().join(" ");
        let seconds = self.now.as_ms() as f64 / 1e3;
        writeln!(self.told, "{seconds}s {to} {what}: {alerts}").expect("a text takes all");
    }

    fn clocks(&self) -> Now {
        let wall = Timestamp::from_ms(self.now.as_ms() + self.ahead_ms);
        Now { steady: self.now, wall }
    }

    fn store(&mut self, changes: Changes) {
        let Changes { records, forgone } = changes;
        self.forgone.extend(forgone.iter().map(|Forgone { address, alerts, reason, .. }| {
            format!("{}{} {} {reason}", address.receiver, address.webhook, alerts.len())
        }));
        for NotificationRecordChange { key, value, .. } in records {
            match value {
                Some(value) => self.stored.insert(key, value),
                None => self.stored.remove(&key),
            };
        }
    }

    /// The wall clock is set, which is noticed within a second.
    fn steps(&mut self, ms: i64) {
        self.ahead_ms += ms;
        self.advance();
    }

    /// An alert that fires since the start.
    fn update(&mut self, name: &str, ended: Option<Timestamp>, sound: Sound) {
        let mut update = alert(name, Timestamp::from_ms(0), ended);
        if sound == Sound::Muted {
            update.status.inhibited_by.push(Fingerprint::from_u64(1));
        }
        self.dispatcher.update(self.clocks(), &update);
    }

    fn fires(&mut self, name: &str) {
        self.dispatcher.update(self.clocks(), &alert(name, self.clocks().wall, None));
    }

    fn resolves(&mut self, name: &str) {
        self.update(name, Some(self.now), Sound::Audible);
    }

    /// The process is killed and comes back.
    fn restarts(&mut self) {
        let flights: Vec<_> = self.dispatcher.on_the_way.keys().cloned().collect();
        for address in &flights {
            self.lose(address);
        }
        self.restarts_with(Arc::clone(&self.config));
    }

    /// The process is killed and comes back with another configuration: its time begins with what
    /// the wall clock says then.
    fn restarts_with(&mut self, config: Arc<Config>) {
        self.passed_ms -= self.ahead_ms;
        (self.now, self.ahead_ms) = (self.clocks().wall, 0);
        self.dispatcher = Dispatcher::new(config, self.clocks(), self.stored.clone());
    }

    /// All alerts have been told of after a start.
    fn settles(&mut self) -> Vec<String> {
        self.settles_with(&Waited::default())
    }

    /// Another configuration comes into force.
    fn reloads(&mut self, config: Arc<Config>) -> Vec<String> {
        let waited = self.dispatcher.replace(self.clocks(), config);
        self.settles_with(&waited)
    }

    fn settles_with(&mut self, waited: &Waited) -> Vec<String> {
        let changes = self.dispatcher.settle(self.clocks(), waited);
        self.store(changes);
        std::mem::take(&mut self.forgone)
    }

    fn told(&mut self, expected: &[&str]) {
        let told = std::mem::take(&mut self.told);
        assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    }
}

fn alert(name: &str, fired_at: Timestamp, resolved_at: Option<Timestamp>) -> Update {
    let pairs = [("alertname", name), ("site", &name[..1])];
    let labels = Labels::from_pairs(pairs).expect("labels");
    let state = if resolved_at.is_some() { AlertState::Resolved } else { AlertState::Firing };
    let alert = Alert {
        fingerprint: Fingerprint::of(&labels),
        source: AlertSource::Posted { generator_url: None },
        state,
        labels,
        annotations: Labels::empty(),
        value: 1.0,
        active_at: fired_at,
        fired_at: Some(fired_at),
        resolved_at,
        sample_time: fired_at,
    };
    Update { alert: Arc::new(alert), status: AlertStatus::default() }
}

/// Of receiver `a`, where all alerts are one group.
fn address_of_all(webhook: usize) -> Address {
    let (receiver, group_key) = ("a".into(), "{}:{}".into());
    Address { receiver, webhook, group_key, variant: Variant::ALONE }
}

const QUICK: &str = "  group_wait: 1s\n  group_interval: 2s\n  repeat_interval: 5s";

#[test]
fn a_group_waits_then_tells_changes_at_its_interval_and_repeats() {
    let mut story = Story::new(QUICK, 1);
    story.fires("one");
    story.until(0.5);
    story.fires("two");
    story.until(2.0);
    story.told(&["1s a0 first notification: +one +two"]);
    story.fires("three");
    story.until(4.0);
    story.told(&["3s a0 new alerts added: +one +three +two"]);
    // The repeat interval has not passed at 7 s.
    story.until(9.5);
    story.told(&["9s a0 repeat interval elapsed: +one +three +two"]);
    story.resolves("one");
    story.until(12.0);
    story.told(&["11s a0 some alerts resolved: -one +three +two"]);
    story.resolves("two");
    story.resolves("three");
    story.until(100.0);
    story.told(&["13s a0 all alerts resolved: -three -two"]);
    assert_eq!(story.dispatcher.group_count(), 0);
    assert_eq!(story.dispatcher.next_deadline(), None);
}

#[test]
fn what_comes_and_goes_between_two_looks_is_not_told() {
    let mut story = Story::new(QUICK, 1);
    story.fires("one");
    story.resolves("one");
    story.until(10.0);
    story.told(&[]);
    assert_eq!(story.dispatcher.group_count(), 0);
}

#[test]
fn an_alert_that_fires_again_is_told_again() {
    let mut story = Story::new(QUICK, 1);
    story.fires("one");
    story.until(1.5);
    story.resolves("one");
    story.until(3.5);
    story.fires("one");
    story.until(5.0);
    let expected = [
        "1s a0 first notification: +one",
        "3s a0 all alerts resolved: -one",
        "4.5s a0 first notification: +one",
    ];
    story.told(&expected);
}

#[test]
fn groups_are_by_labels_and_routes() {
    let routes = "  group_by: [site]\n  routes:\n  - matchers: [site=x]\n    receiver: b\n    \
                  group_wait: 0s\n    group_by: ['...']";
    let mut story = Story::new(&format!("{QUICK}\n{routes}"), 1);
    for name in ["a1", "b1", "a2", "x1", "x2"] {
        story.fires(name);
    }
    assert_eq!(story.dispatcher.group_count(), 4);
    story.until(1.5);
    let mut told: Vec<_> = story.told.lines().collect();
    told.sort_unstable();
    let expected = [
        "0s b0 first notification: +x1",
        "0s b0 first notification: +x2",
        "1s a0 first notification: +a1 +a2",
        "1s a0 first notification: +b1",
    ];
    assert_eq!(told, expected);
}

#[test]
fn who_does_not_want_resolved_alerts_is_not_told_of_them() {
    let mut story = Story::new(&format!("{QUICK}\n  routes: [{{receiver: b}}]"), 1);
    story.fires("one");
    story.fires("two");
    story.until(1.5);
    story.resolves("one");
    story.until(5.5);
    story.resolves("two");
    story.until(20.0);
    story.fires("two");
    story.until(22.0);
    let expected = [
        "1s b0 first notification: +one +two",
        // All have ended: nothing is sent, but it is known, so what fires again is new.
        "21s b0 first notification: +two",
    ];
    story.told(&expected);
}

#[test]
fn muted_alerts_are_left_out_and_their_group_goes_on() {
    let mut story = Story::new(QUICK, 1);
    story.update("one", None, Sound::Audible);
    story.update("two", None, Sound::Muted);
    story.until(1.5);
    story.told(&["1s a0 first notification: +one"]);
    story.update("one", None, Sound::Muted);
    story.until(4.0);
    story.told(&[]);
    story.update("two", None, Sound::Audible);
    story.until(5.5);
    story.told(&["5s a0 new alerts added: +two"]);
    // Muted when it ended: nobody is told, and it is dropped.
    story.update("one", Some(story.now), Sound::Muted);
    story.update("two", Some(story.now), Sound::Audible);
    story.until(20.0);
    story.told(&["7s a0 all alerts resolved: -two"]);
    assert_eq!(story.dispatcher.group_count(), 0);
}

#[test]
fn a_route_is_silent_in_its_intervals() {
    let routes = "  routes: [{receiver: a, mute_time_intervals: [early]}, ]";
    let mut story = Story::new(&format!("{QUICK}\n{routes}"), 1);
    story.fires("one");
    story.until(602.0);
    story.told(&["601s a0 first notification: +one"]);
}

#[test]
fn a_dead_webhook_harms_no_other_and_is_tried_again() {
    let mut story = Story::new(QUICK, 2);
    story.dead.insert("a1".to_owned());
    story.fires("one");
    story.until(2.0);
    story.told(&["1s a0 first notification: +one", "1s a1 fails: +one"]);
    story.fires("two");
    story.until(3.5);
    // One that is on its way is not overtaken.
    story.told(&["3s a0 new alerts added: +one +two"]);
    let stuck = address_of_all(1);
    let changes = story.dispatcher.on_given_up(&stuck, Arrival::Impossible);
    story.store(changes);
    story.dead.clear();
    story.until(3.6);
    // A look was missed meanwhile, so it is made up for at once, with what there is now.
    story.told(&["3.5s a1 first notification: +one +two"]);
    story.resolves("one");
    story.resolves("two");
    story.until(10.0);
    let expected = ["5s a0 all alerts resolved: -one -two", "5s a1 all alerts resolved: -one -two"];
    story.told(&expected);
    assert_eq!(story.dispatcher.group_count(), 0);
}

#[test]
fn what_is_not_delivered_is_kept_until_it_is() {
    let mut story = Story::new(QUICK, 1);
    story.fires("one");
    story.until(1.5);
    story.dead.insert("a0".to_owned());
    story.resolves("one");
    let address = address_of_all(0);
    for seconds in [3.5, 5.5] {
        story.until(seconds);
        let changes = story.dispatcher.on_given_up(&address, Arrival::Impossible);
        story.store(changes);
    }
    story.dead.clear();
    story.until(20.0);
    let expected = [
        "1s a0 first notification: +one",
        "3s a0 fails: -one",
        "5s a0 fails: -one",
        "7s a0 all alerts resolved: -one",
    ];
    story.told(&expected);
    assert_eq!(story.dispatcher.group_count(), 0);
}

#[test]
fn a_restart_neither_repeats_nor_forgets() {
    let mut story = Story::new(QUICK, 1);
    story.fires("one");
    story.until(0.5);
    // Killed while the group waits: it does not wait again, and is told once.
    story.restarts();
    story.update("one", None, Sound::Audible);
    story.until(1.6);
    story.told(&["1.5s a0 first notification: +one"]);
    story.restarts();
    story.until(3.0);
    story.update("one", None, Sound::Audible);
    story.until(6.0);
    story.told(&[]);
    // It ends while the process is down.
    story.restarts();
    story.resolves("one");
    story.until(8.0);
    story.told(&["6s a0 all alerts resolved: -one"]);
    story.restarts();
    story.resolves("one");
    story.until(20.0);
    story.told(&[]);
}

#[test]
fn nobody_is_told_before_the_start() {
    let mut story = Story::new("  group_wait: 1s\n  group_interval: 6s", 1);
    let config = Arc::clone(&story.config);
    let dispatcher = Dispatcher::new(config, EPOCH, []);
    story.dispatcher = dispatcher.starting_at(Timestamp::from_ms(5_000));
    story.fires("one");
    story.until(3.0);
    story.fires("two");
    story.until(5.5);
    story.told(&["5s a0 first notification: +one +two"]);
    story.fires("three");
    story.until(20.0);
    story.told(&["11s a0 new alerts added: +one +three +two"]);
}

#[test]
fn another_configuration_begins_anew_and_remembers_what_was_told() {
    let mut story = Story::new("  group_wait: 1s\n  group_interval: 6s", 1);
    story.fires("one");
    story.until(3.0);
    story.told(&["1s a0 first notification: +one"]);
    let config = Arc::clone(&story.config);
    assert_eq!(story.reloads(config), Vec::<String>::new());
    story.until(4.0);
    story.fires("two");
    story.until(20.0);
    // The group is made again at 3 s, and looked at then.
    story.told(&["9s a0 new alerts added: +one +two"]);
}

#[test]
fn pending_alerts_are_nobodys_business() {
    let mut story = Story::new(QUICK, 1);
    let pending = alert("one", Timestamp::from_ms(0), None);
    let pending = Alert { fired_at: None, state: AlertState::Pending, ..(*pending.alert).clone() };
    let update = Update { alert: Arc::new(pending), status: AlertStatus::default() };
    story.dispatcher.update(story.clocks(), &update);
    assert_eq!(story.dispatcher.group_count(), 0);
}

#[test]
fn a_receiver_without_webhooks_costs_nothing_once_alerts_have_ended() {
    let mut story = Story::new(QUICK, 0);
    story.fires("one");
    story.until(3.0);
    story.resolves("one");
    story.until(10.0);
    story.told(&[]);
    assert_eq!(story.dispatcher.group_count(), 0);
}

#[test]
fn records_of_another_form_are_forgotten_and_counted() {
    let mut story = Story::new(QUICK, 1);
    story.fires("one");
    story.until(1.5);
    let (key, value) = story.stored.first_key_value().expect("a record");
    let old = [(key.clone(), b"old".to_vec()), ("notified/old".to_owned(), value.clone())];
    let dispatcher = Dispatcher::new(Arc::clone(&story.config), EPOCH, old);
    assert_eq!(dispatcher.unreadable_records(), 2);
    let dispatcher = Dispatcher::new(Arc::clone(&story.config), EPOCH, story.stored.clone());
    assert_eq!(dispatcher.unreadable_records(), 0);
}

#[test]
fn records_are_forgotten_in_their_time() {
    let mut story = Story::new(QUICK, 1);
    story.fires("one");
    story.until(1.5);
    story.resolves("one");
    story.until(4.0);
    assert_eq!(story.stored.len(), 1);
    // A storage that has lost it can have it again.
    let kept = std::mem::take(&mut story.stored);
    let records = story.dispatcher.records();
    story.store(Changes { records, ..Changes::default() });
    assert_eq!(story.stored, kept);
    story.now = story.now.saturating_add(Duration::from_mins(15));
    story.advance();
    assert_eq!(story.stored.len(), 0);
}
