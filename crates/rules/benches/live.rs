//! What rules wait for while 1,000 queries are followed: 100,000 series with a sample a second each, in
//! batches of 1,000 every 10 ms of the rules' time, through [`Engine::apply`].
//!
//! What it does not show: decoding, the journal behind the changes, and values on their way to topics.

use std::fmt::Write as _;
use std::time::Duration;

use bellwire_model::{Labels, METRIC_NAME, QueryId, Sample, Sight, Timestamp};
use bellwire_rules::{Engine, Plan, QueryBeginning, RuleFile, StandingQuery, load};
use divan::Bencher;
use divan::counter::ItemsCount;

const METRICS: usize = 100;
const SERIES: usize = 100_000;
const BATCH: usize = 1_000;
const FIRST_SECONDS: usize = 10;

fn main() {
    divan::main();
}

#[divan::bench(args = ["no query", "one series", "sums of ten", "rates", "sums of 1,000", "of all kinds"])]
fn a_second_with_a_thousand_queries(bencher: Bencher<'_, '_>, kind: &str) {
    let count = if kind == "no query" { 0 } else { 1_000 };
    let queries: Vec<String> = (0..count).map(|number| query(kind, number)).collect();
    run(bencher, &queries);
}

fn query(kind: &str, number: usize) -> String {
    let (metric, site) = (number % METRICS, number / METRICS);
    match (kind, number % 10) {
        ("one series", _) | ("of all kinds", 0..=4) => {
            format!("m{metric}{{site=\"site-{site}\",rack=\"rack-{}\"}} > 40", number % 7)
        }
        ("sums of ten", _) | ("of all kinds", 5 | 6) => {
            format!("sum(m{metric}{{site=\"site-{site}\"}})")
        }
        ("rates", _) | ("of all kinds", 7 | 8) => {
            format!("sum by (rack) (rate(m{metric}{{site=\"site-{site}\"}}[1m]))")
        }
        _ => format!("sum(m{metric}) + {site}"),
    }
}

fn batches() -> Vec<Vec<Sample>> {
    let sample = |index: usize| {
        let (metric, site) =
            (format!("m{}", index % METRICS), format!("site-{}", index / METRICS / 10));
        let rack = format!("rack-{}", index / METRICS % 10);
        let pairs = [(METRIC_NAME, &*metric), ("site", &*site), ("rack", &*rack), ("kind", "x")];
        let series = Labels::from_pairs(pairs).expect("labels");
        Sample { series, value: 0.0, time: Timestamp::MIN }
    };
    let samples: Vec<Sample> = (0..SERIES).map(sample).collect();
    samples.chunks(BATCH).map(<[Sample]>::to_vec).collect()
}

fn engine() -> Engine {
    let mut text = "groups:\n- name: g\n  rules:\n".to_owned();
    for rule in 0..METRICS {
        writeln!(text, "  - {{alert: A{rule}, expr: 'm{rule} > 90', for: 1m}}").expect("text");
    }
    Engine::new(load(&[RuleFile { name: "f", text: &text }]).expect("rules"))
}

/// Each iteration is a second: a sample of every series.
fn run(bencher: Bencher<'_, '_>, queries: &[String]) {
    let mut engine = engine();
    let mut batches = batches();
    let mut now = Timestamp::from_ms(1_700_000_000_000);
    for text in queries {
        let (plan, canonical) = Plan::standing(text).expect(text);
        let id = QueryId::of(&canonical, &Sight::all());
        let mut beginning = QueryBeginning::new(StandingQuery { id, plan, sight: Sight::all() });
        while engine.begin_query(&mut beginning).is_none() {}
    }
    let mut round: u32 = 0;
    let mut second = || {
        round += 1;
        let mut told = 0;
        for batch in &mut batches {
            now = now.saturating_add(Duration::from_millis(10));
            for (place, sample) in batch.iter_mut().enumerate() {
                sample.value = f64::from((round * 7 + place as u32) % 80);
                sample.time = now;
            }
            engine.apply(now, batch);
            told += engine.take_answered().len();
        }
        told
    };
    // The first ones find out what there is.
    for _ in 0..FIRST_SECONDS {
        second();
    }
    bencher.counter(ItemsCount::new(SERIES)).bench_local(second);
}
