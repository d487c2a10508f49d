//! What a shard says to one connection alone: controls, heartbeats, farewells.

use std::time::Duration;

use bellwire_model::Cursor;
use bellwire_wire::http1::LAST_CHUNK;
use bellwire_wire::request::RequestId;
use bellwire_wire::ws::{self, CloseCode, Opcode};
use bellwire_wire::{ByeReason, Control, control, gzip, ndjson, sse};
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
    let header =
        if form.framing.is_gzip() { form.framing.wrap_gzip(&gzip::HEADER) } else { Bytes::new() };
    match form.encoding {
        Encoding::Sse | Encoding::SseRaw => {
            let retry = sse::retry(crate::controls::jittered_retry());
            [header, form.framing.wrap(&retry)].concat().into()
        }
        Encoding::Ndjson | Encoding::Json | Encoding::Msgpack => header,
    }
}

fn response_head(request: &StreamRequest) -> BytesMut {
    let mut head = BytesMut::with_capacity(512);
    head.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Type: ");
    head.extend_from_slice(request.form.encoding.content_type().as_bytes());
    head.extend_from_slice(b"\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n");
    head.extend_from_slice(match request.form.framing {
        Framing::Chunked | Framing::GzipChunked => b"Transfer-Encoding: chunked\r\n",
        Framing::Plain | Framing::GzipPlain | Framing::WebSocket(_) => b"Connection: close\r\n",
    });
    if request.form.framing.is_gzip() {
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

/// A control event; `id` names the request that it belongs to.
pub(super) fn control(form: Form, said: &Control<'_>, id: Option<&RequestId>) -> Bytes {
    match form.encoding {
        Encoding::Sse | Encoding::SseRaw => form.framing.wrap(&sse::control(said)),
        Encoding::Ndjson => form.framing.wrap(&ndjson::control(said)),
        Encoding::Json => ws::frame(Opcode::Text, &said.json_for(id)),
        Encoding::Msgpack => ws::frame(Opcode::Binary, &said.msgpack_for(id)),
    }
}

/// A sign of life, with the cursor where it moved.
pub(super) fn heartbeat(form: Form, moved: Option<Cursor>) -> Bytes {
    match form.encoding {
        Encoding::Sse | Encoding::SseRaw => form.framing.wrap(&sse::heartbeat(moved)),
        Encoding::Ndjson => form.framing.wrap(&ndjson::heartbeat(moved)),
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
            words.extend_from_slice(&form.framing.wrap(&sse::retry(retry)));
            words.extend_from_slice(&bye);
        }
        Encoding::Ndjson => words.extend_from_slice(&bye),
        Encoding::Json | Encoding::Msgpack => {
            words.extend_from_slice(&bye);
            words.extend_from_slice(&ws::close(CloseCode::GOING_AWAY, reason.as_str()));
        }
    }
    if matches!(form.framing, Framing::Chunked | Framing::GzipChunked) {
        words.extend_from_slice(LAST_CHUNK);
    }
    words.freeze()
}
