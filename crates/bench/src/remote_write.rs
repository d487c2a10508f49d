//! Requests of Prometheus' remote write, as its two versions have them.

use bellwire_ingest::remote_write::Version;
use bellwire_model::{NameMap, Sample};

/// A body with these samples, each with its series, compressed as it is sent.
pub(crate) fn body(version: Version, samples: &[Sample]) -> Vec<u8> {
    let plain = match version {
        Version::V1 => first(samples),
        Version::V2 => second(samples),
    };
    snap::raw::Encoder::new().compress_vec(&plain).expect("a body is shorter than 4 GiB")
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
    let mut point = vec![1 << 3 | 1];
    point.extend(sample.value.to_le_bytes());
    point.push(2 << 3);
    varint(&mut point, sample.time.as_ms().cast_unsigned());
    point
}

fn field(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
