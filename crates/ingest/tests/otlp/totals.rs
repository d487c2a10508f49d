//! Changes that are added up.

use std::time::Duration;

use bellwire_ingest::otlp::Totals;
use bellwire_ingest::{Decoded, Interval};
use bellwire_model::limits::{LABEL_VALUE_BYTES_MAX, OTLP_TOTAL_AGE, OTLP_TOTALS_BYTES_MAX};
use bellwire_model::{Holder, Labels, Timestamp};

use super::proto::{Data, Histogram, HistogramPoint, NumberPoint, Request};
use super::samples::{
    DELTA, NOW, NOW_NS, SECOND_NS, counter, decode, gauge, metric, number, of, of_resource,
    refused, sender, told,
};

/// What was counted within these seconds from some time on.
fn counted(series: &str, seconds: [u64; 2], value: f64) -> NumberPoint {
    let [start_time_unix_nano, time_unix_nano] = seconds.map(ns);
    NumberPoint { start_time_unix_nano, time_unix_nano, ..number(&[("s", series)], value) }
}

/// Seconds from a minute before now on; 0 is no time.
fn ns(seconds: u64) -> u64 {
    if seconds == 0 { 0 } else { NOW_NS - 60 * SECOND_NS + seconds * SECOND_NS }
}

fn settled(totals: &mut Totals, points: Vec<NumberPoint>, now: Timestamp) -> Decoded {
    let mut decoded = decode(&of(vec![counter("c", DELTA, points)]));
    totals.settle(&mut decoded, sender(), now);
    assert_eq!(decoded.samples.len(), decoded.lines.len());
    decoded
}

#[test]
fn changes_are_added_up() {
    // What comes, one after the other: the total that is told, none, or a refusal.
    for (what, changes) in [
        ("one after the other", &[([1, 2], 5.0, "5"), ([2, 3], 2.0, "7"), ([3, 9], 1.0, "8")][..]),
        ("sent again", &[([1, 2], 5.0, "5"), ([2, 3], 2.0, "7"), ([2, 3], 2.0, "7")]),
        ("a hole stays", &[([1, 2], 5.0, "5"), ([4, 5], 2.0, "7"), ([5, 6], 1.0, "8")]),
        (
            "late into a hole",
            &[([1, 2], 5.0, "5"), ([4, 5], 2.0, "7"), ([2, 4], 3.0, "-"), ([5, 6], 1.0, "11")],
        ),
        (
            "late twice",
            &[([1, 2], 5.0, "5"), ([4, 5], 2.0, "7"), ([2, 4], 3.0, "-"), ([2, 4], 3.0, "!")],
        ),
        (
            "into what is left of a hole",
            &[
                ([1, 2], 1.0, "1"),
                ([8, 9], 1.0, "2"),
                ([3, 4], 1.0, "-"),
                ([5, 8], 1.0, "-"),
                ([2, 3], 1.0, "!"),
                ([9, 10], 1.0, "5"),
            ],
        ),
        ("before the first", &[([5, 6], 1.0, "1"), ([2, 5], 1.0, "-"), ([6, 7], 1.0, "3")]),
        ("over an end", &[([1, 4], 5.0, "5"), ([3, 6], 2.0, "!"), ([4, 6], 2.0, "7")]),
        ("from the start on", &[([1, 4], 5.0, "5"), ([1, 6], 9.0, "!")]),
        (
            "another of the same time",
            &[([1, 2], 5.0, "5"), ([1, 2], 7.0, "!"), ([1, 2], 5.0, "5"), ([2, 3], 1.0, "6")],
        ),
        ("another of the same end", &[([1, 4], 5.0, "5"), ([2, 4], 2.0, "!")]),
        (
            "without a start",
            &[([0, 2], 5.0, "5"), ([0, 3], 2.0, "7"), ([0, 3], 2.0, "7"), ([0, 2], 5.0, "!")],
        ),
        ("of no length", &[([2, 2], 5.0, "5"), ([3, 3], 2.0, "7"), ([3, 3], 2.0, "7")]),
        ("started anew", &[([1, 4], 5.0, "5"), ([7, 8], 1.0, "6")]),
        ("falling", &[([1, 2], 5.0, "5"), ([2, 3], -7.0, "-2")]),
        ("no number", &[([1, 2], f64::NAN, "!"), ([2, 3], 1.0, "1"), ([3, 4], f64::INFINITY, "!")]),
        ("against time", &[([3, 2], 1.0, "!"), ([2, 3], 1.0, "1")]),
    ] {
        let mut totals = Totals::default();
        for (place, (seconds, value, expected)) in changes.iter().enumerate() {
            let decoded = settled(&mut totals, vec![counted("a", *seconds, *value)], NOW);
            let told = match (&decoded.samples[..], decoded.rejected) {
                ([sample], 0) => sample.value.to_string(),
                ([], 0) => "-".to_owned(),
                ([], 1) => "!".to_owned(),
                other => panic!("{what}: {other:?}"),
            };
            assert_eq!(told, *expected, "{what}, {place}");
        }
    }
}

#[test]
fn series_are_counted_by_themselves_and_in_one_request_too() {
    let mut totals = Totals::default();
    let points = vec![
        counted("a", [1, 2], 1.0),
        counted("b", [1, 2], 10.0),
        counted("a", [2, 3], 2.0),
        counted("b", [1, 3], 99.0),
        counted("b", [2, 3], 20.0),
    ];
    let decoded = settled(&mut totals, points, NOW);
    let totals: Vec<f64> = decoded.samples.iter().map(|sample| sample.value).collect();
    assert_eq!(totals, [1.0, 10.0, 3.0, 30.0]);
    assert_eq!(
        (refused(&decoded), &decoded.lines[..]),
        (vec![(4, "interval_overlaps")], &[1, 2, 3, 5][..])
    );
}

#[test]
fn a_request_with_several_intervals_is_told_again_as_it_was() {
    let mut totals = Totals::default();
    let mut settle = |changes: &[([u64; 2], f64)]| {
        let points = changes.iter().map(|(seconds, value)| counted("a", *seconds, *value));
        let decoded = settled(&mut totals, points.collect(), NOW);
        let told: Vec<f64> = decoded.samples.iter().map(|sample| sample.value).collect();
        (told, decoded.rejected)
    };
    let first = [([1, 2], 1.0), ([2, 3], 2.0), ([6, 7], 4.0), ([4, 5], 8.0), ([7, 8], 16.0)];
    assert_eq!(settle(&first), (vec![1.0, 3.0, 7.0, 31.0], 0));
    for _ in 0..2 {
        // With what came late, which itself is not known again.
        assert_eq!(settle(&first), (vec![1.0, 3.0, 15.0, 31.0], 1));
    }
    assert_eq!(settle(&[([2, 4], 2.0), ([1, 3], 2.0), ([0, 3], 2.0)]), (vec![3.0], 2));
    // A later one, a part of which was there before.
    let second = [([7, 8], 16.0), ([8, 9], 32.0), ([9, 10], 64.0)];
    assert_eq!(settle(&second), (vec![31.0, 63.0, 127.0], 0));
    assert_eq!(settle(&second), (vec![63.0, 127.0], 1));
    assert_eq!(settle(&first), (vec![], 5));
}

#[test]
fn what_may_not_be_sent_is_not_counted() {
    let mut totals = Totals::default();
    let mut decoded = decode(&of(vec![counter(
        "c",
        DELTA,
        vec![counted("a", [1, 2], 1.0), counted("b", [1, 2], 5.0)],
    )]));
    decoded.keep(|series: &Labels| series.get("s") == Some("b"));
    totals.settle(&mut decoded, sender(), NOW);
    assert_eq!((decoded.samples.len(), refused(&decoded)), (1, vec![(1, "sample_forbidden")]));
    let decoded = settled(&mut totals, vec![counted("a", [1, 2], 7.0)], NOW);
    assert_eq!(told(&decoded.samples), [r#"c_total{s="a"} 7 @-58000"#]);
}

#[test]
fn a_series_that_is_silent_for_long_begins_anew() {
    let mut totals = Totals::default();
    let later = |age: Duration| NOW.saturating_add(age);
    let mut total = |seconds, now| {
        let decoded = settled(&mut totals, vec![counted("a", seconds, 1.0)], now);
        decoded.samples[0].value as u64
    };
    assert_eq!(total([1, 2], NOW), 1);
    assert_eq!(total([2, 3], later(OTLP_TOTAL_AGE)), 2);
    assert_eq!(total([3, 4], later(OTLP_TOTAL_AGE * 2)), 3);
    assert_eq!(total([4, 5], later(OTLP_TOTAL_AGE * 4)), 1);
    // A clock that goes back ends nothing.
    assert_eq!(total([5, 6], NOW), 2);
}

#[test]
fn histograms_are_added_up_by_bucket() {
    let mut totals = Totals::default();
    let point = |seconds: [u64; 2], bucket_counts: [u64; 2]| HistogramPoint {
        start_time_unix_nano: ns(seconds[0]),
        time_unix_nano: ns(seconds[1]),
        count: bucket_counts.iter().sum(),
        sum: Some(0.5),
        bucket_counts: bucket_counts.to_vec(),
        explicit_bounds: vec![1.0],
        ..HistogramPoint::default()
    };
    let mut settle = |points| {
        let data = Histogram { data_points: points, aggregation_temporality: DELTA };
        let mut decoded = decode(&of(vec![metric("h", "", Data::Histogram(data))]));
        totals.settle(&mut decoded, sender(), NOW);
        decoded
    };
    let decoded = settle(vec![point([58, 59], [1, 2]), point([59, 60], [3, 0])]);
    assert_eq!(
        told(&decoded.samples[4..]),
        [r#"h_bucket{le="1"} 4"#, r#"h_bucket{le="+Inf"} 6"#, "h_sum 1", "h_count 6"]
    );
    // One refusal for the point, and no sample of it.
    let decoded = settle(vec![point([57, 60], [1, 1])]);
    assert_eq!((decoded.samples.len(), refused(&decoded)), (0, vec![(1, "interval_overlaps")]));
}

#[test]
fn what_is_no_change_is_left_as_it_is() {
    let stale = NumberPoint { flags: 1, ..counted("a", [1, 2], 1.0) };
    let request: Request = of_resource(
        &[("service.name", "x"), ("host.name", "h")],
        vec![
            gauge("g", "", vec![counted("a", [1, 2], 5.0)]),
            counter("c", DELTA, vec![counted("a", [1, 60], 1.0), stale]),
        ],
    );
    let mut decoded = decode(&request);
    assert_eq!(decoded.changes.len(), 1);
    assert_eq!(decoded.changes[0].interval, Interval { start_ns: ns(1), end_ns: ns(60) });
    let before = told(&decoded.samples);
    Totals::default().settle(&mut decoded, sender(), NOW);
    assert_eq!(told(&decoded.samples), before);
    assert!(before[3].starts_with("target_info"), "{before:?}");
}

#[test]
fn whoever_fills_the_room_leaves_some_of_it_to_others() {
    let mut totals = Totals::default();
    let long = "x".repeat(LABEL_VALUE_BYTES_MAX - 16);
    let mut number = 0;
    // Series that nobody has sent before, until some are refused: bytes of those that were taken.
    let mut fill = |sender: &str, now: Timestamp| {
        let mut bytes = 0;
        loop {
            let points = std::iter::repeat_with(|| {
                number += 1;
                counted(&format!("{number}{long}"), [1, 2], 1.0)
            });
            let points = points.take(1_000).collect();
            let mut decoded = decode(&of(vec![counter("c", DELTA, points)]));
            totals.settle(&mut decoded, Holder::named(sender), now);
            let taken = decoded.samples.iter().map(|sample| sample.series.size_bytes());
            bytes += taken.sum::<usize>();
            if decoded.rejected > 0 {
                assert_eq!(decoded.by_code, [("series_limit", decoded.rejected)]);
                return bytes;
            }
        }
    };
    let greedy = fill("mallory", NOW);
    assert!((OTLP_TOTALS_BYTES_MAX / 2..OTLP_TOTALS_BYTES_MAX).contains(&greedy), "{greedy}");
    let other = fill("ada", NOW);
    assert!((1 << 20..OTLP_TOTALS_BYTES_MAX - greedy).contains(&other), "{other}");
    // Of what is forgotten all have the room again.
    let later = NOW.saturating_add(OTLP_TOTAL_AGE * 4);
    assert!(fill("ada", later) > greedy / 100 * 99);
}

#[test]
fn what_is_kept_of_requests_is_given_back_to_who_has_the_room() {
    let mut totals = Totals::default();
    let long = "x".repeat(LABEL_VALUE_BYTES_MAX - 16);
    let several = 6;
    // How many series are begun, each with several intervals of one request, until some are refused.
    let fill = |totals: &mut Totals, sender: &str, now: Timestamp| {
        let mut begun = 0;
        for request in 0.. {
            let numbers = request * 100..(request + 1) * 100;
            let points = numbers.flat_map(|number| {
                let series = format!("{number}{long}");
                (1..=several).map(move |end| counted(&series, [end, end + 1], 1.0))
            });
            let mut decoded = decode(&of(vec![counter("c", DELTA, points.collect())]));
            totals.settle(&mut decoded, Holder::named(sender), now);
            begun += decoded.samples.iter().filter(|sample| sample.value < 1.5).count();
            if decoded.rejected > 0 {
                return begun;
            }
        }
        unreachable!("the room is bounded")
    };
    let first = fill(&mut totals, "mallory", NOW);
    let age = |ages: u32| NOW.saturating_add(OTLP_TOTAL_AGE * ages);
    assert_eq!(fill(&mut totals, "ada", age(4)), first);
    // Another sender changes what has not changed since, and has the room for it from there on.
    let numbers = 0..first;
    let points = numbers.map(|n| counted(&format!("{n}{long}"), [several + 1, several + 2], 1.0));
    let mut decoded = decode(&of(vec![counter("c", DELTA, points.collect())]));
    totals.settle(&mut decoded, Holder::named("bob"), age(5));
    assert!(decoded.samples.iter().all(|sample| sample.value > 1.0));
    assert_eq!((decoded.samples.len(), decoded.rejected), (first, 0));
    assert_eq!(fill(&mut totals, "mallory", age(10)), first);
}
