//! The opening handshake of a WebSocket, as far as HTTP is concerned.

use bellwire_model::PacedFilter;
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::ws::{self, Compression, HandshakeError, Subprotocol};
use bytes::BytesMut;
use http::{HeaderMap, HeaderName, header};

use crate::form::{Form, WebSocketForm};

/// What a WebSocket was asked for, and how that is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// `Sec-WebSocket-Accept`; HTTP/2 knows no such thing.
    accept: Option<String>,
    /// `None`: the client named none, so the answer names none, and JSON is spoken.
    subprotocol: Option<Subprotocol>,
    extensions: Option<&'static str>,
    /// What was asked for, where something else is followed: the client may want less of it later.
    pub asked: Vec<PacedFilter>,
}

impl Handshake {
    /// `None`: the request is no handshake.
    pub fn of_http1(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let has = |name: HeaderName, token: &str| {
            let tokens = values(headers, name).flat_map(|value| value.split(','));
            tokens.map(str::trim).any(|other| other.eq_ignore_ascii_case(token))
        };
        // An upgrade to something else is an offer that nobody has to take: curl and Java's client
        // make one to HTTP/2 with each request.
        if !has(header::UPGRADE, "websocket") {
            return Ok(None);
        }
        if !has(header::CONNECTION, "upgrade") {
            let detail = "a WebSocket is asked for with `Connection: Upgrade` too";
            return Err(Problem::new(Code::ParameterInvalid, detail));
        }
        let key = only(headers, header::SEC_WEBSOCKET_KEY);
        ws::check_key(key).map_err(refused)?;
        Self::agree(headers, Some(ws::accept_key(key))).map(Some)
    }

    /// As the extended `CONNECT` of RFC 8441. `None`: the request is none.
    pub fn of_http2(protocol: Option<&str>, headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        match protocol {
            None => Ok(None),
            Some("websocket") => Self::agree(headers, None).map(Some),
            Some(other) => {
                let detail =
                    format!("the only protocol to connect to is `websocket`, not `{other}`");
                Err(Problem::new(Code::ParameterInvalid, detail))
            }
        }
    }

    fn agree(headers: &HeaderMap, accept: Option<String>) -> Result<Self, Problem> {
        let version = only(headers, header::SEC_WEBSOCKET_VERSION);
        ws::check_version(version).map_err(refused)?;
        let subprotocol = ws::choose_subprotocol(values(headers, header::SEC_WEBSOCKET_PROTOCOL));
        let extensions = ws::answer_offers(values(headers, header::SEC_WEBSOCKET_EXTENSIONS));
        let subprotocol = subprotocol.map_err(refused)?;
        Ok(Self { accept, subprotocol, extensions, asked: Vec::new() })
    }

    /// What the connection speaks from then on.
    pub fn form(&self) -> Form {
        let subprotocol = self.subprotocol.unwrap_or_default();
        let compression = match self.extensions {
            Some(_) => Compression::Deflate,
            None => Compression::Off,
        };
        Form::WebSocket(WebSocketForm { subprotocol, compression })
    }

    /// The headers of the answer, beyond those of every upgrade.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, &str)> {
        let accept = self.accept.as_deref().map(|accept| (header::SEC_WEBSOCKET_ACCEPT, accept));
        let subprotocol = self.subprotocol.map(Subprotocol::as_str);
        let subprotocol = subprotocol.map(|name| (header::SEC_WEBSOCKET_PROTOCOL, name));
        let extensions = self.extensions.map(|names| (header::SEC_WEBSOCKET_EXTENSIONS, names));
        accept.into_iter().chain(subprotocol).chain(extensions)
    }

    /// The head of the answer over HTTP/1.1.
    pub fn response_head(&self) -> BytesMut {
        let mut head = BytesMut::from(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        );
        for (name, value) in self.headers() {
            for part in [name.as_str(), ": ", value, "\r\n"] {
                head.extend_from_slice(part.as_bytes());
            }
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

/// The value of a header that stands there once; empty where it does not.
fn only(headers: &HeaderMap, name: HeaderName) -> &str {
    let mut values = values(headers, name);
    match (values.next(), values.next()) {
        (Some(value), None) => value,
        _ => "",
    }
}

fn refused(error: HandshakeError) -> Problem {
    Problem::of_decoder(error.code(), error)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(changes: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let usual = [
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
        ];
        for (name, value) in usual.iter().chain(changes) {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_handshake_is_answered_with_what_was_agreed() {
        let offers = [
            ("sec-websocket-protocol", "chat, bellwire.v1.msgpack"),
            ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
        ];
        let agreed = Handshake::of_http1(&headers(&offers)).expect("valid").expect("a handshake");
        let (subprotocol, compression) = (Subprotocol::Msgpack, Compression::Deflate);
        let form = WebSocketForm { subprotocol, compression };
        assert_eq!(agreed.form(), Form::WebSocket(form));
        let head = String::from_utf8(agreed.response_head().to_vec()).expect("text");
        assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
        assert!(head.contains("sec-websocket-protocol: bellwire.v1.msgpack\r\n"), "{head}");

        let plain = Handshake::of_http1(&headers(&[])).expect("valid").expect("a handshake");
        let (subprotocol, compression) = (Subprotocol::Json, Compression::Off);
        assert_eq!(plain.form(), Form::WebSocket(WebSocketForm { subprotocol, compression }));
        assert_eq!(plain.headers().count(), 1, "what was not offered is not answered");
    }

    #[test]
    fn each_mistake_of_a_handshake_has_its_code() {
        let cases = [
            ("connection", "keep-alive", Code::ParameterInvalid),
            ("sec-websocket-key", "short", Code::ParameterInvalid),
            ("sec-websocket-version", "8", Code::VersionUnsupported),
            ("sec-websocket-protocol", "mqtt", Code::SubprotocolUnsupported),
        ];
        for (name, value, code) in cases {
            let refused = Handshake::of_http1(&headers(&[(name, value)])).expect_err(name);
            assert_eq!(refused.code, code, "{name}: {value}");
        }
        assert_eq!(Handshake::of_http1(&HeaderMap::new()), Ok(None));
        assert_eq!(Handshake::of_http1(&headers(&[("upgrade", "h2c")])), Ok(None));
    }
}
