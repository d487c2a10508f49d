//! The two requests that the floor knows.

use std::ops::Range;

const HEADERS_MAX: usize = 32;
const STREAM_PATH: &str = "/v1/events?topic=";
const PUBLISH_PATH: &str = "/v1/topics/";

/// What is asked for, and where the request ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request<'a> {
    Subscribe { topic: &'a str },
    Publish { topic: &'a str, body: Range<usize> },
}

/// Why there is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// More has to come.
    Incomplete,
    /// It is none of those that are known.
    Unknown,
}

impl<'a> Request<'a> {
    /// The request that begins what was received.
    pub(super) fn parse(received: &'a [u8]) -> Result<Self, Flaw> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let head_bytes = match request.parse(received) {
            Ok(httparse::Status::Complete(bytes)) => bytes,
            Ok(httparse::Status::Partial) => return Err(Flaw::Incomplete),
            Err(_) => return Err(Flaw::Unknown),
        };
        let path = request.path.unwrap_or_default();
        match request.method {
            Some("GET") => {
                let topic = path.strip_prefix(STREAM_PATH).ok_or(Flaw::Unknown)?;
                Ok(Self::Subscribe { topic })
            }
            Some("POST") => {
                let topic = path.strip_prefix(PUBLISH_PATH).ok_or(Flaw::Unknown)?;
                let length = request.headers.iter().find(|header| is_length(header));
                let length = length.and_then(|header| std::str::from_utf8(header.value).ok());
                let bytes: usize =
                    length.and_then(|text| text.parse().ok()).ok_or(Flaw::Unknown)?;
                let body = head_bytes..head_bytes.checked_add(bytes).ok_or(Flaw::Unknown)?;
                if body.end > received.len() {
                    return Err(Flaw::Incomplete);
                }
                Ok(Self::Publish { topic, body })
            }
            _ => Err(Flaw::Unknown),
        }
    }
}

fn is_length(header: &httparse::Header<'_>) -> bool {
    header.name.eq_ignore_ascii_case("content-length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_understood_once_they_are_whole() {
        let post = b"POST /v1/topics/a/b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
        for bytes in 0..post.len() {
            assert_eq!(Request::parse(&post[..bytes]), Err(Flaw::Incomplete), "{bytes}");
        }
        let body = post.len() - 3..post.len();
        assert_eq!(Request::parse(post), Ok(Request::Publish { topic: "a/b", body }));
        let get = b"GET /v1/events?topic=a/b HTTP/1.1\r\n\r\n";
        assert_eq!(Request::parse(get), Ok(Request::Subscribe { topic: "a/b" }));
        for other in ["GET / HTTP/1.1\r\n\r\n", "PUT /v1/topics/a HTTP/1.1\r\n\r\n", "\0"] {
            assert_eq!(Request::parse(other.as_bytes()), Err(Flaw::Unknown), "{other}");
        }
    }
}
