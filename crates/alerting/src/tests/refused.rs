//! What is refused has changed nothing, and what a drain gives up on is not forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bellwire_alerts::desk::Plan;
use bellwire_journal::{
    Append, Bounds, ClockReading, ClockStep, Ended, Error, Journal, MemoryJournal, Observer, Page,
    ReadLimit, Record, RecordChange, RecordReply, Reply, StateHorizons, StatePage, TopicFigures,
};
use bellwire_model::limits::DESK_QUEUED_MAX;
use bellwire_model::{Epoch, FilterSet, Labels, Offset, Sample};
use bellwire_rules::RuleSet;

use super::{Nobody, open_for_evaluator, rules};
use crate::{Also, Charge, Concerned, RecordKept, Reload, ReloadParts, Source, TakeEffect, spawn};

fn memory(observer: impl Observer + 'static) -> MemoryJournal {
    MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(observer))
}

#[derive(Debug)]
struct NothingElse;

impl Also for NothingElse {
    fn read(&self) -> Result<TakeEffect, String> {
        Ok(Box::new(|| {}))
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_is_refused_has_changed_nothing() {
    let (parts, desk, _drain) = open_for_evaluator(Arc::new(memory(Nobody)), RuleSet::default());
    let (alerting, figures) = (Arc::clone(&parts.alerting), Arc::clone(&parts.figures));
    let (intake, _evaluator) = spawn(parts, Vec::new()).expect("started");
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = "groups: [{name: g, rules: [{alert: Hot, expr: t > 90}]}]";
    std::fs::write(file.path(), text).expect("written");
    let reload = Reload::new(ReloadParts {
        rules: vec![file.path().to_str().expect("UTF-8").to_owned()],
        mode: bellwire_rules::RuleMode::Stream,
        alertmanager_config: None,
        concerned: Concerned {
            in_force: Some(crate::InForce {
                intake: Arc::clone(&intake),
                alerting: Arc::clone(&alerting),
            }),
            also: Arc::new(NothingElse),
        },
        last_read: None,
        failure: None,
        figures: Arc::clone(&figures),
    });
    // As many requests as there may be wait for the desk, which does not get to them.
    for _ in 0..DESK_QUEUED_MAX {
        let plan = |_: &bellwire_alerts::Desk, _| (Plan::default(), ());
        alerting.request_then(plan, |_: Result<(), _>| {}).expect("there is room");
    }
    let problem = reload.reload().await.expect_err("there is no room");
    assert_eq!(problem.code, bellwire_wire::problem::Code::PublishersBusy);
    assert_eq!(figures.rules_loaded.get(), 0);
    let _desk = desk.spawn().expect("a thread");
    // It gets to them now; who finds no room yet is told so, and comes again.
    while reload.reload().await.is_err() {}
    assert_eq!(figures.rules_loaded.get(), 1);
}

#[tokio::test]
async fn what_another_node_goes_on_with_ends_though_somebody_may_turn_to_it() {
    let (parts, desk, _drain) = open_for_evaluator(Arc::new(memory(Nobody)), RuleSet::default());
    let alerting = Arc::clone(&parts.alerting);
    let (intake, evaluator) = spawn(parts, Vec::new()).expect("started");
    let desk = desk.spawn().expect("a thread");
    intake.end();
    alerting.end();
    evaluator.join().expect("no panic");
    desk.join().expect("no panic");
    let away = bellwire_wire::problem::Code::DeskAway;
    let series = Labels::from_pairs([(bellwire_model::METRIC_NAME, "t")]).expect("labels");
    let sample = Sample { series, value: 1.0, time: bellwire_model::Timestamp::from_ms(0) };
    let problem = intake.take(Source::of(None), vec![sample]).await.expect_err("nobody takes it");
    assert_eq!((problem.code, problem.is_maybe_taken()), (away, Some(false)));
    let problem = intake.look(|_| Some(())).await.expect_err("nobody looks");
    assert_eq!(problem.code, away);
    let plan = |_: &bellwire_alerts::Desk, _| (Plan::default(), ());
    assert_eq!(alerting.request(plan).await.expect_err("nobody is there").code, away);
}

/// A journal that takes no event while it is told not to.
#[derive(Debug)]
pub(crate) struct Refusing {
    pub(crate) journal: MemoryJournal,
    pub(crate) refuses: AtomicBool,
}

impl Journal for Refusing {
    fn epoch(&self) -> Epoch {
        self.journal.epoch()
    }

    fn append(&self, batch: Vec<Append>, reply: Reply) -> Result<(), Error> {
        if self.refuses.load(Ordering::SeqCst) {
            let source = Arc::new(std::io::Error::from(std::io::ErrorKind::StorageFull));
            return Err(Error::Full { path: "journal".into(), source });
        }
        self.journal.append(batch, reply)
    }

    fn bounds(&self) -> Bounds {
        self.journal.bounds()
    }

    fn trimmed(&self, filters: &FilterSet) -> Offset {
        self.journal.trimmed(filters)
    }

    fn read(&self, after: Offset, filters: &FilterSet, limit: ReadLimit) -> Result<Page, Error> {
        self.journal.read(after, filters, limit)
    }

    fn state(&self, after: Offset, limit: ReadLimit) -> Result<StatePage, Error> {
        self.journal.state(after, limit)
    }

    fn state_horizons(&self) -> Result<StateHorizons, Error> {
        self.journal.state_horizons()
    }

    fn ended(&self, topic: &str) -> Option<Ended> {
        self.journal.ended(topic)
    }

    fn list_topics(&self, prefix: &str, after: &str, limit: usize) -> Vec<TopicFigures> {
        self.journal.list_topics(prefix, after, limit)
    }

    fn write_records(&self, changes: Vec<RecordChange>, reply: RecordReply) -> Result<(), Error> {
        self.journal.write_records(changes, reply)
    }

    fn records(&self, prefix: &str) -> Result<Vec<Record>, Error> {
        self.journal.records(prefix)
    }

    fn health(&self) -> Result<(), Error> {
        self.journal.health()
    }

    fn damaged(&self) -> u64 {
        self.journal.damaged()
    }

    fn damaged_blocks(&self) -> u64 {
        self.journal.damaged_blocks()
    }

    fn apply_retention(&self, now: ClockReading) -> Result<Option<ClockStep>, Error> {
        self.journal.apply_retention(now)
    }

    fn expire(&self, now: ClockReading) -> Result<Option<Duration>, Error> {
        self.journal.expire(now)
    }

    fn close(&self) -> Result<(), Error> {
        self.journal.close()
    }
}

impl Refusing {
    /// The types of the alerts' events.
    fn told(&self) -> Vec<String> {
        let filter: bellwire_model::Filter = "alerts/events/**".parse().expect("a filter");
        let page = self.read(Offset::ZERO, &filter.into(), ReadLimit::PAGE).expect("a page");
        let types = page.entries.iter().map(|entry| entry.event.event_type.as_deref());
        types.map(|of| of.expect("alerts' events have one").to_owned()).collect()
    }
}

#[tokio::test]
async fn what_a_drain_has_not_told_the_next_start_tells_in_its_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Arc::new(Refusing { journal: memory(Nobody), refuses: AtomicBool::new(true) });
    let silent = || rules("groups: [{name: g, rules: [{alert: Silent, expr: absent(x)}]}]");
    let begin = || {
        let journal: Arc<dyn Journal> = Arc::<Refusing>::clone(&journal);
        let (mut parts, desk, drain) = open_for_evaluator(journal, silent());
        parts.state_folder = Some(folder.path().join("rules"));
        let desk = desk.spawn().expect("a thread");
        (spawn(parts, Vec::new()).expect("started"), desk, drain)
    };
    let ((intake, evaluator), _desk, drain) = begin();
    // It fires, and the journal does not take that.
    while !intake.is_blocked() {
        tokio::task::yield_now().await;
    }
    drain.send(true).expect("the evaluator listens");
    // It has given up once it answers.
    while intake.look(|_| Some(())).await.is_err() {}
    // It takes events again. That the alert resolves must not be told before that it fires.
    journal.refuses.store(false, Ordering::SeqCst);
    let series = Labels::from_pairs([("__name__", "x")]).expect("labels");
    let sample = Sample { series, value: 1.0, time: bellwire_process::clock::now() };
    intake.take(Source::of(None), vec![sample]).await.expect("taken");
    drop(intake);
    evaluator.join().expect("it ends");
    assert_eq!(journal.told(), [""; 0]);
    let (_evaluator, _desk, _drain) = begin();
    while journal.told().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(journal.told(), ["alert.firing", "alert.resolved"]);
}

/// What becomes of a sample that somebody sends to an evaluator among others whose drain cannot tell that
/// an alert fires, where it is that one's to say.
#[tokio::test]
async fn what_a_node_takes_and_does_not_tell_is_not_told_to_be_taken() {
    for (is_ours, is_untold) in [(true, false), (true, true), (false, false)] {
        let journal = Refusing { journal: memory(Nobody), refuses: AtomicBool::new(is_untold) };
        let silent = rules("groups: [{name: g, rules: [{alert: Silent, expr: absent(x)}]}]");
        let (mut parts, desk, drain) = open_for_evaluator(Arc::new(journal), silent);
        parts.charge = Charge::told(move || is_ours);
        let _desk = desk.spawn().expect("a thread");
        let (intake, evaluator) = spawn(parts, Vec::new()).expect("started");
        while is_untold && !intake.is_blocked() {
            tokio::task::yield_now().await;
        }
        drain.send(true).expect("the evaluator listens");
        while intake.look(|_| Some(())).await.is_err() {}
        let series = Labels::from_pairs([("__name__", "y")]).expect("labels");
        let sample = Sample { series, value: 1.0, time: bellwire_process::clock::now() };
        let taken = intake.take(Source::of(None), vec![sample]).await;
        let is_maybe_taken = taken.err().map(|problem| problem.is_maybe_taken());
        let expected = (!is_ours || is_untold).then_some(Some(true));
        assert_eq!(is_maybe_taken, expected, "ours: {is_ours}, untold: {is_untold}");
        drop(intake);
        evaluator.join().expect("it ends");
    }
}

#[tokio::test]
async fn a_disk_that_the_journal_finds_full_has_none_of_the_logs_that_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("rules");
    let journal = Arc::new(Refusing { journal: memory(Nobody), refuses: AtomicBool::new(false) });
    let begin = |alert: &str| {
        let rule = format!("groups: [{{name: g, rules: [{{alert: {alert}, expr: absent(x)}}]}}]");
        let journal: Arc<dyn Journal> = Arc::<Refusing>::clone(&journal);
        let (mut parts, desk, drain) = open_for_evaluator(journal, rules(&rule));
        parts.state_folder = Some(folder.clone());
        parts.record = RecordKept { age: Duration::from_hours(1), bytes: 1 << 30 };
        let desk = desk.spawn().expect("a thread");
        (spawn(parts, Vec::new()).expect("started"), desk, drain)
    };
    let kept = folder.join("log-00000001");
    for _ in 0..2 {
        let ((intake, evaluator), _desk, _drain) = begin("Silent");
        drop(intake);
        evaluator.join().expect("it ends");
        assert!(kept.exists());
    }
    journal.refuses.store(true, Ordering::SeqCst);
    let ((intake, evaluator), _desk, drain) = begin("Other");
    while kept.exists() {
        tokio::task::yield_now().await;
    }
    drain.send(true).expect("the evaluator listens");
    drop(intake);
    evaluator.join().expect("it ends");
}
