//! Headers that requests and answers have alike.

use http::HeaderName;

pub(super) const CLOSED: HeaderName = HeaderName::from_static("stream-closed");
pub(super) const TTL: HeaderName = HeaderName::from_static("stream-ttl");
pub(super) const EXPIRES_AT: HeaderName = HeaderName::from_static("stream-expires-at");
