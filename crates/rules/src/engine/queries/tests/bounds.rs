//! What standing queries may have, and that rules have what is theirs.

use bellwire_model::limits::{LIVE_PART_SERIES_MAX, LIVE_SCANNED_MAX, LIVE_SERIES_MAX};

use super::*;
use crate::{QueryRefusal, Settings};

pub(super) fn standing(text: &str) -> StandingQuery {
    let (plan, canonical) = Plan::standing(text).expect(text);
    let id = QueryId::of(&canonical, &Sight::all());
    StandingQuery { id, plan, sight: Sight::all() }
}

pub(super) fn begun(engine: &mut Engine, text: &str) -> Result<QueryId, QueryRefusal> {
    let query = standing(text);
    let id = query.id;
    let mut beginning = QueryBeginning::new(query);
    let begun = (0..PIECES_MAX).find_map(|_| engine.begin_query(&mut beginning));
    let begun = begun.expect("it comes to an end").map(|()| id);
    if begun.is_err() {
        end(engine, text);
    }
    begun
}

pub(super) fn end(engine: &mut Engine, text: &str) {
    let mut ending = QueryEnding::new(standing(text).id);
    assert!((0..PIECES_MAX).any(|_| engine.end_query(&mut ending)));
}

pub(super) fn engine(settings: Settings) -> Engine {
    let text = "groups: [{name: g, rules: [{alert: A, expr: 'x > 9'}]}]";
    Engine::with_settings(rules(text), settings)
}

pub(super) fn send(engine: &mut Engine, (metric, count): (&str, usize)) {
    let start = Timestamp::from_ms(START_MS);
    let samples: Vec<_> = (0..count).map(|number| sample(metric, number, start)).collect();
    engine.apply(start, &samples);
}

#[test]
fn one_evaluation_looks_at_so_many_series_and_no_more() {
    let mut engine = engine(Settings::default());
    assert_eq!(begun(&mut engine, "sum(y)"), Ok(standing("sum(y)").id));
    send(&mut engine, ("x", LIVE_PART_SERIES_MAX));
    begun(&mut engine, "sum(x)").expect("just as many");
    assert_eq!(begun(&mut engine, "sum(x) + sum(x)"), Err(QueryRefusal::PartTooLarge));
    send(&mut engine, ("x", LIVE_PART_SERIES_MAX + 1));
    assert_eq!(begun(&mut engine, "count(x)"), Err(QueryRefusal::PartTooLarge));
    // One that stands is told of once somebody asks for it.
    assert_eq!(engine.take_overgrown(|_| false), []);
    let grown = (standing("sum(x)").id, QueryRefusal::PartTooLarge);
    assert_eq!(engine.take_overgrown(|_| true), [grown]);
    assert_eq!(engine.take_overgrown(|_| true), []);
}

/// Who is refused is told how much they have asked for.
#[test]
fn what_is_refused_says_how_much_it_selects() {
    let mut engine = engine(Settings::default());
    send(&mut engine, ("x", LIVE_PART_SERIES_MAX + 3_000));
    let mut beginning = QueryBeginning::new(standing("sum(x) + sum(x)"));
    let begun = (0..PIECES_MAX).find_map(|_| engine.begin_query(&mut beginning));
    assert_eq!(begun, Some(Err(QueryRefusal::PartTooLarge)));
    assert_eq!(beginning.selects(), 2 * (LIVE_PART_SERIES_MAX + 3_000));
}

#[test]
fn a_query_looks_at_so_many_series_and_no_more() {
    let mut engine = engine(Settings::default());
    send(&mut engine, ("x", LIVE_SERIES_MAX));
    begun(&mut engine, "x > 1").expect("just as many");
    assert_eq!(begun(&mut engine, "x > on (n) x"), Err(QueryRefusal::TooManySeries));
    send(&mut engine, ("x", LIVE_SERIES_MAX + 1));
    let grown = (standing("x > 1").id, QueryRefusal::TooManySeries);
    assert_eq!(engine.take_overgrown(|_| true), [grown]);
}

#[test]
fn all_queries_look_at_so_many_series_and_those_that_stand_may_grow() {
    let mut engine =
        engine(Settings { live_joins_max: 100, live_joins_reserved: 5, ..Settings::default() });
    send(&mut engine, ("x", 40));
    begun(&mut engine, "x").expect("40");
    begun(&mut engine, "x + 1").expect("80");
    assert_eq!(begun(&mut engine, "x + 2"), Err(QueryRefusal::TooManyJoins));
    send(&mut engine, ("x", 52));
    assert_eq!(engine.take_overgrown(|_| true), [], "104 in all");
    send(&mut engine, ("x", 53));
    let grown = engine.take_overgrown(|_| true);
    assert_eq!(grown.len(), 1, "one may have one more: {grown:?}");
    assert_eq!(grown[0].1, QueryRefusal::TooManyJoins);
    end(&mut engine, "x + 1");
    begun(&mut engine, "x{n=\"1\"}").expect("what has ended counts no more");
    // A reload does not forget what queries have.
    engine.replace(Timestamp::from_ms(START_MS), RuleSet::default());
    assert_eq!(engine.take_overgrown(|_| true), []);
    assert_eq!(begun(&mut engine, "x + 3"), Err(QueryRefusal::TooManyJoins));
}

#[test]
fn queries_leave_rules_half_of_the_room_for_series() {
    let mut engine = engine(Settings { series_max: 100, ..Settings::default() });
    let everything = "{__name__=~\".+\"}";
    let of_any = begun(&mut engine, everything).expect("there is nothing yet");
    send(&mut engine, ("y", 60));
    assert_eq!(engine.storage().len(), 50);
    assert_eq!(engine.take_overgrown(|_| true), [(of_any, QueryRefusal::NoRoom)]);
    assert_eq!(
        engine.figures().dropped,
        crate::DroppedFigures::default(),
        "who sends is not refused"
    );
    send(&mut engine, ("x", 40));
    assert_eq!(engine.storage().len(), 90, "what a rule selects has room");
    end(&mut engine, everything);
    assert_eq!(engine.storage().len(), 40);
}

#[test]
fn what_is_compared_with_each_series_is_little() {
    let mut engine = engine(Settings::default());
    let scanned = |number: usize| format!("y{{n!=\"{number}\"}}");
    for number in 0..LIVE_SCANNED_MAX {
        begun(&mut engine, &scanned(number)).expect("there is room");
    }
    assert_eq!(begun(&mut engine, "y{n=~\".*1\"}"), Err(QueryRefusal::TooManyScanned));
    engine.replace(Timestamp::from_ms(START_MS), RuleSet::default());
    assert_eq!(begun(&mut engine, "y{n=~\".*1\"}"), Err(QueryRefusal::TooManyScanned));
    // What is found by a label, selects all, or is of another metric is none of these.
    for text in ["y", "y{n=\"1\"}", "y{n=~\"1|2\",m!=\"\"}", "x{n!=\"1\"}"] {
        begun(&mut engine, text).expect(text);
    }
    send(&mut engine, ("y", 3));
    engine.advance(Timestamp::from_ms(START_MS).saturating_add(Duration::from_secs(3)));
    let told = engine.take_answered();
    let found = told.iter().filter(|it| it.query == standing("y{n=\"1\"}").id);
    assert_eq!(found.count(), 1);
    end(&mut engine, &scanned(7));
    begun(&mut engine, "y{n=~\".*1\"}").expect("the place of one that has ended");
}

/// Who sees some series alone has each of their metric compared with what they may see.
#[test]
fn what_a_narrow_sight_compares_with_each_series_is_little_too() {
    let mut engine = engine(Settings::default());
    let [_, narrow, _] = sights();
    let mut begin = |text: &str| {
        let (plan, canonical) = Plan::standing(text).expect(text);
        let id = QueryId::of(&canonical, &narrow);
        let query = StandingQuery { id, plan, sight: narrow.clone() };
        let mut beginning = QueryBeginning::new(query);
        let begun = (0..PIECES_MAX).find_map(|_| engine.begin_query(&mut beginning));
        begun.expect("it comes to an end")
    };
    for number in 1..LIVE_SCANNED_MAX {
        assert_eq!(begin(&format!("y + {number}")), Ok(()));
    }
    assert_eq!(begin("y + y"), Err(QueryRefusal::TooManyScanned), "each selector counts");
    assert_eq!(begin("y"), Ok(()));
    assert_eq!(begin("y + 0"), Err(QueryRefusal::TooManyScanned));
    assert_eq!(begin("y{n=\"1\"}"), Ok(()), "found by a label");
}

#[test]
fn queries_that_look_back_leave_rules_half_of_the_room_for_samples() {
    let text = "groups: [{name: g, rules: [{alert: A, expr: 'max_over_time(x[10m]) > 9'}]}]";
    let settings = Settings { samples_kept_bytes_max: 32 * 1024, ..Settings::default() };
    let mut engine = Engine::with_settings(rules(text), settings);
    for text in ["max_over_time(x[5m])", "max_over_time(y[20m])", "max_over_time(y[30m])"] {
        begun(&mut engine, text).expect(text);
    }
    let mut grown = Vec::new();
    for second in 0..1_800 {
        let now = Timestamp::from_ms(START_MS).saturating_add(Duration::from_secs(second));
        engine.apply(now, &[sample("x", 1, now), sample("y", 1, now)]);
        for (query, refusal) in engine.take_overgrown(|_| true) {
            grown.push((query, refusal));
            let mut ending = QueryEnding::new(query);
            assert!((0..PIECES_MAX).any(|_| engine.end_query(&mut ending)));
        }
    }
    let furthest = [standing("max_over_time(y[30m])").id, standing("max_over_time(y[20m])").id];
    assert_eq!(grown, furthest.map(|query| (query, QueryRefusal::NoWindow)));
    assert_eq!(engine.figures().cut.samples, 0, "no rule sees less");
}

/// Who may query can write expressions that are slow for long labels.
#[test]
fn a_selector_that_is_slow_ends_its_query() {
    let mut engine = engine(Settings::default());
    let slow = begun(&mut engine, "y{n=~\".*x.{40}z.{40}\"}").expect("there are no series yet");
    let long = "x".repeat(4_000);
    let time = Timestamp::from_ms(START_MS);
    let series = Labels::from_pairs([(METRIC_NAME, "y"), ("n", &*long)]).expect("labels");
    engine.apply(time, &[Sample { series, value: 1.0, time }]);
    assert_eq!(engine.take_overgrown(|_| true), [(slow, QueryRefusal::TooMuchEffort)]);
}
