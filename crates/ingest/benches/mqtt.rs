//! How many messages of MQTT a core reads each second: packet, topic and payload.

use bellwire_ingest::Decoded;
use bellwire_ingest::mqtt::json_path::JsonPath;
use bellwire_ingest::mqtt::mapping::{
    JsonPayload, JsonValue, Learned, Mapping, Payload, TopicRule,
};
use bellwire_ingest::mqtt::packet::{Frame, Incoming, Sender, Version};
use bellwire_ingest::mqtt::publication::{Age, Publication};
use bellwire_ingest::mqtt::topic::Template;
use bellwire_model::Timestamp;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
const SENSORS: usize = 1_000;
const MESSAGES: usize = 10_000;
const PACKET_BYTES_MAX: usize = 65_536;

fn main() {
    divan::main();
}

/// Messages of quality 1, one after the other.
fn stream(payload: &str) -> Vec<u8> {
    let mut stream = Vec::new();
    for number in 0..MESSAGES {
        let topic = format!("sensors/oslo/sensor-{}/temperature_celsius", number % SENSORS);
        let length = 4 + topic.len() + payload.len();
        stream.extend([0x32, length as u8, 0, topic.len() as u8]);
        stream.extend(topic.as_bytes());
        stream.extend((number as u16 + 1).to_be_bytes());
        stream.extend(payload.as_bytes());
    }
    stream
}

fn read(stream: &[u8], mapping: &Mapping, learned: &mut Learned) -> usize {
    let (mut decoded, mut rest, mut line) = (Decoded::default(), stream, 0);
    while let Ok(Some(frame)) = Frame::first(rest, PACKET_BYTES_MAX) {
        if let Ok(Incoming::Publish(publish)) = Incoming::read(frame, Version::V311, Sender::Client)
        {
            let (topic, payload) = (publish.topic, publish.payload);
            line += 1;
            let publication = Publication { topic, payload, from: "", age: Age::Live, now: NOW };
            mapping.read(learned, publication, (line, &mut decoded));
        }
        rest = &rest[frame.length..];
    }
    assert_eq!(decoded.samples.len(), MESSAGES);
    decoded.samples.len()
}

fn bench(bencher: Bencher<'_, '_>, payload: (Payload, &str)) {
    let topic = Template::parse("sensors/{site}/{device}/{name}").expect("a template");
    let rule = TopicRule { topic, name: None, labels: Vec::new(), payload: payload.0 };
    let mapping = Mapping::new(vec![rule]).expect("an entry");
    let stream = stream(payload.1);
    let mut learned = Learned::default();
    bencher
        .counter(ItemsCount::new(MESSAGES))
        .counter(BytesCount::new(stream.len()))
        .bench_local(|| read(&stream, &mapping, &mut learned));
}

#[divan::bench]
fn plain_numbers(bencher: Bencher<'_, '_>) {
    bench(bencher, (Payload::Number { words: Vec::new() }, "21.5"));
}

#[divan::bench]
fn json_of_one_value(bencher: Bencher<'_, '_>) {
    let path = JsonPath::parse("state.temperature").expect("a path");
    let value = JsonValue { name: None, path };
    let json = JsonPayload::new(vec![value], Vec::new(), None);
    let document = r#"{"id":"a","state":{"humidity":40,"temperature":21.5}}"#;
    bench(bencher, (Payload::Json(json), document));
}
