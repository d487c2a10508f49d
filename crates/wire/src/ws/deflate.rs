//! permessage-deflate (RFC 7692) without context takeover: each message is a piece of its own.

use bellwire_model::limits::COMPRESSED_BYTES_MIN;
use bytes::Bytes;

use super::frame::{compressed, reserve_head, with_head};
use super::{Opcode, Violation};
use crate::deflate::{Deflater, FLUSH_TAIL, InflateError, Inflater};

impl Deflater {
    /// A whole WebSocket frame of the server with a compressed payload. `None`: it does not pay,
    /// because the payload has less than [`COMPRESSED_BYTES_MIN`] bytes or comes out no smaller.
    pub fn frame(&mut self, opcode: Opcode, payload: &[u8]) -> Option<Bytes> {
        if payload.len() < COMPRESSED_BYTES_MIN {
            return None;
        }
        let mut out = reserve_head(payload.len());
        // The tail is left out on the wire, so a piece of the payload's size is smaller.
        self.deflate(&mut out, &[payload], payload.len()).ok()?;
        out.truncate(out.len() - FLUSH_TAIL.len());
        Some(with_head(out, compressed(opcode)))
    }
}

impl Inflater {
    /// The payload of a compressed message.
    pub(super) fn payload(
        &mut self,
        compressed: &[u8],
        bytes_max: u32,
    ) -> Result<Vec<u8>, Violation> {
        self.inflate(compressed, bytes_max as usize).map_err(|error| match error {
            InflateError::Invalid => Violation::Deflate,
            InflateError::TooLarge => Violation::TooLarge { bytes_max },
        })
    }
}
