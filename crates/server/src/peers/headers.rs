//! Which headers of a request a node signs: all that are not of one hop. What is not signed does not count
//! where it comes: nobody on the way adds any.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Of one hop alone (RFC 9110, 7.6.1): another hop has others.
pub(crate) const OF_ONE_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    header::EXPECT,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Of one hop as well where nodes sign: how the body is cut up, and when.
const OF_THE_MESSAGE: [HeaderName; 2] = [header::CONTENT_LENGTH, header::DATE];

fn is_of_one_hop(name: &HeaderName) -> bool {
    OF_ONE_HOP.contains(name) || OF_THE_MESSAGE.contains(name)
}

/// What those on the way write for their own sake, and change.
const OF_THE_WAY: [HeaderName; 5] = [
    header::VIA,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("b3"),
    HeaderName::from_static("x-request-id"),
];

/// The same, by how they begin.
const OF_THE_WAY_BEGIN: [&str; 2] = ["x-b3-", "x-envoy-"];

fn is_of_the_way(name: &HeaderName) -> bool {
    let begins = |begin: &&str| name.as_str().starts_with(*begin);
    OF_THE_WAY.contains(name) || OF_THE_WAY_BEGIN.iter().any(begins)
}

/// The names of those that are signed.
pub(super) fn names(headers: &HeaderMap) -> String {
    let mut names = String::with_capacity(16 * headers.keys_len());
    for name in headers.keys().filter(|name| !is_of_one_hop(name) && !is_of_the_way(name)) {
        if !names.is_empty() {
            names.push(',');
        }
        names.push_str(name.as_str());
    }
    names
}

/// The values of these, as they are signed.
pub(super) fn values(headers: &HeaderMap, names: &str) -> Vec<u8> {
    let mut values = Vec::with_capacity(64 * headers.len());
    for name in names.split(',').filter(|name| !name.is_empty()) {
        for value in headers.get_all(name) {
            values.push(b'=');
            values.extend_from_slice(value.as_bytes());
            values.push(b'\n');
        }
        values.push(b'\n');
    }
    values
}

/// Leaves those that are signed, and what the hop is about. HTTP itself has whoever asks name a host.
pub(super) fn drop_unsigned(headers: &mut HeaderMap<HeaderValue>, names: &str) {
    let is_signed = |name: &HeaderName| names.split(',').any(|signed| signed == name.as_str());
    let counts =
        |name: &HeaderName| is_signed(name) || *name == header::HOST || is_of_one_hop(name);
    let unsigned: Vec<HeaderName> = headers.keys().filter(|name| !counts(name)).cloned().collect();
    for name in unsigned {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn no_two_requests_are_signed_alike() {
        let names = "a,b";
        let all = [
            headers(&[]),
            headers(&[("a", "x")]),
            headers(&[("b", "x")]),
            headers(&[("a", ""), ("b", "x")]),
            headers(&[("a", "x"), ("a", "y")]),
            headers(&[("a", "y"), ("a", "x")]),
            headers(&[("a", "x"), ("b", "y")]),
            headers(&[("a", "x=y")]),
        ];
        let signed: Vec<Vec<u8>> = all.iter().map(|all| values(all, names)).collect();
        for (at, one) in signed.iter().enumerate() {
            assert!(signed[..at].iter().all(|other| other != one), "{:?}", all[at]);
        }
    }

    #[test]
    fn what_those_on_the_way_write_is_not_signed() {
        let sent =
            headers(&[("traceparent", "a"), ("x-b3-traceid", "b"), ("via", "c"), ("a", "d")]);
        assert_eq!(names(&sent), "a");
    }

    #[test]
    fn what_is_not_signed_does_not_count() {
        let sent = headers(&[("accept", "a"), ("connection", "close"), ("content-length", "1")]);
        let signed = names(&sent);
        assert_eq!(signed, "accept");
        let mut come = sent.clone();
        for (name, value) in [("x-forwarded-for", "192.0.2.1"), ("via", "p"), ("host", "h")] {
            come.append(name, HeaderValue::from_static(value));
        }
        assert_eq!(values(&come, &signed), values(&sent, &signed));
        drop_unsigned(&mut come, &signed);
        assert_eq!(come.len(), 4, "{come:?}");
        assert!(come.contains_key("host") && !come.contains_key("x-forwarded-for"));
        // One more of what is signed is another request.
        come.append("accept", HeaderValue::from_static("b"));
        assert_ne!(values(&come, &signed), values(&sent, &signed));
    }
}
