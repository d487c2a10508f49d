//! Which addresses webhooks and push services may have.
//!
//! A webhook makes the server send a request, from inside of whatever walls it stands behind. So
//! what only this machine or its cloud may ask is out of reach unless it is allowed: loopback,
//! link-local addresses, and those where clouds hand out credentials. Private networks are where
//! most receivers are, and are reached: whoever runs the server has named them. Push services are named
//! by whoever subscribes, and are reached outside of them alone. What counts is the address that is
//! connected to: a name may lead anywhere.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use bellwire_alerts::config::{Config, Secret};
use bellwire_model::{Networks, is_private, protected};
use hyper_util::client::legacy::connect::dns::Name;
use thiserror::Error;
use tower::Service;
use url::{Host, Url};

/// What webhooks or push services may have for addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// What they may although others may not.
    allowed: Networks,
    whose: Whose,
}

/// Whom requests are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Whose {
    #[default]
    Webhooks,
    PushServices,
}

impl Whose {
    const fn name(self) -> &'static str {
        match self {
            Self::Webhooks => "webhooks",
            Self::PushServices => "push services",
        }
    }

    const fn flag(self) -> &'static str {
        match self {
            Self::Webhooks => "--webhook-networks-allowed",
            Self::PushServices => "--push-networks-allowed",
        }
    }
}

/// An address is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "{} may not reach {address}, {what}, unless `{} {address}` says so",
    whose.name(),
    whose.flag()
)]
pub(crate) struct OutOfReach {
    address: IpAddr,
    what: &'static str,
    whose: Whose,
}

impl Reach {
    /// Of webhooks, which whoever runs the server has named.
    pub fn of_webhooks(allowed: Networks) -> Self {
        Self { allowed, whose: Whose::Webhooks }
    }

    /// Of push services, which whoever subscribes names: networks of the site are not theirs.
    pub fn of_push_services(allowed: Networks) -> Self {
        Self { allowed, whose: Whose::PushServices }
    }

    /// Checks an address that is to be connected to.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), OutOfReach> {
        let (address, whose) = (address.to_canonical(), self.whose);
        let of_site = || {
            let is_out = whose == Whose::PushServices && is_private(address);
            is_out.then_some("an address of a private network")
        };
        match protected(address).or_else(of_site) {
            Some(what) if !self.allowed.contain(address) => {
                Err(OutOfReach { address, what, whose })
            }
            _ => Ok(()),
        }
    }

    /// Checks where a URL leads to, as far as it tells without a name server.
    pub(crate) fn check_url(&self, url: &Url) -> Result<(), OutOfReach> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(address.into()),
            Some(Host::Ipv6(address)) => self.check(address.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    /// What is to be said of webhooks that will not be reached, where their URLs tell.
    pub fn complaints(&self, config: &Config) -> Vec<String> {
        let mut complaints = Vec::new();
        for receiver in &config.receivers {
            for webhook in &receiver.webhooks {
                let Secret::Text(url) = &webhook.url else { continue };
                let Ok(url) = Url::parse(url) else { continue };
                let is_localhost = url.domain().is_some_and(|domain| domain == "localhost");
                let checked = if is_localhost {
                    self.check(Ipv4Addr::LOCALHOST.into())
                } else {
                    self.check_url(&url)
                };
                if let Err(error) = checked {
                    complaints.push(format!("receiver `{}`: {error}", receiver.name));
                }
            }
        }
        complaints
    }
}

/// Asks name servers, and leaves out what is out of reach.
#[derive(Clone, Debug)]
pub(crate) struct Resolver(pub(crate) Reach);

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
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut out_of_reach = None;
            let mut reached = Vec::new();
            for address in found {
                match reach.check(address.ip()) {
                    Ok(()) => reached.push(address),
                    Err(error) => out_of_reach = Some(error),
                }
            }
            match out_of_reach {
                Some(error) if reached.is_empty() => Err(io::Error::other(error)),
                _ => Ok(reached.into_iter()),
            }
        })
    }
}

/// The refusal behind an error of a connection, if it is one.
pub(crate) fn out_of_reach(error: &(dyn std::error::Error + 'static)) -> Option<OutOfReach> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<OutOfReach>() {
            return Some(*found);
        }
        // The source of an I/O error is the source of what it was made of.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<OutOfReach>()) {
            return Some(*found);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_this_machine_may_ask_is_out_of_reach_in_every_written_form() {
        let reach = Reach::default();
        let check = |host: &str| {
            let url = Url::parse(&format!("http://{host}:9000/hook")).expect(host);
            reach.check_url(&url)
        };
        for host in [
            "127.0.0.1",
            "127.1",
            "127.9.9.9",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "127.0.0.1.",
            "0.0.0.0",
            "0",
            "0.1.2.3",
            "[::1]",
            "[::]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b:1::169.254.169.254]",
            "[2002:7f00:1::]",
            "[2002:a9fe:a9fe::1]",
            "169.254.169.254",
            "169.254.1.1",
            "2852039166",
            "0xa9fea9fe",
            "[fe80::1]",
            "[::ffff:169.254.169.254]",
            "[fd00:ec2::254]",
            "[fd20:ce::254]",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "224.0.0.1",
            "255.255.255.255",
            "[ff02::1]",
            "１２７.0.0.1",
        ] {
            assert!(check(host).is_err(), "{host}");
        }
        for host in [
            "192.0.2.7",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "[2001:db8::1]",
            "[fd00::1]",
            "[64:ff9b::192.0.2.7]",
            "[2002:c000:207::]",
            "hooks.example",
        ] {
            assert_eq!(check(host), Ok(()), "{host}");
        }
    }

    #[test]
    fn what_is_allowed_is_reached_and_nothing_else() {
        let allowed = Networks::read(["127.0.0.1", "169.254.0.0/16"]).expect("networks");
        let reach = Reach::of_webhooks(allowed);
        let check = |address: &str| reach.check(address.parse().expect("an address"));
        for address in ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254"] {
            assert_eq!(check(address), Ok(()), "{address}");
        }
        for address in ["127.0.0.2", "::1", "0.0.0.0"] {
            assert!(check(address).is_err(), "{address}");
        }
        let told = check("::1").expect_err("out of reach").to_string();
        assert!(
            told.contains("::1, a loopback address") && told.contains("-allowed ::1"),
            "{told}"
        );
    }

    #[test]
    fn a_push_service_is_none_of_the_site() {
        let reach = Reach::of_push_services(Networks::read(["10.1.0.0/16"]).expect("networks"));
        let check = |address: &str| reach.check(address.parse().expect("an address"));
        for address in ["127.0.0.1", "10.0.0.1", "192.168.1.1", "fd00::1", "::ffff:172.16.0.1"] {
            let told = check(address).expect_err(address).to_string();
            assert!(told.contains("push services may not reach"), "{told}");
            assert!(told.contains("--push-networks-allowed"), "{told}");
        }
        for address in ["10.1.2.3", "192.0.2.7", "2001:db8::1"] {
            assert_eq!(check(address), Ok(()), "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_leads_no_further_than_an_address() {
        let name = || "localhost".parse::<Name>().expect("a name");
        let refused = Resolver(Reach::default()).call(name()).await.expect_err("out of reach");
        assert!(out_of_reach(&refused).is_some(), "{refused}");
        let allowed = Networks::read(["loopback"]).expect("a network");
        let found = Resolver(Reach::of_webhooks(allowed)).call(name()).await.expect("found");
        assert!(found.count() > 0);
    }
}
