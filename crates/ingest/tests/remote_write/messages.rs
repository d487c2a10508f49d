//! Writes messages of remote write, as senders do.

/// A series to be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    pub(crate) labels: Vec<(String, String)>,
    /// Values and times in milliseconds.
    pub(crate) samples: Vec<(f64, i64)>,
    /// How many native histograms and exemplars there are.
    pub(crate) histograms: usize,
    pub(crate) exemplars: usize,
}

/// A series of samples alone.
pub(crate) fn series(labels: &[(&str, &str)], samples: &[(f64, i64)]) -> Series {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Series {
        labels: labels.iter().map(owned).collect(),
        samples: samples.to_vec(),
        ..Series::default()
    }
}

/// `prometheus.WriteRequest`, with metadata behind the series as Prometheus sends it.
pub(crate) fn v1(all: &[Series]) -> Vec<u8> {
    let mut body = Vec::new();
    for series in all {
        let mut message = Vec::new();
        for (name, value) in &series.labels {
            let label =
                [bytes_field(1, name.as_bytes()), bytes_field(2, value.as_bytes())].concat();
            message.extend(bytes_field(1, &label));
        }
        message.extend(samples(series));
        for _ in 0..series.exemplars {
            message.extend(bytes_field(3, &double_field(2, 1.0)));
        }
        for _ in 0..series.histograms {
            message.extend(bytes_field(4, &double_field(3, 1.0)));
        }
        body.extend(bytes_field(1, &message));
    }
    body.extend(bytes_field(3, &bytes_field(4, b"what it is")));
    body
}

/// `io.prometheus.write.v2.Request`, each text once.
pub(crate) fn v2(all: &[Series]) -> Vec<u8> {
    let mut texts: Vec<&str> = vec![""];
    let mut written = Vec::new();
    for series in all {
        let mut references = Vec::new();
        for text in series.labels.iter().flat_map(|(name, value)| [name, value]) {
            let place = texts.iter().position(|known| known == text).unwrap_or_else(|| {
                texts.push(text);
                texts.len() - 1
            });
            references.extend(varint(place as u64));
        }
        let mut message = bytes_field(1, &references);
        message.extend(samples(series));
        for _ in 0..series.histograms {
            message.extend(bytes_field(3, &double_field(3, 1.0)));
        }
        for _ in 0..series.exemplars {
            message.extend(bytes_field(4, &double_field(2, 1.0)));
        }
        message.extend(bytes_field(5, &varint_field(1, 2)));
        written.extend(bytes_field(5, &message));
    }
    let mut body: Vec<u8> = Vec::new();
    for text in texts {
        body.extend(bytes_field(4, text.as_bytes()));
    }
    body.extend(written);
    body
}

fn samples(series: &Series) -> Vec<u8> {
    let mut written = Vec::new();
    for (value, time) in &series.samples {
        let sample = [double_field(1, *value), varint_field(2, time.cast_unsigned())].concat();
        written.extend(bytes_field(2, &sample));
    }
    written
}

pub(crate) fn bytes_field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [&varint(number << 3 | 2), &varint(bytes.len() as u64), bytes].concat()
}

pub(crate) fn varint_field(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

pub(crate) fn double_field(number: u64, value: f64) -> Vec<u8> {
    [&varint(number << 3 | 1)[..], &value.to_le_bytes()].concat()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
