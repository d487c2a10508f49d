//! Workload `fanout`: one topic, many subscribers.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::Print;
use crate::load::{AT_ONCE, Delivered, Flow, Pace, Publisher, provide_for, request};
use crate::result::{OutputFlags, Record};
use crate::system::{Server, SystemFlags, SystemName};

const TOPIC: &str = "bench/fanout";
const EVENTS_MAX: u64 = 10_000_000;

/// What `bench fanout` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Subscribers of the topic.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    subscribers: usize,
    /// Events to publish.
    #[arg(long, value_name = "COUNT", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(1..=EVENTS_MAX))]
    events: u64,
    /// Events to publish a second; 0: as fast as they are acknowledged.
    #[arg(long, value_name = "EVENTS", default_value_t = 100.0)]
    rate: f64,
    /// Size of an event's body.
    #[arg(long, value_name = "BYTES", visible_alias = "size", default_value_t = 128)]
    body_bytes: usize,
    /// The topic keeps the newest value of its one key, in memory or on the disk; for Bellwire
    /// alone. At a rate that every subscriber keeps up with: the slow ones miss values.
    #[arg(long, value_enum, conflicts_with = "server")]
    state: Option<Kept>,
    #[command(flatten)]
    system: SystemFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// Where values of a state topic are kept.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kept {
    Memory,
    Disk,
}

impl Kept {
    fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }

    /// The entry of the configuration.
    fn topics(self) -> String {
        let kept = self.as_str();
        format!("[[topic]]\nmatch = \"{TOPIC}\"\nkind = \"state\"\ndurability = \"{kept}\"\n")
    }
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let Arguments { subscribers, events, rate, body_bytes, ref system, .. } = *arguments;
    ensure!(subscribers > 0, "there is nobody to deliver to");
    ensure!(rate >= 0.0, "the rate is not below 0");
    ensure!(
        arguments.state.is_none() || system.system == SystemName::Bellwire,
        "`--state` is for Bellwire alone"
    );
    provide_for(subscribers)?;
    let record = Record::of_system("fanout", system)
        .parameter("subscribers", subscribers)
        .parameter("events", events)
        .parameter("rate", rate)
        .parameter("body_bytes", body_bytes);
    match arguments.state {
        Some(kept) => record.parameter("state", kept.as_str()),
        None => record,
    }
    .complete(&arguments.output, print, |record| measured(arguments, record))
}

fn measured(arguments: &Arguments, record: Record) -> Result<Record> {
    let Arguments { subscribers, events, rate, body_bytes, .. } = *arguments;
    let topics = arguments.state.map(Kept::topics).unwrap_or_default();
    let server = Server::provide_with_topics(&arguments.system, &topics)?;
    let publisher =
        server.publisher_with(TOPIC, body_bytes, |publication| match arguments.state {
            Some(_) => request::with_header(publication, "Bellwire-Key", "one"),
            None => publication,
        })?;
    let (delivered, cpu) = deliver(&server, publisher, subscribers, Pace { events, rate })?;

    let (deliveries, seconds) =
        (delivered.latency.count() as f64, delivered.duration.as_secs_f64());
    Ok(record
        .figure("deliveries_per_s", deliveries / seconds)
        .figure("published_events_per_s", delivered.events as f64 / seconds)
        .latency("latency", &delivered.latency)
        .cpu("server_cpu_us_per_delivery", cpu, deliveries))
}

/// Opens subscribers of one topic, and publishes to them. Returns what came, and the server's CPU
/// time from the first event on.
pub(super) fn measure(
    server: &Server,
    (subscribers, body_bytes): (usize, usize),
    pace: Pace,
) -> Result<(Delivered, Option<Duration>)> {
    deliver(server, server.publisher(TOPIC, body_bytes)?, subscribers, pace)
}

fn deliver(
    server: &Server,
    publisher: Publisher,
    subscribers: usize,
    pace: Pace,
) -> Result<(Delivered, Option<Duration>)> {
    let mut members = server.subscribers(TOPIC)?;
    members.open(subscribers, AT_ONCE)?;
    let mut flow = Flow { publishers: vec![publisher], subscribers: members };
    server.timed(|| flow.run(pace, &AtomicBool::new(false)))
}
