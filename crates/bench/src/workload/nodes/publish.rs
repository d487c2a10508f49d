//! How many events a second one node acknowledges, and that each of them is at another, once and in order.

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
use crate::soak::{self, Ledger};
use crate::system::Nodes;

/// What the publishers' topics have in common.
const FILTER: &str = "bench/publish/**";

/// How long who lacks events waits for more: below what is silence for a connection.
const WAIT_S: u64 = 20;

pub(super) fn run(arguments: &Arguments, print: Print, wrong: &mut Vec<String>) -> Result<()> {
    let single = Shape {
        batch: 1,
        body_bytes: arguments.body_bytes,
        by: arguments.transport,
        in_flight: arguments.in_flight,
        is_numbered: true,
    };
    let batches = Shape { batch: arguments.batch, by: By::Http, in_flight: 1, ..single };
    let mut shapes = vec![single, batches];
    shapes.dedup_by_key(|shape| shape.batch);
    for shape in shapes {
        let parameters = |record: Record| {
            let record = shape.by.noted(record, shape.in_flight);
            record
                .parameter("publishers", arguments.publishers)
                .parameter("batch", shape.batch)
                .parameter("body_bytes", shape.body_bytes)
                .parameter("seconds", arguments.seconds)
        };
        let ratios = ["acknowledged_events_per_s", "request_p50_ms", "request_p99_ms"];
        arguments.both("nodes-publish", print, parameters, &ratios, |nodes, record| {
            let record = measure(arguments, shape, &nodes, record)?;
            let bad = ["missing", "doubled", "reordered", "unaccounted"];
            let counts = bad.map(|it| record.number(&format!("{it}_events")).unwrap_or_default());
            if counts.iter().any(|count| *count > 0.0) {
                let engine = record.text("engine").unwrap_or_default();
                let [missing, doubled, reordered, more] = counts;
                wrong.push(format!(
                    "{engine}, batches of {}: of acknowledged events {missing} missing, {doubled} \
                     doubled, {reordered} reordered; {more} that nobody sent",
                    shape.batch
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
    let mut arrivals = Arrivals::new(load.last_numbers());
    drop(load);

    ensure!(tally.acknowledged_events > 0, "no event was acknowledged");
    let events = tally.acknowledged_events as f64;
    let refused = tally.refused_requests + around.refused_requests;
    arrivals.read(nodes.last().peer())?;
    let soak::Tally { missed, doubled, reordered, .. } = arrivals.tally();
    let record = record
        .figure("acknowledged_events_per_s", events / duration.as_secs_f64())
        .latency("request", &tally.request)
        .figure("refused_requests", refused as f64)
        .figure("arrived_events", arrivals.count as f64)
        .figure("missing_events", missed as f64)
        .figure("doubled_events", doubled as f64)
        .figure("reordered_events", reordered as f64)
        .figure("unaccounted_events", arrivals.unaccounted as f64);
    Ok(with_cpu(record, cpu, events))
}

/// The answer to a poll.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    events: Vec<Arrived<'a>>,
    #[serde(borrow)]
    cursor: Cow<'a, str>,
    gap: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Arrived<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    data: Body<'a>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    number: Cow<'a, str>,
}

/// What has come of each publisher.
#[derive(Debug)]
struct Arrivals {
    /// The number of the newest event that was acknowledged to each, and what has come of it.
    publishers: Vec<(u64, Ledger)>,
    count: u64,
    /// Events that nobody was acknowledged.
    unaccounted: u64,
}

impl Arrivals {
    fn new(last_numbers: Vec<u64>) -> Self {
        let publishers = last_numbers.into_iter().map(|last| (last, Ledger::new())).collect();
        Self { publishers, count: 0, unaccounted: 0 }
    }

    fn take(&mut self, publisher: Option<usize>, number: Option<u64>) {
        self.count += 1;
        let known = publisher.and_then(|at| self.publishers.get_mut(at)).zip(number);
        match known.filter(|((last, _), number)| (1..=*last).contains(number)) {
            Some(((_, ledger), number)) => ledger.event(number, Duration::ZERO, Duration::ZERO),
            None => self.unaccounted += 1,
        }
    }

    /// Reads all that a node has, until nothing more comes.
    fn read(&mut self, peer: &Peer) -> Result<()> {
        let expected = self.publishers.iter().map(|(last, _)| last).sum();
        let mut connection = Connection::open(peer)?;
        let mut cursor = "earliest".to_owned();
        loop {
            let wait = if self.count < expected { WAIT_S } else { 0 };
            let path = format!("/v1/events?topic={FILTER}&after={cursor}&wait={wait}s");
            let answer = connection.ask(&request::poll(&path))?;
            let page: Page<'_> = serde_json::from_slice(&answer).context("no answer to a poll")?;
            ensure!(page.gap.is_none(), "the journal no longer has all events");
            if page.events.is_empty() {
                return Ok(());
            }
            for Arrived { topic, data } in page.events {
                let publisher = topic.rsplit('/').next().and_then(|name| name.parse().ok());
                self.take(publisher, data.number.parse().ok());
            }
            cursor = page.cursor.into_owned();
        }
    }

    /// What became of all that was acknowledged.
    fn tally(&self) -> soak::Tally {
        let mut all = soak::Tally::new();
        for (last, ledger) in &self.publishers {
            all.add(&ledger.tally_at(*last));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_lost_is_missed_though_another_came_twice() {
        let mut arrivals = Arrivals::new(vec![3, 2]);
        for (publisher, number) in [(0, 1), (1, 1), (0, 3), (0, 3), (1, 2)] {
            arrivals.take(Some(publisher), Some(number));
        }
        let soak::Tally { missed, doubled, reordered, .. } = arrivals.tally();
        assert_eq!((arrivals.count, arrivals.unaccounted), (5, 0));
        assert_eq!((missed, doubled, reordered), (1, 1, 0));
    }

    #[test]
    fn what_nobody_was_acknowledged_is_told_apart() {
        let mut arrivals = Arrivals::new(vec![2]);
        for number in [Some(1), Some(2), Some(3), Some(0), None] {
            arrivals.take(Some(0), number);
        }
        arrivals.take(Some(7), Some(1));
        arrivals.take(None, Some(1));
        assert_eq!(arrivals.unaccounted, 5);
        let soak::Tally { missed, doubled, reordered, .. } = arrivals.tally();
        assert_eq!((missed, doubled, reordered), (0, 0, 0));
    }
}
