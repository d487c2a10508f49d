//! How many events a second one node acknowledges, and that all of them are at another.

use std::borrow::Cow;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::publish::{By, Shape, WARM_UP, requests};
use super::{Arguments, with_cpu};
use crate::Print;
use crate::load::{Connection, Peer, Publishers, Tally, request};
use crate::result::Record;
use crate::system::Nodes;

/// What the publishers' topics have in common.
const FILTER: &str = "bench/publish/**";

/// How long who lacks events waits for more: below what is silence for a connection.
const WAIT_S: u64 = 20;

pub(super) fn run(arguments: &Arguments, print: Print, wrong: &mut Vec<String>) -> Result<()> {
    let single = Shape { batch: 1, body_bytes: arguments.body_bytes, by: arguments.transport };
    let batches = Shape { batch: arguments.batch, by: By::Http, ..single };
    let mut shapes = vec![single, batches];
    shapes.dedup_by_key(|shape| shape.batch);
    for shape in shapes {
        let parameters = |record: Record| {
            let record = match shape.by {
                By::Http => record,
                By::Websocket => record.parameter("transport", "websocket"),
            };
            record
                .parameter("publishers", arguments.publishers)
                .parameter("batch", shape.batch)
                .parameter("body_bytes", shape.body_bytes)
                .parameter("seconds", arguments.seconds)
        };
        let ratios = ["acknowledged_events_per_s", "request_p50_ms", "request_p99_ms"];
        arguments.both("nodes-publish", print, parameters, &ratios, |nodes, record| {
            let record = measure(arguments, shape, &nodes, record)?;
            let [missing, more] =
                ["missing_events", "unaccounted_events"].map(|it| record.number(it));
            if missing > Some(0.0) || more > Some(0.0) {
                let engine = record.text("engine").unwrap_or_default();
                wrong.push(format!(
                    "{engine}, batches of {}: {} acknowledged events missing, {} that nobody sent",
                    shape.batch,
                    missing.unwrap_or_default(),
                    more.unwrap_or_default()
                ));
            }
            Ok(record)
        })?;
    }
    Ok(())
}

fn measure(arguments: &Arguments, shape: Shape, nodes: &Nodes, record: Record) -> Result<Record> {
    let duration = Duration::from_secs(arguments.seconds);
    let requests = requests(arguments.publishers, shape)?;
    let mut load = Publishers::open(nodes.first().peer().address, requests)?;
    let (mut tally, mut around) = (Tally::new(), Tally::new());
    load.run(WARM_UP, &mut around)?;
    let ((), cpu) = nodes.timed(|| load.run(duration, &mut tally))?;
    // What is under way counts for nothing, but it arrives.
    load.finish(&mut around)?;
    drop(load);

    ensure!(tally.acknowledged_events > 0, "no event was acknowledged");
    let events = tally.acknowledged_events as f64;
    let acknowledged = tally.acknowledged_events + around.acknowledged_events;
    let refused = tally.refused_requests + around.refused_requests;
    let arrived = arrived(nodes.last().peer(), acknowledged)?;
    // What was refused may have been taken all the same.
    let most = acknowledged + refused * shape.batch as u64;
    let record = record
        .figure("acknowledged_events_per_s", events / duration.as_secs_f64())
        .latency("request", &tally.request)
        .figure("refused_requests", refused as f64)
        .figure("arrived_events", arrived as f64)
        .figure("missing_events", acknowledged.saturating_sub(arrived) as f64)
        .figure("unaccounted_events", arrived.saturating_sub(most) as f64);
    Ok(with_cpu(record, cpu, events))
}

/// The answer to a poll.
#[derive(Deserialize)]
struct Page<'a> {
    events: Vec<IgnoredAny>,
    #[serde(borrow)]
    cursor: Cow<'a, str>,
    gap: Option<IgnoredAny>,
}

/// How many events a node has, where it should have so many: reads until nothing more comes.
fn arrived(peer: &Peer, expected: u64) -> Result<u64> {
    let mut connection = Connection::open(peer)?;
    let (mut count, mut cursor) = (0, "earliest".to_owned());
    loop {
        let wait = if count < expected { WAIT_S } else { 0 };
        let path = format!("/v1/events?topic={FILTER}&after={cursor}&wait={wait}s");
        let answer = connection.ask(&request::poll(&path))?;
        let page: Page<'_> = serde_json::from_slice(&answer).context("no answer to a poll")?;
        ensure!(page.gap.is_none(), "the journal no longer has all events");
        if page.events.is_empty() {
            return Ok(count);
        }
        count += page.events.len() as u64;
        cursor = page.cursor.into_owned();
    }
}
