//! Events in the words of others: CloudEvents in their three forms, and webhooks.

#![no_main]

use std::sync::LazyLock;

use bellwire_model::Topic;
use bellwire_wire::publish::{Identified, Mapping, MappingText, Place};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

static TOPIC: LazyLock<Topic> = LazyLock::new(|| "a/b".parse().expect("a topic"));

static MAPPINGS: LazyLock<[Mapping; 2]> = LazyLock::new(|| {
    let whole = MappingText { topic: "w/{a.b}", key: Some("{c}"), ..MappingText::default() };
    let each = MappingText {
        name: "alerts",
        each: Some("alerts"),
        topic: "w/{labels.team}/x{receiver}",
        event_type: Some("{status}"),
        key: Some("{fingerprint}"),
        identity: Some("{fingerprint} {startsAt}"),
    };
    [whole, each].map(|text| Mapping::new(&text).expect("a mapping"))
});

fn check(event: &Identified) {
    assert!(!event.publish.topic.as_str().contains('*'));
    let json = serde_json::from_slice::<serde_json::Value>(event.publish.body.bytes());
    assert!(json.is_ok(), "{event:?}");
}

fuzz_target!(|data: &[u8]| {
    let body = Bytes::copy_from_slice(data);
    for mapping in &*MAPPINGS {
        mapping.read(&body).into_iter().flatten().flatten().for_each(|event| check(&event));
    }
    let place = Place { topic: &TOPIC, key: None };
    place.structured(&body).iter().for_each(check);
    place.batch(&body).into_iter().flatten().flatten().for_each(|event| check(&event));
    // A line for each attribute, then the data.
    let mut lines = data.splitn(8, |byte| *byte == b'\n');
    let names = ["specversion", "id", "source", "type", "subject", "time"];
    let attributes: Vec<_> = names.into_iter().zip(&mut lines).collect();
    let data = Bytes::copy_from_slice(lines.next().unwrap_or_default());
    for content_type in [None, Some("application/json"), Some("image/png")] {
        place.binary(attributes.iter().copied(), (content_type, &data)).iter().for_each(check);
    }
});
