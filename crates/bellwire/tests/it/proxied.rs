//! Behind proxies: whose a request is, by the PROXY protocol and by what trusted proxies say in its
//! head, and that nobody else can say so. The tests are the proxies.

use std::net::SocketAddr;

use serde_json::Value;

use crate::harness::{
    Answer, Authority, Http2, Raw, Request, Server, bellwire, request, shake_hands,
};

/// One connection for each address, and proxies on this machine.
const PROXIED: &[&str] = &["--trusted-proxies", "loopback", "--connections-per-address-max", "1"];

const STREAM: &str = "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\n";
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n";

/// Begins a connection with these bytes; returns what the answer begins with.
fn begun(address: SocketAddr, bytes: impl AsRef<[u8]>) -> (Raw, u16) {
    let mut raw = Raw::connect(address);
    let status = said(&mut raw, bytes);
    (raw, status)
}

/// Sends; returns the status of the answer, whose body is left.
fn said(raw: &mut Raw, bytes: impl AsRef<[u8]>) -> u16 {
    raw.send(bytes);
    let head = raw.until("\r\n\r\n");
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

fn code(answer: &Answer) -> (u16, String) {
    let problem = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    (answer.status, problem["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_trusted_proxy_says_whose_a_stream_is_and_a_client_cannot() {
    let server = Server::start_with(PROXIED);
    let address = server.address();
    let stream = |said: &str| begun(address, format!("{STREAM}{said}\r\n"));
    let (first, status) = stream("X-Forwarded-For: 192.0.2.1\r\n");
    assert_eq!(status, 200);
    // What a client has sent itself stands left of what the proxy adds.
    for spelled in [
        "X-Forwarded-For: 192.0.2.1\r\n",
        "X-Forwarded-For: 198.51.100.7, 192.0.2.1\r\n",
        "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-For: 192.0.2.1, 127.0.0.9\r\n",
        "X-Forwarded-For: ::ffff:192.0.2.1\r\n",
        "Forwarded: for=198.51.100.7;proto=https, for=\"192.0.2.1:80\"\r\n",
    ] {
        assert_eq!(stream(spelled).1, 429, "{spelled}");
    }
    // Another client, one of IPv6, and the proxy itself.
    let others = ["X-Forwarded-For: 192.0.2.2\r\n", "Forwarded: for=\"[2001:db8::1]\"\r\n", ""];
    let others = others.map(&stream);
    assert!(others.iter().all(|(_, status)| *status == 200), "{others:?}");
    for spelled in [
        "X-Forwarded-For: somewhere\r\n",
        "Forwarded: for=\"192.0.2.3\r\n",
        "Forwarded: for=198.51.100.7\r\nX-Forwarded-For: 192.0.2.3\r\n",
    ] {
        assert_eq!(stream(spelled).1, 400, "{spelled}");
    }
    drop(first);
    let comes_in = |_| stream("X-Forwarded-For: 192.0.2.1\r\n").1 == 200;
    assert!((0..10_000).any(comes_in), "there is room again");
}

#[test]
fn each_request_of_a_proxys_connection_may_be_another_clients() {
    let server = Server::start_with(PROXIED);
    let address = server.address();
    let client = |which: u8| format!("X-Forwarded-For: 192.0.2.{which}\r\n\r\n");
    let (_first, status) = begun(address, format!("{STREAM}{}", client(1)));
    assert_eq!(status, 200);
    let mut kept = Raw::connect(address);
    for (which, status) in [(1, 429), (2, 200), (1, 429), (3, 200)] {
        kept.send(format!("{HEALTH}{}", client(which)));
        let answer = kept.answer();
        assert_eq!(answer.status, status, "{which}: {}", answer.text());
    }
    // A stream takes the connection, and the place of its client.
    assert_eq!(said(&mut kept, format!("{STREAM}{}", client(4))), 200);
    assert_eq!(begun(address, format!("{STREAM}{}", client(4))).1, 429);

    let mut http2 = Http2::plain(address);
    let mut ask = |which: u8, path: &str| {
        let named = format!("192.0.2.{which}");
        let headers = [("x-forwarded-for", named.as_str())];
        code(&http2.begin(Request { method: "GET", path, headers: &headers, body: b"" }))
    };
    let exhausted = (429, "address_exhausted".to_owned());
    assert_eq!(ask(1, "/healthz"), exhausted);
    assert_eq!(ask(5, "/healthz").0, 200);
    assert_eq!(ask(4, "/v1/events?topic=a"), exhausted);
}

#[test]
fn a_stream_over_http2_has_the_place_of_its_client() {
    let server = Server::start_with(PROXIED);
    let mut http2 = Http2::plain(server.address());
    let headers = [("forwarded", "for=192.0.2.1")];
    let mut stream = http2.stream("topic=a", &headers);
    assert_eq!(http2.next(&mut stream).expect("it begins").event_type, "ready");
    let head = format!("{STREAM}X-Forwarded-For: 192.0.2.1\r\n\r\n");
    assert_eq!(begun(server.address(), &head).1, 429);
    drop((stream, http2));
    let comes_in = |_| begun(server.address(), &head).1 == 200;
    assert!((0..10_000).any(comes_in), "there is room again");
}

#[test]
fn what_an_untrusted_peer_says_changes_nothing() {
    let flags = ["--trusted-proxies", "10.0.0.0/8", "--connections-per-address-max", "1"];
    let server = Server::start_with(&flags);
    let stream = |said: &str| begun(server.address(), format!("{STREAM}{said}\r\n"));
    let (_first, status) = stream("X-Forwarded-For: 192.0.2.1\r\n");
    assert_eq!(status, 200);
    for said in ["X-Forwarded-For: 192.0.2.2\r\n", "Forwarded: for=\"\r\n", ""] {
        assert_eq!(stream(said).1, 429, "{said}");
    }
}

/// Version 2 for a client of IPv4.
fn binary(client: [u8; 4]) -> Vec<u8> {
    let head = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x21, 0x11, 0, 12 + 4]].concat();
    // What a proxy adds is skipped.
    [&head[..], &client, &[127, 0, 0, 1, 0, 80, 0, 80, 4, 0, 1, 0]].concat()
}

/// Version 1.
fn line(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 127.0.0.1 1000 80\r\n").into_bytes()
}

#[test]
fn the_proxy_protocol_says_whose_a_connection_is() {
    let server = Server::start_with(&[PROXIED, &["--proxy-protocol"]].concat());
    let address = server.address();
    let stream = |header: &[u8]| begun(address, [header, STREAM.as_bytes(), b"\r\n"].concat());
    let (first, status) = stream(&line("192.0.2.1"));
    assert_eq!(status, 200);
    assert_eq!(stream(&binary([192, 0, 2, 1])).1, 429);
    let (_other, status) = stream(&binary([192, 0, 2, 2]));
    assert_eq!(status, 200);
    // Whom it names is no proxy, and cannot name another one.
    let spoofed = format!("{STREAM}X-Forwarded-For: 192.0.2.9\r\n\r\n");
    assert_eq!(begun(address, [line("192.0.2.2"), spoofed.into()].concat()).1, 429);
    // Where it is a proxy, it can.
    let chained = format!("{STREAM}X-Forwarded-For: 192.0.2.2\r\n\r\n");
    assert_eq!(begun(address, [line("127.0.0.7"), chained.into()].concat()).1, 429);
    // A proxy that looks whether anybody is here.
    let local = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x20, 0, 0, 0]].concat();
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), local] {
        assert_eq!(begun(address, [&header, HEALTH.as_bytes(), b"\r\n"].concat()).1, 200);
        // Nor can whoever it is behind it pass for somebody: this one has its one connection.
        let spoofed = format!("{STREAM}X-Forwarded-For: 192.0.2.2\r\n\r\n");
        assert_eq!(begun(address, [&header, spoofed.as_bytes()].concat()).1, 200);
    }
    drop(first);
    let comes_in = |_| stream(&line("192.0.2.1")).1 == 200;
    assert!((0..10_000).any(comes_in), "there is room again");
}

#[test]
fn a_connection_without_the_proxy_protocol_is_refused_where_it_is_on() {
    let server = Server::start_with(&["--trusted-proxies", "loopback", "--proxy-protocol"]);
    let request = format!("{HEALTH}\r\n");
    for header in ["", "PROXY TCP4 x\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"] {
        let mut raw = Raw::connect(server.address());
        raw.send([header, &request].concat());
        assert_eq!(code(&raw.answer()), (400, "proxy_header_invalid".to_owned()), "{header}");
    }
    let strict = Server::start_with(&["--trusted-proxies", "10.0.0.0/8", "--proxy-protocol"]);
    let mut raw = Raw::connect(strict.address());
    raw.send([&line("192.0.2.1")[..], request.as_bytes()].concat());
    let answer = raw.answer();
    assert_eq!(answer.status, 400, "{}", answer.text());
}

#[test]
fn a_page_without_tls_is_another_sites_where_a_trusted_proxy_says_that_it_was_asked_by_tls() {
    let status = |server: &Server, scheme: &str, said: &[(&str, &str)]| {
        let origin = format!("{scheme}://{}", server.address());
        let headers = [said, &[("Origin", origin.as_str())]].concat();
        let ask = Request { method: "POST", path: "/v1/topics/a", headers: &headers, body: b"1" };
        request(server.address(), ask).status
    };
    let encrypted = [("X-Forwarded-Proto", "https")];
    let behind = Server::start_with(&["--trusted-proxies", "loopback"]);
    assert_eq!(status(&behind, "http", &encrypted), 403);
    for (scheme, said) in [("https", &encrypted[..]), ("https", &[]), ("http", &[])] {
        assert_eq!(status(&behind, scheme, said), 201, "{scheme}");
    }
    let alone = Server::start_with(&[]);
    assert_eq!(status(&alone, "http", &encrypted), 201, "whoever says so is no proxy");
}

#[test]
fn a_server_that_nobody_could_reach_does_not_start() {
    let output = bellwire(&["serve", "--proxy-protocol"]).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("`trusted_proxies`"), "{told}");
}

#[test]
fn the_proxy_protocol_comes_ahead_of_tls() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority, &[PROXIED, &["--proxy-protocol"]].concat());
    let open = |header: &[u8]| {
        let mut raw = Raw::connect(server.address());
        raw.send(header);
        let config = authority.client_config(rustls::ALL_VERSIONS, &["http/1.1"]);
        shake_hands(raw.into_socket(), config)
    };
    let mut first = open(&line("192.0.2.1")).expect("a handshake");
    first.send(format!("{STREAM}\r\n"));
    first.until("event: ready");
    // Whoever has too many is not even shaken hands with.
    assert!(open(&binary([192, 0, 2, 1])).is_err());
    let mut other = open(&binary([192, 0, 2, 2])).expect("a handshake");
    other.send(format!("{HEALTH}\r\n"));
    assert_eq!(other.answer().status, 200);
}
