//! Clients that take all they can get: they harm nobody but themselves.

use std::io::Read;
use std::net::{Shutdown, SocketAddr};

use bellwire_model::limits::{WEBSOCKET_HELD_BYTES_MAX, WEBSOCKET_MESSAGE_BYTES_MAX};
use serde_json::{Value, json};

use crate::harness::frames::{
    CLOSE, CONTINUATION, FIN, Frames, PING, PONG, TEXT, UPGRADE, masked, text,
};
use crate::harness::{Raw, Server, WebSocket, get, post};

/// Someone who is served whatever others do.
struct Witness(WebSocket);

impl Witness {
    fn new(address: SocketAddr) -> Self {
        let mut socket = WebSocket::open(address, "topic=witness");
        socket.until_ready(&Value::Null);
        Self(socket)
    }

    #[track_caller]
    fn is_served(&mut self) {
        let cursor = self.0.publish("witness", json!("I am served"));
        assert_eq!(self.0.events(1)[0]["cursor"], json!(cursor));
    }
}

fn publish(id: u64, topic: &str, data: &str) -> Vec<u8> {
    text(json!({"request": "publish", "id": id, "topic": topic, "data": data}).to_string())
}

/// A close without a word, as of a process that is killed while it has something unread.
fn reset(raw: Raw) {
    let socket = raw.into_socket();
    let at_once = Some(std::time::Duration::ZERO);
    rustix::net::sockopt::set_socket_linger(&socket, at_once).expect("an option of TCP");
}

#[test]
fn ten_thousand_requests_without_reading_are_all_answered_in_the_end() {
    const REQUESTS: u64 = 10_000;
    const RESIDENT_BYTES_MAX: u64 = 400 * 1024 * 1024;
    let server = Server::start();
    let address = server.address();
    let mut witness = Witness::new(address);
    let Frames { mut raw, .. } = Frames::open(address, "topic=flood");
    let mut sender = Raw::over(raw.socket().try_clone().expect("a second handle"));
    let sending = std::thread::spawn(move || {
        for id in 0..REQUESTS {
            sender.send(publish(id, "flood", &"x".repeat(1_000)));
        }
    });
    // It is held up: more than this has to wait for somebody who reads.
    for _ in 0..20 {
        witness.is_served();
    }
    assert!(server.resident_bytes() < RESIDENT_BYTES_MAX);
    let head = String::new();
    let mut frames = Frames { raw, head };
    let (mut replies, mut events) = (0, 0);
    while replies < REQUESTS || events < REQUESTS {
        let frame = frames.next();
        if frame.first == FIN | PING {
            continue;
        }
        let item = frame.json();
        if let Some(id) = item["reply"].as_u64() {
            assert_eq!(id, replies, "{item}");
            if item.get("error").is_some() {
                // Also that is an answer, where the journal has no room.
                assert_eq!(item["error"]["code"], "publishers_busy");
                events += 1;
            }
            replies += 1;
        } else if item.get("topic").is_some() {
            events += 1;
        }
    }
    sending.join().expect("all was sent");
    raw = frames.raw;
    drop(raw);
    assert!(server.resident_bytes() < RESIDENT_BYTES_MAX);
    server.wait_for_streams(1);
}

#[test]
fn who_never_reads_is_cut_off_and_held_up_meanwhile() {
    let server = Server::start_with(&["--stall-timeout", "600ms", "--heartbeat-interval", "200ms"]);
    let address = server.address();
    let mut frames = Frames::open(address, "topic=flood");
    let flood = publish(1, "flood", &"x".repeat(60_000)).repeat(10);
    // It is not read from for ever: at some time nothing more can be sent, up to the end.
    let is_cut_off = (0..10_000).any(|_| {
        let sent = frames.raw.try_send(&flood);
        sent.is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
    });
    assert!(is_cut_off, "everything was read");
    Witness::new(address).is_served();
    server.wait_for_streams(0);
    assert_eq!(server.figure("bellwire_streams_stalled_total"), 1);
}

#[test]
fn who_reads_a_byte_at_a_time_gets_it_all() {
    let server = Server::start();
    let address = server.address();
    let mut witness = Witness::new(address);
    let raw = Raw::connect(address);
    rustix::net::sockopt::set_socket_recv_buffer_size(raw.socket(), 4_096).expect("an option");
    let mut frames = Frames::over(raw, "topic=slow", "");
    let count = 300;
    for n in 0..count {
        frames.send(publish(n, "slow", &"x".repeat(300)));
    }
    witness.is_served();
    let (mut replies, mut events) = (0, 0);
    while replies < count || events < count {
        let mut payload = Vec::new();
        let mut byte = [0];
        // The frame's head, then what it announces; one byte a call.
        for _ in 0..2 {
            frames.raw.try_read(&mut byte).expect("a byte");
            payload.push(byte[0]);
        }
        let length = match payload[1] {
            126 => {
                let mut length = [0; 2];
                frames.raw.try_read(&mut length).expect("a length");
                u16::from_be_bytes(length) as usize
            }
            short => short as usize,
        };
        payload.clear();
        for _ in 0..length {
            frames.raw.try_read(&mut byte).expect("a byte");
            payload.push(byte[0]);
        }
        let item: Value = serde_json::from_slice(&payload).expect("JSON");
        replies += u64::from(item.get("reply").is_some());
        events += u64::from(item.get("topic").is_some());
    }
    witness.is_served();
}

#[test]
fn who_leaves_without_a_word_leaves_nothing_behind() {
    let server = Server::start();
    let address = server.address();
    let mut witness = Witness::new(address);
    let upgrade = format!("GET /v1/events?topic=lab/* HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\n");
    let subscribe =
        text(r#"{"request":"subscribe","id":1,"topics":["a","b/**"],"after":"earliest"}"#);
    let large = vec![b' '; 100_000];
    let cut = &text(&large)[..50_000];
    for index in 0..600 {
        let mut raw = Raw::connect(address);
        raw.send(&upgrade);
        match index % 6 {
            // Without waiting for anything.
            0 => {}
            1 => raw.send(&subscribe),
            2 => raw.send(publish(1, "lab/a", "1")),
            // In the middle of a message.
            3 => raw.send(cut),
            4 => {
                raw.until("\r\n\r\n");
                raw.send(&subscribe);
            }
            _ => {
                raw.until("\r\n\r\n");
                raw.close_half();
            }
        }
        match index % 3 {
            0 => reset(raw),
            1 => drop(raw),
            _ => {
                let _ = raw.socket().shutdown(Shutdown::Both);
            }
        }
        if index % 100 == 0 {
            witness.is_served();
        }
    }
    server.wait_for_streams(1);
    witness.is_served();
    let topics = get(address, "/v1/topics").json();
    for topic in topics["topics"].as_array().expect("topics") {
        let subscribers = u64::from(topic["topic"] == "witness");
        assert_eq!(topic["subscribers"], subscribers, "{topic}");
    }
}

/// Someone who says something small, in two parts that are far apart.
struct Neighbour(Frames);

impl Neighbour {
    const PARTS: [&[u8]; 2] = [br#"{"request":"subscribe","#, br#""id":1,"topics":["small"]}"#];

    fn begin(address: SocketAddr) -> Self {
        let mut frames = Frames::open(address, "");
        frames.send(masked(TEXT, Self::PARTS[0]));
        frames.assert_alive();
        Self(frames)
    }

    fn finish(self) {
        let Self(mut frames) = self;
        frames.send(masked(FIN | CONTINUATION, Self::PARTS[1]));
        let reply = loop {
            let frame = frames.next();
            if frame.first == FIN | TEXT && frame.json().get("reply").is_some() {
                break frame.json();
            }
        };
        assert_eq!(reply, json!({"reply": 1}), "whoever holds little pays for nobody");
    }
}

#[test]
fn half_finished_messages_are_bounded_together_at_the_cost_of_those_who_hoard() {
    let server = Server::start_with(&["--shards", "1"]);
    let address = server.address();
    let mut witness = Witness::new(address);
    let neighbours: Vec<Neighbour> = (0..3).map(|_| Neighbour::begin(address)).collect();
    let begun = masked(TEXT, &vec![b' '; WEBSOCKET_MESSAGE_BYTES_MAX / 2]);
    let rest = masked(CONTINUATION, &vec![b' '; WEBSOCKET_MESSAGE_BYTES_MAX / 2 - 100]);
    let holders_max = WEBSOCKET_HELD_BYTES_MAX / (WEBSOCKET_MESSAGE_BYTES_MAX - 100);
    let mut holders: Vec<Frames> = (0..holders_max + 10)
        .map(|_| {
            let mut frames = Frames::open(address, "");
            frames.send(&begun);
            frames
        })
        .collect();
    // When it is too much, those have to come back later who hold much.
    for frames in &mut holders {
        frames.send(&rest);
    }
    let mut refused = 0;
    let mut kept = Vec::new();
    for mut frames in holders {
        let _ = frames.raw.try_send(masked(FIN | PING, b"?"));
        let close = loop {
            let frame = frames.next();
            match frame.first {
                first if first == FIN | CLOSE => break Some(frame.close()),
                first if first == FIN | PONG => break None,
                _ => {}
            }
        };
        if let Some((code, reason)) = close {
            assert_eq!(code, 1013, "{reason}");
            refused += 1;
        } else {
            kept.push(frames);
        }
        if refused % 4 == 1 {
            witness.is_served();
        }
    }
    assert!(refused > 0, "all {} were kept", kept.len());
    assert!(kept.len() >= holders_max / 2, "only {} were kept", kept.len());
    let held = server.figure("bellwire_websockets_held_bytes");
    assert!((1..=WEBSOCKET_HELD_BYTES_MAX as u64).contains(&held), "{held} bytes are held");
    neighbours.into_iter().for_each(Neighbour::finish);
    // Those who were kept may go on, and what they held is free again.
    for frames in &mut kept {
        frames.send(masked(FIN | CONTINUATION, b"..."));
        let refusal = loop {
            let frame = frames.next();
            if frame.first == FIN | TEXT && frame.json().get("error").is_some() {
                break frame.json();
            }
        };
        assert_eq!(refusal["error"]["code"], "json_invalid");
    }
    for _ in 0..holders_max / 2 {
        let mut frames = Frames::open(address, "");
        frames.send(&begun);
        frames.assert_alive();
    }
    witness.is_served();
}

#[test]
fn who_sends_without_end_harms_nobody() {
    let server = Server::start_with(&["--shards", "1"]);
    let address = server.address();
    let mut witness = Witness::new(address);
    let floods = [
        masked(FIN | PING, b"0123456789").repeat(1_000),
        masked(FIN | PONG, b"").repeat(1_000),
        text("{}").repeat(1_000),
        text(r#"{"request":"subscribe","topics":["a/b/*"]}{"#).repeat(100),
        [
            text(r#"{"request":"subscribe","topics":["x/*"],"after":"earliest"}"#),
            text(r#"{"request":"unsubscribe","topics":["x/*"]}"#),
        ]
        .concat()
        .repeat(100),
    ];
    let threads: Vec<_> = floods
        .into_iter()
        .map(|flood| {
            let Frames { raw, .. } = Frames::open(address, "topic=lab/a");
            let mut reader = raw.socket().try_clone().expect("a second handle");
            let reading = std::thread::spawn(move || {
                let mut buffer = vec![0; 65_536];
                while reader.read(&mut buffer).is_ok_and(|read| read > 0) {}
            });
            let sending = std::thread::spawn(move || {
                let mut raw = raw;
                for _ in 0..100 {
                    if raw.try_send(&flood).is_err() {
                        break;
                    }
                }
                let _ = raw.socket().shutdown(Shutdown::Both);
            });
            (reading, sending)
        })
        .collect();
    for _ in 0..50 {
        witness.is_served();
    }
    for (reading, sending) in threads {
        sending.join().expect("no panic");
        reading.join().expect("no panic");
    }
    server.wait_for_streams(1);
    witness.is_served();
    assert!(post(address, "/v1/topics/lab/a", "1").status == 201);
}
