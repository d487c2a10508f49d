//! Checksums of rows: what is read is what was written, or it is said to be damaged.
//!
//! Each is a CRC-32 of the row's values, stored as a signed number; that of an event is a part of
//! its column `kind`. A row from before there were
//! checksums has none.

use bellwire_model::{Body, Event, Offset, Topic};
use crc32fast::Hasher;

use super::schema::{BINARY, JSON, NO_BODY, TEXT, to_sql};
use crate::topics::TopicId;

/// Bits that tell the kind of a body.
const KIND_BITS: u32 = 2;

/// The kind of an event's body, and its type of content.
pub(super) fn kind(event: &Event) -> (i64, Option<&str>) {
    match &event.body {
        None => (NO_BODY, None),
        Some(Body::Json(_)) => (JSON, None),
        Some(Body::Text(_)) => (TEXT, None),
        Some(Body::Binary { content_type, .. }) => (BINARY, Some(content_type)),
    }
}

/// Where the checksums of a topic's events begin: its name counts in each, so that a damaged one
/// is noticed too. Worth keeping where there are many events of a topic.
#[derive(Clone, Debug)]
pub(super) struct EventSums(Hasher);

impl EventSums {
    /// Of the topic with this name.
    pub(super) fn new(topic: &Topic) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(topic.as_str().as_bytes());
        Self(hasher)
    }

    /// Of an event of this topic at its offset: its column `kind`, where the kind of its body has
    /// the two lowest bits and the checksum plus one those above, so that a reader has one column
    /// less to read.
    pub(super) fn kind_of(&self, offset: Offset, event: &Event) -> i64 {
        let (kind, content_type) = kind(event);
        let texts = [event.key.as_deref(), event.event_type.as_deref(), content_type];
        let mut head = [0; 32];
        head[..8].copy_from_slice(&offset.get().to_le_bytes());
        head[8..16].copy_from_slice(&event.time.as_ms().to_le_bytes());
        head[16..20].copy_from_slice(&length(texts[0]).to_le_bytes());
        head[20..24].copy_from_slice(&length(texts[1]).to_le_bytes());
        head[24..28].copy_from_slice(&length(texts[2]).to_le_bytes());
        head[28..].copy_from_slice(&(kind as u32).to_le_bytes());
        let mut hasher = self.0.clone();
        hasher.update(&head);
        for text in texts.into_iter().flatten() {
            hasher.update(text.as_bytes());
        }
        if let Some(body) = &event.body {
            hasher.update(body.bytes());
        }
        ((i64::from(hasher.finalize()) + 1) << KIND_BITS) | kind
    }
}

/// The kind of a body that a column `kind` tells.
pub(super) fn body_kind(kind: i64) -> i64 {
    kind & ((1 << KIND_BITS) - 1)
}

/// Whether a column `kind` has a checksum: a row from before there were any has none.
pub(super) fn is_summed(kind: i64) -> bool {
    kind != body_kind(kind)
}

/// Tells no text from an empty one.
fn length(text: Option<&str>) -> u32 {
    text.map_or(0, |text| text.len() as u32 + 1)
}

/// Of another row: its numbers, then its texts, the last of which may be bytes.
pub(super) fn of_row(numbers: &[i64], texts: &[&[u8]]) -> i64 {
    let mut hasher = Hasher::new();
    let lengths = texts.iter().map(|text| text.len() as i64);
    for number in numbers.iter().copied().chain(lengths) {
        hasher.update(&number.to_le_bytes());
    }
    for text in texts {
        hasher.update(text);
    }
    as_stored(hasher)
}

/// Of a row of the table `topics`. Of one that has not ended it is what it was before topics could.
pub(super) fn of_topic(id: TopicId, name: &str, (trimmed, ended): (Offset, Offset)) -> i64 {
    let numbers = [id.0.into(), to_sql(trimmed), to_sql(ended)];
    let counted = if ended == Offset::ZERO { &numbers[..2] } else { &numbers };
    of_row(counted, &[name.as_bytes()])
}

/// As a signed number of 32 bits, which the file stores in four bytes.
fn as_stored(hasher: Hasher) -> i64 {
    hasher.finalize().cast_signed().into()
}
