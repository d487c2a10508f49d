//! Deflate (RFC 1951) with a fresh context for each piece: what is compressed once fits all
//! connections, and none of them keeps a window.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// For a few events as good as the levels above, and for a hundred a third cheaper.
const LEVEL: u32 = 5;
/// Every piece ends in this, an empty block that ends on a whole byte.
pub(crate) const FLUSH_TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
/// A last block with nothing in it. It can only be read behind a block that is whole.
const LAST_BLOCK: [u8; 5] = [0x01, 0x00, 0x00, 0xFF, 0xFF];
/// Room for what is inflated, to begin with: most is small.
const INFLATED_BYTES_EXPECTED: usize = 512;

/// Compresses pieces, one after the other. It holds some 256 KiB, so a thread has one for all
/// its connections.
#[derive(Debug)]
pub struct Deflater {
    stream: Compress,
    deflated_bytes: u64,
}

/// The piece would not get smaller.
#[derive(Debug)]
pub(crate) struct DoesNotPay;

impl Default for Deflater {
    fn default() -> Self {
        Self { stream: Compress::new(Compression::new(LEVEL), false), deflated_bytes: 0 }
    }
}

impl Deflater {
    /// Bytes that it has compressed so far, as they were before: what that costs goes by them.
    pub fn deflated_bytes(&self) -> u64 {
        self.deflated_bytes
    }

    /// Appends the parts as one piece of at most `bytes_max` bytes, which ends on a whole byte
    /// and refers to nothing before it. After an error, `out` is as it was.
    pub(crate) fn deflate(
        &mut self,
        out: &mut Vec<u8>,
        parts: &[&[u8]],
        bytes_max: usize,
    ) -> Result<(), DoesNotPay> {
        let start = out.len();
        let end = start + bytes_max;
        // Room for one byte too many: where there is room left, nothing is missing.
        out.reserve_exact(bytes_max + 1);
        for (index, part) in parts.iter().enumerate() {
            let is_last = index + 1 == parts.len();
            let flush = if is_last { FlushCompress::Full } else { FlushCompress::None };
            let before = self.stream.total_in();
            let result = self.stream.compress_vec(part, out, flush);
            let read = self.stream.total_in() - before;
            self.deflated_bytes += read;
            let is_read = read == part.len() as u64;
            if result.is_err() || !is_read || out.len() > end {
                out.truncate(start);
                self.stream.reset();
                return Err(DoesNotPay);
            }
        }
        // The full flush has forgotten everything, as a reset does.
        Ok(())
    }
}

/// Bytes cannot be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// They are not deflate, or end within a block.
    Invalid,
    /// They come to more than allowed.
    TooLarge,
}

/// Inflates pieces, one after the other. It holds a window of 32 KiB from the first one on, so a
/// thread has one for all its connections.
#[derive(Debug, Default)]
pub struct Inflater {
    stream: Option<Decompress>,
    inflated_bytes: u64,
}

impl Inflater {
    /// Bytes that it has made so far of compressed ones, be they of use or not: what that costs
    /// goes by them.
    pub fn inflated_bytes(&self) -> u64 {
        self.inflated_bytes
    }

    /// Inflates one piece without its [`FLUSH_TAIL`].
    pub(crate) fn inflate(
        &mut self,
        compressed: &[u8],
        bytes_max: usize,
    ) -> Result<Vec<u8>, InflateError> {
        let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
        stream.reset(false);
        let mut out = Vec::with_capacity(INFLATED_BYTES_EXPECTED.min(bytes_max + 1));
        let inflated = inflate_piece(stream, compressed, &mut out, bytes_max);
        self.inflated_bytes += out.len() as u64;
        inflated.map(|()| out)
    }
}

fn inflate_piece(
    stream: &mut Decompress,
    compressed: &[u8],
    out: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), InflateError> {
    inflate_into(stream, compressed, out, bytes_max)?;
    inflate_into(stream, &FLUSH_TAIL, out, bytes_max)?;
    match inflate_into(stream, &LAST_BLOCK, out, bytes_max)? {
        Status::StreamEnd => Ok(()),
        _ => Err(InflateError::Invalid),
    }
}

fn inflate_into(
    stream: &mut Decompress,
    mut input: &[u8],
    out: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<Status, InflateError> {
    loop {
        let before = stream.total_in();
        let status = stream
            .decompress_vec(input, out, FlushDecompress::Sync)
            .map_err(|_| InflateError::Invalid)?;
        input = &input[(stream.total_in() - before) as usize..];
        if out.len() > bytes_max {
            return Err(InflateError::TooLarge);
        }
        if status == Status::StreamEnd {
            // A last block within a piece: RFC 7692 lets further ones follow.
            stream.reset(false);
        }
        let is_full = out.len() == out.capacity();
        if input.is_empty() && !is_full {
            return Ok(status);
        }
        if !is_full && status == Status::BufError {
            return Err(InflateError::Invalid);
        }
        if is_full {
            // One byte more than allowed shows that there is more.
            out.reserve_exact(out.len().min(bytes_max + 1 - out.len()));
        }
    }
}
