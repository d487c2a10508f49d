//! Many streams spread over all nodes: what each costs, and until one event has reached all.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::super::idle::hold;
use super::Arguments;
use crate::Print;
use crate::histogram::Histogram;
use crate::load::{AT_ONCE, Heard, Publisher, SILENCE_MAX, Subscribers};
use crate::process::Memory;
use crate::result::Record;
use crate::system::Nodes;

const TOPIC: &str = "bench/streams";
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

pub(super) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let parameters = |record: Record| {
        record
            .parameter("streams", arguments.streams)
            .parameter("broadcasts", arguments.broadcasts)
            .parameter("body_bytes", arguments.body_bytes)
            .parameter("settle_seconds", arguments.settle_seconds)
    };
    let ratios = ["pss_growth_bytes_per_stream", "first_p50_ms", "median_p50_ms", "last_p50_ms"];
    arguments.both("nodes-streams", print, parameters, &ratios, |nodes, record| {
        measure(arguments, &nodes, record)
    })
}

fn measure(arguments: &Arguments, nodes: &Nodes, record: Record) -> Result<Record> {
    let Arguments { streams, broadcasts, body_bytes, settle_seconds, .. } = *arguments;
    let settle = Duration::from_secs(settle_seconds);
    let mut publisher = nodes.first().publisher(TOPIC, body_bytes)?;
    // The first event takes what is made once, with nobody there.
    publisher.publish()?;
    let mut subscribers = nodes.first().subscribers(TOPIC)?.spread_over(nodes.peers());
    thread::sleep(settle);
    let before = nodes.memory()?;
    let opened = subscribers.open(streams, AT_ONCE)?;
    hold(&mut subscribers, settle)?;
    let after = nodes.memory()?;

    let mut times = Times::new();
    for _ in 0..broadcasts {
        times.add(&broadcast(&mut publisher, &mut subscribers)?);
    }
    let growth =
        |bytes: fn(&Memory) -> u64| (bytes(&after) as f64 - bytes(&before) as f64) / streams as f64;
    let count = nodes.count() as f64;
    Ok(record
        .figure("pss_growth_bytes_per_stream", growth(|memory| memory.pss_bytes))
        .figure("rss_growth_bytes_per_stream", growth(|memory| memory.rss_bytes))
        .figure("pss_before_bytes_per_node", before.pss_bytes as f64 / count)
        .figure("pss_after_bytes_per_node", after.pss_bytes as f64 / count)
        .figure("opened_streams_per_s", streams as f64 / opened.duration.as_secs_f64())
        .figure("first_p50_ms", times.first.quantile_ms(0.5))
        .figure("median_p50_ms", times.median.quantile_ms(0.5))
        .figure("last_p50_ms", times.last.quantile_ms(0.5))
        .figure("last_max_ms", times.last.max_ms()))
}

/// How long broadcasts took to their first, median and last subscriber.
#[derive(Debug)]
struct Times {
    first: Histogram,
    median: Histogram,
    last: Histogram,
}

impl Times {
    fn new() -> Self {
        Self { first: Histogram::new(), median: Histogram::new(), last: Histogram::new() }
    }

    /// Counts one more, given how long it took to each.
    fn add(&mut self, latency: &Histogram) {
        let ms = |ms: f64| Duration::from_secs_f64(ms / 1e3);
        self.first.record(ms(latency.quantile_ms(0.0)));
        self.median.record(ms(latency.quantile_ms(0.5)));
        self.last.record(ms(latency.max_ms()));
    }
}

/// Publishes one event, and receives until all have it. Returns how long it took to each.
fn broadcast(publisher: &mut Publisher, subscribers: &mut Subscribers) -> Result<Histogram> {
    let count = subscribers.count() as u64;
    thread::scope(|scope| {
        let publishing = scope.spawn(|| publisher.publish());
        let (mut latency, began) = (Histogram::new(), Instant::now());
        while latency.count() < count {
            subscribers.receive(LOOK_INTERVAL, |_, heard| {
                if let Heard::Event { after } = heard {
                    latency.record(after);
                }
            })?;
            let is_late = began.elapsed() > SILENCE_MAX;
            ensure!(!is_late, "an event reached {} of {count} streams", latency.count());
        }
        publishing.join().expect("the publisher does not panic")?;
        Ok(latency)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_first_the_median_and_the_last() {
        let mut times = Times::new();
        for factor in [1, 2, 3] {
            let mut latency = Histogram::new();
            for ms in 1..=100 {
                latency.record(Duration::from_millis(ms * factor));
            }
            times.add(&latency);
        }
        let near = |found: f64, expected: f64| (found - expected).abs() <= expected / 50.0;
        assert!(near(times.first.quantile_ms(0.5), 2.0), "{times:?}");
        assert!(near(times.median.quantile_ms(0.5), 100.0), "{times:?}");
        assert!(near(times.last.quantile_ms(0.5), 200.0), "{times:?}");
        assert!(near(times.last.max_ms(), 300.0), "{times:?}");
    }
}
