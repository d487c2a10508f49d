//! What a shard says to one connection alone: controls, heartbeats, farewells.

use std::time::Duration;

use bellwire_model::Cursor;
use bellwire_wire::http1::{Frame, LAST_CHUNK};
use bellwire_wire::request::RequestId;
use bellwire_wire::ws::{self, CloseCode, Opcode};
use bellwire_wire::{ByeReason, Control, control, ndjson, sse};
use bytes::{Bytes, BytesMut};

use crate::frames::{Encoding, Form, Framing};
use crate::stream_request::StreamRequest;

/// The head of the answer, and for SSE how long to wait before a reconnect.
pub(super) fn opening(request: &StreamRequest) -> BytesMut {
    match &request.handshake {
        Some(handshake) => handshake.response_head(),
        None => response_head(request),
    }
}

/// What a stream begins with, behind its head.
pub(super) fn greeting(form: Form) -> Bytes {
    match form.encoding {
        Encoding::Sse | Encoding::SseRaw => {
            framed(form, &sse::retry(crate::controls::jittered_retry()))
        }
        Encoding::Ndjson | Encoding::Json | Encoding::Msgpack => Bytes::new(),
    }
}

fn response_head(request: &StreamRequest) -> BytesMut {
    let mut head = BytesMut::with_capacity(512);
    head.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Type: ");
    head.extend_from_slice(request.form.encoding.content_type().as_bytes());
    head.extend_from_slice(b"\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n");
    head.extend_from_slice(match request.form.framing {
        Framing::Chunked => b"Transfer-Encoding: chunked\r\n",
        Framing::Plain | Framing::WebSocket(_) => b"Connection: close\r\n",
    });
    if let Some(origin) = &request.allow_origin {
        head.extend_from_slice(b"Access-Control-Allow-Origin: ");
        head.extend_from_slice(origin.as_bytes());
        head.extend_from_slice(b"\r\nVary: Origin\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// A control event; `id` names the request that it belongs to.
pub(super) fn control(form: Form, said: &Control<'_>, id: Option<&RequestId>) -> Bytes {
    match form.encoding {
        Encoding::Sse | Encoding::SseRaw => framed(form, &sse::control(said)),
        Encoding::Ndjson => framed(form, &ndjson::control(said)),
        Encoding::Json => ws::frame(Opcode::Text, &said.json_for(id)),
        Encoding::Msgpack => ws::frame(Opcode::Binary, &said.msgpack_for(id)),
    }
}

/// A sign of life, with the cursor where it moved.
pub(super) fn heartbeat(form: Form, moved: Option<Cursor>) -> Bytes {
    match form.encoding {
        Encoding::Sse | Encoding::SseRaw => framed(form, &sse::heartbeat(moved)),
        Encoding::Ndjson => framed(form, &ndjson::heartbeat(moved)),
        Encoding::Json => {
            with_ping(moved.map(|cursor| ws::frame(Opcode::Text, &control::heartbeat_json(cursor))))
        }
        Encoding::Msgpack => with_ping(
            moved.map(|cursor| ws::frame(Opcode::Binary, &control::heartbeat_msgpack(cursor))),
        ),
    }
}

fn with_ping(heartbeat: Option<Bytes>) -> Bytes {
    let ping = ws::ping(b"");
    heartbeat.map_or(ping.clone(), |heartbeat| [heartbeat, ping].concat().into())
}

/// The last words of a stream that the server ends.
pub(super) fn farewell(form: Form, reason: ByeReason, retry: Duration) -> Bytes {
    let bye = control(form, &Control::Bye { reason, retry }, None);
    let mut words = BytesMut::new();
    match form.encoding {
        // An `EventSource` reads no control: this is how it learns when to come back.
        Encoding::Sse | Encoding::SseRaw => {
            words.extend_from_slice(&framed(form, &sse::retry(retry)));
            words.extend_from_slice(&bye);
        }
        Encoding::Ndjson => words.extend_from_slice(&bye),
        Encoding::Json | Encoding::Msgpack => {
            words.extend_from_slice(&bye);
            words.extend_from_slice(&ws::close(CloseCode::GOING_AWAY, reason.as_str()));
        }
    }
    if form.framing == Framing::Chunked {
        words.extend_from_slice(LAST_CHUNK);
    }
    words.freeze()
}

/// A payload of HTTP for one connection alone.
fn framed(form: Form, payload: &[u8]) -> Bytes {
    match form.framing {
        Framing::Chunked => Frame::new(payload).chunked().clone(),
        Framing::Plain | Framing::WebSocket(_) => Bytes::copy_from_slice(payload),
    }
}
