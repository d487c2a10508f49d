//! What a shard says to one connection alone: controls, heartbeats, farewells.

use std::time::Duration;

use bellwire_model::Cursor;
use bellwire_wire::durable_streams::Progress;
use bellwire_wire::http1::{self, LAST_CHUNK};
use bellwire_wire::problem::Problem;
use bellwire_wire::request::RequestId;
use bellwire_wire::ws::{self, CloseCode, Opcode, Subprotocol};
use bellwire_wire::{ByeReason, Control, control, cors, gzip, ndjson, sse};
use bytes::{Bytes, BytesMut};

use crate::form::{DurableForm, Encoding, Form, Framing, HttpForm, WebSocketForm};
use crate::refusals::Refusals;
use crate::stream_request::StreamRequest;

/// The head of the answer, and for SSE how long to wait before a reconnect.
pub(super) fn opening(request: &StreamRequest) -> BytesMut {
    match &request.handshake {
        Some(handshake) => handshake.response_head(),
        None => match request.form {
            Form::Http(http) => response_head(request, http.framing),
            Form::Durable(durable) => response_head(request, durable.framing()),
            // Whoever has shaken hands has answered.
            Form::WebSocket(_) => BytesMut::new(),
        },
    }
}

/// The whole answer to a request that no shard can take: a stream that says so, or a status.
pub fn refusal_response(request: &StreamRequest, problem: &Problem) -> Bytes {
    match refusal_body((request.form, request.refusals), problem) {
        Some(body) => [opening(request).freeze(), body].concat().into(),
        None => problem.http1_response(request.allow_origin.as_deref()),
    }
}

/// What a stream consists of that is refused in its own words. `None`: a status says it.
pub fn refusal_body((form, refusals): (Form, Refusals), problem: &Problem) -> Option<Bytes> {
    let Form::Http(http) = form else { return None };
    let retry = refusals.retry(problem)?;
    let words = http.last_words(&Control::Refused { problem, retry }, retry);
    Some([http.header(), words].concat().into())
}

fn response_head(request: &StreamRequest, framing: Framing) -> BytesMut {
    let mut head = BytesMut::with_capacity(512);
    head.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Type: ");
    head.extend_from_slice(request.form.content_type().as_bytes());
    head.extend_from_slice(b"\r\nX-Content-Type-Options: nosniff\r\nX-Accel-Buffering: no\r\n");
    http1::extend_head(&mut head, request.form.headers());
    head.extend_from_slice(match framing {
        Framing::Chunked => b"Transfer-Encoding: chunked\r\n",
        Framing::Plain => b"Connection: close\r\n",
    });
    if request.form.is_gzip() {
        head.extend_from_slice(b"Content-Encoding: gzip\r\n");
    }
    // A cache, or a proxy's, must not give one client's form to another.
    head.extend_from_slice(b"Vary: Accept, Accept-Encoding\r\n");
    if let Some(origin) = &request.allow_origin {
        http1::extend_head(&mut head, cors::headers(origin));
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

    /// What a stream ends with that has said all there is to say.
    fn ending(self) -> Bytes;
}

impl Speech for Form {
    fn greeting(self) -> Bytes {
        match self {
            Self::Http(http) => http.greeting(),
            Self::WebSocket(websocket) => websocket.greeting(),
            Self::Durable(durable) => durable.greeting(),
        }
    }

    fn control(self, said: &Control<'_>, id: Option<&RequestId>) -> Bytes {
        match self {
            Self::Http(http) => http.control(said, id),
            Self::WebSocket(websocket) => websocket.control(said, id),
            Self::Durable(durable) => durable.control(said, id),
        }
    }

    fn heartbeat(self, moved: Option<Cursor>) -> Bytes {
        match self {
            Self::Http(http) => http.heartbeat(moved),
            Self::WebSocket(websocket) => websocket.heartbeat(moved),
            Self::Durable(durable) => durable.heartbeat(moved),
        }
    }

    fn farewell(self, reason: ByeReason, retry: Duration) -> Bytes {
        match self {
            Self::Http(http) => http.farewell(reason, retry),
            Self::WebSocket(websocket) => websocket.farewell(reason, retry),
            Self::Durable(durable) => durable.farewell(reason, retry),
        }
    }

    fn ending(self) -> Bytes {
        match self {
            Self::Http(http) => http.ending(),
            Self::WebSocket(websocket) => websocket.ending(),
            Self::Durable(durable) => durable.ending(),
        }
    }
}

impl HttpForm {
    fn header(self) -> Bytes {
        if self.is_gzip() { self.frame(&gzip::HEADER) } else { Bytes::new() }
    }

    /// The last words, and the end of the body.
    fn last_words(self, said: &Control<'_>, retry: Duration) -> Bytes {
        let mut words = BytesMut::new();
        // An `EventSource` reads no control: this is how it learns when to come back.
        if self.encoding != Encoding::Ndjson {
            words.extend_from_slice(&self.wrap(&sse::retry(retry)));
        }
        words.extend_from_slice(&self.control(said, None));
        if self.framing == Framing::Chunked {
            words.extend_from_slice(LAST_CHUNK);
        }
        words.freeze()
    }
}

impl Speech for HttpForm {
    fn greeting(self) -> Bytes {
        match self.encoding {
            Encoding::Sse | Encoding::SseRaw => {
                let retry = sse::retry(crate::controls::jittered_retry());
                [self.header(), self.wrap(&retry)].concat().into()
            }
            Encoding::Ndjson => self.header(),
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
        self.last_words(&Control::Bye { reason, retry }, retry)
    }

    fn ending(self) -> Bytes {
        self.framing.end()
    }
}

/// Its readers know no other words than where they are, and come back with that.
impl Speech for DurableForm {
    fn greeting(self) -> Bytes {
        Bytes::new()
    }

    fn control(self, said: &Control<'_>, _id: Option<&RequestId>) -> Bytes {
        match said {
            Control::Ready { cursor, .. } => self.place(*cursor, Progress::UpToDate),
            _ => Bytes::new(),
        }
    }

    fn heartbeat(self, _moved: Option<Cursor>) -> Bytes {
        self.wrap(&sse::heartbeat(None))
    }

    fn farewell(self, _reason: ByeReason, _retry: Duration) -> Bytes {
        self.ending()
    }

    fn ending(self) -> Bytes {
        self.framing().end()
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

    fn ending(self) -> Bytes {
        ws::close(CloseCode::NORMAL, "")
    }
}

#[cfg(test)]
mod tests {
    use bellwire_hub::Start;
    use bellwire_model::{EffectiveFilter, FilterSet};
    use bellwire_wire::problem::Code;
    use bellwire_wire::ws::Compression;

    use super::*;
    use crate::form::Coding;

    fn request(form: Form, refusals: Refusals) -> StreamRequest {
        let follows = EffectiveFilter::from(FilterSet::none());
        StreamRequest { refusals, ..StreamRequest::new(follows, Start::Latest, form) }
    }

    fn http(encoding: Encoding, framing: Framing) -> Form {
        Form::Http(HttpForm { encoding, coding: Coding::Identity, framing })
    }

    fn said(form: Form, refusals: Refusals, problem: &Problem) -> String {
        let bytes = refusal_response(&request(form, refusals), problem);
        String::from_utf8(bytes.into()).expect("UTF-8")
    }

    #[test]
    fn what_passes_is_told_in_the_streams_own_words_and_what_lasts_by_a_status() {
        let full = Problem::new(Code::ConnectionsExhausted, "no room").retry_after(7);
        let sse = http(Encoding::Sse, Framing::Chunked);
        let told = said(sse, Refusals::Stream, &full);
        assert!(
            told.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"),
            "{told}"
        );
        let bye = "event: bye\ndata: {\"control\":\"bye\",\"reason\":\"connections_exhausted\",\
                   \"status\":503,\"detail\":\"no room\",\"retry_ms\":";
        assert!(told.contains(bye), "{told}");
        let retry = told.split("retry: ").nth(1).and_then(|rest| rest.split_once('\n'));
        let retry: u64 = retry.expect("a time").0.parse().expect("milliseconds");
        assert!((7_000..=10_500).contains(&retry) && told.contains(&format!("_ms\":{retry}}}")));
        assert!(told.ends_with("\r\n0\r\n\r\n"), "{told}");

        let ndjson = said(http(Encoding::Ndjson, Framing::Plain), Refusals::Stream, &full);
        let (_, body) = ndjson.split_once("\r\n\r\n").expect("a head");
        assert!(body.starts_with("{\"control\":\"bye\"") && body.ends_with("}\n"), "{ndjson}");

        let lasting = Problem::new(Code::TopicInvalid, "no topic");
        let websocket =
            WebSocketForm { subprotocol: Subprotocol::Json, compression: Compression::Off };
        for (form, refusals, problem) in [
            (sse, Refusals::Status, &full),
            (sse, Refusals::Stream, &lasting),
            (Form::WebSocket(websocket), Refusals::Stream, &full),
        ] {
            let status = format!("HTTP/1.1 {} ", problem.code.status());
            let told = said(form, refusals, problem);
            assert!(told.starts_with(&status) && told.contains("problem+json"), "{told}");
        }
    }
}
