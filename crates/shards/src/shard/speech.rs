//! What a shard says to one connection alone: controls, heartbeats, farewells.

use std::time::Duration;

use bellwire_model::Cursor;
use bellwire_wire::http1::LAST_CHUNK;
use bellwire_wire::request::RequestId;
use bellwire_wire::ws::{self, CloseCode, Opcode, Subprotocol};
use bellwire_wire::{ByeReason, Control, control, gzip, ndjson, sse};
use bytes::{Bytes, BytesMut};

use crate::form::{Encoding, Form, Framing, HttpForm, WebSocketForm};
use crate::stream_request::StreamRequest;

/// The head of the answer, and for SSE how long to wait before a reconnect.
pub(super) fn opening(request: &StreamRequest) -> BytesMut {
    match &request.handshake {
        Some(handshake) => handshake.response_head(),
        None => match request.form {
            Form::Http(http) => response_head(request, http),
            // Whoever has shaken hands has answered.
            Form::WebSocket(_) => BytesMut::new(),
        },
    }
}

fn response_head(request: &StreamRequest, http: HttpForm) -> BytesMut {
    let mut head = BytesMut::with_capacity(512);
    head.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Type: ");
    head.extend_from_slice(request.form.content_type().as_bytes());
    head.extend_from_slice(b"\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n");
    head.extend_from_slice(match http.framing {
        Framing::Chunked => b"Transfer-Encoding: chunked\r\n",
        Framing::Plain => b"Connection: close\r\n",
    });
    if http.is_gzip() {
        head.extend_from_slice(b"Content-Encoding: gzip\r\n");
    }
    // A cache, or a proxy's, must not give one client's form to another.
    head.extend_from_slice(b"Vary: Accept, Accept-Encoding\r\n");
    if let Some(origin) = &request.allow_origin {
        head.extend_from_slice(b"Access-Control-Allow-Origin: ");
        head.extend_from_slice(origin.as_bytes());
        head.extend_from_slice(b"\r\nVary: Origin\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// How a form says what is for one connection alone. With the bytes of events (`crate::Frames`) it is
/// all that a transport writes.
pub(super) trait Speech: Copy {
    /// What a stream begins with, behind its head.
    fn greeting(self) -> Bytes;

    /// A control event; `id` names the request that it belongs to.
    fn control(self, said: &Control<'_>, id: Option<&RequestId>) -> Bytes;

    /// A sign of life, with the cursor where it moved.
    fn heartbeat(self, moved: Option<Cursor>) -> Bytes;

    /// The last words of a stream that the server ends.
    fn farewell(self, reason: ByeReason, retry: Duration) -> Bytes;
}

impl Speech for Form {
    fn greeting(self) -> Bytes {
        match self {
            Self::Http(http) => http.greeting(),
            Self::WebSocket(websocket) => websocket.greeting(),
        }
    }

    fn control(self, said: &Control<'_>, id: Option<&RequestId>) -> Bytes {
        match self {
            Self::Http(http) => http.control(said, id),
            Self::WebSocket(websocket) => websocket.control(said, id),
        }
    }

    fn heartbeat(self, moved: Option<Cursor>) -> Bytes {
        match self {
            Self::Http(http) => http.heartbeat(moved),
            Self::WebSocket(websocket) => websocket.heartbeat(moved),
        }
    }

    fn farewell(self, reason: ByeReason, retry: Duration) -> Bytes {
        match self {
            Self::Http(http) => http.farewell(reason, retry),
            Self::WebSocket(websocket) => websocket.farewell(reason, retry),
        }
    }
}

impl Speech for HttpForm {
    fn greeting(self) -> Bytes {
        let header = if self.is_gzip() { self.frame(&gzip::HEADER) } else { Bytes::new() };
        match self.encoding {
            Encoding::Sse | Encoding::SseRaw => {
                let retry = sse::retry(crate::controls::jittered_retry());
                [header, self.wrap(&retry)].concat().into()
            }
            Encoding::Ndjson => header,
        }
    }

    fn control(self, said: &Control<'_>, _id: Option<&RequestId>) -> Bytes {
        match self.encoding {
            Encoding::Sse | Encoding::SseRaw => self.wrap(&sse::control(said)),
            Encoding::Ndjson => self.wrap(&ndjson::control(said)),
        }
    }

    fn heartbeat(self, moved: Option<Cursor>) -> Bytes {
        match self.encoding {
            Encoding::Sse | Encoding::SseRaw => self.wrap(&sse::heartbeat(moved)),
            Encoding::Ndjson => self.wrap(&ndjson::heartbeat(moved)),
        }
    }

    fn farewell(self, reason: ByeReason, retry: Duration) -> Bytes {
        let mut words = BytesMut::new();
        // An `EventSource` reads no control: this is how it learns when to come back.
        if self.encoding != Encoding::Ndjson {
            words.extend_from_slice(&self.wrap(&sse::retry(retry)));
        }
        words.extend_from_slice(&self.control(&Control::Bye { reason, retry }, None));
        if self.framing == Framing::Chunked {
            words.extend_from_slice(LAST_CHUNK);
        }
        words.freeze()
    }
}

impl Speech for WebSocketForm {
    fn greeting(self) -> Bytes {
        Bytes::new()
    }

    fn control(self, said: &Control<'_>, id: Option<&RequestId>) -> Bytes {
        match self.subprotocol {
            Subprotocol::Json => ws::frame(Opcode::Text, &said.json_for(id)),
            Subprotocol::Msgpack => ws::frame(Opcode::Binary, &said.msgpack_for(id)),
        }
    }

    fn heartbeat(self, moved: Option<Cursor>) -> Bytes {
        let ping = ws::ping(b"");
        let Some(cursor) = moved else { return ping };
        let heartbeat = match self.subprotocol {
            Subprotocol::Json => ws::frame(Opcode::Text, &control::heartbeat_json(cursor)),
            Subprotocol::Msgpack => ws::frame(Opcode::Binary, &control::heartbeat_msgpack(cursor)),
        };
        [heartbeat, ping].concat().into()
    }

    fn farewell(self, reason: ByeReason, retry: Duration) -> Bytes {
        let bye = self.control(&Control::Bye { reason, retry }, None);
        [bye, ws::close(CloseCode::GOING_AWAY, reason.as_str())].concat().into()
    }
}
