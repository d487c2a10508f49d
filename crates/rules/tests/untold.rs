//! Whatever changes is told, and once, wherever a process is killed and however often in a row: what
//! it wrote down says what it had yet to tell.

#[path = "engine/arrivals.rs"]
mod arrivals;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bellwire_model::{AlertState, Fingerprint, Labels, METRIC_NAME, Sample, Timestamp, Transition};
use bellwire_rules::{Change, Checkpoint, Engine, RuleFile, RuleSet, Settings, State, load};
use proptest::prelude::*;

use arrivals::Batch;

const END_MS: i64 = 200;

/// Alerts that lose their data and fire on, and that are kept.
const RULES: &str = "groups:
- name: g
  rules:
  - {record: total, expr: sum by (s) (a)}
  - {alert: Lost, expr: a > 1, on_data_lost: keep}
  - {alert: Held, expr: b > 1, for: 5ms, on_data_lost: keep}
  - {alert: Total, expr: total > 3, keep_firing_for: 4ms, on_data_lost: keep}
  - {alert: Silent, expr: absent(b)}
- name: ticked
  mode: tick
  interval: 5ms
  rules:
  - {alert: Ticked, expr: a > 2, for: 9ms, on_data_lost: keep}
";

fn rules() -> RuleSet {
    set(RULES)
}

fn set(text: &str) -> RuleSet {
    load(&[RuleFile { name: "f", text }]).expect("rules")
}

fn settings() -> Settings {
    let lookback = Duration::from_millis(20);
    // One that has ended is forgotten soon, also where nobody was told of its end.
    Settings { lookback, resolved_retention: Duration::from_millis(15), ..Settings::default() }
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kill {
    /// The journal has refused what has changed since it was told the last time.
    Refused,
    /// The journal has it, and nothing says so.
    Taken,
    /// It has only just begun, and has written nothing of its own.
    AtOnce,
}

/// What subscribers see.
#[derive(Debug, Default)]
struct Journal {
    ids: BTreeSet<String>,
    told: Vec<Transition>,
}

impl Journal {
    fn take(&mut self, transitions: &[Transition]) {
        for transition in transitions {
            if self.ids.insert(transition.id()) {
                self.told.push(transition.clone());
            }
        }
    }

    /// What became of each alert, in the order in which it was told.
    fn lives(&self) -> BTreeMap<Fingerprint, Vec<(String, AlertState, Option<Timestamp>)>> {
        let mut lives: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for told in &self.told {
            let life = (told.id(), told.alert.state, told.alert.resolved_at);
            lives.entry(told.alert.fingerprint).or_default().push(life);
        }
        lives
    }
}

fn announced(changes: Vec<Change>) -> Vec<Transition> {
    let announced = changes.into_iter().filter_map(|change| match change {
        Change::Transition(told) => told.kind.is_announced().then_some(told),
        _ => None,
    });
    announced.collect()
}

/// What is on the disk.
#[derive(Debug, Default)]
struct Disk {
    checkpoint: Vec<Vec<u8>>,
    log: Vec<Vec<u8>>,
}

impl Disk {
    fn read(&self) -> State {
        let mut state = State::default();
        for bytes in self.checkpoint.iter().chain(&self.log) {
            state.read(bytes).expect("whole records");
        }
        state
    }
}

/// A process: it writes down what has changed, announces it, and writes down that it has.
struct Process {
    engine: Engine,
    /// What it has yet to announce.
    untold: Vec<Transition>,
    /// A checkpoint that is being taken: its pieces, and where in the log it began.
    next: Option<(Checkpoint, Vec<Vec<u8>>, usize)>,
}

impl Process {
    fn new(mut engine: Engine, untold: Vec<Transition>) -> Self {
        engine.keep_log();
        Self { engine, untold, next: None }
    }

    /// Begins with a checkpoint.
    fn write_whole(&mut self, disk: &mut Disk) {
        let mut checkpoint = Checkpoint::default();
        let pieces = std::iter::from_fn(|| self.engine.checkpoint(&mut checkpoint, 60));
        *disk = Disk { checkpoint: pieces.collect(), log: Vec::new() };
    }

    /// The one after it.
    fn after(disk: &Disk, now: Timestamp) -> Self {
        let state = disk.read();
        let mut untold = state.untold();
        let (engine, changes) = Engine::resume(rules(), settings(), state, now);
        untold.extend(announced(changes));
        Self::new(engine, untold)
    }

    fn apply(&mut self, batch: &Batch, disk: &mut Disk) {
        let changes = self.engine.apply(Timestamp::from_ms(batch.arrives_ms), &batch.samples);
        self.untold.extend(announced(changes));
        disk.log.push(self.engine.take_log());
    }

    fn announce(&mut self, journal: &mut Journal) {
        journal.take(&std::mem::take(&mut self.untold));
    }

    fn mark(&mut self, disk: &mut Disk) {
        self.engine.mark_announced();
        disk.log.push(self.engine.take_log());
        let Some((checkpoint, pieces, _)) = &mut self.next else { return };
        if let Some(piece) = self.engine.checkpoint(checkpoint, 60) {
            return pieces.push(piece);
        }
        let (_, pieces, began_at) = self.next.take().expect("it was there a line ago");
        disk.checkpoint = pieces;
        disk.log.drain(..began_at);
    }
}

/// What happens in and after the step of a batch.
#[derive(Clone, Debug)]
struct Fate {
    begins_checkpoint: bool,
    kills: Vec<Kill>,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let kill = prop_oneof![
        4 => Just(Kill::Refused),
        2 => Just(Kill::Taken),
        1 => Just(Kill::AtOnce),
    ];
    let kills = prop_oneof![5 => Just(Vec::new()), 3 => prop::collection::vec(kill, 1..5)];
    let fate = (prop::bool::weighted(0.2), kills);
    let fate = fate.prop_map(|(begins_checkpoint, kills)| Fate { begins_checkpoint, kills });
    prop::collection::vec(fate, 25)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_changes_is_told_once_however_often_a_process_is_killed(
        batches in arrivals::batches((0..5_u8).prop_map(f64::from), END_MS),
        fates in fates(),
    ) {
        let mut lasting = Engine::with_settings(rules(), settings());
        let (mut expected, mut journal) = (Journal::default(), Journal::default());
        let mut disk = Disk::default();
        let mut process = Process::new(Engine::with_settings(rules(), settings()), Vec::new());
        process.write_whole(&mut disk);
        for (index, (batch, fate)) in batches.iter().zip(&fates).enumerate() {
            let arrives = Timestamp::from_ms(batch.arrives_ms);
            expected.take(&announced(lasting.apply(arrives, &batch.samples)));
            if fate.begins_checkpoint {
                process.next = Some((Checkpoint::default(), Vec::new(), disk.log.len()));
            }
            process.apply(batch, &mut disk);
            // Each process after it goes on a while later, and before the next batch.
            let until = batches.get(index + 1).map_or(END_MS, |next| next.arrives_ms);
            for (kill, nth) in fate.kills.iter().zip(1..) {
                if *kill == Kill::Taken {
                    process.announce(&mut journal);
                }
                let now = Timestamp::from_ms((batch.arrives_ms + nth).min(until - 1));
                process = Process::after(&disk, now);
                if *kill != Kill::AtOnce {
                    process.write_whole(&mut disk);
                }
            }
            if fate.kills.last() == Some(&Kill::AtOnce) {
                process.write_whole(&mut disk);
            }
            process.announce(&mut journal);
            process.mark(&mut disk);
            prop_assert_eq!(disk.read().untold(), vec![], "all has been told");
        }
        let end = Timestamp::from_ms(END_MS);
        expected.take(&announced(lasting.advance(end)));
        journal.take(&announced(process.engine.advance(end)));
        prop_assert_eq!(journal.lives(), expected.lives());
    }
}

#[test]
fn an_alert_that_changes_twice_in_one_step_is_told_twice() {
    // Two rules raise the same alert; the second looks at what is recorded once the first has ended.
    let rules = set("groups: [{name: g, rules: [{record: total, expr: sum(a)}, \
                     {alert: Same, expr: sum(a) > 2}, {alert: Same, expr: total <= 2}]}]");
    let mut engine = Engine::new(rules);
    engine.keep_log();
    let mut state = State::default();
    let series = Labels::from_pairs([(METRIC_NAME, "a")]).expect("labels");
    let mut told = |ms: i64, value: f64| {
        let time = Timestamp::from_ms(ms);
        engine.apply(time, &[Sample { series: series.clone(), value, time }]);
        state.read(&engine.take_log()).expect("whole records");
        let told: Vec<_> = state.untold().iter().map(|turned| turned.alert.state).collect();
        engine.mark_announced();
        state.read(&engine.take_log()).expect("whole records");
        told
    };
    assert_eq!(told(1, 3.0), [AlertState::Firing]);
    assert_eq!(told(2, 1.0), [AlertState::Resolved, AlertState::Firing]);
}
