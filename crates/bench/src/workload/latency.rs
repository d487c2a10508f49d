//! Workload `latency`: how long an event takes where nothing is short.

use anyhow::{Result, ensure};

use super::fanout;
use crate::Print;
use crate::load::{Pace, provide_for};
use crate::result::{OutputFlags, Record};
use crate::system::{Server, SystemFlags};

/// What `bench latency` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Subscribers of the topic.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    subscribers: usize,
    /// Events to publish.
    #[arg(long, value_name = "COUNT", default_value_t = 4000)]
    events: u64,
    /// Events to publish a second.
    #[arg(long, value_name = "EVENTS", default_value_t = 200.0)]
    rate: f64,
    /// Size of an event's body.
    #[arg(long, value_name = "BYTES", visible_alias = "size", default_value_t = 128)]
    body_bytes: usize,
    #[command(flatten)]
    system: SystemFlags,
    #[command(flatten)]
    output: OutputFlags,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let Arguments { subscribers, events, rate, body_bytes, ref system, .. } = *arguments;
    ensure!(subscribers > 0 && events > 0, "there is nothing to deliver");
    ensure!(rate > 0.0, "the rate is above 0");
    provide_for(subscribers)?;
    Record::of_system("latency", system)
        .parameter("subscribers", subscribers)
        .parameter("events", events)
        .parameter("rate", rate)
        .parameter("body_bytes", body_bytes)
        .complete(&arguments.output, print, |record| measure(arguments, record))
}

fn measure(arguments: &Arguments, record: Record) -> Result<Record> {
    let Arguments { subscribers, events, rate, body_bytes, .. } = *arguments;
    let server = Server::provide(&arguments.system)?;
    let pace = Pace { events, rate };
    let (delivered, cpu) = fanout::measure(&server, (subscribers, body_bytes), pace)?;

    let deliveries = delivered.latency.count() as f64;
    let each = |bytes: u64| bytes as f64 / deliveries;
    Ok(record
        .latency("latency", &delivered.latency)
        .cpu("server_cpu_us_per_delivery", cpu, deliveries)
        .figure("received_bytes_per_delivery", each(delivered.received_bytes))
        .figure("sent_bytes_per_delivery", each(delivered.sent_bytes)))
}
