//! What a long poll is answered with.

use std::sync::Arc;

use bellwire_hub::{Entry, Gap, Value};
use bellwire_model::limits::PAGE_BYTES_MAX;
use bellwire_model::{Cursor, FilterSet};
use bytes::Bytes;

use crate::frames::Frames;

/// What one long poll is answered with.
#[derive(Debug)]
pub struct PollAnswer {
    pub events: Vec<Bytes>,
    pub cursor: Cursor,
    /// A gap before the events, and the filters that it touches.
    pub gap: Option<(Gap, FilterSet)>,
    /// What the client has of state topics that pass these filters is void.
    pub reset: Option<(Cursor, FilterSet)>,
    /// Values of state topics that an answer has no room for.
    pub values_left_out: usize,
}

/// What a shard has collected for a poll, and up to where.
#[derive(Debug)]
pub struct Collected {
    pub(crate) parts: Parts,
    pub(crate) cursor: Cursor,
}

/// Pointers to what an answer consists of; they are encoded elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// The current values of state topics, and what they are charged with.
    pub(crate) values: Vec<Arc<Value<Frames>>>,
    pub(crate) value_bytes: usize,
    pub(crate) values_left_out: usize,
    pub(crate) entries: Vec<Arc<Entry<Frames>>>,
    pub(crate) entry_bytes: usize,
    pub(crate) gap: Option<(Gap, FilterSet)>,
    pub(crate) reset: Option<(Cursor, FilterSet)>,
}

impl Collected {
    /// Whether to encode it takes long.
    pub fn is_large(&self) -> bool {
        self.parts.value_bytes > PAGE_BYTES_MAX
    }

    /// Encodes what nobody has needed before; the rest is shared.
    pub fn encode(self) -> PollAnswer {
        let Self { parts, cursor } = self;
        let Parts { values, entries, gap, reset, values_left_out, .. } = parts;
        let values = values.iter().map(|value| value.payload.json());
        let events = values.chain(entries.iter().map(|entry| entry.payload.json())).collect();
        PollAnswer { events, cursor, gap, reset, values_left_out }
    }
}
