//! Workload `nodes`: a whole cluster on one machine, beside one server that stands alone.
//!
//! ```text
//! latency   publisher ─▶ first node ─▶ engine ─▶ last node ─▶ subscriber
//! publish   publishers in a closed loop ─▶ first node; all that was acknowledged is read at the last
//! failover  followers of a node, which is killed ─▶ the others, with their cursors
//! streams   very many streams over all nodes, and one event that reaches each
//! ```

mod failover;
mod latency;
mod publish;
mod streams;

use anyhow::{Result, bail, ensure};
use bellwire_model::limits::EVENTS_PER_REQUEST_MAX;

use super::publish::{By, IN_FLIGHT_MAX, check_in_flight};
use crate::Print;
use crate::load::provide_for;
use crate::result::{OutputFlags, Record};
use crate::system::{Durability, EngineFlags, NodeCpu, Nodes};

/// More on one machine measure its processor.
const NODES_MAX: u64 = 16;
const TIME_MAX_S: u64 = 600;
const BROADCASTS_MAX: u64 = 10_000;

/// What stands for an engine where there is none.
const EMBEDDED: &str = "embedded";

/// What `bench nodes` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    engine: EngineFlags,
    /// Nodes of the cluster.
    #[arg(long, value_name = "COUNT", default_value_t = 2,
          value_parser = clap::value_parser!(u64).range(2..=NODES_MAX))]
    nodes: u64,
    /// What to measure, with commas between.
    #[arg(long, value_enum, value_name = "PART", value_delimiter = ',',
          default_values_t = [Part::Latency, Part::Publish, Part::Failover, Part::Streams])]
    measure: Vec<Part>,
    /// When a server has an event on its own disk; the engine is as it is set up.
    #[arg(long, value_enum, default_value_t = Durability::Sync)]
    durability: Durability,
    /// Size of an event's body.
    #[arg(long, value_name = "BYTES", visible_alias = "size", default_value_t = 256)]
    body_bytes: usize,
    /// How long to publish for `latency`, and for each line of `publish` after a warm-up.
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=TIME_MAX_S))]
    seconds: u64,
    /// Connections that publish for `latency` and `publish`.
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    publishers: usize,
    /// Events to publish a second for `latency`.
    #[arg(long, value_name = "EVENTS", default_value_t = 1000.0)]
    rate: f64,
    /// Events in a request of the second line of `publish`.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    batch: usize,
    /// By what single events are sent for `publish`.
    #[arg(long, value_enum, default_value_t = By::Http)]
    transport: By,
    /// Single events of each publisher that are under way at once for `publish`; several are sent over
    /// a WebSocket.
    #[arg(long, value_name = "COUNT", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=IN_FLIGHT_MAX))]
    in_flight: u64,
    /// Followers of the node that is killed, for `failover`.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    clients: usize,
    /// Events that they get a second.
    #[arg(long, value_name = "EVENTS", default_value_t = 20.0)]
    failover_rate: f64,
    /// Which node is killed for `failover`, with commas between.
    #[arg(long, value_enum, value_name = "NODE", value_delimiter = ',',
          default_values_t = [Killed::Last, Killed::Keeper])]
    kill: Vec<Killed>,
    /// Streams over all nodes, for `streams`.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    streams: usize,
    /// Events that reach each of them, one after the other.
    #[arg(long, value_name = "COUNT", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..=BROADCASTS_MAX))]
    broadcasts: u64,
    /// How long to let memory settle before each look, for `streams`. The default has a heartbeat in
    /// it.
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=TIME_MAX_S))]
    settle_seconds: u64,
    #[command(flatten)]
    output: OutputFlags,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// From publishing at one node to the arrival at another.
    Latency,
    /// Acknowledged events a second, single and in batches, and that all are at another node.
    Publish,
    /// A node that is killed: until its followers are live elsewhere, and what they missed.
    Failover,
    /// Many streams over all nodes: their memory, and until one event has reached each.
    Streams,
}

/// Which node is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Killed {
    /// The one that was started last.
    Last,
    /// The one that evaluates the rules: another takes over.
    Keeper,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    arguments.check()?;
    let mut wrong = Vec::new();
    for part in &arguments.measure {
        match part {
            Part::Latency => latency::run(arguments, print)?,
            Part::Publish => publish::run(arguments, print, &mut wrong)?,
            Part::Failover => failover::run(arguments, print, &mut wrong)?,
            Part::Streams => streams::run(arguments, print)?,
        }
    }
    if !wrong.is_empty() {
        bail!("not each event was there once: {}", wrong.join("; "));
    }
    Ok(())
}

impl Arguments {
    /// Fails where it cannot be done.
    fn check(&self) -> Result<()> {
        let Self { publishers, rate, batch, clients, failover_rate, streams, .. } = *self;
        ensure!(publishers > 0, "there is nobody to publish");
        check_in_flight(self.transport, self.in_flight)?;
        ensure!(clients > 0 && streams > 0, "there is nobody to deliver to");
        for rate in [rate, failover_rate] {
            ensure!(rate > 0.0 && rate.is_finite(), "a rate is above 0");
        }
        ensure!(
            (1..=EVENTS_PER_REQUEST_MAX).contains(&batch),
            "a request has 1 to {EVENTS_PER_REQUEST_MAX} events"
        );
        provide_for(publishers.max(clients).max(streams))
    }

    /// Measures one server that stands alone, then the cluster, and keeps both. `ratios` are the figures
    /// of which the cluster's record says how many times those of the one server they are.
    fn both(
        &self,
        workload: &str,
        print: Print,
        parameters: impl Fn(Record) -> Record,
        ratios: &[&str],
        mut measure: impl FnMut(Nodes, Record) -> Result<Record>,
    ) -> Result<()> {
        // What cannot be had is told before anything takes long.
        let engine = self.engine.description()?;
        let mut alone = None;
        let embedded = Record::new(workload).parameter("engine", EMBEDDED).parameter("nodes", 1);
        parameters(embedded.parameter("durability", self.durability.as_str())).complete(
            &self.output,
            print,
            |record| {
                let measured = measure(Nodes::alone(self.durability)?, record)?;
                alone = Some(measured.clone());
                Ok(measured)
            },
        )?;
        let mut record = Record::new(workload);
        for (name, value) in engine {
            record = record.parameter(name, value);
        }
        let record = record.parameter("nodes", self.nodes);
        parameters(record.parameter("durability", self.durability.as_str())).complete(
            &self.output,
            print,
            |record| {
                let nodes = Nodes::cluster(&self.engine, self.nodes as usize, self.durability)?;
                let measured = measure(nodes, record)?;
                Ok(match &alone {
                    Some(alone) => with_ratios(measured, alone, ratios),
                    None => measured,
                })
            },
        )
    }
}

/// Adds how many times those of another some figures are.
fn with_ratios(record: Record, beside: &Record, figures: &[&str]) -> Record {
    figures.iter().fold(record, |record, figure| {
        let (here, there) = (record.number(figure), beside.number(figure));
        let ratio = here.zip(there.filter(|there| *there > 0.0)).map(|(here, there)| here / there);
        record.maybe_figure(&format!("{figure}_ratio"), ratio)
    })
}

/// Adds the CPU time of one of several events: that of all nodes, and that of the engine.
fn with_cpu(record: Record, cpu: NodeCpu, events: f64) -> Record {
    record.cpu("server_cpu_us_per_event", cpu.nodes, events).cpu(
        "engine_cpu_us_per_event",
        cpu.engine,
        events,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_there_where_both_figures_are() {
        let record = |one: f64| Record::new("nodes-latency").figure("one", one).figure("two", 0.0);
        let ratios = with_ratios(record(6.0), &record(2.0), &["one", "two", "three"]);
        assert_eq!(ratios.number("one_ratio"), Some(3.0));
        assert_eq!(ratios.number("two_ratio"), None);
        assert_eq!(ratios.number("three_ratio"), None);
    }
}
