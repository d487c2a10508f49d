//! Whose an address is, where a stranger's tries are counted: one network of IPv6 is one's own.

use std::net::{IpAddr, Ipv6Addr};

/// Bits of what a subscriber of IPv6 is given at most, as a rule: with as many /64 as anybody could
/// wish for.
const SUBSCRIBER_BITS: u32 = 48;

/// The network that an address is counted as.
pub(crate) fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits() & (u128::MAX << (128 - SUBSCRIBER_BITS)),
        )),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_subscriber_has_is_one() {
        let counted = |text: &str| counted(text.parse().expect("an address")).to_string();
        assert_eq!(counted("2001:db8:7:1::1"), "2001:db8:7::");
        assert_eq!(counted("2001:db8:7:ffff::9"), "2001:db8:7::");
        assert_eq!(counted("2001:db8:8::1"), "2001:db8:8::");
        assert_eq!(counted("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
