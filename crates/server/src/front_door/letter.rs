//! The letter of HTTP: what hyper lets pass although the RFCs forbid it.
//!
//! Every head is checked as it came: one opinion, whoever serves the request.

use http::{HeaderMap, Uri, header};

use bellwire_wire::problem::{Code, Problem};

/// What counts of a head's headers.
#[derive(Debug, Default)]
struct Letter<'a> {
    host: Option<&'a [u8]>,
    hosts: usize,
    /// What `Content-Length` says, each time.
    lengths: Vec<Option<u64>>,
    /// Transfer codings, in their order.
    codings: Vec<&'a [u8]>,
    /// Whether codings are named at all, be it none.
    names_codings: bool,
}

/// Checks a head of HTTP/1.
pub(super) fn check<'a>(
    version: http::Version,
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Result<(), Problem> {
    let mut letter = Letter::default();
    for (name, value) in headers {
        letter.see(name, value);
    }
    letter.check_host(version)?;
    letter.check_length()?;
    letter.check_codings(version)
}

/// What a request is for has the letters of a URI (RFC 9112, 3.2); hyper would say so in a status
/// alone.
pub(super) fn check_target(target: &str) -> Result<(), Problem> {
    match target.parse::<Uri>() {
        Ok(_) => Ok(()),
        Err(error) => Err(malformed(&format!("the target is no URI: {error}"))),
    }
}

/// The number of bytes that `Content-Length` says.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    let text = value.trim_ascii();
    let is_number = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok()
}

/// On HTTP/2 the authority stands in for `Host`, which may be there, too, and must say the same.
pub(super) fn check_authority(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    let same = |host: &http::HeaderValue| {
        authority.is_none_or(|authority| authority.eq_ignore_ascii_case(host.as_bytes()))
    };
    if headers.get_all(header::HOST).iter().all(same) {
        return Ok(());
    }
    Err(malformed("`Host` and `:authority` name different hosts"))
}

impl<'a> Letter<'a> {
    fn see(&mut self, name: &str, value: &'a [u8]) {
        if name.eq_ignore_ascii_case("host") {
            (self.host, self.hosts) = (Some(value.trim_ascii()), self.hosts + 1);
        } else if name.eq_ignore_ascii_case("content-length") {
            self.lengths.push(number(value));
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            self.names_codings = true;
            let codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            self.codings.extend(codings.filter(|coding| !coding.is_empty()));
        }
    }

    /// RFC 9112, 3.2.
    fn check_host(&self, version: http::Version) -> Result<(), Problem> {
        match self.host {
            None if version >= http::Version::HTTP_11 => {
                Err(malformed("the header `Host` is missing: HTTP/1.1 has one"))
            }
            Some(_) if self.hosts > 1 => Err(malformed("the header `Host` stands twice")),
            Some(host) if !host.iter().all(|byte| is_of_host(*byte)) => {
                Err(malformed("the header `Host` names no host"))
            }
            _ => Ok(()),
        }
    }

    /// RFC 9110, 8.6: the same number twice is that number.
    fn check_length(&self) -> Result<(), Problem> {
        match self.lengths.split_first() {
            Some((None, _)) => Err(malformed("`Content-Length` is a number of bytes")),
            Some((first, others)) if others.iter().any(|other| other != first) => {
                Err(malformed("`Content-Length` says two things"))
            }
            _ => Ok(()),
        }
    }

    /// RFC 9112, 6.1 and 6.3. Two opinions on where a body ends are how requests are smuggled.
    fn check_codings(&self, version: http::Version) -> Result<(), Problem> {
        if !self.names_codings {
            return Ok(());
        }
        let is_chunked = |coding: &&&[u8]| coding.eq_ignore_ascii_case(b"chunked");
        let chunked = self.codings.iter().filter(is_chunked).count();
        if version < http::Version::HTTP_11 {
            return Err(malformed("HTTP/1.0 has no `Transfer-Encoding`"));
        }
        if !self.lengths.is_empty() {
            return Err(malformed("`Content-Length` and `Transfer-Encoding` exclude each other"));
        }
        if chunked != 1 || !self.codings.last().as_ref().is_some_and(is_chunked) {
            return Err(malformed("`Transfer-Encoding` ends in `chunked`, once"));
        }
        if self.codings.len() > 1 {
            let detail = "the only transfer coding is `chunked`: compress the body itself and say \
                          so in `Content-Encoding`";
            return Err(Problem::new(Code::TransferCodingUnsupported, detail));
        }
        Ok(())
    }
}

/// Whether a host, as RFC 3986 writes it, or its port may have the byte.
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}

fn malformed(detail: &str) -> Problem {
    Problem::new(Code::HeadMalformed, detail)
}

#[cfg(test)]
mod tests {
    use http::Version;

    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn heads_that_can_be_read_in_two_ways_are_refused() {
        let host = ("Host", "x");
        let coding = |value| [host, ("transfer-encoding", value)];
        let cases: [(Headers<'_>, Option<Code>); 23] = [
            (&[host], None),
            (&[("hOST", "example.com:8080")], None),
            (&[("host", "[::1]:80")], None),
            (&[("host", "")], None),
            (&[], Some(Code::HeadMalformed)),
            (&[host, host], Some(Code::HeadMalformed)),
            (&[("host", "a b")], Some(Code::HeadMalformed)),
            (&[("host", "me@a")], Some(Code::HeadMalformed)),
            (&[("host", "a/b")], Some(Code::HeadMalformed)),
            (&[host, ("content-length", "3")], None),
            (&[host, ("content-length", "3"), ("Content-Length", "3")], None),
            (&[host, ("content-length", "3"), ("content-length", "4")], Some(Code::HeadMalformed)),
            (&[host, ("content-length", "+3")], Some(Code::HeadMalformed)),
            (&[host, ("content-length", "")], Some(Code::HeadMalformed)),
            (&coding("chunked"), None),
            (&coding("Chunked"), None),
            (&coding("gzip, chunked"), Some(Code::TransferCodingUnsupported)),
            (&coding("chunked, chunked"), Some(Code::HeadMalformed)),
            (&coding("chunked, gzip"), Some(Code::HeadMalformed)),
            (&coding("gzip"), Some(Code::HeadMalformed)),
            (&coding(""), Some(Code::HeadMalformed)),
            (
                &[host, ("content-length", "3"), ("transfer-encoding", "chunked")],
                Some(Code::HeadMalformed),
            ),
            (&[coding("chunked")[1], coding("chunked")[1], host], Some(Code::HeadMalformed)),
        ];
        for (headers, expected) in cases {
            let bytes = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
            let found = check(Version::HTTP_11, bytes).err().map(|problem| problem.code);
            assert_eq!(found, expected, "{headers:?}");
        }
        let old = |headers: &[(&str, &str)]| {
            let bytes = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
            check(Version::HTTP_10, bytes).is_ok()
        };
        assert!(old(&[]) && old(&[host]), "HTTP/1.0 knows no `Host`, and takes one");
        assert!(!old(&[host, host]) && !old(&coding("chunked")));
    }
}
