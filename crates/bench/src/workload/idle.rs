//! Workload `idle`: what a connection without traffic costs the server in memory.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::Print;
use crate::load::{AT_ONCE, Subscribers, provide_for};
use crate::process::{self, Memory};
use crate::result::{OutputFlags, Record};
use crate::system::{Server, SystemFlags};

const TOPIC: &str = "bench/idle";
const SETTLE_MAX_S: u64 = 600;
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// What `bench idle` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Streams to hold open.
    #[arg(long, value_name = "COUNT", default_value_t = 18_000)]
    connections: usize,
    /// Of them, how many are on their way at once.
    #[arg(long, value_name = "COUNT", default_value_t = AT_ONCE)]
    at_once: usize,
    /// How long to let memory settle before each look. The default has a heartbeat in it.
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=SETTLE_MAX_S))]
    settle_seconds: u64,
    #[command(flatten)]
    system: SystemFlags,
    #[command(flatten)]
    output: OutputFlags,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let Arguments { connections, at_once, settle_seconds, ref system, .. } = *arguments;
    ensure!(connections > 0 && at_once > 0, "there is nothing to hold open");
    provide_for(connections)?;
    let record = Record::of_system("idle", system).parameter("connections", connections);
    // Results of old were measured with the default, and do not name it.
    let record = if at_once == AT_ONCE { record } else { record.parameter("at_once", at_once) };
    record.parameter("settle_seconds", settle_seconds).complete(
        &arguments.output,
        print,
        |record| measure(arguments, record),
    )
}

fn measure(arguments: &Arguments, record: Record) -> Result<Record> {
    let Arguments { connections, at_once, settle_seconds, .. } = *arguments;
    let server = Server::provide(&arguments.system)?;
    let settle = Duration::from_secs(settle_seconds);
    let mut subscribers = server.subscribers(TOPIC)?;

    thread::sleep(settle);
    let (before, kernel_before) = (server.memory()?, process::kernel_memory());
    let opened = subscribers.open(connections, at_once)?;
    hold(&mut subscribers, settle)?;
    let (after, kernel_after) = (server.memory()?, process::kernel_memory());
    drop(subscribers);

    let count = connections as f64;
    let growth = |bytes: fn(&Memory) -> u64| (bytes(&after) as f64 - bytes(&before) as f64) / count;
    let kernel_growth = kernel_after
        .zip(kernel_before)
        .map(|(after, before)| (after as f64 - before as f64) / count);
    Ok(record
        .figure("pss_growth_bytes_per_connection", growth(|memory| memory.pss_bytes))
        .figure("rss_growth_bytes_per_connection", growth(|memory| memory.rss_bytes))
        .maybe_figure("kernel_growth_bytes_per_pair", kernel_growth)
        .figure("pss_before_bytes", before.pss_bytes as f64)
        .figure("pss_after_bytes", after.pss_bytes as f64)
        .figure("rss_after_bytes", after.rss_bytes as f64)
        .figure("opened_connections_per_s", count / opened.duration.as_secs_f64()))
}

/// Reads heartbeats, as clients do; a stream that ends is an error.
pub(super) fn hold(subscribers: &mut Subscribers, duration: Duration) -> Result<()> {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        subscribers.receive(LOOK_INTERVAL, |_, _| {})?;
    }
    Ok(())
}
