//! Influx line protocol: `measurement,tag=value field=1.5,other=2i 1700000000000000000`.
//!
//! | line protocol | sample |
//! |---|---|
//! | measurement and field | metric name `<measurement>_<field>`; a field `value` is the measurement itself |
//! | tags | labels |
//! | float, integer `2i`, unsigned `2u` | the value |
//! | boolean `t`, `true`, `f`, … | 1 or 0 |
//! | string `"text"` | none: the field is skipped |
//! | timestamp, by default in nanoseconds | milliseconds, rounded down; the time of arrival where there is none |
//!
//! Names become names that Prometheus knows, as users of Telegraf expect: each
//! character of a metric name outside `[a-zA-Z0-9_:]`, and of a label name outside
//! `[a-zA-Z0-9_]`, is replaced by `_`, and a leading digit gets a `_` before it. Two tags that
//! become the same label are an error of their line. Label values stay as they are.
//!
//! A line is taken whole or rejected whole.

use std::borrow::Cow;
use std::ops::Range;
use std::str::FromStr;

use bellwire_model::limits::{SAMPLES_PER_REQUEST_BYTES_MAX, SAMPLES_PER_REQUEST_MAX};
use bellwire_model::{METRIC_NAME, Sample, Timestamp, without_byte_order_mark};
use thiserror::Error;

use crate::decoded::{Decoded, Refusal, series};

mod scanner;

use crate::name::{label_name, push_metric_name};
use scanner::{FieldValue, Scanner};

/// The unit of a body's timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// The default.
    #[default]
    Nanoseconds,
    /// Thousandths of a millisecond.
    Microseconds,
    /// What Bellwire itself counts in.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Minutes; Influx 1 only.
    Minutes,
    /// Hours; Influx 1 only.
    Hours,
}

/// The text is no precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a precision is one of ns, us, ms, s, or n, u, ms, s, m, h as Influx 1 writes them")]
pub struct PrecisionError;

impl FromStr for Precision {
    type Err = PrecisionError;

    fn from_str(text: &str) -> Result<Self, PrecisionError> {
        match text {
            "ns" | "n" => Ok(Self::Nanoseconds),
            "us" | "u" | "µs" | "µ" => Ok(Self::Microseconds),
            "ms" => Ok(Self::Milliseconds),
            "s" => Ok(Self::Seconds),
            "m" => Ok(Self::Minutes),
            "h" => Ok(Self::Hours),
            _ => Err(PrecisionError),
        }
    }
}

impl Precision {
    /// A number of these units as a time; saturates where it is out of range, and is then too far
    /// from any clock.
    fn time(self, units: i64) -> Timestamp {
        Timestamp::from_ms(match self {
            Self::Nanoseconds => units.div_euclid(1_000_000),
            Self::Microseconds => units.div_euclid(1_000),
            Self::Milliseconds => units,
            Self::Seconds => units.saturating_mul(1_000),
            Self::Minutes => units.saturating_mul(60_000),
            Self::Hours => units.saturating_mul(3_600_000),
        })
    }
}

/// Reads a body. Lines without a timestamp are of `now`. Lines beyond
/// [`SAMPLES_PER_REQUEST_MAX`] samples, or [`SAMPLES_PER_REQUEST_BYTES_MAX`], are rejected, each of
/// them.
pub fn decode(body: &[u8], precision: Precision, now: Timestamp) -> Decoded {
    let body = without_byte_order_mark(body);
    let decoder = Decoder { precision, now, sample_bytes: 0, decoded: Decoded::default() };
    match std::str::from_utf8(body) {
        Ok(text) => decoder.lines(text, |_| Ok(())),
        // Only the lines with wrong bytes are lost. Where a line ends does not depend on them.
        Err(_) => decoder.lines(&with_stand_ins(body), |line| check_utf8(&body[line])),
    }
}

/// The text with another character in place of each wrong byte.
fn with_stand_ins(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

fn check_utf8(line: &[u8]) -> Result<(), Refusal> {
    std::str::from_utf8(line).map(|_| ()).map_err(|error| {
        let detail = format!("the line is not UTF-8: byte {} is wrong", error.valid_up_to() + 1);
        Refusal::new("utf8_invalid", detail)
    })
}

struct Decoder {
    precision: Precision,
    now: Timestamp,
    /// Bytes that the samples take.
    sample_bytes: usize,
    decoded: Decoded,
}

/// The parts of a line that are used again for the next one, so that they are allocated once.
#[derive(Default)]
struct Parts<'a> {
    tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    fields: Vec<(Cow<'a, str>, f64)>,
    name: String,
}

impl Parts<'_> {
    /// Bytes that the line's samples take: all of them have its tags.
    fn sample_bytes(&self, measurement: &str) -> usize {
        let tags: usize = self.tags.iter().map(|(name, value)| name.len() + value.len()).sum();
        let fields: usize = self.fields.iter().map(|(name, _)| name.len()).sum();
        self.fields.len() * (size_of::<Sample>() + measurement.len() + tags) + fields
    }
}

impl Decoder {
    /// Reads all lines; `check` may refuse one though it could be read.
    fn lines(mut self, text: &str, check: impl Fn(Range<usize>) -> Result<(), Refusal>) -> Decoded {
        let mut parts = Parts::default();
        let mut scanner = Scanner::new(text);
        while scanner.skip_to_content() {
            let line = 1 + scanner.line_breaks();
            let taken = (self.decoded.samples.len(), self.sample_bytes);
            let result = self.line(&mut scanner, &mut parts);
            if result.is_err() {
                scanner.skip_line();
            }
            if let Err(refusal) = check(scanner.line()).and(result) {
                self.decoded.samples.truncate(taken.0);
                self.sample_bytes = taken.1;
                self.decoded.reject_part(line, refusal, &text[scanner.line()]);
            }
            self.decoded.end_line(line);
        }
        self.decoded
    }

    fn line<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        parts: &mut Parts<'a>,
    ) -> Result<(), Refusal> {
        parts.tags.clear();
        parts.fields.clear();
        let measurement = scanner.measurement()?;
        while let Some((name, value)) = scanner.tag()? {
            let name = label_name(name);
            if name == METRIC_NAME {
                let detail = "the tag `__name__` would be the metric's name";
                return Err(Refusal::new("label_invalid", detail));
            }
            parts.tags.push((name, value));
        }
        while let Some((name, value)) = scanner.field()? {
            if let FieldValue::Number(number) = value {
                Sample::check_value(number)?;
                parts.fields.push((name, number));
            }
        }
        let time = scanner.timestamp()?.map_or(self.now, |units| self.precision.time(units));
        if parts.fields.is_empty() {
            return Ok(());
        }
        Sample::check_time(time, self.now)?;
        self.samples(&measurement, time, parts)
    }

    fn samples(
        &mut self,
        measurement: &str,
        time: Timestamp,
        parts: &mut Parts<'_>,
    ) -> Result<(), Refusal> {
        if self.decoded.samples.len() + parts.fields.len() > SAMPLES_PER_REQUEST_MAX {
            let detail = format!("a request has at most {SAMPLES_PER_REQUEST_MAX} samples");
            return Err(Refusal::new("too_many_samples", detail));
        }
        self.sample_bytes += parts.sample_bytes(measurement);
        if self.sample_bytes > SAMPLES_PER_REQUEST_BYTES_MAX {
            let detail = format!(
                "the samples of a request take at most {SAMPLES_PER_REQUEST_BYTES_MAX} bytes, and \
                 the tags of a line count for each of its fields"
            );
            return Err(Refusal::new("too_many_samples", detail));
        }
        parts.name.clear();
        push_metric_name(&mut parts.name, measurement);
        let measurement_bytes = parts.name.len();
        for (field, value) in &parts.fields {
            if field != "value" {
                parts.name.push('_');
                push_metric_name(&mut parts.name, field);
            }
            let tags = parts.tags.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
            let series = series(&parts.name, tags)?;
            self.decoded.samples.push(Sample { series, value: *value, time });
            parts.name.truncate(measurement_bytes);
        }
        Ok(())
    }
}
