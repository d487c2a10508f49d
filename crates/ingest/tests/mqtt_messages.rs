//! What messages of MQTT mean, by the topics that are configured.

use bellwire_ingest::Decoded;
use bellwire_ingest::mqtt::json_path::JsonPath;
use bellwire_ingest::mqtt::mapping::{
    JsonPayload, JsonValue, Learned, Mapping, Payload, TimeUnit, TopicRule, Word,
};
use bellwire_ingest::mqtt::publication::{Age, Publication};
use bellwire_ingest::mqtt::topic::Template;
use bellwire_model::{Sample, Timestamp};
use proptest::prelude::*;
use prost::Message as _;

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
/// The bits of a stale marker.
const STALE: u64 = 0x7ff0_0000_0000_0002;

fn rule(topic: &str, payload: Payload) -> TopicRule {
    let topic = Template::parse(topic).expect(topic);
    TopicRule { topic, name: None, labels: Vec::new(), payload }
}

fn number() -> Payload {
    Payload::Number { words: vec![Word { text: "online".into(), value: 1.0 }] }
}

fn path(text: &str) -> JsonPath {
    JsonPath::parse(text).expect(text)
}

fn json(values: &[(&str, &str)], time: Option<(&str, TimeUnit)>) -> Payload {
    let value = |(name, at): &(&str, &str)| JsonValue {
        name: (!name.is_empty()).then(|| (*name).into()),
        path: path(at),
    };
    let values = values.iter().map(value).collect();
    Payload::Json(JsonPayload::new(values, Vec::new(), time.map(|(at, unit)| (path(at), unit))))
}

/// Reads one message after the other.
struct Reader {
    mapping: Mapping,
    learned: Learned,
    /// Whose messages they are.
    from: &'static str,
}

impl Reader {
    fn new(rules: Vec<TopicRule>) -> Self {
        let mapping = Mapping::new(rules).expect("entries");
        Self { mapping, learned: Learned::default(), from: "" }
    }

    fn read(
        &mut self,
        topic: &str,
        payload: &[u8],
        age: Age,
    ) -> (Vec<Sample>, usize, &'static str) {
        let mut decoded = Decoded::default();
        let publication = Publication { topic, payload, from: self.from, age, now: NOW };
        self.mapping.read(&mut self.learned, publication, (7, &mut decoded));
        assert!(decoded.lines.iter().all(|line| *line == 7));
        assert_eq!(decoded.lines.len(), decoded.samples.len());
        let code = decoded.rejections.first().map_or("", |rejection| rejection.code);
        (decoded.samples, decoded.rejected, code)
    }

    /// In words: `name{labels} value @ms before now`, or the code of what is wrong.
    fn words(&mut self, topic: &str, payload: &[u8]) -> String {
        let (samples, _, code) = self.read(topic, payload, Age::Live);
        let mut words: Vec<String> = samples.iter().map(said).collect();
        words.sort();
        words.extend((!code.is_empty()).then(|| code.to_owned()));
        words.join("; ")
    }
}

fn said(sample: &Sample) -> String {
    let value = match sample.value.to_bits() {
        STALE => "stale".to_owned(),
        _ => sample.value.to_string(),
    };
    let ago = NOW.as_ms() - sample.time.as_ms();
    format!("{} {value} @{ago}", sample.series)
}

#[test]
fn a_number_is_a_sample_of_its_topic() {
    let mut reader = Reader::new(vec![
        rule("sensors/{site}/{name}", number()),
        TopicRule {
            name: Some("up".into()),
            labels: vec![("source".into(), "mqtt".into())],
            ..rule("sensors/{site}/status", number())
        },
    ]);
    for _ in 0..2 {
        for (topic, payload, expected) in [
            ("sensors/oslo/temp", &b"21.5"[..], "temp{site=\"oslo\"} 21.5 @0"),
            ("sensors/oslo/temp", b" 1e3\n", "temp{site=\"oslo\"} 1000 @0"),
            ("sensors/oslo/9 l", b"true", "_9_l{site=\"oslo\"} 1 @0"),
            ("sensors/oslo/status", b"online", "up{site=\"oslo\",source=\"mqtt\"} 1 @0"),
            ("sensors/oslo/temp", b"", "value_invalid"),
            ("sensors/oslo/temp", b"warm", "value_invalid"),
            ("sensors/oslo/temp", b"\xff", "value_invalid"),
            ("sensors/oslo/temp", b"NaN", "value_not_finite"),
            ("sensors/oslo/temp", b"1e999", "value_not_finite"),
            ("sensors/oslo/", b"1", "name_invalid"),
            ("other", b"1", "topic_unknown"),
        ] {
            assert_eq!(reader.words(topic, payload), expected, "{topic} {payload:?}");
        }
    }
    assert_eq!(reader.words(&"a".repeat(70_000), b"1"), "topic_too_long");
}

#[test]
fn json_has_values_by_paths() {
    let mut reader = Reader::new(vec![
        rule(
            "z/{device}",
            json(&[("t", "temp"), ("h", "air.humidity")], Some(("at", TimeUnit::Seconds))),
        ),
        rule("one/{name}", json(&[("", "v")], None)),
    ]);
    for (topic, payload, expected) in [
        (
            "z/a",
            r#"{"temp":1,"air":{"humidity":"40"}}"#,
            "h{device=\"a\"} 40 @0; t{device=\"a\"} 1 @0",
        ),
        ("z/a", r#"{"temp":1}"#, "t{device=\"a\"} 1 @0"),
        ("z/a", r#"{"temp":1,"at":1699999999.5}"#, "t{device=\"a\"} 1 @500"),
        ("z/a", r#"{"temp":1,"at":"1699999999"}"#, "t{device=\"a\"} 1 @1000"),
        ("z/a", r#"{"temp":1,"at":"2023-11-14T22:13:19Z"}"#, "t{device=\"a\"} 1 @1000"),
        ("z/a", r#"{"temp":1,"at":1700000000000}"#, "timestamp_out_of_range"),
        ("z/a", r#"{"temp":1,"at":1}"#, "timestamp_out_of_range"),
        ("z/a", r#"{"temp":1,"at":"noon"}"#, "type_invalid"),
        ("z/a", r#"{"temp":[],"air":{"humidity":2}}"#, "h{device=\"a\"} 2 @0; type_invalid"),
        ("z/a", r#"{"temp":null}"#, "value_missing"),
        ("z/a", "{}", "value_missing"),
        ("z/a", "21.5", "value_missing"),
        ("z/a", "{", "json_invalid"),
        ("one/t", r#"{"v":true}"#, "t 1 @0"),
    ] {
        assert_eq!(reader.words(topic, payload.as_bytes()), expected, "{payload}");
    }
}

#[test]
fn what_a_broker_kept_feeds_no_rule_unless_it_says_of_when_it_is() {
    let mut reader = Reader::new(vec![
        rule("n/{name}", number()),
        rule("j/{name}", json(&[("", "v")], Some(("at", TimeUnit::Milliseconds)))),
    ]);
    let mut code = |topic, payload: &str| {
        let (samples, _, code) = reader.read(topic, payload.as_bytes(), Age::Retained);
        (samples.len(), code)
    };
    assert_eq!(code("n/t", "1"), (0, "retained_without_time"));
    assert_eq!(code("j/t", r#"{"v":1}"#), (0, "retained_without_time"));
    assert_eq!(code("j/t", r#"{"v":1,"at":1700000000000}"#), (1, ""));
}

#[test]
fn entries_that_contradict_each_other_are_refused() {
    let named = |name: &str, topic| TopicRule { name: Some(name.into()), ..rule(topic, number()) };
    let labelled =
        |label: &str, rule| TopicRule { labels: vec![(label.into(), "v".into())], ..rule };
    for (rules, expected) in [
        (vec![rule("a/{name}", number()), rule("{x}/{name}", number())], None),
        (vec![named("t", "a/{x}"), named("t", "{y}/b")], Some("share topics")),
        (vec![named("t", "a/{x}"), named("u", "a/{y}")], Some("share topics")),
        (vec![rule("a", number())], Some("comes either from")),
        (vec![named("t", "a/{name}")], Some("comes either from")),
        (vec![rule("a/{name}", json(&[("t", "x")], None))], Some("comes either from")),
        (vec![rule("a", json(&[("t", "x"), ("", "y")], None))], Some("comes either from")),
        (vec![rule("a", json(&[], None))], Some("1 to")),
        (vec![labelled("x", named("t", "a/{x}"))], Some("twice")),
        (vec![labelled("__name__", named("t", "a"))], Some("twice")),
        (vec![named("", "a")], Some("metric name")),
        (vec![rule("a/#", Payload::Sparkplug)], Some("spBv1.0")),
        (vec![labelled("device", rule("spBv1.0/#", Payload::Sparkplug))], Some("twice")),
    ] {
        let said = Mapping::new(rules).map(|_| ()).map_err(|error| error.to_string());
        match expected {
            None => assert_eq!(said, Ok(())),
            Some(expected) => {
                let error = said.expect_err(expected);
                assert!(error.contains(expected), "{error}");
            }
        }
    }
    let mapping =
        Mapping::new(vec![rule("a/{name}", number()), rule("spBv1.0/#", Payload::Sparkplug)]);
    assert_eq!(mapping.expect("entries").filters(), ["a/+", "spBv1.0/#"]);
}

/// A payload of Sparkplug B, as others encode it.
#[derive(Clone, PartialEq, prost::Message)]
struct Node {
    #[prost(uint64, optional, tag = "1")]
    timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
    #[prost(uint64, optional, tag = "3")]
    seq: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metric {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    alias: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    datatype: Option<u32>,
    #[prost(bool, optional, tag = "7")]
    is_null: Option<bool>,
    #[prost(uint32, optional, tag = "10")]
    int: Option<u32>,
    #[prost(uint64, optional, tag = "11")]
    long: Option<u64>,
    #[prost(double, optional, tag = "13")]
    double: Option<f64>,
    #[prost(bool, optional, tag = "14")]
    boolean: Option<bool>,
    #[prost(string, optional, tag = "15")]
    text: Option<String>,
}

fn payload(metrics: Vec<Metric>) -> Vec<u8> {
    Node { timestamp: Some(1_699_999_999_000), metrics, seq: Some(0) }.encode_to_vec()
}

fn announced(name: &str, alias: u64, datatype: u32) -> Metric {
    Metric {
        name: Some(name.to_owned()),
        alias: Some(alias),
        datatype: Some(datatype),
        ..Metric::default()
    }
}

fn life(number: u64) -> Metric {
    Metric {
        name: Some("bdSeq".to_owned()),
        datatype: Some(8),
        long: Some(number),
        ..Metric::default()
    }
}

fn numbered(alias: u64) -> Metric {
    Metric { alias: Some(alias), ..Metric::default() }
}

const AT: &str = "edge_node=\"n\",group=\"g\"";

#[test]
fn sparkplug_announces_sends_and_dies() {
    let mut reader = Reader::new(vec![rule("spBv1.0/#", Payload::Sparkplug)]);
    let double = |alias, value| Metric { double: Some(value), ..numbered(alias) };
    // Nobody knows the numbers yet.
    let data = payload(vec![double(1, 7.0)]);
    assert_eq!(reader.words("spBv1.0/g/NDATA/n", &data), "sparkplug_unborn");

    let birth = payload(vec![
        life(4),
        Metric { boolean: Some(false), ..announced("Node Control/Rebirth", 9, 11) },
        Metric { double: Some(1.5), ..announced("Motor/Speed", 1, 10) },
        Metric { int: Some(u32::MAX), ..announced("cold", 2, 3) },
        Metric { text: Some("x".to_owned()), ..announced("serial", 3, 12) },
    ]);
    let born = format!("Motor_Speed{{{AT}}} 1.5 @1000; cold{{{AT}}} -1 @1000");
    assert_eq!(reader.words("spBv1.0/g/NBIRTH/n", &birth), born);

    let told = Metric { double: None, is_null: Some(true), ..numbered(2) };
    let text = Metric { text: Some("y".to_owned()), ..numbered(3) };
    let data = payload(vec![double(1, 7.0), told, text, double(8, 1.0)]);
    let expected =
        format!("Motor_Speed{{{AT}}} 7 @1000; cold{{{AT}}} stale @1000; sparkplug_unborn");
    assert_eq!(reader.words("spBv1.0/g/NDATA/n", &data), expected);

    let device = payload(vec![Metric { long: Some(5), ..announced("level", 20, 4) }]);
    let level = |value: &str| format!("level{{device=\"d\",{AT}}} {value}");
    assert_eq!(reader.words("spBv1.0/g/DBIRTH/n/d", &device), level("5 @1000"));
    assert_eq!(reader.words("spBv1.0/g/DDATA/n/e", &data), "sparkplug_unborn");

    // It comes again, with less: what is gone is stale, and the device's numbers mean nothing.
    let again = payload(vec![life(5), Metric { int: Some(3), ..announced("cold", 20, 3) }]);
    let expected = format!("Motor_Speed{{{AT}}} stale @0; cold{{{AT}}} 3 @1000");
    assert_eq!(reader.words("spBv1.0/g/NBIRTH/n", &again), expected);
    let data = payload(vec![Metric { long: Some(6), ..numbered(20) }]);
    assert_eq!(reader.words("spBv1.0/g/DDATA/n/d", &data), "sparkplug_unborn");
    assert_eq!(reader.words("spBv1.0/g/DBIRTH/n/d", &device), level("5 @1000"));

    // The death of its life before comes late.
    assert_eq!(reader.words("spBv1.0/g/NDEATH/n", &payload(vec![life(4)])), "");
    assert_eq!(reader.words("spBv1.0/g/DDEATH/n/d", &payload(Vec::new())), level("stale @0"));
    let died = format!("cold{{{AT}}} stale @0");
    assert_eq!(reader.words("spBv1.0/g/NDEATH/n", &payload(vec![life(5)])), died);
    assert_eq!(reader.words("spBv1.0/g/NDEATH/n", &payload(vec![life(5)])), "");

    for (topic, payload, expected) in [
        ("spBv1.0/STATE/host", &b"{}"[..], ""),
        ("spBv1.0/g/NCMD/n", b"", ""),
        ("spBv1.0/g/NBIRTH/n/d", b"", "sparkplug_topic"),
        ("spBv1.0/g/SMILE/n", b"", "sparkplug_topic"),
        ("spBv1.0/g/NBIRTH/n", b"\xff", "protobuf_invalid"),
    ] {
        assert_eq!(reader.words(topic, payload), expected, "{topic}");
    }
}

#[test]
fn a_device_whose_clock_is_ahead_ends_with_its_death() {
    let mut reader = Reader::new(vec![rule("spBv1.0/#", Payload::Sparkplug)]);
    let ahead = |seconds: u64, metrics| {
        let timestamp = Some(1_700_000_000_000 + seconds * 1_000);
        Node { timestamp, metrics, seq: Some(0) }.encode_to_vec()
    };
    let heat = |name: Option<&str>| Metric {
        double: Some(1.0),
        ..name.map_or_else(|| numbered(1), |name| announced(name, 1, 10))
    };
    let words = |what: &str| format!("heat{{{AT}}} {what}");
    let born = reader.words("spBv1.0/g/NBIRTH/n", &ahead(9, vec![life(4), heat(Some("heat"))]));
    assert_eq!(born, words("1 @-9000"));
    let data = reader.words("spBv1.0/g/NDATA/n", &ahead(5, vec![heat(None)]));
    assert_eq!(data, words("1 @-5000"));
    // It is not there any more, and the device itself goes later.
    let again = reader.words("spBv1.0/g/NBIRTH/n", &ahead(0, vec![life(5), heat(Some("cold"))]));
    assert_eq!(again, format!("cold{{{AT}}} 1 @0; {}", words("stale @-9000")));
    let died = reader.words("spBv1.0/g/NDEATH/n", &payload(vec![life(5)]));
    assert_eq!(died, format!("cold{{{AT}}} stale @-9000"));
}

#[test]
fn what_sparkplug_announces_is_of_whoever_does() {
    let mut reader = Reader::new(vec![rule("spBv1.0/#", Payload::Sparkplug)]);
    let birth = |name, value| Metric { double: Some(value), ..announced(name, 1, 10) };
    let data = payload(vec![Metric { double: Some(7.0), ..numbered(1) }]);
    reader.from = "team";
    let born = reader.words("spBv1.0/g/NBIRTH/n", &payload(vec![life(4), birth("heat", 1.0)]));
    assert_eq!(born, format!("heat{{{AT}}} 1 @1000"));

    // Somebody else gives the numbers another meaning, and says that the node is dead.
    reader.from = "stranger";
    assert_eq!(reader.words("spBv1.0/g/NDATA/n", &data), "sparkplug_unborn");
    assert_eq!(reader.words("spBv1.0/g/NDEATH/n", &payload(vec![life(4)])), "");
    let born = reader.words("spBv1.0/g/NBIRTH/n", &payload(vec![life(4), birth("cold", 2.0)]));
    assert_eq!(born, format!("cold{{{AT}}} 2 @1000"));
    let died = reader.words("spBv1.0/g/NDEATH/n", &payload(vec![life(4)]));
    assert_eq!(died, format!("cold{{{AT}}} stale @0"));

    reader.from = "team";
    assert_eq!(reader.words("spBv1.0/g/NDATA/n", &data), format!("heat{{{AT}}} 7 @1000"));
}

#[test]
fn what_sparkplug_announces_is_bounded() {
    let mut reader = Reader::new(vec![rule("spBv1.0/#", Payload::Sparkplug)]);
    let metrics = |_| (0..1_000).map(|n| announced(&format!("m{n}"), n, 10)).collect();
    let birth = payload((0..1).flat_map::<Vec<_>, _>(metrics).collect());
    let refused = (0..1_000).find(|n| {
        reader.words(&format!("spBv1.0/g/NBIRTH/n{n}"), &birth).contains("sparkplug_full")
    });
    assert!(refused.is_some_and(|births| births > 100), "{refused:?}");
    let empty = payload(Vec::new());
    let refused = (0..100_000)
        .find(|n| reader.words(&format!("spBv1.0/g/NBIRTH/e{n}"), &empty) == "sparkplug_full");
    assert!(refused.is_some());
    // Who fills their room leaves others theirs.
    reader.from = "other";
    assert_eq!(reader.words("spBv1.0/g/NBIRTH/n0", &empty), "");
    reader.from = "";
    // Who is gone makes room.
    for n in 0..10 {
        reader.words(&format!("spBv1.0/g/NDEATH/n{n}"), &empty);
    }
    assert_eq!(reader.words("spBv1.0/g/NBIRTH/late", &empty), "");
}

proptest! {
    #[test]
    fn no_payload_is_too_wild(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        kind in "[ND](BIRTH|DATA|DEATH)",
    ) {
        let mut reader = Reader::new(vec![
            rule("spBv1.0/#", Payload::Sparkplug),
            rule("n/{name}", number()),
            rule("j/{name}", json(&[("", "a.b[0]")], Some(("t", TimeUnit::Nanoseconds)))),
        ]);
        for topic in ["n/t".to_owned(), "j/t".to_owned(), format!("spBv1.0/g/{kind}/n"), format!("spBv1.0/g/{kind}/n/d")] {
            let (samples, _, _) = reader.read(&topic, &bytes, Age::Live);
            let is_value = |sample: &Sample| sample.value.is_finite() || sample.value.to_bits() == STALE;
            prop_assert!(samples.iter().all(is_value));
        }
    }

    #[test]
    fn every_number_comes_through(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
        let mut reader = Reader::new(vec![rule("n/{name}", number()), rule("j/{name}", json(&[("", "v")], None))]);
        let (samples, _, code) = reader.read("n/t", value.to_string().as_bytes(), Age::Live);
        prop_assert_eq!(code, "");
        prop_assert_eq!(samples[0].value.to_bits(), value.to_bits());
        let document = serde_json::json!({ "v": value }).to_string();
        let (samples, _, _) = reader.read("j/t", document.as_bytes(), Age::Live);
        prop_assert_eq!(samples[0].value.to_bits(), value.to_bits());
    }
}
