//! Newline-delimited JSON: one event, or one control event, on each line.

use bellwire_model::Cursor;

use crate::Control;
use crate::control::heartbeat_json;
use crate::http1::Frame;

/// One line. `json` has no line breaks, as [`json::event`](crate::json::event) returns it.
pub fn line(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 1);
    write_line(&mut out, json);
    out
}

/// [`line`](fn@line) with its chunk around it, in one allocation.
pub fn line_frame(json: &[u8]) -> Frame {
    Frame::build(json.len() + 1, |out| write_line(out, json))
}

/// A line such as `{"control":"ready",…}`.
pub fn control(control: &Control<'_>) -> Vec<u8> {
    line(&control.json())
}

/// A sign of life. NDJSON has no comments: an empty line where nothing moved, which readers of
/// NDJSON skip, or `{"control":"heartbeat","cursor":"…"}` where the cursor moved.
pub fn heartbeat(cursor: Option<Cursor>) -> Vec<u8> {
    cursor.map_or_else(|| b"\n".to_vec(), |cursor| line(&heartbeat_json(cursor)))
}

fn write_line(out: &mut Vec<u8>, json: &[u8]) {
    out.extend_from_slice(json);
    out.push(b'\n');
}
