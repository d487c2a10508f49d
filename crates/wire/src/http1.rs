//! HTTP/1.1's chunked coding around a payload.
//!
//! ```text
//! 1 a 3 \r \n  d a t a : …  \r \n
//! ╰─ head ──╯ ╰─ payload ─╯
//! ╰─────────── chunked ─────────╯
//! ```

use bytes::{Buf, Bytes};
use http::{HeaderName, HeaderValue};

use crate::write;

/// What ends a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The longest chunk head: 16 hexadecimal digits and a line break.
const HEAD_BYTES_MAX: usize = 18;
const LINE_BREAK: &[u8] = b"\r\n";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends the lines of headers to a head.
pub fn extend_head(
    head: &mut impl Extend<u8>,
    headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
) {
    for (name, value) in headers {
        head.extend(name.as_str().bytes());
        head.extend(*b": ");
        head.extend(value.as_bytes().iter().copied());
        head.extend(*b"\r\n");
    }
}

/// Payload bytes as one chunk. HTTP/1.0 knows no chunks: such clients get the payload out of the
/// same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    bytes: Bytes,
    payload_start: u8,
}

impl Frame {
    /// A frame around a copy of `payload`.
    pub fn new(payload: &[u8]) -> Self {
        Self::build(payload.len(), |out| out.extend_from_slice(payload))
    }

    /// A frame around what `write` appends, in one allocation where `payload_bytes`, the expected
    /// length, is enough.
    pub fn build(payload_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut out = Vec::with_capacity(HEAD_BYTES_MAX + payload_bytes + LINE_BREAK.len());
        out.resize(HEAD_BYTES_MAX, 0);
        write(&mut out);
        let mut length = out.len() - HEAD_BYTES_MAX;
        if length == 0 {
            // A chunk of no bytes would end the body; nothing to send is no chunk.
            return Self { bytes: Bytes::new(), payload_start: 0 };
        }
        out.extend_from_slice(LINE_BREAK);
        // The length is only known now, so the head is written from its end to its start.
        let mut start = HEAD_BYTES_MAX - LINE_BREAK.len();
        out[start..HEAD_BYTES_MAX].copy_from_slice(LINE_BREAK);
        while length > 0 {
            start -= 1;
            out[start] = HEX[length % 16];
            length /= 16;
        }
        let mut bytes = write::kept(out);
        bytes.advance(start);
        Self { bytes, payload_start: (HEAD_BYTES_MAX - start) as u8 }
    }

    /// The whole chunk: for HTTP/1.1.
    pub fn chunked(&self) -> &Bytes {
        &self.bytes
    }

    /// The payload alone: for HTTP/1.0, HTTP/2 and WebSocket.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload_start as usize..self.payload_end()]
    }

    /// The payload alone, sharing the frame's bytes.
    pub fn payload_bytes(&self) -> Bytes {
        self.bytes.slice(self.payload_start as usize..self.payload_end())
    }

    fn payload_end(&self) -> usize {
        self.bytes.len().saturating_sub(LINE_BREAK.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_has_its_length_in_hexadecimal() {
        let cases = [(1, "1"), (15, "f"), (16, "10"), (255, "ff"), (4096, "1000")];
        for (length, head) in cases {
            let payload = vec![b'x'; length];
            let frame = Frame::new(&payload);
            let expected = [head.as_bytes(), b"\r\n", &payload, b"\r\n"].concat();
            assert_eq!(frame.chunked(), &expected);
            assert_eq!(frame.payload(), payload);
            assert_eq!(frame.payload_bytes(), payload);
        }
    }

    #[test]
    fn an_empty_payload_does_not_end_the_body() {
        let frame = Frame::new(b"");
        assert!(frame.chunked().is_empty());
        assert!(frame.payload().is_empty());
        assert!(frame.payload_bytes().is_empty());
    }

    #[test]
    fn a_frame_keeps_little_room_that_it_does_not_need() {
        for length in [100, 10_000, 100_000] {
            // What is escaped comes to more than was expected, and the buffer has grown.
            let frame = Frame::build(length, |out| out.extend(vec![b'x'; length + length / 4]));
            let bytes = frame.bytes.try_into_mut().expect("nobody shares it");
            assert!(bytes.capacity() <= 5_000 + bytes.len() * 9 / 8, "{}", bytes.capacity());
        }
    }

    #[test]
    fn a_wrong_expectation_of_the_length_does_no_harm() {
        let frame = Frame::build(0, |out| out.extend_from_slice(b"data: x\n\n"));
        assert_eq!(frame, Frame::new(b"data: x\n\n"));
    }
}
