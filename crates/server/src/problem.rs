//! Problems as answers of hyper's.

use axum::response::{IntoResponse, Response};
use bellwire_wire::problem::{CONTENT_TYPE, Code, Problem};
use http::{HeaderValue, header};

/// A request that is refused, or has come to nothing.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Problem);

impl<E: Into<Problem>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        let mut response = (problem.status(), [content_type], problem.json()).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = problem.retry_after_s() {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(scheme) = problem.challenge() {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        if problem.code == Code::EncodingUnsupported {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if problem.code == Code::VersionUnsupported {
            let version = HeaderValue::from_static(bellwire_wire::ws::VERSION);
            headers.insert(header::SEC_WEBSOCKET_VERSION, version);
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn the_reference_lists_every_code() {
        let mut codes = Code::ALL.to_vec();
        codes.sort_by_key(|code| code.status());
        let row = |code: Code| {
            [code.status().to_string(), format!("`{}`", code.as_str()), code.title().to_owned()]
        };
        let rows: Vec<_> = codes.into_iter().map(row).collect();
        let table = golden::table(["status", "code", "title"], rows);
        for file in ["docs/protocol.md", "docs/reference/problems.md"] {
            golden::check(file, "problems", &table);
        }
    }
}
