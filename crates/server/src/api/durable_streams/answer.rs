//! What answers say of a stream.

use axum::response::{IntoResponse, Response};
use bellwire_model::Cursor;
use bellwire_wire::durable_streams::token;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::names::{CLOSED, EXPIRES_AT, TTL};
use crate::durable_streams::{Lifetime, Stream};

const NEXT_OFFSET: HeaderName = HeaderName::from_static("stream-next-offset");
const UP_TO_DATE: HeaderName = HeaderName::from_static("stream-up-to-date");
const CURSOR: HeaderName = HeaderName::from_static("stream-cursor");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// Where a stream is, or a reader of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// What comes next comes behind this.
    pub(super) next: Cursor,
    pub(super) is_up_to_date: bool,
    pub(super) is_closed: bool,
    /// What a reader that waits says when it comes back.
    pub(super) cursor: Option<u32>,
}

impl Told {
    /// Of a stream as a whole.
    pub(super) fn of_stream(next: Cursor) -> Self {
        Self { next, is_up_to_date: false, is_closed: false, cursor: None }
    }

    pub(super) fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let next = HeaderValue::try_from(token(self.next)).expect("digits");
        headers.insert(NEXT_OFFSET, next);
        if self.is_up_to_date {
            headers.insert(UP_TO_DATE, TRUE);
        }
        if self.is_closed {
            headers.insert(CLOSED, TRUE);
        }
        if let Some(cursor) = self.cursor {
            headers.insert(CURSOR, cursor.into());
        }
        headers
    }

    /// An answer with what it tells.
    pub(super) fn with(self, answer: impl IntoResponse) -> Response {
        let mut response = answer.into_response();
        response.headers_mut().extend(self.headers());
        response
    }
}

/// The content type of a stream.
pub(super) fn content_type(stream: &Stream) -> HeaderValue {
    let unknown = || HeaderValue::from_static("application/octet-stream");
    HeaderValue::try_from(&*stream.content_type).unwrap_or_else(|_| unknown())
}

/// How long a stream stays.
pub(super) fn lifetime(stream: &Stream) -> Option<(HeaderName, HeaderValue)> {
    match &stream.lifetime {
        Lifetime::Unlimited => None,
        Lifetime::Idle { seconds } => Some((TTL, (*seconds).into())),
        Lifetime::Until { text, .. } => Some((EXPIRES_AT, HeaderValue::try_from(&**text).ok()?)),
    }
}
