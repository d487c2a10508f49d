//! Where a request of HTTP/1 ends, so that hyper is given one at a time: each head is judged as it
//! came, wherever it stands, and nobody takes a part of the next one for silence.

use bellwire_wire::problem::Problem;
use httparse::Request;

use super::{head, letter};

/// A head that is complete, and what follows it.
#[derive(Debug)]
pub(super) struct Framing {
    pub(super) head_bytes: usize,
    pub(super) body: Body,
}

/// How much of a body is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Bytes(u64),
    Chunked(Chunks),
    /// All that comes.
    Endless,
}

impl Framing {
    /// Reads the head at the beginning of `bytes`. `None`: it is not complete yet.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, Problem> {
        head::parse(bytes, |request, head_bytes| Self { head_bytes, body: Body::of(request) })
    }
}

impl Body {
    /// That of a request whose head keeps to the letter.
    fn of(request: &Request<'_, '_>) -> Self {
        let mut length = None;
        for header in request.headers.iter() {
            if header.name.eq_ignore_ascii_case("transfer-encoding") {
                return Self::Chunked(Chunks::default());
            }
            if header.name.eq_ignore_ascii_case("content-length") {
                length = letter::number(header.value);
            }
        }
        Self::Bytes(length.unwrap_or(0))
    }
}

/// Where in a chunked body (RFC 9112, 7.1) its bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Chunks {
    /// Before the size of a chunk.
    #[default]
    Begin,
    Size(u64),
    Extension(u64),
    SizeEnd(u64),
    Data(u64),
    DataEnd,
    DataEndLine,
    /// At the beginning of a line behind the last chunk.
    Trailer,
    TrailerLine,
    TrailerLineEnd,
    LastLineEnd,
    End,
    /// Not chunked at all: hyper refuses it.
    Broken,
}

impl Chunks {
    /// Passes over what belongs to the body; returns how many bytes that are where its end is
    /// among them.
    pub(super) fn see(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if let Self::Data(left) = self {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                *left -= here as u64;
                at += here;
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                continue;
            }
            *self = self.after(bytes[at]);
            at += 1;
            match self {
                Self::End => return Some(at),
                Self::Broken => return None,
                _ => {}
            }
        }
        None
    }

    fn after(self, byte: u8) -> Self {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        match (self, byte) {
            (Self::Begin, _) => digit.map_or(Self::Broken, Self::Size),
            (Self::Size(size), b';' | b' ' | b'\t') => Self::Extension(size),
            (Self::Size(size) | Self::Extension(size), b'\r') => Self::SizeEnd(size),
            (Self::Size(size), _) => {
                let size =
                    size.checked_mul(16).zip(digit).and_then(|(size, d)| size.checked_add(d));
                size.map_or(Self::Broken, Self::Size)
            }
            (Self::Extension(_), b'\n') => Self::Broken,
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::SizeEnd(0) | Self::TrailerLineEnd, b'\n') => Self::Trailer,
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataEnd, b'\r') => Self::DataEndLine,
            (Self::DataEndLine, b'\n') => Self::Begin,
            (Self::Trailer, b'\r') => Self::LastLineEnd,
            (Self::Trailer | Self::TrailerLine, _) if byte != b'\r' => Self::TrailerLine,
            (Self::TrailerLine, _) => Self::TrailerLineEnd,
            (Self::LastLineEnd, b'\n') => Self::End,
            _ => Self::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the body ends, read in pieces of `size` bytes.
    fn end(text: &str, size: usize) -> Option<usize> {
        let mut chunks = Chunks::default();
        let mut seen = 0;
        for piece in text.as_bytes().chunks(size) {
            if let Some(end) = chunks.see(piece) {
                return Some(seen + end);
            }
            seen += piece.len();
        }
        None
    }

    #[test]
    fn the_end_of_a_chunked_body_is_found_wherever_it_is_cut() {
        let whole = [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "a;name=value\r\n\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n",
            "1 \r\nx\r\n00\r\nGrpc-Status: 0\r\nMore: \r\n\r\n",
        ];
        for body in whole {
            let more = format!("{body}GET / HTTP/1.1\r\n");
            for size in 1..=more.len() {
                assert_eq!(end(&more, size), Some(body.len()), "{body:?} in pieces of {size}");
            }
        }
        for body in ["0\r\n", "5\r\nhello\r\n", "5\r\nhel", "0\r\nMore: \r\n", "\r\n0\r\n\r\n"] {
            assert_eq!(end(body, 1), None, "{body:?}");
        }
        for broken in ["x\r\n", "5\nhello", "5\r\nhello0\r\n\r\n", "11111111111111111\r\n\r\n"] {
            let mut chunks = Chunks::default();
            assert_eq!(chunks.see(broken.as_bytes()), None);
            assert_eq!(chunks, Chunks::Broken, "{broken:?}");
        }
    }

    #[test]
    fn a_head_says_how_long_its_body_is() {
        let cases = [
            ("", Body::Bytes(0)),
            ("Content-Length: 7\r\n", Body::Bytes(7)),
            ("Content-Length: 7\r\nContent-Length: 7\r\n", Body::Bytes(7)),
            ("Transfer-Encoding: chunked\r\n", Body::Chunked(Chunks::Begin)),
        ];
        for (headers, body) in cases {
            let head = format!("POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
            let framing = Framing::read(format!("{head}more").as_bytes()).expect("in order");
            let framing = framing.expect("complete");
            assert_eq!((framing.head_bytes, framing.body), (head.len(), body), "{headers:?}");
            assert!(Framing::read(&head.as_bytes()[..head.len() - 1]).expect("in order").is_none());
        }
        let both =
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(Framing::read(both.as_bytes()).is_err());
    }
}
