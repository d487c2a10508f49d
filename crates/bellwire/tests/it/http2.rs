//! HTTP/2, with TLS and without: the same API, and many streams on one connection.

use std::net::SocketAddr;

use serde_json::json;

use bellwire_wire::ws::{self, CloseCode, Opcode, Received};

use crate::harness::{Authority, Http2, Http2Stream, Raw, Request, Server, get, post};

type Headers<'a> = &'a [(&'a str, &'a str)];

const ACCEPT_JSON: (&str, &str) = ("accept", "application/json");

fn figure(address: SocketAddr, name: &str) -> u64 {
    let metrics = get(address, "/metrics");
    let line = metrics.text().lines().find(|line| line.split(' ').next() == Some(name));
    let value = line.and_then(|line| line.split(' ').nth(1)?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name}: {}", metrics.text()))
}

/// What has ended is noticed a moment later.
#[track_caller]
fn wait_for_streams(client: &Http2, address: SocketAddr, count: u64) {
    let reached = client
        .meanwhile(move || (0..10_000).any(|_| figure(address, "bellwire_streams_open") == count));
    assert!(reached, "{} streams are open", figure(address, "bellwire_streams_open"));
}

fn open(client: &mut Http2, query: &str) -> Http2Stream {
    let mut stream = client.stream(query, &[]);
    client.next_of(&mut stream, "ready");
    stream
}

/// In one request: a client that reads nothing meanwhile answers no ping either.
fn publish_bulk(address: SocketAddr, events: usize, bytes: usize) {
    let text = "x".repeat(bytes);
    let line = |n| format!("{}\n", json!({ "topic": "bulk", "data": { "n": n, "text": text } }));
    let lines: String = (0..events).map(line).collect();
    let answer = post(address, "/v1/events", lines);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn the_api_is_the_same() {
    let authority = Authority::new();
    let secure = Server::start_with_tls(&authority, &[]);
    let plain = Server::start();
    let secure = Http2::secure(secure.address(), &authority);
    for (mut client, scheme) in [(Http2::plain(plain.address()), "http"), (secure, "https")] {
        assert_eq!(client.get("/healthz").status, 200);
        assert!(client.get("/").text().contains("<html"));
        let cursor = client.post("/v1/topics/lab/a", "{\"n\":1}").cursor();
        let poll = client.request(Request {
            method: "GET",
            path: "/v1/events?topic=lab/a&after=earliest",
            headers: &[ACCEPT_JSON],
            body: b"",
        });
        assert_eq!(poll.json()["events"][0]["cursor"], cursor);
        let wrong = client.get("/v1/events?topics=lab/a");
        assert_eq!((wrong.status, &wrong.json()["code"]), (400, &json!("parameter_invalid")));
        let head =
            Request { method: "HEAD", path: "/v1/events?topic=lab/a", headers: &[], body: b"" };
        assert_eq!(client.request(head).header("content-type"), Some("text/event-stream"));
        // A page of the server's own may publish, one of another site may not.
        let authority = client.authority().to_owned();
        let own = format!("{scheme}://{authority}");
        for (origin, status) in [(own.as_str(), 201), ("https://elsewhere.example", 403)] {
            let headers = [("origin", origin)];
            let path = "/v1/topics/lab/a";
            let answer =
                client.request(Request { method: "POST", path, headers: &headers, body: b"2" });
            assert_eq!(answer.status, status, "{origin}: {}", answer.text());
        }
    }
}

#[test]
fn many_streams_share_a_connection() {
    const STREAMS: usize = 120;
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority, &[]);
    let mut client = Http2::secure(server.address(), &authority);
    let mut streams: Vec<_> =
        (0..STREAMS).map(|n| open(&mut client, &format!("topic=lab/all&topic=lab/{n}"))).collect();
    let all = client.post("/v1/topics/lab/all", "\"all\"").cursor();
    for (n, stream) in streams.iter_mut().enumerate() {
        let own = client.post(&format!("/v1/topics/lab/{n}"), format!("{n}")).cursor();
        let item = client.next_of(stream, "message");
        assert_eq!((item.id.as_str(), item.payload()), (all.as_str(), json!("all")));
        let item = client.next_of(stream, "message");
        assert_eq!((item.id.as_str(), item.payload()), (own.as_str(), json!(n)));
    }
    // One that comes back gets what it has missed.
    drop(streams.pop());
    let missed = client.post("/v1/topics/lab/all", "\"missed\"").cursor();
    let mut resumed = client.stream("topic=lab/all", &[("last-event-id", &all)]);
    assert_eq!(client.next_of(&mut resumed, "message").id, missed);
}

#[test]
fn a_stream_that_is_reset_leaves_its_shard() {
    let server = Server::start();
    let address = server.address();
    let mut client = Http2::plain(address);
    let mut kept = open(&mut client, "topic=lab/a");
    let given_up: Vec<_> = (0..50).map(|_| open(&mut client, "topic=lab/a")).collect();
    drop(given_up);
    wait_for_streams(&client, address, 1);
    let cursor = client.post("/v1/topics/lab/a", "1").cursor();
    assert_eq!(client.next_of(&mut kept, "message").id, cursor);
    drop((kept, client));
    let reached = (0..10_000).any(|_| figure(address, "bellwire_streams_open") == 0);
    assert!(reached, "a connection that ends ends its streams");
}

#[test]
fn a_slow_stream_harms_no_other_and_gets_everything_in_order() {
    const EVENTS: usize = 200;
    let server = Server::start();
    let address = server.address();
    let mut client = Http2::plain(address);
    let mut slow = open(&mut client, "topic=bulk");
    let mut other = open(&mut client, "topic=lab/a");
    publish_bulk(address, EVENTS, 50_000);
    // The slow one's window is long full, and what waits for it is bounded.
    let cursor = client.post("/v1/topics/lab/a", "1").cursor();
    assert_eq!(client.next_of(&mut other, "message").id, cursor);
    for n in 0..EVENTS {
        let item = client.next(&mut slow).expect("it goes on");
        assert_eq!(item.payload()["n"], n);
    }
}

#[test]
fn a_stream_that_takes_nothing_for_long_ends_alone() {
    let flags = ["--stall-timeout", "500ms", "--heartbeat-interval", "200ms"];
    let server = Server::start_with(&flags);
    let address = server.address();
    let mut client = Http2::plain(address);
    let stalled = open(&mut client, "topic=bulk");
    let mut other = open(&mut client, "topic=lab/a");
    publish_bulk(address, 20, 100_000);
    // Its shard sees that the pair is full, and the front door that the window is: either may come
    // first.
    wait_for_streams(&client, address, 1);
    assert!(figure(address, "bellwire_streams_stalled_total") >= 1, "whoever was first");
    let cursor = client.post("/v1/topics/lab/a", "1").cursor();
    assert_eq!(client.next_of(&mut other, "message").id, cursor);
    drop(stalled);
}

#[test]
fn a_drain_says_good_bye_to_every_stream() {
    let authority = Authority::new();
    let mut server = Server::start_with_tls(&authority, &[]);
    let mut client = Http2::secure(server.address(), &authority);
    let mut streams: Vec<_> = (0..20).map(|_| open(&mut client, "topic=lab/a")).collect();
    let last = client.post("/v1/topics/lab/a", "1").cursor();
    server.process().signal("TERM");
    for stream in &mut streams {
        assert_eq!(client.next_of(stream, "message").id, last);
        assert_eq!(client.next_of(stream, "bye").json()["reason"], "drain");
        assert_eq!(client.next(stream), None, "an end in order");
    }
    client.ended().expect("an end in order");
    assert!(server.process().wait().success());
}

#[test]
fn a_websocket_talks_on_one_stream_of_many() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority, &[]);
    let mut client = Http2::secure(server.address(), &authority);
    let mut stream = open(&mut client, "topic=lab/a");
    let offers = [("sec-websocket-protocol", "chat, bellwire.v1.json")];
    let mut websocket = client.websocket("?topic=lab/a", &offers);
    assert_eq!(client.hear_json(&mut websocket)["control"], "ready");
    let publish = json!({ "request": "publish", "id": 1, "topic": "lab/a", "data": "both ways" });
    client.say(&mut websocket, Opcode::Text, publish.to_string().as_bytes());
    let told = [client.hear_json(&mut websocket), client.hear_json(&mut websocket)];
    let reply = told.iter().find(|told| told["reply"] == 1).expect("a reply");
    let event = told.iter().find(|told| told["topic"] == "lab/a").expect("an event");
    assert_eq!(event["data"], "both ways");
    let item = client.next_of(&mut stream, "message");
    assert_eq!((&json!(item.id), item.json()), (&reply["cursor"], event.clone()));

    // Large requests come in one piece after all.
    let data = "x".repeat(900_000);
    let publish = json!({ "request": "publish", "id": 2, "topic": "lab/b", "data": data });
    client.say(&mut websocket, Opcode::Text, publish.to_string().as_bytes());
    assert!(client.hear_json(&mut websocket)["cursor"].is_string());

    // The client ends it, and gets the last word back.
    client.say(&mut websocket, Opcode::Close, &ws::close_payload(CloseCode::NORMAL, "done"));
    let Some(Received::Close(Some(close))) = client.hear(&mut websocket) else {
        panic!("no close frame");
    };
    assert_eq!(close.code, CloseCode::NORMAL);
    drop(websocket);
    let cursor = client.post("/v1/topics/lab/a", "1").cursor();
    assert_eq!(client.next_of(&mut stream, "message").id, cursor);
}

#[test]
fn a_websocket_may_begin_with_nothing_and_ends_with_the_server() {
    let mut server = Server::start();
    let mut client = Http2::plain(server.address());
    let mut websocket = client.websocket("", &[]);
    let subscribe = json!({ "request": "subscribe", "id": "s", "topics": ["lab/**"] });
    client.say(&mut websocket, Opcode::Text, subscribe.to_string().as_bytes());
    while client.hear_json(&mut websocket)["id"] != "s" {}
    server.process().signal("TERM");
    assert_eq!(client.hear_json(&mut websocket)["control"], "bye");
    let Some(Received::Close(Some(close))) = client.hear(&mut websocket) else {
        panic!("no close frame");
    };
    assert_eq!(close.code, CloseCode::GOING_AWAY);
    assert_eq!(client.hear(&mut websocket), None);
    drop(websocket);
    assert!(server.process().wait().success());
}

#[test]
fn a_websocket_that_is_reset_leaves_its_shard() {
    let server = Server::start();
    let address = server.address();
    let mut client = Http2::plain(address);
    for _ in 0..20 {
        drop(client.websocket("?topic=lab/a", &[]));
    }
    wait_for_streams(&client, address, 0);
}

#[test]
fn what_is_no_websocket_is_refused() {
    let server = Server::start();
    let mut client = Http2::plain(server.address());
    let version = ("sec-websocket-version", "13");
    let cases: [(&str, Headers<'_>, u16); 5] = [
        ("websocket", &[], 426),
        ("connect-udp", &[version], 400),
        ("websocket", &[version, ("sec-websocket-protocol", "mqtt")], 400),
        ("websocket", &[version, ("origin", "https://elsewhere.example")], 403),
        ("websocket", &[version], 400),
    ];
    for (index, (protocol, headers, status)) in cases.into_iter().enumerate() {
        let query = if index + 1 == cases.len() { "?topic=a//b" } else { "?topic=a" };
        let answer = client.connect(query, protocol, headers);
        assert_eq!(answer.status(), status, "{protocol} {headers:?}");
    }
    // On HTTP/1 there is another way.
    let mut raw = Raw::connect(server.address());
    raw.send("CONNECT /v1/events?topic=a HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = raw.answer();
    assert!([400, 405].contains(&answer.status), "{}", answer.text());
}

#[test]
fn frames_that_break_the_protocol_end_the_connection() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    let server = Server::start();
    let address = server.address();
    let cases: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        // DATA on a stream that is not open.
        b"\0\0\x01\0\0\0\0\0\x01x",
        // A frame larger than allowed.
        b"\xff\xff\xff\0\0\0\0\0\x01",
        // HEADERS that no table can make sense of.
        b"\0\0\x04\x01\x05\0\0\0\x01\xff\xff\xff\xff",
    ];
    for frame in cases {
        let mut raw = Raw::connect(address);
        raw.send([PREFACE, SETTINGS, frame].concat());
        raw.rest();
    }
    // Headers without end.
    let mut raw = Raw::connect(address);
    raw.send([PREFACE, SETTINGS].concat());
    let header = [b"\0\x01a\x7f\x81\x7e".as_slice(), &[b'b'; 16_384 - 134]].concat();
    let length = (header.len() as u32).to_be_bytes();
    let mut kind = 1;
    while raw.try_send([&length[1..], &[kind, 0, 0, 0, 0, 1], &header].concat()).is_ok() {
        kind = 9;
    }
    raw.rest();
    // Streams that are reset at once, again and again.
    let mut raw = Raw::connect(address);
    raw.send([PREFACE, SETTINGS].concat());
    let mut stream = 1_u32;
    loop {
        let id = stream.to_be_bytes();
        let get = [b"\0\0\x03\x01\x05".as_slice(), &id, b"\x82\x84\x86"].concat();
        let reset = [b"\0\0\x04\x03\0".as_slice(), &id, b"\0\0\0\x08"].concat();
        if raw.try_send([get, reset].concat()).is_err() {
            break;
        }
        stream += 2;
        assert!(stream < 10_000_000, "a flood of resets goes on");
    }
    assert_eq!(get(address, "/healthz").status, 200);
}

/// Reads frames up to the first of a kind on a stream; returns its flags and length.
#[track_caller]
fn frame_of(raw: &mut Raw, (kind, stream): (u8, u8)) -> (u8, usize) {
    loop {
        let mut head = [0; 9];
        raw.try_read(&mut head).expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        raw.try_read(&mut vec![0; length]).expect("all of it");
        if (head[3], head[8]) == (kind, stream) {
            return (head[4], length);
        }
    }
}

#[test]
fn an_answer_that_is_taken_in_part_ends() {
    // Each stream may have 100 bytes that its client has not taken.
    const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\x64";
    const HEALTH: &[u8] = b"\0\0\x0c\x01\x05\0\0\0\x03\x82\x86\x04\x08/healthz";
    const DATA: u8 = 0;
    const RST_STREAM: u8 = 3;
    let server = Server::start_with(&["--stall-timeout", "500ms"]);
    for (topic, bytes) in [("little", 1_000), ("much", 100_000)] {
        let path = format!("/v1/topics/lab/{topic}");
        post(server.address(), &path, json!("x".repeat(bytes)).to_string());
        let mut raw = Raw::connect(server.address());
        raw.send(BEGIN);
        let length = path.len() as u8;
        let get = [b"\0\0".as_slice(), &[4 + length, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 4, length]];
        raw.send([&get.concat(), path.as_bytes()].concat());
        assert_eq!(frame_of(&mut raw, (DATA, 1)), (0, 100), "{topic}: what there is a window for");
        if topic == "much" {
            // Its stream ends, and no other.
            frame_of(&mut raw, (RST_STREAM, 1));
            raw.send(HEALTH);
            frame_of(&mut raw, (DATA, 3));
        } else {
            raw.rest();
        }
    }
}

#[test]
fn an_answer_that_is_left_lying_ends_no_stream_beside_it() {
    const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\x64";
    const GET_LEFT: &[u8] = b"\0\0\x17\x01\x05\0\0\0\x01\x82\x86\x04\x13/v1/topics/lab/left";
    const STREAM: &[u8] = b"\0\0\x1b\x01\x05\0\0\0\x03\x82\x86\x04\x17/v1/events?topic=lab/on";
    const WINDOW: &[u8] = b"\0\0\x04\x08\0\0\0\0\x03\0\0\xf0\0";
    const RESET: &[u8] = b"\0\0\x04\x03\0\0\0\0\x03\0\0\0\x08";
    const DATA: u8 = 0;
    const GOAWAY: u8 = 7;
    let flags = ["--stall-timeout", "1s", "--heartbeat-interval", "200ms"];
    let server = Server::start_with(&flags);
    post(server.address(), "/v1/topics/lab/left", json!("x".repeat(1_000)).to_string());
    let mut raw = Raw::connect(server.address());
    raw.send([BEGIN, GET_LEFT, STREAM, WINDOW].concat());
    assert_eq!(frame_of(&mut raw, (DATA, 1)), (0, 100), "what there is a window for");
    frame_of(&mut raw, (GOAWAY, 0));
    // For longer than a connection lingers on which nothing goes on.
    for _heartbeat in 0..25 {
        frame_of(&mut raw, (DATA, 3));
    }
    raw.send(RESET);
    raw.rest();
}

#[test]
fn floods_of_frames_that_carry_nothing_end_the_connection() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    const GET: &[u8] = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x84\x86";
    // `POST /v1/events`, whose body is to come.
    const POST: &[u8] = b"\0\0\x0e\x01\x04\0\0\0\x03\x83\x86\x04\x0a/v1/events";
    let server = Server::start();
    let floods: [&[u8]; 9] = [
        SETTINGS,
        // DATA of nothing but padding, and none at all, on a stream that is open.
        b"\0\0\x04\0\x08\0\0\0\x03\x03\0\0\0",
        b"\0\0\0\0\0\0\0\0\x03",
        b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01",
        b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08",
        b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\0\0\x08\x06\0\0\0\0\0pingpong",
        b"\0\0\x05\x02\0\0\0\0\x01\0\0\0\x03\x10",
        b"\0\0\x01\xfa\0\0\0\0\0x",
    ];
    for frame in floods {
        let mut raw = Raw::connect(server.address());
        raw.send([PREFACE, SETTINGS, GET, POST].concat());
        let some = frame.repeat(100);
        // The server hangs up long before all of it is sent.
        assert!((0..10_000).any(|_| raw.try_send(&some).is_err()), "{frame:?}");
    }
    let mut client = Http2::plain(server.address());
    assert_eq!(client.get("/healthz").status, 200, "others are served");
}
