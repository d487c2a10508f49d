//! Server-Sent Events: the payload bytes of `text/event-stream`, and a parser of them.
//!
//! ```text
//! id: e7-1042
//! event: alert.firing
//! data: {"topic":"alerts/events/critical/BoilerHot",…}
//!
//! ```

use std::time::Duration;

use bellwire_model::{Body, Cursor, Event};

use crate::control::heartbeat_json;
use crate::http1::Frame;
use crate::position::Position;
use crate::{Control, json, write};

mod parser;

pub use parser::{Item, Parser, ParserError, Received};

/// The `event:` of a deleted state key under `?format=raw`.
const DELETED: &str = "deleted";
/// The `event:` of a sign of life that brings a cursor.
const HEARTBEAT: &str = "heartbeat";

/// `id: `, `event: `, `data: ` and their line breaks.
const FIELDS_BYTES: usize = 4 + 1 + 7 + 1 + 6 + 2;

/// One event: `id:` where it has a cursor, `event:` where it has a type, `data:` with `json`,
/// which has no line breaks, as [`json::event`] returns it.
pub fn event(cursor: Option<Cursor>, event_type: Option<&str>, json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(event_bytes(cursor, event_type, json.len()));
    write_event(&mut out, cursor, event_type, json);
    out
}

/// [`event`] with its chunk around it, in one allocation.
pub fn event_frame(cursor: Option<Cursor>, event_type: Option<&str>, json: &[u8]) -> Frame {
    Frame::build(event_bytes(cursor, event_type, json.len()), |out| {
        write_event(out, cursor, event_type, json);
    })
}

/// An event from its JSON to its chunk in one allocation: the fast path where no other transport
/// needs the JSON.
pub fn frame(position: impl Into<Position>, event: &Event) -> Frame {
    let (position, event_type) = (position.into(), event.shown_type());
    let json_bytes = json::event_bytes(position, event);
    Frame::build(event_bytes(position.cursor, event_type, json_bytes), |out| {
        write_head(out, position.cursor, event_type);
        out.extend_from_slice(b"data: ");
        json::write_event(out, position, event);
        out.extend_from_slice(b"\n\n");
    })
}

/// One event under `?format=raw`: the published payload alone in `data:`.
///
/// Text of several lines is several `data:` lines, which clients join with a line feed again: CR,
/// LF and CRLF all end a line, so a CR comes out as LF. Binary is base64. A deleted state key is
/// an event of type `deleted` with empty data, whatever type it had; which key that was, only
/// the usual format tells.
pub fn raw(cursor: Option<Cursor>, event_type: Option<&str>, body: Option<&Body>) -> Vec<u8> {
    let body_bytes = body.map_or(0, |body| write::base64_bytes(body.bytes().len()));
    let mut out = Vec::with_capacity(event_bytes(cursor, event_type, body_bytes));
    write_head(&mut out, cursor, body.map_or(Some(DELETED), |_| event_type));
    match body {
        Some(Body::Json(text) | Body::Text(text)) => write_lines(&mut out, text),
        Some(Body::Binary { bytes, .. }) => {
            out.extend_from_slice(b"data: ");
            write::base64(&mut out, bytes);
            out.push(b'\n');
        }
        // Without a `data:` line, clients would not see the event at all.
        None => out.extend_from_slice(b"data:\n"),
    }
    out.push(b'\n');
    out
}

/// A control event: `event: ready` and its JSON. Those that say where the subscriber is carry an
/// `id:`, so that a reconnect goes on from there.
pub fn control(control: &Control<'_>) -> Vec<u8> {
    event(control.cursor(), Some(control.name()), &control.json())
}

/// A sign of life: a comment line, which nobody makes an event of. With a cursor that the client is
/// to know it is `event: heartbeat` with its JSON, in the manner of [`control`]: of a block with an
/// `id:` alone some libraries make an empty event, and others drop the id.
pub fn heartbeat(cursor: Option<Cursor>) -> Vec<u8> {
    let Some(cursor) = cursor else { return b":\n".to_vec() };
    event(Some(cursor), Some(HEARTBEAT), &heartbeat_json(cursor))
}

/// How long clients wait before they reconnect: a field of the block that follows, which takes
/// effect at once. In a block of its own it would be an empty event to some libraries.
pub fn retry(delay: Duration) -> Vec<u8> {
    let mut out = b"retry: ".to_vec();
    write::integer(&mut out, delay.as_millis());
    out.push(b'\n');
    out
}

fn event_bytes(cursor: Option<Cursor>, event_type: Option<&str>, data_bytes: usize) -> usize {
    FIELDS_BYTES + write::cursor_bytes(cursor) + event_type.map_or(0, str::len) + data_bytes
}

fn write_event(out: &mut Vec<u8>, cursor: Option<Cursor>, event_type: Option<&str>, json: &[u8]) {
    debug_assert!(!json.contains(&b'\n') && !json.contains(&b'\r'), "JSON is on one line");
    write_head(out, cursor, event_type);
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(json);
    out.extend_from_slice(b"\n\n");
}

fn write_head(out: &mut Vec<u8>, cursor: Option<Cursor>, event_type: Option<&str>) {
    if let Some(cursor) = cursor {
        out.extend_from_slice(b"id: ");
        write::cursor(out, cursor);
        out.push(b'\n');
    }
    if let Some(event_type) = event_type {
        out.extend_from_slice(b"event: ");
        // A type has no line breaks where it comes in; here one would forge a field.
        out.extend(event_type.bytes().map(|byte| if byte < b' ' { b' ' } else { byte }));
        out.push(b'\n');
    }
}

fn write_lines(out: &mut Vec<u8>, text: &[u8]) {
    each_line(text, |line| {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    });
}

/// The same without a space behind the colon, but where the line begins with one: readers drop the
/// first.
pub(crate) fn write_lines_tight(out: &mut Vec<u8>, text: &[u8]) {
    each_line(text, |line| {
        out.extend_from_slice(if line.starts_with(b" ") { b"data: " } else { b"data:" });
        out.extend_from_slice(line);
        out.push(b'\n');
    });
}

/// Lines as readers of Server-Sent Events tell them apart.
fn each_line(mut text: &[u8], mut write: impl FnMut(&[u8])) {
    loop {
        let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        write(&text[..end.unwrap_or(text.len())]);
        let Some(end) = end else { return };
        let line_break = if text[end..].starts_with(b"\r\n") { 2 } else { 1 };
        text = &text[end + line_break..];
    }
}
