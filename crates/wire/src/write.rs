//! The scalars of JSON, appended to a buffer. Everything that is written passes through here, so
//! that a string is escaped in one place and a number looks the same everywhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bellwire_model::{Cursor, KeyVersion, Labels, StateMark};
use bytes::Bytes;

/// Integers up to here have an exact double, so that both spellings mean the same number.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// A JSON string with its quotes.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("writing text into memory cannot fail");
}

/// A JSON string of text that ought to be UTF-8; what is not becomes U+FFFD.
pub(crate) fn lossy_string(out: &mut Vec<u8>, text: &[u8]) {
    string(out, &String::from_utf8_lossy(text));
}

/// `,"name":`
pub(crate) fn member(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A decimal integer.
pub(crate) fn integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A number; JSON has no word for those that are not finite, so they are strings as Prometheus
/// spells them.
pub(crate) fn number(out: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"\"+Inf\"" } else { b"\"-Inf\"" });
    } else if number.fract() == 0.0 && number.abs() < EXACT_INTEGER_MAX {
        integer(out, number as i64);
    } else {
        serde_json::to_writer(out, &number).expect("writing a number into memory cannot fail");
    }
}

/// A cursor as text, without quotes: it needs no escaping.
pub(crate) fn cursor(out: &mut Vec<u8>, cursor: Cursor) {
    out.push(b'e');
    integer(out, cursor.epoch.get());
    out.push(b'-');
    integer(out, cursor.offset.get());
    if let Some(mark) = cursor.state {
        state_mark(out, mark);
    }
}

/// The part of a cursor that is of state topics.
fn state_mark(out: &mut Vec<u8>, mark: StateMark) {
    let StateMark { life, version, since, durable } = mark;
    out.extend_from_slice(b".s");
    integer(out, life.get());
    out.push(b'-');
    integer(out, version.get());
    if since > version {
        out.push(b'-');
        integer(out, since.get());
    }
    if let Some((upto, since)) = durable {
        out.extend_from_slice(b".d");
        integer(out, upto.get());
        if since > upto {
            out.push(b'-');
            integer(out, since.get());
        }
    }
}

/// Bytes a cursor takes at most: two numbers and what is between them, and as much for each number of
/// its part that is of state topics.
pub(crate) fn cursor_bytes(cursor: Option<Cursor>) -> usize {
    const PLACE: usize = 1 + 10 + 1 + 20;
    match cursor.and_then(|cursor| cursor.state) {
        None => PLACE,
        Some(_) => PLACE + 2 + 10 + 1 + 20 + 1 + 20,
    }
}

/// `,"version":"s9-77"`
pub(crate) fn version_member(out: &mut Vec<u8>, version: KeyVersion) {
    member(out, "version");
    out.push(b'"');
    key_version(out, version);
    out.push(b'"');
}

/// A key's version as text, without quotes: it needs no escaping.
pub(crate) fn key_version(out: &mut Vec<u8>, version: KeyVersion) {
    match version {
        KeyVersion::Table { life, version } => {
            out.push(b's');
            integer(out, life.get());
            out.push(b'-');
            integer(out, version.get());
        }
        KeyVersion::Journal { epoch, offset } => cursor(out, Cursor::new(epoch, offset)),
    }
}

/// Bytes that [`version_member`] takes at most: its name, and two numbers.
pub(crate) fn version_bytes(version: Option<KeyVersion>) -> usize {
    version.map_or(0, |_| 13 + 1 + 10 + 1 + 20)
}

/// Labels as an object; `skip` names one that is left out.
pub(crate) fn labels(out: &mut Vec<u8>, labels: &Labels, skip: Option<&str>) {
    out.push(b'{');
    let shown = labels.iter().filter(|(name, _)| Some(*name) != skip);
    for (index, (name, value)) in shown.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, name);
        out.push(b':');
        string(out, value);
    }
    out.push(b'}');
}

/// Bytes that [`base64`] writes for this many.
pub(crate) const fn base64_bytes(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Base64 with the standard alphabet and padding, without quotes.
pub(crate) fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + base64_bytes(bytes.len()), 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]);
    debug_assert_eq!(written, Ok(out.len() - start));
}

/// Bytes of a buffer from which it pays to look whether it has room that nobody needs.
const SPARE_BYTES_MIN: usize = 4096;

/// A buffer that is complete, as it is kept for as long as its event: with little room to spare.
/// Compressed, or full of characters to escape, a payload comes to another size than was set aside.
#[inline]
pub(crate) fn kept(mut out: Vec<u8>) -> Bytes {
    let spare = out.capacity() - out.len();
    if spare > SPARE_BYTES_MIN && spare > out.len() / 8 {
        out.shrink_to_fit();
    }
    out.into()
}
