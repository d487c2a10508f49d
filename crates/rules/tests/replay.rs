//! Other rules on what an engine wrote down, against an engine that has seen the samples itself.

#[path = "engine/arrivals.rs"]
mod arrivals;

use std::collections::BTreeMap;
use std::time::Duration;

use bellwire_model::{Alert, AlertState, Labels, METRIC_NAME, Sample, Timestamp, TransitionKind};
use bellwire_rules::replay::{Compared, Difference, Episode, Outcome, Piece, Replay, Stretch};
use bellwire_rules::{
    Change, Checkpoint, ClockLead, Engine, RuleFile, RuleSet, Settings, State, load,
};
use proptest::prelude::*;

use arrivals::Batch;

const LOOKBACK: Duration = Duration::from_millis(20);
const END_MS: i64 = 120;
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// What was looked at then: it keeps all that the others look at.
const THEN: &str = "groups:
- name: g
  rules:
  - {record: total, expr: sum by (s) (a)}
  - {alert: High, expr: a > 2, for: 3ms}
  - {alert: Total, expr: total > 3, keep_firing_for: 4ms}
  - {alert: Lost, expr: b > 1, on_data_lost: keep}
  - {alert: Kept, expr: 'count_over_time(a[30ms]) + count_over_time(b[30ms]) > 5'}
";

/// The same with other thresholds.
const NOW: &str = "groups:
- name: g
  rules:
  - {record: total, expr: sum by (s) (a)}
  - {alert: High, expr: a > 1, for: 5ms}
  - {alert: Total, expr: total > 2}
  - {alert: Lost, expr: b > 1, on_data_lost: keep}
  - {alert: Kept, expr: 'max_over_time(a[15ms]) > 2'}
";

fn rules(text: &str) -> RuleSet {
    load(&[RuleFile { name: "f", text }]).expect("rules")
}

fn settings() -> Settings {
    Settings { lookback: LOOKBACK, ..Settings::default() }
}

/// A record as a server has it: an engine that writes down what happens, and a checkpoint that is
/// taken piece by piece while it does.
struct Recorder {
    engine: Engine,
    pieces: Vec<(Kind, Vec<u8>)>,
    checkpoint: Option<Checkpoint>,
    taken: Vec<Vec<u8>>,
    has_begun: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Start,
    Checkpoint,
    Log,
}

impl Recorder {
    fn new(text: &str) -> Self {
        let mut engine = Engine::with_settings(rules(text), settings());
        engine.keep_log();
        Self { engine, pieces: Vec::new(), checkpoint: None, taken: Vec::new(), has_begun: false }
    }

    /// The record begins here; its checkpoint is taken in pieces of so many bytes.
    fn begin(&mut self) {
        self.has_begun = true;
        self.checkpoint = Some(Checkpoint::default());
    }

    fn step(&mut self, piece_bytes: usize) {
        self.engine.mark_announced();
        let log = self.engine.take_log();
        if self.has_begun {
            self.pieces.push((Kind::Log, log));
        }
        if let Some(checkpoint) = &mut self.checkpoint {
            match self.engine.checkpoint(checkpoint, piece_bytes) {
                Some(piece) => self.taken.push(piece),
                None => self.checkpoint = None,
            }
        }
    }

    fn pieces(mut self) -> Vec<(Kind, Vec<u8>)> {
        if let Some(checkpoint) = &mut self.checkpoint {
            while let Some(piece) = self.engine.checkpoint(checkpoint, 1 << 20) {
                self.taken.push(piece);
            }
        }
        let mut all: Vec<_> =
            self.taken.into_iter().map(|piece| (Kind::Checkpoint, piece)).collect();
        if let Some(first) = all.first_mut() {
            first.0 = Kind::Start;
        }
        all.extend(self.pieces);
        all
    }
}

fn replayed(pieces: &[(Kind, Vec<u8>)], text: &str, stretch: Stretch) -> Outcome {
    let mut replay = Replay::new(rules(text), settings(), stretch);
    for (kind, bytes) in pieces {
        let piece = match kind {
            Kind::Start => Piece::Start(bytes),
            Kind::Checkpoint => Piece::Checkpoint(bytes),
            Kind::Log => Piece::Log(bytes),
        };
        replay.read(piece).expect("whole records");
    }
    replay.finish().expect("a record")
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let value = prop_oneof![10 => (0..5_u8).prop_map(f64::from), 1 => Just(STALE)];
    arrivals::batches(value, END_MS)
}

/// What there was at the beginning of the record.
fn state(pieces: &[(Kind, Vec<u8>)]) -> State {
    let mut state = State::default();
    for (_, bytes) in pieces.iter().filter(|(kind, _)| *kind != Kind::Log) {
        state.read(bytes).expect("whole records");
    }
    state
}

/// Times that an alert fired, by transitions alone.
fn fired(
    alerts: impl Iterator<Item = Alert>,
    changes: &[Change],
) -> BTreeMap<String, Vec<(i64, Option<i64>)>> {
    let mut all: BTreeMap<String, Vec<(i64, Option<i64>)>> = BTreeMap::new();
    for alert in alerts {
        if matches!(alert.state, AlertState::Firing | AlertState::DataLost) {
            let since = alert.fired_at.expect("it fires").as_ms();
            all.entry(alert.labels.to_string()).or_default().push((since, None));
        }
    }
    for change in changes {
        let Change::Transition(turned) = change else { continue };
        let times = all.entry(turned.alert.labels.to_string()).or_default();
        let open = times.last_mut().filter(|(_, end)| end.is_none());
        match (turned.kind, open) {
            (TransitionKind::Firing, None) => times.push((turned.time.as_ms(), None)),
            (TransitionKind::Resolved, Some(open)) => open.1 = Some(turned.time.as_ms()),
            _ => {}
        }
    }
    all.retain(|_, times| !times.is_empty());
    all
}

fn would_have(outcome: &Outcome) -> BTreeMap<String, Vec<(i64, Option<i64>)>> {
    let mut all: BTreeMap<String, Vec<(i64, Option<i64>)>> = BTreeMap::new();
    for Compared { labels, now, .. } in &outcome.alerts {
        if let Some(Episode { fired_at, resolved_at, .. }) = now {
            let times = all.entry(labels.to_string()).or_default();
            times.push((fired_at.as_ms(), resolved_at.map(Timestamp::as_ms)));
        }
    }
    all
}

fn cases(few: u32) -> ProptestConfig {
    ProptestConfig { cases: few, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn the_same_rules_say_the_same(
        batches in batches(),
        begins in 0..10_usize,
        piece in prop_oneof![Just(1_usize), Just(60), Just(1 << 20)],
    ) {
        let outcome = replayed(&record(&batches, begins, piece), THEN, Stretch::default());
        for alert in &outcome.alerts {
            prop_assert_eq!(alert.difference, Difference::Same, "{:?}", alert);
        }
    }

    #[test]
    fn other_rules_say_what_they_would_have_said(batches in batches(), begins in 0..10_usize) {
        let pieces = record(&batches, begins, 1 << 20);
        let outcome = replayed(&pieces, NOW, Stretch::default());

        // The checkpoint is taken behind the first batch of the record.
        let (seen, left) = batches.split_at((begins + 1).min(batches.len()));
        let mut before = Engine::with_settings(rules(THEN), settings());
        before.apply(at(0), &[]);
        for batch in seen {
            before.apply(at(batch.arrives_ms), &batch.samples);
        }
        if begins >= batches.len() {
            before.advance(outcome.began);
        }
        let alerts = before.active().map(|alert| Alert::clone(&alert));
        let (mut other, mut changes) =
            Engine::resume(rules(NOW), settings(), state(&pieces), outcome.began);
        for batch in left {
            changes.extend(other.apply(at(batch.arrives_ms), &batch.samples));
        }
        changes.extend(other.advance(outcome.ended));
        prop_assert_eq!(would_have(&outcome), fired(alerts, &changes));
    }
}

/// A process whose clock is ten hours ahead at its end, and one that begins when that was corrected.
#[test]
fn rules_go_on_behind_a_clock_that_was_set_back() {
    const AHEAD_MS: i64 = 36_000_000;
    let sample = |value: f64, ms: i64| {
        let series = Labels::from_pairs([(METRIC_NAME, "a"), ("s", "x")]).expect("labels");
        [Sample { series, value, time: at(ms) }]
    };
    let mut recorder = Recorder::new(THEN);
    recorder.engine.apply(at(0), &[]);
    recorder.step(1 << 20);
    recorder.begin();
    let mut state = State::default();
    for (ms, value) in [(10, 1.0), (AHEAD_MS, 3.0), (AHEAD_MS + 5, 3.0), (AHEAD_MS + 10, 3.0)] {
        if ms == AHEAD_MS {
            recorder.engine.pass_over(at(ms));
        }
        recorder.engine.apply(at(ms), &sample(value, ms));
        recorder.step(1 << 20);
    }
    let mut pieces = recorder.pieces();
    for (_, bytes) in &pieces {
        state.read(bytes).expect("whole records");
    }
    // The next process has the time of now.
    state.correct(ClockLead::of(at(100), state.ended_at()));
    let mut next = Recorder::new(THEN);
    (next.engine, _) = Engine::resume(rules(THEN), settings(), state, at(100));
    next.engine.keep_log();
    next.begin();
    next.step(1 << 20);
    for (ms, value) in [(105, 3.0), (110, 1.0), (2_000, 3.0), (2_005, 3.0), (2_010, 1.0)] {
        next.engine.apply(at(ms), &sample(value, ms));
        next.step(1 << 20);
    }
    pieces.extend(next.pieces());

    let outcome = replayed(&pieces, THEN, Stretch::default());
    assert_eq!((outcome.began, outcome.ended), (at(10), at(2_010)));
    assert_eq!(outcome.set_back, [(at(AHEAD_MS + 10), at(100))]);
    let high: Vec<_> =
        outcome.alerts.iter().filter(|it| it.labels.get("alertname") == Some("High")).collect();
    let times = |compared: &&Compared| {
        let times = |it: &Episode| (it.fired_at.as_ms(), it.resolved_at.map(Timestamp::as_ms));
        (compared.difference, compared.then.as_ref().map(times), compared.now.as_ref().map(times))
    };
    // What fired while the clock was ahead has been moved back with it, and ends in the time of now.
    let same = |fired: i64, ended: i64| {
        (Difference::Same, Some((fired, Some(ended))), Some((fired, Some(ended))))
    };
    assert_eq!(high.iter().map(times).collect::<Vec<_>>(), [same(93, 110), same(2_003, 2_010)]);
}

/// A record that begins behind so many batches.
fn record(batches: &[Batch], begins: usize, piece: usize) -> Vec<(Kind, Vec<u8>)> {
    let mut recorder = Recorder::new(THEN);
    recorder.engine.apply(at(0), &[]);
    recorder.step(piece);
    for (index, batch) in batches.iter().enumerate() {
        if index == begins {
            recorder.begin();
        }
        recorder.engine.apply(at(batch.arrives_ms), &batch.samples);
        recorder.step(piece);
    }
    if begins >= batches.len() {
        recorder.begin();
    }
    // The log tells the time once in a second.
    recorder.engine.advance(at(END_MS + 1_000));
    recorder.step(piece);
    recorder.pieces()
}
