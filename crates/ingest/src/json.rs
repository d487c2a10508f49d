//! Samples as JSON: `{"name":"temperature_celsius","labels":{"site":"oslo"},"value":21.5}`, with
//! a `"timestamp"` in milliseconds where the sensor knows it; one object, an array of them, or
//! one on each line.

use std::fmt;

use bellwire_model::limits::{REJECT_EXCERPT_BYTES_MAX, SAMPLES_PER_REQUEST_MAX};
use bellwire_model::{Sample, Timestamp, excerpt, without_byte_order_mark};
use serde::de::{DeserializeSeed, IgnoredAny, SeqAccess, Visitor};
use thiserror::Error;

use crate::decoded::{Decoded, Refusal};

mod item;

use item::Item;

/// How the samples of a body are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// One object.
    Object,
    /// One array of objects.
    Array,
    /// One object on each line.
    Ndjson,
    /// One of these; the body itself shows which.
    #[default]
    Auto,
}

impl Format {
    /// What a `Content-Type` says about the format.
    pub fn from_content_type(content_type: Option<&str>) -> Self {
        let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default();
        match essence.trim().to_ascii_lowercase().as_str() {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::Ndjson,
            _ => Self::Auto,
        }
    }
}

/// Why nothing of a body could be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The body is not JSON, or not of its format.
    #[error("the body is not JSON samples: {detail}")]
    Json {
        /// The line of the first error, from 1.
        line: usize,
        /// The column of the first error, from 1.
        column: usize,
        /// What is wrong, with the line and the column.
        detail: String,
    },
    /// There is nothing in the body.
    #[error("the body is empty: send {{\"name\":\"temperature_celsius\",\"value\":21.5}}")]
    Empty,
    /// It has more than [`SAMPLES_PER_REQUEST_MAX`] items.
    #[error("a request has at most {SAMPLES_PER_REQUEST_MAX} samples: send several requests")]
    TooMany,
}

impl Error {
    /// The stable code of the problem.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "json_invalid",
            Self::Empty => "body_empty",
            Self::TooMany => "too_many_samples",
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        Self::Json { line, column, detail: excerpt(error.to_string()) }
    }
}

/// Reads a body. Samples without a timestamp are of `now`.
pub fn decode(format: Format, body: &[u8], now: Timestamp) -> Result<Decoded, Error> {
    let body = without_byte_order_mark(body);
    match format {
        Format::Object => object(body, now),
        Format::Array => array(body, now),
        Format::Ndjson => lines(body, now),
        Format::Auto => match body.trim_ascii_start().first() {
            None => Err(Error::Empty),
            Some(b'[') => array(body, now),
            Some(_) => object_or_lines(body, now),
        },
    }
}

fn object(body: &[u8], now: Timestamp) -> Result<Decoded, Error> {
    if body.trim_ascii().is_empty() {
        return Err(Error::Empty);
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let item = Item.deserialize(&mut json)?;
    json.end()?;
    let mut decoded = Decoded::default();
    take(&mut decoded, 1, item.and_then(|members| members.sample(now)));
    Ok(decoded)
}

/// One object may stand on several lines, so only its end tells it from NDJSON.
fn object_or_lines(body: &[u8], now: Timestamp) -> Result<Decoded, Error> {
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<IgnoredAny>();
    let is_first_of_many = if let Some(Ok(_)) = values.next() {
        !body[values.byte_offset()..].trim_ascii().is_empty()
    } else {
        // Broken: NDJSON if the first line could be an object by itself and there are others.
        let body = body.trim_ascii();
        let line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
        line.len() < body.len() && line.trim_ascii_end().ends_with(b"}")
    };
    if is_first_of_many { lines(body, now) } else { object(body, now) }
}

fn lines(body: &[u8], now: Timestamp) -> Result<Decoded, Error> {
    let mut decoded = Decoded::default();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if decoded.samples.len() + decoded.rejected == SAMPLES_PER_REQUEST_MAX {
            return Err(Error::TooMany);
        }
        let mut json = serde_json::Deserializer::from_slice(line);
        let item = Item.deserialize(&mut json).and_then(|item| json.end().map(|()| item));
        let sample = match item {
            Ok(item) => item.and_then(|members| members.sample(now)),
            Err(error) => Err(Refusal::new("json_invalid", line_detail(&error))),
        };
        match sample {
            Err(refusal) => {
                let text =
                    String::from_utf8_lossy(&line[..line.len().min(REJECT_EXCERPT_BYTES_MAX)]);
                decoded.reject_part(index + 1, refusal, &text);
            }
            Ok(sample) => take(&mut decoded, index + 1, Ok(sample)),
        }
    }
    Ok(decoded)
}

/// A line is read by itself, so the only line that the parser knows is 1.
fn line_detail(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

fn array(body: &[u8], now: Timestamp) -> Result<Decoded, Error> {
    let mut items = Items { now, decoded: Decoded::default(), at_bound: false };
    let mut json = serde_json::Deserializer::from_slice(body);
    match serde::Deserializer::deserialize_seq(&mut json, &mut items).and_then(|()| json.end()) {
        Ok(()) => Ok(items.decoded),
        Err(_) if items.at_bound => Err(Error::TooMany),
        Err(error) => Err(error.into()),
    }
}

/// The array: reads one item after the other.
struct Items {
    now: Timestamp,
    decoded: Decoded,
    /// Whether the array was left at its bound and not for its syntax.
    at_bound: bool,
}

impl<'de> Visitor<'de> for &mut Items {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array of samples")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(item) = items.next_element_seed(Item)? {
            if number == SAMPLES_PER_REQUEST_MAX {
                self.at_bound = true;
                return Err(serde::de::Error::custom(Error::TooMany));
            }
            number += 1;
            take(&mut self.decoded, number, item.and_then(|members| members.sample(self.now)));
        }
        Ok(())
    }
}

fn take(decoded: &mut Decoded, line: usize, sample: Result<Sample, Refusal>) {
    match sample {
        Ok(sample) => {
            decoded.samples.push(sample);
            decoded.end_line(line);
        }
        Err(refusal) => decoded.reject(line, refusal),
    }
}
