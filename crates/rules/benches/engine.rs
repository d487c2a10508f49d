//! Samples a second through [`Engine::apply`]: 10,000 series, 100 rules, batches of 1,000.
//!
//! What it does not show: decoding, and the journal behind the changes.

use std::fmt::Write as _;

use bellwire_model::{Labels, METRIC_NAME, Sample, Timestamp};
use bellwire_rules::{Engine, RuleFile, load};
use divan::Bencher;
use divan::counter::ItemsCount;

const SERIES: usize = 10_000;
const RULES: usize = 100;
const BATCH: usize = 1_000;

fn main() {
    divan::main();
}

/// An engine of [`RULES`] rules over `metrics` metrics: each series is selected by
/// `RULES / metrics` of them.
fn engine(metrics: usize) -> Engine {
    let mut text = "groups:\n- name: g\n  rules:\n".to_owned();
    for rule in 0..RULES {
        let metric = rule % metrics;
        writeln!(text, "  - {{alert: A{rule}, expr: 'm{metric}{{site!=\"\"}} > 90', for: 1m}}")
            .expect("text");
    }
    Engine::new(load(&[RuleFile { name: "f", text: &text }]).expect("rules"))
}

/// An engine of 1,000 rules as those of kube-prometheus are: conditions on single series, on rates,
/// on rates of a job, on ratios, and recorded ones; ten rules of each metric.
fn general_engine(metrics: usize) -> Engine {
    let mut text = "groups:\n- name: g\n  rules:\n".to_owned();
    for rule in 0..1_000 {
        let (m, next) = (rule % metrics, (rule + 1) % metrics);
        let expression = match rule / metrics % 10 {
            0..=3 => format!("m{m}{{site!=\"\"}} > 90"),
            4 => format!("rate(m{m}[1m]) > 5"),
            5 => format!("max_over_time(m{m}[1m]) > 95"),
            6 => format!("m{m} / m{next} > 0.9"),
            7 => format!("m{m} offset 30s - m{m} > 50"),
            8 => format!("sum by (site) (rate(m{m}[1m])) > 100"),
            _ => format!("avg by (site) (m{m}) > 80 and max by (site) (m{next}) > 90"),
        };
        if rule % 10 == 3 {
            writeln!(text, "  - {{record: r{rule}, expr: 'sum by (site) (m{m})'}}").expect("text");
        } else {
            writeln!(text, "  - {{alert: A{rule}, expr: '{expression}', for: 1m}}").expect("text");
        }
    }
    Engine::new(load(&[RuleFile { name: "f", text: &text }]).expect("rules"))
}

/// One sample of each series, in batches. Of `hot_every` samples one makes its condition hold.
fn batches(metrics: usize, hot_every: usize) -> Vec<Vec<Sample>> {
    let sample = |index: usize| {
        let (metric, site) = (format!("m{}", index % metrics), format!("site-{}", index / metrics));
        let device = format!("device-{index}");
        let pairs =
            [(METRIC_NAME, &*metric), ("site", &*site), ("device", &*device), ("kind", "x")];
        let series = Labels::from_pairs(pairs).expect("labels");
        let value = if index.is_multiple_of(hot_every) { 95.0 } else { 20.0 };
        Sample { series, value, time: Timestamp::MIN }
    };
    let samples: Vec<Sample> = (0..SERIES).map(sample).collect();
    samples.chunks(BATCH).map(<[Sample]>::to_vec).collect()
}

/// Each iteration sends one sample of every series, a second later than the one before.
fn run(bencher: Bencher<'_, '_>, mut engine: Engine, mut batches: Vec<Vec<Sample>>) {
    let mut now = Timestamp::from_ms(1_700_000_000_000);
    // The engine learns the series from labels of its own, as those that are decoded later are
    // not the ones it has seen: they must be compared, not recognised by their address.
    for sample in batches.iter().flatten() {
        let series = Labels::from_pairs(sample.series.iter()).expect("labels");
        engine.apply(now, &[Sample { series, value: 20.0, time: now }]);
    }
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        now = now.saturating_add(std::time::Duration::from_secs(1));
        let mut changes = 0;
        for batch in &mut batches {
            for sample in batch.iter_mut() {
                sample.time = now;
            }
            changes += engine.apply(now, batch).len();
        }
        changes
    });
}

#[divan::bench]
fn one_rule_a_series(bencher: Bencher<'_, '_>) {
    run(bencher, engine(RULES), batches(RULES, SERIES));
}

#[divan::bench]
fn ten_rules_a_series(bencher: Bencher<'_, '_>) {
    run(bencher, engine(RULES / 10), batches(RULES / 10, SERIES));
}

#[divan::bench]
fn every_rule_on_every_series(bencher: Bencher<'_, '_>) {
    run(bencher, engine(1), batches(1, SERIES));
}

#[divan::bench]
fn every_tenth_series_fires(bencher: Bencher<'_, '_>) {
    run(bencher, engine(RULES), batches(RULES, 10));
}

#[divan::bench]
fn a_thousand_rules_of_all_kinds(bencher: Bencher<'_, '_>) {
    run(bencher, general_engine(100), batches(100, SERIES));
}

#[divan::bench]
fn series_that_no_rule_selects(bencher: Bencher<'_, '_>) {
    let mut batches = batches(RULES, SERIES);
    for sample in batches.iter_mut().flatten() {
        sample.series = Labels::from_pairs(
            sample
                .series
                .iter()
                .map(|(name, value)| (name, if name == METRIC_NAME { "n" } else { value })),
        )
        .expect("labels");
    }
    run(bencher, engine(RULES), batches);
}
