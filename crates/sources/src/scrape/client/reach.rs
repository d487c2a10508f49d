//! Which addresses targets may have that somebody else than the configuration chooses.
//!
//! Whoever answers `http_sd_configs` has this server send requests, from inside of whatever walls it
//! stands behind. Where it asks who somebody is such requests go where webhooks may go; what counts is
//! the address that is connected to, since a name may lead anywhere.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use bellwire_model::{Networks, protected};
use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;
use url::{Host, Url};

/// What may be connected to.
#[derive(Clone, Debug, Default)]
pub(in super::super) enum Reach {
    /// Everything.
    #[default]
    All,
    /// What others than this machine have business with, and these networks.
    Others(Networks),
}

impl Reach {
    fn check(&self, address: IpAddr) -> Result<(), String> {
        match (self, protected(address)) {
            (Self::Others(allowed), Some(what)) if !allowed.contain(address) => Err(format!(
                "lists of targets may not lead to {address}, {what}, unless \
                 `--webhook-networks-allowed {address}` says so"
            )),
            _ => Ok(()),
        }
    }

    /// Checks where a URL leads to, as far as it tells without a name server.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), String> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(address.into()),
            Some(Host::Ipv6(address)) => self.check(address.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }
}

/// Asks name servers, and leaves out what is out of reach.
#[derive(Clone, Debug)]
pub(in super::super) struct Resolver(pub(super) Reach);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.0.clone();
        Box::pin(async move {
            let (mut reached, mut out_of_reach) = (Vec::new(), None);
            for address in tokio::net::lookup_host((name.as_str(), 0)).await? {
                match reach.check(address.ip()) {
                    Ok(()) => reached.push(address),
                    Err(reason) => out_of_reach = Some(reason),
                }
            }
            match out_of_reach.filter(|_| reached.is_empty()) {
                Some(reason) => Err(io::Error::other(reason)),
                None => Ok(reached.into_iter()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lists_lead_where_webhooks_do() {
        let allowed = Networks::read(["127.0.0.2"]).expect("a network");
        let reach = Reach::Others(allowed);
        let check = |reach: &Reach, host: &str| {
            reach
                .check_url(&Url::parse(&format!("http://{host}:9100/metrics")).expect(host))
                .is_ok()
        };
        for host in ["127.0.0.1", "169.254.169.254", "[::ffff:169.254.1.1]", "[fe80::1]", "0"] {
            assert!(!check(&reach, host) && check(&Reach::All, host), "{host}");
        }
        for host in ["127.0.0.2", "10.0.0.1", "192.168.1.1", "[2001:db8::1]"] {
            assert!(check(&reach, host), "{host}");
        }
        let localhost = || "localhost".parse::<Name>().expect("a name");
        let found = Resolver(reach).call(localhost()).await;
        assert!(found.expect_err("it is this machine").to_string().contains("a loopback address"));
        assert!(Resolver(Reach::All).call(localhost()).await.is_ok());
    }
}
