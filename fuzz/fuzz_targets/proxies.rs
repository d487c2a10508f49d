//! What proxies say of whom they speak for: no bytes panic, a header of the PROXY protocol is the same
//! however it is cut, and nobody who is not trusted is believed.
//!
//! An input is read as both, and as both headers.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use bellwire_model::Networks;
use bellwire_wire::forwarded::{self, Forwarding};
use bellwire_wire::proxy_protocol::{self, Step};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(Step::Whole(sender, bytes)) = proxy_protocol::read(data) {
        assert_eq!(proxy_protocol::read(&data[..bytes]), Ok(Step::Whole(sender, bytes)));
        for end in 0..bytes {
            let Ok(Step::More(more)) = proxy_protocol::read(&data[..end]) else { panic!("{end}") };
            assert!(end + more <= bytes);
        }
    }
    let trusted = Networks::read(["10.0.0.0/8"]).expect("a network");
    let [proxy, other] = [10, 192].map(|first| IpAddr::V4(Ipv4Addr::new(first, 0, 2, 1)));
    let values = [data];
    let by_standard = Forwarding { forwarded: &values, forwarded_for: &[] };
    let by_custom = Forwarding { forwarded: &[], forwarded_for: &values };
    for said in [by_standard, by_custom] {
        assert_eq!(forwarded::client(other, &trusted, said), Ok(other));
        let _ = forwarded::client(proxy, &trusted, said);
    }
    // What stands left of an address that is no proxy's is never come to.
    let values = [data, b"192.0.2.7"];
    let said = Forwarding { forwarded: &[], forwarded_for: &values };
    let client = forwarded::client(proxy, &trusted, said);
    assert_eq!(client, Ok(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))));
});
