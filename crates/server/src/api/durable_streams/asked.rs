//! What requests say of a stream.

use bellwire_journal::Ended;
use bellwire_model::Timestamp;
use bellwire_wire::durable_streams::From;
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::publish::check_content_type;
use http::{HeaderMap, HeaderName, header};

use super::super::body::header as text_of;
use super::names::{CLOSED, EXPIRES_AT, TTL};
use crate::durable_streams::{Lifetime, Stream};

/// That of a stream of which nobody says it.
const CONTENT_TYPE: &str = "application/octet-stream";
/// Bytes of a time, which a stream keeps as it was said: all that RFC 3339 needs, and fractions of a
/// second besides.
const EXPIRES_AT_BYTES_MAX: usize = 64;
/// Headers of a part of the protocol that is not spoken here.
const OF_FORKS: [HeaderName; 3] = [
    HeaderName::from_static("stream-forked-from"),
    HeaderName::from_static("stream-fork-offset"),
    HeaderName::from_static("stream-fork-sub-offset"),
];

/// How a stream is to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Creation {
    pub(super) content_type: Box<str>,
    pub(super) lifetime: Lifetime,
    pub(super) is_closed: bool,
}

impl Creation {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        if let Some(name) = OF_FORKS.iter().find(|name| headers.contains_key(*name)) {
            let detail =
                format!("`{name}`: streams are not forked here; copy what is read instead");
            return Err(invalid(detail));
        }
        let content_type = content_type(headers)?.unwrap_or(CONTENT_TYPE).into();
        Ok(Self { content_type, lifetime: lifetime(headers)?, is_closed: is_closed(headers)? })
    }

    /// Whether a stream that is there is the one that is asked for.
    pub(super) fn matches(&self, stream: &Stream, end: Option<Ended>) -> bool {
        is_same_type(&self.content_type, &stream.content_type)
            && self.lifetime == stream.lifetime
            && self.is_closed == end.is_some()
    }
}

/// What a request says of the type of its body, if anything.
pub(super) fn content_type(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let said = text_of(headers, header::CONTENT_TYPE)?.map(str::trim);
    let Some(said) = said.filter(|said| !said.is_empty()) else { return Ok(None) };
    check_content_type(said).map_err(|error| Problem::of_decoder(error.code(), error))?;
    Ok(Some(said))
}

/// Whether two content types are the same but for their parameters.
pub(super) fn is_same_type(one: &str, other: &str) -> bool {
    let essence =
        |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence(one) == essence(other)
}

/// Whether a stream is to be closed.
pub(super) fn is_closed(headers: &HeaderMap) -> Result<bool, Problem> {
    Ok(text_of(headers, CLOSED)?.is_some_and(|said| said.eq_ignore_ascii_case("true")))
}

fn lifetime(headers: &HeaderMap) -> Result<Lifetime, Problem> {
    match (text_of(headers, TTL)?, text_of(headers, EXPIRES_AT)?) {
        (None, None) => Ok(Lifetime::Unlimited),
        (Some(_), Some(_)) => {
            Err(invalid("a stream has `Stream-TTL` or `Stream-Expires-At`, not both"))
        }
        (Some(text), None) => {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit())
                && (text == "0" || !text.starts_with('0'));
            let seconds = text.parse().ok().filter(|_| is_plain);
            let detail = || invalid(format!("`Stream-TTL` is a number of seconds, not `{text}`"));
            Ok(Lifetime::Idle { seconds: seconds.ok_or_else(detail)? })
        }
        (None, Some(text)) => {
            let at = Timestamp::from_rfc3339(text).filter(|_| text.len() <= EXPIRES_AT_BYTES_MAX);
            let detail = || {
                invalid(format!("`Stream-Expires-At` is a time as RFC 3339 has it, not `{text}`"))
            };
            Ok(Lifetime::Until { at: at.ok_or_else(detail)?, text: text.into() })
        }
    }
}

/// How what comes is to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Live {
    /// Not at all.
    #[default]
    No,
    LongPoll,
    Sse,
}

/// What a reader asks for. Parameters that nobody knows mean nothing in this protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) from: Option<From>,
    pub(super) live: Live,
    /// What the reader was told last.
    pub(super) cursor: Option<String>,
}

impl Reading {
    pub(super) fn of(query: &str) -> Result<Self, Problem> {
        let mut reading = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "offset" if reading.from.is_some() => {
                    return Err(invalid("one `offset` is enough"));
                }
                "offset" => {
                    let from =
                        value.parse().map_err(|error| Problem::new(Code::CursorInvalid, error));
                    reading.from = Some(from?);
                }
                "live" => {
                    reading.live = match &*value {
                        "long-poll" => Live::LongPoll,
                        "sse" => Live::Sse,
                        // What clients of older versions say is `true` or the like.
                        other => {
                            let detail = format!("`live` is `long-poll` or `sse`, not `{other}`");
                            return Err(invalid(detail));
                        }
                    };
                }
                "cursor" => reading.cursor = Some(value.into_owned()),
                _ => {}
            }
        }
        if reading.live != Live::No && reading.from.is_none() {
            return Err(invalid(
                "who follows a stream says from where: `offset=-1`, or `offset=now`",
            ));
        }
        Ok(reading)
    }
}

pub(super) fn invalid(detail: impl std::fmt::Display) -> Problem {
    Problem::new(Code::ParameterInvalid, detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(said: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        said.iter().map(pair).collect()
    }

    #[test]
    fn a_lifetime_is_said_once_and_in_plain_words() {
        let asked = |said: &[(&'static str, &'static str)]| {
            Creation::of(&headers(said)).map(|creation| creation.lifetime)
        };
        assert_eq!(asked(&[]), Ok(Lifetime::Unlimited));
        assert_eq!(asked(&[("stream-ttl", "0")]), Ok(Lifetime::Idle { seconds: 0 }));
        assert_eq!(asked(&[("stream-ttl", "3600")]), Ok(Lifetime::Idle { seconds: 3_600 }));
        for ttl in ["", "-1", "+1", "01", "1.5", "1e3", "1 ", "99999999999999999999"] {
            let refused = asked(&[("stream-ttl", ttl)]).expect_err(ttl);
            assert_eq!(refused.code, Code::ParameterInvalid, "{ttl}");
        }
        let at = "2030-01-01T00:00:00Z";
        assert!(matches!(asked(&[("stream-expires-at", at)]), Ok(Lifetime::Until { .. })));
        assert!(asked(&[("stream-expires-at", "tomorrow")]).is_err());
        let long: &str = Box::leak(format!("2030-01-01T00:00:00.{}Z", "0".repeat(64)).into());
        assert!(asked(&[("stream-expires-at", long)]).is_err(), "it is kept as it was said");
        assert!(asked(&[("stream-expires-at", at), ("stream-ttl", "1")]).is_err());
        assert!(Creation::of(&headers(&[("stream-forked-from", "/v1/ds/a")])).is_err());
    }

    #[test]
    fn types_are_compared_without_their_parameters() {
        assert!(is_same_type("text/plain", "TEXT/Plain; charset=utf-8"));
        assert!(!is_same_type("text/plain", "text/html"));
    }

    #[test]
    fn who_follows_says_from_where() {
        let reading = Reading::of("offset=-1&live=sse&cursor=7&foo=bar").expect("a reading");
        assert_eq!((reading.from, reading.live), (Some(From::Beginning), Live::Sse));
        assert_eq!(reading.cursor.as_deref(), Some("7"));
        assert_eq!(Reading::of(""), Ok(Reading::default()));
        for query in
            ["offset=", "offset=-1&offset=-1", "live=sse", "live=long-poll", "live=x&offset=-1"]
        {
            assert!(Reading::of(query).is_err(), "{query}");
        }
    }
}
