//! Prometheus' remote write: messages of protobuf, read as they stand in their bytes.
//!
//! | message | version | its samples |
//! |---|---|---|
//! | `prometheus.WriteRequest` | 1.0 | series with their labels as text |
//! | `io.prometheus.write.v2.Request` | 2.0 | series whose labels are places in a table of texts |
//!
//! Values are taken as they are, NaN and infinities too, and the bits of a stale marker stay. Native
//! histograms and exemplars are counted as refused; metadata and start times are passed over.

use std::fmt::Write as _;

use bellwire_model::limits::{
    LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX, REJECT_EXCERPT_BYTES_MAX,
    SAMPLES_PER_REQUEST_BYTES_MAX, SAMPLES_PER_REQUEST_MAX, SYMBOLS_MAX,
};
use bellwire_model::{Labels, LabelsError, METRIC_NAME, Sample, SampleError, Timestamp};
use thiserror::Error;

use crate::decoded::{Decoded, Refusal, quoted};
use crate::protobuf;

mod v1;
mod v2;

/// The code of native histograms, which no rule can look at.
pub const HISTOGRAM_UNSUPPORTED: &str = "histogram_unsupported";
/// The code of exemplars, which no rule looks at.
pub const EXEMPLAR_UNSUPPORTED: &str = "exemplar_unsupported";
/// The code of what is more than a request may have.
const TOO_MANY_SAMPLES: &str = "too_many_samples";

/// Which message a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

impl Version {
    /// The message of a name, as `proto=` gives it.
    pub fn named(name: &str) -> Option<Self> {
        [Self::V1, Self::V2].into_iter().find(|version| version.name() == name)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "prometheus.WriteRequest",
            Self::V2 => "io.prometheus.write.v2.Request",
        }
    }
}

/// Why nothing of a body is taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the body is no `{}`: {reason}", version.name())]
pub struct Error {
    version: Version,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
enum Reason {
    #[error(transparent)]
    Protobuf(#[from] protobuf::Error),
    #[error("it has the fields of the other version")]
    OtherVersion,
    #[error("a text is not UTF-8")]
    Utf8,
    #[error("it has more than {SYMBOLS_MAX} texts")]
    Symbols,
}

/// Reads a body. Series are counted from 1, and a rejection says which it is of.
pub fn decode(version: Version, body: &[u8], now: Timestamp) -> Result<Decoded, Error> {
    let taker = Taker { now, bytes: 0, number: 0, decoded: Decoded::default() };
    let decoded = match version {
        Version::V1 => v1::decode(body, taker),
        Version::V2 => v2::decode(body, taker),
    };
    decoded.map_err(|reason| Error { version, reason })
}

/// Labels of a series that are read: beyond it they are no labels of anybody's. An empty one is of
/// two bytes, and takes sixteen times as much.
const LABELS_READ_MAX: usize = 4 * LABELS_PER_SERIES_MAX;

/// What a series has beside its labels.
#[derive(Clone, Debug, Default)]
struct Contents {
    /// As many as a request may have.
    samples: Vec<(f64, i64)>,
    samples_beyond: usize,
    labels_beyond: usize,
    histograms: usize,
    exemplars: usize,
}

impl Contents {
    fn clear(&mut self) {
        let samples = std::mem::take(&mut self.samples);
        *self = Self { samples, ..Self::default() };
        self.samples.clear();
    }

    /// Adds a sample, which both versions write in the same way. What else 2.0 says of it is passed
    /// over.
    fn push_sample(&mut self, message: &[u8]) -> Result<(), protobuf::Error> {
        let (mut value, mut time) = (0.0, 0);
        for field in protobuf::Fields::of(message) {
            match field? {
                (1, field) => value = field.double()?,
                (2, field) => time = field.int64()?,
                _ => {}
            }
        }
        if self.samples.len() < SAMPLES_PER_REQUEST_MAX {
            self.samples.push((value, time));
        } else {
            self.samples_beyond += 1;
        }
        Ok(())
    }
}

/// Takes series after series.
struct Taker {
    now: Timestamp,
    /// What the samples take.
    bytes: usize,
    /// Which series it is, from 1.
    number: usize,
    decoded: Decoded,
}

impl Taker {
    /// Takes the samples of a series, or refuses all of it.
    fn series(&mut self, labels: &[(&str, &str)], contents: &Contents) {
        self.number += 1;
        // Counted before labels are made, and of those that are refused too: in 2.0 a series of some
        // hundred bytes may name texts of many thousands.
        let bytes: usize = labels.iter().map(bytes_of).sum();
        self.bytes += bytes;
        let series = match contents.labels_beyond {
            _ if self.bytes > SAMPLES_PER_REQUEST_BYTES_MAX => Err(too_many_bytes()),
            0 => series_of(labels),
            beyond => {
                let labels = labels.len() + beyond;
                Err(SampleError::from(LabelsError::TooMany { labels }).into())
            }
        };
        match series {
            Ok(series) => {
                self.bytes += series.size_bytes().saturating_sub(bytes);
                self.samples(&series, contents);
            }
            Err(refusal) => self.refused(refusal, contents, &text(labels)),
        }
    }

    /// Refuses a series of which there are no labels.
    fn refuse(&mut self, refusal: Refusal, contents: &Contents) {
        self.number += 1;
        self.refused(refusal, contents, "");
    }

    fn refused(&mut self, refusal: Refusal, contents: &Contents, series: &str) {
        let samples = contents.samples.len() + contents.samples_beyond;
        if let Some(others) = samples.checked_sub(1) {
            self.decoded.count(refusal.code(), others);
            self.decoded.reject_part(self.number, refusal, series);
        }
        self.unsupported(contents, || series.to_owned());
    }

    fn samples(&mut self, series: &Labels, contents: &Contents) {
        for (value, time) in &contents.samples {
            if let Err(refusal) = self.sample(series, *value, Timestamp::from_ms(*time)) {
                self.decoded.reject_series(self.number, refusal, series);
            }
        }
        self.decoded.count(TOO_MANY_SAMPLES, contents.samples_beyond);
        self.decoded.end_line(self.number);
        self.unsupported(contents, || series.to_string());
    }

    fn sample(&mut self, series: &Labels, value: f64, time: Timestamp) -> Result<(), Refusal> {
        Sample::check_time(time, self.now)?;
        self.bytes += size_of::<Sample>();
        if self.decoded.samples.len() >= SAMPLES_PER_REQUEST_MAX {
            let detail = format!("a request has at most {SAMPLES_PER_REQUEST_MAX} samples");
            return Err(Refusal::new(TOO_MANY_SAMPLES, detail));
        }
        if self.bytes > SAMPLES_PER_REQUEST_BYTES_MAX {
            return Err(too_many_bytes());
        }
        self.decoded.samples.push(Sample { series: series.clone(), value, time });
        Ok(())
    }

    /// Counts what no rule can look at.
    fn unsupported(&mut self, contents: &Contents, series: impl FnOnce() -> String) {
        let Contents { histograms, exemplars, .. } = *contents;
        if histograms + exemplars == 0 {
            return;
        }
        let series = series();
        if histograms > 0 {
            let detail = "native histograms are not taken: send classic buckets";
            self.decoded.count(HISTOGRAM_UNSUPPORTED, histograms - 1);
            let refusal = Refusal::new(HISTOGRAM_UNSUPPORTED, detail);
            self.decoded.reject_part(self.number, refusal, &series);
        }
        if exemplars > 0 {
            self.decoded.count(EXEMPLAR_UNSUPPORTED, exemplars - 1);
            let refusal = Refusal::new(EXEMPLAR_UNSUPPORTED, "exemplars are not taken");
            self.decoded.reject_part(self.number, refusal, &series);
        }
    }
}

/// What a label takes of what a request may, at most as much as one may have.
fn bytes_of((name, value): &(&str, &str)) -> usize {
    name.len().min(LABEL_NAME_BYTES_MAX) + value.len().min(LABEL_VALUE_BYTES_MAX)
}

fn too_many_bytes() -> Refusal {
    let detail = format!(
        "the samples of a request take at most {SAMPLES_PER_REQUEST_BYTES_MAX} bytes with their labels"
    );
    Refusal::new(TOO_MANY_SAMPLES, detail)
}

fn series_of(labels: &[(&str, &str)]) -> Result<Labels, Refusal> {
    let name = labels.iter().find(|(name, _)| *name == METRIC_NAME);
    let Some((_, name)) = name else {
        return Err(Refusal::new("name_missing", "the series has no `__name__`"));
    };
    Sample::check_name(name)?;
    Ok(Labels::from_pairs(labels.iter().copied()).map_err(SampleError::from)?)
}

/// A series that breaks a rule, as text: the beginning of it.
fn text(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        if text.len() >= REJECT_EXCERPT_BYTES_MAX {
            break;
        }
        let separator = if text.is_empty() { "{" } else { "," };
        let (name, value) = (quoted(name), quoted(value));
        // A string takes all.
        let _ = write!(text, "{separator}{name}={value:?}");
    }
    text.push('}');
    text
}
