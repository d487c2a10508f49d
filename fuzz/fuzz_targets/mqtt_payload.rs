//! What MQTT's messages mean: no payload panics, and what comes of it is a value or the end of a
//! series.
//!
//! An input is messages: a byte that chooses a topic, a byte that says how long the payload is, and
//! the payload.

#![no_main]

use std::sync::LazyLock;

use bellwire_ingest::Decoded;
use bellwire_ingest::mqtt::json_path::JsonPath;
use bellwire_ingest::mqtt::mapping::{
    JsonPayload, JsonValue, Learned, Mapping, Payload, TimeUnit, TopicRule,
};
use bellwire_ingest::mqtt::publication::{Age, Publication};
use bellwire_ingest::mqtt::topic::Template;
use bellwire_model::Timestamp;
use libfuzzer_sys::fuzz_target;

const TOPICS: [&str; 8] = [
    "n/t",
    "j/t",
    "spBv1.0/g/NBIRTH/n",
    "spBv1.0/g/NDATA/n",
    "spBv1.0/g/NDEATH/n",
    "spBv1.0/g/DBIRTH/n/d",
    "spBv1.0/g/DDATA/n/d",
    "spBv1.0/g/DDEATH/n/d",
];
const STALE: u64 = 0x7ff0_0000_0000_0002;
const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

static MAPPING: LazyLock<Mapping> = LazyLock::new(|| {
    let rule = |topic, payload| TopicRule {
        topic: Template::parse(topic).expect("a template"),
        name: None,
        labels: Vec::new(),
        payload,
    };
    let path = |text| JsonPath::parse(text).expect("a path");
    let value = |text| JsonValue { name: Some(text), path: path("a.b[1]") };
    let time = Some((path("t"), TimeUnit::Seconds));
    let json = JsonPayload::new(vec![value("v".into()), value("w".into())], Vec::new(), time);
    let rules = vec![
        rule("n/{name}", Payload::Number { words: Vec::new() }),
        rule("j/{device}", Payload::Json(json)),
        rule("spBv1.0/#", Payload::Sparkplug),
    ];
    Mapping::new(rules).expect("entries")
});

fuzz_target!(|data: &[u8]| {
    let (mut learned, mut rest, mut line) = (Learned::default(), data, 0);
    while let [topic, length, after @ ..] = rest {
        let (payload, after) = after.split_at(usize::from(*length).min(after.len()));
        let age = if topic & 0x80 == 0 { Age::Live } else { Age::Retained };
        let topic = TOPICS[usize::from(topic & 7)];
        let mut decoded = Decoded::default();
        line += 1;
        let publication = Publication { topic, payload, from: "", age, now: NOW };
        MAPPING.read(&mut learned, publication, (line, &mut decoded));
        assert_eq!(decoded.samples.len(), decoded.lines.len());
        for sample in &decoded.samples {
            assert!(sample.value.is_finite() || sample.value.to_bits() == STALE);
        }
        rest = after;
    }
});
