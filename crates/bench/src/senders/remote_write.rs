//! Prometheus' remote write, as its two versions have it.

use anyhow::Result;
use bellwire_ingest::Decoded;
use bellwire_ingest::remote_write::{self, Version};
use bellwire_model::{NameMap, Sample};

use super::Sender;
use super::protobuf::{field, fixed64, number, varint};
use crate::fleet::Batch;

/// Sends each sample with its series, compressed.
pub(super) struct Prometheus(pub(super) Version);

impl Sender for Prometheus {
    fn encode(&mut self, batch: &Batch) -> Result<Vec<u8>> {
        let plain = match self.0 {
            Version::V1 => first(&batch.samples),
            Version::V2 => second(&batch.samples),
        };
        Ok(snap::raw::Encoder::new().compress_vec(&plain)?)
    }

    fn decode(&mut self, body: &[u8], batch: &Batch) -> Result<Decoded> {
        let plain = snap::raw::Decoder::new().decompress_vec(body)?;
        Ok(remote_write::decode(self.0, &plain, batch.time)?)
    }
}

/// `prometheus.WriteRequest`.
fn first(samples: &[Sample]) -> Vec<u8> {
    let (mut body, mut series, mut label) = (Vec::new(), Vec::new(), Vec::new());
    for sample in samples {
        series.clear();
        for (name, value) in sample.series.iter() {
            label.clear();
            field(&mut label, 1, name.as_bytes());
            field(&mut label, 2, value.as_bytes());
            field(&mut series, 1, &label);
        }
        field(&mut series, 2, &point(sample));
        field(&mut body, 1, &series);
    }
    body
}

/// `io.prometheus.write.v2.Request`.
fn second(samples: &[Sample]) -> Vec<u8> {
    let mut places: NameMap<&str, u64> = NameMap::default();
    places.insert("", 0);
    let mut texts = vec![""];
    let (mut all, mut series, mut references) = (Vec::new(), Vec::new(), Vec::new());
    for sample in samples {
        references.clear();
        for text in sample.series.iter().flat_map(|(name, value)| [name, value]) {
            let place = *places.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() as u64 - 1
            });
            varint(&mut references, place);
        }
        series.clear();
        field(&mut series, 1, &references);
        field(&mut series, 2, &point(sample));
        field(&mut all, 5, &series);
    }
    let mut body = Vec::new();
    for text in texts {
        field(&mut body, 4, text.as_bytes());
    }
    body.extend(all);
    body
}

fn point(sample: &Sample) -> Vec<u8> {
    let mut point = Vec::new();
    fixed64(&mut point, 1, sample.value.to_bits());
    number(&mut point, 2, sample.time.as_ms().cast_unsigned());
    point
}
