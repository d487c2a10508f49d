//! Packets as MQTT's specifications have them, right and wrong.

use bellwire_ingest::mqtt::packet::{
    Accepted, Connect, Departure, Frame, Incoming, Login, Outgoing, PacketError, Publish, Quality,
    Reason, Sender, Subscription, Version,
};
use proptest::prelude::*;

const BYTES_MAX: usize = 1 << 20;

fn frame(bytes: &[u8]) -> Frame<'_> {
    Frame::first(bytes, BYTES_MAX).expect("a packet").expect("all of it")
}

type Read<'a> = Result<Incoming<'a>, Reason>;

fn read(bytes: &[u8], version: Version, sender: Sender) -> Read<'_> {
    Incoming::read(frame(bytes), version, sender).map_err(|error| error.reason)
}

fn connect(body: &[u8]) -> Result<Connect<'_>, (Reason, Version)> {
    Connect::read(Frame { first: 0x10, body, length: 0 })
        .map_err(|(error, version)| (error.reason, version))
}

#[test]
fn a_packet_is_cut_out_where_it_ends() {
    for (bytes, expected) in [
        (&b""[..], Ok(None)),
        (b"\xc0", Ok(None)),
        (b"\xc0\x00", Ok(Some(2))),
        (b"\xc0\x00\xc0\x00", Ok(Some(2))),
        (b"\x30\x03\x00\x01", Ok(None)),
        (b"\x30\x03\x00\x01a", Ok(Some(5))),
        (b"\x30\x80", Ok(None)),
        (b"\x30\xff\xff\xff", Ok(None)),
        (b"\x30\xff\xff\xff\xff", Err(Reason::Malformed)),
        (b"\x30\xff\xff\xff\x80\x01", Err(Reason::Malformed)),
        (b"\x30\x83\x00\x00\x01a", Err(Reason::Malformed)),
        (b"\x30\xff\xff\xff\x7f", Err(Reason::PacketTooLarge)),
        (b"\x00\x00", Err(Reason::Malformed)),
    ] {
        let found = Frame::first(bytes, BYTES_MAX);
        let found = found.map(|frame| frame.map(|frame| frame.length));
        assert_eq!(found.map_err(|error: PacketError| error.reason), expected, "{bytes:x?}");
    }
}

#[test]
fn connect_says_who_comes() {
    let plain = connect(b"\0\x04MQTT\x04\x02\0\x3c\0\x03dev").expect("a client");
    assert_eq!((plain.version, plain.client_id, plain.keep_alive_s), (Version::V311, "dev", 60));
    assert!(plain.clean_start && plain.will.is_none() && plain.username.is_none());

    let full = connect(
        b"\0\x04MQTT\x05\xec\0\x0a\x05\x11\0\0\0\x3c\0\0\x05\x18\0\0\0\x01\0\x01w\0\x03off\0\x01u\0\x02pw",
    )
    .expect("a client");
    let will = full.will.expect("a will");
    assert_eq!((will.topic, will.payload, will.quality), ("w", &b"off"[..], Quality::AtLeastOnce));
    assert!(will.is_retained && !full.clean_start);
    assert_eq!((full.username, full.password), (Some("u"), Some(&b"pw"[..])));
    assert_eq!(full.session_expiry_s, 60);
    // A password alone, which only MQTT 5 allows.
    assert!(connect(b"\0\x04MQTT\x05\x42\0\0\0\0\0\0\x01p").is_ok());
}

#[test]
fn a_connect_that_breaks_a_rule_is_refused_in_its_version() {
    use Reason::{Malformed, Protocol, TopicName, UnsupportedVersion};
    for (body, expected) in [
        (&b""[..], (Malformed, Version::V311)),
        (b"\0\x04MQTT\x03\x02\0\0\0\0", (UnsupportedVersion, Version::V311)),
        (b"\0\x04MQTT\x06\x02\0\0\0\0", (UnsupportedVersion, Version::V311)),
        (b"\0\x06MQIsdp\x03\x02\0\0\0\0", (UnsupportedVersion, Version::V311)),
        (b"\0\x04mqtt\x04\x02\0\0\0\0", (Protocol, Version::V311)),
        (b"\0\x04MQTT\x04\x03\0\0\0\x01a", (Malformed, Version::V311)),
        (b"\0\x04MQTT\x04\x1e\0\0\0\x01a\0\x01t\0\x01p", (Malformed, Version::V311)),
        (b"\0\x04MQTT\x04\x0a\0\0\0\x01a", (Malformed, Version::V311)),
        (b"\0\x04MQTT\x04\x22\0\0\0\x01a", (Malformed, Version::V311)),
        (b"\0\x04MQTT\x04\x42\0\0\0\x01a\0\x01p", (Malformed, Version::V311)),
        (b"\0\x04MQTT\x04\x02\0\0\0\x01a!", (Malformed, Version::V311)),
        (b"\0\x04MQTT\x04\x02\0\0\0\x02\xc3(", (Malformed, Version::V311)),
        (b"\0\x04MQTT\x04\x02\0\0\0\x01\0", (Malformed, Version::V311)),
        (b"\0\x04MQTT\x05\x02\0\0\0\x01a", (Malformed, Version::V5)),
        (b"\0\x04MQTT\x05\x06\0\0\0\0\x01a\0\0\x01+\0\0", (TopicName, Version::V5)),
        (b"\0\x04MQTT\x05\x02\0\0\x03\x21\0\0\0\x01a", (Protocol, Version::V5)),
        (b"\0\x04MQTT\x05\x02\0\0\x06\x21\0\x01\x21\0\x01\0\x01a", (Protocol, Version::V5)),
        (b"\0\x04MQTT\x05\x02\0\0\x02\x24\0\0\x01a", (Protocol, Version::V5)),
        (b"\0\x04MQTT\x05\x02\0\0\x02\x70\0\0\x01a", (Malformed, Version::V5)),
    ] {
        assert_eq!(connect(body).map(|_| ()), Err(expected), "{body:x?}");
    }
}

#[test]
fn a_connection_that_begins_with_something_else_is_refused_at_once() {
    for bytes in [&b"G"[..], b"\x16\x03", b"\xc0", b"\x11"] {
        let refused = Connect::frame(bytes, BYTES_MAX).map_err(|error| error.reason);
        assert_eq!(refused, Err(Reason::Protocol), "{bytes:x?}");
    }
    for bytes in [&b""[..], b"\x10", b"\x10\x0d\0"] {
        assert_eq!(Connect::frame(bytes, BYTES_MAX), Ok(None), "{bytes:x?}");
    }
}

/// Topic, payload, quality and number of a message.
type Said<'a> = (&'a str, &'a [u8], Quality, u16);

#[test]
fn a_message_is_read_in_place() {
    use Quality::{AtLeastOnce, AtMostOnce, ExactlyOnce};
    let publish = |version, bytes| match read(bytes, version, Sender::Client) {
        Ok(Incoming::Publish(Publish { topic, payload, quality, packet_id, .. })) => {
            Ok((topic, payload, quality, packet_id))
        }
        Ok(_) => unreachable!("it is a message"),
        Err(reason) => Err(reason),
    };
    let cases: [(Version, &[u8], Result<Said<'_>, Reason>); 16] = [
        (Version::V311, b"\x30\x05\0\x01t21", Ok(("t", b"21", AtMostOnce, 0))),
        (Version::V311, b"\x32\x07\0\x01t\x01\x0221", Ok(("t", b"21", AtLeastOnce, 258))),
        (Version::V311, b"\x3a\x05\0\x01t\0\x01", Ok(("t", b"", AtLeastOnce, 1))),
        (Version::V311, b"\x34\x05\0\x01t\0\x01", Ok(("t", b"", ExactlyOnce, 1))),
        (Version::V5, b"\x30\x06\0\x01t\x0021", Ok(("t", b"21", AtMostOnce, 0))),
        (Version::V5, b"\x30\x06\0\x01t\x02\x01\x01", Ok(("t", b"", AtMostOnce, 0))),
        (Version::V5, b"\x30\x0b\0\x01t\x07\x26\0\x01k\0\x01v", Ok(("t", b"", AtMostOnce, 0))),
        (Version::V5, b"\x30\x03\0\x01t", Err(Reason::Malformed)),
        (Version::V5, b"\x30\x07\0\x01t\x03\x23\0\x01", Err(Reason::TopicAlias)),
        (Version::V5, b"\x30\x06\0\x01t\x02\x0b\x01", Err(Reason::Protocol)),
        (Version::V311, b"\x30\x03\0\x01#", Err(Reason::TopicName)),
        (Version::V311, b"\x30\x02\0\0", Err(Reason::Protocol)),
        (Version::V311, b"\x32\x05\0\x01t\0\0", Err(Reason::Malformed)),
        (Version::V311, b"\x38\x03\0\x01t", Err(Reason::Malformed)),
        (Version::V311, b"\x36\x05\0\x01t\0\x01", Err(Reason::Malformed)),
        (Version::V311, b"\x30\x03\0\x05t", Err(Reason::Malformed)),
    ];
    for (version, bytes, expected) in cases {
        assert_eq!(publish(version, bytes), expected, "{bytes:x?}");
    }
}

#[test]
fn each_side_sends_its_own_packets() {
    use Incoming::{PingRequest, PingResponse, Subscribe, Unsubscribe};
    let left = |reason| Ok(Incoming::Disconnect(Departure { reason, ..Departure::default() }));
    let (client, broker) = (Sender::Client, Sender::Broker);
    let (subscribe, unsubscribe) =
        (Subscribe { packet_id: 1, filters: 2 }, Unsubscribe { packet_id: 1, filters: 1 });
    let cases: [(&[u8], Version, Sender, Read<'_>); 19] = [
        (b"\xc0\0", Version::V311, client, Ok(PingRequest)),
        (b"\xc1\0", Version::V311, client, Err(Reason::Malformed)),
        (b"\xc0\x01x", Version::V311, client, Err(Reason::Malformed)),
        (b"\xc0\0", Version::V311, broker, Err(Reason::Malformed)),
        (b"\xd0\0", Version::V5, broker, Ok(PingResponse)),
        (b"\xe0\0", Version::V311, client, left(0)),
        (b"\xe0\x01\x04", Version::V311, client, Err(Reason::Malformed)),
        (b"\xe0\x01\x04", Version::V5, client, left(4)),
        (b"\xe0\x02\x8b\0", Version::V5, broker, left(0x8b)),
        (b"\xe0\0", Version::V311, broker, Err(Reason::Malformed)),
        (b"\x82\x0a\0\x01\0\x01a\0\0\x01b\x01", Version::V311, client, Ok(subscribe)),
        (b"\x82\x0b\0\x01\0\0\x01a\0\0\x01b\x01", Version::V5, client, Ok(subscribe)),
        (b"\x80\x06\0\x01\0\x01a\0", Version::V311, client, Err(Reason::Malformed)),
        (b"\x82\x06\0\x01\0\x01a\x03", Version::V311, client, Err(Reason::Malformed)),
        (b"\x82\x02\0\x01", Version::V311, client, Err(Reason::Protocol)),
        (b"\xa2\x05\0\x01\0\x01a", Version::V311, client, Ok(unsubscribe)),
        (b"\x10\0", Version::V5, client, Err(Reason::Protocol)),
        (b"\x40\x02\0\x01", Version::V5, client, Err(Reason::Protocol)),
        (b"\xf0\0", Version::V5, client, Err(Reason::Protocol)),
    ];
    for (bytes, version, sender, expected) in cases {
        assert_eq!(read(bytes, version, sender), expected, "{bytes:x?} {version:?} {sender:?}");
    }
}

#[test]
fn a_broker_says_how_it_takes_a_client() {
    let accepted = |bytes: &'static [u8], version| match read(bytes, version, Sender::Broker) {
        Ok(Incoming::Accepted(accepted)) => Ok(accepted),
        Ok(_) => unreachable!("it is an answer"),
        Err(reason) => Err(reason),
    };
    let plain = Accepted {
        is_session_present: true,
        reason: 0,
        reason_text: None,
        server: None,
        session_expiry_s: None,
        keep_alive_s: None,
        quality_max: 2,
    };
    assert_eq!(accepted(b"\x20\x02\x01\0", Version::V311), Ok(plain));
    assert_eq!(accepted(b"\x20\x02\x02\0", Version::V311), Err(Reason::Malformed));
    // A broker that knows no newer version.
    let old = Accepted { is_session_present: false, reason: 1, ..plain };
    assert_eq!(accepted(b"\x20\x02\0\x01", Version::V5), Ok(old));
    let full = b"\x20\x14\0\x9c\x11\x11\0\0\0\x3c\x13\0\x05\x1c\0\x01s\x1f\0\x01t\x24";
    assert_eq!(accepted(full, Version::V5), Err(Reason::Malformed));
    let full = b"\x20\x15\0\x9c\x12\x11\0\0\0\x3c\x13\0\x05\x1c\0\x01s\x1f\0\x01t\x24\x01";
    let expected = Accepted {
        is_session_present: false,
        reason: 0x9c,
        reason_text: Some("t"),
        server: Some("s"),
        session_expiry_s: Some(60),
        keep_alive_s: Some(5),
        quality_max: 1,
    };
    assert_eq!(accepted(full, Version::V5), Ok(expected));
    let moved = Departure { reason: 0x9d, reason_text: None, server: Some("s") };
    let bytes = b"\xe0\x06\x9d\x04\x1c\0\x01s";
    assert_eq!(read(bytes, Version::V5, Sender::Broker), Ok(Incoming::Disconnect(moved)));
}

#[test]
fn reasons_have_one_number_each() {
    for code in 0..=u8::MAX {
        let reason = Reason::of(code);
        assert!(reason as u8 == code || reason == Reason::Unspecified, "{code:x}");
    }
    for code in 1..=5 {
        assert_eq!(Reason::of_connect(code).connect_code(), code);
    }
    assert_eq!(Reason::of_connect(0x9d), Reason::ServerMoved);
}

#[test]
fn what_is_written_is_what_the_protocol_says() {
    let accept = Outgoing::Accept {
        receive_maximum: 100,
        packet_bytes_max: 0x40000,
        keep_alive_s: None,
        client_id: Some("c1"),
    };
    let acknowledge = |reason| Outgoing::Acknowledge { packet_id: 258, reason };
    let cases: [(Outgoing<'_>, Version, &[u8]); 14] = [
        (accept, Version::V311, b"\x20\x02\0\0"),
        (
            accept,
            Version::V5,
            b"\x20\x1f\0\0\x1c\x11\0\0\0\0\x21\0\x64\x27\0\x04\0\0\x24\x01\x25\x01\x28\0\x29\0\x2a\0\x12\0\x02c1",
        ),
        (Outgoing::Refuse(Reason::BadCredentials), Version::V311, b"\x20\x02\0\x04"),
        (Outgoing::Refuse(Reason::BadCredentials), Version::V5, b"\x20\x03\0\x86\0"),
        (acknowledge(Reason::Success), Version::V5, b"\x40\x02\x01\x02"),
        (acknowledge(Reason::PayloadFormat), Version::V5, b"\x40\x03\x01\x02\x99"),
        (acknowledge(Reason::PayloadFormat), Version::V311, b"\x40\x02\x01\x02"),
        (
            Outgoing::RefuseSubscription { packet_id: 1, filters: 2 },
            Version::V311,
            b"\x90\x04\0\x01\x80\x80",
        ),
        (
            Outgoing::RefuseSubscription { packet_id: 1, filters: 2 },
            Version::V5,
            b"\x90\x05\0\x01\0\x87\x87",
        ),
        (Outgoing::Unsubscribed { packet_id: 1, filters: 1 }, Version::V311, b"\xb0\x02\0\x01"),
        (Outgoing::Unsubscribed { packet_id: 1, filters: 1 }, Version::V5, b"\xb0\x04\0\x01\0\x11"),
        (Outgoing::Disconnect(Reason::ShuttingDown, ""), Version::V5, b"\xe0\x01\x8b"),
        (Outgoing::Disconnect(Reason::ShuttingDown, "x"), Version::V5, b"\xe0\x06\x8b\x04\x1f\0\x01x"),
        (Outgoing::Disconnect(Reason::ShuttingDown, "x"), Version::V311, b"\xe0\0"),
    ];
    for (packet, version, expected) in cases {
        let mut out = Vec::new();
        packet.write(version, &mut out);
        assert_eq!(out, expected, "{packet:?} {version:?}");
    }
}

proptest! {
    #[test]
    fn what_a_client_writes_a_server_reads(
        client_id in "[a-z0-9]{0,300}",
        secret in proptest::option::of(("[a-zé]{1,20}", proptest::collection::vec(any::<u8>(), 0..300))),
        (keep_alive_s, session_expiry_s, is_5) in any::<(u16, u32, bool)>(),
    ) {
        let version = if is_5 { Version::V5 } else { Version::V311 };
        let login = Login {
            client_id: &client_id,
            clean_start: keep_alive_s % 2 == 0,
            session_expiry_s,
            keep_alive_s,
            receive_maximum: 7,
            packet_bytes_max: 65_536,
            username: secret.as_ref().map(|(name, _)| &**name),
            password: secret.as_ref().map(|(_, secret)| &**secret),
        };
        let mut bytes = Vec::new();
        Outgoing::Connect(login).write(version, &mut bytes);
        let connect = Connect::read(frame(&bytes)).expect("a client");
        prop_assert_eq!(connect.version, version);
        prop_assert_eq!(connect.client_id, client_id.as_str());
        prop_assert_eq!(connect.username, login.username);
        prop_assert_eq!(connect.password, login.password);
        prop_assert_eq!(connect.keep_alive_s, keep_alive_s);
        prop_assert_eq!(connect.session_expiry_s, if is_5 { session_expiry_s } else { 0 });

        let subscriptions = [Subscription { filter: client_id.into(), quality: Quality::AtLeastOnce }];
        bytes.clear();
        Outgoing::Subscribe { packet_id: 1, subscriptions: &subscriptions }.write(version, &mut bytes);
        let asked = Incoming::read(frame(&bytes), version, Sender::Client);
        if subscriptions[0].filter.is_empty() {
            prop_assert!(asked.is_err());
        } else {
            prop_assert_eq!(asked, Ok(Incoming::Subscribe { packet_id: 1, filters: 1 }));
        }
    }

    #[test]
    fn no_bytes_are_too_wild(bytes in proptest::collection::vec(any::<u8>(), 0..64), first in any::<u8>()) {
        for version in [Version::V311, Version::V5] {
            for sender in [Sender::Client, Sender::Broker] {
                let framed = Frame { first, body: &bytes, length: 0 };
                let _ = Incoming::read(framed, version, sender);
                let _ = Connect::read(framed);
                let _ = Frame::first(&bytes, BYTES_MAX);
            }
        }
    }
}
