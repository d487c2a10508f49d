//! One head, one opinion: the same request is answered alike whether it is the first of its
//! connection, which may never meet hyper, or comes behind others, or over HTTP/2.

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Answer, Http2, Raw, Request, Server, bellwire, request};

/// A server that asks who comes, and the key of somebody who may follow `teams/red/**`.
fn guarded(flags: &[&str]) -> (Server, String, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let made = bellwire(&["key", "make", "--subject", "red", "--role", "team"]).output();
    let made = String::from_utf8(made.expect("it runs").stdout).expect("text");
    let (key, table) = made.split_once('\n').expect("a key, then a table");
    let role = "[[access.role]]\nname = \"team\"\nsubscribe = [\"teams/red/**\"]\n";
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, format!("{role}{table}")).expect("written");
    let config = ["--config", path.to_str().expect("text")];
    let server = Server::start_with(&[&config[..], flags].concat());
    (server, key.trim().to_owned(), folder)
}

/// The status of the answer, and the code of the problem where it is one.
fn told(answer: &Answer) -> String {
    let problem = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    format!("{} {}", answer.status, problem["code"].as_str().unwrap_or_default()).trim().to_owned()
}

/// Sends a head and reads the answer; a stream is left where it begins.
fn sent(raw: &mut Raw, head: &[u8]) -> Answer {
    raw.send(head);
    let text = raw.until("\r\n\r\n");
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    let mut answer =
        Answer { status: status.expect("a status"), headers: headers.collect(), body: Vec::new() };
    let length = answer.header("content-length").map(|length| length.parse().expect("a number"));
    answer.body = vec![0; length.unwrap_or(0)];
    raw.try_read(&mut answer.body).expect("the whole body");
    answer
}

/// The answer to a head that is the first of its connection, and to one behind another request.
fn both(server: &Server, head: &[u8]) -> [Answer; 2] {
    ["", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"].map(|before| {
        let mut raw = Raw::connect(server.address());
        if !before.is_empty() {
            raw.send(before);
            assert_eq!(raw.answer().status, 200);
        }
        sent(&mut raw, head)
    })
}

/// Shows who comes; the key is put in where it stands.
const KEY: &str = "Authorization: Bearer KEY";
const SESSION: &str = "Cookie: __Host-bellwire=bws_x";
const GOOD: &str = "/v1/events?topic=teams/red/a";

/// What is asked for, with which headers, and what the answer is.
const ODD: &[(&str, &[&str], &str)] = &[
    (GOOD, &[KEY], "200"),
    (GOOD, &[], "401 credential_missing"),
    (GOOD, &[KEY, KEY], "401 credential_invalid"),
    (GOOD, &["Authorization: Bearer"], "401 credential_invalid"),
    (GOOD, &["Authorization: Bearer \u{e9}"], "401 credential_invalid"),
    (GOOD, &["Authorization: Digest x"], "401 credential_invalid"),
    (GOOD, &[SESSION], "401 credential_invalid"),
    (GOOD, &[SESSION, SESSION], "401 credential_invalid"),
    (GOOD, &[KEY, SESSION, "Cookie: a=b"], "200"),
    (GOOD, &[KEY, "Accept: text/event-stream", "Accept: text/event-stream"], "200"),
    (GOOD, &[KEY, "Accept: image/png"], "406 not_acceptable"),
    (GOOD, &[KEY, "Last-Event-ID: e1-1", "Last-Event-ID: e1-1"], "400 parameter_invalid"),
    (GOOD, &[KEY, "Last-Event-ID: \u{e9}"], "400 cursor_invalid"),
    (GOOD, &[KEY, "Origin: https://a.example", "Origin: https://b.example"], "200"),
    (GOOD, &[KEY, "X-A: b\r\n c"], "400 head_malformed"),
    (GOOD, &[KEY, "X A: b"], "400 head_malformed"),
    (GOOD, &[KEY, "X-A : b"], "400 head_malformed"),
    (GOOD, &[KEY, "Host: localhost"], "400 head_malformed"),
    ("/v1/events?topic=teams/red/a#x", &[KEY], "200"),
    ("/v1/events#?topic=teams/red/a", &[KEY], "400 topic_invalid"),
    ("/v1/events?topic=teams/red/a&ticket=bwt_x", &[KEY], "200"),
    ("/v1/events?topic=teams/red/a&ticket=bwt_x", &[], "401 credential_invalid"),
    ("/v1/topics?ticket=bwt_x", &[], "401 credential_missing"),
    ("http://localhost/v1/events?topic=teams/red/a", &[KEY], "200"),
    ("http://evil.example/v1/events?topic=teams/red/a", &[KEY], "421 host_unknown"),
    ("ftp://localhost/v1/events?topic=teams/red/a", &[KEY], "200"),
    ("http://me@localhost/v1/events?topic=teams/red/a", &[KEY], "421 host_unknown"),
    ("//localhost/v1/events?topic=teams/red/a", &[KEY], "404 not_found"),
    ("localhost:80", &[KEY], "404 not_found"),
    ("*", &[KEY], "404 not_found"),
    ("/v1/./events?topic=teams/red/a", &[KEY], "404 not_found"),
    ("/v1//events?topic=teams/red/a", &[KEY], "404 not_found"),
    ("/v1/events/?topic=teams/red/a", &[KEY], "404 not_found"),
    ("/v1/%65vents?topic=teams/red/a", &[KEY], "404 not_found"),
    ("/V1/events?topic=teams/red/a", &[KEY], "404 not_found"),
    ("/v1/events;x?topic=teams/red/a", &[KEY], "404 not_found"),
    ("/v1/events?topic=teams/red/a b", &[KEY], "400 head_malformed"),
    ("/v1/events?topic=teams/red/a\u{1}", &[KEY], "400 head_malformed"),
    ("/v1/events?topic=teams/red/a\t", &[KEY], "400 head_malformed"),
    ("/v1/events?topic=teams/red/\u{e9}", &[KEY], "200"),
    ("/v1/events?topic=teams/red/\"<>\\^`{|}", &[KEY], "400 head_malformed"),
    ("/v1/events?topic=teams/red/%", &[KEY], "400 parameter_invalid"),
    ("/v1/events?topic=teams/red/%zz", &[KEY], "400 parameter_invalid"),
    ("/v1/events?topic=teams/red/%00", &[KEY], "400 topic_invalid"),
    ("/v1/events?topic=teams/red/%C3", &[KEY], "400 utf8_invalid"),
    ("/v1/events?topic=teams%2Fred%2Fa", &[KEY], "200"),
    ("/v1/events?topic=teams/blue/a", &[KEY], "403 forbidden"),
    ("/v1/events?topic=teams/red/a?topic=b", &[KEY], "200"),
    ("/v1/events?topic=teams/red/a&&topic=", &[KEY], "400 topic_invalid"),
    ("/v1/events?", &[KEY], "400 topic_invalid"),
    ("/v1/events", &[KEY], "400 topic_invalid"),
];

#[test]
fn an_odd_head_is_answered_alike_on_every_path() {
    let (server, key, _folder) = guarded(&[]);
    let mut http2 = Http2::plain(server.address()).by_name("localhost");
    for (target, headers, expected) in ODD {
        let headers: Vec<_> = headers.iter().map(|line| line.replace("KEY", &key)).collect();
        let lines: Vec<_> = headers.iter().map(|line| line.clone() + "\r\n").collect();
        let lines = lines.concat();
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
        for (answer, place) in both(&server, head.as_bytes()).iter().zip(["first", "later"]) {
            assert_eq!(told(answer), *expected, "{place}: {head}");
        }
        let pairs: Vec<_> = headers.iter().filter_map(|line| line.split_once(": ")).collect();
        let has_its_letters = |name: &str, value: &str| {
            HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok()
        };
        // HTTP/2 has no target in one piece, and another place for the host.
        if target.starts_with("/v1/")
            && target.parse::<Uri>().is_ok()
            && pairs.iter().all(|(name, value)| has_its_letters(name, value) && *name != "Host")
        {
            let request = Request { method: "GET", path: target, headers: &pairs, body: b"" };
            assert_eq!(told(&http2.begin(request)), *expected, "HTTP/2: {head}");
        }
    }
}

/// What a page needs to read an answer.
fn shared(answer: &Answer) -> (Option<&str>, Option<&str>, bool) {
    let varies = answer.headers.iter().any(|(name, value)| name == "vary" && value == "Origin");
    let header = |name| answer.header(name);
    (header("access-control-allow-origin"), header("access-control-expose-headers"), varies)
}

/// What pages of allowed origins may read of answers.
const EXPOSED: &str = "bellwire-version, etag, location, producer-epoch, \
                       producer-expected-seq, producer-received-seq, producer-seq, retry-after, \
                       stream-closed, stream-cursor, stream-expires-at, stream-next-offset, \
                       stream-sse-data-encoding, stream-ttl, stream-up-to-date, www-authenticate";

#[test]
fn a_page_of_an_allowed_origin_reads_every_refusal_and_others_read_none() {
    let origins = ["https://app.example", "https://else.example"];
    let (server, key, _folder) = guarded(&["--allowed-origins", origins[0]]);
    let key = format!("Authorization: Bearer {key}\r\n");
    for (topic, key, status) in [("red/a", "", 401), ("blue/a", &*key, 403), ("red/a", &key, 200)] {
        for (origin, is_allowed) in origins.iter().zip([true, false]) {
            let head = format!(
                "GET /v1/events?topic=teams/{topic} HTTP/1.1\r\nHost: localhost\r\n\
                 Origin: {origin}\r\n{key}\r\n"
            );
            for answer in both(&server, head.as_bytes()) {
                let headers = (Some(*origin), Some(EXPOSED), true);
                let expected = if is_allowed { headers } else { (None, None, false) };
                assert_eq!((answer.status, shared(&answer)), (status, expected), "{head}");
            }
        }
    }
    // Whoever finds no room is told so ahead of everything else.
    let full = Server::start_with(&["--connections-max", "1", "--allowed-origins", origins[0]]);
    let first = Raw::connect(full.address());
    for path in ["/v1/topics", "/v1/events?topic=a"] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nOrigin: {}\r\n\r\n", origins[0]);
        let answer = sent(&mut Raw::connect(full.address()), head.as_bytes());
        assert_eq!((answer.status, shared(&answer).0), (503, Some(origins[0])), "{path}");
    }
    drop(first);
}

#[test]
fn a_ticket_is_looked_for_where_it_opens_a_stream_and_nowhere_else() {
    let (server, ..) = guarded(&[]);
    let ask = |method: &str, path: &str| {
        let path = format!("{path}?topic=a&ticket=bwt_x");
        let request_ = Request { method, path: &path, headers: &[], body: b"" };
        told(&request(server.address(), request_))
    };
    let [invalid, missing] =
        ["credential_invalid", "credential_missing"].map(|code| format!("401 {code}"));
    assert_eq!(ask("GET", "/v1/events"), invalid);
    for (method, path) in [
        ("POST", "/v1/events"),
        ("GET", "/v1/topics/a"),
        ("POST", "/v1/topics/a"),
        ("GET", "/metrics"),
    ] {
        assert_eq!(ask(method, path), missing, "{method} {path}");
    }
}

#[test]
fn a_method_asks_what_its_route_asks_and_none_that_is_not_there_gets_through() {
    let (server, key, _folder) = guarded(&[]);
    let paths = [
        "/v1/events?topic=teams/red/a",
        "/v1/topics",
        "/v1/topics/teams/red/a",
        "/v1/topics/teams/blue/a",
        "/v1/alerts",
        "/v1/whoami",
        "/api/v1/rules",
        "/metrics",
        "/healthz",
        "/",
        "/-/reload",
    ];
    let status = |method: &str, path: &str, key: &str| {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{key}\r\n");
        let mut raw = Raw::connect(server.address());
        raw.send(head);
        let head = raw.until("\r\n\r\n");
        head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).expect("a status")
    };
    let key = format!("Authorization: Bearer {key}\r\n");
    for path in paths {
        for key in ["", &key] {
            assert_eq!(status("HEAD", path, key), status("GET", path, key), "{path} {key:?}");
            for method in ["PUT", "PATCH", "TRACE", "CONNECT", "SOMETHING", "get"] {
                let expected = match method {
                    // It is how HTTP/2 asks for a WebSocket.
                    "CONNECT" if path.starts_with("/v1/events") && key.is_empty() => 401,
                    // It renews a key, which who only reads may not.
                    "PATCH" if path.starts_with("/v1/topics/") && key.is_empty() => 401,
                    "PATCH" if path.starts_with("/v1/topics/") => 403,
                    _ => 405,
                };
                assert_eq!(status(method, path, key), expected, "{method} {path} {key:?}");
            }
        }
    }
}
