//! Networks of IP addresses, as people write them: `10.0.0.0/8`, `::1`, `loopback`.

use std::fmt;
// Addresses alone: there is nothing to do I/O with in `core`.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// Some networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    /// The first of them.
    address: IpAddr,
    prefix_bits: u8,
}

/// What only this machine itself reaches.
const LOOPBACK: [Network; 2] = [
    Network { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix_bits: 8 },
    Network { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix_bits: 128 },
];

/// The text is no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no network: write an address, one with the length of its prefix such as `10.0.0.0/8`, or `loopback`"
)]
pub struct NetworkError(Box<str>);

/// The address that somebody counts for: one subscriber of IPv6 has a whole /64.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Networks {
    /// Those that the texts name.
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NetworkError> {
        let mut networks = Vec::new();
        for text in texts {
            if text == "loopback" {
                networks.extend(LOOPBACK);
            } else {
                let network = Network::parse(text.trim());
                networks.push(network.ok_or_else(|| NetworkError(text.into()))?);
            }
        }
        Ok(Self(networks))
    }

    /// These, and the addresses of this machine that only itself reaches.
    #[must_use]
    pub fn with_loopback(mut self) -> Self {
        self.0.extend(LOOPBACK);
        self
    }

    /// Whether an address is in one of them. One of IPv4 that is written as one of IPv6 is the same.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        let prefix_bits = match prefix {
            None => bits(address),
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().ok().filter(|prefix| *prefix <= bits(address))?
            }
            Some(_) => return None,
        };
        // The rest of an address does not count: `192.0.2.7/24` is the network that it is in.
        let network = match address {
            IpAddr::V4(v4) => {
                Ipv4Addr::from_bits(v4.to_bits() & mask(32, prefix_bits) as u32).into()
            }
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & mask(128, prefix_bits)).into(),
        };
        let mapped = Ipv6Addr::from_bits(0xffff << 32);
        Some(match network {
            IpAddr::V6(v6) if prefix_bits >= 96 && v6.to_bits() >> 32 == mapped.to_bits() >> 32 => {
                Self { address: network.to_canonical(), prefix_bits: prefix_bits - 96 }
            }
            address => Self { address, prefix_bits },
        })
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                address.to_bits() & mask(32, self.prefix_bits) as u32 == network.to_bits()
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                address.to_bits() & mask(128, self.prefix_bits) == network.to_bits()
            }
            _ => false,
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The first bits of an address of so many.
fn mask(bits: u8, prefix_bits: u8) -> u128 {
    let all = u128::MAX >> (128 - bits);
    all ^ all.checked_shr(prefix_bits.into()).unwrap_or(0)
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Network { address, prefix_bits }) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{address}/{prefix_bits}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_networks_that_it_begins_like() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.7/24", "192.0.2.200", "192.0.3.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.7", "::ffff:192.0.2.7", "::ffff:192.0.2.8"),
            ("::ffff:192.0.2.0/120", "192.0.2.7", "192.0.3.7"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "ffff::", "1.2.3.4"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("[::1]", "::1", "::2"),
            ("fe80::/10", "febf::1", "fec0::1"),
            ("loopback", "127.9.9.9", "128.0.0.1"),
            ("loopback", "::1", "::"),
        ] {
            let networks = Networks::read([network]).expect(network);
            assert!(networks.contain(inside.parse().expect(inside)), "{network} {inside}");
            assert!(!networks.contain(outside.parse().expect(outside)), "{network} {outside}");
        }
        assert!(!Networks::default().contain(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in [
            "",
            "localhost",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10/8",
            "1.2.3.4/8/8",
        ] {
            let error = Networks::read([text]).expect_err(text).to_string();
            assert!(error.starts_with(&format!("`{text}` is no network")), "{error}");
        }
    }
}
