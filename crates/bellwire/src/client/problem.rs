//! A server's answer that is an error.

use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;
use thiserror::Error;

/// Characters of an answer that is no problem JSON that are worth repeating.
const TEXT_CHARACTERS_MAX: usize = 200;

/// The code of whoever has shown nothing. What the server says of it is for those who write heads.
const CREDENTIAL_MISSING: &str = "credential_missing";

/// RFC 9457's problem, as far as there is one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{detail} ({status}{})", code.as_ref().map(|code| format!(", {code}")).unwrap_or_default())]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    code: Option<String>,
    detail: String,
}

/// The members that are read.
#[derive(Deserialize)]
struct Members {
    code: Option<String>,
    detail: Option<String>,
}

impl Problem {
    pub(crate) fn read(status: StatusCode, body: &[u8]) -> Self {
        if let Ok(Members { code, detail: Some(detail) }) = serde_json::from_slice(body) {
            let is_missing = code.as_deref() == Some(CREDENTIAL_MISSING);
            let detail = if is_missing { super::credential_advice() } else { detail };
            return Self { status, code, detail };
        }
        // A proxy, or another server altogether.
        let text: String =
            String::from_utf8_lossy(body).trim().chars().take(TEXT_CHARACTERS_MAX).collect();
        let detail = if text.is_empty() { "the server refuses".to_owned() } else { text };
        Self { status, code: None, detail: crate::output::harmless(&detail) }
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_temporary(&self) -> bool {
        let too_early = 425;
        self.status.is_server_error() && self.status != StatusCode::NOT_IMPLEMENTED
            || self.status == StatusCode::REQUEST_TIMEOUT
            || self.status == StatusCode::TOO_MANY_REQUESTS
            || self.status.as_u16() == too_early
    }
}

/// `Retry-After: 5`. Dates are left aside: whoever sends them wants more than seconds.
pub(crate) fn retry_after(headers: &hyper::HeaderMap) -> Option<Duration> {
    let value = headers.get(hyper::header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_read_well() {
        let body = br#"{"status":400,"code":"topic_invalid","detail":"topic `a//b`: empty"}"#;
        let problem = Problem::read(StatusCode::BAD_REQUEST, body);
        assert_eq!(problem.to_string(), "topic `a//b`: empty (400 Bad Request, topic_invalid)");
        let body = br#"{"status":401,"code":"credential_missing","detail":"Authorization"}"#;
        let problem = Problem::read(StatusCode::UNAUTHORIZED, body).to_string();
        assert!(problem.contains("`--token-file`") && problem.contains("BELLWIRE_TOKEN"));
        let problem = Problem::read(StatusCode::BAD_GATEWAY, b"<h1>Oops</h1>\n");
        assert_eq!(problem.to_string(), "<h1>Oops</h1> (502 Bad Gateway)");
    }

    #[test]
    fn only_some_are_worth_another_try() {
        for (status, expected) in [
            (400, false),
            (401, false),
            (404, false),
            (408, true),
            (425, true),
            (429, true),
            (431, false),
            (500, true),
            (501, false),
            (503, true),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(Problem::read(status, b"").is_temporary(), expected, "{status}");
        }
    }
}
