//! Times in queries.

use bellwire_model::Timestamp;

/// Milliseconds since 1970, or RFC 3339.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    let ms = text.parse().ok().map(Timestamp::from_ms);
    ms.or_else(|| Timestamp::from_rfc3339(text))
}
