//! Workload `rules`: from the bytes of requests to what rules make of them, on one core, inside this
//! process, in each of several protocols; and how long rules take to load.
//!
//! The fleet is what `fleet` says: 1,000 rules in the proportions of kube-prometheus, 100,000 series
//! that send every 15 s. It is measured once windows are full.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bellwire_ingest::Decoded;
use bellwire_ingest::line_protocol::{self, Precision};
use bellwire_ingest::remote_write::Version;
use bellwire_model::{METRIC_NAME, Sample, Timestamp};
use bellwire_rules::{Engine, RuleFile, RuleSet, load};

use crate::fleet::{self, Batch, Fleet, SERIES, SERVICES};
use crate::result::{OutputFlags, Record};
use crate::{Print, remote_write};

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
        intake.take(Protocol::Lines, &fleet.round())?;
    }
    let figures = intake.engine.figures();
    ensure!(figures.failures.count == 0, "evaluations failed: {:?}", figures.failures.last);

    intake.times = [Times::default(); Protocol::ALL.len()];
    // In turn, so that whatever else the machine does harms all alike.
    for _ in 0..arguments.rounds {
        for protocol in Protocol::ALL {
            intake.take(protocol, &fleet.round())?;
        }
    }
    let samples = (arguments.rounds * SERIES) as f64;
    let mut record = Record::new("rules");
    record = record.parameter("rules", figures.rules).parameter("series", SERIES);
    for (protocol, Times { decode, apply }) in Protocol::ALL.into_iter().zip(intake.times) {
        let each_ns = |time: Duration| time.as_nanos() as f64 / samples;
        let name = |figure: &str| format!("{}{figure}", protocol.prefix());
        record = record
            .figure(&name("samples_per_s"), samples / (decode + apply).as_secs_f64())
            .figure(&name("decode_ns_per_sample"), each_ns(decode))
            .figure(&name("apply_ns_per_sample"), each_ns(apply));
    }
    record
        .figure("load_s_per_20000_rules", loaded_in.as_secs_f64() * 20_000.0 / loaded as f64)
        .publish(&arguments.output, print)
}

/// In which requests come.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    /// InfluxDB's line protocol.
    Lines,
    /// Prometheus' remote write.
    RemoteWrite(Version),
}

impl Protocol {
    const ALL: [Self; 3] =
        [Self::Lines, Self::RemoteWrite(Version::V1), Self::RemoteWrite(Version::V2)];

    /// What its figures begin with.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Lines => "",
            Self::RemoteWrite(Version::V1) => "remote_write_",
            Self::RemoteWrite(Version::V2) => "remote_write_2_",
        }
    }

    /// The body of a request.
    fn encode(self, batch: &Batch) -> Result<Vec<u8>> {
        match self {
            Self::Lines => lines(batch),
            Self::RemoteWrite(version) => Ok(remote_write::body(version, &batch.samples)),
        }
    }

    fn decode(self, body: &[u8], now: Timestamp) -> Result<Decoded> {
        match self {
            Self::Lines => Ok(line_protocol::decode(body, Precision::Milliseconds, now)),
            Self::RemoteWrite(version) => {
                let plain = snap::raw::Decoder::new().decompress_vec(body)?;
                Ok(bellwire_ingest::remote_write::decode(version, &plain, now)?)
            }
        }
    }
}

/// Takes requests one after the other, and the time.
#[derive(Debug)]
struct Intake {
    engine: Engine,
    /// In the order of the protocols.
    times: [Times; Protocol::ALL.len()],
}

/// What went where.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    decode: Duration,
    apply: Duration,
}

impl Intake {
    fn new(engine: Engine) -> Self {
        Self { engine, times: [Times::default(); Protocol::ALL.len()] }
    }

    fn take(&mut self, protocol: Protocol, batches: &[Batch]) -> Result<()> {
        let place = match protocol {
            Protocol::Lines => 0,
            Protocol::RemoteWrite(Version::V1) => 1,
            Protocol::RemoteWrite(Version::V2) => 2,
        };
        for batch in batches {
            let body = protocol.encode(batch)?;
            let began = Instant::now();
            let decoded = protocol.decode(&body, batch.time)?;
            let is_decoded = Instant::now();
            ensure!(decoded.rejected == 0, "some were refused: {:?}", decoded.rejections.first());
            self.engine.apply(batch.time, &decoded.samples);
            let times = &mut self.times[place];
            times.decode += is_decoded.duration_since(began);
            times.apply += is_decoded.elapsed();
        }
        Ok(())
    }
}

fn rules(services: usize) -> Result<RuleSet> {
    let text = fleet::rules(services);
    load(&[RuleFile { name: "fleet", text: &text }])
        .map_err(|errors| anyhow::anyhow!("the rules do not load: {:?}", errors.first()))
}

fn lines(batch: &Batch) -> Result<Vec<u8>> {
    let mut body = String::new();
    for sample in &batch.samples {
        write_line(&mut body, sample)?;
    }
    Ok(body.into_bytes())
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
