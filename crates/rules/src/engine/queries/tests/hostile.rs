//! What strangers may ask for, and what it costs.

use bellwire_model::limits::{LIVE_LOOKS_AT_ONCE, LIVE_LOOKS_PER_MS, PART_LABELS_WEIGHT};

use super::bounds::{begun, engine, send, standing};
use super::*;
use crate::{QueryRefusal, Settings};

/// They look at no series, or at few, and at those for ever.
const ENDLESS: [&str; 5] = [
    "max_over_time(vector(1)[90000s:1s])",
    "max_over_time(max_over_time(vector(1)[90000s:1s])[90000s:1s])",
    "sum_over_time(sum_over_time(x[90000s:1s])[90000s:1s])",
    "avg_over_time(vector(time() + 1)[90000s:1s])",
    "max_over_time(vector(scalar(sum(x)))[90000s:1s])",
];

#[test]
fn an_evaluation_that_would_not_end_is_refused() {
    let mut engine = Engine::new(RuleSet::default());
    assert_eq!(begun(&mut engine, "x").map(|_| ()), Ok(()));
    send(&mut engine, ("x", 10));
    for text in ENDLESS {
        assert_eq!(begun(&mut engine, text), Err(QueryRefusal::TooMuchEffort), "{text}");
    }
    let chain = format!("x{}", " + 0".repeat(150));
    begun(&mut engine, &chain).expect("ten series and 150 operators");
}

/// Each element gets labels that are much longer than those of its series.
#[test]
fn labels_that_are_made_cost_what_they_take() {
    let mut engine = Engine::new(RuleSet::default());
    assert_eq!(begun(&mut engine, "x").map(|_| ()), Ok(()));
    send(&mut engine, ("x", 5_000));
    let long = "a".repeat(1_000);
    let mut text = "sum by (n, a0) (x)".to_owned();
    for number in 0..14 {
        text = format!("label_replace({text}, \"a{number}\", \"{long}\", \"n\", \".*\")");
    }
    assert_eq!(begun(&mut engine, &text).map(|_| ()), Ok(()), "a part for each series");
    let text = format!("max by (a0, a1, n) ({text}) + on () group_left () sum(x)");
    assert_eq!(begun(&mut engine, &text), Err(QueryRefusal::TooMuchEffort));
}

/// One that comes to take too long while it stands ends.
#[test]
fn one_that_grows_until_it_takes_too_long_ends() {
    let mut engine = Engine::new(RuleSet::default());
    let text = format!("sum(x{})", " + 0".repeat(150));
    let id = begun(&mut engine, &text).expect("there are no series yet");
    send(&mut engine, ("x", 100));
    assert_eq!(engine.take_overgrown(|_| true), []);
    send(&mut engine, ("x", 5_000));
    let start = Timestamp::from_ms(START_MS);
    engine.advance(start.saturating_add(Duration::from_secs(2)));
    assert_eq!(engine.take_overgrown(|_| true), [(id, QueryRefusal::TooMuchEffort)]);
}

/// What one evaluation takes beyond what there is time for is made up for.
#[test]
fn queries_that_look_at_much_have_a_part_of_the_time() {
    let mut engine = Engine::new(RuleSet::default());
    begun(&mut engine, "x").expect("no series yet");
    send(&mut engine, ("x", 5_000));
    for number in 0..30 {
        begun(&mut engine, &format!("sum(sort(x)) + {number}")).expect("a sum");
    }
    engine.take_answered();
    let mut told = Vec::new();
    for ms in 1..=2_500 {
        let now = Timestamp::from_ms(START_MS).saturating_add(Duration::from_millis(ms));
        let mut sample = sample("x", 7, now);
        sample.value = ms as f64;
        engine.apply(now, &[sample]);
        let whole = engine.take_answered();
        told.push(whole.iter().filter(|answered| answered.labels == Labels::empty()).count());
    }
    let of_span: Vec<usize> = told.windows(100).map(|told| told.iter().sum()).collect();
    let most = (100 * LIVE_LOOKS_PER_MS + LIVE_LOOKS_AT_ONCE) / (5_000 * PART_LABELS_WEIGHT) + 1;
    let found = of_span.iter().max().expect("there are some");
    assert!(*found <= most as usize, "{found} of {most}");
    assert!(told.iter().sum::<usize>() >= 30, "each of them, after a second");
}

/// Those that come to the same elements with other numbers look at no label.
#[test]
fn numbers_alone_cost_a_part_of_what_labels_do() {
    let told = |text: &str| {
        let mut engine = Engine::new(RuleSet::default());
        begun(&mut engine, text).expect(text);
        send(&mut engine, ("x", 1_000));
        let mut told = 0;
        for ms in 1..=4_000 {
            let now = Timestamp::from_ms(START_MS).saturating_add(Duration::from_millis(ms));
            let mut sample = sample("x", 7, now);
            sample.value = ms as f64;
            engine.apply(now, &[sample]);
            told += engine.take_answered().len();
        }
        told
    };
    assert!(told("sum(x)") > 2_000, "each of them, once it is known what there is");
    assert!(told("sum(sort(x))") < 900);
}

/// Rules make up for every timer that was due; what queries would have come to meanwhile is nothing
/// to anybody.
#[test]
fn rules_that_are_behind_do_not_wait_for_queries() {
    let mut engine = engine(Settings::default());
    begun(&mut engine, "time() - x").expect("no series yet");
    send(&mut engine, ("x", 1_000));
    let start = Timestamp::from_ms(START_MS);
    engine.advance(start.saturating_add(Duration::from_secs(3)));
    engine.take_answered();
    engine.advance(start.saturating_add(Duration::from_secs(103)));
    let told = engine.take_answered().len();
    assert!((1..3_000).contains(&told), "{told}");
    // They go on where the rules are now.
    let mut last = BTreeMap::new();
    for ms in 103_000..106_000 {
        engine.advance(start.saturating_add(Duration::from_millis(ms)));
        let told = engine.take_answered().into_iter();
        last.extend(told.map(|it| (name(&it.labels), it.value)));
    }
    assert_eq!(last.len(), 1_000);
    assert!(last.values().all(|value| *value >= Some(103.0)), "{last:?}");
}

/// What nobody has been told yet must not become more and more.
#[test]
fn while_there_is_much_to_tell_nothing_is_evaluated() {
    let mut engine = Engine::new(RuleSet::default());
    begun(&mut engine, "x + 1").expect("no series yet");
    engine.hold_queries();
    send(&mut engine, ("x", 10));
    let start = Timestamp::from_ms(START_MS);
    engine.advance(start.saturating_add(Duration::from_secs(5)));
    assert_eq!(engine.take_answered(), []);
    let due = engine.next_deadline().expect("the series leave the lookback");
    assert!(due > start.saturating_add(Duration::from_mins(1)), "{due:?}");
    engine.release_queries();
    engine.advance(start.saturating_add(Duration::from_secs(5)));
    assert_eq!(engine.take_answered().len(), 10);
}

/// One whose selectors are of one metric looks at each series once, however many they are.
#[test]
fn a_series_is_looked_at_once_however_many_selectors_may_select_it() {
    let mut engine = engine(Settings::default());
    send(&mut engine, ("x", 1_000));
    let text =
        (0..60).map(|number| format!("x{{n=\"{number}\"}}")).collect::<Vec<_>>().join(" or ");
    let query = standing(&text);
    assert_eq!(query.plan.selectors(), 60);
    let mut beginning = QueryBeginning::new(query);
    let pieces = (0..PIECES_MAX).take_while(|_| engine.begin_query(&mut beginning).is_none());
    assert!(pieces.count() < 8);
    assert_eq!(engine.take_answered().len(), 60);
}
