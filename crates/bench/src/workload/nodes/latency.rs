//! From publishing at one node to the arrival at another.

use std::sync::atomic::AtomicBool;

use anyhow::Result;

use super::{Arguments, with_cpu};
use crate::Print;
use crate::load::{AT_ONCE, Flow, Pace};
use crate::result::Record;
use crate::system::Nodes;

const TOPIC: &str = "bench/nodes";

pub(super) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let parameters = |record: Record| {
        record
            .parameter("rate", arguments.rate)
            .parameter("publishers", arguments.publishers)
            .parameter("body_bytes", arguments.body_bytes)
            .parameter("seconds", arguments.seconds)
    };
    let ratios = ["latency_p50_ms", "latency_p99_ms"];
    arguments.both("nodes-latency", print, parameters, &ratios, |nodes, record| {
        measure(arguments, &nodes, record)
    })
}

fn measure(arguments: &Arguments, nodes: &Nodes, record: Record) -> Result<Record> {
    let Arguments { rate, publishers, body_bytes, seconds, .. } = *arguments;
    let mut subscribers = nodes.last().subscribers(TOPIC)?;
    subscribers.open(1, AT_ONCE)?;
    let publisher = |_| nodes.first().publisher(TOPIC, body_bytes);
    let publishers = (0..publishers).map(publisher).collect::<Result<_>>()?;
    let mut flow = Flow { publishers, subscribers };
    let pace = Pace { events: (seconds as f64 * rate).ceil() as u64, rate };
    let (delivered, cpu) = nodes.timed(|| flow.run(pace, &AtomicBool::new(false)))?;

    let events = delivered.events as f64;
    let record = record
        .latency("latency", &delivered.latency)
        .figure("published_events_per_s", events / delivered.duration.as_secs_f64());
    Ok(with_cpu(record, cpu, events))
}
