//! Workload `soak`: the three transports side by side, while the network fails again and again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::Print;
use crate::load::provide_for;
use crate::result::{OutputFlags, Record};
use crate::soak::{self, FaultKind, Outcome, Plan, Side};
use crate::system::Server;

/// How often the server gives a sign: often, so that what is mute is noticed soon.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Each follower is a thread.
const FOLLOWERS_MAX: u64 = 100;

/// A year: the time of a run fits everywhere.
const SECONDS_MAX: u64 = 366 * 24 * 3600;

/// What `bench soak` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long to publish.
    #[arg(long, value_name = "SECONDS", default_value_t = 600,
          value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    seconds: u64,
    /// Followers on each of the transports: Server-Sent Events, WebSocket and long poll.
    #[arg(long, value_name = "COUNT", default_value_t = 4,
          value_parser = clap::value_parser!(u64).range(1..=FOLLOWERS_MAX))]
    followers: u64,
    /// Events to publish a second.
    #[arg(long, value_name = "EVENTS", default_value_t = 20.0)]
    rate: f64,
    /// Size of an event's body.
    #[arg(long, value_name = "BYTES", visible_alias = "size", default_value_t = 128)]
    body_bytes: usize,
    /// From one fault's end to the next, on average; faults last up to four fifths of it.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 20_000,
          value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    fault_interval_ms: u64,
    /// What the wait before a follower's next connection is drawn below; after each fault that
    /// follows soon, below twice that.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(1..=30_000))]
    backoff_ms: u64,
    /// What decides which faults come when [default: another one each time]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u32>,
    /// Write the results so far to this file every ten seconds, in place of those before.
    #[arg(long, value_name = "FILE")]
    so_far: Option<PathBuf>,
    #[command(flatten)]
    output: OutputFlags,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let Arguments { seconds, followers, rate, body_bytes, .. } = *arguments;
    // Each follower has a connection to the network, which has one more on both of its sides.
    provide_for(9 * followers as usize)?;
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u32(..));
    let plan = Plan {
        followers: followers as usize,
        rate,
        body_bytes,
        time: Duration::from_secs(seconds),
        fault_interval: Duration::from_millis(arguments.fault_interval_ms),
        backoff: Duration::from_millis(arguments.backoff_ms),
        heartbeat: HEARTBEAT,
        seed: u64::from(seed),
    };
    plan.check()?;
    let configuration = format!("heartbeat_interval = \"{}ms\"\n", HEARTBEAT.as_millis());
    let server = Server::bellwire_with_topics(&configuration, None)?;
    let outcome = soak::run(&server, &plan, |so_far| match &arguments.so_far {
        Some(path) => write(path, &records(&plan, so_far)),
        None => Ok(()),
    })?;
    let records = records(&plan, &outcome);
    if let Some(path) = &arguments.so_far {
        write(path, &records)?;
    }
    for record in &records {
        record.publish(&arguments.output, print)?;
    }
    let wrong = outcome.faults_of_delivery();
    if !wrong.is_empty() {
        bail!("not each event came once and in order, with seed {seed}: {}", wrong.join("; "));
    }
    Ok(())
}

/// A line of JSON for each transport.
fn write(path: &Path, records: &[Record]) -> Result<()> {
    let mut lines = String::new();
    for record in records {
        lines.push_str(&serde_json::to_string(record).context("a result is JSON")?);
        lines.push('\n');
    }
    // Whoever reads it finds all of it, also where this ends here.
    let beside = path.with_extension("new");
    std::fs::write(&beside, lines)
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn records(plan: &Plan, outcome: &Outcome) -> Vec<Record> {
    outcome.sides.iter().map(|side| record(plan, outcome, side)).collect()
}

fn record(plan: &Plan, outcome: &Outcome, Side { transport, tally }: &Side) -> Record {
    let each = |count: u64| count as f64 / tally.events.max(1) as f64;
    let ms = |time: Duration| time.as_millis() as u64;
    let mut record = Record::new("soak")
        .parameter("transport", transport.as_str())
        .parameter("seconds", plan.time.as_secs())
        .parameter("followers", plan.followers)
        .parameter("rate", plan.rate)
        .parameter("body_bytes", plan.body_bytes)
        .parameter("fault_interval_ms", ms(plan.fault_interval))
        .parameter("backoff_ms", ms(plan.backoff))
        .parameter("heartbeat_ms", ms(plan.heartbeat))
        .parameter("seed", plan.seed)
        .figure("published", outcome.published as f64)
        .figure("deliveries", tally.events as f64)
        .figure("missed", tally.missed as f64)
        .figure("doubled", tally.doubled as f64)
        .figure("reordered", tally.reordered as f64)
        .figure("gaps", tally.gaps as f64)
        .latency("latency", &tally.latency)
        .figure("bytes_per_event", each(tally.bytes))
        .figure("requests_per_event", each(tally.requests))
        .figure("connections", tally.connections as f64)
        .figure("faults", outcome.faults.values().sum::<u64>() as f64);
    for kind in FaultKind::ALL {
        if let Some(recovery) = tally.recovery.get(&kind) {
            record = record.latency(&format!("recovery_{}", kind.as_str()), recovery);
        }
    }
    let memories = [("begin", outcome.memory_at_begin), ("end", outcome.memory_at_end)];
    for (when, memories) in memories {
        let bytes = |of: fn(&soak::Memories) -> u64| memories.as_ref().map(|all| of(all) as f64);
        record = record
            .maybe_figure(&format!("server_rss_{when}_bytes"), bytes(|all| all.server.rss_bytes))
            .maybe_figure(&format!("own_rss_{when}_bytes"), bytes(|all| all.generator.rss_bytes));
    }
    record
}
