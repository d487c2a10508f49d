//! Brokers by hand, which do what no real one would: break the protocol, name another in their place, end
//! a connection while the rules look at a message.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use tempfile::TempDir;

use crate::harness::{PATIENCE, Server, get};

const CONFIG: &str = r#"
client_id = "bellwire"

[[mqtt.topics]]
topic = "sensors/{site}/{name}"

[[mqtt.topics]]
topic = "doors/{door}"
event = "doors/{door}"
"#;

/// A server that goes to a broker, and the broker's socket.
struct Fixture {
    server: Server,
    socket: TcpListener,
    _folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let (folder, socket) = (
            TempDir::new().expect("a folder"),
            TcpListener::bind("127.0.0.1:0").expect("a socket"),
        );
        let url = format!("mqtt://{}", socket.local_addr().expect("an address"));
        let config = folder.path().join("bellwire.toml");
        let text = format!("[[mqtt.broker]]\nurl = \"{url}\"{CONFIG}");
        std::fs::write(&config, text).expect("written");
        let server = Server::start_with(&["--config", config.to_str().expect("text")]);
        Self { server, socket, _folder: folder }
    }

    /// The server as it comes, and has said who it is.
    fn visitor(&self) -> Visitor {
        let (socket, _) = self.socket.accept().expect("a visitor");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        let mut visitor = Visitor(socket);
        let hello = visitor.packet();
        assert_eq!((hello[0], &hello[4..9]), (0x10, &b"MQTT\x05"[..]));
        visitor
    }

    /// Whether failures of that reason were counted so often. They are before it comes again.
    #[track_caller]
    fn has_failed(&self, reason: &str, count: u64) {
        let name = format!("bellwire_mqtt_broker_failures_total{{reason=\"{reason}\"}}");
        assert_eq!(self.server.figure(&name), count);
    }
}

struct Visitor(TcpStream);

impl Visitor {
    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("sent");
    }

    /// The next packet, whole. Those of the server are short.
    fn packet(&mut self) -> Vec<u8> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).expect("a packet");
        let mut packet = head.to_vec();
        packet.resize(2 + usize::from(head[1]), 0);
        self.0.read_exact(&mut packet[2..]).expect("all of it");
        packet
    }

    /// Lets it in. The session is new: it asks for its filters, which it gets.
    fn welcome(&mut self) {
        self.send(b"\x20\x03\0\0\0");
        assert_eq!(self.packet()[0], 0x82);
        self.send(b"\x90\x05\0\x01\0\x01\x01");
    }

    /// Lets it in. A session is there still, of which it makes sure that it has its filters.
    fn welcome_back(&mut self) {
        self.send(b"\x20\x03\x01\0\0");
        assert_eq!(self.packet()[0], 0x82);
        self.send(b"\x90\x04\0\x01\0\x01");
    }
}

#[test]
fn a_broker_that_breaks_the_protocol_is_told_and_gone_to_again() {
    let fixture = Fixture::new();
    let mut visitor = fixture.visitor();
    visitor.welcome();
    visitor.send(b"\x36\x07\0\x01t\0\x01\x001");
    let goodbye = visitor.packet();
    assert_eq!(goodbye[..3], [0xe0, goodbye[1], 0x81]);
    fixture.visitor().welcome_back();
    fixture.has_failed("malformed", 1);
    fixture.server.wait_for_figure("bellwire_mqtt_broker_connections_total", 2);
}

#[test]
fn another_server_is_told_of_and_not_gone_to() {
    let fixture = Fixture::new();
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a socket");
    elsewhere.set_nonblocking(true).expect("an option");
    let place = elsewhere.local_addr().expect("an address").to_string();
    let mut packet = vec![0x20, 6 + place.len() as u8, 0, 0x9d, 3 + place.len() as u8, 0x1c, 0];
    packet.push(place.len() as u8);
    packet.extend(place.as_bytes());
    fixture.visitor().send(&packet);
    // It comes back here.
    fixture.visitor().send(&packet);
    // It waits for an answer for as long as this is there.
    let _waiting = fixture.visitor();
    fixture.has_failed("server_moved", 2);
    let ready = get(fixture.server.address(), "/readyz");
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains(&place), "{}", ready.text());
    assert!(elsewhere.accept().is_err());
}

#[test]
fn messages_are_acknowledged_once_they_are_seen_and_in_their_order() {
    let fixture = Fixture::new();
    let mut visitor = fixture.visitor();
    visitor.welcome();
    for packet_id in 1..=9 {
        visitor.send(&[0x32, 18, 0, 12]);
        visitor.send(format!("sensors/{packet_id}/up").as_bytes());
        visitor.send(&[0, packet_id, 0, b'1']);
    }
    for packet_id in 1..=9 {
        assert_eq!(visitor.packet(), [0x40, 2, 0, packet_id]);
    }
    assert_eq!(fixture.server.figure("bellwire_source_samples_taken_total{source=\"mqtt\"}"), 9);
    // It is sent away, and comes back.
    visitor.send(b"\xe0\x01\x8b");
    fixture.visitor().welcome_back();
    fixture.has_failed("shutting_down", 1);
}

#[test]
fn an_event_is_durable_before_it_is_acknowledged_and_what_is_retained_is_none() {
    let mut fixture = Fixture::new();
    let mut visitor = fixture.visitor();
    let event = |first: u8, id: u8, payload: &[u8; 4]| {
        let head = [&[first, 18, 0, 9][..], b"doors/oak", &[0, id, 0]].concat();
        [&head[..], payload].concat()
    };
    visitor.welcome();
    visitor.send(&[event(0x33, 1, b"kept"), event(0x32, 2, b"open")].concat());
    for packet_id in 1..=2 {
        assert_eq!(visitor.packet(), [0x40, 2, 0, packet_id]);
    }
    // It was durable before that.
    fixture.server.kill();
    fixture.server.restart();
    let events = get(fixture.server.address(), "/v1/topics/doors/oak").json()["events"].clone();
    let events = events.as_array().expect("events");
    let data: Vec<_> = events.iter().map(|event| event["data"].as_str()).collect();
    assert_eq!(data, [Some("open")]);
}
