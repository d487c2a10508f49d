//! Handshakes and frames that are not in order: each is refused with what is wrong with it.

use std::net::SocketAddr;

use bellwire_model::limits::{WEBSOCKET_FRAGMENTS_MAX, WEBSOCKET_MESSAGE_BYTES_MAX};

use crate::harness::frames::{
    BINARY, CLOSE, CONTINUATION, FIN, Frames, PING, PONG, RSV1, TEXT, masked, text,
};
use crate::harness::{Answer, Raw, Request, Server, get, request};

type Headers<'a> = &'a [(&'a str, &'a str)];

const KEY: (&str, &str) = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");

/// A handshake with some of its headers replaced, or left out where they are empty.
fn shake(address: SocketAddr, changes: Headers<'_>) -> Answer {
    let usual =
        [("Upgrade", "websocket"), ("Connection", "Upgrade"), KEY, ("Sec-WebSocket-Version", "13")];
    let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
    let kept = usual.into_iter().filter(|(name, _)| !is_changed(name));
    let headers: Vec<_> =
        kept.chain(changes.iter().copied()).filter(|(_, value)| !value.is_empty()).collect();
    let path = "/v1/events?topic=lab/a";
    // Of a `101` only the head is read: its body is the WebSocket.
    request(address, Request { method: "GET", path, headers: &headers, body: b"" })
}

#[test]
fn each_wrong_handshake_has_its_problem() {
    let server = Server::start();
    let cases: [(Headers<'_>, u16, &str); 11] = [
        (&[("Sec-WebSocket-Key", "")], 400, "parameter_invalid"),
        (&[("Sec-WebSocket-Key", "c2hvcnQ=")], 400, "parameter_invalid"),
        (&[KEY, KEY], 400, "parameter_invalid"),
        (&[("Connection", "keep-alive")], 400, "parameter_invalid"),
        (&[("Connection", "")], 400, "parameter_invalid"),
        (&[("Sec-WebSocket-Version", "")], 426, "version_unsupported"),
        (&[("Sec-WebSocket-Version", "8")], 426, "version_unsupported"),
        (&[("Sec-WebSocket-Version", "14")], 426, "version_unsupported"),
        (&[("Sec-WebSocket-Protocol", "mqtt, bellwire.v2.json")], 400, "subprotocol_unsupported"),
        (&[("Origin", "https://elsewhere.example")], 403, "origin_forbidden"),
        (&[("Origin", "null")], 403, "origin_forbidden"),
    ];
    for (changes, status, code) in cases {
        let answer = shake(server.address(), changes);
        assert_eq!(answer.status, status, "{changes:?}: {}", answer.text());
        assert_eq!(answer.json()["code"], code, "{changes:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{changes:?}");
        let version = (status == 426).then_some("13");
        assert_eq!(answer.header("sec-websocket-version"), version, "{changes:?}");
    }
    let wrong_urls = [
        ("topic=a//b", "topic_invalid"),
        ("topic=a&after=yesterday", "cursor_invalid"),
        ("topic=a&format=raw", "parameter_invalid"),
        ("topics=a", "parameter_invalid"),
    ];
    for (query, code) in wrong_urls {
        let mut raw = Raw::connect(server.address());
        let upgrade = crate::harness::frames::UPGRADE;
        raw.send(format!("GET /v1/events?{query} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n"));
        let answer = raw.answer();
        assert_eq!((answer.status, &answer.json()["code"]), (400, &code.into()), "{query}");
        // HTTP goes on.
        raw.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(raw.answer().status, 200, "{query}");
    }
}

#[test]
fn a_handshake_is_answered_with_what_was_agreed() {
    let server = Server::start_with(&["--allowed-origins", "https://friend.example"]);
    let address = server.address();
    let accept = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let deflate = "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; \
                   client_no_context_takeover\r\n";
    let own = format!("Origin: http://{address}\r\n");
    let cases = [
        ("", &[accept][..]),
        ("Sec-WebSocket-Protocol: bellwire.v1.json\r\n", &["protocol: bellwire.v1.json\r\n"]),
        (
            "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: bellwire.v1.msgpack\r\n",
            &["protocol: bellwire.v1.msgpack\r\n"],
        ),
        ("Sec-WebSocket-Extensions: permessage-deflate\r\n", &[deflate]),
        (
            "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10, \
             permessage-deflate; client_max_window_bits\r\n",
            &[deflate],
        ),
        ("Origin: https://friend.example\r\n", &[accept]),
    ];
    for (headers, expected) in cases {
        let mut frames = Frames::open_with(address, "topic=lab/a", headers);
        let head = frames.head.to_ascii_lowercase();
        assert!(head.contains("upgrade: websocket\r\nconnection: upgrade\r\n"), "{head}");
        for line in expected {
            assert!(head.contains(&line.to_ascii_lowercase()), "{headers}: {head}");
        }
        for (name, asked) in [("protocol", "Protocol"), ("extensions", "Extensions")] {
            let is_answered = head.contains(&format!("sec-websocket-{name}:"));
            assert_eq!(is_answered, headers.contains(asked), "{headers}: {head}");
        }
        frames.next();
        frames.assert_alive();
    }
    // A page of the server's own needs no permission, whatever else may come.
    let mut raw = Raw::connect(address);
    let upgrade = crate::harness::frames::UPGRADE;
    raw.send(format!("GET /v1/events HTTP/1.1\r\nHost: {address}\r\n{own}{upgrade}\r\n"));
    assert!(raw.until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
}

#[test]
fn a_handshake_may_follow_other_requests_and_bring_frames_along() {
    let server = Server::start();
    let mut raw = Raw::connect(server.address());
    for _ in 0..3 {
        raw.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(raw.answer().status, 200);
    }
    let mut frames = Frames::over(raw, "topic=lab/a", "");
    assert_eq!(frames.next().json()["control"], "ready");
    frames.assert_alive();

    // Some clients do not wait for the answer before they talk.
    for split in [0, 1, 7] {
        let hello = masked(FIN | PING, b"hello");
        let (early, late) = hello.split_at(hello.len() - split);
        let mut raw = Raw::connect(server.address());
        let upgrade = crate::harness::frames::UPGRADE;
        let head = format!("GET /v1/events HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n");
        raw.send([head.as_bytes(), early].concat());
        let head = raw.until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw.send(late);
        let mut frames = Frames { raw, head };
        let mut pongs = std::iter::from_fn(|| Some(frames.next()));
        assert!(pongs.any(|frame| frame.first == FIN | PONG && frame.payload == b"hello"));
    }
}

#[test]
fn old_http_has_no_upgrades() {
    let server = Server::start();
    let mut raw = Raw::connect(server.address());
    let upgrade = crate::harness::frames::UPGRADE;
    raw.send(format!("GET /v1/events?topic=lab/a HTTP/1.0\r\n{upgrade}\r\n"));
    let head = raw.until("\r\n\r\n");
    assert!(head.contains(" 200 OK\r\n") && head.contains("text/event-stream"), "{head}");
}

/// A close frame with this code and reason.
fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    masked(FIN | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// Bytes of a client, and the code and a part of the reason that they are answered with.
fn violations() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let valid = br#"{"request":"unsubscribe","topics":["x"]}"#;
    let long = [0_u8; 126];
    let head = |bytes: &[u8]| bytes.to_vec();
    let unmasked = [&[FIN | TEXT, valid.len() as u8][..], valid].concat();
    let fragments = |frames: &[(u8, &[u8])]| {
        frames.iter().flat_map(|(first, payload)| masked(*first, payload)).collect::<Vec<_>>()
    };
    let mut cases = vec![
        ("unmasked", unmasked, 1002, "not masked"),
        ("unmasked ping", head(&[FIN | PING, 0]), 1002, "not masked"),
        ("RSV1 without an extension", masked(FIN | RSV1 | TEXT, valid), 1002, "reserved"),
        ("RSV2", masked(FIN | 0x20 | TEXT, valid), 1002, "reserved"),
        ("RSV3", masked(FIN | 0x10 | TEXT, valid), 1002, "reserved"),
        ("RSV1 on a ping", masked(FIN | RSV1 | PING, b""), 1002, "reserved"),
        ("a fragmented ping", masked(PING, b"x"), 1002, "fragmented"),
        ("a fragmented close", masked(CLOSE, b""), 1002, "fragmented"),
        ("a long ping", masked(FIN | PING, &long), 1002, "125"),
        ("a long pong", masked(FIN | PONG, &long), 1002, "125"),
        ("a long close", masked(FIN | CLOSE, &long), 1002, "125"),
        ("a short length in 16 bits", head(&[0x81, 0xFE, 0, 125, 0, 0, 0, 0]), 1002, "few bytes"),
        (
            "a 16 bit length in 64 bits",
            head(&[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0]),
            1002,
            "few bytes",
        ),
        (
            "the highest bit of a length",
            head(&[0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            1002,
            "highest bit",
        ),
        (
            "63 bits of length",
            head(&[0x81, 0xFF, 0x7F, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]),
            1009,
            "at most",
        ),
        ("a continuation of nothing", masked(FIN, b"x"), 1002, "nothing to continue"),
        (
            "a continuation behind a whole message",
            fragments(&[(FIN | TEXT, valid), (FIN, b"x")]),
            1002,
            "nothing to continue",
        ),
        ("interleaved", fragments(&[(TEXT, b"{"), (FIN | TEXT, b"}")]), 1002, "begins before"),
        ("interleaved binary", fragments(&[(TEXT, b"{"), (BINARY, b"}")]), 1002, "begins before"),
        ("no UTF-8", text(b"\"\xff\""), 1007, "UTF-8"),
        ("an overlong character", text(b"\xc0\xaf"), 1007, "UTF-8"),
        ("a surrogate", text(b"\xed\xa0\x80"), 1007, "UTF-8"),
        ("a cut character at the end", text(b"\xe2\x82"), 1007, "UTF-8"),
        (
            "a character that goes on wrongly in another fragment",
            fragments(&[(TEXT, b"\xe2\x82"), (CONTINUATION, b"x")]),
            1007,
            "UTF-8",
        ),
        // Said at once, though the message has not ended.
        ("no UTF-8 in a first fragment", fragments(&[(TEXT, b"{\xff")]), 1007, "UTF-8"),
        ("binary on a JSON connection", masked(FIN | BINARY, b"\x80"), 1003, "text"),
        ("half a close code", masked(FIN | CLOSE, b"\x03"), 1002, "one byte"),
        ("a reason that is no UTF-8", close(1000, b"\xff"), 1007, "reason"),
    ];
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        cases.push(("an unknown opcode", masked(FIN | opcode, b""), 1002, "opcode"));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        cases.push(("a code that must not be sent", close(code, b""), 1002, "must not be sent"));
    }
    cases
}

#[test]
fn each_broken_frame_ends_its_connection_with_a_code_and_a_reason() {
    let server = Server::start();
    let address = server.address();
    for (name, bytes, code, reason) in violations() {
        // At once, byte by byte, and behind something that is in order.
        let whole = [bytes.clone()].to_vec();
        let bytewise = bytes.iter().map(|byte| vec![*byte]).collect();
        let behind = [[masked(FIN | PING, b""), bytes.clone()].concat()].to_vec();
        for pieces in [whole, bytewise, behind] {
            let mut frames = Frames::open(address, "topic=lab/a");
            for piece in pieces {
                // It may have been refused before its end.
                let _ = frames.raw.try_send(piece);
            }
            let (found, said) = frames.closed();
            assert_eq!(found, code, "{name}: {said}");
            assert!(said.contains(reason), "{name}: {said}");
        }
    }
    assert_eq!(get(address, "/healthz").status, 200);
}

#[test]
fn a_message_has_bounds_however_it_comes() {
    let server = Server::start();
    let address = server.address();
    let too_large = WEBSOCKET_MESSAGE_BYTES_MAX + 1;

    // Announced: nothing of it needs to come.
    let mut frames = Frames::open(address, "");
    let announced = (too_large as u64).to_be_bytes();
    frames.send([&[FIN | TEXT, 0xFF][..], &announced, &[0; 4]].concat());
    assert_eq!(frames.closed().0, 1009);

    // In fragments.
    let mut frames = Frames::open(address, "");
    frames.send(masked(TEXT, &vec![b' '; WEBSOCKET_MESSAGE_BYTES_MAX]));
    frames.send(masked(FIN | CONTINUATION, b" "));
    assert_eq!(frames.closed().0, 1009);

    // In very many that are empty.
    let mut frames = Frames::open(address, "");
    let empty = masked(CONTINUATION, b"").repeat(WEBSOCKET_FRAGMENTS_MAX as usize);
    let _ = frames.raw.try_send([masked(TEXT, b"{"), empty].concat());
    assert_eq!(frames.closed().0, 1009);

    // The largest is taken.
    let mut frames = Frames::open(address, "");
    let mut largest = br#"{"request":"unsubscribe","id":1,"topics":["x"]}"#.to_vec();
    largest.resize(WEBSOCKET_MESSAGE_BYTES_MAX, b' ');
    frames.send(text(largest));
    assert_eq!(frames.reply(1)["error"]["code"], "parameter_invalid");
}

#[test]
fn who_closes_gets_the_code_back_and_an_end_in_order() {
    let server = Server::start();
    let address = server.address();
    let codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
    for code in codes.into_iter().chain([3000, 3999, 4000, 4999]) {
        let mut frames = Frames::open(address, "topic=lab/a");
        frames.send(close(code, "reasons \u{2026}".as_bytes()));
        assert_eq!(frames.closed().0, code);
    }
    let longest = "x".repeat(123);
    for bytes in [masked(FIN | CLOSE, b""), close(1000, longest.as_bytes())] {
        let mut frames = Frames::open(address, "topic=lab/a");
        frames.send(bytes);
        assert_eq!(frames.closed().0, 1000);
    }
    // What follows a close frame does not count, whatever it is.
    let mut frames = Frames::open(address, "topic=lab/a");
    let garbage = [close(1000, b""), vec![0xFF; 100], text("{}"), close(1002, b"")].concat();
    frames.send(garbage);
    assert_eq!(frames.closed(), (1000, String::new()));
    // Nor must the client wait for the answer before it ends its half.
    let mut frames = Frames::open(address, "topic=lab/a");
    frames.send(close(1000, b""));
    frames.raw.close_half();
    assert_eq!(frames.closed().0, 1000);
}
