//! The evaluator and the desk together: what clients see first must be known to both.

pub(crate) mod fixture;
pub(crate) mod refused;

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bellwire_alerts::Post;
use bellwire_alerts::config::Config;
use bellwire_alerts::desk::Plan;
use bellwire_journal::{Append, Journal, MemoryJournal, Observer, ReadLimit};
use bellwire_model::limits::TOPICS_RESERVED;
use bellwire_model::{
    Alert, AlertSource, AlertState, Entry, Epoch, Filter, Fingerprint, Labels, NewAcknowledgement,
    Offset, RuleName, Timestamp, Transition, TransitionKind,
};
use bellwire_rules::{RuleFile, RuleSet, Settings};
use tokio::sync::watch;

use super::*;
use crate::events::{ACKNOWLEDGED, ASSIGNED, COMMENTED, UNACKNOWLEDGED, UNASSIGNED, announcement};
use fixture::{Board, Nobody, posted, take_topics};

/// Asks for each alert the moment its event is visible, and gives the desk time to answer before
/// the evaluator hears of anything.
struct AsksAtOnce {
    alerting: Arc<OnceLock<Arc<Alerting>>>,
    answers: SyncSender<bool>,
}

impl Observer for AsksAtOnce {
    fn on_commit(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let key = entry.event.key.as_deref().expect("alerts' events have one");
            let fingerprint = key.parse().expect("a fingerprint");
            let answers = self.answers.clone();
            let alerting = self.alerting.get().expect("it was there first");
            let new = NewAcknowledgement { by: "ada".into(), note: "".into() };
            let plan = move |desk: &bellwire_alerts::Desk, now| {
                (Plan::default(), desk.plan_acknowledgement(now, fingerprint, new).is_ok())
            };
            let done = move |known: Result<bool, _>| {
                let _ = answers.send(known.expect("there is room"));
            };
            alerting.request_then(plan, done).expect("there is room");
            std::thread::park_timeout(Duration::from_millis(200));
        }
    }
}

/// A desk whose thread is yet to run; nobody is notified.
fn open_desk(
    journal: &Arc<dyn Journal>,
    states: &Arc<dyn StateTopics>,
) -> (Arc<Alerting>, desk::Run, Arc<Figures>) {
    let figures = Arc::new(Figures::default());
    let parts = NotifierParts {
        config: Config::default(),
        journal: Arc::clone(journal),
        figures: Arc::clone(&figures),
        external_url: "http://bellwire".into(),
        start_delay: Duration::ZERO,
        reach: crate::Reach::default(),
        charge: crate::Charge::always(),
    };
    let (notifier, _run) = Notifier::open(parts).expect("opened");
    let (push, _courier) = Push::open(fixture::no_push(journal)).expect("opened");
    let parts = AlertingParts {
        journal: Arc::clone(journal),
        states: Arc::clone(states),
        notifier,
        push,
        figures: Arc::clone(&figures),
    };
    let (alerting, desk) = Alerting::open(parts).expect("opened");
    (alerting, desk, figures)
}

/// Such a desk, and what an evaluator needs beside it. The drain begins where the sender says so.
fn open_for_evaluator(
    journal: Arc<dyn Journal>,
    rules: RuleSet,
) -> (EvaluatorParts, desk::Run, watch::Sender<bool>) {
    let (drain, draining) = watch::channel(false);
    let states: Arc<dyn StateTopics> = Arc::new(Board::default());
    let (alerting, desk, figures) = open_desk(&journal, &states);
    let parts = EvaluatorParts {
        rules,
        settings: Settings::default(),
        state_folder: None,
        beginning: crate::Beginning::WhereItEnded,
        standby: None,
        charge: crate::Charge::always(),
        record: crate::RecordKept::default(),
        register: Arc::default(),
        forward: Vec::new(),
        journal,
        states,
        alerting,
        figures,
        draining,
    };
    (parts, desk, drain)
}

fn rules(text: &str) -> RuleSet {
    bellwire_rules::load(&[RuleFile { name: "r.yml", text }]).expect("valid")
}

#[tokio::test]
async fn an_alert_is_known_to_whoever_asks_as_soon_as_its_event_is_seen() {
    let (sender, answers) = sync_channel(1);
    let cell = Arc::new(OnceLock::new());
    let observer = AsksAtOnce { alerting: Arc::clone(&cell), answers: sender };
    let journal = MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(observer));
    // It fires without any sample, but not before all has begun.
    let silent = "groups: [{name: g, rules: [{alert: Silent, expr: absent(x), for: 50ms}]}]";
    let (parts, desk, _drain) = open_for_evaluator(Arc::new(journal), rules(silent));
    cell.set(Arc::clone(&parts.alerting)).expect("set once");
    let _desk = desk.spawn().expect("a thread");
    let (_intake, _evaluator) = spawn(parts, Vec::new()).expect("started");
    assert_eq!(answers.recv_timeout(Duration::from_mins(1)), Ok(true));
}

#[test]
fn what_people_say_of_an_alert_that_has_resolved_does_not_bring_it_back() {
    let rule = RuleName { file: "r.yml".into(), group: "g".into(), alert: "Hot".into() };
    let firing =
        Alert { source: AlertSource::Rule(Arc::new(rule)), ..posted(&[], Timestamp::from_ms(1)) };
    let resolved = Alert {
        state: AlertState::Resolved,
        resolved_at: Some(Timestamp::from_ms(2)),
        ..firing.clone()
    };
    let turned = |kind, alert: &Alert| {
        let (alert, time) = (Arc::new(alert.clone()), Timestamp::from_ms(2));
        announcement(&Transition { kind, time, alert, expression: None, sample: None })
    };
    // As it was to whoever looked at it then.
    let said = |event_type: &str| {
        let mut append = turned(TransitionKind::Firing, &firing);
        append.event.event_type = Some(event_type.into());
        Append { idempotency_key: None, ..append }
    };
    let journal = MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody));
    let mut batch =
        vec![turned(TransitionKind::Firing, &firing), turned(TransitionKind::Resolved, &resolved)];
    let of_people = [ACKNOWLEDGED, UNACKNOWLEDGED, ASSIGNED, UNASSIGNED, COMMENTED];
    batch.extend(of_people.map(said));
    let (sender, answered) = sync_channel(1);
    let reply = Box::new(move |result: Result<Vec<_>, _>| sender.send(result).expect("awaited"));
    journal.append(batch, reply).expect("queued");
    assert_eq!(answered.recv().expect("answered").expect("appended").len(), 7);
    let restored = restore(&journal, Vec::new()).expect("readable");
    assert_eq!(
        restored.iter().map(|alert| alert.state).collect::<Vec<_>>(),
        [AlertState::Resolved]
    );
    // Of what is shown the one counts of which the journal says nothing any more.
    let labels = Labels::from_pairs([("alertname", "Old")]).expect("labels");
    let old = Alert { fingerprint: Fingerprint::of(&labels), labels, ..firing.clone() };
    let fired_on = restore(&journal, vec![firing, old.clone()]).expect("readable");
    let states: BTreeMap<_, _> =
        fired_on.iter().map(|alert| (alert.fingerprint, alert.state)).collect();
    let expected =
        [(old.fingerprint, AlertState::Firing), (resolved.fingerprint, AlertState::Resolved)];
    assert_eq!(states, expected.into());
}

/// A desk whose journal takes no further topics.
fn desk_without_topics() -> (Arc<Alerting>, Arc<dyn Journal>, Arc<Figures>) {
    let journal = MemoryJournal::with_topics_max((Epoch::new(1), 0), Vec::new(), Box::new(Nobody));
    let journal: Arc<dyn Journal> = Arc::new(journal);
    take_topics(&*journal, TOPICS_RESERVED);
    let states: Arc<dyn StateTopics> = Arc::new(Board::default());
    let (alerting, desk, figures) = open_desk(&journal, &states);
    let _ = desk.spawn().expect("a thread");
    (alerting, journal, figures)
}

#[tokio::test]
async fn a_posted_alert_is_told_and_taken_though_there_is_no_room_for_its_topic() {
    let (alerting, journal, figures) = desk_without_topics();
    let post = |name: &str| Post {
        labels: Labels::from_pairs([("alertname", name)]).expect("labels"),
        annotations: Labels::empty(),
        starts_at: None,
        ends_at: None,
        generator_url: None,
    };
    let posts = ["New", "7", "Newer"].map(post).to_vec();
    let plan = move |desk: &bellwire_alerts::Desk, now| {
        desk.plan_posts(now, (None, posts), Duration::from_mins(5))
    };
    assert_eq!(alerting.request(plan).await.expect("taken"), []);
    assert_eq!(alerting.desk().cases().filter(|case| case.is_raised()).count(), 3);
    let filter: Filter = "alerts/events/**".parse().expect("a filter");
    let after = Offset::new(TOPICS_RESERVED as u64);
    let page = journal.read(after, &filter.into(), ReadLimit::PAGE).expect("a page");
    let mut topics: Vec<&str> =
        page.entries.iter().map(|entry| entry.event.topic.as_str()).collect();
    topics.sort_unstable();
    assert_eq!(topics, ["alerts/events/_/_", "alerts/events/_/_", "alerts/events/none/7"]);
    assert_eq!(figures.alerts_without_topic.get(), 2);
}
