//! The head of a connection's first request.

use bellwire_model::limits::{HEAD_BYTES_MAX, HEADERS_MAX};
use bellwire_shards::Framing;
use bellwire_shards::{Asked, EVENTS_PATH, EventsRequest, StreamRequest};
use bellwire_wire::problem::{Code, Problem};
use http::Version;
use httparse::{Request, Status};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::letter;
use super::stream::TLS_HANDSHAKE;

/// Who serves the request.
#[derive(Debug)]
pub(crate) enum Decision {
    /// A shard.
    Lean(StreamRequest),
    /// hyper, which is given the head once more.
    Replay,
    /// hyper, which is told that this is HTTP/2.
    Http2,
}

/// Reads on until the head is complete, and decides. `None`: the client has gone.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    head: &mut Vec<u8>,
) -> Result<Option<Decision>, Problem> {
    loop {
        if !head.is_empty() {
            if let Some(decision) = decide(head)? {
                return Ok(Some(decision));
            }
            if head.len() >= HEAD_BYTES_MAX {
                let detail = format!("a request's head has at most {HEAD_BYTES_MAX} bytes");
                return Err(Problem::new(Code::HeadTooLarge, detail));
            }
        }
        let room = HEAD_BYTES_MAX - head.len();
        match stream.take(room as u64).read_buf(head).await {
            Ok(0) if head.is_empty() => return Ok(None),
            Ok(0) => return Err(Problem::new(Code::HeadMalformed, "the head ends in its middle")),
            Ok(_) => {}
            Err(_) => return Ok(None),
        }
    }
}

/// What a client begins with that knows of itself that the server speaks HTTP/2.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// `None`: the head is not complete yet.
pub(crate) fn decide(head: &[u8]) -> Result<Option<Decision>, Problem> {
    if head.starts_with(HTTP2_PREFACE) {
        return Ok(Some(Decision::Http2));
    }
    if HTTP2_PREFACE.starts_with(head) {
        return Ok(None);
    }
    if head.first() == Some(&TLS_HANDSHAKE) {
        let detail = "this port speaks plain HTTP, and a TLS handshake came: use http://";
        return Err(Problem::new(Code::HeadMalformed, detail));
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = Request::new(&mut headers);
    match request.parse(head) {
        Ok(Status::Partial) => return Ok(None),
        Ok(Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => {
            let detail = format!("a request has at most {HEADERS_MAX} headers");
            return Err(Problem::new(Code::HeadTooLarge, detail));
        }
        Err(error) => return Err(Problem::new(Code::HeadMalformed, error)),
    }
    let version = if request.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    letter::check(version, request.headers.iter().map(|header| (header.name, header.value)))?;
    Ok(Some(lean(&request).map_or(Decision::Replay, Decision::Lean)))
}

/// The stream that the request asks for. Whatever is unusual, or wrong, is left to hyper: it alone
/// does general HTTP, so that there are never two opinions on one request.
fn lean(request: &Request<'_, '_>) -> Option<StreamRequest> {
    let (path, query) = request.path?.split_once('?')?;
    if request.method != Some("GET") || path != EVENTS_PATH {
        return None;
    }
    let framing = if request.version == Some(1) { Framing::Chunked } else { Framing::Plain };
    let mut asked = Asked {
        query,
        accept: None,
        accept_encoding: None,
        last_event_id: None,
        framing,
        handshake: None,
    };
    for header in request.headers.iter() {
        let value = std::str::from_utf8(header.value).ok();
        let target = match header.name {
            name if name.eq_ignore_ascii_case("accept") => &mut asked.accept,
            name if name.eq_ignore_ascii_case("accept-encoding") => &mut asked.accept_encoding,
            name if name.eq_ignore_ascii_case("last-event-id") => &mut asked.last_event_id,
            name if LEFT_TO_HYPER.iter().any(|left| name.eq_ignore_ascii_case(left)) => {
                return None;
            }
            _ => continue,
        };
        if value.is_none() || target.is_some() {
            return None;
        }
        *target = value;
    }
    match EventsRequest::parse(asked) {
        Ok(EventsRequest::Stream(stream)) => Some(stream),
        Ok(EventsRequest::Poll(_)) | Err(_) => None,
    }
}

/// Headers that make a request more than a plain GET.
const LEFT_TO_HYPER: [&str; 5] =
    ["content-length", "transfer-encoding", "expect", "upgrade", "origin"];

#[cfg(test)]
mod tests {
    use super::*;

    fn decide_text(head: &str) -> Result<Option<Decision>, Code> {
        decide(head.as_bytes()).map_err(|problem| problem.code)
    }

    #[test]
    fn a_plain_get_for_a_stream_is_lean() {
        let heads = [
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.0\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nLAST-EVENT-ID: e1-4\r\n\r\n",
        ];
        for head in heads {
            assert!(matches!(decide_text(head), Ok(Some(Decision::Lean(_)))), "{head}");
        }
    }

    #[test]
    fn all_else_is_hypers() {
        let heads = [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/events?topic=a//b HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\nAccept: a/b\r\nAccept: */*\r\n\r\n",
            "POST /v1/events?topic=a HTTP/1.1\r\nHost: x\r\n\r\n",
        ];
        for head in heads {
            assert!(matches!(decide_text(head), Ok(Some(Decision::Replay))), "{head}");
        }
    }

    #[test]
    fn http2_is_told_by_its_preface() {
        for end in 0..HTTP2_PREFACE.len() {
            assert!(matches!(decide(&HTTP2_PREFACE[..end]), Ok(None)), "{end}");
        }
        assert!(matches!(decide(HTTP2_PREFACE), Ok(Some(Decision::Http2))));
        assert_eq!(decide_text("PRI * HTTP/2.0\r\n\r\nX").err(), Some(Code::HeadMalformed));
        assert_eq!(decide_text("\u{16}\u{3}\u{1}").err(), Some(Code::HeadMalformed));
    }

    #[test]
    fn broken_heads_are_told_apart_from_incomplete_ones() {
        let twice = "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n";
        assert_eq!(decide_text(twice).err(), Some(Code::HeadMalformed));
        let none = "GET /v1/events?topic=a HTTP/1.1\r\n\r\n";
        assert_eq!(decide_text(none).err(), Some(Code::HeadMalformed));
        assert!(matches!(decide_text("GET /v1/events?topic=a HTT"), Ok(None)));
        assert_eq!(decide_text("GET / HTTP/3.7\r\n\r\n").err(), Some(Code::HeadMalformed));
        assert_eq!(decide_text("\0\0\0\0\r\n\r\n").err(), Some(Code::HeadMalformed));
        let many = "a: b\r\n".repeat(HEADERS_MAX + 1);
        let many = format!("GET / HTTP/1.1\r\n{many}\r\n");
        assert_eq!(decide_text(&many).err(), Some(Code::HeadTooLarge));
    }
}
