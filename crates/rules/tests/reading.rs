//! What a query looks at is copied in pieces between the steps, and is as of one instant.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::{
    READING_CHANGE_STEPS, READING_PIECE_SERIES, READING_PIECE_STEPS, READING_SERIES_STEPS,
};
use bellwire_model::{Labels, METRIC_NAME, Sample, Scope, Sight, Timestamp};
use bellwire_rules::{
    AlertReport, Allowance, Conventions, Engine, EvaluationError, Excerpt, Plan, QueryMemory,
    Question, Reading, Report, RuleFile, RuleSet, Settings, Span, Storage, Value, load, query,
    query_range,
};
use proptest::prelude::*;

const RULES: &str = "  - {alert: Fast, expr: 'rate(x[40s]) > 1000'}\n  \
                     - {alert: High, expr: 'y > 90'}\n  \
                     - {record: 'x:sum', expr: 'sum by (site) (x)'}\n";

/// Expressions that look at the samples in several ways. Of the label `v` it takes many steps to tell
/// whether `V` matches it. The last is one with a great many matchers.
const EXPRESSIONS: [&str; 17] = [
    "x",
    "rate(x[40s])",
    "x[40s]",
    r#"{__name__=~".+"}"#,
    r#"{site="3"} or x"#,
    "sum by (site) (x offset 10s) + on (site) group_left () x:sum",
    "max_over_time(sum(y)[30s:7s])",
    "count(x @ end() > 0) or ALERTS or topk(3, y)",
    r#"sum(x{n=~".*1.{200}|.*7"}) + sum(x{n!~".*1.{200}|.*3"})"#,
    "count(x{v=~V}) + sum(x{v!~V})",
    r#"absent(x{v=~V,site="1"}) or absent(x{v=~V,n!="97"}) or absent(y{v!~V,v!=""})"#,
    "topk(3, x{v=~V}) or bottomk(2, y{v!~V})",
    r#"x{v=~V} * on (n) group_left () y{v!=""} or on (n) y{v!~V}"#,
    r#"sum by (m) (label_replace({v=~V}, "m", "$1", "v", "(a?).*(b|a)"))"#,
    "max_over_time(sum(x{v!~V})[30s:7s]) + count(count_over_time(x{v=~V}[40s] offset 3s))",
    "rate(x{v=~V}[40s]) unless ignoring (__name__) y{v!~V} or x{v=~V} @ end()",
    "x",
];

/// What `V` stands for. It has no table, and the step that says whether it matches is the last.
const UNTOLD: &str = "\".*a.{200}\"";
/// Each such series has the label `v`.
const WITH_LONG_LABEL: usize = 97;

fn expression(number: usize) -> String {
    let matchers = if number + 1 < EXPRESSIONS.len() { 0 } else { READING_CHANGE_STEPS / 4 };
    let unwanted = (0..matchers).map(|n| format!("n!=\"{}\"", 7 * n)).collect::<Vec<_>>().join(",");
    let braces = if unwanted.is_empty() { unwanted } else { format!("{{{unwanted}}}") };
    format!("{}{braces}", EXPRESSIONS[number]).replace("~V", &format!("~{UNTOLD}"))
}

fn rules(rules: &str) -> RuleSet {
    let text = format!("groups:\n- name: g\n  rules:\n{rules}");
    load(&[RuleFile { name: "f", text: &text }]).expect("rules")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(seconds * 1_000)
}

fn series(metric: &str, number: usize) -> Labels {
    let (site, n) = ((number % 7).to_string(), number.to_string());
    let pairs = [(METRIC_NAME, metric), ("site", &*site), ("n", &*n)];
    let labels = Labels::from_pairs(pairs).expect("labels");
    if !number.is_multiple_of(WITH_LONG_LABEL) {
        return labels;
    }
    let text = if number.is_multiple_of(2) { "ab" } else { "ba" }.repeat(200);
    labels.with("v", &text).expect("labels")
}

fn engine() -> Engine {
    let lookback = Duration::from_secs(20);
    Engine::with_settings(rules(RULES), Settings { lookback, ..Settings::default() })
}

fn question(text: &str, time: Timestamp) -> Question {
    let conventions = Conventions { lookback: Duration::from_secs(20), ..Conventions::default() };
    let plan = Plan::parse(text).expect(text);
    Question { plan, conventions, span: Some(Span::at(time)), step: None, sight: Sight::all() }
}

fn unbounded() -> (Allowance, bellwire_rules::Waiter) {
    Allowance::new(usize::MAX, &QueryMemory::new(usize::MAX))
}

/// What a query comes to over a copy that was taken for it.
fn answer(question: &Question, reading: Reading) -> Result<Value, EvaluationError> {
    let (storage, span, mut allowance) = reading.finish()?;
    Ok(question.answer((&storage, span), &mut allowance)?.value)
}

/// Values as text: NaN is itself there.
fn text(value: &Value) -> String {
    format!("{value:?}")
}

/// What happens between two pieces.
#[derive(Clone, Debug)]
enum Event {
    /// Series of a metric have a sample, from one number on; each so many milliseconds old.
    Samples(&'static str, std::ops::Range<usize>, i64),
    /// Time passes, and what is silent is forgotten.
    Pause(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let numbers = (0..2_000_usize, 1..700_usize).prop_map(|(first, len)| first..first + len);
    prop_oneof![
        4 => (prop_oneof![Just("x"), Just("y")], numbers, prop_oneof![Just(0), 0..30_000_i64])
            .prop_map(|(metric, numbers, age)| Event::Samples(metric, numbers, age)),
        1 => (1..40_i64).prop_map(Event::Pause),
    ]
}

fn happen(engine: &mut Engine, now: &mut i64, event: &Event) {
    *now += 1;
    match event {
        Event::Samples(metric, numbers, age_ms) => {
            let time = at(*now).saturating_sub(Duration::from_millis(age_ms.unsigned_abs()));
            let sample = |number| Sample {
                series: series(metric, number),
                value: (*now * 31 + number as i64 * 7 % 11) as f64,
                time,
            };
            let samples: Vec<Sample> = numbers.clone().map(sample).collect();
            engine.apply(at(*now), &samples);
        }
        Event::Pause(seconds) => {
            *now += seconds;
            engine.advance(at(*now));
        }
    }
}

/// What some may see. Of the last it takes many steps to tell what passes.
const SCOPES: [&[&str]; 6] = [
    &[""],
    &[],
    &[r#"site="3""#],
    &[r#"site=~"1|2""#, r#"n="5""#, r#"alertname="High""#],
    &[r#"site!="3",n!~".*7""#],
    &[r#"v!~".*a.{200}",site=~".+""#],
];

fn scope(number: usize) -> Scope {
    Scope::of(SCOPES[number].iter().map(|set| set.parse().expect("matchers")).collect())
}

/// The plain rule.
fn shows(sight: &Sight, series: &Labels) -> bool {
    let is_of_alerts = matches!(series.metric_name(), Some("ALERTS" | "ALERTS_FOR_STATE"));
    let alert = series.filtered(|name| name != METRIC_NAME && name != "alertstate");
    sight.series.passes(series) && (!is_of_alerts || sight.alerts.passes(&alert))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Also where it takes long to tell which series those are, and while samples come.
    #[test]
    fn to_whoever_may_see_some_series_there_are_no_others(
        before in proptest::collection::vec(event(), 1..6),
        during in proptest::collection::vec(event(), 1..8),
        expression in 0..EXPRESSIONS.len(),
        (series_scope, alerts_scope) in (0..SCOPES.len(), 0..SCOPES.len()),
    ) {
        let (mut engine, mut now) = (engine(), 100);
        for event in &before {
            happen(&mut engine, &mut now, event);
        }
        let asked = self::expression(expression);
        let sight = Sight { series: scope(series_scope), alerts: scope(alerts_scope) };
        let question = Arc::new(Question { sight: sight.clone(), ..question(&asked, at(now)) });
        // All that there is, of which what may not be seen is taken away.
        let every = r#"{__name__=~".+"}[1y]"#;
        let plan = Plan::parse(every).expect("an expression");
        let everything = Arc::new(self::question(every, at(now)));
        let (allowance, _waiter) = unbounded();
        let mut excerpt = Excerpt::new(everything, allowance);
        let all = std::iter::repeat_with(|| engine.excerpt(&mut excerpt)).flatten().next();
        let (all, ..) = all.expect("it is complete in the end").finish().expect("samples");
        let series = |storage: &Storage| {
            let held = query(&plan, storage, &question.conventions, at(now)).expect("a value");
            let Value::Matrix(series) = held.value else { panic!("a matrix") };
            series
        };
        let mut seen = Storage::new();
        for one in series(&all).iter().filter(|one| shows(&sight, &one.labels)) {
            for (time, value) in &one.values {
                let (series, value, time) = (one.labels.clone(), *value, *time);
                seen.add(&Sample { series, value, time });
            }
        }
        let expected = query(&question.plan, &seen, &question.conventions, at(now));

        let (allowance, _waiter) = unbounded();
        let mut excerpt = Excerpt::new(Arc::clone(&question), allowance);
        let mut during = during.iter();
        let mut later = now;
        let reading = loop {
            if let Some(reading) = engine.excerpt(&mut excerpt) {
                break reading;
            }
            if let Some(event) = during.next() {
                happen(&mut engine, &mut later, event);
            }
        };
        let (storage, span, mut allowance) = reading.finish().expect("samples");
        let is_shown = series(&storage).iter().all(|one| shows(&sight, &one.labels));
        prop_assert!(is_shown, "{} has read what is hidden", asked);
        let told = question.answer((&storage, span), &mut allowance);
        match (told, expected) {
            (Ok(told), Ok(expected)) => prop_assert_eq!(text(&told.value), text(&expected.value)),
            (told, expected) => prop_assert_eq!(told.is_err(), expected.is_err()),
        }
    }

    #[test]
    fn a_copy_that_is_taken_while_samples_come_is_of_the_instant_at_which_it_began(
        before in proptest::collection::vec(event(), 1..6),
        during in proptest::collection::vec(event(), 1..8),
        expression in 0..EXPRESSIONS.len(),
        step in prop_oneof![Just(None), (1..9_u64).prop_map(|s| Some(Duration::from_secs(s)))],
    ) {
        let (mut engine, mut now) = (engine(), 100);
        for event in &before {
            happen(&mut engine, &mut now, event);
        }
        let asked = self::expression(expression);
        let mut question = question(&asked, at(now));
        question.step = step.filter(|_| !asked.ends_with(']'));
        let span = Span { start: at(question.step.map_or(now, |_| now - 20)), end: at(now) };
        question.span = Some(span);
        let question = Arc::new(question);
        // With nothing in between it is what the engine's own samples come to.
        let (allowance, _waiter) = unbounded();
        let mut excerpt = Excerpt::new(Arc::clone(&question), allowance);
        let alone = std::iter::repeat_with(|| engine.excerpt(&mut excerpt)).flatten().next();
        let alone = text(&answer(&question, alone.expect("it is complete in the end")).expect("a value"));
        // A selector without a name selects them, too.
        let sees_alerts =
            asked.starts_with('{') || asked.contains("({") || asked.contains("ALERTS");
        if !sees_alerts {
            let (plan, conventions) = (&question.plan, &question.conventions);
            let direct = match question.step {
                None => query(plan, engine.storage(), conventions, at(now)),
                Some(step) => query_range(plan, engine.storage(), conventions, (span, step)),
            };
            prop_assert_eq!(&alone, &text(&direct.expect("a value").value));
        }
        let (allowance, _waiter) = unbounded();
        let mut excerpt = Excerpt::new(Arc::clone(&question), allowance);
        let mut during = during.iter();
        let reading = loop {
            if let Some(reading) = engine.excerpt(&mut excerpt) {
                break reading;
            }
            if let Some(event) = during.next() {
                happen(&mut engine, &mut now, event);
            }
        };
        prop_assert_eq!(alone, text(&answer(&question, reading).expect("a value")));
    }
}

fn with_series(count: usize) -> Engine {
    let mut engine = engine();
    let sample = |number| Sample { series: series("x", number), value: 1.0, time: at(100) };
    engine.apply(at(100), &(0..count).map(sample).collect::<Vec<_>>());
    engine
}

#[test]
fn a_large_read_is_taken_in_pieces_of_bounded_work_while_samples_come() {
    let mut engine = with_series(10 * READING_PIECE_SERIES);
    let question = Arc::new(question("sum(x)", at(100)));
    let (allowance, _waiter) = unbounded();
    let mut excerpt = Excerpt::new(Arc::clone(&question), allowance);
    let mut pieces = 0;
    let reading = loop {
        pieces += 1;
        if let Some(reading) = engine.excerpt(&mut excerpt) {
            break reading;
        }
        // The series that is looked at last changes, and one more begins.
        let changed = [series("x", 10 * READING_PIECE_SERIES - 1), series("x", 100_000 + pieces)];
        let sample = |series| Sample { series, value: 1e6, time: at(100) };
        engine.apply(at(100), &changed.map(sample));
    };
    // One series was copied before its turn, so that the tenth piece finds none left.
    assert_eq!(pieces, 10);
    let Value::Vector(sum) = answer(&question, reading).expect("a value") else {
        panic!("a vector")
    };
    assert_eq!(sum[0].value as usize, 10 * READING_PIECE_SERIES);
}

/// Each of them would take a fifth of a million steps to match. The engine takes as many as it may,
/// and copies the series as if they were selected; whoever asks finds that some are not.
#[test]
fn what_takes_long_to_match_is_matched_by_whoever_asks() {
    const LONG: usize = 60;
    let mut engine = engine();
    let short = |number: usize| {
        let labels = Labels::from_pairs([(METRIC_NAME, "x"), ("n", &number.to_string())]);
        Sample { series: labels.expect("labels"), value: 1.0, time: at(100) }
    };
    engine.apply(at(100), &(0..READING_PIECE_SERIES).map(short).collect::<Vec<_>>());
    let long = |number: usize| {
        let text =
            format!("{}{}", "ab".repeat(500), if number.is_multiple_of(3) { "a" } else { "" });
        series("x", number).with("v", &text).expect("labels")
    };
    let sample = |number: usize| Sample { series: long(number), value: 1.0, time: at(100) };
    engine.apply(at(100), &(0..LONG).map(sample).collect::<Vec<_>>());
    let ask = |engine: &mut Engine, selector: &str| {
        let question = Arc::new(question(&format!("count({selector})"), at(100)));
        let (allowance, _waiter) = unbounded();
        let mut excerpt = Excerpt::new(Arc::clone(&question), allowance);
        let mut pieces = 1;
        let reading = loop {
            if let Some(reading) = engine.excerpt(&mut excerpt) {
                break reading;
            }
            pieces += 1;
        };
        let Value::Vector(count) = answer(&question, reading).expect("a value") else { panic!() };
        (count[0].value as usize, pieces)
    };
    let fewest = LONG * READING_SERIES_STEPS / (READING_PIECE_STEPS + READING_SERIES_STEPS);
    let (count, pieces) = ask(&mut engine, r#"x{v=~".*a.{200}"}"#);
    assert_eq!(count, LONG / 3);
    assert!(pieces > fewest, "{pieces} pieces");
    // Where a table has all states, a byte takes a step or some.
    let (count, pieces) = ask(&mut engine, r#"x{v=~"(?:[ab]{0,999}c|.*)",v!=""}"#);
    assert_eq!(count, LONG);
    assert!(pieces < 5, "{pieces} pieces");
}

/// Else whoever asks would be told that there are too many, and so how many others have.
#[test]
fn what_takes_long_to_match_has_no_series_copied_that_may_not_be_seen() {
    let mut engine = engine();
    let long = |number: usize| series("x", number).with("v", &"ab".repeat(500)).expect("labels");
    let sample = |number: usize| Sample { series: long(number), value: 1.0, time: at(100) };
    engine.apply(at(100), &(0..210).map(sample).collect::<Vec<_>>());
    let own = Scope::of(vec![r#"site="3""#.parse().expect("matchers")]);
    let sight = Sight { series: own, alerts: Scope::none() };
    let asked = question(r#"count(x{v=~".*a.{200}|.*b"})"#, at(100));
    let question = Arc::new(Question { sight, ..asked });
    let (allowance, _waiter) = Allowance::new(30, &QueryMemory::new(1 << 30));
    let mut excerpt = Excerpt::new(Arc::clone(&question), allowance);
    let reading = std::iter::repeat_with(|| engine.excerpt(&mut excerpt)).flatten().next();
    let answer = answer(&question, reading.expect("it is complete"));
    let Ok(Value::Vector(count)) = answer else { panic!("{answer:?}") };
    assert_eq!(count[0].value as usize, 30);
}

#[test]
fn a_small_read_waits_for_no_large_one_and_a_large_one_does() {
    let mut engine = with_series(3 * READING_PIECE_SERIES);
    let begin = |text: &str| {
        let (allowance, waiter) = unbounded();
        (Excerpt::new(Arc::new(question(text, at(100))), allowance), waiter)
    };
    let (mut large, _waiter) = begin("x");
    assert!(engine.excerpt(&mut large).is_none());
    let (mut other, other_waiter) = begin(r#"{__name__=~".+"}"#);
    assert!(engine.excerpt(&mut other).is_none());
    let (mut small, _waiter) = begin("x:sum");
    let small = engine.excerpt(&mut small).expect("one piece is enough");
    let (storage, ..) = small.finish().expect("samples");
    assert_eq!(storage.len(), 7);
    // One that nobody waits for any more does not wait either.
    drop(other_waiter);
    let other = engine.excerpt(&mut other).expect("it has ended");
    assert_eq!(other.finish().err(), Some(EvaluationError::GivenUp));
    while engine.excerpt(&mut large).is_none() {}
}

#[test]
fn a_query_without_a_time_is_of_the_instant_at_which_it_is_read() {
    let count = 3 * READING_PIECE_SERIES;
    let mut engine = with_series(count);
    let begin = |question: &Arc<Question>| {
        let (allowance, waiter) = unbounded();
        (Excerpt::new(Arc::clone(question), allowance), waiter)
    };
    let (mut before, _waiter) = begin(&Arc::new(question("x", at(100))));
    assert!(engine.excerpt(&mut before).is_none());
    // It waits for the one before it, and samples come meanwhile: of `y` the newest is all there is.
    let question = Arc::new(Question { span: None, ..question("count(x) + count(y)", at(100)) });
    let (mut excerpt, _waiter) = begin(&question);
    assert!(engine.excerpt(&mut excerpt).is_none());
    for second in [100, 105] {
        let sample = |number| Sample { series: series("y", number), value: 1.0, time: at(second) };
        engine.apply(at(second), &(0..10).map(sample).collect::<Vec<_>>());
    }
    while engine.excerpt(&mut before).is_none() {}
    let reading = loop {
        // While it is read they go on; it is of the instant at which that began.
        engine.advance(at(107));
        if let Some(reading) = engine.excerpt(&mut excerpt) {
            break reading;
        }
    };
    let (storage, span, mut allowance) = reading.finish().expect("samples");
    assert_eq!(span, Span::at(at(107)));
    let answer = question.answer((&storage, span), &mut allowance).expect("a value").value;
    let Value::Vector(count_of_both) = answer else { panic!("a vector") };
    assert_eq!(count_of_both[0].value as usize, count + 10);
}

#[test]
fn what_is_given_up_makes_room_for_others() {
    let mut engine = with_series(3 * READING_PIECE_SERIES);
    let (allowance, waiter) = unbounded();
    let mut given_up = Excerpt::new(Arc::new(question("x", at(100))), allowance);
    assert!(engine.excerpt(&mut given_up).is_none());
    drop(waiter);
    let reading = engine.excerpt(&mut given_up).expect("it has ended");
    assert_eq!(reading.finish().err(), Some(EvaluationError::GivenUp));
    let (allowance, _waiter) = unbounded();
    let mut next = Excerpt::new(Arc::new(question("x", at(100))), allowance);
    let reading = std::iter::repeat_with(|| engine.excerpt(&mut next)).flatten().next();
    let (storage, ..) = reading.expect("it is complete").finish().expect("samples");
    assert_eq!(storage.len(), 3 * READING_PIECE_SERIES);
}

/// Else one team's alerts would take what another's query may hold.
#[test]
fn alerts_that_may_not_be_seen_take_nothing_of_what_a_query_may_hold() {
    let mut engine = engine();
    let sample = |number| Sample { series: series("y", number), value: 99.0, time: at(100) };
    engine.apply(at(100), &(0..20_000).map(sample).collect::<Vec<_>>());
    let mut ask = |alerts: Scope| {
        let sight = Sight { series: Scope::all(), alerts };
        let question = Arc::new(Question { sight, ..question("count(ALERTS)", at(100)) });
        let (allowance, _waiter) = Allowance::new(usize::MAX, &QueryMemory::new(1 << 20));
        let mut excerpt = Excerpt::new(Arc::clone(&question), allowance);
        let reading = std::iter::repeat_with(|| engine.excerpt(&mut excerpt)).flatten().next();
        answer(&question, reading.expect("it is complete")).map(|value| text(&value))
    };
    let own = Scope::of(vec![r#"n=~"1|2|3""#.parse().expect("matchers")]);
    let counted = ask(own).expect("there is room for three");
    assert!(counted.contains("value: 3.0"), "{counted}");
    assert_eq!(ask(Scope::all()), Err(EvaluationError::NoMemory));
}

#[test]
fn a_query_holds_no_more_samples_than_it_may() {
    let mut engine = with_series(100);
    let conventions = Conventions::default();
    let over = |text: &str, steps: i64| Question {
        plan: Plan::parse(text).expect(text),
        conventions,
        span: Some(Span { start: at(100), end: at(100 + steps - 1) }),
        step: (steps > 1).then_some(Duration::from_secs(1)),
        sight: Sight::all(),
    };
    let room = QueryMemory::new(1 << 30);
    let mut ask = |question: Question, samples_max: usize| {
        let question = Arc::new(question);
        let (allowance, _waiter) = Allowance::new(samples_max, &room);
        let mut excerpt = Excerpt::new(Arc::clone(&question), allowance);
        answer(&question, engine.excerpt(&mut excerpt).expect("one piece is enough")).map(|_| ())
    };
    let too_many = |max| Err(EvaluationError::TooManySamples { max });
    // What it looks at.
    assert_eq!(ask(over("sum(x)", 1), 100), Ok(()));
    assert_eq!(ask(over("sum(x)", 1), 99), too_many(99));
    // And what it comes to: 100 series at each of ten steps.
    assert_eq!(ask(over("x", 10), 1_100), Ok(()));
    assert_eq!(ask(over("x", 10), 1_099), too_many(1_099));
    assert_eq!(ask(over("sum(x)", 10), 110), Ok(()));
    // A subquery holds its steps, those within it only for a while.
    assert_eq!(ask(over("max_over_time(vector(1)[1000s:1s])", 3), 1_004), Ok(()));
    assert_eq!(ask(over("max_over_time(vector(1)[1000s:1s])", 3), 1_001), too_many(1_001));
    let nested = "max_over_time(sum_over_time(vector(1)[100s:1s])[100s:1s])";
    assert_eq!(ask(over(nested, 3), 300), Ok(()));
    assert_eq!(ask(over(nested, 3), 150), too_many(150));
    assert_eq!(room.left(), 1 << 30);
}

#[test]
fn reports_come_in_pieces_and_begin_anew_with_other_rules() {
    let many = |count: usize, name: &str| {
        let rule = |number: usize| format!("  - {{alert: {name}{number}, expr: 'x > {number}'}}\n");
        rules(&(0..count).map(rule).collect::<String>())
    };
    let mut engine = Engine::new(many(3_000, "A"));
    let mut report = Report::default();
    assert!(engine.report(&mut report, |_| true).is_none());
    engine.replace(at(1), many(2_000, "B"));
    let rules = std::iter::repeat_with(|| engine.report(&mut report, |_| true)).flatten().next();
    let rules = rules.expect("it is complete");
    assert_eq!(rules.len(), 2_000);
    assert!(rules.iter().all(|report| report.rule.name.alert.starts_with('B')));
    let sample = |number| Sample { series: series("x", number), value: 1.5, time: at(2) };
    engine.apply(at(2), &(0..2_000).map(sample).collect::<Vec<_>>());
    let mut report = AlertReport::default();
    assert!(engine.report_alerts(&mut report).is_none());
    let alerts = std::iter::repeat_with(|| engine.report_alerts(&mut report)).flatten().next();
    assert_eq!(alerts.expect("it is complete").len(), 4_000);
}
