//! Gzip (RFC 1952) from pieces that are shared: any stream is [`HEADER`] and then pieces in any
//! order, compressed ([`Deflater::segment`]) or not ([`stored`]).
//!
//! ```text
//! HEADER │ segment │ stored │ segment │ …
//!        ▲         ▲        ▲
//!        └─────────┴────────┴─ on a whole byte; nothing refers back across
//! ```
//!
//! Whoever reads as it comes has all bytes of a piece when it has the piece. There is no footer:
//! a checksum is of one client's bytes, and browsers read a stream that just ends.

use crate::deflate::Deflater;

/// What a stream begins with: deflate, no time, no name, no known system.
pub const HEADER: [u8; 10] = [0x1F, 0x8B, 0x08, 0, 0, 0, 0, 0, 0, 0xFF];

/// A block of nothing. Some readers pass on what they have only when they come to one, so what is
/// [`stored`] is followed by it; a segment ends in one of its own.
pub const FLUSH: [u8; 5] = [0, 0, 0, 0xFF, 0xFF];

/// Bytes that a stored block takes beside what is in it.
const BLOCK_HEAD_BYTES: usize = 5;
/// Bytes that a stored block holds at most.
const BLOCK_BYTES_MAX: usize = 0xFFFF;

/// A piece that is not compressed: for what is small and cannot wait for more.
pub fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(stored_bytes(bytes.len()));
    write_stored(&mut out, bytes);
    out
}

/// Appends what [`stored`] returns.
pub fn write_stored(out: &mut Vec<u8>, bytes: &[u8]) {
    for block in bytes.chunks(BLOCK_BYTES_MAX) {
        let length = block.len() as u16;
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
}

/// How long [`stored`] is for this many bytes.
pub const fn stored_bytes(bytes: usize) -> usize {
    bytes + bytes.div_ceil(BLOCK_BYTES_MAX) * BLOCK_HEAD_BYTES
}

impl Deflater {
    /// A piece of a gzip stream with all of the parts: compressed, or stored where that is no
    /// longer.
    pub fn segment(&mut self, parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_segment(&mut out, parts);
        out
    }

    /// Appends what [`segment`](Self::segment) returns.
    pub fn write_segment(&mut self, out: &mut Vec<u8>, parts: &[&[u8]]) {
        let bytes_max = parts.iter().map(|part| stored_bytes(part.len())).sum();
        if bytes_max > 0 && self.deflate(out, parts, bytes_max).is_err() {
            for part in parts {
                write_stored(out, part);
            }
        }
    }
}
