//! MQTT's packets: no bytes panic, what a packet announces is never more than is there, and a packet
//! is the same however much follows it.
//!
//! The first byte of an input chooses version and side.

#![no_main]

use bellwire_ingest::mqtt::packet::{Connect, Frame, Incoming, Sender, Version};
use libfuzzer_sys::fuzz_target;

const PACKET_BYTES_MAX: usize = 2_000;

fuzz_target!(|data: &[u8]| {
    let [options, stream @ ..] = data else { return };
    let version = if options & 1 == 0 { Version::V311 } else { Version::V5 };
    let sender = if options & 2 == 0 { Sender::Client } else { Sender::Broker };
    let mut rest = stream;
    while let Ok(Some(frame)) = Frame::first(rest, PACKET_BYTES_MAX) {
        assert!(frame.length <= PACKET_BYTES_MAX && frame.body.len() < frame.length);
        let (alone, after) = rest.split_at(frame.length);
        assert_eq!(Frame::first(alone, PACKET_BYTES_MAX), Ok(Some(frame)));
        assert_eq!(Frame::first(&alone[..frame.length - 1], PACKET_BYTES_MAX), Ok(None));
        if let Ok(connect) = Connect::read(frame) {
            assert!(
                connect.client_id.len() + connect.password.map_or(0, <[u8]>::len) < frame.length
            );
        }
        match Incoming::read(frame, version, sender) {
            Ok(Incoming::Publish(publish)) => {
                assert!(!publish.topic.is_empty() && !publish.topic.contains(['+', '#', '\0']));
                assert!(publish.topic.len() + publish.payload.len() < frame.length);
            }
            Ok(Incoming::Subscribe { filters, .. } | Incoming::Unsubscribe { filters, .. }) => {
                assert!(filters > 0 && usize::from(filters) < frame.length);
            }
            Ok(_) => {}
            Err(error) => assert!(error.reason as u8 >= 0x80),
        }
        rest = after;
    }
});
