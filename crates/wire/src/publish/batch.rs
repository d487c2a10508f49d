//! Many events in one request: a JSON array, or one object a line.
//!
//! Each item is read in one pass: its members are kept as the pieces of text they are, and
//! looked into afterwards. So a wrong item is one rejection and its neighbours stand; only broken
//! syntax in an array, where nobody can say where the next item begins, refuses the request.

use bellwire_model::limits::EVENTS_PER_REQUEST_MAX;
use bellwire_model::without_byte_order_mark;
use bytes::Bytes;
use serde::de::DeserializeSeed;

use super::array::{BatchError, elements};
use super::item::{Item, Refusal};
use super::{Post, share};

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

/// Reads the items `{"topic","key"?,"type"?,"data","end"?}` of a request; one that says what becomes of
/// its topic may do without `data`.
///
/// `data` is any JSON and is passed on as it came; with `"encoding":"base64"` it is a string of
/// base64, and the event is binary of the `"content_type"` given, or `application/octet-stream`.
/// An optional member that is null is as good as left out, and so is a byte order mark.
pub fn batch(
    format: BatchFormat,
    body: &Bytes,
) -> Result<Vec<Result<Post, Rejection>>, BatchError> {
    match format {
        BatchFormat::Json => array(body),
        BatchFormat::Ndjson => lines(body),
    }
}

fn array(body: &Bytes) -> Result<Vec<Result<Post, Rejection>>, BatchError> {
    let mut results = Vec::new();
    elements(without_byte_order_mark(body), Item, |item| {
        let result = item.and_then(|members| members.post(|part| share(body, part)));
        results.push(result.map_err(|refusal| refusal.at(results.len(), None)));
    })?;
    Ok(results)
}

fn lines(body: &Bytes) -> Result<Vec<Result<Post, Rejection>>, BatchError> {
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
            Ok(item) => item.and_then(|members| members.post(|part| share(body, part))),
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
    pub(super) fn at(self, index: usize, line: Option<usize>) -> Rejection {
        Rejection { index, line, code: self.code, detail: self.detail }
    }
}
