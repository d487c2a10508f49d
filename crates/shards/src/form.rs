//! Forms: the bytes that a connection is sent, around the same events.
//!
//! Every value names a form that exists. Who is of the same form is sent the same bytes.

use bellwire_wire::gzip;
use bellwire_wire::http1::Frame;
use bellwire_wire::ws::{Compression, Subprotocol};
use bytes::Bytes;

/// What a connection is sent. Another transport is another variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The body of an answer over HTTP.
    Http(HttpForm),
    /// The messages of a WebSocket.
    WebSocket(WebSocketForm),
}

/// The body of an answer over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpForm {
    /// How events are written.
    pub encoding: Encoding,
    /// Whether that is compressed.
    pub coding: Coding,
    /// What is around it.
    pub framing: Framing,
}

/// How a body has events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Server-Sent Events that carry the event's JSON.
    Sse,
    /// Server-Sent Events that carry the published payload alone.
    SseRaw,
    /// One JSON object a line.
    Ndjson,
}

/// How a body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// In gzip.
    Gzip,
}

/// What is around a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// HTTP/1.1's chunks.
    Chunked,
    /// Nothing: until the connection ends.
    Plain,
}

/// The messages of a WebSocket, an event each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebSocketForm {
    /// What they speak.
    pub subprotocol: Subprotocol,
    /// Whether they are compressed.
    pub compression: Compression,
}

impl Form {
    /// The transport's name.
    pub fn transport(self) -> &'static str {
        match self {
            Self::Http(HttpForm { encoding: Encoding::Sse | Encoding::SseRaw, .. }) => "sse",
            Self::Http(HttpForm { encoding: Encoding::Ndjson, .. }) => "ndjson",
            Self::WebSocket(_) => "websocket",
        }
    }

    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Http(http) => http.encoding.content_type(),
            Self::WebSocket(WebSocketForm { subprotocol: Subprotocol::Json, .. }) => {
                "application/json"
            }
            Self::WebSocket(WebSocketForm { subprotocol: Subprotocol::Msgpack, .. }) => {
                "application/msgpack"
            }
        }
    }

    /// Whether it is compressed as HTTP compresses bodies.
    pub fn is_gzip(self) -> bool {
        self.gzip().is_some()
    }

    /// The body whose runs of events are compressed, if this is one.
    pub(crate) fn gzip(self) -> Option<HttpForm> {
        match self {
            Self::Http(http) if http.is_gzip() => Some(http),
            Self::Http(_) | Self::WebSocket(_) => None,
        }
    }
}

impl HttpForm {
    pub(crate) fn is_gzip(self) -> bool {
        self.coding == Coding::Gzip
    }

    /// What is written of its own, as it goes out.
    pub(crate) fn wrap(self, payload: &[u8]) -> Bytes {
        match self.coding {
            Coding::Identity => self.frame(payload),
            Coding::Gzip => self.frame(&stored(payload)),
        }
    }

    /// Bytes of the body, coded already.
    pub(crate) fn frame(self, bytes: &[u8]) -> Bytes {
        match self.framing {
            Framing::Chunked => Frame::new(bytes).chunked().clone(),
            Framing::Plain => Bytes::copy_from_slice(bytes),
        }
    }
}

impl Encoding {
    fn content_type(self) -> &'static str {
        match self {
            Self::Sse | Self::SseRaw => "text/event-stream",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// A piece of a gzip stream that every reader passes on at once.
pub(crate) fn stored(payload: &[u8]) -> Vec<u8> {
    let mut piece = Vec::with_capacity(gzip::stored_bytes(payload.len()) + gzip::FLUSH.len());
    gzip::write_stored(&mut piece, payload);
    piece.extend_from_slice(&gzip::FLUSH);
    piece
}
