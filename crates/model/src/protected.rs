//! Addresses that others than this machine's programs have no business with: whoever chooses where a
//! request of the server goes is not to reach them.

// Addresses alone: there is nothing to do I/O with in `core`.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is that others than this machine's programs have no business with.
pub fn protected(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => protected_v4(address),
        IpAddr::V6(address) => protected_v6(address),
    }
}

/// Whether an address is of a network that is not a part of the Internet: a site's own, or one between
/// a provider and its customers.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => {
            let is_site_local = address.segments()[0] & 0xffc0 == 0xfec0;
            let is_own = address.is_unique_local() || is_site_local;
            is_own || embedded(address).is_some_and(is_private_v4)
        }
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_private() || (first == 100 && second & 0xc0 == 64)
}

fn protected_v4(address: Ipv4Addr) -> Option<&'static str> {
    // Alibaba's, Oracle's and Azure's; the others' are link-local.
    const METADATA: [Ipv4Addr; 3] = [
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(192, 0, 0, 192),
        Ipv4Addr::new(168, 63, 129, 16),
    ];
    match address {
        _ if address.is_loopback() => Some("a loopback address"),
        _ if address.is_link_local() => Some("a link-local address"),
        // The system takes all of them for this machine.
        _ if address.octets()[0] == 0 => Some("an address of this machine"),
        _ if address.is_multicast() || address.is_broadcast() => Some("an address of many"),
        _ if METADATA.contains(&address) => Some("an address of a cloud's metadata"),
        _ => None,
    }
}

fn protected_v6(address: Ipv6Addr) -> Option<&'static str> {
    // Amazon's and Google's.
    const METADATA: [Ipv6Addr; 2] = [
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    ];
    match address {
        _ if address.is_loopback() => Some("a loopback address"),
        _ if address.is_unspecified() => Some("an address of this machine"),
        _ if address.is_unicast_link_local() => Some("a link-local address"),
        _ if address.is_multicast() => Some("an address of many"),
        _ if METADATA.contains(&address) => Some("an address of a cloud's metadata"),
        _ => embedded(address).and_then(protected_v4),
    }
}

/// The address of IPv4 that a gateway would make of it.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    match address.segments() {
        // `::a.b.c.d`, and NAT64 with the common prefix and with one of the site's own.
        [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => {
            Some(Ipv4Addr::from_bits(bits as u32))
        }
        // 6to4.
        [0x2002, ..] => Some(Ipv4Addr::from_bits((bits >> 80) as u32)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_is_so_in_every_written_form() {
        let is_private = |text: &str| is_private(text.parse().expect(text));
        for text in [
            "10.0.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "fc00::1",
            "fd00::1",
            "fec0::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:c0a8:101::1",
        ] {
            assert!(is_private(text), "{text}");
        }
        for text in ["172.32.0.1", "100.128.0.1", "192.0.2.7", "2001:db8::1", "64:ff9b::192.0.2.7"]
        {
            assert!(!is_private(text), "{text}");
        }
    }
}
