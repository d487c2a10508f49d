//! `MessagePack`: the same maps as the JSON, with binary data as it is.
//!
//! What is written seldom is written as JSON and passed through [`from_json`]; events have a
//! way of their own. Clients that would rather have JSON get it from [`to_json`].

use bellwire_model::{Body, Closure, Cursor, Event, Topic};

use crate::position::Position;
use crate::write;

mod from_json;
mod read;
mod scalar;
mod to_json;

pub use from_json::from_json;
pub use read::{Fault, MsgpackError};
pub use to_json::to_json;
pub(crate) use to_json::write_as_json;

/// What the names, heads and numbers of an event take beside its texts.
const ENVELOPE_BYTES: usize = 48;

/// An event as a map with the members and the order of [`json::event`](crate::json::event).
///
/// `data` that is JSON becomes the value that it stands for: a number without fraction and
/// exponent an integer where 64 bits hold it, any other a double; what is nested too deep
/// ([`NESTING_MAX`](bellwire_model::limits::NESTING_MAX)) a string of its JSON. Text is a string,
/// binary is binary, with its `content_type` behind it and without `encoding`. What says what becomes
/// of a topic is the control event that tells so.
pub fn event(position: impl Into<Position>, event: &Event) -> Vec<u8> {
    let Position { cursor, version } = position.into();
    if let Some((closure, cursor)) = event.closure().zip(cursor) {
        return of_closure(closure, &event.topic, cursor);
    }
    let (cursor_bytes, version_bytes) =
        (write::cursor_bytes(cursor), write::version_bytes(version));
    let mut out =
        Vec::with_capacity(ENVELOPE_BYTES + cursor_bytes + version_bytes + event.size_bytes());
    let is_binary = matches!(event.body, Some(Body::Binary { .. }));
    let optional = [
        event.key.is_some(),
        // A type, or why it is gone.
        event.event_type.is_some(),
        cursor.is_some(),
        version.is_some(),
        is_binary,
    ];
    let members = 3 + optional.iter().filter(|is_there| **is_there).count();
    scalar::map_head(&mut out, members);
    scalar::text(&mut out, "topic");
    scalar::text(&mut out, event.topic.as_str());
    if let Some(key) = &event.key {
        scalar::text(&mut out, "key");
        scalar::text(&mut out, key);
    }
    if let Some(event_type) = event.shown_type() {
        scalar::text(&mut out, "type");
        scalar::text(&mut out, event_type);
    }
    scalar::text(&mut out, "time");
    scalar::integer(&mut out, event.time.as_ms());
    if let Some(cursor) = cursor {
        let mut text = Vec::with_capacity(cursor_bytes);
        write::cursor(&mut text, cursor);
        scalar::text(&mut out, "cursor");
        scalar::text_bytes(&mut out, &text);
    }
    if let Some(version) = version {
        let mut text = Vec::with_capacity(version_bytes);
        write::key_version(&mut text, version);
        scalar::text(&mut out, "version");
        scalar::text_bytes(&mut out, &text);
    }
    if let Some(body) = &event.body {
        scalar::text(&mut out, "data");
        write_body(&mut out, body);
    } else {
        scalar::text(&mut out, "deleted");
        out.push(scalar::TRUE);
        if let Some(reason) = event.reason() {
            scalar::text(&mut out, "reason");
            scalar::text(&mut out, reason);
        }
    }
    out
}

/// The control event that tells what becomes of a topic.
fn of_closure(closure: Closure, topic: &Topic, cursor: Cursor) -> Vec<u8> {
    let mut at = Vec::new();
    write::cursor(&mut at, cursor);
    let mut out = Vec::with_capacity(ENVELOPE_BYTES + topic.as_str().len() + at.len());
    scalar::map_head(&mut out, 3);
    scalar::text(&mut out, "control");
    scalar::text(&mut out, closure.as_str());
    scalar::text(&mut out, "topic");
    scalar::text(&mut out, topic.as_str());
    scalar::text(&mut out, "cursor");
    scalar::text_bytes(&mut out, &at);
    out
}

fn write_body(out: &mut Vec<u8>, body: &Body) {
    match body {
        Body::Json(json) => from_json::write_value(out, json),
        Body::Text(text) => scalar::text(out, &String::from_utf8_lossy(text)),
        Body::Binary { content_type, bytes } => {
            scalar::binary(out, bytes);
            scalar::text(out, "content_type");
            scalar::text(out, content_type);
        }
    }
}
