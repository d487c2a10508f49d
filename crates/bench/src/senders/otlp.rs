//! OTLP in Protocol Buffers, as a collector sends it: a resource for each target, a metric for each
//! name, a point for each series.

use std::collections::BTreeMap;

use anyhow::Result;
use bellwire_ingest::Decoded;
use bellwire_ingest::otlp::{self, Encoding, Settings};
use bellwire_model::{METRIC_NAME, Sample};

use super::Sender;
use super::protobuf::{field, fixed64, number};
use crate::fleet::Batch;

/// What the resource says of a target.
const JOB: &str = "job";
const INSTANCE: &str = "instance";
/// The end of the names of what is only counted up.
const TOTAL: &str = "_total";
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;
const NANOSECONDS_PER_MS: u64 = 1_000_000;

/// Sends what it has gathered of several targets.
#[derive(Default)]
pub(super) struct Collector {
    settings: Settings,
}

impl Sender for Collector {
    fn encode(&mut self, batch: &Batch) -> Result<Vec<u8>> {
        let of = |sample: &Sample| {
            [JOB, INSTANCE].map(|name| sample.series.get(name).unwrap_or_default().to_owned())
        };
        let mut body = Vec::new();
        for of_target in batch.samples.chunk_by(|one, next| of(one) == of(next)) {
            field(&mut body, 1, &resource_metrics(&of(&of_target[0]), of_target));
        }
        Ok(body)
    }

    fn decode(&mut self, body: &[u8], batch: &Batch) -> Result<Decoded> {
        Ok(otlp::decode(Encoding::Protobuf, body, &self.settings, batch.time)?)
    }
}

fn resource_metrics([job, instance]: &[String; 2], samples: &[Sample]) -> Vec<u8> {
    let mut resource = Vec::new();
    for (key, value) in [
        ("service.name", &**job),
        ("service.instance.id", &**instance),
        ("deployment.environment.name", "production"),
        ("telemetry.sdk.name", "opentelemetry"),
    ] {
        field(&mut resource, 1, &attribute(key, value));
    }
    let mut by_name: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        by_name.entry(sample.series.metric_name().unwrap_or_default()).or_default().push(sample);
    }
    let (mut scope, mut scope_metrics) = (Vec::new(), Vec::new());
    field(&mut scope, 1, b"otelcol/prometheusreceiver");
    field(&mut scope_metrics, 1, &scope);
    for (name, samples) in by_name {
        field(&mut scope_metrics, 2, &metric(name, &samples));
    }
    let mut all = Vec::new();
    field(&mut all, 1, &resource);
    field(&mut all, 2, &scope_metrics);
    all
}

fn metric(name: &str, samples: &[&Sample]) -> Vec<u8> {
    let (mut metric, mut data) = (Vec::new(), Vec::new());
    for sample in samples {
        field(&mut data, 1, &point(sample));
    }
    // `_total` is what the translation gives back to a sum that never falls.
    let counter = name.strip_suffix(TOTAL);
    field(&mut metric, 1, counter.unwrap_or(name).as_bytes());
    field(&mut metric, 2, b"What a fleet has to say.");
    if counter.is_some() {
        number(&mut data, 2, CUMULATIVE);
        number(&mut data, 3, 1);
        field(&mut metric, 7, &data);
    } else {
        field(&mut metric, 5, &data);
    }
    metric
}

fn point(sample: &Sample) -> Vec<u8> {
    let mut point = Vec::new();
    fixed64(&mut point, 3, sample.time.as_ms().cast_unsigned() * NANOSECONDS_PER_MS);
    fixed64(&mut point, 4, sample.value.to_bits());
    for (name, value) in sample.series.iter() {
        if ![METRIC_NAME, JOB, INSTANCE].contains(&name) {
            field(&mut point, 7, &attribute(name, value));
        }
    }
    point
}

fn attribute(key: &str, value: &str) -> Vec<u8> {
    let (mut pair, mut text) = (Vec::new(), Vec::new());
    field(&mut text, 1, value.as_bytes());
    field(&mut pair, 1, key.as_bytes());
    field(&mut pair, 2, &text);
    pair
}
