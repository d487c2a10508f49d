//! By which names a server may be asked: a page can point its own name here, and is then of the same
//! origin to its browser.

use crate::harness::{Authority, Http2, Raw, Server};

/// What is asked of a server, by a name.
fn requests(host: &str) -> [String; 7] {
    [
        format!("GET /v1/events?topic=a HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!(
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n"
        ),
        format!("GET /v1/events?topic=a HTTP/1.0\r\nHost: {host}\r\n\r\n"),
        format!(
            "GET /v1/events HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ),
        format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("GET http://{host}/v1/alerts HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("POST /v1/topics/lab/a HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\n\r\n1"),
    ]
}

/// The status of each of them.
fn statuses(server: &Server, host: &str) -> Vec<String> {
    let status = |request: String| {
        let mut raw = Raw::connect(server.address());
        raw.send(request);
        let line = raw.line().expect("a status line");
        line.split(' ').nth(1).expect("a status").to_owned()
    };
    requests(host).into_iter().map(status).collect()
}

#[test]
fn a_strangers_name_gets_nothing_on_any_path() {
    let server = Server::start_with(&["--hosts", "*.bellwire.example", "--hosts", "metrics"]);
    let port = server.address().port();
    for host in ["evil.example", "bellwire.example", "127.0.0.1.evil.example", "x"] {
        assert_eq!(statuses(&server, &format!("{host}:{port}")), ["421"; 7], "{host}");
    }
    let known = ["200", "200", "200", "101", "200", "200", "201"];
    for host in ["127.0.0.1", "localhost", "[::1]", "192.0.2.7", "a.bellwire.example", "METRICS."] {
        assert_eq!(statuses(&server, &format!("{host}:{port}")), known, "{host}");
    }
}

#[test]
fn the_refusal_says_which_flag_makes_a_name_known() {
    let server = Server::start();
    let mut raw = Raw::connect(server.address());
    raw.send("GET /metrics HTTP/1.1\r\nHost: metrics.example:8080\r\n\r\n");
    let answer = raw.answer();
    assert_eq!((answer.status, &answer.json()["code"]), (421, &"host_unknown".into()));
    let detail = answer.json()["detail"].as_str().expect("a text").to_owned();
    assert!(detail.contains("`--hosts metrics.example`"), "{detail}");
    // The connection goes on: others may come through the same proxy.
    raw.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(raw.answer().status, 200);
    raw.send("GET /v1/events?topic=a HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(raw.answer().status, 421);
}

#[test]
fn who_names_no_host_is_no_browser() {
    let server = Server::start();
    for target in ["/healthz", "/v1/events?topic=a"] {
        let mut raw = Raw::connect(server.address());
        raw.send(format!("GET {target} HTTP/1.0\r\n\r\n"));
        let line = raw.line().expect("a status line");
        assert!(line.ends_with(" 200 OK"), "{target}: {line}");
    }
}

#[test]
fn the_authority_of_http2_is_a_name_like_any_other() {
    let server = Server::start();
    for (authority, status) in [("evil.example", 421), ("localhost:1", 200)] {
        let mut client = Http2::plain(server.address()).by_name(authority);
        for path in ["/healthz", "/v1/alerts"] {
            assert_eq!(client.get(path).status, status, "{authority} {path}");
        }
    }
    let mut client = Http2::plain(server.address()).by_name("evil.example");
    assert_eq!(client.get("/v1/events?topic=a").status, 421);
}

#[test]
fn the_names_of_the_certificate_are_known() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority, &["--hosts", "other.example"]);
    let status = |host: &str| {
        let mut raw = authority.connect(server.address());
        raw.send(format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        raw.answer().status
    };
    assert_eq!(["bellwire.test", "other.example", "evil.example"].map(status), [200, 200, 421]);
}
