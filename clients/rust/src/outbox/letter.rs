//! Something to be sent, and how.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};

use crate::error::{ArgumentError, Error};

/// How long something is tried where nobody says otherwise.
const TIMEOUT: Duration = Duration::from_mins(1);
/// What the server says of a deletion where there is no such key.
const KEY_NOT_FOUND: &str = "key_not_found";

/// What to ask of the server.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) method: Method,
    /// Of the API, as `/v1/…`.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) repeat: Repeat,
    pub(crate) idempotency_key: Option<String>,
}

/// What becomes of it when it comes twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It does the same as when it comes once.
    Harmless,
    /// It does something else: it is not sent again once the server may have it.
    Never,
}

/// How it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) timeout: Duration,
    pub(crate) tries: Tries,
}

/// How often it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tries {
    /// Once.
    One,
    /// Until the time is over.
    Many,
}

impl Default for Terms {
    fn default() -> Self {
        Self { timeout: TIMEOUT, tries: Tries::Many }
    }
}

impl Letter {
    /// Whether an error says that this is done, if a try before may have been taken: what was to go
    /// is gone.
    pub(crate) fn was_done_before(&self, error: &Error) -> bool {
        let is_gone = matches!(error, Error::Problem(problem) if problem.code() == KEY_NOT_FOUND);
        self.method == Method::DELETE && is_gone
    }

    /// Fails where the path is longer than any address may be.
    pub(crate) fn request(&self) -> Result<Request<Bytes>, ArgumentError> {
        let too_long = |source| ArgumentError::Path { path: self.path.clone(), source };
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.parse().map_err(too_long)?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}
