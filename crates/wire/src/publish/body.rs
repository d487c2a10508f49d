//! One event as a request's body, read by its `Content-Type`.

use bellwire_model::limits::EVENT_BYTES_MAX;
use bellwire_model::{Body, BodyError, excerpt, without_byte_order_mark};
use bytes::Bytes;
use serde_json::value::RawValue;
use thiserror::Error;

use super::{NameError, NestingError, check_content_type, check_nesting, share};

/// Why a request's body is no event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyRejection {
    /// It says that it is JSON, and is not.
    #[error("the body is not JSON: {detail}")]
    Json {
        /// The line of the first error, from 1.
        line: usize,
        /// The column of the first error, from 1.
        column: usize,
        /// What is wrong, with the line and the column.
        detail: String,
    },
    /// It says that it is text, and is not UTF-8.
    #[error(transparent)]
    Text(#[from] BodyError),
    /// It is JSON that nobody could read.
    #[error(transparent)]
    Nesting(#[from] NestingError),
    /// It is larger than [`EVENT_BYTES_MAX`].
    #[error("an event has at most {EVENT_BYTES_MAX} bytes, this one has {bytes}")]
    TooLarge {
        /// The size found.
        bytes: usize,
    },
    /// Its media type breaks a rule.
    #[error(transparent)]
    ContentType(#[from] NameError),
}

impl BodyRejection {
    /// The stable code of the problem.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "json_invalid",
            Self::Nesting(error) => error.code(),
            Self::Text(_) => "utf8_invalid",
            Self::TooLarge { .. } => "event_too_large",
            Self::ContentType(error) => error.code(),
        }
    }
}

/// A request's body as an event's.
///
/// `application/json` and `…+json` must be JSON; the white space around it is left out, and a byte
/// order mark. `text/…`
/// must be UTF-8, unless it names another charset. Without a type, or with
/// `application/x-www-form-urlencoded`, which is what `curl -d` says of anything, the bytes
/// decide: JSON if they are, else text if they are UTF-8. All else is binary and keeps its type.
pub fn body(content_type: Option<&str>, bytes: Bytes) -> Result<Body, BodyRejection> {
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(BodyRejection::TooLarge { bytes: bytes.len() });
    }
    let content_type = content_type.map(str::trim).filter(|text| !text.is_empty());
    let Some(content_type) = content_type else { return guessed(bytes) };
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let essence = essence.trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/x-www-form-urlencoded" => guessed(bytes),
        "application/json" => json(&bytes),
        _ if essence.ends_with("+json") => json(&bytes),
        _ if essence.starts_with("text/") && is_utf8(parameters) => Ok(Body::text(bytes)?),
        _ => {
            check_content_type(content_type)?;
            Ok(Body::Binary { content_type: content_type.into(), bytes })
        }
    }
}

fn guessed(bytes: Bytes) -> Result<Body, BodyRejection> {
    match json(&bytes) {
        Err(BodyRejection::Json { .. }) => Ok(Body::text(bytes.clone()).unwrap_or_else(|_| {
            Body::Binary { content_type: "application/octet-stream".into(), bytes }
        })),
        json => json,
    }
}

fn json(bytes: &Bytes) -> Result<Body, BodyRejection> {
    match serde_json::from_slice::<&RawValue>(without_byte_order_mark(bytes)) {
        Ok(raw) => {
            check_nesting(raw.get())?;
            Ok(Body::Json(share(bytes, raw.get())))
        }
        Err(error) => Err(BodyRejection::Json {
            line: error.line(),
            column: error.column(),
            detail: excerpt(error.to_string()),
        }),
    }
}

/// Whether a media type's parameters name UTF-8, or its subset, or no charset.
fn is_utf8(parameters: &str) -> bool {
    let charset = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    charset.is_none_or(|name| {
        ["utf-8", "utf8", "us-ascii"].iter().any(|utf8| name.eq_ignore_ascii_case(utf8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_body(text: &'static str) -> Body {
        Body::Json(Bytes::from_static(text.as_bytes()))
    }

    fn text_body(text: &'static str) -> Body {
        Body::Text(Bytes::from_static(text.as_bytes()))
    }

    fn binary_body(content_type: &str, bytes: &'static [u8]) -> Body {
        Body::Binary { content_type: content_type.into(), bytes: Bytes::from_static(bytes) }
    }

    #[test]
    fn the_content_type_decides_what_a_body_is() {
        let form = "application/x-www-form-urlencoded";
        let latin = "text/plain; charset=ISO-8859-1";
        let cases: [(Option<&str>, &'static [u8], Body); 19] = [
            (Some("application/json"), b"\xEF\xBB\xBF{}", json_body("{}")),
            (None, b"\xEF\xBB\xBF{}", json_body("{}")),
            (Some("text/plain"), b"\xEF\xBB\xBFhot", text_body("\u{FEFF}hot")),
            (Some("application/json"), b" {\"a\": 1}\n", json_body("{\"a\": 1}")),
            (Some("Application/JSON; charset=utf-8"), b"null", json_body("null")),
            (Some("application/ld+json"), b"[]", json_body("[]")),
            (Some("text/plain"), b"{\"a\":1}", text_body("{\"a\":1}")),
            (Some("text/plain; charset=\"UTF-8\""), "höhe".as_bytes(), text_body("höhe")),
            (Some("text/html"), b"", text_body("")),
            (Some(latin), b"h\xF6he", binary_body(latin, b"h\xF6he")),
            (None, b"{\"a\":1}", json_body("{\"a\":1}")),
            (None, b"21.5", json_body("21.5")),
            (None, b"it is hot", text_body("it is hot")),
            (None, b"", text_body("")),
            (None, b"\xFF", binary_body("application/octet-stream", b"\xFF")),
            (Some(""), b"hot", text_body("hot")),
            (Some(form), b"{\"a\":1}", json_body("{\"a\":1}")),
            (Some(form), b"a=1&b=2", text_body("a=1&b=2")),
            (Some("image/png"), b"\x89PNG", binary_body("image/png", b"\x89PNG")),
        ];
        for (content_type, bytes, expected) in cases {
            let found = body(content_type, Bytes::from_static(bytes));
            assert_eq!(found, Ok(expected), "{content_type:?} {bytes:?}");
        }
    }

    #[test]
    fn white_space_around_an_event_is_not_kept_with_it() {
        for (content_type, bytes) in [(None, b"1"), (Some("application/json"), b"2")] {
            let request = Bytes::from([&vec![b' '; 1_000][..], bytes].concat());
            let found = body(content_type, request.clone()).expect("JSON");
            assert_eq!(found, Body::Json(Bytes::from_static(bytes)));
            assert!(request.is_unique(), "the event is a copy");
        }
        let request = Bytes::from_static(b" {\"a\":1}\n");
        let found = body(None, request.clone()).expect("JSON");
        assert_eq!(found.bytes().as_ptr(), request[1..].as_ptr(), "the event is a part");
    }

    #[test]
    fn a_body_that_is_not_what_it_says_is_refused() {
        let json = body(Some("application/json"), Bytes::from_static(b"{\"a\":\n 1,}"));
        let Err(BodyRejection::Json { line, column, .. }) = &json else { panic!("{json:?}") };
        assert_eq!((*line, *column), (2, 4));
        let cases: [(&str, &'static [u8], &str); 6] = [
            ("application/json", b"", "json_invalid"),
            ("application/json", b"{} {}", "json_invalid"),
            ("application/json", b"\"\xFF\"", "json_invalid"),
            ("application/json", b"NaN", "json_invalid"),
            ("text/plain", b"h\xF6he", "utf8_invalid"),
            ("image/\npng", b"", "content_type_invalid"),
        ];
        for (content_type, bytes, code) in cases {
            let error = body(Some(content_type), Bytes::from_static(bytes)).expect_err(code);
            assert_eq!(error.code(), code, "{error}");
        }
        let large = body(None, Bytes::from(vec![b'1'; EVENT_BYTES_MAX + 1]));
        assert_eq!(large, Err(BodyRejection::TooLarge { bytes: EVENT_BYTES_MAX + 1 }));
    }
}
