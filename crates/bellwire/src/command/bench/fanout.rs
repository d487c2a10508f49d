//! Workload `fanout`: one topic, many subscribers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::connection::{Connection, SILENCE_MAX};
use super::histogram::Histogram;
use super::marker::Marker;
use super::open_files;
use super::record::{OutputFlags, Record};
use super::request;
use super::server_process::{Durability, Launch, ServerFlags, ServerProcess};
use super::subscribers::Subscribers;

const TOPIC: &str = "bench/fanout";

/// How the body says when it was sent, in nanoseconds since the run began.
const SENT_MARK: &str = "\"sent_ns\":\"";
const SENT_DIGITS: usize = 16;

/// How long the receiving side waits before it looks whether all has come.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
const EVENTS_MAX: u64 = 10_000_000;

/// What `bench fanout` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
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
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    body_bytes: usize,
    /// When an event is acknowledged.
    #[arg(long, value_enum, default_value_t = Durability::Interval, conflicts_with = "server")]
    durability: Durability,
    #[command(flatten)]
    server: ServerFlags,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.subscribers > 0, "there is nobody to deliver to");
    ensure!(arguments.rate >= 0.0, "the rate is not below 0");
    open_files::provide_for(arguments.subscribers)?;
    let launch = Launch { durability: arguments.durability, rules: None };
    let server = ServerProcess::provide(&arguments.server, &launch)?;
    let mut subscribers = Subscribers::open(server.address(), TOPIC, arguments.subscribers)?;
    let mut publisher = Connection::open(server.address())?;

    let cpu_before = server.cpu_time()?;
    let delivered = measure(arguments, &mut subscribers, &mut publisher)?;
    let cpu_after = server.cpu_time()?;
    drop((subscribers, publisher));

    let cpu = cpu_after.zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    let (deliveries, seconds) =
        (delivered.latency.count() as f64, delivered.duration.as_secs_f64());
    Record::new("fanout")
        .parameter("subscribers", arguments.subscribers)
        .parameter("events", arguments.events)
        .parameter("rate", arguments.rate)
        .parameter("body_bytes", arguments.body_bytes)
        .parameter("durability", arguments.server.durability_text(arguments.durability))
        .figure("deliveries_per_s", deliveries / seconds)
        .figure("published_events_per_s", arguments.events as f64 / seconds)
        .figure("latency_p50_ms", delivered.latency.quantile_ms(0.5))
        .figure("latency_p99_ms", delivered.latency.quantile_ms(0.99))
        .figure("latency_max_ms", delivered.latency.max_ms())
        .maybe_figure(
            "server_cpu_us_per_delivery",
            cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / deliveries),
        )
        .publish(&arguments.output)
}

/// How far the publishing thread is, for the receiving one.
#[derive(Debug, Default)]
struct Progress {
    acknowledged: AtomicU64,
    /// Set by whichever thread ends first, with success or not.
    ended: AtomicBool,
}

struct Delivered {
    latency: Histogram,
    /// From the first publish to the last delivery.
    duration: Duration,
}

/// Publishes in a thread of its own, and receives until every subscriber has every event.
fn measure(
    arguments: &Arguments,
    subscribers: &mut Subscribers,
    connection: &mut Connection,
) -> Result<Delivered> {
    let begin = Instant::now();
    let progress = Progress::default();
    thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let result = publish(arguments, connection, begin, &progress);
            progress.ended.store(true, Ordering::Release);
            result
        });
        let received = receive(arguments, subscribers, begin, &progress);
        progress.ended.store(true, Ordering::Release);
        publishing.join().expect("the publisher does not panic")?;
        received
    })
}

fn publish(
    arguments: &Arguments,
    connection: &mut Connection,
    begin: Instant,
    progress: &Progress,
) -> Result<()> {
    let path = format!("/v1/topics/{TOPIC}");
    for number in 0..arguments.events {
        if progress.ended.load(Ordering::Acquire) {
            return Ok(());
        }
        if arguments.rate > 0.0 {
            let due = begin + Duration::from_secs_f64(number as f64 / arguments.rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let sent_ns = begin.elapsed().as_nanos();
        let members = format!("{SENT_MARK}{sent_ns:0SENT_DIGITS$}\",");
        let body = request::padded_json(&members, arguments.body_bytes)?;
        connection.ask(&request::post(&path, "application/json", body.as_bytes()))?;
        progress.acknowledged.fetch_add(1, Ordering::Release);
    }
    Ok(())
}

fn receive(
    arguments: &Arguments,
    subscribers: &mut Subscribers,
    begin: Instant,
    progress: &Progress,
) -> Result<Delivered> {
    let marker = Marker::new(SENT_MARK, SENT_DIGITS);
    let mut latency = Histogram::new();
    let mut last = begin;
    let (mut heard_at, mut is_wrong) = (Instant::now(), false);
    loop {
        let before = latency.count();
        subscribers.receive(&marker, LOOK_INTERVAL, |now, value| {
            match std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()) {
                Some(sent_ns) => {
                    latency.record((now - begin).saturating_sub(Duration::from_nanos(sent_ns)));
                }
                None => is_wrong = true,
            }
            last = now;
        })?;
        if latency.count() > before {
            heard_at = last;
        }
        ensure!(!is_wrong, "an event came back changed");
        let has_ended = progress.ended.load(Ordering::Acquire);
        let expected = progress.acknowledged.load(Ordering::Acquire) * arguments.subscribers as u64;
        if has_ended && latency.count() >= expected {
            ensure!(latency.count() == expected, "more events came than were published");
            let duration = last.saturating_duration_since(begin);
            return Some(Delivered { latency, duration })
                .filter(|delivered| !delivered.duration.is_zero())
                .context("nothing was delivered");
        }
        if heard_at.elapsed() > SILENCE_MAX {
            bail!("{} of {expected} deliveries came", latency.count());
        }
    }
}
