//! Which proxies are believed when they say whose a request is.

use std::net::IpAddr;

use bellwire_model::Networks;
use bellwire_wire::forwarded::{self, ForwardedError, Forwarding};
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::proxy_protocol::ProxyHeaderError;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::config::Config;

/// The header that most proxies name the client in.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The header in which most proxies say how the client has come.
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The proxies in front of this server, as configured.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    trusted: Networks,
    /// Whether their connections begin with the PROXY protocol.
    speak_first: bool,
}

impl Proxies {
    pub(crate) fn new(config: &Config) -> Self {
        Self { trusted: config.trusted_proxies.clone(), speak_first: config.proxy_protocol }
    }

    /// Whether what is in the heads of an address counts: whose a request is shows there.
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        !self.trusted.is_empty() && self.trusted.contain(address)
    }

    /// Whether connections begin with the PROXY protocol.
    pub(crate) fn speak_first(&self) -> bool {
        self.speak_first
    }

    /// Refuses a connection of somebody else, where all of them are a proxy's.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Problem> {
        if !self.speak_first || self.trust(address) {
            return Ok(());
        }
        let detail = "connections come through a proxy alone here (`proxy_protocol`), and this \
                      address is none of `trusted_proxies`";
        Err(Problem::new(Code::ProxyHeaderInvalid, detail))
    }

    /// Who has sent a request that came from `source`, given all that its head says of that.
    pub(crate) fn client(&self, source: IpAddr, said: Forwarding<'_>) -> Result<IpAddr, Problem> {
        forwarded::client(source, &self.trusted, said).map_err(|error: ForwardedError| {
            tracing::debug!(%error, proxy = %source, "Nobody can tell whose a request is.");
            Problem::new(Code::HeadMalformed, error)
        })
    }

    /// The same, of headers that hyper has read.
    pub(crate) fn client_of(&self, source: IpAddr, headers: &HeaderMap) -> Result<IpAddr, Problem> {
        let all = |name: HeaderName| -> Vec<&[u8]> {
            headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
        };
        let (forwarded, forwarded_for) = (all(header::FORWARDED), all(FORWARDED_FOR));
        self.client(source, Forwarding { forwarded: &forwarded, forwarded_for: &forwarded_for })
    }
}

/// What a proxy is told whose connection does not begin as it should.
pub(crate) fn unread(error: ProxyHeaderError) -> Problem {
    let detail = format!("{error}: `proxy_protocol` is on, which the proxy has to speak, too");
    Problem::new(Code::ProxyHeaderInvalid, detail)
}
