//! Protocol Buffers, as far as requests need them.

/// Appends a field that has bytes: a text or a message.
pub(super) fn field(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a field that has a number.
pub(super) fn number(out: &mut Vec<u8>, number: u64, value: u64) {
    varint(out, number << 3);
    varint(out, value);
}

/// Appends a field of eight bytes.
pub(super) fn fixed64(out: &mut Vec<u8>, number: u64, bits: u64) {
    varint(out, number << 3 | 1);
    out.extend_from_slice(&bits.to_le_bytes());
}

/// Appends a number in as few bytes as it needs.
pub(super) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
