//! Workload `keys`: what very many keys of state take of the server's memory, and how long a start
//! with them takes.

use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bellwire_model::limits::EVENTS_PER_REQUEST_MAX;

use crate::Print;
use crate::load::{Connection, request};
use crate::process::Memory;
use crate::result::{OutputFlags, Record};
use crate::system::Server;

const TOPIC: &str = "bench/keys";
/// Of each key, its text.
const KEY_BYTES: usize = 10;
const SETTLE_MAX_S: u64 = 600;

/// What `bench keys` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Keys of one state topic; of ten characters each.
    #[arg(long, value_name = "COUNT", default_value_t = 500_000,
          value_parser = clap::value_parser!(u64).range(1..=KEYS_MAX))]
    keys: u64,
    /// Size of a value.
    #[arg(long, value_name = "BYTES", default_value_t = 32)]
    body_bytes: usize,
    /// Keep them on the disk, and measure a start with them.
    #[arg(long)]
    disk: bool,
    /// How long to let memory settle before each look.
    #[arg(long, value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=SETTLE_MAX_S))]
    settle_seconds: u64,
    #[command(flatten)]
    output: OutputFlags,
}

/// The server has some of its own beside these, and those that only alerts may take.
const KEYS_MAX: u64 = 10_000_000;

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let Arguments { keys, body_bytes, disk, settle_seconds, .. } = *arguments;
    let durability = if disk { "disk" } else { "memory" };
    let topics = format!(
        "[[topic]]\nmatch = \"{TOPIC}\"\nkind = \"state\"\ndurability = \"{durability}\"\n"
    );
    let settle = Duration::from_secs(settle_seconds);
    let server = Server::bellwire_with_topics(&topics, None)?;
    thread::sleep(settle);
    let before = server.memory()?;
    let began = Instant::now();
    let ((), cpu) = server.timed(|| put(&server, arguments))?;
    let put_in = began.elapsed();
    thread::sleep(settle);
    let of_key = Shares { before, keys: keys as f64, own: KEY_BYTES + body_bytes };

    let record = Record::new("keys")
        .parameter("keys", keys)
        .parameter("body_bytes", body_bytes)
        .parameter("durability", durability)
        .parameter("settle_seconds", settle_seconds)
        .figure("put_keys_per_s", of_key.keys / put_in.as_secs_f64())
        .cpu("server_cpu_us_per_key", cpu, of_key.keys)
        .figure("rss_bytes_per_key_beside_its_own", of_key.beside(server.memory()?));
    let record = if disk { restarted(record, server, (&topics, settle), &of_key)? } else { record };
    record.publish(&arguments.output, print)
}

/// What a key takes beside its own text and value.
struct Shares {
    before: Memory,
    keys: f64,
    own: usize,
}

impl Shares {
    fn beside(&self, now: Memory) -> f64 {
        let grown = now.rss_bytes as f64 - self.before.rss_bytes as f64;
        grown / self.keys - self.own as f64
    }
}

/// The same with what a start takes that finds all keys on the disk.
fn restarted(
    record: Record,
    server: Server,
    (topics, settle): (&str, Duration),
    of_key: &Shares,
) -> Result<Record> {
    let folder = server.leave();
    ensure!(folder.is_some(), "the server that was started has a folder");
    let began = Instant::now();
    let server = Server::bellwire_with_topics(topics, folder)?;
    let started_in = began.elapsed();
    let cpu = server.cpu_time()?;
    let at_once = server.memory()?;
    thread::sleep(settle);
    Ok(record
        .figure("start_s", started_in.as_secs_f64())
        .maybe_figure("start_cpu_s", cpu.map(|cpu| cpu.as_secs_f64()))
        .figure("rss_after_start_bytes", at_once.rss_bytes as f64)
        .figure("rss_bytes_per_key_after_start_beside_its_own", of_key.beside(server.memory()?)))
}

/// Puts all keys, as many at a time as a request may have.
fn put(server: &Server, arguments: &Arguments) -> Result<()> {
    let mut connection = Connection::open(server.peer())?;
    for first in (0..arguments.keys).step_by(EVENTS_PER_REQUEST_MAX) {
        let last = (first + EVENTS_PER_REQUEST_MAX as u64).min(arguments.keys);
        let mut lines = String::new();
        for key in first..last {
            let data = request::padded_json(&format!("\"n\":\"{key:08}\","), arguments.body_bytes)?;
            let key = format!("k{key:09}");
            writeln!(lines, "{{\"topic\":\"{TOPIC}\",\"key\":\"{key}\",\"data\":{data}}}")?;
        }
        let path = "/v1/events?atomic=true";
        connection.ask(&request::post(path, "application/x-ndjson", lines.as_bytes()))?;
    }
    Ok(())
}
