//! A WebSocket by hand, frame by frame and byte by byte, for what is not in order.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;

use super::raw::Raw;

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Added to a short length.
const MASKED: u8 = 0x80;
/// As good as any.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The headers of a handshake, beside `Host`.
pub(crate) const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// A frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.first, FIN | TEXT, "{self:?}");
        serde_json::from_slice(&self.payload).expect("JSON")
    }

    /// Code and reason of a close frame.
    pub(crate) fn close(&self) -> (u16, String) {
        assert_eq!(self.first, FIN | CLOSE, "{self:?}");
        let (code, reason) = self.payload.split_first_chunk().expect("a code");
        (u16::from_be_bytes(*code), String::from_utf8(reason.to_vec()).expect("UTF-8"))
    }
}

/// A frame of a client: its first byte, and a payload that is masked.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(MASKED + length as u8),
        length @ 126..65_536 => {
            frame.push(MASKED + 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(MASKED + 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A whole text.
pub(crate) fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    masked(FIN | TEXT, payload.as_ref())
}

/// An open WebSocket that speaks JSON.
#[derive(Debug)]
pub(crate) struct Frames {
    pub(crate) raw: Raw,
    /// The head of the server's answer.
    pub(crate) head: String,
}

impl Frames {
    /// Opens `/v1/events?{query}`.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, query: &str) -> Self {
        Self::open_with(address, query, "")
    }

    /// Opens it with more headers.
    #[track_caller]
    pub(crate) fn open_with(address: SocketAddr, query: &str, headers: &str) -> Self {
        Self::over(Raw::connect(address), query, headers)
    }

    #[track_caller]
    pub(crate) fn over(mut raw: Raw, query: &str, headers: &str) -> Self {
        raw.send(format!("GET /v1/events?{query} HTTP/1.1\r\nHost: x\r\n{UPGRADE}{headers}\r\n"));
        let head = raw.until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Self { raw, head }
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.raw.send(bytes);
    }

    pub(crate) fn try_next(&mut self) -> io::Result<Frame> {
        let mut head = [0; 2];
        self.raw.try_read(&mut head)?;
        let [first, length] = head;
        let length = match length {
            126 => {
                let mut length = [0; 2];
                self.raw.try_read(&mut length)?;
                u16::from_be_bytes(length) as usize
            }
            127 => {
                let mut length = [0; 8];
                self.raw.try_read(&mut length)?;
                u64::from_be_bytes(length) as usize
            }
            length => {
                assert!(length < 126, "a server does not mask");
                length as usize
            }
        };
        let mut payload = vec![0; length];
        self.raw.try_read(&mut payload)?;
        Ok(Frame { first, payload })
    }

    /// The next frame.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Frame {
        self.try_next().expect("a frame")
    }

    /// The reply to the request with this id; what comes before it is dropped.
    #[track_caller]
    pub(crate) fn reply(&mut self, id: u64) -> Value {
        loop {
            let frame = self.next();
            if frame.first == FIN | TEXT && frame.json()["reply"] == id {
                return frame.json();
            }
        }
    }

    /// Whether the server still serves this connection.
    #[track_caller]
    pub(crate) fn assert_alive(&mut self) {
        self.send(masked(FIN | PING, b"still there?"));
        loop {
            let frame = self.next();
            if frame.first == FIN | PONG && frame.payload == b"still there?" {
                return;
            }
            assert_ne!(frame.first, FIN | CLOSE, "{:?}", frame.close());
        }
    }

    /// Reads up to the server's close frame and the end of the connection, which comes behind it
    /// and in order; returns code and reason.
    #[track_caller]
    pub(crate) fn closed(&mut self) -> (u16, String) {
        let close = loop {
            let frame = self.next();
            if frame.first == FIN | CLOSE {
                break frame.close();
            }
        };
        let rest = self.raw.try_rest().expect("an end in order");
        assert_eq!(rest, b"", "nothing follows a close frame");
        close
    }
}
