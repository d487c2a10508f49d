//! Workload `rules`: from the bytes of requests to what rules make of them, on one core, inside this
//! process; and how long rules take to load.
//!
//! The fleet is what `fleet` says: 1,000 rules in the proportions of kube-prometheus, 100,000 series
//! that send every 15 s. It is measured once windows are full.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bellwire_ingest::line_protocol::{Precision, decode};
use bellwire_model::{METRIC_NAME, Sample, Timestamp};
use bellwire_rules::{Engine, RuleFile, RuleSet, load};

use crate::Print;
use crate::fleet::{self, Batch, Fleet, SERIES, SERVICES};
use crate::result::{OutputFlags, Record};

/// Rounds of 15 s until the longest window is full.
const ROUNDS_TO_FILL: usize = 41;

/// Services whose rules are loaded to see how long that takes.
const SERVICES_LOADED: usize = 20 * SERVICES;

/// What `bench rules` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Samples of each series to measure.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    rounds: usize,
    #[command(flatten)]
    output: OutputFlags,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let began = Instant::now();
    let many = Engine::new(rules(SERVICES_LOADED)?);
    let loaded_in = began.elapsed();
    let loaded = many.figures().rules;
    drop(many);

    let mut fleet = Fleet::new();
    let mut intake = Intake::new(Engine::new(rules(SERVICES)?));
    for _ in 0..ROUNDS_TO_FILL {
        intake.take(&requests(&mut fleet)?)?;
    }
    let figures = intake.engine.figures();
    ensure!(figures.failures.count == 0, "evaluations failed: {:?}", figures.failures.last);

    intake.times = Times::default();
    for _ in 0..arguments.rounds {
        intake.take(&requests(&mut fleet)?)?;
    }
    let Times { decode, apply } = intake.times;
    let samples = (arguments.rounds * SERIES) as f64;
    let each_ns = |time: Duration| time.as_nanos() as f64 / samples;
    Record::new("rules")
        .parameter("rules", figures.rules)
        .parameter("series", SERIES)
        .figure("samples_per_s", samples / (decode + apply).as_secs_f64())
        .figure("decode_ns_per_sample", each_ns(decode))
        .figure("apply_ns_per_sample", each_ns(apply))
        .figure("load_s_per_20000_rules", loaded_in.as_secs_f64() * 20_000.0 / loaded as f64)
        .publish(&arguments.output, print)
}

/// A request: when it comes, and its body.
type Request = (Timestamp, Vec<u8>);

/// Takes requests one after the other, and the time.
#[derive(Debug)]
struct Intake {
    engine: Engine,
    times: Times,
}

/// What went where.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    decode: Duration,
    apply: Duration,
}

impl Intake {
    fn new(engine: Engine) -> Self {
        Self { engine, times: Times::default() }
    }

    fn take(&mut self, requests: &[Request]) -> Result<()> {
        let precision: Precision = "ms".parse().expect("a precision");
        for (time, body) in requests {
            let began = Instant::now();
            let decoded = decode(body, precision, *time);
            let is_decoded = Instant::now();
            ensure!(decoded.rejected == 0, "lines were refused: {:?}", decoded.rejections.first());
            self.engine.apply(*time, &decoded.samples);
            self.times.decode += is_decoded.duration_since(began);
            self.times.apply += is_decoded.elapsed();
        }
        Ok(())
    }
}

fn rules(services: usize) -> Result<RuleSet> {
    let text = fleet::rules(services);
    load(&[RuleFile { name: "fleet", text: &text }])
        .map_err(|errors| anyhow::anyhow!("the rules do not load: {:?}", errors.first()))
}

fn requests(fleet: &mut Fleet) -> Result<Vec<Request>> {
    fleet.round().iter().map(request).collect()
}

fn request(batch: &Batch) -> Result<Request> {
    let mut body = String::new();
    for sample in &batch.samples {
        write_line(&mut body, sample)?;
    }
    Ok((batch.time, body.into_bytes()))
}

/// One figure a line; a metric is a measurement and a field, with `_` between them.
fn write_line(body: &mut String, sample: &Sample) -> Result<()> {
    let name = sample.series.metric_name().and_then(|name| name.rsplit_once('_'));
    let (measurement, field) = name.context("a metric has two parts")?;
    body.push_str(measurement);
    for (name, value) in sample.series.iter().filter(|(name, _)| *name != METRIC_NAME) {
        write!(body, ",{name}={value}")?;
    }
    writeln!(body, " {field}={} {}", sample.value, sample.time)?;
    Ok(())
}
