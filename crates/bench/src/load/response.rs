//! An HTTP/1.1 response of known length, as far as a load generator has to look into it.

use anyhow::{Context, Result, bail};

/// Headers of an answer; servers in front of ours add some.
const HEADERS_MAX: usize = 64;

/// Where a response stands in what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head_bytes: usize,
    body_bytes: usize,
}

impl Response {
    /// The response at the beginning of `received`; `None` while it is incomplete.
    pub(crate) fn parse(received: &[u8]) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(received).context("the answer is not HTTP/1.1")?;
        let httparse::Status::Complete(head_bytes) = parsed else { return Ok(None) };
        let status = response.code.context("an answer without a status")?;
        let length = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let body_bytes = match length {
            Some(header) => std::str::from_utf8(header.value)?.parse()?,
            None if status == 204 => 0,
            None => bail!("an answer without `Content-Length`, with status {status}"),
        };
        let response = Self { status, head_bytes, body_bytes };
        Ok((received.len() >= response.bytes()).then_some(response))
    }

    /// Bytes of head and body.
    pub(crate) fn bytes(&self) -> usize {
        self.head_bytes + self.body_bytes
    }

    /// The body within what was received.
    pub(crate) fn body<'a>(&self, received: &'a [u8]) -> &'a [u8] {
        &received[self.head_bytes..self.bytes()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_complete_with_its_last_byte() {
        let received = b"HTTP/1.1 201 Created\r\ncontent-length: 3\r\n\r\nabcHTTP";
        let end = received.len() - 4;
        for bytes in 0..end {
            assert_eq!(Response::parse(&received[..bytes]).expect("HTTP"), None, "{bytes}");
        }
        let response = Response::parse(received).expect("HTTP").expect("complete");
        assert_eq!((response.status, response.bytes()), (201, end));
        assert_eq!(response.body(received), b"abc");
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for received in ["SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            assert!(Response::parse(received.as_bytes()).is_err(), "{received}");
        }
    }
}
