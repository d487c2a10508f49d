//! Workload `rules`: from the bytes of requests to what rules make of them, on one core, inside this
//! process, in each of several protocols; and how long rules take to load.
//!
//! The fleet is what `fleet` says: 1,000 rules in the proportions of kube-prometheus, 100,000 series
//! that send every 15 s. It is measured once windows are full.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bellwire_rules::{DroppedFigures, Engine, RuleFile, RuleSet, load};
use rustix::time::{ClockId, clock_gettime};

use crate::Print;
use crate::fleet::{self, Batch, Fleet, SERIES, SERVICES};
use crate::result::{OutputFlags, Record};
use crate::senders::{Protocol, Sender};

/// Rounds of 15 s until the longest window is full.
const ROUNDS_TO_FILL: usize = 41;

/// Services whose rules are loaded to see how long that takes.
const SERVICES_LOADED: usize = 20 * SERVICES;

/// What `bench rules` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Samples of each series to measure, in each protocol.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    rounds: usize,
    /// Protocols to measure.
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',', default_values_t = [
        Protocol::Lines, Protocol::RemoteWrite1, Protocol::RemoteWrite2, Protocol::Otlp,
        Protocol::Scrape, Protocol::Mqtt,
    ])]
    protocols: Vec<Protocol>,
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
    let mut engine = Engine::new(rules(SERVICES)?);
    for _ in 0..ROUNDS_TO_FILL {
        for Batch { time, samples, .. } in fleet.round() {
            engine.apply(time, &samples);
        }
    }
    let intakes = arguments.protocols.iter().map(|protocol| Intake::new(*protocol, &fleet));
    let mut intakes = intakes.collect::<Result<Vec<_>>>()?;
    // The first time is not measured: what is learned of series is learned then.
    for round in 0..=arguments.rounds {
        // In turn, so that whatever else the machine does harms all alike.
        for intake in &mut intakes {
            let times = intake.take(&mut engine, fleet.round())?;
            if round > 0 {
                intake.times.decode += times.decode;
                intake.times.apply += times.apply;
            }
        }
    }
    let figures = engine.figures();
    ensure!(figures.failures.count == 0, "evaluations failed: {:?}", figures.failures.last);
    let dropped = figures.dropped;
    ensure!(dropped == DroppedFigures::default(), "samples were dropped: {dropped:?}");
    let samples = (arguments.rounds * SERIES) as f64;
    let mut record = Record::new("rules");
    record = record.parameter("rules", figures.rules).parameter("series", SERIES);
    for Intake { protocol, times: Times { decode, apply }, .. } in intakes {
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

/// Takes requests in one protocol.
struct Intake {
    protocol: Protocol,
    sender: Box<dyn Sender>,
    times: Times,
}

/// What went where.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    decode: Duration,
    apply: Duration,
}

impl Intake {
    fn new(protocol: Protocol, fleet: &Fleet) -> Result<Self> {
        Ok(Self { protocol, sender: protocol.sender(fleet)?, times: Times::default() })
    }

    /// Has the rules see what all targets send, one request after the other.
    fn take(&mut self, engine: &mut Engine, round: Vec<Batch>) -> Result<Times> {
        let mut times = Times::default();
        for batch in self.protocol.batches(round) {
            let body = self.sender.encode(&batch)?;
            let mut watch = Watch::start();
            let decoded = self.sender.decode(&body, &batch)?;
            times.decode += watch.lap();
            ensure!(decoded.rejected == 0, "some were refused: {:?}", decoded.rejections.first());
            engine.apply(batch.time, &decoded.samples);
            self.sender.acknowledge(&decoded);
            times.apply += watch.lap();
            // What is made of a request is let go of, too.
            drop(decoded);
            times.decode += watch.lap();
        }
        Ok(times)
    }
}

/// Tells how long this thread has had a processor: others on the machine take nothing of it.
struct Watch(Duration);

impl Watch {
    fn start() -> Self {
        Self(Self::time())
    }

    /// Since the start, or the last call.
    fn lap(&mut self) -> Duration {
        let before = std::mem::replace(&mut self.0, Self::time());
        self.0.saturating_sub(before)
    }

    fn time() -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

fn rules(services: usize) -> Result<RuleSet> {
    let text = fleet::rules(services);
    load(&[RuleFile { name: "fleet", text: &text }])
        .map_err(|errors| anyhow::anyhow!("the rules do not load: {:?}", errors.first()))
}
