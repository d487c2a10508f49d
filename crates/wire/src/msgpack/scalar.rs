//! The values of `MessagePack`, each in as few bytes as it takes.

pub(super) const NIL: u8 = 0xC0;
pub(super) const FALSE: u8 = 0xC2;
pub(super) const TRUE: u8 = 0xC3;
const BIN_8: u8 = 0xC4;
const FLOAT_64: u8 = 0xCB;
const UINT_8: u8 = 0xCC;
const INT_8: u8 = 0xD0;
const STR_8: u8 = 0xD9;
const ARRAY_16: u8 = 0xDC;
const MAP_16: u8 = 0xDE;
const FIX_MAP: u8 = 0x80;
const FIX_ARRAY: u8 = 0x90;
const FIX_STR: u8 = 0xA0;

/// What has other values in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Array,
    Map,
}

pub(super) fn integer(out: &mut Vec<u8>, number: i64) {
    if number >= 0 {
        return unsigned(out, number as u64);
    }
    match number {
        -32.. => out.push(number as i8 as u8),
        -0x80.. => out.extend_from_slice(&[INT_8, number as i8 as u8]),
        -0x8000.. => with_bytes(out, INT_8 + 1, &(number as i16).to_be_bytes()),
        -0x8000_0000.. => with_bytes(out, INT_8 + 2, &(number as i32).to_be_bytes()),
        _ => with_bytes(out, INT_8 + 3, &number.to_be_bytes()),
    }
}

pub(super) fn unsigned(out: &mut Vec<u8>, number: u64) {
    match number {
        0..=0x7F => out.push(number as u8),
        _ => sized(out, UINT_8, number),
    }
}

pub(super) fn float(out: &mut Vec<u8>, number: f64) {
    with_bytes(out, FLOAT_64, &number.to_be_bytes());
}

pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    text_bytes(out, text.as_bytes());
}

/// Text that is known to be UTF-8.
pub(super) fn text_bytes(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        length @ 0..=31 => out.push(FIX_STR | length as u8),
        length => sized(out, STR_8, length as u64),
    }
    out.extend_from_slice(text);
}

pub(super) fn binary(out: &mut Vec<u8>, bytes: &[u8]) {
    sized(out, BIN_8, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn map_head(out: &mut Vec<u8>, members: usize) {
    let at = out.len();
    out.push(0);
    container_head(out, at, Container::Map, members);
}

/// Puts the head of a container where one byte was left for it, before the values that follow.
pub(super) fn container_head(out: &mut Vec<u8>, at: usize, container: Container, count: usize) {
    let (short, long) = match container {
        Container::Array => (FIX_ARRAY, ARRAY_16),
        Container::Map => (FIX_MAP, MAP_16),
    };
    if count <= 15 {
        out[at] = short | count as u8;
        return;
    }
    let mut head = Vec::with_capacity(5);
    match u16::try_from(count) {
        Ok(count) => with_bytes(&mut head, long, &count.to_be_bytes()),
        Err(_) => with_bytes(&mut head, long + 1, &(count as u32).to_be_bytes()),
    }
    out.splice(at..=at, head);
}

/// The four sizes of a kind have markers in a row.
fn sized(out: &mut Vec<u8>, marker_8: u8, number: u64) {
    match number {
        0..=0xFF => out.extend_from_slice(&[marker_8, number as u8]),
        0x100..=0xFFFF => with_bytes(out, marker_8 + 1, &(number as u16).to_be_bytes()),
        0x1_0000..=0xFFFF_FFFF => with_bytes(out, marker_8 + 2, &(number as u32).to_be_bytes()),
        _ => with_bytes(out, marker_8 + 3, &number.to_be_bytes()),
    }
}

fn with_bytes(out: &mut Vec<u8>, marker: u8, bytes: &[u8]) {
    out.push(marker);
    out.extend_from_slice(bytes);
}
