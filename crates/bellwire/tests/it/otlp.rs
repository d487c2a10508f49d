//! OpenTelemetry's metrics over real sockets: what is taken, what is not and what its sender is told.

use std::io::Write;

use bellwire_process::clock;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Answer, Request, Server, Stream, get, request};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

fn now_ms() -> u64 {
    clock::now().as_ms().unsigned_abs()
}

fn send(server: &Server, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    request(server.address(), Request { method: "POST", path, headers, body })
}

/// Sends metrics of a service.
fn export(server: &Server, metrics: &Value) -> Answer {
    let attribute =
        |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let attributes = [attribute("service.name", "shop"), attribute("host.name", "h")];
    let body = json!({ "resourceMetrics": [{
        "resource": { "attributes": attributes },
        "scopeMetrics": [{ "metrics": metrics }],
    }] });
    send(server, "/v1/metrics", &[("Content-Type", JSON)], body.to_string().as_bytes())
}

fn point(ms: u64, value: f64) -> Value {
    json!({ "timeUnixNano": format!("{ms}000000"), "asDouble": value })
}

fn gauge(name: &str, points: &[Value]) -> Value {
    json!({ "name": name, "gauge": { "dataPoints": points } })
}

/// Whether an answer in either encoding has these words.
fn says(answer: &Answer, words: &str) -> bool {
    String::from_utf8_lossy(&answer.body).contains(words)
}

/// A field of a message that is shorter than 128 bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).expect("short")], bytes].concat()
}

/// A gauge with one point, in Protocol Buffers.
fn in_protobuf(name: &str, ms: u64, value: f64) -> Vec<u8> {
    let time = [&[3 << 3 | 1][..], &(ms * 1_000_000).to_le_bytes()].concat();
    let value = [&[4 << 3 | 1][..], &value.to_le_bytes()].concat();
    let gauge = field(1, &[time, value].concat());
    let metric = [field(1, name.as_bytes()), field(5, &gauge)].concat();
    field(1, &field(2, &field(2, &metric)))
}

#[test]
fn metrics_of_both_encodings_are_seen_and_answered_in_their_own() {
    let server = Server::start();
    let now = now_ms();
    let mut stream = Stream::open(server.address(), "topic=samples/*");
    stream.until_ready();
    let answer = export(&server, &json!([gauge("room.temperature", &[point(now, 21.5)])]));
    assert_eq!((answer.status, answer.text()), (200, "{}"));
    assert_eq!(answer.header("content-type"), Some(JSON));
    let events: Vec<Value> = stream.events(2).into_iter().map(|event| event.json()).collect();
    let seen = |topic: &str| {
        let event = events.iter().find(|event| event["topic"] == topic).expect("the topic");
        (event["data"]["value"].clone(), event["data"]["labels"].clone())
    };
    assert_eq!(seen("samples/room_temperature"), (json!(21.5), json!({ "job": "shop" })));
    let labels = json!({ "job": "shop", "host_name": "h" });
    assert_eq!(seen("samples/target_info"), (json!(1), labels));

    let body = in_protobuf("load", now, 0.5);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&body).expect("written");
    let gzip = gzip.finish().expect("whole");
    for (body, coding) in [(&body, "identity"), (&gzip, "gzip")] {
        let headers = [("Content-Type", PROTOBUF), ("Content-Encoding", coding)];
        let answer = send(&server, "/v1/metrics", &headers, body);
        assert_eq!((answer.status, answer.text()), (200, ""), "{coding}");
        assert_eq!(answer.header("content-type"), Some(PROTOBUF));
    }
    assert_eq!(stream.events(1).remove(0).json()["data"]["value"], 0.5);
}

#[test]
fn what_is_not_taken_is_told_and_the_rest_counts() {
    let folder = TempDir::new().expect("a folder");
    let rules = folder.path().join("rules.yml");
    let text = "groups:\n- name: g\n  rules:\n  - {alert: Up, expr: up == 2}\n";
    std::fs::write(&rules, text).expect("written");
    let server = Server::start_with(&["--rules", rules.to_str().expect("text")]);
    let now = now_ms();
    assert_eq!(export(&server, &json!([gauge("up", &[point(now - 500, 1.0)])])).status, 200);
    let exponential = json!({
        "name": "latency",
        "exponentialHistogram": { "dataPoints": [{}, {}], "aggregationTemporality": 2 },
    });
    let up = gauge("up", &[point(0, 1.0), point(now - 900, 1.0), point(now, 2.0)]);
    let answer = export(&server, &json!([exponential, up]));
    assert_eq!(answer.status, 200);
    let told = &answer.json()["partialSuccess"];
    assert_eq!(told["rejectedDataPoints"], "4");
    let message = told["errorMessage"].as_str().expect("a text");
    for part in [
        "exponential_histogram 2",
        "timestamp_missing 1",
        "sample_late 1",
        "`latency` is an exponential histogram",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let alerts = get(server.address(), "/v1/alerts").json();
    assert_eq!(alerts["alerts"][0]["labels"]["job"], "shop");
    // Nothing of it will ever be taken.
    let answer = export(&server, &json!([gauge("up", &[point(0, 1.0)])]));
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(3)));
    let metrics = get(server.address(), "/metrics");
    let counted = |reason, count| {
        let labels = format!("{{source=\"otlp\",reason=\"{reason}\"}}");
        format!("bellwire_source_samples_refused_total{labels} {count}\n")
    };
    for (reason, count) in [("exponential_histogram", 2), ("timestamp_missing", 2)] {
        assert!(metrics.text().contains(&counted(reason, count)), "{}", metrics.text());
    }
}

#[test]
fn changes_are_added_up_however_often_they_are_sent() {
    let server = Server::start();
    let mut stream = Stream::open(server.address(), "topic=samples/orders_total");
    stream.until_ready();
    let start = now_ms() - 100;
    let change = |offset: u64, value: u32| {
        let [begin, end] = [0, 1].map(|more| format!("{}000000", start + offset + more));
        json!([{ "name": "orders", "sum": {
            "aggregationTemporality": 1,
            "isMonotonic": true,
            "dataPoints": [{
                "startTimeUnixNano": begin, "timeUnixNano": end, "asInt": value.to_string(),
            }],
        } }])
    };
    let sent = [
        (0, 5, Some(5.0)),
        (1, 2, Some(7.0)),
        (1, 2, Some(7.0)),
        (3, 1, Some(8.0)),
        (2, 4, None),
        (4, 1, Some(13.0)),
    ];
    for (offset, value, total) in sent {
        let answer = export(&server, &change(offset, value));
        assert_eq!((answer.status, answer.text()), (200, "{}"), "{offset}");
        if let Some(total) = total {
            assert_eq!(stream.events(1).remove(0).json()["data"]["value"], total, "{offset}");
        }
    }
    let answer = export(&server, &change(0, 5));
    assert!(says(&answer, "interval_overlaps 1"), "{answer:?}");
}

#[test]
fn names_and_labels_are_as_they_are_configured() {
    let folder = TempDir::new().expect("a folder");
    let config = folder.path().join("bellwire.toml");
    let text = "[ingest.otlp]\npromote_resource_attributes = [\"host.name\"]\n\
                translation_strategy = \"UnderscoreEscapingWithoutSuffixes\"\n";
    std::fs::write(&config, text).expect("written");
    let server = Server::start_with(&["--config", config.to_str().expect("text")]);
    let mut stream = Stream::open(server.address(), "topic=samples/room_load");
    stream.until_ready();
    let load = json!({
        "name": "room.load", "unit": "1", "gauge": { "dataPoints": [point(now_ms(), 0.5)] },
    });
    assert_eq!(export(&server, &json!([load])).status, 200);
    let labels = json!({ "job": "shop", "host_name": "h" });
    assert_eq!(stream.events(1).remove(0).json()["data"]["labels"], labels);
}

#[test]
fn what_cannot_be_read_is_refused_in_the_words_of_the_sender() {
    let server = Server::start();
    for (content_type, body, status, code) in [
        (JSON, &b"{"[..], 400, "json_invalid"),
        (PROTOBUF, b"\xff", 400, "protobuf_invalid"),
        ("text/plain", b"{}", 415, "content_type_unsupported"),
    ] {
        let answer = send(&server, "/v1/metrics", &[("Content-Type", content_type)], body);
        assert_eq!(answer.status, status, "{content_type}");
        assert!(says(&answer, code), "{answer:?}");
    }
    let headers = [("Content-Type", PROTOBUF), ("Content-Encoding", "gzip")];
    let answer = send(&server, "/v1/metrics", &headers, b"no gzip");
    assert_eq!((answer.status, answer.header("content-type")), (400, Some(PROTOBUF)));
    for path in ["/v1/logs", "/v1/traces"] {
        for (content_type, begin) in [(JSON, "{\"code\":12,"), (PROTOBUF, "\x08\x0c")] {
            let answer = send(&server, path, &[("Content-Type", content_type)], b"");
            assert_eq!((answer.status, answer.header("content-type")), (404, Some(content_type)));
            assert!(answer.body.starts_with(begin.as_bytes()), "{answer:?}");
            assert!(says(&answer, "signal_unsupported"), "{answer:?}");
        }
    }
}
