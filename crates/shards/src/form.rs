//! Forms: the bytes that a connection is sent, around the same events.
//!
//! Every value names a form that exists. Who is of the same form is sent the same bytes.

use bellwire_model::Cursor;
use bellwire_process::clock;
use bellwire_wire::durable_streams::{self, Payload, Progress, StreamCursor};
use bellwire_wire::gzip;
use bellwire_wire::http1::{Frame, LAST_CHUNK};
use bellwire_wire::ws::{Compression, Subprotocol};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};

use crate::traffic::Carrier;

/// What a connection is sent. Another transport is another variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The body of an answer over HTTP.
    Http(HttpForm),
    /// The messages of a WebSocket.
    WebSocket(WebSocketForm),
    /// The Server-Sent Events of Durable Streams.
    Durable(DurableForm),
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

/// The Server-Sent Events of Durable Streams: what was published, and where the reader is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurableForm {
    payload: Payload,
    /// How far ahead its reader's cursors are, and in the lowest bit what is around it: a connection is
    /// small.
    packed: u8,
}

const _: () = assert!(size_of::<Form>() <= 3);

impl Form {
    /// The transport's name.
    pub fn transport(self) -> &'static str {
        match self {
            Self::Http(HttpForm { encoding: Encoding::Sse | Encoding::SseRaw, .. }) => "sse",
            Self::Http(HttpForm { encoding: Encoding::Ndjson, .. }) => "ndjson",
            Self::WebSocket(_) => "websocket",
            Self::Durable(_) => "durable-streams",
        }
    }

    /// What carries it.
    pub(crate) fn carrier(self) -> Carrier {
        match self {
            Self::Http(HttpForm { encoding: Encoding::Ndjson, .. }) => Carrier::Ndjson,
            Self::Http(_) | Self::Durable(_) => Carrier::Sse,
            Self::WebSocket(WebSocketForm { subprotocol: Subprotocol::Msgpack, .. }) => {
                Carrier::WebsocketBinary
            }
            Self::WebSocket(_) => Carrier::Websocket,
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
            Self::Durable(_) => Encoding::Sse.content_type(),
        }
    }

    /// What an answer in this form says of itself beside its media type.
    pub fn headers(self) -> Vec<(HeaderName, HeaderValue)> {
        let Self::Durable(DurableForm { payload, .. }) = self else {
            return vec![(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        };
        let mut headers = vec![
            // The protocol asks for the first of the two.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store")),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                HeaderValue::from_static("same-origin"),
            ),
        ];
        if payload == Payload::Binary {
            let name = HeaderName::from_static("stream-sse-data-encoding");
            headers.push((name, HeaderValue::from_static("base64")));
        }
        headers
    }

    /// Whether it is compressed as HTTP compresses bodies.
    pub fn is_gzip(self) -> bool {
        self.gzip().is_some()
    }

    /// The body whose runs of events are compressed, if this is one.
    pub(crate) fn gzip(self) -> Option<HttpForm> {
        match self {
            Self::Http(http) if http.is_gzip() => Some(http),
            Self::Http(_) | Self::WebSocket(_) | Self::Durable(_) => None,
        }
    }

    /// Whether its reader is told of places by what stands behind events.
    pub(crate) fn durable(self) -> Option<DurableForm> {
        match self {
            Self::Durable(durable) => Some(durable),
            Self::Http(_) | Self::WebSocket(_) => None,
        }
    }
}

impl DurableForm {
    /// Of a stream whose content type makes this of events, for a reader whose cursors are that far
    /// ahead.
    pub fn new(payload: Payload, cursor: StreamCursor, framing: Framing) -> Self {
        Self { payload, packed: cursor.intervals() << 1 | u8::from(framing == Framing::Chunked) }
    }

    /// What the stream's content type makes of events.
    pub(crate) fn payload(self) -> Payload {
        self.payload
    }

    /// What is around it.
    pub(crate) fn framing(self) -> Framing {
        if self.packed & 1 == 1 { Framing::Chunked } else { Framing::Plain }
    }

    /// As it goes out.
    pub(crate) fn wrap(self, payload: &[u8]) -> Bytes {
        self.framing().frame(payload)
    }

    /// Where its reader is.
    pub(crate) fn place(self, place: Cursor, progress: Progress) -> Bytes {
        let cursor = StreamCursor::ahead(self.packed >> 1).at(clock::now());
        self.wrap(&durable_streams::control_event(place, cursor, progress))
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
        self.framing.frame(bytes)
    }
}

impl Framing {
    /// Bytes of a body as they go out.
    fn frame(self, bytes: &[u8]) -> Bytes {
        match self {
            Self::Chunked => Frame::new(bytes).chunked().clone(),
            Self::Plain => Bytes::copy_from_slice(bytes),
        }
    }

    /// What ends a body.
    pub(crate) fn end(self) -> Bytes {
        match self {
            Self::Chunked => Bytes::from_static(LAST_CHUNK),
            Self::Plain => Bytes::new(),
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
