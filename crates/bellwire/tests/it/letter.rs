//! The letter of the RFCs, on raw sockets: what may be read in one way alone is served, what may
//! be read in two is refused, and no connection hangs.

use std::net::SocketAddr;

use crate::harness::{Answer, Raw, Request, Server, get, post, request};

/// Sends a request as it stands and reads the answer.
#[track_caller]
fn ask(address: SocketAddr, text: &str) -> Answer {
    let mut raw = Raw::connect(address);
    raw.send(text);
    raw.answer()
}

#[test]
fn an_offer_to_upgrade_to_something_else_is_passed_over() {
    let server = Server::start();
    let offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n";
    let mut raw = Raw::connect(server.address());
    // With a body as well, as Java's client has it.
    raw.send(format!("GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n{offer}\r\n"));
    assert_eq!(raw.answer().status, 200);
    raw.send(format!("POST /v1/topics/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n{offer}\r\n7"));
    assert_eq!(raw.answer().status, 201);
    raw.send(format!("GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\n{offer}\r\n"));
    let head = raw.until("\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    raw.until("event: ready");
}

#[test]
fn who_closes_its_half_behind_a_request_gets_the_answer() {
    let server = Server::start();
    let health = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let publish = "POST /v1/topics/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n7";
    for (requests, statuses) in [
        (health.to_owned(), &[200][..]),
        (publish.to_owned(), &[201]),
        ([publish, health].concat(), &[201, 200]),
    ] {
        let mut raw = Raw::connect(server.address());
        raw.send(&requests);
        raw.close_half();
        for status in statuses {
            assert_eq!(raw.answer().status, *status, "{requests}");
        }
        assert_eq!(raw.rest(), b"", "nothing follows {requests}");
    }
}

#[test]
fn who_closes_its_half_and_waits_for_long_is_told_not_to() {
    let server = Server::start();
    let mut raw = Raw::connect(server.address());
    raw.send(
        "GET /v1/events?topic=a&wait=60s HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n",
    );
    raw.close_half();
    let answer = raw.answer();
    assert_eq!((answer.status, &answer.json()["code"]), (408, &"half_closed".into()));
    assert_eq!(raw.rest(), b"");
    // One that has gone leaves nothing behind.
    while server.figure("bellwire_polls_waiting") > 0 {}
}

#[test]
fn a_head_that_can_be_read_in_two_ways_is_refused_wherever_it_stands() {
    let server = Server::start();
    let chunked = "0\r\n\r\n";
    let post = "POST /v1/topics/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding";
    let cases = [
        ("GET /healthz HTTP/1.1\r\n\r\n".to_owned(), 400, "head_malformed"),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned(), 400, "head_malformed"),
        ("GET /healthz HTTP/1.1\r\nHost: a@b\r\n\r\n".to_owned(), 400, "head_malformed"),
        ("GET /v1/events?topic=a HTTP/1.1\r\n\r\n".to_owned(), 400, "head_malformed"),
        (format!("{post}: chunked, chunked\r\n\r\n{chunked}"), 400, "head_malformed"),
        (format!("{post}: gzip, chunked\r\n\r\n{chunked}"), 501, "transfer_coding_unsupported"),
        (
            format!("{post}: chunked\r\nContent-Length: 3\r\n\r\n{chunked}"),
            400,
            "head_malformed",
        ),
        (
            "POST /v1/topics/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            400,
            "head_malformed",
        ),
        (
            "POST /v1/topics/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(),
            400,
            "head_malformed",
        ),
        (
            "POST /v1/topics/a HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na".to_owned(),
            400,
            "head_malformed",
        ),
        ("GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n".to_owned(), 400, "head_malformed"),
        (
            format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(9_000)),
            431,
            "head_too_large",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(70)),
            431,
            "head_too_large",
        ),
    ];
    let healthy = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    for (text, status, code) in cases {
        for (place, before) in [("first", ""), ("later", healthy), ("pipelined", healthy)] {
            let mut raw = Raw::connect(server.address());
            if place == "pipelined" {
                raw.send(format!("{before}{text}"));
                assert_eq!(raw.answer().status, 200);
            } else {
                if !before.is_empty() {
                    raw.send(before);
                    assert_eq!(raw.answer().status, 200);
                }
                raw.send(&text);
            }
            let answer = raw.answer();
            assert_eq!(answer.status, status, "{place}: {text}: {}", answer.text());
            assert_eq!(answer.json()["code"], code, "{place}: {text}");
            assert_eq!(raw.rest(), b"", "{place}: the connection ends: {text}");
        }
    }
    let old = ask(server.address(), "GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(old.status, 200, "HTTP/1.0 knows no `Host`");
}

#[test]
fn a_header_that_counts_stands_once() {
    let server = Server::start();
    for name in ["Content-Type", "Bellwire-Key", "Bellwire-Type", "Idempotency-Key"] {
        let headers = [(name, "text/plain"), (name, "text/html")];
        let answer = request(
            server.address(),
            Request { method: "POST", path: "/v1/topics/a", headers: &headers, body: b"x" },
        );
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
    }
    let twice = "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\nLast-Event-ID: e1-1\r\n\
         Last-Event-ID: e1-2\r\n\r\n";
    assert_eq!(ask(server.address(), twice).status, 400);
}

#[test]
fn codings_of_a_body_are_named_in_every_way_that_the_rfc_has() {
    let server = Server::start();
    let gzip = |bytes: &[u8]| {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    };
    let send = |headers: &[(&str, &str)], body: &[u8]| {
        let request_ = Request { method: "POST", path: "/v1/topics/a", headers, body };
        request(server.address(), request_)
    };
    let body = gzip(b"7");
    for coding in ["gzip", "x-gzip", "X-GZip", "identity, gzip"] {
        let answer = send(&[("Content-Encoding", coding)], &body);
        assert_eq!(answer.status, 201, "{coding}: {}", answer.text());
    }
    assert_eq!(send(&[("Content-Encoding", "IDENTITY")], b"7").status, 201);
    let kept = get(server.address(), "/v1/topics/a").json();
    let data = kept["events"].as_array().expect("events").iter().map(|event| &event["data"]);
    assert_eq!(data.collect::<Vec<_>>(), [7, 7, 7, 7, 7]);
    let wrong: [&[(&str, &str)]; 3] = [
        &[("Content-Encoding", "br")],
        &[("Content-Encoding", "gzip, gzip")],
        &[("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")],
    ];
    for headers in wrong {
        let answer = send(headers, &body);
        assert_eq!(answer.status, 415, "{headers:?}");
        assert_eq!(answer.header("accept-encoding"), Some("gzip"), "{headers:?}");
    }
}

#[test]
fn a_byte_order_mark_is_skipped_in_every_body() {
    let server = Server::start();
    let address = server.address();
    let mark = "\u{FEFF}";
    let bodies = [
        ("/v1/topics/a", "{\"n\":1}"),
        ("/v1/events", "[{\"topic\":\"a\",\"data\":2}]"),
        ("/v1/events", "{\"topic\":\"a\",\"data\":3}\n{\"topic\":\"a\",\"data\":4}\n"),
        ("/v1/samples", "{\"name\":\"cpu\",\"value\":1}"),
        ("/v1/samples", "[{\"name\":\"cpu\",\"value\":2}]"),
        ("/v1/samples", "{\"name\":\"cpu\",\"value\":3}\n{\"name\":\"cpu\",\"value\":4}\n"),
        ("/write", "cpu value=5"),
        ("/api/v2/alerts", "[{\"labels\":{\"alertname\":\"A\"}}]"),
        ("/v1/silences/preview", "{\"matchers\":\"{a=\\\"b\\\"}\"}"),
    ];
    for (path, body) in bodies {
        let answer = post(address, path, format!("{mark}{body}"));
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.text());
        assert!(!answer.text().contains("error"), "{path}: {}", answer.text());
    }
    let kept = get(address, "/v1/topics/a").json();
    let data = kept["events"].as_array().expect("events").iter().map(|event| &event["data"]);
    let expected = [serde_json::json!({"n": 1}), 2.into(), 3.into(), 4.into()];
    assert_eq!(data.collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    let topics = get(address, "/v1/topics");
    assert!(topics.text().contains("samples/cpu"), "{}", topics.text());
    assert!(!topics.text().contains("_cpu"), "{}", topics.text());
}

#[test]
fn percent_encoding_is_read_to_the_letter() {
    let server = Server::start();
    let address = server.address();
    assert_eq!(post(address, "/v1/topics/bad%zz", "x").status, 400);
    assert_eq!(post(address, "/v1/topics/100%", "x").status, 400);
    assert_eq!(post(address, "/v1/topics/100%25", "x").status, 201);
    for path in [
        "/v1/events?topic=bad%zz",
        "/v1/topics/a?after=%zz",
        "/v1/topics?prefix=%",
        "/api/v1/query?query=%zz",
        "/api/v2/alerts?filter=%",
        "/v1/topics/a?limit=%FF",
    ] {
        assert_eq!(get(address, path).status, 400, "{path}");
    }
}

#[test]
fn json_has_a_bound_of_depth_in_every_decoder() {
    let server = Server::start();
    let address = server.address();
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let (most, deep) = (nested(99), nested(100));
    let json = [("Content-Type", "application/json")];
    let send = |path: &str, headers: &[(&str, &str)], body: &str| {
        request(address, Request { method: "POST", path, headers, body: body.as_bytes() })
    };
    for headers in [&json[..], &[]] {
        assert_eq!(send("/v1/topics/a", headers, &most).status, 201);
        for deep in [&deep, &nested(250_000)] {
            let answer = send("/v1/topics/a", headers, deep);
            assert_eq!(answer.status, 400);
            assert_eq!(answer.json()["code"], "nesting_too_deep");
        }
    }
    let event = |data: &str| format!("{{\"topic\":\"a\",\"data\":{data}}}");
    for body in [event(&deep), format!("[{},{}]", event(&deep), event(&most))] {
        let results = send("/v1/events", &[], &body).json();
        assert_eq!(results["results"][0]["error"]["code"], "nesting_too_deep", "{results}");
    }
    let sample = format!("{{\"name\":\"t\",\"value\":1,\"labels\":{{\"a\":{deep}}}}}");
    let answer = send("/v1/samples", &[], &sample);
    assert_eq!(answer.json()["errors"][0]["code"], "nesting_too_deep", "{}", answer.text());
    let alert = format!("[{{\"labels\":{{\"alertname\":\"A\"}},\"more\":{deep}}}]");
    let answer = send("/api/v2/alerts", &[], &alert);
    assert!(answer.status == 400 && answer.text().contains("nested"), "{}", answer.text());
    // What is kept can be read by parsers with a bound of their own.
    assert_eq!(get(address, "/v1/topics/a").json()["events"][0]["topic"], "a");
}

#[test]
fn clients_of_influxdb_find_what_they_ask_for() {
    let server = Server::start();
    let address = server.address();
    let ping = get(address, "/ping");
    assert_eq!((ping.status, ping.header("x-influxdb-version")), (204, Some("1.8.10")));
    assert_eq!(get(address, "/ping?verbose=true").json()["version"], "1.8.10");
    assert_eq!(get(address, "/health").json()["status"], "pass");
    assert_eq!(get(address, "/ready").json()["status"], "ready");
    let made = request(
        address,
        Request {
            method: "POST",
            path: "/query?db=x",
            headers: &[("Content-Type", "application/x-www-form-urlencoded")],
            body: b"q=CREATE+DATABASE+%22telegraf%22",
        },
    );
    assert_eq!((made.status, made.text()), (200, "{\"results\":[{\"statement_id\":0}]}"));
    let shown = get(address, "/query?q=show%20databases;select%201").json();
    assert_eq!(shown["results"][0]["series"][0]["values"][0][0], "bellwire");
    assert!(shown["results"][1]["error"].is_string(), "{shown}");
    assert_eq!(get(address, "/query").status, 400);
}

#[test]
fn a_body_that_nobody_reads_hides_no_request_behind_it() {
    let server = Server::start();
    let chunked = "POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\n\r\n";
    let next = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut raw = Raw::connect(server.address());
    raw.send(format!("{chunked}{next}{chunked}{next}"));
    for status in [404, 200, 404, 200] {
        assert_eq!(raw.answer().status, status);
    }
    // One that does not end ends the connection, with its answer.
    let endless = "POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel";
    let mut raw = Raw::connect(server.address());
    raw.send(endless);
    let answer = raw.answer();
    assert_eq!((answer.status, answer.header("connection")), (404, Some("close")));
    assert_eq!(raw.rest(), b"");
}

#[test]
fn who_announces_too_much_is_told_at_once_and_hears_it() {
    let server = Server::start();
    for length in [17 * 1024 * 1024, 1_u64 << 63] {
        let head =
            format!("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        let answer = ask(server.address(), &head);
        assert_eq!(answer.status, 413, "{length}");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    // Many clients listen only when they have sent it all.
    let body = vec![b'x'; 17 * 1024 * 1024];
    assert_eq!(post(server.address(), "/v1/events", &body).status, 413);
}

#[test]
fn methods_that_a_path_does_not_take_are_told_which_it_takes() {
    let server = Server::start();
    let address = server.address();
    let send = |method, path| request(address, Request { method, path, headers: &[], body: b"" });
    let refused = send("PUT", "/v1/samples");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")));
    let refused = send("PUT", "/v1/topics/a");
    let allowed = refused.header("allow").expect("RFC 9110, 15.5.6");
    for method in ["GET", "HEAD", "POST", "PATCH", "DELETE"] {
        assert!(allowed.contains(method), "{allowed}");
    }
    let options = send("OPTIONS", "/v1/topics/a");
    assert_eq!(options.status, 204, "{}", options.text());
    assert_eq!(options.header("allow"), Some(allowed));
}

#[test]
fn requests_in_one_write_are_answered_one_after_another() {
    let server = Server::start();
    let chunked = "POST /v1/topics/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         3;x=y\r\n[1,\r\n2\r\n2]\r\n0\r\nMore: yes\r\n\r\n";
    let long = "x".repeat(100_000);
    let counted = format!(
        "POST /v1/topics/a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{long}",
        long.len()
    );
    let get = "GET /v1/topics/a?limit=1 HTTP/1.1\r\nHost: x\r\n\r\n";
    // A line behind a body that does not belong to it is passed over (RFC 9112, 2.2).
    let all = [chunked, &counted, "\r\n", get, chunked, get].concat();
    let statuses = [201, 201, 200, 201, 200];
    for size in [all.len(), 1_000, 97] {
        let mut raw = Raw::connect(server.address());
        for piece in all.as_bytes().chunks(size) {
            raw.send(piece);
        }
        for status in statuses {
            assert_eq!(raw.answer().status, status, "in pieces of {size}");
        }
    }
    let kept = crate::harness::get(server.address(), "/v1/topics/a").json();
    assert_eq!(kept["events"].as_array().expect("events").len(), 9);
}

#[test]
fn who_asks_whether_to_send_a_body_is_told_to_go_on() {
    let server = Server::start();
    let head = "POST /v1/topics/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let mut raw = Raw::connect(server.address());
    // Twice: the connection goes on.
    for _ in 0..2 {
        raw.send(head);
        assert_eq!(raw.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
        raw.send("hello");
        assert_eq!(raw.answer().status, 201);
    }
    // Who does not wait may be told so or not, and is answered once.
    raw.send(format!("{head}hello"));
    let mut answer = raw.answer();
    if answer.status == 100 {
        answer = raw.answer();
    }
    assert_eq!(answer.status, 201);
    // There is nothing to go on with: a request without a body, one of HTTP/1.0, one that is
    // refused for its head alone.
    raw.send("GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(raw.answer().status, 200);
    let old =
        "POST /v1/topics/a HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello";
    assert_eq!(ask(server.address(), old).status, 201);
    let reserved = head.replace("/v1/topics/a", "/v1/topics/alerts/active");
    let mut raw = Raw::connect(server.address());
    raw.send(reserved.replace("Content-Length: 5", "Content-Length: 2000000"));
    let answer = raw.answer();
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
}

#[test]
fn head_says_what_get_would_and_waits_for_nothing() {
    let server = Server::start();
    let mut raw = Raw::connect(server.address());
    let mut head = |path: &str, headers: &str| {
        raw.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"));
        let head = raw.until("\r\n\r\n").to_ascii_lowercase();
        // That there is no body shows with the next answer.
        raw.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(raw.answer().status, 200, "{path}: {head}");
        head
    };
    let poll = head("/v1/events?topic=a&wait=60s", "Accept: application/json\r\n");
    assert!(poll.starts_with("http/1.1 200 "), "{poll}");
    assert!(poll.contains("content-type: application/json\r\n"), "{poll}");
    assert!(poll.contains("cache-control: no-store\r\n"), "{poll}");
    let upgrade = crate::harness::frames::UPGRADE;
    for headers in ["", upgrade] {
        let stream = head("/v1/events?topic=a", headers);
        assert!(stream.starts_with("http/1.1 200 "), "{stream}");
        for line in ["content-type: text/event-stream\r\n", "cache-control: no-store\r\n"] {
            assert!(stream.contains(line), "{stream}");
        }
    }
    let wrong = head("/v1/events?topic=a&after=yesterday", "Accept: application/json\r\n");
    assert!(wrong.starts_with("http/1.1 400 "), "{wrong}");
}

#[test]
fn a_slash_too_many_is_told() {
    let server = Server::start();
    for path in ["/v1/events/?topic=a", "/v1/topics/", "/healthz/", "/api/v1/query/?query=up"] {
        let answer = get(server.address(), path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["detail"].as_str().is_some_and(|it| it.contains("leave it out")));
    }
    let topic = get(server.address(), "/v1/topics/a/");
    assert_eq!((topic.status, &topic.json()["code"]), (400, &"topic_invalid".into()));
}
