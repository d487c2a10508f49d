//! Engines of the units of a set of rules say what one engine of the whole set says, also those that
//! go on from what was taken of its state.

#[path = "engine/arrivals.rs"]
mod arrivals;

use std::time::Duration;

use bellwire_model::{Fingerprint, Timestamp};
use bellwire_rules::{Change, Checkpoint, Engine, RuleFile, RuleSet, Settings, State, Unit, load};
use proptest::prelude::*;

use arrivals::Batch;

const END_MS: i64 = 150;

const RULES: &str = "groups:
- {name: a, rules: [{record: total, expr: sum by (s) (a)}, {alert: Total, expr: total > 3, for: 4ms}]}
- {name: b, rules: [{alert: B, expr: b > 1, for: 7ms, keep_firing_for: 5ms, on_data_lost: keep}]}
- {name: c, rules: [{record: twice, expr: total * 2}, {alert: Twice, expr: max(twice) > 5}]}
- {name: d, rules: [{alert: Both, expr: a > b}, {alert: Rate, expr: 'increase(b[15ms]) > 1.3'}]}
- name: e
  mode: tick
  interval: 6ms
  rules: [{record: ticked, expr: max(b)}, {alert: Ticked, expr: ticked > 2, for: 6ms}]
- {name: f, rules: [{alert: Alerts, expr: 'ALERTS{alertname=\"B\",alertstate=\"firing\"}', for: 3ms}]}
";

fn set() -> RuleSet {
    load(&[RuleFile { name: "f", text: RULES }]).expect("rules")
}

fn settings() -> Settings {
    Settings { lookback: Duration::from_millis(20), ..Settings::default() }
}

/// When an alert changed and how, and what was recorded, in one order.
type Told = (i64, String, Option<Fingerprint>);

fn told(changes: impl IntoIterator<Item = Change>) -> Vec<Told> {
    let told = |change: Change| match change {
        Change::Transition(transition) => {
            let (kind, alert) = (transition.kind.event_type().to_owned(), &transition.alert);
            (transition.time.as_ms(), kind, Some(alert.fingerprint))
        }
        Change::Removed(fingerprint) => (i64::MAX, "removed".to_owned(), Some(fingerprint)),
        Change::Recorded(recorded) => {
            let value = recorded.value.map(f64::to_bits);
            (recorded.time.as_ms(), format!("{} {value:?}", recorded.series), None)
        }
    };
    let mut told: Vec<Told> = changes.into_iter().map(told).collect();
    told.sort_unstable();
    told
}

fn apply(engines: &mut [Engine], batches: &[Batch], changes: &mut Vec<Change>) {
    for engine in engines {
        for batch in batches {
            changes.extend(engine.apply(Timestamp::from_ms(batch.arrives_ms), &batch.samples));
        }
    }
}

fn state_of(engine: &Engine) -> State {
    let mut state = State::default();
    let mut checkpoint = Checkpoint::default();
    while let Some(piece) = engine.checkpoint(&mut checkpoint, 1_000) {
        state.read(&piece).expect("what an engine wrote");
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn units_say_together_what_the_whole_says(
        batches in arrivals::batches((0..5_u8).prop_map(f64::from), END_MS),
        split in 0..25_usize,
    ) {
        let (before, after) = batches.split_at(split.min(batches.len()));
        let mut whole = [Engine::with_settings(set(), settings())];
        // Ticks begin with the time.
        whole[0].apply(Timestamp::from_ms(0), &[]);
        apply(&mut whole, before, &mut Vec::new());
        let [engine] = &whole;
        let mut state = state_of(engine);
        // Of an engine that knows nothing nothing is written, not even the time.
        let now = state.ended_at().max(Timestamp::from_ms(0));
        let units = Unit::of(set());
        let names: Vec<usize> = units.iter().map(|unit| unit.rules().groups().len()).collect();
        prop_assert_eq!(names, [2, 2, 1, 1]);
        let mut resumed = Vec::new();
        let (mut by_units, mut by_whole) = (Vec::new(), Vec::new());
        for unit in units {
            let taken = state.take_unit(&unit);
            let (engine, changes) = Engine::resume(unit.into_rules(), settings(), taken, now);
            by_units.extend(changes);
            resumed.push(engine);
        }
        let (engine, changes) = Engine::resume(set(), settings(), state_of(engine), now);
        by_whole.extend(changes);
        let mut whole = [engine];
        apply(&mut resumed, after, &mut by_units);
        apply(&mut whole, after, &mut by_whole);
        let end = Timestamp::from_ms(END_MS);
        by_units.extend(resumed.iter_mut().flat_map(|engine| engine.advance(end)));
        by_whole.extend(whole.iter_mut().flat_map(|engine| engine.advance(end)));
        prop_assert_eq!(told(by_units), told(by_whole));
        // Nothing that a rule has to do with is left.
        let (_, changes) = Engine::resume(RuleSet::default(), settings(), state, now);
        prop_assert_eq!(told(changes), []);
    }
}
