//! Cookies of this server among those that a browser sends.

use http::{HeaderMap, HeaderValue, header};

use crate::oidc::LOGIN_COOKIE;

/// Why nobody can tell what a cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// Browsers have one cookie of such a name. Of two somebody has planted one, and nobody can tell
    /// which.
    Twice,
    /// It is no text.
    NoText,
}

/// The cookie of a name, where there is one, in all headers of `Cookie`.
///
/// Browsers let other sites set a cookie of any name but one with the prefix `__Host-`: so the name is
/// compared to the letter, and what they take for a part of it is none of the space around it. Those
/// sites choose the bytes of what else is there, which are passed over.
pub(crate) fn named<'a>(
    name: &str,
    values: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<&'a str>, Unclear> {
    let pairs = values.flat_map(|value| value.split(|byte| *byte == b';')).filter_map(|pair| {
        let middle = pair.iter().position(|byte| *byte == b'=')?;
        Some((&pair[..middle], &pair[middle + 1..]))
    });
    let mut found = pairs.filter(|(own, _)| bare(own) == name.as_bytes()).map(|(_, value)| value);
    let Some(value) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(Unclear::Twice);
    }
    std::str::from_utf8(bare(value)).map(Some).map_err(|_| Unclear::NoText)
}

/// The login at a provider that a browser has under way.
pub fn login_under_way(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    named(LOGIN_COOKIE, values).ok().flatten()
}

/// Without the space that HTTP knows around values; Unicode has more, which is a part of them.
fn bare(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_another_site_has_put_into_a_cookie_hide_none() {
        let of = |cookies: &[&'static [u8]]| named("__Host-a", cookies.iter().copied());
        for whole in [b"planted=\xff\xfe; __Host-a=s" as &[u8], b"__Host-a= s\t; \xe9=\xe9; c"] {
            assert_eq!(of(&[whole]), Ok(Some("s")));
        }
        for other in [b"\xc2\xa0__Host-a=s" as &[u8], b"__Host-a; b=__Host-a=s", b"__host-a=s"] {
            assert_eq!(of(&[other]), Ok(None));
        }
        let twice = Err(Unclear::Twice);
        assert_eq!(of(&[b"__Host-a=\xff; __Host-a=s"]), twice);
        assert_eq!(of(&[b"__Host-a=s", b"b=c; __Host-a=\xff"]), twice);
        assert_eq!(of(&[b"__Host-a=\xff"]), Err(Unclear::NoText));
    }

    #[test]
    fn a_login_under_way_is_found_beside_what_another_site_has_put_there() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"planted=\xe9; __Host-bellwire-login=l");
        headers.insert(header::COOKIE, value.expect("a value"));
        assert_eq!(login_under_way(&headers), Some("l"));
    }
}
