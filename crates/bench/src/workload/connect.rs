//! Workload `connect`: what it costs the server that a subscriber comes.

use anyhow::{Result, ensure};

use crate::Print;
use crate::load::{AT_ONCE, provide_for};
use crate::result::{OutputFlags, Record};
use crate::system::{Server, SystemFlags};

const TOPIC: &str = "bench/connect";

/// What `bench connect` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Subscribers that come, and stay.
    #[arg(long, value_name = "COUNT", default_value_t = 18_000)]
    connections: usize,
    /// Of them, how many are on their way at once.
    #[arg(long, value_name = "COUNT", default_value_t = AT_ONCE)]
    at_once: usize,
    #[command(flatten)]
    system: SystemFlags,
    #[command(flatten)]
    output: OutputFlags,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let Arguments { connections, at_once, ref system, .. } = *arguments;
    ensure!(connections > 0 && at_once > 0, "there is nobody to come");
    provide_for(connections)?;
    Record::of_system("connect", system)
        .parameter("connections", connections)
        .parameter("at_once", at_once)
        .complete(&arguments.output, print, |record| measure(arguments, record))
}

fn measure(arguments: &Arguments, record: Record) -> Result<Record> {
    let Arguments { connections, at_once, .. } = *arguments;
    let server = Server::provide(&arguments.system)?;
    let mut subscribers = server.subscribers(TOPIC)?;

    let (opened, cpu) = server.timed(|| subscribers.open(connections, at_once))?;
    drop(subscribers);

    let connects = connections as f64;
    Ok(record
        .figure("connects_per_s", connects / opened.duration.as_secs_f64())
        .latency("time_to_live", &opened.latency)
        .cpu("server_cpu_us_per_connect", cpu, connects))
}
