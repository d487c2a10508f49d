//! Sensors that publish over MQTT: when they are answered, what is refused, and how they go.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Authority, PATIENCE, Port, Server, Stream, get};

mod events;

const RULES: &str =
    "groups: [{name: g, rules: [{alert: Hot, expr: temp > 90}, {alert: Off, expr: up == 0}]}]";

const TOPICS: &str = r#"
[[mqtt.topics]]
topic = "sensors/{site}/{name}"

[[mqtt.topics]]
topic = "status/{site}"
name = "up"
words = { online = 1, offline = 0 }

[[mqtt.topics]]
topic = "json/{site}"
payload = "json"
values = { temp = "air.temp", humidity = "air.humidity" }
time = "at"
"#;

/// A server with a listener for MQTT, and what its configuration lies in.
struct Fixture {
    server: Server,
    port: Port,
    _folder: TempDir,
}

impl Fixture {
    fn new(access: &str, flags: &[&str]) -> Self {
        let (folder, port) = (TempDir::new().expect("a folder"), Port::new());
        let path = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path.to_str().expect("text").to_owned()
        };
        let mqtt = format!("[mqtt]\nlisten = \"{}\"\n{TOPICS}{access}", port.address());
        let (config, rules) = (path("bellwire.toml", &mqtt), path("rules.yml", RULES));
        let ours = ["--config", &config, "--rules", &rules];
        let flags: Vec<&str> = ours.into_iter().chain(flags.iter().copied()).collect();
        Self { server: Server::start_with(&flags), port, _folder: folder }
    }

    fn come(&self, client_id: &str) -> Sensor {
        let mut sensor = Sensor::connect(self.port.address(), V5, &connect(V5, client_id, &[]));
        assert_eq!(sensor.packet()[..4], [0x20, 0x1d, 0, 0]);
        sensor
    }

    fn alerts(&self) -> Vec<Value> {
        let alerts = get(self.server.address(), "/v1/alerts").json();
        alerts["alerts"].as_array().expect("alerts").clone()
    }

    fn refused(&self, reason: &str) -> u64 {
        let metrics = get(self.server.address(), "/metrics");
        let name = format!("{{source=\"mqtt\",reason=\"{reason}\"}} ");
        let line = metrics.text().lines().find_map(|line| line.split_once(&name));
        line.map_or(0, |(_, count)| count.parse().expect("a count"))
    }
}

const V311: u8 = 4;
const V5: u8 = 5;

/// A client by hand.
struct Sensor<S = TcpStream> {
    socket: S,
    version: u8,
}

impl Sensor {
    fn connect(address: SocketAddr, version: u8, hello: &[u8]) -> Self {
        let socket = TcpStream::connect(address).expect("a connection");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        let mut sensor = Self { socket, version };
        sensor.send(hello);
        sensor
    }
}

impl<S: Read + Write> Sensor<S> {
    fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("sent");
    }

    fn publish(&mut self, topic: &str, payload: &[u8], id: u16) {
        let bytes = publish((self.version, 0x32), topic, payload, id);
        self.send(&bytes);
    }

    /// The next packet, whole. Those of the server are short.
    fn packet(&mut self) -> Vec<u8> {
        let mut head = [0; 2];
        self.socket.read_exact(&mut head).expect("a packet");
        let mut packet = head.to_vec();
        packet.resize(2 + usize::from(head[1]), 0);
        self.socket.read_exact(&mut packet[2..]).expect("all of it");
        packet
    }

    #[track_caller]
    fn expect(&mut self, packet: &[u8]) {
        assert_eq!(self.packet(), packet);
    }

    /// The reason with which the server ends the connection.
    fn goodbye(mut self) -> u8 {
        let packet = self.packet();
        assert_eq!(packet[0], 0xe0, "{packet:x?}");
        assert_eq!(self.socket.read(&mut [0]).unwrap_or(0), 0, "nothing follows");
        packet[2]
    }
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    while length > 0x7f {
        packet.push(length as u8 | 0x80);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend(body);
    packet
}

/// `CONNECT`, with a will, a user and a password where they are given as `(flag, bytes)`.
fn connect(version: u8, client_id: &str, more: &[(u8, &[u8])]) -> Vec<u8> {
    let flags = more.iter().fold(2, |flags, (flag, _)| flags | flag);
    let mut body = [&text(b"MQTT")[..], &[version, flags, 0, 60]].concat();
    body.extend((version == V5).then_some(0));
    body.extend(text(client_id.as_bytes()));
    for (flag, bytes) in more {
        // Properties of the will.
        body.extend((version == V5 && *flag == 4).then_some(0));
        body.extend(text(bytes));
    }
    packet(0x10, &body)
}

fn publish((version, first): (u8, u8), topic: &str, payload: &[u8], id: u16) -> Vec<u8> {
    let mut body = text(topic.as_bytes());
    if first & 6 != 0 {
        body.extend(id.to_be_bytes());
    }
    body.extend((version == V5).then_some(0));
    body.extend(payload);
    packet(first, &body)
}

#[test]
fn a_message_is_acknowledged_once_the_rules_have_seen_it() {
    let fixture = Fixture::new("", &[]);
    for version in [V311, V5] {
        let hello = connect(version, "boiler", &[]);
        let mut sensor = Sensor::connect(fixture.port.address(), version, &hello);
        assert_eq!(sensor.packet()[..2], if version == V5 { [0x20, 0x1d] } else { [0x20, 2] });
        sensor.publish("sensors/oslo/temp", b"93.5", 7);
        sensor.expect(&[0x40, 2, 0, 7]);
        let alerts = fixture.alerts();
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        assert_eq!(alerts[0]["labels"], json!({"alertname": "Hot", "site": "oslo"}));
        sensor.publish("sensors/oslo/temp", b"20", 8);
        sensor.expect(&[0x40, 2, 0, 8]);
        assert!(fixture.alerts().iter().all(|alert| alert["state"] == "resolved"));
        sensor.send(&[0xc0, 0]);
        sensor.expect(&[0xd0, 0]);
        sensor.send(&[0xe0, 0]);
        assert_eq!(sensor.socket.read(&mut [0]).expect("an end"), 0);
    }
}

#[test]
fn many_in_flight_are_acknowledged_in_their_order() {
    let fixture = Fixture::new("", &[]);
    let mut sensor = fixture.come("fast");
    let all: Vec<u8> = (1..=5_000_u16)
        .flat_map(|id| publish((V5, 0x32), "sensors/oslo/temp", id.to_string().as_bytes(), id))
        .collect();
    let mut writing = sensor.socket.try_clone().expect("a second end");
    let writer = std::thread::spawn(move || writing.write_all(&all).expect("sent"));
    for id in 1..=5_000_u16 {
        let [high, low] = id.to_be_bytes();
        sensor.expect(&[0x40, 2, high, low]);
    }
    writer.join().expect("sent");
}

#[test]
fn what_is_wrong_is_told_with_its_reason_and_counted() {
    let fixture = Fixture::new("", &[]);
    let mut sensor = fixture.come("wrong");
    for (topic, payload, reason) in [
        ("sensors/oslo/temp", "warm", 0x99),
        ("elsewhere", "1", 0x90),
        ("json/oslo", "{}", 0x99),
        ("json/oslo", r#"{"air":{"temp":1},"at":5}"#, 0x99),
    ] {
        sensor.publish(topic, payload.as_bytes(), 1);
        sensor.expect(&[0x40, 3, 0, 1, reason]);
    }
    assert_eq!((fixture.refused("value_invalid"), fixture.refused("topic_unknown")), (1, 1));
    // Nobody gets messages here.
    sensor.send(b"\x82\x0b\0\x01\0\0\x01a\0\0\x01b\x01");
    sensor.expect(&[0x90, 5, 0, 1, 0, 0x87, 0x87]);
    sensor.send(b"\xa2\x06\0\x01\0\0\x01a");
    sensor.expect(&[0xb0, 4, 0, 1, 0, 0x11]);
    sensor.send(&publish((V5, 0x34), "sensors/oslo/temp", b"1", 1));
    assert_eq!(sensor.goodbye(), 0x9b, "quality 2");
    for (wrong, reason) in [
        (&b"\x10\0"[..], 0x82),
        (b"\x30\x03\0\x01t", 0x81),
        (b"\x30\xff\xff\xff\x7f", 0x95),
        (b"\x30\x07\0\x01t\x03\x23\0\x01", 0x94),
        (b"\0\0", 0x81),
    ] {
        let mut sensor = fixture.come("wrong");
        sensor.send(wrong);
        assert_eq!(sensor.goodbye(), reason, "{wrong:x?}");
    }
    assert_eq!(fixture.refused("malformed"), 2);
}

#[test]
fn a_client_that_is_not_taken_is_told_why_in_its_version() {
    let fixture = Fixture::new("", &[]);
    for (hello, answer) in [
        (packet(0x10, b"\0\x04MQTT\x03\x02\0\0\0\0"), &[0x20, 2, 0, 1][..]),
        (packet(0x10, b"\0\x04MQTT\x04\0\0\0\0\0"), &[0x20, 2, 0, 2]),
        (connect(V5, &"a".repeat(257), &[]), &[0x20, 3, 0, 0x85, 0]),
        (packet(0x10, b"\0\x04MQTT\x05\x02\0\0\x04\x15\0\x01x\0\0"), &[0x20, 3, 0, 0x8c, 0]),
    ] {
        let mut sensor = Sensor::connect(fixture.port.address(), V5, &hello);
        sensor.expect(answer);
        assert_eq!(sensor.socket.read(&mut [0]).expect("an end"), 0);
    }
}

#[test]
fn the_will_of_a_client_that_breaks_off_is_a_sample() {
    let fixture = Fixture::new("", &[]);
    let mut events = Stream::open(fixture.server.address(), "topic=alerts/events/**");
    events.until_ready();
    let will: [(u8, &[u8]); 2] = [(4, b"status/oslo"), (4, b"offline")];
    let hello = |id| connect(V311, id, &will);
    let mut orderly = Sensor::connect(fixture.port.address(), V311, &hello("orderly"));
    orderly.expect(&[0x20, 2, 0, 0]);
    orderly.send(&[0xe0, 0]);
    assert_eq!(orderly.socket.read(&mut [0]).expect("an end"), 0);
    assert!(fixture.alerts().is_empty());

    let mut broken = Sensor::connect(fixture.port.address(), V311, &hello("broken"));
    broken.expect(&[0x20, 2, 0, 0]);
    broken.publish("status/oslo", b"online", 1);
    broken.expect(&[0x40, 2, 0, 1]);
    assert!(fixture.alerts().is_empty());
    drop(broken);
    let alert = events.next_of("alert.firing").payload();
    assert_eq!(alert["labels"], json!({"alertname": "Off", "site": "oslo"}));
}

/// The poll tells of a message and of the end behind it once, or of each by itself.
#[test]
fn an_end_right_behind_a_message_is_noticed() {
    let fixture = Fixture::new("", &[]);
    for number in 0..100 {
        let mut sensor = fixture.come(&format!("sensor-{number}"));
        sensor.publish("sensors/oslo/temp", b"21.5", 1);
        sensor.socket.shutdown(std::net::Shutdown::Write).expect("an end");
        let mut rest = Vec::new();
        sensor.socket.read_to_end(&mut rest).expect("the server closes it, too");
        assert!(rest.is_empty() || rest == [0x40, 2, 0, 1], "{rest:?}");
    }
}

#[test]
fn a_client_that_comes_again_takes_over_its_name() {
    let fixture = Fixture::new("", &[]);
    let first = fixture.come("same");
    let mut second = fixture.come("same");
    assert_eq!(first.goodbye(), 0x8e);
    second.publish("sensors/oslo/temp", b"1", 1);
    second.expect(&[0x40, 2, 0, 1]);
}

#[test]
fn a_drain_acknowledges_what_the_rules_have_seen_and_says_goodbye() {
    let mut fixture = Fixture::new("", &[]);
    let mut sensor = fixture.come("last");
    sensor.publish("sensors/oslo/temp", b"1", 1);
    sensor.expect(&[0x40, 2, 0, 1]);
    assert!(fixture.server.end().success());
    assert_eq!(sensor.goodbye(), 0x8b);
}

#[test]
fn who_may_send_what_is_asked_as_everywhere() {
    let (key, table) = crate::access::made("boiler", "sensor");
    let roles = "[access]\n[[access.role]]\nname = \"sensor\"\ningest = ['{site=\"oslo\"}']\n";
    let fixture = Fixture::new(&format!("{roles}{table}"), &[]);
    let come = |version, name: &str, password: &str| {
        let shown: [(u8, &[u8]); 2] = [(0x80, name.as_bytes()), (0x40, password.as_bytes())];
        let hello = connect(version, "dev", &shown);
        Sensor::connect(fixture.port.address(), version, &hello)
    };
    let mut nobody = Sensor::connect(fixture.port.address(), V5, &connect(V5, "dev", &[]));
    nobody.expect(&[0x20, 3, 0, 0x86, 0]);
    come(V311, "ada", "wrong").expect(&[0x20, 2, 0, 4]);
    come(V5, "ada", "wrong").expect(&[0x20, 3, 0, 0x86, 0]);
    let mut sensor = come(V5, "ada", &key);
    assert_eq!(sensor.packet()[..4], [0x20, 0x1d, 0, 0]);
    sensor.publish("sensors/oslo/temp", b"1", 1);
    sensor.expect(&[0x40, 2, 0, 1]);
    sensor.publish("sensors/bergen/temp", b"1", 2);
    sensor.expect(&[0x40, 3, 0, 2, 0x87]);
}

#[test]
fn tls_is_spoken_as_the_front_door_has_it() {
    let authority = Authority::new();
    let flags = authority.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let fixture = Fixture::new("", &flags);
    let mut raw = authority.connect(fixture.port.address());
    let mut sensor = Sensor { socket: raw.stream(), version: V5 };
    sensor.send(&connect(V5, "secret", &[]));
    assert_eq!(sensor.packet()[..4], [0x20, 0x1d, 0, 0]);
    for id in 1..100 {
        sensor.publish("sensors/oslo/temp", b"1", id);
        sensor.expect(&[0x40, 2, 0, id as u8]);
    }
}

#[test]
fn each_of_many_that_are_refused_is_told_so() {
    let fixture = Fixture::new("", &[]);
    let mut sensor = fixture.come("many");
    let all = (1..=400).flat_map(|id| publish((V5, 0x32), "sensors/oslo/temp", b"warm", id));
    sensor.send(&all.collect::<Vec<u8>>());
    for id in 1..=400_u16 {
        let [high, low] = id.to_be_bytes();
        sensor.expect(&[0x40, 3, high, low, 0x99]);
    }
}
