//! The bytes of requests, made once and sent many times.

use std::fmt::Write;

use anyhow::{Context, Result};

/// A `POST` on a connection that is kept.
pub(crate) fn post(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    post_with(path, content_type, &[], body)
}

/// The same, with more headers.
pub(crate) fn post_with(
    path: &str,
    content_type: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut more = String::new();
    for (name, value) in headers {
        // A text takes all that is written to it.
        let _ = write!(more, "{name}: {value}\r\n");
    }
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n{more}\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// Asks for a stream.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        .into_bytes()
}

/// Asks for one answer.
pub(crate) fn poll(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n")
        .into_bytes()
}

/// The same request from somebody who shows this key or token.
pub(crate) fn authorized(request: Vec<u8>, token: &str) -> Vec<u8> {
    with_header(request, "Authorization", &format!("Bearer {token}"))
}

/// The same request with one more header.
pub(crate) fn with_header(request: Vec<u8>, name: &str, value: &str) -> Vec<u8> {
    const HEAD_END: &[u8] = b"\r\n\r\n";
    let Some(end) = memchr::memmem::find(&request, HEAD_END) else { return request };
    let header = format!("\r\n{name}: {value}");
    [&request[..end], header.as_bytes(), &request[end..]].concat()
}

/// Asks Bellwire for a stream of what a filter lets pass.
pub(super) fn stream(filter: &str) -> Vec<u8> {
    get(&format!("/v1/events?topic={filter}"))
}

/// Asks for a WebSocket.
pub(crate) fn upgrade(path: &str, subprotocol: Option<&str>) -> Vec<u8> {
    let offer = subprotocol.map_or_else(String::new, |subprotocol| {
        format!("Sec-WebSocket-Protocol: {subprotocol}\r\n")
    });
    // The key keeps caches from answering, of which there are none.
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YmVsbHdpcmUgYmVuY2ggIQ==\r\n{offer}\r\n"
    )
    .into_bytes()
}

/// A JSON object of exactly `bytes` bytes that begins with `members`, such as `"a":1,`.
pub(crate) fn padded_json(members: &str, bytes: usize) -> Result<String> {
    let bare_bytes = format!(r#"{{{members}"pad":""}}"#).len();
    let padding = bytes
        .checked_sub(bare_bytes)
        .with_context(|| format!("a body has at least {bare_bytes} bytes here"))?;
    Ok(format!(r#"{{{members}"pad":"{}"}}"#, "x".repeat(padding)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_size_that_is_asked_for() {
        for bytes in [20, 128, 256] {
            let json = padded_json(r#""a":1,"#, bytes).expect("large enough");
            assert_eq!(json.len(), bytes);
            assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
        }
        assert!(padded_json(r#""a":1,"#, 10).is_err());
    }

    #[test]
    fn a_token_is_shown_in_the_head() {
        let request = authorized(post("/a", "text/plain", b"\r\n\r\nb"), "key");
        let text = String::from_utf8(request).expect("text");
        assert!(text.ends_with("\r\nAuthorization: Bearer key\r\n\r\n\r\n\r\nb"), "{text}");
    }
}
