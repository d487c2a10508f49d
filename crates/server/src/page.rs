//! Which page asks: browsers name its origin, programs name none.

use std::sync::Arc;

use bellwire_wire::problem::{Code, Problem};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri, header};

use crate::config::Origins;
use crate::hosts::KnownHosts;

/// Who may ask, as far as a browser tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Callers {
    /// Of which pages.
    pub(crate) origins: Origins,
    /// By which names.
    pub(crate) hosts: Arc<KnownHosts>,
}

/// What a request says of the page that makes it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Page<'a> {
    pub(crate) origin: Option<&'a [u8]>,
    /// Whom the request is for.
    pub(crate) host: Option<&'a str>,
}

impl<'a> Page<'a> {
    pub(crate) fn of(uri: &'a Uri, headers: &'a HeaderMap) -> Self {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        Self {
            origin: headers.get(header::ORIGIN).map(HeaderValue::as_bytes),
            // HTTP/2 has a pseudo-header in place of `Host`.
            host: host.or_else(|| uri.authority().map(Authority::as_str)),
        }
    }

    /// The origin to answer with, where it is allowed.
    pub(crate) fn allowed_origin(&self, allowed: &Origins) -> Option<HeaderValue> {
        let origin = HeaderValue::from_bytes(self.origin?).ok()?;
        origin.to_str().is_ok_and(|origin| allowed.allow(origin)).then_some(origin)
    }

    /// Whether it is of another site. Programs and the server's own pages are not.
    pub(crate) fn is_foreign(&self) -> bool {
        let Some(origin) = self.origin else { return false };
        let origin = std::str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://"));
        let Some((scheme, origin)) = origin else { return true };
        // Browsers leave the scheme's own port out, and write in lower case.
        let port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => "",
        };
        let bare = |host: &'_ str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
        self.host.map(bare) != Some(bare(origin))
    }

    /// Whether it may not open a WebSocket: browsers guard everything else themselves.
    pub(crate) fn is_forbidden(&self, allowed: &Origins) -> bool {
        self.is_foreign() && self.allowed_origin(allowed).is_none()
    }

    /// Refuses it, and says why: it is of another site, or a proxy has made it look so.
    pub(crate) fn refusal(&self) -> Problem {
        let origin = self.origin.map_or("?".into(), String::from_utf8_lossy);
        let host = self.host.unwrap_or("?");
        let detail = format!(
            "the page is of `{origin}`, and the request came for the host `{host}`. If it is this \
             server's own page behind a proxy, have the proxy pass `Host` on as it came (nginx: \
             `proxy_set_header Host $http_host;`); if it is another site's, name its origin in \
             `allowed_origins`"
        );
        Problem::new(Code::OriginForbidden, detail)
    }
}
