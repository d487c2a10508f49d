//! The bytes of requests, made once and sent many times.

use anyhow::{Context, Result};

/// A `POST` on a connection that is kept.
pub(crate) fn post(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// Asks for a stream.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n").into_bytes()
}

/// Asks Bellwire for a stream of what a filter lets pass.
pub(crate) fn stream(filter: &str) -> Vec<u8> {
    get(&format!("/v1/events?topic={filter}"))
}

/// The same, of what follows a cursor.
pub(crate) fn resumed_stream(filter: &str, cursor: &str) -> Vec<u8> {
    get(&format!("/v1/events?topic={filter}&after={cursor}"))
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
}
