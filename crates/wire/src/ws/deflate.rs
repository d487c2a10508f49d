//! permessage-deflate (RFC 7692) with a fresh context for each message.
//!
//! A message is compressed by itself, so what is compressed once fits all connections, and
//! neither side keeps a window between messages.

use bellwire_model::limits::COMPRESSED_BYTES_MIN;
use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frame::{compressed, reserve_head, with_head};
use super::{Opcode, Violation};

/// Every flushed stretch of deflate ends in this; it is left out on the wire.
const FLUSH_TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
/// A last block with nothing in it. It can only be read behind a block that is whole.
const LAST_BLOCK: [u8; 5] = [0x01, 0x00, 0x00, 0xFF, 0xFF];
/// Room for what comes out, to begin with: most messages of clients are small.
const INFLATED_BYTES_EXPECTED: usize = 512;

/// Compresses messages, one after the other. It holds some 256 KiB, so a thread has one for all
/// its connections.
#[derive(Debug)]
pub struct Deflater {
    stream: Compress,
}

impl Default for Deflater {
    fn default() -> Self {
        Self { stream: Compress::new(Compression::default(), false) }
    }
}

impl Deflater {
    /// A whole frame of the server with a compressed payload. `None`: it does not pay, because
    /// the payload has less than [`COMPRESSED_BYTES_MIN`] bytes or comes out no smaller.
    pub fn frame(&mut self, opcode: Opcode, payload: &[u8]) -> Option<Bytes> {
        if payload.len() < COMPRESSED_BYTES_MIN {
            return None;
        }
        let mut out = reserve_head(payload.len());
        self.stream.reset();
        self.stream.compress_vec(payload, &mut out, FlushCompress::Sync).ok()?;
        // Where it did not fit into the bytes of the payload, it is no smaller.
        if out.len() == out.capacity() {
            return None;
        }
        out.truncate(out.len() - FLUSH_TAIL.len());
        Some(with_head(out, compressed(opcode)))
    }
}

/// Inflates messages, one after the other. It holds a window of 32 KiB from the first one on, so
/// a thread has one for all its connections.
#[derive(Debug, Default)]
pub struct Inflater {
    stream: Option<Decompress>,
}

impl Inflater {
    /// Inflates one message, which must not come to more than `bytes_max`.
    pub fn inflate(&mut self, compressed: &[u8], bytes_max: u32) -> Result<Vec<u8>, Violation> {
        let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
        stream.reset(false);
        let mut out = Vec::with_capacity(INFLATED_BYTES_EXPECTED.min(bytes_max as usize + 1));
        inflate_into(stream, compressed, &mut out, bytes_max)?;
        inflate_into(stream, &FLUSH_TAIL, &mut out, bytes_max)?;
        match inflate_into(stream, &LAST_BLOCK, &mut out, bytes_max)? {
            Status::StreamEnd => Ok(out),
            // Cut in the middle of a block.
            _ => Err(Violation::Deflate),
        }
    }
}

fn inflate_into(
    stream: &mut Decompress,
    mut input: &[u8],
    out: &mut Vec<u8>,
    bytes_max: u32,
) -> Result<Status, Violation> {
    loop {
        let before = stream.total_in();
        let status = stream
            .decompress_vec(input, out, FlushDecompress::Sync)
            .map_err(|_| Violation::Deflate)?;
        input = &input[(stream.total_in() - before) as usize..];
        if out.len() > bytes_max as usize {
            return Err(Violation::TooLarge { bytes_max });
        }
        if status == Status::StreamEnd {
            // A last block within a message: RFC 7692 lets further ones follow.
            stream.reset(false);
        }
        let is_full = out.len() == out.capacity();
        if input.is_empty() && !is_full {
            return Ok(status);
        }
        if !is_full && status == Status::BufError {
            return Err(Violation::Deflate);
        }
        if is_full {
            // One byte more than allowed shows that there is more.
            out.reserve_exact(out.len().min(bytes_max as usize + 1 - out.len()));
        }
    }
}
