//! The head of a connection's first request.

use std::net::IpAddr;

use bellwire_authn::{Cookies, Places, Query, Shown};
use bellwire_model::limits::{HEAD_BYTES_MAX, HEADERS_MAX};
use bellwire_shards::{Asked, EVENTS_PATH, EventsRequest, Framing, Handshake, StreamRequest};
use bellwire_wire::forwarded::Forwarding;
use bellwire_wire::problem::{Code, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use httparse::{Request, Status};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::letter;
use super::stream::TLS_HANDSHAKE;
use crate::page::{Callers, Deed, Page};
use crate::proxies::{FORWARDED_FOR, FORWARDED_PROTO};

/// Who serves the request.
#[derive(Debug)]
pub(crate) enum Decision {
    /// A shard. What is behind the head is the client's of a WebSocket.
    Lean { request: Box<StreamRequest>, head_bytes: usize, shown: Shown, client: IpAddr },
    /// hyper, which is given the head once more.
    Replay,
    /// hyper, which is told that this is HTTP/2.
    Http2,
}

/// Reads on until the head is complete, and decides. `None`: the client has gone.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    head: &mut Vec<u8>,
    (callers, source): (&Callers, IpAddr),
) -> Result<Option<Decision>, Problem> {
    loop {
        if !head.is_empty()
            && let Some(decision) = decide(head, callers, source)?
        {
            return Ok(Some(decision));
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

/// `source`: where the connection comes from. `None`: the head is not complete yet.
pub(crate) fn decide(
    head: &[u8],
    callers: &Callers,
    source: IpAddr,
) -> Result<Option<Decision>, Problem> {
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
    parse(head, |request, head_bytes| match lean(request, callers, source) {
        Some((request, shown, client)) => {
            Decision::Lean { request: Box::new(request), head_bytes, shown, client }
        }
        None => Decision::Replay,
    })
}

/// Reads the head at the beginning of `bytes`, and says what `then` makes of it. `None`: it is not
/// complete yet.
pub(super) fn parse<T>(
    bytes: &[u8],
    then: impl FnOnce(&Request<'_, '_>, usize) -> T,
) -> Result<Option<T>, Problem> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = Request::new(&mut headers);
    let head_bytes = match request.parse(bytes) {
        Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(Status::Complete(head_bytes)) if head_bytes <= HEAD_BYTES_MAX => head_bytes,
        Ok(_) => {
            let detail = format!("a request's head has at most {HEAD_BYTES_MAX} bytes");
            return Err(Problem::new(Code::HeadTooLarge, detail));
        }
        Err(httparse::Error::TooManyHeaders) => {
            let detail = format!("a request has at most {HEADERS_MAX} headers");
            return Err(Problem::new(Code::HeadTooLarge, detail));
        }
        Err(error) => return Err(Problem::new(Code::HeadMalformed, error)),
    };
    let version = if request.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    letter::check_target(request.path.unwrap_or_default())?;
    letter::check(version, request.headers.iter().map(|header| (header.name, header.value)))?;
    Ok(Some(then(&request, head_bytes)))
}

/// The stream or WebSocket that the request asks for. Whatever is unusual, or wrong, is left to
/// hyper: it alone does general HTTP, so that there are never two opinions on one request.
fn lean<'a>(
    request: &Request<'_, 'a>,
    callers: &Callers,
    source: IpAddr,
) -> Option<(StreamRequest, Shown, IpAddr)> {
    // A fragment is none of a server's business: hyper leaves it out.
    let target = request.path.filter(|target| !target.contains('#'))?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if request.method != Some("GET") || path != EVENTS_PATH {
        return None;
    }
    // Whether it is a proxy's word depends on whose connection this is.
    let named_in = callers.named_in.as_ref();
    let is_named = |name: &HeaderName| {
        request.headers.iter().any(|header| header.name.eq_ignore_ascii_case(name.as_str()))
    };
    if named_in.is_some_and(is_named) {
        return None;
    }
    let singles = Singles::of(request)?;
    if singles.host.is_some_and(|host| !callers.hosts.know(host)) {
        return None;
    }
    let said = Forwarding { forwarded: &singles.forwarded, forwarded_for: &singles.forwarded_for };
    let client = callers.proxies.client(source, said).ok()?;
    let handshake = match singles.upgrade {
        // HTTP/1.0 knows no upgrades.
        Some(_) if request.version != Some(1) => return None,
        // `None`: an offer to speak something else.
        Some(_) => Some(Handshake::of_http1(&header_map(request)?).ok()??),
        None => None,
    };
    let arrived = callers.arrived(source, &singles.forwarded_proto);
    let Singles { origin, host, fetch_site, .. } = singles;
    let page = Page { origin, host, fetch_site, arrived };
    let text = |value: Option<&'a [u8]>| value.map(std::str::from_utf8).transpose().ok();
    if handshake.is_some() && page.is_forbidden(&callers.origins) {
        return None;
    }
    let deed = if handshake.is_some() { Deed::Changes } else { Deed::Reads };
    let cookies = match page.cookies_for(deed) {
        Cookies::Count => &*singles.cookies,
        Cookies::AreNone => &[],
    };
    let places = Places {
        authorization: singles.authorization,
        cookies,
        subprotocols: &singles.subprotocols,
        query: Query::OfStream(query),
    };
    // With a ticket comes more to be looked at.
    let shown = Shown::at(places).ok().filter(|shown| !matches!(shown, Shown::Ticket(_)))?;
    let asked = Asked {
        query,
        accept: text(singles.accept)?,
        accept_encoding: text(singles.accept_encoding)?,
        last_event_id: text(singles.last_event_id)?,
        framing: if request.version == Some(1) { Framing::Chunked } else { Framing::Plain },
        handshake,
    };
    match EventsRequest::parse(asked) {
        // Queries are waited for before a shard has the stream.
        Ok(EventsRequest::Stream(stream)) if !stream.queries.asked.is_empty() => None,
        // So is what another node shows.
        Ok(EventsRequest::Stream(stream)) if callers.has_to_wait(&stream) => None,
        // To come back to nothing is to be answered, and no stream.
        Ok(EventsRequest::Stream(stream)) if callers.has_nothing_for(&stream) => None,
        Ok(EventsRequest::Stream(mut stream)) => {
            stream.allow_origin = page.allowed_origin(&callers.origins).map(Box::new);
            Some((stream, shown, client))
        }
        Ok(EventsRequest::Poll(_)) | Err(_) => None,
    }
}

/// The origin of the page that a whole head is of, where it may read the answer.
pub(super) fn allowed_origin(head: &[u8], callers: &Callers) -> Option<HeaderValue> {
    let allowed = |request: &Request<'_, '_>, _| {
        let mut headers = request.headers.iter();
        let origin = headers.find(|header| header.name.eq_ignore_ascii_case("origin"))?.value;
        Page { origin: Some(origin), ..Page::default() }.allowed_origin(&callers.origins)
    };
    parse(head, allowed).ok()??
}

/// The headers that count, each of which stands once at most.
#[derive(Debug, Default)]
struct Singles<'a> {
    accept: Option<&'a [u8]>,
    accept_encoding: Option<&'a [u8]>,
    last_event_id: Option<&'a [u8]>,
    origin: Option<&'a [u8]>,
    fetch_site: Option<&'a [u8]>,
    host: Option<&'a str>,
    upgrade: Option<&'a [u8]>,
    authorization: Option<&'a [u8]>,
    cookies: Vec<&'a [u8]>,
    subprotocols: Vec<&'a [u8]>,
    forwarded: Vec<&'a [u8]>,
    forwarded_for: Vec<&'a [u8]>,
    forwarded_proto: Vec<&'a [u8]>,
}

impl<'a> Singles<'a> {
    /// `None`: the request is more than a plain GET, or says something twice.
    fn of(request: &Request<'_, 'a>) -> Option<Self> {
        let mut singles = Self::default();
        for header in request.headers.iter() {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            let all = match () {
                () if is("cookie") => Some(&mut singles.cookies),
                () if is("sec-websocket-protocol") => Some(&mut singles.subprotocols),
                () if is("forwarded") => Some(&mut singles.forwarded),
                () if is(FORWARDED_FOR.as_str()) => Some(&mut singles.forwarded_for),
                () if is(FORWARDED_PROTO.as_str()) => Some(&mut singles.forwarded_proto),
                () => None,
            };
            if let Some(all) = all {
                all.push(header.value);
                continue;
            }
            let single = match () {
                () if is("accept") => &mut singles.accept,
                () if is("accept-encoding") => &mut singles.accept_encoding,
                () if is("last-event-id") => &mut singles.last_event_id,
                () if is("origin") => &mut singles.origin,
                () if is("sec-fetch-site") => &mut singles.fetch_site,
                () if is("upgrade") => &mut singles.upgrade,
                () if is("authorization") => &mut singles.authorization,
                () if is("host") => {
                    singles.host = std::str::from_utf8(header.value).ok();
                    continue;
                }
                () if is("content-length") || is("transfer-encoding") || is("expect") => {
                    return None;
                }
                () => continue,
            };
            if single.replace(header.value).is_some() {
                return None;
            }
        }
        Some(singles)
    }
}

/// As hyper has it.
fn header_map(request: &Request<'_, '_>) -> Option<HeaderMap> {
    let header = |header: &httparse::Header<'_>| {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(header.value).ok()?))
    };
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for found in request.headers.iter().map(header) {
        let (name, value) = found?;
        headers.append(name, value);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;
    use crate::hosts::KnownHosts;

    fn of(head: &[u8]) -> Result<Option<Decision>, Code> {
        let flags = vec![("hosts", vec!["x".to_owned()])];
        let config = Config::load(None, |_| None, &flags).expect("valid");
        let hosts = Arc::new(KnownHosts::new(&config));
        let callers = Callers { origins: config.allowed_origins, hosts, ..Callers::default() };
        decide(head, &callers, Ipv4Addr::LOCALHOST.into()).map_err(|problem| problem.code)
    }

    fn decide_text(head: &str) -> Result<Option<Decision>, Code> {
        of(head.as_bytes())
    }

    #[test]
    fn a_plain_get_for_a_stream_is_lean() {
        let heads = [
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.0\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nLAST-EVENT-ID: e1-4\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\nOrigin: http://foreign.example\r\n\r\n",
        ];
        for head in heads {
            assert!(matches!(decide_text(head), Ok(Some(Decision::Lean { .. }))), "{head}");
        }
    }

    /// A handshake in order, with more headers.
    fn handshake(path: &str, more: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nHost: x:80\r\nConnection: keep-alive, Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        )
    }

    #[test]
    fn a_websocket_is_lean_and_has_what_its_client_says_ahead_of_the_answer() {
        let more = ["", "Origin: http://x\r\n", "Sec-WebSocket-Protocol: bellwire.v1.msgpack\r\n"];
        for (path, more) in ["/v1/events", "/v1/events?topic=a"].into_iter().zip(more) {
            let head = handshake(path, more);
            let Ok(Some(Decision::Lean { request, head_bytes, .. })) =
                decide_text(&(head.clone() + "early"))
            else {
                panic!("not lean: {head}");
            };
            assert!(request.handshake.is_some(), "{head}");
            assert_eq!(head_bytes, head.len());
        }
        let wrong = [
            "Origin: http://y\r\n",
            "Origin: null\r\n",
            "Sec-WebSocket-Version: 13\r\n",
            "Sec-WebSocket-Protocol: mqtt\r\n",
            "Upgrade: websocket\r\n",
            "Content-Length: 0\r\n",
        ];
        for more in wrong {
            let head = handshake("/v1/events", more);
            assert!(matches!(decide_text(&head), Ok(Some(Decision::Replay))), "{head}");
        }
    }

    #[test]
    fn all_else_is_hypers() {
        let heads = [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.0\r\nHost: evil.example\r\n\r\n",
            "GET /v1/events?topic=a//b HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n\r\n",
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
            assert!(matches!(of(&HTTP2_PREFACE[..end]), Ok(None)), "{end}");
        }
        assert!(matches!(of(HTTP2_PREFACE), Ok(Some(Decision::Http2))));
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
