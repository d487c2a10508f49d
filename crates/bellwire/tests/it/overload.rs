//! Too much of everything: what is refused is told why and until when, and who is in stays served.

use std::io::Write as _;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{Answer, Http2, Raw, Request, Server, Stream, WebSocket, get, post};

/// Opens a stream by hand; returns its connection and the status.
fn open(address: SocketAddr, topic: &str) -> (Raw, String) {
    let mut raw = Raw::connect(address);
    raw.send(format!("GET /v1/events?topic={topic} HTTP/1.1\r\nHost: x\r\n\r\n"));
    let status = raw.line().expect("a status line");
    (raw, status)
}

const EVENT_SOURCE: &str = "Accept: text/event-stream\r\n";

/// Asks for a stream by hand that is to be refused.
#[track_caller]
fn ask(raw: &mut Raw, query: &str, headers: &str) -> Answer {
    raw.send(format!("GET /v1/events?topic=lab/a{query} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"));
    raw.answer()
}

/// Checks that an `EventSource` is told why, and when to come back.
#[track_caller]
fn assert_bye(answer: &Answer, code: &str, status: u16) {
    let text = answer.text();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
    let (retry, data) = text.split_once("\nevent: bye\ndata: ").expect(text);
    let retry = retry.strip_prefix("retry: ").and_then(|ms| ms.parse::<u64>().ok());
    let bye: Value = serde_json::from_str(data.trim_end()).expect("JSON");
    assert_eq!((&bye["control"], &bye["reason"]), (&"bye".into(), &code.into()));
    assert_eq!((bye["status"].as_u64(), bye["retry_ms"].as_u64()), (Some(status.into()), retry));
    assert!(retry.is_some_and(|ms| ms > 0) && bye["detail"].is_string(), "{text}");
}

#[test]
fn an_event_source_that_is_refused_for_now_is_told_in_words_that_it_can_read() {
    let server = Server::start_with(&["--connections-max", "1"]);
    let address = server.address();
    let (first, status) = open(address, "lab/a");
    assert_eq!(status, "HTTP/1.1 200 OK");
    let fresh = |query: &str, headers: &str| ask(&mut Raw::connect(address), query, headers);
    assert_bye(&fresh("", EVENT_SOURCE), "connections_exhausted", 503);
    assert_bye(&fresh("&refusals=stream", ""), "connections_exhausted", 503);
    let lines = fresh("&refusals=stream", "Accept: application/x-ndjson\r\n");
    assert_eq!((lines.status, &lines.json()["reason"]), (200, &"connections_exhausted".into()));
    let programs = [("", ""), ("", "Accept: text/event-stream, */*\r\n")];
    for (query, headers) in programs.into_iter().chain([("&refusals=status", EVENT_SOURCE)]) {
        let refused = fresh(query, headers);
        assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true));
    }
    // There is no room for what is wrong for good either.
    assert_eq!(fresh("&after=x", EVENT_SOURCE).status, 503);

    drop(first);
    // The server sees that it has gone soon after.
    let comes_in = |_| {
        let mut raw = Raw::connect(address);
        raw.send(format!("GET /v1/events?topic=lab/a HTTP/1.0\r\n{EVENT_SOURCE}\r\n"));
        raw.until("data: ");
        raw.line().is_ok_and(|data| data.contains("ready"))
    };
    assert!((0..10_000).any(comes_in), "there is room again");
    // What will not do later either keeps its status.
    let lasting = |_| match fresh("&after=x", EVENT_SOURCE).status {
        400 => true,
        503 => false,
        other => panic!("{other}"),
    };
    assert!((0..10_000).any(lasting), "there is room again");
}

#[test]
fn a_page_of_an_allowed_origin_can_read_why_its_event_source_is_refused() {
    let origin = "https://app.example";
    let flags = ["--connections-max", "1", "--allowed-origins", origin];
    let server = Server::start_with(&flags);
    let (_first, status) = open(server.address(), "lab/a");
    assert_eq!(status, "HTTP/1.1 200 OK");
    let headers = format!("{EVENT_SOURCE}Origin: {origin}\r\n");
    let refused = ask(&mut Raw::connect(server.address()), "", &headers);
    assert_bye(&refused, "connections_exhausted", 503);
    assert_eq!(refused.header("access-control-allow-origin"), Some(origin));
}

#[test]
fn the_slowest_connections_are_named_until_they_have_gone() {
    let server = Server::start();
    let address = server.address();
    let (slow, status) = open(address, "bulk");
    assert_eq!(status, "HTTP/1.1 200 OK");
    let name = slow.socket().local_addr().expect("an address").to_string();
    let mut watch = Stream::open(address, "topic=$sys/connections");
    watch.until_ready();

    let mut lines = Vec::new();
    for n in 0..200 {
        let text = "x".repeat(60_000);
        writeln!(lines, "{{\"topic\":\"bulk\",\"data\":[{n},\"{text}\"]}}").expect("it grows");
    }
    assert_eq!(post(address, "/v1/events", &lines).status, 200);
    let named = watch.events(1).remove(0).json();
    assert_eq!(named["key"], name.as_str(), "{named}");
    assert_eq!(named["data"]["filters"][0], "bulk");
    assert_eq!(named["data"]["transport"], "sse");
    assert!(named["data"]["lag_events"].as_u64().expect("a number") > 0, "{named}");
    let metrics = get(address, "/metrics");
    assert!(metrics.text().contains("\nbellwire_streams_lagging 1\n"), "{}", metrics.text());

    drop(slow);
    loop {
        let event = watch.events(1).remove(0).json();
        if event["deleted"] == true {
            assert_eq!(event["key"], name.as_str());
            return;
        }
    }
}

#[test]
fn the_servers_figures_are_a_state_topic() {
    let server = Server::start();
    let mut figures = Stream::open(server.address(), "topic=$sys/server");
    figures.until_ready();
    post(server.address(), "/v1/topics/lab/a", b"1");
    loop {
        let event = figures.events(1).remove(0).json();
        if event["key"] == "bellwire_events_published_total" && event["data"] == 1 {
            return;
        }
    }
}

#[test]
fn an_address_has_its_share_of_connections() {
    let server = Server::start_with(&["--connections-per-address-max", "3"]);
    let address = server.address();
    let mut streams: Vec<_> = (0..3).map(|_| open(address, "lab/a")).collect();
    assert!(streams.iter().all(|(_, status)| status == "HTTP/1.1 200 OK"));
    let refused = Raw::connect(address).answer();
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["code"], "address_exhausted");
    let seconds: u32 = refused.header("retry-after").expect("a time").parse().expect("seconds");
    assert!(seconds > 0);

    drop(streams.pop());
    // The server sees the end of a connection soon after; until then it refuses others.
    let comes_in = |_| get(address, "/healthz").status == 200;
    assert!((0..10_000).any(comes_in), "a place is free again");
}

#[test]
fn near_its_budget_of_memory_the_server_takes_no_more_subscribers() {
    let server = Server::start_with(&["--memory-bytes-max", "192MiB", "--journal", "memory"]);
    let address = server.address();
    let mut stream = Stream::open(address, "topic=lab/a");
    stream.until_ready();
    let mut socket = WebSocket::open(address, "topic=lab/a");
    socket.until_ready(&Value::Null);

    // The journal keeps them in memory; nothing else is done with them.
    let text = "x".repeat(900_000);
    let (mut is_near_for_streams, mut byes) = (false, 0);
    let mut is_full = || {
        let answer = post(address, "/v1/topics/bulk", &text);
        let (mut raw, status) = open(address, "lab/a");
        is_near_for_streams |= status.contains("503");
        if answer.status == 201 {
            return false;
        }
        assert_eq!((answer.status, &answer.json()["code"]), (503, &"memory_exhausted".into()));
        assert!(answer.header("retry-after").is_some());
        assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
        let rest = String::from_utf8(raw.rest()).expect("UTF-8");
        assert!(rest.contains("memory_exhausted") && rest.contains("retry-after: "), "{rest}");
        // An `EventSource` is told so that it can read it, on a connection of its own and on one
        // that has served requests.
        let (mut fresh, mut used) = (Raw::connect(address), Raw::connect(address));
        used.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(used.answer().status, 200);
        for raw in [&mut fresh, &mut used] {
            raw.send(format!("GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\n{EVENT_SOURCE}\r\n"));
            raw.until("data: ");
            let told = raw.line().expect("why");
            // There may be room again by now.
            assert!(told.contains("memory_exhausted") || told.contains("ready"), "{told}");
            byes += usize::from(told.contains("bye"));
        }
        true
    };
    // The server looks at its memory twice a second, and the journal keeps no more than 256 MiB.
    assert!((0..5_000).any(|_| is_full()), "it grows beyond its budget");
    // What a refused request had taken is given back: at the next look there may be room again.
    let mut is_refused_when_full =
        |ask: &mut dyn FnMut() -> bool| (0..5_000).any(|_| is_full() && ask());
    let sample = "{\"name\":\"t\",\"value\":1}";
    assert!(is_refused_when_full(&mut || post(address, "/v1/samples", sample).status == 503));

    // Who talks is told the same.
    for asked in [
        json!({"request": "publish", "id": 1, "topic": "bulk", "data": 1}),
        json!({"request": "samples", "id": 1, "samples": [{"name": "t", "value": 1}]}),
    ] {
        let mut ask = || socket.call(&asked)["error"]["code"] == "memory_exhausted";
        assert!(is_refused_when_full(&mut ask), "{asked}");
    }
    assert!(is_near_for_streams && byes > 0, "{byes}");

    // Reading and what ends things go on.
    assert_eq!(get(address, "/healthz").status, 200);
    let poll = get(address, "/v1/topics/lab/a");
    assert_eq!(poll.status, 200, "reading is no subscription");
}

#[test]
fn both_ends_of_a_stream_over_http2_count() {
    let server = Server::start_with(&["--connections-max", "41"]);
    let address = server.address();
    let mut client = Http2::plain(address);
    // The connection has one descriptor, each of its streams two.
    let streams: Vec<_> = (0..20).map(|_| client.stream("topic=lab/a", &[])).collect();
    let refused = client.get("/v1/events?topic=lab/a");
    assert_eq!((refused.status, &refused.json()["code"]), (503, &"connections_exhausted".into()));
    let headers = [("accept", "text/event-stream")];
    let path = "/v1/events?topic=lab/a";
    let refused = client.request(Request { method: "GET", path, headers: &headers, body: b"" });
    assert_bye(&refused, "connections_exhausted", 503);
    let mut late = Raw::connect(address);
    late.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    let refused = late.answer();
    assert_eq!((refused.status, &refused.json()["code"]), (503, &"connections_exhausted".into()));
    assert!(refused.header("retry-after").is_some());
    drop((streams, client));
    // The server sees that they have gone soon after.
    let comes_in = |_| {
        let mut raw = Raw::connect(address);
        raw.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        raw.try_answer().is_ok_and(|answer| answer.status == 200)
    };
    assert!((0..10_000).any(comes_in), "there is room again");
}
