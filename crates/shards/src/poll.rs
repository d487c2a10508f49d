//! What a long poll is answered with.

use std::sync::Arc;

use bellwire_hub::{Entry, Gap, Value};
use bellwire_model::limits::PAGE_BYTES_MAX;
use bellwire_model::{Closure, Cursor, Event, FilterSet, Offset, Topic};
use bytes::Bytes;

use crate::frames::Frames;

/// What one long poll is answered with.
#[derive(Debug)]
pub struct PollAnswer {
    pub events: Vec<Bytes>,
    pub cursor: Cursor,
    /// A gap before the events, and the filters that it touches.
    pub gap: Option<(Gap, FilterSet)>,
    /// Topics that have ended or were reopened, in this order, with the cursors behind that.
    pub ends: Vec<(Closure, Topic, Cursor)>,
    /// What the client has of state topics that pass these filters is void.
    pub reset: Option<(Cursor, FilterSet)>,
    /// Values of state topics that an answer has no room for.
    pub values_left_out: usize,
    /// Whether others than these are there already, where that is known.
    pub more: Option<bool>,
}

/// What a shard has collected for a poll, and up to where.
#[derive(Debug)]
pub struct Collected {
    pub(crate) parts: Parts,
    pub(crate) cursor: Cursor,
    /// Whether others are, or may be, there already.
    pub(crate) more: bool,
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
    /// Topics that have ended there, whose entries do not come.
    pub(crate) ends: Vec<(Topic, Offset)>,
    pub(crate) gap: Option<(Gap, FilterSet)>,
    pub(crate) reset: Option<(Cursor, FilterSet)>,
}

impl Collected {
    /// Whether to encode it takes long.
    pub fn is_large(&self) -> bool {
        self.parts.value_bytes > PAGE_BYTES_MAX
    }

    /// The events of streams in their order, those among them that say what becomes of their topic, too.
    pub fn stream_events(&self) -> impl Iterator<Item = (Offset, &Event)> {
        self.parts.entries.iter().map(|entry| (entry.offset, entry.payload.event()))
    }

    /// Whether something that comes before these is missing.
    pub fn has_gap(&self) -> bool {
        self.parts.gap.is_some()
    }

    /// Encodes what nobody has needed before; the rest is shared.
    pub fn encode(self) -> PollAnswer {
        let Self { parts, cursor, more } = self;
        let Parts { values, entries, ends, gap, reset, values_left_out, .. } = parts;
        let at = |offset| Cursor::new(cursor.epoch, offset);
        let told = ends.into_iter().filter(|(_, end)| *end <= cursor.offset);
        let mut ends: Vec<_> = told.map(|(topic, end)| (Closure::End, topic, at(end))).collect();
        let mut events: Vec<Bytes> = values.iter().map(|value| value.payload.json()).collect();
        for entry in &entries {
            match entry.payload.event().closure() {
                Some(closure) => ends.push((closure, entry.topic.clone(), at(entry.offset))),
                None => events.push(entry.payload.json()),
            }
        }
        PollAnswer { events, cursor, gap, ends, reset, values_left_out, more: Some(more) }
    }
}
