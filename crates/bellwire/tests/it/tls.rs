//! TLS at the front door: who gets in, what happens when the certificate changes, and that clients
//! that misbehave cost as little as they do without TLS.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use bellwire_wire::ws::{
    self, CloseCode, Compression, Decoder, Inflater, Input, Opcode, Received, Role,
};
use rustls::{ProtocolVersion, version};
use serde_json::{Value, json};

use crate::harness::{Answer, Authority, Http2, Process, Raw, Server, TlsStream, connect, get};

const FOLLOW: &str = "GET /v1/events?topic=lab/a HTTP/1.1\r\nHost: x\r\n\r\n";
const HEALTHZ: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

fn ask(authority: &Authority, address: SocketAddr, path: &str) -> Answer {
    let mut raw = authority.connect(address);
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    raw.answer()
}

fn publish(authority: &Authority, address: SocketAddr, topic: &str, body: &str) -> String {
    let path = format!("/v1/topics/{topic}");
    authority.connect(address).try_post(&path, "", body).expect("an answer").cursor()
}

/// An open stream that has got `ready`.
fn follow(authority: &Authority, address: SocketAddr) -> Raw<TlsStream> {
    let mut raw = authority.connect(address);
    raw.send(FOLLOW);
    until_live(&mut raw);
    raw
}

fn until_live(raw: &mut Raw<TlsStream>) {
    raw.until("event: ready");
    raw.until("}\n\n\r\n");
}

fn figure(authority: &Authority, address: SocketAddr, name: &str) -> u64 {
    let metrics = ask(authority, address, "/metrics");
    let line = metrics.text().lines().find(|line| line.split(' ').next() == Some(name));
    let value = line.and_then(|line| line.split(' ').nth(1)?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name}: {}", metrics.text()))
}

/// What has ended is noticed a moment later. Who asks is one connection.
#[track_caller]
fn wait_for_figure(authority: &Authority, address: SocketAddr, (name, expected): (&str, u64)) {
    let reached = (0..10_000).any(|_| figure(authority, address, name) == expected);
    assert!(reached, "{name} does not become {expected}");
}

/// The certificate that the server shows to who comes now.
fn certificate(authority: &Authority, address: SocketAddr) -> Vec<u8> {
    let mut raw = authority.connect(address);
    raw.stream().conn.peer_certificates().expect("a certificate")[0].to_vec()
}

fn wait_for_certificate(authority: &Authority, address: SocketAddr, expected: &[u8]) {
    let shown = (0..10_000).map(|_| certificate(authority, address)).any(|shown| shown == expected);
    assert!(shown, "the old certificate is still shown");
}

#[test]
fn requests_and_streams_are_served_over_every_version() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority, &[]);
    let address = server.address();
    for (version, number) in
        [(&version::TLS13, ProtocolVersion::TLSv1_3), (&version::TLS12, ProtocolVersion::TLSv1_2)]
    {
        let config = authority.client_config(&[version], &[]);
        let mut raw = connect(address, config.clone());
        assert_eq!(raw.stream().conn.protocol_version(), Some(number));
        // A stream at once, and one on a connection that has served other requests.
        raw.send(FOLLOW);
        until_live(&mut raw);
        let mut used = connect(address, config);
        for _ in 0..2 {
            used.send(HEALTHZ);
            assert_eq!(used.answer().status, 200);
        }
        used.send(FOLLOW);
        until_live(&mut used);
        let cursor = publish(&authority, address, "lab/a", "\"over TLS\"");
        for raw in [&mut raw, &mut used] {
            raw.until(&format!("id: {cursor}\n"));
            raw.until("over TLS");
        }
    }
}

#[test]
fn an_end_right_behind_the_request_of_a_stream_is_noticed() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority, &["--heartbeat-interval", "200ms"]);
    let mut raw = authority.connect(server.address());
    // One flight, and TCP stays open.
    let session = &mut raw.stream().conn;
    session.writer().write_all(FOLLOW.as_bytes()).expect("room");
    session.send_close_notify();
    raw.stream().flush().expect("the server reads");
    let has_ended = (0..50).any(|_| raw.some().map_or(true, |some| some.is_empty()));
    assert!(has_ended, "heartbeats go on");
}

#[test]
fn a_client_that_does_not_trust_the_certificate_is_none() {
    let server = Server::start_with_tls(&Authority::new(), &[]);
    let stranger = Authority::new();
    let config = stranger.client_config(rustls::ALL_VERSIONS, &[]);
    let session = rustls::ClientConnection::new(config, crate::harness::server_name());
    let socket = Raw::connect(server.address()).into_socket();
    let mut stream = rustls::StreamOwned::new(session.expect("a configuration"), socket);
    let error = stream.write_all(HEALTHZ.as_bytes()).expect_err("no handshake");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn who_speaks_the_wrong_protocol_is_told() {
    let authority = Authority::new();
    let secure = Server::start_with_tls(&authority, &[]);
    assert!(secure.url().starts_with("https://"), "{}", secure.url());
    let answer = get(secure.address(), "/healthz");
    assert_eq!((answer.status, &answer.json()["code"]), (400, &"tls_required".into()));
    // What is no request at all just ends.
    let mut raw = Raw::connect(secure.address());
    raw.send("\u{1}\u{2}\u{3}");
    assert_eq!(raw.rest(), b"");

    let plain = Server::start();
    let config = authority.client_config(rustls::ALL_VERSIONS, &[]);
    let session = rustls::ClientConnection::new(config, crate::harness::server_name());
    let socket = Raw::connect(plain.address()).into_socket();
    let mut stream = rustls::StreamOwned::new(session.expect("a configuration"), socket);
    let error = stream.write_all(b"x").expect_err("no handshake");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "no reset: {error}");
    assert_eq!(get(plain.address(), "/healthz").status, 200);
}

#[test]
fn a_pair_that_is_none_stops_the_start() {
    let authority = Authority::new();
    authority.write("other.key", &authority.pair().key);
    authority.write("text.pem", "hello");
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| authority.path(name));
    let [other, text, missing] =
        ["other.key", "text.pem", "missing.pem"].map(|name| authority.path(name));
    let cases: [(&[&str], &str); 5] = [
        (&["--tls-certificate", &certificate], "set `tls_key` too"),
        (&["--tls-key", &key], "set `tls_certificate` too"),
        (&["--tls-certificate", &missing, "--tls-key", &key], "missing.pem"),
        (&["--tls-certificate", &text, "--tls-key", &key], "has no certificate"),
        (&["--tls-certificate", &certificate, "--tls-key", &other], "does not belong"),
    ];
    let data = authority.path("data");
    for (flags, expected) in cases {
        let mut arguments = vec!["serve", "--listen", "127.0.0.1:0", "--data", &data];
        arguments.extend(flags);
        let (code, output, errors) = Process::start(&arguments).finish();
        assert_eq!((code, output.as_str()), (Some(1), ""), "{flags:?}");
        assert!(errors.contains(expected), "{flags:?}: {errors}");
    }
}

#[test]
fn a_new_certificate_is_shown_to_who_comes_and_drops_nobody() {
    let authority = Authority::new();
    let mut server = Server::start_with_tls(&authority, &[]);
    let address = server.address();
    let mut follower = follow(&authority, address);
    let first = certificate(&authority, address);

    // By itself, and only when both files are there.
    let pair = authority.pair();
    authority.write("certificate.pem", &pair.certificate);
    authority.write("key.pem", &pair.key);
    assert_ne!(first, pair.der);
    wait_for_certificate(&authority, address, &pair.der);

    // A pair that is none is told of, and not taken.
    let broken = authority.pair();
    authority.write("key.pem", &broken.key);
    server.process().signal("HUP");
    server.process().wait_for_error("does not belong");
    let expiry = figure(&authority, address, "bellwire_tls_certificate_expiry_timestamp_seconds");
    assert!(expiry > 0);
    assert_eq!(certificate(&authority, address), pair.der);

    // At a signal.
    authority.write("certificate.pem", &broken.certificate);
    server.process().signal("HUP");
    wait_for_certificate(&authority, address, &broken.der);

    // Those who came before are as they were.
    let cursor = publish(&authority, address, "lab/a", "1");
    follower.until(&format!("id: {cursor}\n"));
}

#[test]
fn who_comes_and_does_not_go_on_is_given_up() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority, &[]);
    let address = server.address();
    let mut silent = Raw::connect(address);
    let mut begun = Raw::connect(address);
    begun.send(b"\x16\x03\x01\x02\x00\x01\x00");
    let mut secured = authority.connect(address);
    let mut slow = authority.connect(address);
    slow.send("GET /v1/events?topic=lab/a HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    let config = authority.client_config(rustls::ALL_VERSIONS, &["h2"]);
    let mut speechless = connect(address, config);
    // A connection of HTTP/2 without a request.
    let idle = Http2::secure(address, &authority);

    // It has to take part in its own end.
    idle.ended().expect("an end in order");
    assert_eq!(silent.rest(), b"");
    assert_eq!(begun.rest(), b"");
    assert_eq!(secured.rest(), b"");
    assert!(String::from_utf8_lossy(&slow.rest()).starts_with("HTTP/1.1 408"));
    // At most its settings, and that it is to end.
    speechless.rest();
    assert!(figure(&authority, address, "bellwire_tls_handshakes_failed_total") >= 2);
    wait_for_figure(&authority, address, ("bellwire_connections_open", 1));
}

#[test]
fn handshakes_that_break_off_leave_nothing_behind() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority, &[]);
    let address = server.address();
    for index in 0..400 {
        let mut raw = Raw::connect(address);
        match index % 4 {
            0 => raw.send(b"\x16\x03\x01"),
            1 => raw.send(b"\x16garbage garbage garbage"),
            2 => drop(authority.connect(address)),
            _ => drop(follow(&authority, address)),
        }
    }
    wait_for_figure(&authority, address, ("bellwire_connections_open", 1));
    assert_eq!(figure(&authority, address, "bellwire_streams_open"), 0);
}

/// Publishes events of 50 KB; the number of them.
fn publish_bulk(authority: &Authority, address: SocketAddr, megabytes: usize) -> usize {
    let data = "x".repeat(50_000);
    let total = megabytes * 20;
    let mut raw = authority.connect(address);
    for first in (0..total).step_by(50) {
        let mut lines = Vec::new();
        for n in first..first + 50 {
            writeln!(lines, "{{\"topic\":\"lab/a\",\"data\":{{\"n\":{n},\"x\":\"{data}\"}}}}")
                .expect("a text grows");
        }
        let answer = raw.try_post("/v1/events", "", &lines).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    total
}

#[test]
fn a_client_may_change_its_keys_and_a_flood_of_changes_ends_its_connection() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority, &[]);
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut raw = authority.connect(server.address());
    for _ in 0..100 {
        raw.stream().conn.refresh_traffic_keys().expect("TLS 1.3");
        raw.send(request);
        assert_eq!(raw.answer().status, 200);
    }
    // Nothing is said any more, only keys are changed: in a stream and between requests.
    for mut raw in [raw, follow(&authority, server.address())] {
        let change = |_| {
            let TlsStream { conn, sock } = raw.stream();
            conn.refresh_traffic_keys().expect("TLS 1.3");
            conn.write_tls(sock).is_err()
        };
        assert!((0..100_000).any(change), "it goes on and on");
    }
    assert_eq!(ask(&authority, server.address(), "/healthz").status, 200);
}

#[test]
fn what_comes_behind_a_record_that_is_none_is_not_looked_at() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority, &[]);
    let address = server.address();
    // As application data, as a handshake, and as what there is not.
    for kind in [23, 22, 99] {
        let record = [&[kind, 3, 3, 0, 32][..], &[7; 32]].concat();
        let streams = [authority.connect(address), follow(&authority, address)];
        for mut raw in streams {
            raw.stream().sock.write_all(&record.repeat(100)).expect("it reads");
            raw.rest();
        }
    }
    assert_eq!(ask(&authority, address, "/healthz").status, 200);
}

#[test]
fn a_slow_reader_gets_everything_in_order_and_harms_nobody() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority, &[]);
    let address = server.address();
    let mut slow = follow(&authority, address);
    let mut other = follow(&authority, address);
    let total = publish_bulk(&authority, address, 40);
    for raw in [&mut other, &mut slow] {
        for n in 0..total {
            let begin = raw.until(&format!("\"data\":{{\"n\":{n},"));
            assert!(!begin.contains("gap"), "{begin}");
            raw.until("\n\n");
        }
    }
}

#[test]
fn who_takes_no_byte_for_long_is_cut_off() {
    let authority = Authority::new();
    let flags = ["--stall-timeout", "500ms", "--heartbeat-interval", "200ms"];
    let server = Server::start_with_tls(&authority, &flags);
    let address = server.address();
    let mut stalled = follow(&authority, address);
    publish_bulk(&authority, address, 20);
    wait_for_figure(&authority, address, ("bellwire_streams_open", 0));
    assert_eq!(figure(&authority, address, "bellwire_streams_stalled_total"), 1);
    stalled.rest();
}

#[test]
fn a_drain_says_good_bye_and_ends_the_session_in_order() {
    let authority = Authority::new();
    let mut server = Server::start_with_tls(&authority, &[]);
    let mut follower = follow(&authority, server.address());
    assert!(server.end().success());
    let mut rest = String::new();
    // An end without the protocol's own is an error here.
    follower.stream().read_to_string(&mut rest).expect("an end in order");
    assert!(rest.contains("event: bye"), "{rest}");
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "{rest}");
}

#[test]
fn a_websocket_talks_over_tls() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority, &[]);
    let mut raw = authority.connect(server.address());
    raw.send(
        "GET /v1/events?topic=lab/a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert!(raw.until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
    let mut talk = Talk { raw, decoder: Decoder::new(Role::Client, Compression::Off) };
    assert_eq!(talk.hear(1), ["ready"]);
    // Large requests are many records, and many reads of the shard.
    let data = "x".repeat(900_000);
    for id in 0..5 {
        let request = json!({ "request": "publish", "id": id, "topic": "lab/a", "data": data });
        talk.say(Opcode::Text, request.to_string().as_bytes());
    }
    let mut heard = talk.hear(10);
    heard.sort_unstable();
    assert_eq!(heard, ["0", "1", "2", "3", "4", "event", "event", "event", "event", "event"]);
    talk.say(Opcode::Close, &ws::close_payload(CloseCode::NORMAL, ""));
    assert_eq!(talk.hear(1), ["close"]);
    assert_eq!(talk.hear(1), [""; 0], "an end in order");
}

/// A WebSocket's client.
struct Talk {
    raw: Raw<TlsStream>,
    decoder: Decoder,
}

impl Talk {
    fn say(&mut self, opcode: Opcode, payload: &[u8]) {
        self.raw.send(ws::masked_frame(opcode, payload, [9, 8, 7, 6]));
    }

    /// In a word each what it is told next; fewer at the end.
    fn hear(&mut self, count: usize) -> Vec<String> {
        let mut heard = Vec::new();
        while heard.len() < count {
            let mut bytes = self.raw.some().expect("no reset");
            if bytes.is_empty() {
                break;
            }
            let mut input = Input::new(&mut bytes);
            let mut inflater = Inflater::default();
            while let Some(said) = self.decoder.next(&mut input, &mut inflater).expect("frames") {
                heard.push(match said {
                    Received::Text(text) => {
                        let said: Value = serde_json::from_str(&text).expect("JSON");
                        match (&said["control"], &said["reply"]) {
                            (Value::String(control), _) => control.clone(),
                            (_, Value::Number(id)) => id.to_string(),
                            _ => "event".to_owned(),
                        }
                    }
                    Received::Close(_) => "close".to_owned(),
                    other => panic!("{other:?}"),
                });
            }
        }
        heard
    }
}
