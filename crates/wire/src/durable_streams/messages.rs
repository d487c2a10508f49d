//! What is appended to a stream of JSON: one message, or an array of them.

use std::marker::PhantomData;

use bellwire_model::limits::EVENT_BYTES_MAX;
use bellwire_model::{Body, without_byte_order_mark};
use bytes::Bytes;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::publish::{BatchError, NestingError, check_nesting, elements, share};

/// Why a body is no messages.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessagesError {
    /// It is not JSON, or has more messages than one request may.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// It is JSON that nobody could read.
    #[error(transparent)]
    Nesting(#[from] NestingError),
    /// One of them is larger than [`EVENT_BYTES_MAX`].
    #[error("a message has at most {EVENT_BYTES_MAX} bytes, one has {bytes}")]
    TooLarge {
        /// The size found.
        bytes: usize,
    },
}

impl MessagesError {
    /// The stable code of the problem.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Batch(error) => error.code(),
            Self::Nesting(error) => error.code(),
            Self::TooLarge { .. } => "event_too_large",
        }
    }
}

/// The messages of a body: of an array its elements, one level deep; of all else the one that it is. An
/// empty array has none.
pub fn messages(body: &Bytes) -> Result<Vec<Body>, MessagesError> {
    let json: &RawValue = serde_json::from_slice(without_byte_order_mark(body))
        .map_err(|error| BatchError::not_json(&error))?;
    check_nesting(json.get())?;
    let mut messages = Vec::new();
    let mut largest = 0;
    let mut take = |json: &RawValue| {
        largest = largest.max(json.get().len());
        messages.push(Body::Json(share(body, json.get())));
    };
    if json.get().starts_with('[') {
        elements(json.get().as_bytes(), PhantomData, &mut take)?;
    } else {
        take(json);
    }
    if largest > EVENT_BYTES_MAX {
        return Err(MessagesError::TooLarge { bytes: largest });
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Vec<String>, &'static str> {
        let messages = messages(&Bytes::copy_from_slice(json.as_bytes()));
        let text = |body: &Body| String::from_utf8_lossy(body.bytes()).into_owned();
        messages.map(|all| all.iter().map(text).collect()).map_err(|error| error.code())
    }

    #[test]
    fn an_array_is_its_elements_one_level_deep() {
        let cases: [(&str, &[&str]); 6] = [
            (" {\"a\": 1}\n", &["{\"a\": 1}"]),
            ("[]", &[]),
            ("\u{FEFF}[1, \"[\",\n null]", &["1", "\"[\"", "null"]),
            ("[[1,2], [3]]", &["[1,2]", "[3]"]),
            ("[[[1]]]", &["[[1]]"]),
            ("\"[1]\"", &["\"[1]\""]),
        ];
        for (json, expected) in cases {
            assert_eq!(read(json).expect(json), expected, "{json}");
        }
    }

    #[test]
    fn what_is_no_json_is_no_message() {
        for json in ["", "{", "[1,]", "[1] 2", "NaN"] {
            assert_eq!(read(json), Err("json_invalid"), "{json}");
        }
        let deep = ["[".repeat(200), "]".repeat(200)].concat();
        assert_eq!(read(&deep), Err("nesting_too_deep"));
        let large = format!("[1,\"{}\"]", "x".repeat(EVENT_BYTES_MAX));
        assert_eq!(read(&large), Err("event_too_large"));
        assert_eq!(read(&format!("[{}1]", "1,".repeat(100_000))), Err("too_many_events"));
    }
}
