//! Compression of frames, both ways, against an independent use of zlib.

use bellwire_model::limits::{COMPRESSED_BYTES_MIN, WEBSOCKET_MESSAGE_BYTES_MAX};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use serde_json::{Value, json};

use crate::harness::frames::{BINARY, CONTINUATION, FIN, Frame, Frames, PING, RSV1, TEXT, masked};
use crate::harness::{Request, Server, post, request};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// As RFC 7692 has it: raw deflate, flushed, without the last four bytes.
fn deflate(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 100);
    let mut stream = Compress::new(Compression::default(), false);
    let mut rest = payload;
    while !rest.is_empty() || !out.ends_with(&[0, 0, 0xFF, 0xFF]) {
        let before = stream.total_in();
        out.reserve(payload.len() / 2 + 100);
        stream.compress_vec(rest, &mut out, FlushCompress::Sync).expect("it compresses");
        rest = &rest[(stream.total_in() - before) as usize..];
    }
    out.truncate(out.len() - 4);
    out
}

/// A fresh window for each: no context is taken over.
fn inflate(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 * WEBSOCKET_MESSAGE_BYTES_MAX);
    let input = [payload, &[0, 0, 0xFF, 0xFF]].concat();
    let mut stream = Decompress::new(false);
    stream.decompress_vec(&input, &mut out, FlushDecompress::Sync).expect("it inflates");
    assert_eq!(stream.total_in(), input.len() as u64);
    out
}

fn json_of(frame: &Frame) -> Value {
    let payload = match frame.first {
        first if first == FIN | RSV1 | TEXT => inflate(&frame.payload),
        first => {
            assert_eq!(first, FIN | TEXT);
            frame.payload.clone()
        }
    };
    serde_json::from_slice(&payload).expect("JSON")
}

#[test]
fn large_events_are_compressed_for_those_who_agreed_and_are_the_same_for_all() {
    let server = Server::start();
    let address = server.address();
    let mut deflated: Vec<Frames> =
        (0..3).map(|_| Frames::open_with(address, "topic=lab/a", OFFER)).collect();
    let mut plain = Frames::open(address, "topic=lab/a");
    for frames in deflated.iter_mut().chain([&mut plain]) {
        assert_eq!(json_of(&frames.next())["control"], "ready");
    }
    let repeated = "the same again ".repeat(1_000);
    let random: Vec<u8> = {
        let mut random = crate::harness::Random::new(7);
        (0..2_000).map(|_| random.below(256) as u8).collect()
    };
    // Twice, since nothing may refer to an earlier event.
    for _ in 0..2 {
        for (content_type, body, is_compressed) in [
            ("text/plain", &b"short"[..], false),
            ("text/plain", repeated.as_bytes(), true),
            ("text/plain", &repeated.as_bytes()[..COMPRESSED_BYTES_MIN], true),
            // As base64 it gets smaller, by a quarter.
            ("image/png", &random, true),
        ] {
            let headers = [("Content-Type", content_type)];
            let path = "/v1/topics/lab/a";
            request(address, Request { method: "POST", path, headers: &headers, body });
            let expected = json_of(&plain.next());
            for frames in &mut deflated {
                let frame = frames.next();
                assert_eq!(frame.first & RSV1 != 0, is_compressed, "{} bytes", body.len());
                if body.len() > 10_000 {
                    assert!(frame.payload.len() < 1_000, "{} bytes", frame.payload.len());
                }
                assert_eq!(json_of(&frame), expected);
            }
        }
    }
}

#[test]
fn a_client_may_compress_what_it_says_in_any_way() {
    let server = Server::start();
    let mut frames = Frames::open_with(server.address(), "", OFFER);
    frames.next();
    let publish = |id: u64, data: Value| {
        json!({"request": "publish", "id": id, "topic": "lab/a", "data": data}).to_string()
    };
    let large = "again and again ".repeat(10_000);
    let mut id = 0;
    for data in [json!("short"), json!(large), json!("short")] {
        id += 1;
        let payload = deflate(publish(id, data.clone()).as_bytes());
        frames.send(masked(FIN | RSV1 | TEXT, &payload));
        assert!(frames.reply(id)["cursor"].is_string());

        // In fragments, of which the first says that it is compressed.
        id += 1;
        let payload = deflate(publish(id, data.clone()).as_bytes());
        let mut pieces = payload.chunks(payload.len().div_ceil(5)).peekable();
        let mut first = RSV1 | TEXT;
        while let Some(piece) = pieces.next() {
            let fin = if pieces.peek().is_none() { FIN } else { 0 };
            frames.send([masked(fin | first, piece), masked(FIN | PING, b"between")].concat());
            first = CONTINUATION;
        }
        assert!(frames.reply(id)["cursor"].is_string());

        // Not at all.
        id += 1;
        frames.send(masked(FIN | TEXT, publish(id, data).as_bytes()));
        assert!(frames.reply(id)["cursor"].is_string());
    }
    // Stored, and as a last block, which is unusual and allowed.
    id += 1;
    let text = publish(id, json!(1));
    let length = text.len() as u16;
    let stored = |head: u8| {
        [&[head][..], &length.to_le_bytes(), &(!length).to_le_bytes(), text.as_bytes()].concat()
    };
    frames.send(masked(FIN | RSV1 | TEXT, &[&stored(0)[..], &[0]].concat()));
    assert!(frames.reply(id)["cursor"].is_string());
    frames.send(masked(FIN | RSV1 | TEXT, &[&stored(1)[..], &[0]].concat()));
    assert!(frames.reply(id)["cursor"].is_string());
    let kept = post(server.address(), "/v1/topics/lab/a", "1").cursor();
    assert!(!kept.is_empty());
}

#[test]
fn what_does_not_inflate_ends_the_connection() {
    let server = Server::start();
    let bomb = deflate(&vec![b' '; WEBSOCKET_MESSAGE_BYTES_MAX + 1]);
    assert!(bomb.len() < 10_000);
    let largest = deflate(&vec![b' '; WEBSOCKET_MESSAGE_BYTES_MAX]);
    let whole = deflate(br#"{"request":"unsubscribe","id":1,"topics":["x"]}"#);
    let cut = &whole[..whole.len() - 1];
    let half = whole.len() / 2;
    let cases = [
        ("a bomb", masked(FIN | RSV1 | TEXT, &bomb), 1009),
        (
            "a bomb in fragments",
            [masked(RSV1 | TEXT, &bomb[..9]), masked(FIN, &bomb[9..])].concat(),
            1009,
        ),
        ("no deflate", masked(FIN | RSV1 | TEXT, &[0xFF; 10]), 1007),
        ("cut", masked(FIN | RSV1 | TEXT, cut), 1007),
        ("no UTF-8 within", masked(FIN | RSV1 | TEXT, &deflate(b"\"\xff\"")), 1007),
        ("binary", masked(FIN | RSV1 | BINARY, &whole), 1003),
        (
            "RSV1 on a continuation",
            [masked(RSV1 | TEXT, &whole[..half]), masked(FIN | RSV1, &whole[half..])].concat(),
            1002,
        ),
        ("RSV1 on a ping", masked(FIN | RSV1 | PING, b""), 1002),
        ("RSV2", masked(FIN | 0x20 | TEXT, b"{}"), 1002),
    ];
    for (name, bytes, code) in cases {
        let mut frames = Frames::open_with(server.address(), "", OFFER);
        frames.send(bytes);
        let (found, reason) = frames.closed();
        assert_eq!(found, code, "{name}: {reason}");
    }
    // The largest is no bomb: it is refused as what it says, and the connection goes on.
    let mut frames = Frames::open_with(server.address(), "", OFFER);
    frames.next();
    frames.send(masked(FIN | RSV1 | TEXT, &largest));
    assert_eq!(json_of(&frames.next())["error"]["code"], "json_invalid");
    frames.assert_alive();
}
