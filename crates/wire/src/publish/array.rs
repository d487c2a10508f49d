//! A JSON array with a bound: its items are read one after the other.

use std::fmt;

use bellwire_model::excerpt;
use bellwire_model::limits::EVENTS_PER_REQUEST_MAX;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use thiserror::Error;

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
    /// It is not JSON.
    #[error("the body is not JSON: {detail}")]
    Syntax {
        /// The line of the first error, from 1.
        line: usize,
        /// The column of the first error, from 1.
        column: usize,
        /// What is wrong, with the line and the column.
        detail: String,
    },
    /// It has no array where one is looked for.
    #[error("the body has no array at `{path}`")]
    NoArray {
        /// Where.
        path: Box<str>,
    },
    /// It has more than [`EVENTS_PER_REQUEST_MAX`] events.
    #[error("a request has at most {EVENTS_PER_REQUEST_MAX} events: send several requests")]
    TooMany,
}

impl BatchError {
    pub(crate) fn not_json(error: &serde_json::Error) -> Self {
        let detail = excerpt(error.to_string());
        Self::Syntax { line: error.line(), column: error.column(), detail }
    }

    /// The stable code of the problem.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } | Self::Syntax { .. } => "json_invalid",
            Self::NoArray { .. } => "event_invalid",
            Self::TooMany => "too_many_events",
        }
    }
}

/// Reads each item as `item` says and gives it to `each`: [`EVENTS_PER_REQUEST_MAX`] at most.
pub(crate) fn elements<'de, S: DeserializeSeed<'de> + Copy>(
    json: &'de [u8],
    item: S,
    each: impl FnMut(S::Value),
) -> Result<(), BatchError> {
    let mut items = Items { item, each, count: 0, at_bound: false };
    let mut json = serde_json::Deserializer::from_slice(json);
    match serde::Deserializer::deserialize_seq(&mut json, &mut items).and_then(|()| json.end()) {
        Ok(()) => Ok(()),
        Err(_) if items.at_bound => Err(BatchError::TooMany),
        Err(error) => Err(BatchError::Json {
            line: error.line(),
            column: error.column(),
            detail: excerpt(error.to_string()),
        }),
    }
}

struct Items<S, F> {
    item: S,
    each: F,
    count: usize,
    /// Whether the array was left at its bound and not for its syntax.
    at_bound: bool,
}

impl<'de, S, F> Visitor<'de> for &mut Items<S, F>
where
    S: DeserializeSeed<'de> + Copy,
    F: FnMut(S::Value),
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element_seed(self.item)? {
            if self.count == EVENTS_PER_REQUEST_MAX {
                self.at_bound = true;
                return Err(serde::de::Error::custom(BatchError::TooMany));
            }
            self.count += 1;
            (self.each)(item);
        }
        Ok(())
    }
}
