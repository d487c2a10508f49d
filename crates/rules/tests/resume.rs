//! An engine that goes on from what another one wrote down says what that one would have said.

#[path = "engine/arrivals.rs"]
mod arrivals;

use std::fmt::Write as _;
use std::time::Duration;

use bellwire_model::{Fingerprint, Labels, METRIC_NAME, Sample, Timestamp};
use bellwire_rules::{Change, Checkpoint, Engine, RuleFile, RuleSet, Settings, State, load};
use proptest::prelude::*;

use arrivals::Batch;

const LOOKBACK: Duration = Duration::from_millis(20);
const END_MS: i64 = 120;
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Conditions of every shape, on the metrics `a` and `b`, each with the label `s`.
const EXPRESSIONS: [&str; 20] = [
    "a > 1",
    "a > b",
    "sum(a) > 3",
    "sum by (s) ({s=~\"x|y\",__name__=~\"a|b\"}) >= 2",
    "absent(a)",
    "a unless b",
    "max_over_time(a[7ms]) > 2",
    "count_over_time(a[10ms]) > 1",
    "rate(a[10ms]) > 151.3",
    "increase(a[10ms]) > increase(b[10ms]) + 0.13",
    "predict_linear(a[15ms] offset 3ms, 0.01) < -0.1",
    "a > a offset 3ms",
    "topk(1, a)",
    "time() - timestamp(a) > 0.004",
    "absent_over_time(b[5ms])",
    "max_over_time(a[6ms:2ms]) > 2",
    "twice > 4",
    "max(total) > 2",
    "twice unless b",
    "count_over_time(a[30ms]) > 3",
];

fn rules() -> RuleSet {
    let mut text = "groups:\n- name: g\n  rules:\n".to_owned();
    text += "  - {record: total, expr: sum by (s) (a)}\n  - {record: twice, expr: total * 2}\n";
    for (index, expression) in EXPRESSIONS.into_iter().enumerate() {
        let (hold, keep) = (index % 4 * 3, index % 3 * 4);
        writeln!(text, "  - alert: A{index}\n    expr: |-\n      {expression}").expect("text");
        writeln!(text, "    for: {hold}ms\n    keep_firing_for: {keep}ms").expect("text");
        if index % 5 == 0 {
            writeln!(text, "    on_data_lost: keep").expect("text");
        }
    }
    text += "  - {alert: Held, expr: a > 2, resolve_expr: a < 1, keep_firing_for: 3ms}\n";
    text += "  - {alert: Sums, expr: sum by (s) (a) > 2, resolve_expr: sum by (s) (a) < 1}\n";
    text += "- name: ticked\n  mode: tick\n  interval: 5ms\n  rules:\n";
    text +=
        "  - {record: sampled, expr: sum(a)}\n  - {alert: Ticked, expr: sampled > 2, for: 9ms}\n";
    text += "  - {alert: Often, expr: 'count_over_time(b[12ms]) > 1', keep_firing_for: 8ms}\n";
    load(&[RuleFile { name: "f", text: &text }]).expect("rules")
}

fn settings() -> Settings {
    Settings { lookback: LOOKBACK, ..Settings::default() }
}

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let value = prop_oneof![10 => (0..5_u8).prop_map(f64::from), 1 => Just(STALE)];
    arrivals::batches(value, END_MS)
}

/// When an alert changed, and how. Not its value: one that moves with the time is as it was when it
/// was looked at last.
type Told = (i64, &'static str, Fingerprint);

fn told(changes: &[Change]) -> Vec<Told> {
    let told = changes.iter().filter_map(|change| match change {
        Change::Transition(transition) => Some((
            transition.time.as_ms(),
            transition.kind.event_type(),
            transition.alert.fingerprint,
        )),
        _ => None,
    });
    let mut told: Vec<Told> = told.collect();
    told.sort_unstable();
    told
}

/// An engine whose process may end: what it wrote down is all that is left of it.
struct Mortal {
    engine: Engine,
    /// Pieces of the newest checkpoint that is complete, and the log behind its beginning.
    checkpoint: Vec<Vec<u8>>,
    log: Vec<Vec<u8>>,
    /// One that is being taken: its pieces, and where in the log it began.
    next: Option<(Checkpoint, Vec<Vec<u8>>, usize)>,
}

impl Mortal {
    fn new(mut engine: Engine) -> Self {
        engine.keep_log();
        let mut mortal = Self { engine, checkpoint: Vec::new(), log: Vec::new(), next: None };
        mortal.begin_checkpoint();
        while mortal.next.is_some() {
            mortal.go_on();
        }
        mortal
    }

    fn begin_checkpoint(&mut self) {
        self.next = Some((Checkpoint::default(), Vec::new(), self.log.len()));
    }

    /// One small piece between two steps.
    fn go_on(&mut self) {
        let Some((checkpoint, pieces, _)) = &mut self.next else { return };
        if let Some(piece) = self.engine.checkpoint(checkpoint, 60) {
            return pieces.push(piece);
        }
        let (_, pieces, began_at) = self.next.take().expect("it was there a line ago");
        self.checkpoint = pieces;
        self.log.drain(..began_at);
    }

    fn apply(&mut self, batch: &Batch) -> Vec<Change> {
        let changes = self.engine.apply(Timestamp::from_ms(batch.arrives_ms), &batch.samples);
        self.log.push(self.engine.take_log());
        self.go_on();
        changes
    }

    /// The process ends, and another one begins in the same instant.
    fn die(self) -> (Self, Vec<Change>) {
        let mut state = State::default();
        for bytes in self.checkpoint.iter().chain(&self.log) {
            state.read(bytes).expect("whole records");
        }
        let now = Timestamp::MIN;
        let (engine, changes) = Engine::resume(rules(), settings(), state, now);
        (Self::new(engine), changes)
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn who_goes_on_from_a_log_says_what_would_have_been_said(
        batches in batches(),
        dies in prop::collection::vec(0..25_usize, 1..4),
        checkpoints in prop::collection::vec(0..25_usize, 0..4),
    ) {
        let mut lasting = Engine::with_settings(rules(), settings());
        let mut expected = lasting.apply(Timestamp::from_ms(0), &[]);
        let mut mortal = Mortal::new(Engine::with_settings(rules(), settings()));
        let first = Batch { arrives_ms: 0, samples: Vec::new() };
        let mut got = mortal.apply(&first);
        for (index, batch) in batches.iter().enumerate() {
            expected.extend(lasting.apply(Timestamp::from_ms(batch.arrives_ms), &batch.samples));
            got.extend(mortal.apply(batch));
            if checkpoints.contains(&index) {
                mortal.begin_checkpoint();
            }
            if dies.contains(&index) {
                let (next, changes) = mortal.die();
                mortal = next;
                prop_assert_eq!(told(&changes), vec![], "nothing happens while nothing changes");
            }
        }
        expected.extend(lasting.advance(Timestamp::from_ms(END_MS)));
        got.extend(mortal.engine.advance(Timestamp::from_ms(END_MS)));
        prop_assert_eq!(told(&got), told(&expected));
    }

    #[test]
    fn who_passes_over_a_pause_says_what_one_says_that_was_started_again(
        before in batches(),
        after in batches(),
    ) {
        let mut living = Mortal::new(Engine::with_settings(rules(), settings()));
        let first = Batch { arrives_ms: 0, samples: Vec::new() };
        for batch in std::iter::once(&first).chain(&before) {
            living.apply(batch);
        }
        let mut state = State::default();
        for bytes in living.checkpoint.iter().chain(&living.log) {
            state.read(bytes).expect("whole records");
        }
        // Longer than what counts as no pause.
        let gap_ms = 40_000;
        let now = Timestamp::from_ms(gap_ms);
        let mut living = living.engine;
        let mut got = living.pass_over(now);
        let (mut resumed, mut expected) = Engine::resume(rules(), settings(), state, now);
        prop_assert_eq!(told(&got), told(&expected));
        for batch in &after {
            let now = Timestamp::from_ms(gap_ms + batch.arrives_ms);
            let later = |sample: &Sample| Sample {
                time: sample.time.saturating_add(Duration::from_millis(gap_ms as u64)),
                ..sample.clone()
            };
            let samples: Vec<Sample> = batch.samples.iter().map(later).collect();
            got.extend(living.apply(now, &samples));
            expected.extend(resumed.apply(now, &samples));
        }
        let end = Timestamp::from_ms(gap_ms + 2 * END_MS);
        got.extend(living.advance(end));
        expected.extend(resumed.advance(end));
        prop_assert_eq!(told(&got), told(&expected));
    }
}

/// An engine with a hot boiler, whose process ends at 10 s.
fn ended(rules: &str) -> State {
    let mut engine = Engine::new(set(rules));
    engine.keep_log();
    let mut state = State::default();
    for ms in [0, 10_000] {
        engine.apply(Timestamp::from_ms(ms), &[boiler(ms, 95.0)]);
        state.read(&engine.take_log()).expect("whole records");
    }
    state
}

fn set(rules: &str) -> RuleSet {
    let text = format!("groups:\n- name: g\n  rules:\n{rules}");
    load(&[RuleFile { name: "f", text: &text }]).expect("rules")
}

fn boiler(ms: i64, value: f64) -> Sample {
    let series = Labels::from_pairs([(METRIC_NAME, "t"), ("site", "oslo")]).expect("labels");
    Sample { series, value, time: Timestamp::from_ms(ms) }
}

fn kinds(changes: &[Change]) -> Vec<(i64, &'static str)> {
    told(changes).into_iter().map(|(time, kind, _)| (time, kind)).collect()
}

const HOT: &str = "  - {alert: Hot, expr: 'sum by (site) (t) > 90', for: 20s}\n";

#[test]
fn after_a_short_pause_time_counts_as_if_there_had_been_none() {
    let now = Timestamp::from_ms(25_000);
    let (_, changes) = Engine::resume(set(HOT), Settings::default(), ended(HOT), now);
    assert_eq!(kinds(&changes), [(20_000, "alert.firing")]);
}

#[test]
fn after_a_long_pause_an_alert_waits_for_its_samples() {
    let now = 3_600_000;
    let resume = || {
        let (state, now) = (ended(HOT), Timestamp::from_ms(now));
        Engine::resume(set(HOT), Settings::default(), state, now)
    };
    // Nothing is heard: it goes with the lookback, counted from the restart.
    let (mut engine, changes) = resume();
    assert_eq!(kinds(&changes), []);
    let changes = engine.advance(Timestamp::from_ms(now + 400_000));
    assert_eq!(kinds(&changes), [(now + 300_000, "alert.inactive")]);
    // It is still hot: `for` does not begin anew.
    let (mut engine, _) = resume();
    let changes = engine.apply(Timestamp::from_ms(now + 5), &[boiler(now + 5, 96.0)]);
    assert_eq!(kinds(&changes), [(now + 5, "alert.firing")]);
}

#[test]
fn what_no_rule_raises_any_more_ends() {
    let now = Timestamp::from_ms(11_000);
    let fires = "  - {alert: Hot, expr: 't > 90'}\n  - {record: r, expr: t}\n";
    let other = "  - {alert: Other, expr: 'r > 0'}\n";
    let (engine, changes) = Engine::resume(set(other), Settings::default(), ended(fires), now);
    assert_eq!(kinds(&changes), [(10_000, "alert.resolved")]);
    assert_eq!(engine.figures().alerts.firing, 0);
}

/// Rules of several shapes, each of which may be in either mode.
fn in_mode(mode: &str, rules: &str) -> RuleSet {
    let text = format!("groups:\n- name: g\n  interval: 5s\n  mode: {mode}\n  rules:\n{rules}");
    load(&[RuleFile { name: "f", text: &text }]).expect("rules")
}

/// What becomes of an engine in one mode, ended at 10 s, that goes on in another one at 12 s.
fn changed_mode(rules: &str, (before, after): (&str, &str)) -> (Engine, Vec<Change>) {
    let mut engine = Engine::new(in_mode(before, rules));
    engine.keep_log();
    let mut state = State::default();
    for ms in [0, 5_000, 10_000] {
        engine.apply(Timestamp::from_ms(ms), &[boiler(ms, 95.0)]);
        state.read(&engine.take_log()).expect("whole records");
    }
    let now = Timestamp::from_ms(12_000);
    Engine::resume(in_mode(after, rules), Settings::default(), state, now)
}

const MODES: [(&str, &str); 4] =
    [("stream", "tick"), ("tick", "stream"), ("stream", "stream"), ("tick", "tick")];

/// Rules that fall into a part for each series, into one for each site, and into one.
const SHAPES: [&str; 3] = ["t > 90", "sum by (site) (t) > 90", "topk(1, t) > 90"];

#[test]
fn alerts_go_on_and_end_once_when_their_rule_is_evaluated_in_another_mode() {
    for expression in SHAPES {
        for modes in MODES {
            let rules = format!("  - {{alert: Hot, expr: '{expression}'}}\n");
            let (mut engine, changes) = changed_mode(&rules, modes);
            let case = format!("{expression} {modes:?}");
            assert_eq!(kinds(&changes), [], "{case}");
            let mut changes = engine.apply(Timestamp::from_ms(13_000), &[boiler(13_000, 96.0)]);
            changes.extend(engine.advance(Timestamp::from_ms(19_000)));
            assert_eq!(kinds(&changes), [], "{case}");
            let mut changes = engine.apply(Timestamp::from_ms(19_500), &[boiler(19_500, 20.0)]);
            changes.extend(engine.advance(Timestamp::from_ms(30_000)));
            let ends_at = if modes.1 == "tick" { 20_000 } else { 19_500 };
            assert_eq!(kinds(&changes), [(ends_at, "alert.resolved")], "{case}");
        }
    }
}

#[test]
fn pending_alerts_fire_when_their_rule_is_evaluated_in_another_mode() {
    for expression in SHAPES {
        for modes in MODES {
            let rules = format!("  - {{alert: Hot, expr: '{expression}', for: 15s}}\n");
            let (mut engine, changes) = changed_mode(&rules, modes);
            let case = format!("{expression} {modes:?}");
            assert_eq!(kinds(&changes), [], "{case}");
            let changes = engine.advance(Timestamp::from_ms(30_000));
            assert_eq!(kinds(&changes), [(15_000, "alert.firing")], "{case}");
        }
    }
}

#[test]
fn recorded_series_go_on_when_their_rule_is_evaluated_in_another_mode() {
    for modes in MODES {
        let rules = "  - {record: r, expr: 't * 2'}\n  - {record: s, expr: sum(t)}\n";
        let (mut engine, mut changes) = changed_mode(rules, modes);
        changes.extend(engine.advance(Timestamp::from_ms(30_000)));
        let ended = changes.iter().filter(|change| match change {
            Change::Recorded(recorded) => recorded.value.is_none(),
            _ => false,
        });
        assert_eq!(ended.count(), 0, "{modes:?}");
    }
}

#[test]
fn alerts_do_not_notice_that_the_file_of_their_rule_is_elsewhere() {
    let text = format!("groups:\n- name: g\n  rules:\n{HOT}");
    let moved = load(&[RuleFile { name: "elsewhere/f", text: &text }]).expect("rules");
    let now = Timestamp::from_ms(11_000);
    let (mut engine, changes) = Engine::resume(moved, Settings::default(), ended(HOT), now);
    assert_eq!(kinds(&changes), []);
    let changes = engine.advance(Timestamp::from_ms(25_000));
    assert_eq!(kinds(&changes), [(20_000, "alert.firing")]);
    // After a long pause alike.
    let moved = load(&[RuleFile { name: "elsewhere/f", text: &text }]).expect("rules");
    let now = Timestamp::from_ms(3_600_000);
    let (engine, changes) = Engine::resume(moved, Settings::default(), ended(HOT), now);
    assert_eq!((kinds(&changes), engine.figures().alerts.pending), (vec![], 1));
}

#[test]
fn two_files_may_have_groups_of_one_name() {
    let file = |site: &str| {
        format!(
            "groups:\n- name: g\n  rules:\n  - {{alert: Hot, expr: t > 90, for: 20s, \
             labels: {{of: {site}}}}}\n"
        )
    };
    let set = || {
        let (one, other) = (file("one"), file("other"));
        let files = [RuleFile { name: "1", text: &one }, RuleFile { name: "2", text: &other }];
        load(&files).expect("rules")
    };
    let mut engine = Engine::new(set());
    engine.keep_log();
    engine.apply(Timestamp::from_ms(0), &[boiler(0, 95.0)]);
    let mut state = State::default();
    state.read(&engine.take_log()).expect("whole records");
    let now = Timestamp::from_ms(1_000);
    let (mut engine, changes) = Engine::resume(set(), Settings::default(), state, now);
    assert_eq!(kinds(&changes), []);
    let changes = engine.advance(Timestamp::from_ms(25_000));
    assert_eq!(kinds(&changes), [(20_000, "alert.firing"), (20_000, "alert.firing")]);
}

#[test]
fn what_is_kept_firing_is_kept_though_its_rule_falls_into_other_parts() {
    let rule = |expression: &str| {
        format!("  - {{alert: Hot, expr: '{expression}', keep_firing_for: 1m}}\n")
    };
    let mut engine = Engine::new(set(&rule("t > 90")));
    engine.keep_log();
    let mut state = State::default();
    for (ms, value) in [(0, 95.0), (10_000, 20.0)] {
        engine.apply(Timestamp::from_ms(ms), &[boiler(ms, value)]);
        state.read(&engine.take_log()).expect("whole records");
    }
    let now = Timestamp::from_ms(11_000);
    let rules = set(&rule("sum by (site) (t) > 90"));
    let (mut engine, changes) = Engine::resume(rules, Settings::default(), state, now);
    assert_eq!(kinds(&changes), []);
    let changes = engine.advance(Timestamp::from_ms(200_000));
    assert_eq!(kinds(&changes), [(70_000, "alert.resolved")]);
}

#[test]
fn what_was_not_announced_is_known_whenever_it_happened() {
    let rules = "  - {alert: Hot, expr: 't > 90'}\n  - {alert: Warm, expr: 't > 50', for: 1m}\n";
    let mut engine = Engine::new(set(rules));
    engine.keep_log();
    let mut state = State::default();
    let kinds = |state: &State| -> Vec<(i64, &'static str)> {
        let untold = state.untold();
        untold.iter().map(|told| (told.time.as_ms(), told.kind.event_type())).collect()
    };
    engine.apply(Timestamp::from_ms(0), &[boiler(0, 95.0)]);
    state.read(&engine.take_log()).expect("whole records");
    assert_eq!(kinds(&state), [(0, "alert.firing")]);
    engine.mark_announced();
    state.read(&engine.take_log()).expect("whole records");
    assert_eq!(kinds(&state), []);
    // One long step: what it changed lies minutes apart.
    let later = 600_000;
    let sample = boiler(later, 10.0);
    engine.apply(Timestamp::from_ms(later), &[sample]);
    state.read(&engine.take_log()).expect("whole records");
    let expected =
        [(60_000, "alert.firing"), (300_000, "alert.resolved"), (300_000, "alert.resolved")];
    assert_eq!(kinds(&state), expected);
    // A checkpoint says so too, but only where it is so.
    let checkpoint = |engine: &Engine| {
        let (mut checkpoint, mut state) = (Checkpoint::default(), State::default());
        while let Some(piece) = engine.checkpoint(&mut checkpoint, 60) {
            state.read(&piece).expect("whole records");
        }
        state
    };
    assert_eq!(kinds(&checkpoint(&engine)), expected);
    engine.mark_announced();
    assert_eq!(kinds(&checkpoint(&engine)), []);
    engine.apply(Timestamp::from_ms(later + 1), &[boiler(later + 1, 95.0)]);
    assert_eq!(kinds(&checkpoint(&engine)), [(later + 1, "alert.firing")]);
}

/// Rules before others are gone, or there are more of them, so that those have another place.
#[test]
fn a_checkpoint_that_is_taken_while_rules_move_has_all_that_they_record() {
    let recording = |numbers: std::ops::Range<usize>| {
        let rule = |number| format!("  - {{record: r{number}, expr: t + {number}}}\n");
        set(&numbers.map(rule).collect::<String>())
    };
    for (before, after) in [(3..10, 0..10), (0..10, 3..10)] {
        for pieces_before in 1..30 {
            let mut engine = Engine::new(recording(before.clone()));
            engine.apply(Timestamp::from_ms(1_000), &[boiler(1_000, 5.0)]);
            engine.keep_log();
            let (mut checkpoint, mut written) = (Checkpoint::default(), Vec::new());
            while let Some(piece) = engine.checkpoint(&mut checkpoint, 30) {
                written.push(piece);
                if written.len() == pieces_before {
                    engine.replace(Timestamp::from_ms(2_000), recording(after.clone()));
                }
            }
            let rules = if written.len() < pieces_before { &before } else { &after };
            written.push(engine.take_log());
            let mut state = State::default();
            for bytes in &written {
                state.read(bytes).expect("whole records");
            }
            // What was recorded ends, since there is nothing to record.
            let late = Timestamp::from_ms(10_000_000);
            let (_, changes) =
                Engine::resume(recording(rules.clone()), Settings::default(), state, late);
            let ended = |change: &&Change| matches!(change, Change::Recorded(recorded) if recorded.value.is_none());
            let ended = changes.iter().filter(ended).count();
            assert_eq!(ended, rules.len(), "{before:?} until {pieces_before} pieces, {after:?}");
        }
    }
}

#[test]
fn a_broken_record_is_told_and_what_comes_before_it_counts() {
    let mut engine = Engine::new(set(HOT));
    engine.keep_log();
    engine.apply(Timestamp::from_ms(5), &[boiler(5, 1.0)]);
    let whole = engine.take_log();
    for cut in 0..whole.len() {
        let mut state = State::default();
        let result = state.read(&whole[..cut]);
        assert!(result.is_ok() || result.is_err_and(|corrupt| corrupt.at <= cut), "{cut}");
        let mut broken = whole.clone();
        broken[cut] ^= 0xFF;
        let _ = State::default().read(&broken);
    }
}
