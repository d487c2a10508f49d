//! Workload `replay`: how fast the journal gives back what it holds, inside this process.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use bellwire_journal::{
    Append, Appended, ClockReading, DiskJournal, DiskOptions, Durability, Error, Journal, Observer,
    ReadLimit,
};
use bellwire_model::limits::{PAGE_BYTES_MAX, PAGE_EVENTS_MAX};
use bellwire_model::{Body, Entry, Epoch, Event, Filter, Offset, Timestamp, Topic};
use bytes::Bytes;

use crate::Print;
use crate::load::request;
use crate::result::{OutputFlags, Record};

/// Events of one append, and appends that wait for the journal's writer.
const BATCH_EVENTS: u64 = 1000;
const BATCHES_QUEUED: usize = 16;
const TOPICS: u64 = 100;
const EVENTS_MAX: u64 = 100_000_000;

/// What `bench replay` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Events in the journal.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000,
          value_parser = clap::value_parser!(u64).range(1..=EVENTS_MAX))]
    events: u64,
    /// Size of an event's body.
    #[arg(long, value_name = "BYTES", default_value_t = 256)]
    body_bytes: usize,
    #[command(flatten)]
    output: OutputFlags,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("bellwire-bench-")
        .tempdir()
        .context("cannot make a data directory")?;
    let options = DiskOptions {
        path: folder.path().to_owned(),
        durability: Durability::Interval,
        retention: Vec::new(),
        state_places: String::new(),
        fresh_epoch: Epoch::new(1),
        boot_id: None,
        now: ClockReading { wall: now(), uptime: std::time::Duration::ZERO },
    };
    let journal = DiskJournal::open(options, Box::new(Nobody))?;
    let filled_in = fill(&journal, arguments)?;
    let read_in = read(&journal, arguments.events)?;
    journal.close()?;

    let events = arguments.events as f64;
    Record::new("replay")
        .parameter("events", arguments.events)
        .parameter("body_bytes", arguments.body_bytes)
        .parameter("page_events", PAGE_EVENTS_MAX)
        .figure("events_per_s", events / read_in.as_secs_f64())
        .figure("body_bytes_per_s", events * arguments.body_bytes as f64 / read_in.as_secs_f64())
        .figure("filled_events_per_s", events / filled_in.as_secs_f64())
        .publish(&arguments.output, print)
}

/// Nobody follows.
#[derive(Debug)]
struct Nobody;

impl Observer for Nobody {
    fn on_commit(&mut self, entries: Vec<Entry>) {
        drop(entries);
    }
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ms(since_epoch.as_millis() as i64)
}

/// Appends all events, a few batches ahead of the replies.
fn fill(journal: &DiskJournal, arguments: &Arguments) -> Result<Duration> {
    let topic = |number| format!("bench/replay/{number}").parse::<Topic>();
    let topics = (0..TOPICS).map(topic).collect::<Result<Vec<_>, _>>()?;
    let body = Bytes::from(request::padded_json("", arguments.body_bytes)?);
    let event = |number: u64| {
        Append::new(
            Event {
                topic: topics[(number % TOPICS) as usize].clone(),
                key: None,
                event_type: None,
                time: now(),
                body: Some(Body::Json(body.clone())),
            },
            None,
        )
    };
    let (sender, replies) = sync_channel::<Result<Vec<Appended>, Error>>(BATCHES_QUEUED);
    let began = Instant::now();
    let mut under_way = 0;
    for first in (0..arguments.events).step_by(BATCH_EVENTS as usize) {
        if under_way == BATCHES_QUEUED {
            replies.recv()??;
            under_way -= 1;
        }
        let last = (first + BATCH_EVENTS).min(arguments.events);
        append(journal, (first..last).map(event).collect(), sender.clone())?;
        under_way += 1;
    }
    for _ in 0..under_way {
        replies.recv()??;
    }
    Ok(began.elapsed())
}

fn append(
    journal: &DiskJournal,
    batch: Vec<Append>,
    reply: SyncSender<Result<Vec<Appended>, Error>>,
) -> Result<()> {
    let reply = move |result| {
        // Whoever has given up does not need it.
        let _ = reply.send(result);
    };
    Ok(journal.append(batch, Box::new(reply))?)
}

/// Reads all, page by page, as one subscriber that has seen nothing.
fn read(journal: &DiskJournal, expected: u64) -> Result<Duration> {
    let filters = "**".parse::<Filter>().expect("a filter").into();
    let limit = ReadLimit { events: PAGE_EVENTS_MAX, bytes: PAGE_BYTES_MAX };
    let began = Instant::now();
    let (mut after, mut events) = (Offset::ZERO, 0);
    while after < journal.bounds().tail {
        let page = journal.read(after, &filters, limit)?;
        events += page.entries.len() as u64;
        after = page.end;
    }
    let duration = began.elapsed();
    ensure!(events == expected, "the journal gave back {events} of {expected} events");
    Ok(duration)
}
