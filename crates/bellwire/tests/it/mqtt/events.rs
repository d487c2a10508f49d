//! Messages that are events: durable before they are acknowledged, and refused as those over HTTP are.

use super::*;
use crate::harness::Process;

const EVENTS: &str = r#"
[[mqtt.topics]]
topic = "doors/{site}/{door}"
event = "doors/{site}/{door}"

[[mqtt.topics]]
topic = "locks/{lock}"
event = "locks"
key = "{lock}"

[[mqtt.topics]]
topic = "keyless/{lock}"
event = "locks"

[[mqtt.topics]]
topic = "any/{all...}"
event = "{all}"

[[topic]]
match = "locks"
kind = "state"
"#;

impl Fixture {
    /// What a topic has, each with its key.
    fn events(&self, topic: &str) -> Vec<(Value, Value)> {
        let answer = get(self.server.address(), &format!("/v1/topics/{topic}"));
        let events = answer.json()["events"].as_array().expect("events").clone();
        events.into_iter().map(|event| (event["key"].clone(), event["data"].clone())).collect()
    }
}

#[test]
fn an_event_is_durable_before_it_is_acknowledged() {
    let mut fixture = Fixture::new(EVENTS, &[]);
    let mut sensor = fixture.come("door");
    let all: Vec<Value> = (1..=200_u16).map(|number| json!({ "open": number })).collect();
    let packets = all.iter().zip(1..).flat_map(|(payload, id)| {
        publish((V5, 0x32), "doors/oslo/front", payload.to_string().as_bytes(), id)
    });
    sensor.send(&packets.collect::<Vec<u8>>());
    for id in 1..=200_u16 {
        let [high, low] = id.to_be_bytes();
        sensor.expect(&[0x40, 2, high, low]);
    }
    fixture.server.kill();
    fixture.server.restart();
    let kept = fixture.events("doors/oslo/front?limit=1000");
    assert_eq!(kept, all.into_iter().map(|data| (Value::Null, data)).collect::<Vec<_>>());
}

#[test]
fn the_will_of_a_client_that_breaks_off_is_an_event() {
    let fixture = Fixture::new(EVENTS, &[]);
    let mut events = Stream::open(fixture.server.address(), "topic=doors/**");
    events.until_ready();
    let hello = connect(V311, "front", &[(4, b"doors/oslo/front"), (4, b"gone")]);
    let mut orderly = Sensor::connect(fixture.port.address(), V311, &hello);
    orderly.expect(&[0x20, 2, 0, 0]);
    orderly.send(&[0xe0, 0]);
    assert_eq!(orderly.socket.read(&mut [0]).expect("an end"), 0);
    let mut broken = Sensor::connect(fixture.port.address(), V311, &hello);
    broken.expect(&[0x20, 2, 0, 0]);
    // One that is to be retained is one of now.
    broken.send(&publish((V311, 0x33), "doors/oslo/front", b"here", 1));
    broken.expect(&[0x40, 2, 0, 1]);
    drop(broken);
    for (event, payload) in events.events(2).iter().zip(["here", "gone"]) {
        assert_eq!(event.payload(), payload);
    }
}

#[test]
fn a_state_topic_has_the_newest_of_each_key() {
    let fixture = Fixture::new(EVENTS, &[]);
    let mut sensor = fixture.come("locks");
    for (lock, payload) in [("7", "open"), ("8", "open"), ("7", "shut")] {
        sensor.publish(&format!("locks/{lock}"), payload.as_bytes(), 1);
        sensor.expect(&[0x40, 2, 0, 1]);
    }
    let mut locks = fixture.events("locks");
    locks.sort_by_key(|(key, _)| key.to_string());
    assert_eq!(locks, [(json!("7"), json!("shut")), (json!("8"), json!("open"))]);
    sensor.publish("locks/7", &vec![b'x'; 64 * 1024 + 1], 2);
    sensor.expect(&[0x40, 3, 0, 2, 0x99]);
    sensor.publish("keyless/7", b"open", 3);
    sensor.expect(&[0x40, 3, 0, 3, 0x99]);
    assert_eq!((fixture.refused("event_too_large"), fixture.refused("key_missing")), (1, 1));
}

#[test]
fn what_may_be_no_event_is_told_and_harms_nothing_else() {
    let fixture = Fixture::new(EVENTS, &[]);
    let mut sensor = fixture.come("wrong");
    let deep = ["[".repeat(1_000), "]".repeat(1_000)].concat();
    let wrong = [
        ("doors/oslo/front", &*deep, 0x99),
        ("any/alerts/x", "1", 0x87),
        ("any/$sys/x", "1", 0x87),
        ("doors//front", "1", 0x90),
    ];
    let good = publish((V5, 0x32), "doors/oslo/front", b"{}", 9);
    let packet =
        |(topic, payload, _): &(&str, &str, u8)| publish((V5, 0x32), topic, payload.as_bytes(), 1);
    sensor.send(&[wrong.iter().flat_map(packet).collect(), good].concat());
    for (_, _, reason) in wrong {
        sensor.expect(&[0x40, 3, 0, 1, reason]);
    }
    sensor.expect(&[0x40, 2, 0, 9]);
    assert_eq!(fixture.events("doors/oslo/front"), [(Value::Null, json!({}))]);
    for (code, count) in [("nesting_too_deep", 1), ("topic_reserved", 2), ("topic_invalid", 1)] {
        assert_eq!(fixture.refused(code), count, "{code}");
    }
}

#[test]
fn of_many_messages_each_that_is_refused_is_told_so() {
    let fixture = Fixture::new(EVENTS, &[]);
    let mut sensor = fixture.come("flood");
    let topic = |id: u16| if id.is_multiple_of(3) { "doors/oslo/front" } else { "any/alerts/x" };
    let packets = (1..=450).flat_map(|id| publish((V5, 0x32), topic(id), b"1", id));
    sensor.send(&packets.collect::<Vec<u8>>());
    for id in 1..=450_u16 {
        let [high, low] = id.to_be_bytes();
        match id % 3 {
            0 => sensor.expect(&[0x40, 2, high, low]),
            _ => sensor.expect(&[0x40, 3, high, low, 0x87]),
        }
    }
    assert_eq!(fixture.events("doors/oslo/front?limit=1000").len(), 150);
    assert_eq!(fixture.refused("topic_reserved"), 300);
}

#[test]
fn who_may_publish_where_is_asked_as_everywhere() {
    let (key, table) = crate::access::made("doors", "door");
    let roles = "[access]\n[[access.role]]\nname = \"door\"\npublish = [\"doors/oslo/*\"]\n";
    let fixture = Fixture::new(&format!("{EVENTS}{roles}{table}"), &[]);
    let shown: [(u8, &[u8]); 2] = [(0x80, b"ada"), (0x40, key.as_bytes())];
    let mut sensor = Sensor::connect(fixture.port.address(), V5, &connect(V5, "dev", &shown));
    assert_eq!(sensor.packet()[..4], [0x20, 0x1d, 0, 0]);
    for (topic, answer) in [
        ("doors/oslo/front", &[0x40, 2, 0, 1][..]),
        ("doors/bergen/front", &[0x40, 3, 0, 1, 0x87]),
        ("sensors/oslo/temp", &[0x40, 3, 0, 1, 0x87]),
    ] {
        sensor.publish(topic, b"1", 1);
        sensor.expect(answer);
    }
}

#[test]
fn an_entry_whose_events_the_server_would_refuse_is_said_at_the_start() {
    for (entry, reason) in [
        ("event = \"alerts/{b}\"", "`alerts/x` belongs to the server"),
        ("event = \"a/{c}\"", "places of `event` and `key` are those of the topic"),
        ("event = \"a\"\npayload = \"json\"", "it has no `payload`"),
        ("key = \"{b}\"", "`key` is that of an `event`"),
    ] {
        let folder = TempDir::new().expect("a folder");
        let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
        let config = path("bellwire.toml");
        let text = format!(
            "[mqtt]\nlisten = \"127.0.0.1:0\"\n[[mqtt.topics]]\ntopic = \"a/{{b}}\"\n{entry}\n"
        );
        std::fs::write(&config, text).expect("written");
        let data = path("data");
        let arguments = ["serve", "--listen", "0", "--data", &*data, "--config", &*config];
        let (status, _, errors) = Process::start(&arguments).finish();
        assert_ne!(status, Some(0), "{entry}");
        assert!(errors.contains(reason), "{errors}");
    }
}
