//! Where an answer sends on to.

use ::http::header::LOCATION;
use ::http::{HeaderMap, Method, StatusCode, Uri};
use url::Url;

/// How many redirects are followed, one after the other.
pub(super) const REDIRECTS_MAX: usize = 5;

/// The next place to ask the same of; `None` where the answer is to be taken as it is.
///
/// What is read may be anywhere, but never without TLS behind a place with it. What is sent is for
/// nobody else than the server that it was sent to.
pub(super) fn next(
    (method, from): (&Method, &Uri),
    status: StatusCode,
    headers: &HeaderMap,
) -> Option<Uri> {
    let is_read = *method == Method::GET;
    let is_followed = match status.as_u16() {
        307 | 308 => true,
        301..=303 => is_read,
        _ => false,
    };
    let place = headers.get(LOCATION).filter(|_| is_followed)?.to_str().ok()?;
    let from_url = Url::parse(&from.to_string()).ok()?;
    let mut to = from_url.join(place).ok()?;
    to.set_fragment(None);
    let is_safe = match (from_url.scheme(), to.scheme()) {
        (_, "https") => true,
        (from, "http") => from == "http",
        _ => false,
    };
    let to: Uri = to.as_str().parse().ok()?;
    (is_safe && (is_read || is_of_one(from, &to))).then_some(to)
}

/// Whether both are of the same server: who is shown a token there may be shown it here.
pub(super) fn is_of_one(a: &Uri, b: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().or((uri.scheme_str() == Some("https")).then_some(443));
    a.scheme() == b.scheme()
        && a.host() == b.host()
        && port(a).unwrap_or(80) == port(b).unwrap_or(80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(method: &Method, from: &str, status: u16, place: &str) -> Option<String> {
        let from = from.parse().expect("an address");
        let headers = HeaderMap::from_iter([(LOCATION, place.parse().expect("a value"))]);
        let status = StatusCode::from_u16(status).expect("a status");
        next((method, &from), status, &headers).map(|to| to.to_string())
    }

    #[test]
    fn what_is_read_may_be_elsewhere() {
        for (status, place, expected) in [
            (307, "http://b:2/x?after=e1-1#there", Some("http://b:2/x?after=e1-1")),
            (308, "/y", Some("http://a/y")),
            (301, "https://a/x", Some("https://a/x")),
            (302, "z", Some("http://a/v1/z")),
            (304, "/y", None),
            (200, "/y", None),
            (307, "ftp://a/x", None),
            (307, "http://", None),
        ] {
            let found = leads(&Method::GET, "http://a/v1/events", status, place);
            assert_eq!(found.as_deref(), expected, "{status} {place}");
        }
        assert_eq!(leads(&Method::GET, "https://a/x", 307, "http://a/x"), None);
    }

    #[test]
    fn what_is_sent_stays_with_its_server() {
        for (status, place, is_followed) in [
            (307, "/y", true),
            (308, "http://a:80/y", true),
            (302, "/y", false),
            (307, "http://b/y", false),
            (307, "https://a/y", false),
        ] {
            let found = leads(&Method::POST, "http://a/x", status, place);
            assert_eq!(found.is_some(), is_followed, "{status} {place}");
        }
    }
}
