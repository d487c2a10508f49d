//! An answer that is an error.

use std::time::Duration;

use bellwire_process::clock;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Characters of an answer of something else that are worth repeating.
const TEXT_CHARACTERS_MAX: usize = 200;
/// Codes of those that may have done it where nobody says whether: what orders it, or passes it on, was
/// away.
const UNSURE: [&str; 2] = ["journal_unavailable", "desk_away"];
/// What no `Retry-After` is believed beyond: a date that is wrong would keep a client silent.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);

/// RFC 9457's problem, or what there is of one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{detail} ({status}{})", code.as_ref().map(|code| format!(", {code}")).unwrap_or_default())]
#[non_exhaustive]
pub struct Problem {
    /// Of the answer.
    pub status: StatusCode,
    /// What it is about, for people. Of something else than Bellwire the beginning of its answer.
    pub detail: String,
    /// When another try is worth it, where the server says so.
    pub retry_after: Option<Duration>,
    /// Of `condition_failed`: the version that the key has, where there is one.
    pub version: Option<String>,
    /// Of `samples_invalid`: what is wrong with which.
    pub errors: Vec<SampleError>,
    /// Whether what was asked for may have been done all the same, by an earlier try, too.
    pub may_be_taken: bool,
    code: Option<String>,
}

/// What is wrong with a sample.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SampleError {
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub detail: String,
    /// Which sample of the request it is, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

/// The members that are read.
#[derive(Default, Deserialize)]
struct Members {
    code: Option<String>,
    #[serde(default)]
    detail: String,
    version: Option<String>,
    #[serde(default)]
    errors: Vec<SampleError>,
    may_be_taken: Option<bool>,
}

impl Problem {
    /// Its [code](https://www.rfc-editor.org/rfc/rfc9457), or `unexpected_status` where the answer is
    /// no problem of Bellwire's.
    #[must_use]
    pub fn code(&self) -> &str {
        self.code.as_deref().unwrap_or("unexpected_status")
    }

    /// Whether it is none of Bellwire's: what the request has come to is not known.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.code.is_none()
    }

    pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_problem =
            content_type.is_some_and(|kind| kind.starts_with("application/problem+json"));
        let members = if is_problem { serde_json::from_slice(body).ok() } else { None };
        let Members { code, detail, version, errors, may_be_taken } = members.unwrap_or_default();
        // What something else says in its place may be wrong.
        let is_unsure = code.as_deref().is_none_or(|code| UNSURE.contains(&code));
        let may_be_taken = may_be_taken.unwrap_or(is_unsure);
        let detail = if code.is_some() { detail } else { shown(body) };
        let retry_after = retry_after(headers);
        Self { status, detail, retry_after, version, errors, may_be_taken, code }
    }

    /// A refusal that came in a stream, as `bye`.
    pub(crate) fn of_bye(
        status: StatusCode,
        (code, detail): (String, Option<String>),
        retry_after: Option<Duration>,
    ) -> Self {
        let detail = detail.unwrap_or_default();
        let (version, errors, may_be_taken) = (None, Vec::new(), false);
        Self { status, detail, retry_after, version, errors, may_be_taken, code: Some(code) }
    }
}

/// How long to wait by `retry_ms`.
pub(crate) fn believed(retry_ms: Option<u64>) -> Option<Duration> {
    retry_ms.map(|ms| Duration::from_millis(ms).min(RETRY_AFTER_MAX))
}

/// What a proxy says, or another server altogether.
fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text: String = text.trim().chars().take(TEXT_CHARACTERS_MAX).collect();
    if text.is_empty() {
        return "the server refuses".to_owned();
    }
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// `Retry-After: 5`, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse().map(Duration::from_secs) {
        Ok(wait) => wait,
        Err(_) => wait_until(text)?,
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// How long it is until a date; `None` where that is over.
fn wait_until(date: &str) -> Option<Duration> {
    let date = httpdate::parse_http_date(date).ok()?;
    let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(clock::now().as_ms()).ok()?);
    since_epoch.checked_sub(now)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(content_type: &'static str, retry_after: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if !retry_after.is_empty() {
            headers.insert(RETRY_AFTER, retry_after.parse().expect("a value"));
        }
        headers
    }

    #[test]
    fn problems_read_well() {
        let headers = headers("application/problem+json", "7");
        let body = br#"{"status":400,"code":"topic_invalid","detail":"topic `a//b`: empty"}"#;
        let problem = Problem::read(StatusCode::BAD_REQUEST, &headers, body);
        assert_eq!(problem.to_string(), "topic `a//b`: empty (400 Bad Request, topic_invalid)");
        assert_eq!((problem.code(), problem.is_foreign()), ("topic_invalid", false));
        assert_eq!(problem.retry_after, Some(Duration::from_secs(7)));
    }

    #[test]
    fn whether_it_may_be_taken_is_as_it_says_and_else_as_its_code_has_it() {
        for (code, said, expected) in [
            ("journal_unavailable", "", true),
            ("desk_away", "", true),
            ("journal_unavailable", r#","may_be_taken":false"#, false),
            ("journal_full", r#","may_be_taken":true"#, true),
            ("journal_full", "", false),
            ("draining", "", false),
        ] {
            let headers = headers("application/problem+json", "");
            let body = format!(r#"{{"code":"{code}"{said}}}"#);
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let problem = Problem::read(status, &headers, body.as_bytes());
            assert_eq!(problem.may_be_taken, expected, "{body}");
        }
    }

    #[test]
    fn what_is_of_something_else_is_told_as_far_as_it_is_harmless() {
        for (content_type, body, expected) in [
            ("text/html", "<h1>Oops</h1>\n", "<h1>Oops</h1> (502 Bad Gateway)"),
            ("text/plain", "\u{1b}[2J", "\u{FFFD}[2J (502 Bad Gateway)"),
            ("application/problem+json", "{", "{ (502 Bad Gateway)"),
            ("application/json", "", "the server refuses (502 Bad Gateway)"),
        ] {
            let headers = headers(content_type, "");
            let problem = Problem::read(StatusCode::BAD_GATEWAY, &headers, body.as_bytes());
            assert_eq!(problem.to_string(), expected);
            assert_eq!(problem.code(), "unexpected_status");
        }
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_and_believed_within_bounds() {
        let wait = |text: &str| retry_after(&headers("text/plain", text));
        assert_eq!(wait("5"), Some(Duration::from_secs(5)));
        assert_eq!(wait("99999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(wait("Fri, 31 Dec 9999 23:59:59 GMT"), Some(RETRY_AFTER_MAX));
        for text in ["", "soon", "-1", "Thu, 01 Jan 1970 00:00:01 GMT"] {
            assert_eq!(wait(text), None, "{text}");
        }
    }
}
