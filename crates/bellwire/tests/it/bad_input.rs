//! What is wrong is told: what, where, and what to do. Nothing crashes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::harness::{Answer, PATIENCE, Raw, Request, Server, get, post, request};

#[track_caller]
fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
}

/// Sends bytes as they are; returns all that comes back.
fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // A server that has answered already may not read the rest.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn each_wrong_request_has_its_problem() {
    let server = Server::start();
    let address = server.address();
    let many = (0..65).fold(String::new(), |many, number| many + &format!("&topic=t{number}"));
    let deep = vec!["a"; 17].join("/");
    let gets = [
        ("/nothing/here", 404, "not_found"),
        ("/v1/events", 400, "topic_invalid"),
        ("/v1/events?topic=a//b", 400, "topic_invalid"),
        ("/v1/events?topic=a/**/b", 400, "topic_invalid"),
        ("/v1/events?topic=a%FF", 400, "utf8_invalid"),
        ("/v1/topics/a%FF", 400, "topic_invalid"),
        (&format!("/v1/events?topic={deep}"), 400, "topic_invalid"),
        (&format!("/v1/events?x=1{many}"), 400, "parameter_invalid"),
        (&format!("/v1/events?{}", &many[1..]), 400, "topic_invalid"),
        ("/v1/events?topic=a&after=yesterday", 400, "cursor_invalid"),
        ("/v1/events?topic=a&wait=forever", 400, "parameter_invalid"),
        ("/v1/events?topic=a&format=xml", 400, "parameter_invalid"),
        ("/v1/topics/a?limit=0", 400, "parameter_invalid"),
        ("/v1/topics/a?after=e1", 400, "cursor_invalid"),
        ("/v1/topics/a%00b", 400, "topic_invalid"),
    ];
    for (path, status, code) in gets {
        assert_problem(&get(address, path), status, code);
    }
}

/// Path, content type and body; status and code of the problem. With status 200 the problem stands
/// in the item's result.
const POSTS: [(&str, &str, &[u8], u16, &str); 16] = [
    ("/v1/topics/alerts/active", "text/plain", b"x", 403, "topic_reserved"),
    ("/v1/topics/$sys/x", "text/plain", b"x", 403, "topic_reserved"),
    ("/v1/topics/a", "application/json", b"{\"a\":", 400, "json_invalid"),
    ("/v1/topics/a", "text/plain", b"\xff\xfe", 400, "utf8_invalid"),
    ("/v1/events", "application/json", b"[{]", 400, "json_invalid"),
    ("/v1/events", "application/json", b"{\"topic\":1}", 200, ""),
    ("/v1/samples", "application/json", b"", 400, "body_empty"),
    ("/v1/samples", "application/json", b"[{\"name\":\"t\",\"value\":NaN}]", 400, "json_invalid"),
    (
        "/v1/samples",
        "application/json",
        b"{\"name\":\"t\",\"value\":1e999}",
        400,
        "samples_invalid",
    ),
    (
        "/v1/samples",
        "application/json",
        b"{\"name\":\"t\",\"value\":\"Inf\"}",
        400,
        "samples_invalid",
    ),
    ("/v1/samples", "application/json", b"{\"name\":\"\",\"value\":1}", 400, "samples_invalid"),
    (
        "/v1/samples",
        "application/json",
        b"{\"name\":\"t\",\"value\":1,\"timestamp\":5}",
        400,
        "samples_invalid",
    ),
    (
        "/v1/samples",
        "application/json",
        b"{\"name\":\"t\",\"value\":1,\"timestamp\":99999999999999}",
        400,
        "samples_invalid",
    ),
    ("/v1/samples", "application/json", b"{\"name\":\"t\",\"valeu\":1}", 400, "samples_invalid"),
    ("/v1/samples", "application/json", b"{\"name\":\"\xff\",\"value\":1}", 400, "json_invalid"),
    ("/healthz", "text/plain", b"", 405, "method_not_allowed"),
];

#[test]
fn each_wrong_body_has_its_problem() {
    let server = Server::start();
    let address = server.address();
    for (path, content_type, body, status, code) in POSTS {
        let headers = [("Content-Type", content_type)];
        let answer = request(address, Request { method: "POST", path, headers: &headers, body });
        if status == 200 {
            assert!(answer.json()["results"][0]["error"]["code"].is_string(), "{}", answer.text());
        } else {
            assert_problem(&answer, status, code);
        }
    }
    assert_eq!(get(address, "/healthz").status, 200, "it serves on");
}

#[test]
fn an_array_is_no_object_whose_members_it_has_in_their_order() {
    let server = Server::start();
    for (path, body) in [
        ("/v1/alerts/f80fe52511abebdc/ack", r#"["ada","on it"]"#),
        ("/v1/silences/preview", r#"["{a=\"b\"}"]"#),
        ("/v1/silences/preview", r#"{"matchers":[["a","b",true,false]]}"#),
        ("/api/v2/silences", r#"[null,[],null,"2099-01-01T00:00:00Z","ada","x",null,false]"#),
        (
            "/api/v2/silences",
            r#"{"matchers":[["a","b",true,false]],"startsAt":"2026-01-01T00:00:00Z","endsAt":"2099-01-01T00:00:00Z","createdBy":"ada","comment":"x"}"#,
        ),
        ("/api/v2/alerts", r#"[[{"alertname":"a"}]]"#),
    ] {
        let answer = post(server.address(), path, body);
        let told = answer.text();
        assert_eq!(answer.status, 400, "{path} {body}: {told}");
        assert!(told.contains("object"), "{path} {body}: {told}");
        // Nothing of how it is read.
        assert!(!told.contains("struct") && !told.contains("enum"), "{path} {body}: {told}");
    }
}

#[test]
fn what_is_wrong_is_told_in_few_words_however_long_it_is() {
    let long = "é\\\"".repeat(200_000);
    let server = Server::start();
    let posts = [
        ("/v1/events", format!("\"{long}\"")),
        ("/v1/events", format!("[{{\"{long}\":1}}]")),
        ("/v1/events", format!("[{{\"topic\":\"{long}\",\"data\":1}}]")),
        ("/v1/events", format!("[{{\"topic\":\"a\",\"key\":\"{long}\",\"data\":1}}]")),
        ("/v1/events", format!("[{{\"topic\":\"a\",\"data\":1,\"encoding\":\"{long}\"}}]")),
        ("/v1/samples", format!("\"{long}\"")),
        ("/v1/samples", format!("[\"{long}\"]")),
        ("/v1/samples", format!("[{{\"{long}\":1}}]")),
        ("/v1/samples", format!("[{{\"name\":\"{long}\",\"value\":1}}]")),
        ("/v1/samples", format!("[{{\"name\":\"a\",\"value\":\"{long}\"}}]")),
        ("/v1/samples", format!("[{{\"name\":\"a\",\"value\":1,\"timestamp\":\"{long}\"}}]")),
        ("/v1/samples", format!("[{{\"name\":\"a\",\"value\":1,\"labels\":\"{long}\"}}]")),
        ("/v1/alerts/0123456789abcdef/ack", format!("\"{long}\"")),
        ("/v1/alerts/0123456789abcdef/ack", format!("{{\"{long}\":1}}")),
        ("/v1/silences/preview", format!("\"{long}\"")),
        ("/api/v2/silences", format!("{{\"matchers\":\"{long}\"}}")),
        ("/api/v2/alerts", format!("[{{\"labels\":\"{long}\"}}]")),
        ("/write", format!("{long} value={long}")),
        ("/api/v1/query", format!("query={}", "%22".repeat(2_000))),
        ("/api/v1/query", format!("query=up&time={}", "x".repeat(50_000))),
        ("/api/v1/query_range", format!("query={}", "a".repeat(50_000))),
    ];
    for (path, body) in posts {
        let answer = post(server.address(), path, &body);
        let about = format!("{path}: {}", body.chars().take(60).collect::<String>());
        let is_told = answer.status >= 400 || answer.text().contains("error");
        assert!(is_told, "{about}: {} {}", answer.status, answer.text());
        assert!(answer.body.len() < 4_096, "{about}: {} bytes", answer.body.len());
    }
}

#[test]
fn one_wrong_sample_or_event_does_not_harm_its_neighbours() {
    let server = Server::start();
    let address = server.address();
    let samples =
        "{\"name\":\"t\",\"value\":1}\n{\"name\":\"t\"}\n\n{\"name\":\"u\",\"value\":2}\n";
    let answer = post(address, "/v1/samples", samples).json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&2.into(), &1.into()));
    assert_eq!(answer["errors"][0]["line"], 2);
    assert_eq!(answer["errors"][0]["code"], "value_missing");

    let events = r#"[{"topic":"a","data":1},{"topic":"b//c","data":2},{"topic":"a","data":3}]"#;
    let results = post(address, "/v1/events", events).json();
    assert!(results["results"][0]["cursor"].is_string());
    assert_eq!(results["results"][1]["error"]["code"], "topic_invalid");
    let kept = get(address, "/v1/topics/a").json();
    let data: Vec<_> =
        kept["events"].as_array().expect("events").iter().map(|e| &e["data"]).collect();
    assert_eq!(data, [&1, &3]);
}

#[test]
fn broken_heads_are_answered_and_closed() {
    let server = Server::start();
    let address = server.address();
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(9_000));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(70));
    let cases = [
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", "400", "head_malformed"),
        ("\u{0}\u{1}\u{2}\r\n\r\n", "400", "head_malformed"),
        ("PRI * HTTP/2.0\r\n\r\nXY\r\n\r\n", "400", "head_malformed"),
        ("\u{16}\u{3}\u{1} a TLS handshake", "400", "use http://"),
        (&long, "431", "head_too_large"),
        (&many, "431", "head_too_large"),
    ];
    for (head, status, text) in cases {
        let answer = raw(address, head.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head:?}: {answer}");
        assert!(answer.contains(text), "{head:?}: {answer}");
    }
    assert_eq!(get(address, "/healthz").status, 200);
}

/// The only test that waits for the server's own limit of ten seconds.
#[test]
fn a_head_that_does_not_end_is_given_up() {
    let server = Server::start();
    let mut later = Raw::connect(server.address());
    later.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(later.answer().status, 200);
    later.send("GET /healthz HTTP/1.1\r\nX-Slow: ");
    let mut pipelined = Raw::connect(server.address());
    pipelined.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nX-Slow: ");
    assert_eq!(pipelined.answer().status, 200);
    let answer = raw(server.address(), b"GET /v1/events?topic=a HTTP/1.1\r\nX-Slow: ");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("head_timeout"), "{answer}");
    // A later one has as long: silence between two requests is another matter.
    for mut later in [later, pipelined] {
        assert_problem(&later.answer(), 408, "head_timeout");
        assert_eq!(later.rest(), b"");
    }
}

#[test]
fn bodies_are_bounded_also_when_they_are_compressed() {
    let server = Server::start();
    let address = server.address();
    let large = vec![b'x'; 1024 * 1024 + 1];
    assert_problem(&post(address, "/v1/topics/a", &large), 413, "body_too_large");

    let headers = [("Content-Encoding", "gzip"), ("Content-Type", "text/plain")];
    let gzip = |body: &[u8]| {
        let path = "/v1/topics/a";
        request(address, Request { method: "POST", path, headers: &headers, body })
    };
    assert_problem(&gzip(b"not gzip at all"), 400, "body_invalid");
    // 4 MiB of zeros in a few bytes: stored blocks would be as long as what they hold.
    assert_problem(&gzip(&bomb()), 413, "body_too_large");
    let headers = [("Content-Encoding", "GZip"), ("Content-Type", "text/plain")];
    let path = "/v1/topics/a";
    let body = gzip_of(b"x");
    let answer = request(address, Request { method: "POST", path, headers: &headers, body: &body });
    assert_eq!(answer.status, 201, "{}", answer.text());
    let headers = [("Content-Encoding", "br")];
    let path = "/v1/topics/a";
    let answer = request(address, Request { method: "POST", path, headers: &headers, body: b"x" });
    assert_problem(&answer, 415, "encoding_unsupported");
}

#[test]
fn who_asks_before_sending_too_much_is_told_at_once() {
    let server = Server::start();
    let length = 10_000_000_000_u64;
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    );
    let answer = raw(server.address(), head.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("\"code\":\"body_too_large\""), "{answer}");
}

/// Four MiB of zeros as gzip.
fn bomb() -> Vec<u8> {
    gzip_of(&vec![0; 4 * 1024 * 1024])
}

fn gzip_of(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}
