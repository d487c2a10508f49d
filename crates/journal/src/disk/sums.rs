//! Checksums of rows: what is read is what was written, or it is said to be damaged.
//!
//! Each is a CRC-32 of the row's values, stored as a signed number. A row from before there were
//! checksums has none.

use bellwire_model::{Body, Event, Offset};
use crc32fast::Hasher;

use super::schema::{BINARY, JSON, NO_BODY, TEXT, to_sql};
use crate::topics::TopicId;

/// The kind of a body in the table `events`, and its type of content.
pub(super) fn kind(event: &Event) -> (i64, Option<&str>) {
    match &event.body {
        None => (NO_BODY, None),
        Some(Body::Json(_)) => (JSON, None),
        Some(Body::Text(_)) => (TEXT, None),
        Some(Body::Binary { content_type, .. }) => (BINARY, Some(content_type)),
    }
}

/// Of an event at its offset. Its topic counts by name, so that a damaged name is noticed too.
pub(super) fn of_event(offset: Offset, event: &Event) -> i64 {
    let (kind, content_type) = kind(event);
    let data = event.body.as_ref().map_or(&[][..], |body| body.bytes());
    let texts = [Some(event.topic.as_str()), event.key.as_deref(), event.event_type.as_deref()];
    let mut head = [0; 64];
    let numbers = [offset.get(), event.time.as_ms().cast_unsigned(), data.len() as u64];
    let lengths = texts.into_iter().chain([content_type]).map(length);
    for (place, number) in head.chunks_exact_mut(8).zip(numbers.into_iter().chain(lengths)) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    head[56..].copy_from_slice(&kind.to_le_bytes());
    let mut hasher = Hasher::new();
    hasher.update(&head);
    for text in texts.into_iter().chain([content_type]).flatten() {
        hasher.update(text.as_bytes());
    }
    hasher.update(data);
    as_stored(hasher)
}

/// Tells no text from an empty one.
fn length(text: Option<&str>) -> u64 {
    text.map_or(0, |text| text.len() as u64 + 1)
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

/// Of a row of the table `topics`.
pub(super) fn of_topic(id: TopicId, name: &str, trimmed: Offset) -> i64 {
    of_row(&[id.0.into(), to_sql(trimmed)], &[name.as_bytes()])
}

/// As a signed number of 32 bits, which the file stores in four bytes.
fn as_stored(hasher: Hasher) -> i64 {
    hasher.finalize().cast_signed().into()
}
