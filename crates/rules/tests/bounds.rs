//! What keeps an engine within its memory and its time, and what rules then say.

use std::time::Duration;

use bellwire_model::limits::{PART_SERIES_PER_MS, PART_SPACING_MIN, PARTS_RESTING_MAX};
use bellwire_model::{Labels, METRIC_NAME, Sample, Timestamp};
use bellwire_rules::{Change, Conventions, Engine, Plan, RuleFile, Settings, Value, load, query};

fn engine(rule: &str, settings: Settings) -> Engine {
    let text = format!("groups: [{{name: g, rules: [{rule}]}}]");
    let set = load(&[RuleFile { name: "f", text: &text }]).expect("a rule");
    Engine::with_settings(set, settings)
}

fn sample(series: usize, value: f64, ms: i64) -> Sample {
    let series = [(METRIC_NAME, "x".to_owned()), ("s", series.to_string())];
    let pairs = series.iter().map(|(name, value)| (*name, value.as_str()));
    let series = Labels::from_pairs(pairs).expect("labels");
    Sample { series, value, time: Timestamp::from_ms(ms) }
}

/// The values that were recorded, with their times.
fn recorded(changes: &[Change]) -> Vec<(i64, f64)> {
    let value = |change: &Change| match change {
        Change::Recorded(recorded) => Some((recorded.time.as_ms(), recorded.value?)),
        _ => None,
    };
    changes.iter().filter_map(value).collect()
}

#[test]
fn windows_lose_their_oldest_samples_where_all_take_as_much_as_they_may() {
    const BYTES_MAX: usize = 64 * 1024;
    let settings = Settings { samples_kept_bytes_max: BYTES_MAX, ..Settings::default() };
    let mut engine = engine("{record: r, expr: 'count_over_time(x[30d])'}", settings);
    for second in 0..3_000_i64 {
        let samples: Vec<Sample> =
            (0..4).map(|series| sample(series, 1.0, second * 1_000)).collect();
        engine.apply(Timestamp::from_ms(second * 1_000), &samples);
        let bytes = engine.figures().samples_kept_bytes;
        assert!(bytes <= BYTES_MAX, "{bytes} after {second} s");
    }
    let figures = engine.figures();
    // 12,000 samples of 16 bytes came, and some 64 KiB are there.
    assert!((6_000..11_000).contains(&figures.cut.samples), "{:?}", figures.cut);
    let (rule, series) = figures.cut.last.expect("a window was cut");
    assert_eq!((&*rule.alert, series.metric_name()), ("r", Some("x")));
    // The newest ones are still looked at.
    let last = engine.apply(Timestamp::from_ms(3_000_000), &[sample(0, 1.0, 3_000_000)]);
    let counted = recorded(&last)[0].1;
    assert!((500.0..2_000.0).contains(&counted), "{counted}");
}

#[test]
fn a_backlog_is_kept_within_what_windows_may_take_whatever_its_order() {
    const BYTES_MAX: usize = 64 * 1024;
    const COUNT: i64 = 4_000;
    let orders: [(&str, Vec<i64>); 3] = [
        ("oldest first", (0..COUNT).collect()),
        ("newest first", (0..COUNT).rev().collect()),
        // The two have no divisor in common.
        ("in no order", (0..COUNT).map(|nth| nth * 1_237 % COUNT).collect()),
    ];
    for (order, seconds) in orders {
        let settings = Settings { samples_kept_bytes_max: BYTES_MAX, ..Settings::default() };
        let mut engine = engine("{record: r, expr: 'min_over_time(x[30d])'}", settings);
        let now = Timestamp::from_ms(COUNT * 1_000);
        let all = |value: f64, ms: i64| (0..4).map(move |series| sample(series, value, ms));
        engine.apply(now, &all(COUNT as f64, now.as_ms()).collect::<Vec<_>>());
        for some in seconds.chunks(70) {
            let late = some.iter().flat_map(|second| all(*second as f64, second * 1_000));
            engine.apply(now, &late.collect::<Vec<_>>());
            let bytes = engine.figures().samples_kept_bytes;
            assert!(bytes <= BYTES_MAX, "{bytes} where they come {order}");
        }
        let cut = engine.figures().cut;
        let (rule, series) = cut.last.expect("a window was cut");
        assert_eq!((&*rule.alert, series.metric_name()), ("r", Some("x")));
        // What is kept are the newest, and nearly as many as there is room for.
        let mut kept = 0;
        for series in 0..4 {
            let value = |function: &str| {
                let plan = Plan::parse(&format!("{function}_over_time(x{{s='{series}'}}[30d])"));
                let conventions = Conventions::default();
                let answer = query(&plan.expect("a plan"), engine.storage(), &conventions, now);
                let Value::Vector(elements) = answer.expect("a value").value else { panic!() };
                elements[0].value as i64
            };
            let (oldest, count) = (value("min"), value("count"));
            assert_eq!(oldest, COUNT + 1 - count, "where they come {order}");
            kept += count;
        }
        let most = (BYTES_MAX / 16) as i64;
        assert!((most * 3 / 4..=most).contains(&kept), "{kept} where they come {order}");
    }
}

#[test]
fn what_a_part_has_room_for_again_is_kept_whole() {
    let settings = Settings { samples_kept_bytes_max: 8 * 1024, ..Settings::default() };
    let mut engine = engine("{record: r, expr: 'count_over_time(x[20m])'}", settings);
    for second in 0..600_i64 {
        let samples: Vec<Sample> =
            (0..4).map(|series| sample(series, 1.0, second * 1_000)).collect();
        engine.apply(Timestamp::from_ms(second * 1_000), &samples);
    }
    let cut = engine.figures().cut.samples;
    assert!(cut > 0);
    // The others fall silent, and are forgotten.
    let end = 600 + 3_600;
    for second in 600..end {
        engine.apply(Timestamp::from_ms(second * 1_000), &[sample(0, 1.0, second * 1_000)]);
    }
    let figures = engine.figures();
    assert_eq!(figures.series, 2, "x and r");
    assert!(figures.samples_kept_bytes <= 8 * 1024 * 3, "{figures:?}");
}

/// Changes come each millisecond, and each evaluation that there is says what was true just then.
#[test]
fn a_part_of_very_many_series_is_evaluated_seldom_and_exactly() {
    const SERIES: usize = 10_000;
    let spacing_ms = SERIES as i64 / PART_SERIES_PER_MS as i64;
    assert!(Duration::from_millis(spacing_ms as u64) > PART_SPACING_MIN);
    let mut engine = engine("{record: r, expr: sum(x)}", Settings::default());
    let all: Vec<Sample> = (0..SERIES).map(|series| sample(series, 1.0, 0)).collect();
    let mut told = recorded(&engine.apply(Timestamp::from_ms(0), &all));
    assert_eq!(told, [(0, SERIES as f64)]);
    // Labels are looked at until the outline is known.
    for ms in 1..400 {
        told.extend(recorded(&engine.apply(Timestamp::from_ms(ms), &[sample(0, 2.0, ms)])));
    }
    told.clear();
    let plan = Plan::parse("sum(x)").expect("a plan");
    for ms in 400..460_i64 {
        let changed = sample(ms as usize, ms as f64, ms);
        let now = Timestamp::from_ms(ms);
        for (at, value) in recorded(&engine.apply(now, &[changed])) {
            assert_eq!(at, ms);
            let answer = query(&plan, engine.storage(), &Conventions::default(), now);
            let Value::Vector(elements) = answer.expect("a value").value else { panic!() };
            assert_eq!(value.to_bits(), elements[0].value.to_bits(), "at {ms}");
            told.push((at, value));
        }
    }
    let gaps: Vec<i64> = told.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.iter().all(|gap| *gap == spacing_ms), "{gaps:?}");
    assert!(engine.figures().evaluations_spaced > 0);
    // What came last is told without another sample.
    let after = recorded(&engine.advance(Timestamp::from_ms(460 + spacing_ms)));
    assert_eq!(after.len(), 1, "{after:?}");
}

/// Each of them alone would take a tenth of the time.
#[test]
fn many_parts_of_very_many_series_leave_time_for_others() {
    const PARTS: usize = 30;
    const SERIES: usize = 400;
    const TERMS: usize = 12;
    let spacing_ms = (SERIES * TERMS) as u64 / PART_SERIES_PER_MS;
    assert!(Duration::from_millis(spacing_ms) >= PART_SPACING_MIN);
    let sums = ["sum by (p) (x)"; TERMS].join(" + ");
    let mut engine = engine(&format!("{{record: r, expr: '{sums}'}}"), Settings::default());
    let sample = |part: usize, series: usize, ms: i64| {
        let labels = [("p", part.to_string()), ("s", series.to_string())];
        let labels = labels.iter().map(|(name, value)| (*name, value.as_str()));
        let labels = Labels::from_pairs(labels.chain([(METRIC_NAME, "x")])).expect("labels");
        Sample { series: labels, value: ms as f64, time: Timestamp::from_ms(ms) }
    };
    let all = (0..PARTS).flat_map(|part| (0..SERIES).map(move |series| (part, series)));
    let all: Vec<Sample> = all.map(|(part, series)| sample(part, series, 0)).collect();
    engine.apply(Timestamp::from_ms(0), &all);
    let mut told = 0;
    // Labels are looked at until the outlines are known.
    for ms in 1..1_200 {
        let touched: Vec<Sample> = (0..PARTS).map(|part| sample(part, 0, ms)).collect();
        let changes = engine.apply(Timestamp::from_ms(ms), &touched);
        told += if ms >= 1_000 { recorded(&changes).len() } else { 0 };
    }
    let of_one = 200 / spacing_ms as usize;
    assert!(told > 0 && told <= 2 * PARTS_RESTING_MAX * of_one, "{told}");
}

#[test]
fn parts_of_few_series_are_evaluated_with_each_batch() {
    let mut engine = engine("{record: r, expr: 'topk(5, x)'}", Settings::default());
    let all: Vec<Sample> = (0..200).map(|series| sample(series, 1.0, 0)).collect();
    engine.apply(Timestamp::from_ms(0), &all);
    for ms in 1..50 {
        let changes = engine.apply(Timestamp::from_ms(ms), &[sample(7, 2.0 + ms as f64, ms)]);
        assert_eq!(recorded(&changes).len(), 1, "at {ms}");
    }
    assert_eq!(engine.figures().evaluations_spaced, 0);
}

/// Each touch asks for a look an interval later. The first that asked counts, not the last.
#[test]
fn rules_that_feed_each_other_in_a_circle_are_evaluated_however_often_samples_come() {
    let rules = "{record: a, expr: 'x + 0 * (b or x)'}, {record: b, expr: a}, \
                 {alert: High, expr: 'b > 2_000'}";
    let mut engine = engine(rules, Settings::default());
    let mut fired = 0;
    for second in (0..2_400_i64).step_by(10) {
        let now = Timestamp::from_ms(second * 1_000);
        let changes = engine.apply(now, &[sample(0, second as f64, now.as_ms())]);
        fired += changes.iter().filter(|it| matches!(it, Change::Transition(_))).count();
    }
    assert_eq!(fired, 1);
}

#[test]
fn all_regular_expressions_of_an_expression_count_together() {
    let selectors = |count: usize| {
        let one = |nth: usize| format!("x{{a=~\".{{{}}}\"}}", 1_000 - nth);
        (0..count).map(one).collect::<Vec<_>>().join(" + ")
    };
    let replaced = |inner: &str, count: usize| {
        let outer = |inner: String, nth: usize| {
            format!("label_replace({inner}, \"b\", \"$1\", \"a\", \"(.{{{}}})\")", 1_000 - nth)
        };
        (0..count).fold(inner.to_owned(), outer)
    };
    let refused = |text: &str| {
        let error = Plan::parse(text).err().map(|error| error.to_string());
        error.is_some_and(|error| error.starts_with("the regular expressions of an expression"))
    };
    let counts = (1..20).map(|eights| 8 * eights);
    let most = counts.take_while(|count| !refused(&selectors(*count))).last().expect("a few");
    assert!(refused(&selectors(most + 8)));
    assert!(!refused(&replaced("x", 2)) && refused(&replaced("x", 16)));
    assert!(refused(&replaced(&selectors(most), 8)));
}
