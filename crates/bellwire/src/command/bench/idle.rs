//! Workload `idle`: what a connection without traffic costs the server in memory.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::marker::Marker;
use super::open_files;
use super::process::{self, Memory};
use super::record::{OutputFlags, Record};
use super::server_process::{Durability, Launch, ServerFlags, ServerProcess};
use super::subscribers::Subscribers;

const TOPIC: &str = "bench/idle";
const SETTLE_MAX_S: u64 = 600;
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// What `bench idle` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Streams to hold open.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    connections: usize,
    /// How long to let memory settle before each look. The default has a heartbeat in it.
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=SETTLE_MAX_S))]
    settle_seconds: u64,
    #[command(flatten)]
    server: ServerFlags,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.connections > 0, "there is nothing to hold open");
    open_files::provide_for(arguments.connections)?;
    let launch = Launch { durability: Durability::Interval, rules: None };
    let server = ServerProcess::provide(&arguments.server, &launch)?;
    let pid = server.pid().context("say which process the server is, with --pid")?;
    let settle = Duration::from_secs(arguments.settle_seconds);

    thread::sleep(settle);
    let before = process::memory(pid)?;
    let began = Instant::now();
    let mut subscribers = Subscribers::open(server.address(), TOPIC, arguments.connections)?;
    let opened_in = began.elapsed();
    hold(&mut subscribers, settle)?;
    let after = process::memory(pid)?;
    drop(subscribers);

    let connections = arguments.connections as f64;
    let growth =
        |bytes: fn(&Memory) -> u64| (bytes(&after) as f64 - bytes(&before) as f64) / connections;
    Record::new("idle")
        .parameter("connections", arguments.connections)
        .parameter("settle_seconds", arguments.settle_seconds)
        .figure("pss_growth_bytes_per_connection", growth(|memory| memory.pss_bytes))
        .figure("rss_growth_bytes_per_connection", growth(|memory| memory.rss_bytes))
        .figure("pss_before_bytes", before.pss_bytes as f64)
        .figure("pss_after_bytes", after.pss_bytes as f64)
        .figure("rss_after_bytes", after.rss_bytes as f64)
        .figure("opened_connections_per_s", connections / opened_in.as_secs_f64())
        .publish(&arguments.output)
}

/// Reads heartbeats, as clients do; a stream that ends is an error.
fn hold(subscribers: &mut Subscribers, duration: Duration) -> Result<()> {
    let nothing = Marker::new("\n", 0);
    let end = Instant::now() + duration;
    while Instant::now() < end {
        subscribers.receive(&nothing, LOOK_INTERVAL, |_, _| {})?;
    }
    Ok(())
}
