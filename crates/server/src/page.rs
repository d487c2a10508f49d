//! Which page asks: browsers name its origin, programs name none.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bellwire_authn::Cookies;
use bellwire_model::FilterSet;
use bellwire_shards::{Publisher, StreamRequest};
use bellwire_wire::problem::{Code, Problem};
use http::uri::Authority;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use crate::config::Origins;
use crate::hosts::KnownHosts;
use crate::proxies::Proxies;

/// Who may ask, as far as a browser tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Callers {
    /// Of which pages.
    pub(crate) origins: Origins,
    /// By which names.
    pub(crate) hosts: Arc<KnownHosts>,
    /// Through which proxies.
    pub(crate) proxies: Arc<Proxies>,
    /// The header in which proxies say who somebody is.
    pub(crate) named_in: Option<HeaderName>,
    /// Whether all connections are encrypted here.
    pub(crate) speaks_tls: bool,
    /// It knows which topics have ended.
    pub(crate) publisher: Option<Arc<Publisher>>,
    /// What another node shows.
    pub(crate) elsewhere: Option<Arc<dyn Elsewhere>>,
}

/// What is to come from another node before it can be shown.
pub(crate) trait Elsewhere: fmt::Debug + Send + Sync {
    /// Whether something of this is yet to come.
    fn lacks(&self, filters: &FilterSet) -> bool;
}

/// How a request has come from its client, as far as anybody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// By TLS.
    Encrypted,
    /// Nobody says so: a proxy that is not known may speak TLS in front.
    #[default]
    Unknown,
}

impl Callers {
    /// Whether all that a stream is to follow has ended, and its client knows it.
    pub(crate) fn has_nothing_for(&self, stream: &StreamRequest) -> bool {
        let is_over = |publisher: &Arc<Publisher>| {
            publisher.is_at_end(stream.follows.filters(), stream.start)
        };
        self.publisher.as_ref().is_some_and(is_over)
    }

    /// Whether what a stream is to begin with is to come from another node first.
    pub(crate) fn has_to_wait(&self, stream: &StreamRequest) -> bool {
        self.elsewhere.as_ref().is_some_and(|it| it.lacks(stream.follows.filters()))
    }

    /// How a request has come of which this is the other end of the connection, and these are all
    /// headers in which proxies say it.
    pub(crate) fn arrived(&self, source: IpAddr, said: &[&[u8]]) -> Arrived {
        let is_encrypted = if self.proxies.trust(source) {
            let mut words = said.iter().flat_map(|value| value.split(|byte| *byte == b','));
            !said.is_empty() && words.all(|it| it.trim_ascii().eq_ignore_ascii_case(b"https"))
        } else {
            self.speaks_tls
        };
        if is_encrypted { Arrived::Encrypted } else { Arrived::Unknown }
    }
}

/// What a request says of the page that makes it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Page<'a> {
    pub(crate) origin: Option<&'a [u8]>,
    /// Whom the request is for.
    pub(crate) host: Option<&'a str>,
    /// Where the page is, as its browser sees it.
    pub(crate) fetch_site: Option<&'a [u8]>,
    /// How the request has come.
    pub(crate) arrived: Arrived,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It reads, and nothing is other than before.
    Reads,
    /// It changes something, or can be talked through.
    Changes,
}

/// Where a browser says that the page is which makes a request.
pub(crate) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl<'a> Page<'a> {
    pub(crate) fn of(uri: &'a Uri, headers: &'a HeaderMap, extensions: &Extensions) -> Self {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        Self {
            origin: single(headers, header::ORIGIN),
            fetch_site: single(headers, FETCH_SITE),
            // HTTP/2 has a pseudo-header in place of `Host`.
            host: host.or_else(|| uri.authority().map(Authority::as_str)),
            arrived: extensions.get().copied().unwrap_or_default(),
        }
    }

    /// The origin to answer with, where it is allowed.
    pub(crate) fn allowed_origin(&self, allowed: &Origins) -> Option<HeaderValue> {
        let origin = HeaderValue::from_bytes(self.origin?).ok()?;
        origin.to_str().is_ok_and(|origin| allowed.allow(origin)).then_some(origin)
    }

    /// Whether it is of another site. Programs and the server's own pages are not. What comes without
    /// TLS anybody on the way may have written: it is no page of a server that is asked by TLS.
    pub(crate) fn is_foreign(&self) -> bool {
        let Some(origin) = self.origin else { return false };
        let origin = std::str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://"));
        let Some((scheme, origin)) = origin else { return true };
        if self.arrived == Arrived::Encrypted && scheme != "https" {
            return true;
        }
        // Browsers leave the scheme's own port out, and write in lower case.
        let port = match scheme {
            "http" => ":80",
            "https" => ":443",
            // An app or an extension may call its own host what it likes.
            _ => return true,
        };
        let bare = |host: &'_ str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
        self.host.map(bare) != Some(bare(origin))
    }

    /// Its origin, where it is of another site.
    pub(crate) fn foreign(&self) -> Option<Cow<'a, str>> {
        self.origin.filter(|_| self.is_foreign()).map(String::from_utf8_lossy)
    }

    /// Whether nothing says that it is another page than the server's own. What is of the same site
    /// is not of the same server.
    pub(crate) fn is_own(&self) -> bool {
        let is_own = |site: &[u8]| site == b"same-origin" || site == b"none";
        !self.is_foreign() && self.fetch_site.is_none_or(is_own)
    }

    /// Whether its cookies say who it is. A browser sends them along whoever has it ask, so that
    /// what changes something, or can be talked through, has to say of which page it is.
    pub(crate) fn cookies(&self, method: &Method, headers: &HeaderMap) -> Cookies {
        let only_reads = method.is_safe() && !headers.contains_key(header::UPGRADE);
        self.cookies_for(if only_reads { Deed::Reads } else { Deed::Changes })
    }

    /// The same, where it is known what the request does.
    pub(crate) fn cookies_for(&self, deed: Deed) -> Cookies {
        let says_so = self.origin.is_some() || self.fetch_site.is_some();
        let counts = self.is_own() && (deed == Deed::Reads || says_so);
        if counts { Cookies::Count } else { Cookies::AreNone }
    }

    /// Whether it may not open a WebSocket: browsers guard everything else themselves.
    pub(crate) fn is_forbidden(&self, allowed: &Origins) -> bool {
        self.is_foreign() && self.allowed_origin(allowed).is_none()
    }

    /// Refuses it, and says why: it is of another site, or a proxy has made it look so.
    pub(crate) fn refusal(&self) -> Problem {
        let origin = self.origin.map_or("?".into(), String::from_utf8_lossy);
        let by = if self.arrived == Arrived::Encrypted { "https://" } else { "" };
        let host = self.host.unwrap_or("?");
        let detail = format!(
            "the page is of `{origin}`, and the request came for the host `{by}{host}`. If it is this \
             server's own page behind a proxy, have the proxy pass `Host` on as it came (nginx: \
             `proxy_set_header Host $http_host;`); if it is another site's, name its origin in \
             `allowed_origins`"
        );
        Problem::new(Code::OriginForbidden, detail)
    }
}

/// The only header of a name. What stands there twice is as if it said neither.
fn single(headers: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.as_bytes();
    Some(if values.next().is_some() { b"" } else { first })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn cookies(method: &Method, headers: Headers<'_>) -> Cookies {
        let mut map = HeaderMap::new();
        map.insert(header::HOST, HeaderValue::from_static("bell.example:8080"));
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            map.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        let uri = Uri::from_static("/v1/whoami");
        Page::of(&uri, &map, &Extensions::new()).cookies(method, &map)
    }

    #[test]
    fn a_page_without_tls_is_not_of_a_server_that_is_asked_by_tls() {
        let is_foreign = |origin: &'static str, arrived| {
            let origin = Some(origin.as_bytes());
            Page { origin, host: Some("bell.example"), fetch_site: None, arrived }.is_foreign()
        };
        let (with, without) = ("https://bell.example", "http://bell.example");
        assert!(!is_foreign(with, Arrived::Encrypted) && is_foreign(without, Arrived::Encrypted));
        assert!(!is_foreign(with, Arrived::Unknown) && !is_foreign(without, Arrived::Unknown));
    }

    #[test]
    fn how_a_request_has_come_is_said_by_its_connection_and_by_proxies_that_are_trusted() {
        let flags = vec![("trusted_proxies", vec!["192.0.2.1".to_owned()])];
        let config = crate::config::Config::load(None, |_| None, &flags).expect("valid");
        let callers = |speaks_tls| {
            let proxies = Arc::new(Proxies::new(&config));
            Callers { proxies, speaks_tls, ..Callers::default() }
        };
        let [proxy, other] = ["192.0.2.1", "192.0.2.2"].map(|it| it.parse().expect("an address"));
        for (source, speaks_tls, said, expected) in [
            (proxy, false, &[b"https" as &[u8]][..], Arrived::Encrypted),
            (proxy, false, &[b"HTTPS, https"], Arrived::Encrypted),
            (proxy, false, &[b"https, http"], Arrived::Unknown),
            (proxy, false, &[b"https", b"http"], Arrived::Unknown),
            (proxy, true, &[], Arrived::Unknown),
            (other, false, &[b"https"], Arrived::Unknown),
            (other, true, &[b"http"], Arrived::Encrypted),
        ] {
            assert_eq!(callers(speaks_tls).arrived(source, said), expected, "{source} {said:?}");
        }
    }

    #[test]
    fn a_cookie_counts_for_the_servers_own_page() {
        let (own, foreign) = ("http://bell.example:8080", "https://evil.example");
        let (origin, site, websocket) = ("origin", "sec-fetch-site", ("upgrade", "websocket"));
        let cases: &[(Headers<'_>, bool, bool)] = &[
            (&[], true, false),
            (&[(origin, own)], true, true),
            (&[(site, "same-origin")], true, true),
            (&[(site, "none")], true, true),
            (&[(origin, own), (site, "same-origin")], true, true),
            (&[(site, "same-site")], false, false),
            (&[(site, "cross-site")], false, false),
            (&[(site, "anything")], false, false),
            (&[(site, "same-origin"), (site, "same-origin")], false, false),
            (&[(origin, own), (site, "cross-site")], false, false),
            (&[(origin, foreign)], false, false),
            (&[(origin, "null")], false, false),
            (&[(origin, own), (origin, own)], false, false),
            (&[(origin, "http://bell.example")], false, false),
            (&[(origin, "app://bell.example:8080")], false, false),
            (&[websocket], false, false),
            (&[websocket, (origin, own)], true, true),
        ];
        for (headers, reads, changes) in cases {
            let counts = |method| cookies(method, headers) == Cookies::Count;
            assert_eq!(counts(&Method::GET), *reads, "{headers:?}");
            assert_eq!(counts(&Method::POST), *changes, "{headers:?}");
            assert_eq!(counts(&Method::CONNECT), *changes, "{headers:?}");
        }
    }
}
