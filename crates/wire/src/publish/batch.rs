//! Many events in one request: a JSON array, or one object a line.
//!
//! Each item is read in one pass: its members are kept as the pieces of text they are, and
//! looked into afterwards. So a wrong item is one rejection and its neighbours stand; only broken
//! syntax in an array, where nobody can say where the next item begins, refuses the request.

use std::fmt;

use bellwire_model::limits::EVENTS_PER_REQUEST_MAX;
use bellwire_model::{excerpt, without_byte_order_mark};
use bytes::Bytes;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use thiserror::Error;

use super::item::{Item, Refusal};
use super::{Publish, share};

/// How the events of one request are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchFormat {
    /// One JSON array of objects.
    Json,
    /// One object on each line.
    Ndjson,
}

/// Why one event of a batch is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Which, from 0.
    pub index: usize,
    /// Where it stands in NDJSON, from 1.
    pub line: Option<usize>,
    /// The stable code of the problem.
    pub code: &'static str,
    /// What is wrong and what would be right.
    pub detail: String,
}

/// Why a request cannot be read as a batch at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BatchError {
    /// It is not a JSON array.
    #[error("the body is not a JSON array of events: {detail}")]
    Json {
        /// The line of the first error, from 1.
        line: usize,
        /// The column of the first error, from 1.
        column: usize,
        /// What is wrong, with the line and the column.
        detail: String,
    },
    /// It has more than [`EVENTS_PER_REQUEST_MAX`] events.
    #[error("a request has at most {EVENTS_PER_REQUEST_MAX} events: send several requests")]
    TooMany,
}

impl BatchError {
    /// The stable code of the problem.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "json_invalid",
            Self::TooMany => "too_many_events",
        }
    }
}

/// Reads the items `{"topic","key"?,"type"?,"data"}` of a request.
///
/// `data` is any JSON and is passed on as it came; with `"encoding":"base64"` it is a string of
/// base64, and the event is binary of the `"content_type"` given, or `application/octet-stream`.
/// An optional member that is null is as good as left out, and so is a byte order mark.
pub fn batch(
    format: BatchFormat,
    body: &Bytes,
) -> Result<Vec<Result<Publish, Rejection>>, BatchError> {
    match format {
        BatchFormat::Json => array(body),
        BatchFormat::Ndjson => lines(body),
    }
}

fn array(body: &Bytes) -> Result<Vec<Result<Publish, Rejection>>, BatchError> {
    let mut items = Items { body, results: Vec::new(), at_bound: false };
    let mut json = serde_json::Deserializer::from_slice(without_byte_order_mark(body));
    match serde::Deserializer::deserialize_seq(&mut json, &mut items).and_then(|()| json.end()) {
        Ok(()) => Ok(items.results),
        Err(_) if items.at_bound => Err(BatchError::TooMany),
        Err(error) => Err(BatchError::Json {
            line: error.line(),
            column: error.column(),
            detail: excerpt(error.to_string()),
        }),
    }
}

fn lines(body: &Bytes) -> Result<Vec<Result<Publish, Rejection>>, BatchError> {
    let mut results = Vec::new();
    for (number, line) in without_byte_order_mark(body).split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if results.len() == EVENTS_PER_REQUEST_MAX {
            return Err(BatchError::TooMany);
        }
        let mut json = serde_json::Deserializer::from_slice(line);
        let item = Item.deserialize(&mut json).and_then(|item| json.end().map(|()| item));
        let result = match item {
            Ok(item) => item.and_then(|members| members.publish(|part| share(body, part))),
            Err(error) => Err(Refusal::new("json_invalid", line_detail(&error))),
        };
        results.push(result.map_err(|refusal| refusal.at(results.len(), Some(number + 1))));
    }
    Ok(results)
}

/// A line is read by itself, so the only line that the parser knows is 1.
fn line_detail(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

impl Refusal {
    fn at(self, index: usize, line: Option<usize>) -> Rejection {
        Rejection { index, line, code: self.code, detail: self.detail }
    }
}

/// The array: reads one item after the other.
struct Items<'b> {
    body: &'b Bytes,
    results: Vec<Result<Publish, Rejection>>,
    /// Whether the array was left at its bound and not for its syntax.
    at_bound: bool,
}

impl<'de> Visitor<'de> for &mut Items<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element_seed(Item)? {
            if self.results.len() == EVENTS_PER_REQUEST_MAX {
                self.at_bound = true;
                return Err(serde::de::Error::custom(BatchError::TooMany));
            }
            let result = item.and_then(|members| members.publish(|part| share(self.body, part)));
            self.results.push(result.map_err(|refusal| refusal.at(self.results.len(), None)));
        }
        Ok(())
    }
}
