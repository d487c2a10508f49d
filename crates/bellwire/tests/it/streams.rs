//! Streams as clients of all manners see them: frames, heartbeats, slow and rude readers, crowds.

use std::io::Write;
use std::net::SocketAddr;

use bellwire_wire::sse::Parser;
use serde_json::json;

use crate::harness::{
    Lines, Raw, Request, Server, Stream, StreamItem, get, of_item, post, request,
};

fn publish(address: SocketAddr, topic: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
    let path = format!("/v1/topics/{topic}");
    request(address, Request { method: "POST", path: &path, headers, body }).cursor()
}

#[test]
fn every_kind_of_payload_arrives_as_it_was_published() {
    let server = Server::start();
    let address = server.address();
    let mut sse = Stream::open(address, "topic=lab/**");
    let mut raw = Stream::open(address, "topic=lab/**&format=raw");
    let mut lines = Lines::open(address, "topic=lab/**");
    lines.until_ready();
    let cases: [(&str, &[u8], serde_json::Value, &str); 8] = [
        ("application/json", b"{\"a\": [1, null]}", json!({"a": [1, null]}), "{\"a\": [1, null]}"),
        ("application/json", b"{\"a\":\r\n\n1}", json!({"a": 1}), "{\"a\":\n\n1}"),
        ("text/plain", b"one\ntwo\r\nthree\n", json!("one\ntwo\r\nthree\n"), "one\ntwo\nthree\n"),
        (
            "text/plain",
            b"data: x\n\nid: 9\nevent: y",
            json!("data: x\n\nid: 9\nevent: y"),
            "data: x\n\nid: 9\nevent: y",
        ),
        (
            "text/plain; charset=utf-8",
            "ärger \u{1f514} \u{2028}".as_bytes(),
            json!("ärger \u{1f514} \u{2028}"),
            "ärger \u{1f514} \u{2028}",
        ),
        ("text/plain", b"\"\\\x08\x1b", json!("\"\\\u{8}\u{1b}"), "\"\\\u{8}\u{1b}"),
        ("application/octet-stream", b"\0\xff\n\xfe", json!("AP8K/g=="), "AP8K/g=="),
        ("application/json", b"1e400", json!(null), "1e400"),
    ];
    for (content_type, body, data, as_raw) in cases {
        let cursor = publish(address, "lab/a", &[("Content-Type", content_type)], body);
        let item = sse.events(1).remove(0);
        assert_eq!(item.id, cursor);
        let raw = raw.events(1).remove(0);
        assert_eq!((raw.id.as_str(), raw.data.as_str()), (cursor.as_str(), as_raw));
        if data.is_null() {
            // No number that this language has, and JSON all the same.
            assert!(item.data.ends_with("\"data\":1e400}"), "{}", item.data);
            continue;
        }
        assert_eq!(item.payload(), data);
        let line = lines.events(1).remove(0);
        assert_eq!(line, item.json());
        let is_binary = content_type == "application/octet-stream";
        assert_eq!(line.get("encoding").is_some(), is_binary, "{line}");
        assert_eq!(line.get("content_type").is_some(), is_binary, "{line}");
    }
}

#[test]
fn types_keys_and_topics_of_all_scripts_arrive() {
    let server = Server::start();
    let address = server.address();
    let query = "topic=r%C3%A5d/*&topic=%F0%9F%94%94&topic=plain/**&topic=never";
    let mut sse = Stream::open(address, query);
    let mut lines = Lines::open(address, query);
    lines.until_ready();
    let cases = [
        ("r%C3%A5d/%E6%B8%A9%E5%BA%A6", "råd/温度", "note"),
        ("%F0%9F%94%94", "🔔", "alarm.ånd"),
        ("plain/a/b/c", "plain/a/b/c", "ready2"),
        ("plain/with%20space+plus", "plain/with space+plus", "x y"),
    ];
    for (path, topic, event_type) in cases {
        let headers = [("Bellwire-Type", event_type), ("Bellwire-Key", "schlüssel")];
        publish(address, "elsewhere", &headers, b"0");
        let cursor = publish(address, path, &headers, b"1");
        let item = sse.next_of(event_type);
        let event = item.json();
        assert_eq!((item.id, event["topic"].as_str()), (cursor, Some(topic)));
        assert_eq!((&event["type"], &event["key"]), (&json!(event_type), &json!("schlüssel")));
        assert_eq!(lines.events(1).remove(0), event);
    }
}

#[test]
fn a_publisher_cannot_forge_a_frame() {
    let server = Server::start();
    let address = server.address();
    let mut stream = Stream::open(address, "topic=lab/a&format=raw");
    stream.until_ready();
    for event_type in ["a\r\nid: x", "a\nb", "a\0"] {
        let json = json!([{ "topic": "lab/a", "type": event_type, "data": 1 }]).to_string();
        let answer = post(address, "/v1/events", json);
        assert_eq!(answer.json()["results"][0]["error"]["code"], "event_type_invalid");
    }
    publish(address, "lab/a", &[("Content-Type", "text/plain")], b"\rid: x\revent: y\r\rdata: z");
    let item = stream.next().expect("it goes on");
    assert_eq!(item.event_type, "message");
    assert_eq!(item.data, "\nid: x\nevent: y\n\ndata: z");
}

#[test]
fn heartbeats_move_the_cursor_of_a_quiet_subscriber_of_ndjson() {
    let server = Server::start_with(&["--heartbeat-interval", "300ms"]);
    let mut raw = follow_quiet(&server, "application/x-ndjson");
    let cursor = publish(server.address(), "busy", &[], b"1");
    raw.until(&format!("\"heartbeat\",\"cursor\":\"{cursor}"));
    // The next ones bring no news.
    let next = raw.until("\n\r\n1\r\n\n\r\n");
    assert!(!next.contains("heartbeat"), "{next}");
}

#[test]
fn heartbeats_are_comments_until_a_quiet_subscriber_would_have_to_go_back_far() {
    let server = Server::start_with(&["--heartbeat-interval", "300ms"]);
    let mut raw = follow_quiet(&server, "text/event-stream");
    publish(server.address(), "busy", &[], b"1");
    for _ in 0..2 {
        assert_eq!(raw.until(":\n\r\n").trim_start(), "2\r\n:\n\r\n");
    }
    // As many as the ring has in half of it, and some more.
    let event = "{\"topic\":\"busy\",\"data\":1}\n";
    for _ in 0..4 {
        assert_eq!(post(server.address(), "/v1/events", event.repeat(9_000)).status, 200);
    }
    let head = raw.until("event: heartbeat\ndata: ");
    let cursor = head.rsplit("id: ").next().and_then(|rest| rest.lines().next()).expect("an id");
    let json = raw.until("\n\n");
    assert_eq!(json.trim_end(), format!("{{\"control\":\"heartbeat\",\"cursor\":\"{cursor}\"}}"));
}

/// Follows what nobody publishes.
fn follow_quiet(server: &Server, accept: &str) -> Raw {
    let mut raw = Raw::connect(server.address());
    raw.send(format!("GET /v1/events?topic=quiet HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n"));
    raw.until("ready");
    raw.until("}\n");
    // The end of the block, or of the chunk.
    raw.until("\r\n");
    raw
}

#[test]
fn old_http_gets_a_body_that_ends_with_the_connection() {
    let mut server = Server::start();
    let address = server.address();
    let mut raw = Raw::connect(address);
    raw.send("GET /v1/events?topic=lab/a HTTP/1.0\r\n\r\n");
    let head = raw.until("\r\n\r\n");
    assert!(head.contains("Connection: close") && !head.contains("chunked"), "{head}");
    raw.until("event: ready");
    let cursor = publish(address, "lab/a", &[], b"1");
    server.end();
    let rest = String::from_utf8(raw.rest()).expect("UTF-8");
    assert!(rest.contains(&format!("id: {cursor}\ndata: ")), "{rest}");
    assert!(rest.ends_with("}\n\n") && rest.contains("event: bye"), "{rest}");
}

#[test]
fn a_stream_may_follow_other_requests_on_one_connection() {
    let server = Server::start();
    let address = server.address();
    let stream = "GET /v1/events?topic=lab/a HTTP/1.1\r\nHost: x\r\n\r\n";
    let other = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    // One after the other.
    let mut raw = Raw::connect(address);
    for _ in 0..3 {
        raw.send(other);
        assert_eq!(raw.answer().status, 200);
        assert!(raw.try_post("/v1/topics/lab/a", "", "0").expect("an answer").status == 201);
    }
    raw.send(stream);
    assert!(raw.until("\r\n\r\n").starts_with("HTTP/1.1 200 OK"));
    raw.until("event: ready");
    publish(address, "lab/a", &[], b"1");
    raw.until("\"data\":1}\n\n");
    // In one write.
    let mut raw = Raw::connect(address);
    raw.send([other, other, stream].concat());
    assert_eq!((raw.answer().status, raw.answer().status), (200, 200));
    assert!(raw.until("\r\n\r\n").contains("text/event-stream"));
    raw.until("event: ready");
    publish(address, "lab/a", &[], b"2");
    raw.until("\"data\":2}\n\n");
}

#[test]
fn a_client_that_closes_its_half_has_gone() {
    let server = Server::start();
    let mut raw = Raw::connect(server.address());
    raw.send("GET /v1/events?topic=lab/a HTTP/1.1\r\nHost: x\r\n\r\n");
    raw.until("event: ready");
    raw.close_half();
    raw.rest();
    server.wait_for_streams(0);
}

#[test]
fn a_client_that_talks_on_a_stream_is_tolerated_for_a_while() {
    let server = Server::start();
    let mut raw = Raw::connect(server.address());
    raw.send("GET /v1/events?topic=lab/a HTTP/1.1\r\nHost: x\r\n\r\n");
    raw.until("event: ready");
    raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n\0\0garbage");
    publish(server.address(), "lab/a", &[], b"1");
    raw.until("\"data\":1}\n\n");
    let garbage = vec![b'x'; 1_000_000];
    // It is cut off somewhere within.
    let _ = raw.try_send(&garbage);
    raw.rest();
    server.wait_for_streams(0);
    assert_eq!(get(server.address(), "/healthz").status, 200);
}

#[test]
fn thousands_of_quick_connections_leave_nothing_behind() {
    let server = Server::start();
    let address = server.address();
    publish(address, "lab/a", &[], b"1");
    let mut steady = Stream::open(address, "topic=lab/a");
    steady.until_ready();
    for index in 0..3_000 {
        let mut raw = Raw::connect(address);
        match index % 5 {
            0 => {}
            1 => raw.send("GET /v1/eve"),
            2 => raw.send("GET /v1/events?topic=lab/a&after=earliest HTTP/1.1\r\nHost: x\r\n\r\n"),
            3 => raw.send(format!(
                "GET /v1/events?topic=lab/*&topic=own/{index} HTTP/1.1\r\nHost: x\r\n\r\n"
            )),
            _ => {
                raw.send("GET /v1/events?topic=lab/a HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n");
                assert_eq!(raw.answer().status, 200);
            }
        }
    }
    server.wait_for_streams(1);
    publish(address, "lab/a", &[], b"2");
    assert_eq!(steady.events(1)[0].payload(), 2);
    assert_eq!(server.figure("bellwire_polls_waiting"), 0);
}

#[test]
fn five_thousand_subscribers_of_one_topic_all_receive() {
    const SUBSCRIBERS: usize = 5_000;
    crate::harness::raise_open_files();
    let server = Server::start();
    let address = server.address();
    let mut subscribers: Vec<Raw> = (0..SUBSCRIBERS)
        .map(|_| {
            let mut raw = Raw::connect(address);
            raw.send("GET /v1/events?topic=crowd HTTP/1.1\r\nHost: x\r\n\r\n");
            raw
        })
        .collect();
    for raw in &mut subscribers {
        raw.until("event: ready");
        raw.until("}\n\n\r\n");
    }
    assert_eq!(server.figure("bellwire_streams_open"), SUBSCRIBERS as u64);
    let published: Vec<String> =
        (0..10).map(|n| publish(address, "crowd", &[], format!("{n}").as_bytes())).collect();
    for raw in &mut subscribers {
        let mut items = Vec::new();
        let mut parser = Parser::default();
        while items.len() < published.len() {
            let chunk = raw.try_chunk().expect("a chunk").expect("it goes on");
            parser.push(&chunk, &mut items).expect("sane events");
        }
        let items: Vec<StreamItem> = items.into_iter().filter_map(of_item).collect();
        let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids, published);
    }
}

/// Publishes events of 50 KB, many in a batch; the number of them.
fn publish_megabytes(address: SocketAddr, megabytes: usize) -> usize {
    const EVENT_BYTES: usize = 50_000;
    const BATCH_EVENTS: usize = 100;
    let data = "x".repeat(EVENT_BYTES);
    let total = megabytes * 1_000_000 / EVENT_BYTES;
    let mut raw = Raw::connect(address);
    for batch in 0..total / BATCH_EVENTS {
        let mut lines = Vec::new();
        for index in 0..BATCH_EVENTS {
            let n = batch * BATCH_EVENTS + index;
            writeln!(lines, "{{\"topic\":\"bulk\",\"data\":{{\"n\":{n},\"x\":\"{data}\"}}}}")
                .expect("a text grows");
        }
        let answer = raw.try_post("/v1/events", "", &lines).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    total
}

#[test]
fn a_slow_reader_harms_nobody_and_gets_everything_in_order() {
    const RESIDENT_BYTES_MAX: u64 = 400 * 1024 * 1024;
    let server = Server::start();
    let address = server.address();
    let mut slow: Vec<Stream> = (0..20).map(|_| Stream::open(address, "topic=bulk")).collect();
    let mut other = Stream::open(address, "topic=lab/a");
    other.until_ready();
    for stream in &mut slow {
        stream.until_ready();
    }
    let total = publish_megabytes(address, 100);
    publish(address, "lab/a", &[], b"1");
    assert_eq!(other.events(1)[0].payload(), 1);
    let resident = server.resident_bytes();
    assert!(resident < RESIDENT_BYTES_MAX, "{resident} bytes for readers that do not read");
    for stream in slow.iter_mut().take(2) {
        for n in 0..total {
            let item = stream.next().expect("it goes on");
            assert_eq!(item.event_type, "message", "{}", &item.data[..100.min(item.data.len())]);
            assert_eq!(item.payload()["n"], n);
        }
    }
    let resident = server.resident_bytes();
    assert!(resident < RESIDENT_BYTES_MAX, "{resident} bytes while they caught up");
}

#[test]
fn who_takes_no_byte_for_long_is_cut_off_and_may_come_back() {
    // Whoever comes back has as long: it may be slow, and is not to be cut off, too.
    let server = Server::start_with(&["--stall-timeout", "5s", "--heartbeat-interval", "1s"]);
    let address = server.address();
    let mut stalled = Raw::connect(address);
    stalled.send("GET /v1/events?topic=bulk HTTP/1.1\r\nHost: x\r\n\r\n");
    stalled.until("event: ready");
    let mut reading = Stream::open(address, "topic=lab/a");
    reading.until_ready();
    let total = publish_megabytes(address, 20);
    server.wait_for_streams(1);
    assert_eq!(server.figure("bellwire_streams_stalled_total"), 1);
    // What had been sent before is whole events and the beginning of one.
    let seen = String::from_utf8(stalled.rest()).expect("UTF-8");
    let last = seen.rmatch_indices("\"cursor\":\"").find_map(|(start, mark)| {
        let (cursor, rest) = seen[start + mark.len()..].split_once('"')?;
        rest.contains("\n\n").then_some(cursor)
    });
    let before = seen.matches("}\n\n").count() - 1;
    let mut resumed = Stream::resume(address, "topic=bulk", last.expect("an event came"));
    let rest = resumed.until_ready();
    assert_eq!(before + rest.len(), total);
    publish(address, "lab/a", &[], b"1");
    assert_eq!(reading.events(1)[0].payload(), 1, "who reads is not stalled");
}

#[test]
fn a_drain_says_good_bye_in_every_form() {
    let mut server = Server::start();
    let address = server.address();
    let mut sse = Raw::connect(address);
    sse.send("GET /v1/events?topic=lab/a HTTP/1.1\r\nHost: x\r\n\r\n");
    sse.until("event: ready");
    sse.until("}\n\n\r\n");
    let mut lines = Lines::open(address, "topic=lab/a");
    lines.until_ready();
    let mut poll = Raw::connect(address);
    poll.send("GET /v1/events?topic=lab/a&wait=60s HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n");
    while server.figure("bellwire_polls_waiting") < 1 {}
    assert!(server.end().success());

    let answer = poll.answer();
    assert_eq!((answer.status, &answer.json()["events"]), (200, &json!([])));
    let rest = String::from_utf8(sse.rest()).expect("UTF-8");
    let retry = rest.find("retry: ").expect("when to come back");
    let bye = rest.find("event: bye\ndata: {\"control\":\"bye\",\"reason\":\"drain\"");
    assert!(bye.is_some_and(|bye| retry < bye), "{rest}");
    assert!(rest.ends_with("\n\n\r\n0\r\n\r\n"), "{rest}");
    let bye = lines.next().expect("a line");
    assert_eq!((&bye["control"], &bye["reason"]), (&json!("bye"), &json!("drain")));
    assert!(bye["retry_ms"].is_u64(), "{bye}");
    assert_eq!(lines.next(), None);
}
#[test]
fn a_stream_asked_for_behind_a_large_answer_comes_behind_all_of_it() {
    let server = Server::start();
    let address = server.address();
    let large = vec![b'x'; 1_000_000];
    publish(address, "large", &[("Content-Type", "text/plain")], &large);
    let mut raw = Raw::connect(address);
    rustix::net::sockopt::set_socket_recv_buffer_size(raw.socket(), 65_536).expect("an option");
    let history = "GET /v1/topics/large HTTP/1.1\r\nHost: x\r\n\r\n";
    let stream = "GET /v1/events?topic=lab/a HTTP/1.1\r\nHost: x\r\n\r\n";
    raw.send([history, history, history, history, history, history, stream].concat());
    for _ in 0..6 {
        let answer = raw.answer();
        assert_eq!(answer.status, 200);
        let events = answer.json();
        assert_eq!(events["events"][0]["data"].as_str().map(str::len), Some(large.len()));
    }
    assert!(raw.until("\r\n\r\n").contains("text/event-stream"));
    raw.until("event: ready");
}
