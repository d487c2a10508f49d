//! Samples a second of a whole fleet: 1,000 rules of all kinds over 100,000 series;
//! `bellwire-bench` says what they are. And how long 20,000 rules take to load, and 50,000 that are
//! written for one service each.
//!
//! Before it measures, it lets five minutes and more pass, so that windows are full, and prints the
//! memory that it took. What it does not show: decoding, and the journal behind the changes.

#[path = "../../bench/src/fleet.rs"]
#[allow(dead_code, reason = "the load generator sends it in several protocols")]
mod fleet;

use std::fmt::Write as _;

use bellwire_model::Labels;
use bellwire_rules::{Engine, RuleFile, load};
use divan::Bencher;
use divan::counter::ItemsCount;

use self::fleet::{Batch, Fleet, SERIES, SERVICES};

/// Rounds of 15 s until windows are full.
const ROUNDS_TO_FILL: usize = 22;

fn main() {
    divan::main();
}

/// A batch whose labels were never seen before, as they are where each request is decoded anew.
fn fresh(mut batch: Batch) -> Batch {
    for sample in &mut batch.samples {
        sample.series = Labels::from_pairs(sample.series.iter()).expect("labels");
    }
    batch
}

#[expect(clippy::print_stdout, reason = "the memory is a result too")]
fn full_engine(fleet: &mut Fleet) -> Engine {
    let text = fleet::rules(SERVICES);
    let rules = load(&[RuleFile { name: "fleet", text: &text }]).expect("rules");
    assert_eq!(rules.len(), 1_000);
    // What a round takes is not the engine's.
    drop(fleet.round());
    let before = resident_bytes();
    let mut engine = Engine::new(rules);
    for _ in 0..ROUNDS_TO_FILL {
        for batch in fleet.round() {
            let batch = fresh(batch);
            engine.apply(batch.time, &batch.samples);
        }
    }
    let figures = engine.figures();
    assert_eq!(figures.failures.count, 0, "{:?}", figures.failures.last);
    let bytes = (resident_bytes() - before) / figures.series;
    println!("{} series, {:?}, {bytes} B each with windows", figures.series, figures.alerts);
    engine
}

/// What the process has in memory.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

/// Labels are compared with those that the engine has, and are in the processor's caches seldom.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn apply(bencher: Bencher<'_, '_>) {
    let mut fleet = Fleet::new();
    let mut engine = full_engine(&mut fleet);
    bencher
        .counter(ItemsCount::new(SERIES))
        .with_inputs(|| fleet.round().into_iter().map(fresh).collect::<Vec<Batch>>())
        .bench_local_refs(|round| {
            let apply = |batch: &Batch| engine.apply(batch.time, &batch.samples).len();
            round.iter().map(apply).sum::<usize>()
        });
}

/// From the text of a file to an engine.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn twenty_thousand_rules_load(bencher: Bencher<'_, '_>) {
    let text = fleet::rules(20 * SERVICES);
    bencher.counter(ItemsCount::new(20_000_usize)).bench_local(|| {
        Engine::new(load(&[RuleFile { name: "fleet", text: &text }]).expect("rules"))
    });
}

/// As many rules as there may be, each in a group of its own, with what rules that are generated for
/// each service have: the same regular expression, the same texts, and a metric that others record.
#[divan::bench(sample_count = 3, sample_size = 1)]
#[expect(clippy::print_stdout, reason = "the memory is a result too")]
fn fifty_thousand_rules_of_as_many_groups_load(bencher: Bencher<'_, '_>) {
    const RULES: usize = 50_000;
    let mut text = String::from("groups:\n");
    for number in 0..RULES / 2 {
        let job = format!("job=\"job-{number}\"");
        let written = write!(
            text,
            "- name: record-{number}\n  rules:\n  - record: job:errors:rate5m\n    \
             expr: sum(rate(requests_total{{{job},code=~\"5..\"}}[5m]))\n    \
             labels: {{job: job-{number}}}\n\
             - name: alert-{number}\n  rules:\n  - alert: Errors\n    \
             expr: job:errors:rate5m{{{job}}} > 5\n    for: 5m\n    labels: {{severity: page}}\n    \
             annotations: {{summary: '{{{{ $labels.job }}}} fails {{{{ $value }}}} times a second'}}\n"
        );
        written.expect("a text takes all");
    }
    let load = || Engine::new(load(&[RuleFile { name: "services", text: &text }]).expect("rules"));
    let before = resident_bytes();
    let engine = load();
    let bytes = resident_bytes().saturating_sub(before) / RULES;
    println!("{} rules, {bytes} B each, with what reading them has left", engine.figures().rules);
    drop(engine);
    bencher.counter(ItemsCount::new(RULES)).bench_local(load);
}
