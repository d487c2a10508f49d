//! What an answer says to a page of another site that may read it, on whichever path it is made.

use http::{HeaderName, HeaderValue, header};

/// Headers of answers that pages may read, beyond the few that they always may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "bellwire-version, etag, location, producer-epoch, producer-expected-seq, \
         producer-received-seq, producer-seq, retry-after, stream-closed, stream-cursor, \
         stream-expires-at, stream-next-offset, stream-sse-data-encoding, stream-ttl, \
         stream-up-to-date, www-authenticate",
);

/// The headers with which a page of this origin may read an answer. The last one stands beside
/// others of its name.
pub fn headers(origin: &HeaderValue) -> [(HeaderName, HeaderValue); 3] {
    [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
        (header::VARY, HeaderValue::from_static("Origin")),
    ]
}
