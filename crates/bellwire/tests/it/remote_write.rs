//! Prometheus' remote write over real sockets: what is taken, what is not and what its sender is
//! told.

use bellwire_process::clock;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Answer, Request, Server, Stream, StreamItem, bellwire, get, request};

#[path = "../../../ingest/tests/remote_write/messages.rs"]
mod messages;

use self::messages::{Series, series, v1, v2};

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
const PATH: &str = "/api/v1/write";
const COUNTS: [&str; 3] = ["samples", "histograms", "exemplars"];

fn now_ms() -> i64 {
    clock::now().as_ms()
}

fn snappy(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(body).expect("short enough")
}

fn send(server: &Server, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    request(server.address(), Request { method: "POST", path: PATH, headers, body })
}

/// Sends series in a version, as Prometheus does.
fn write(server: &Server, version: &str, all: &[Series]) -> Answer {
    let (message, number) = if version == V2 { (v2(all), "2.0.0") } else { (v1(all), "0.1.0") };
    let headers = [
        ("Content-Type", version),
        ("Content-Encoding", "snappy"),
        ("X-Prometheus-Remote-Write-Version", number),
    ];
    send(server, &headers, &snappy(&message))
}

/// How much was written, as 2.0 is told.
fn written(answer: &Answer) -> Option<[&str; 3]> {
    let [samples, histograms, exemplars] =
        COUNTS.map(|kind| answer.header(&format!("x-prometheus-remote-write-{kind}-written")));
    Some([samples?, histograms?, exemplars?])
}

fn with_config(text: &str) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, text).expect("written");
    (Server::start_with(&["--config", path.to_str().expect("text")]), folder)
}

#[test]
fn samples_of_both_versions_are_shown_with_their_values_and_end_with_a_stale_marker() {
    let server = Server::start();
    let now = now_ms();
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let shown = [(1.5, json!(1.5)), (f64::NAN, json!("NaN")), (f64::INFINITY, json!("+Inf"))];
    for (name, version) in [("one", V1), ("two", V2)] {
        let mut stream = Stream::open(server.address(), &format!("topic=samples/{name}"));
        stream.until_ready();
        for ((value, shown), ms) in shown.clone().into_iter().zip(now - 9..) {
            let labels = [("__name__", name), ("job", "a")];
            let answer = write(&server, version, &[series(&labels, &[(value, ms)])]);
            assert_eq!((answer.status, answer.text()), (204, ""));
            let counts = (version == V2).then_some(["1", "0", "0"]);
            assert_eq!(written(&answer), counts);
            let event = stream.events(1).remove(0).json();
            assert_eq!(event["data"]["value"], shown);
            assert_eq!(event["data"]["labels"], json!({ "job": "a" }));
            assert_eq!(event["data"]["timestamp"], ms);
        }
        let labels = [("__name__", name), ("job", "a")];
        assert_eq!(write(&server, version, &[series(&labels, &[(stale, now)])]).status, 204);
        assert_eq!(stream.events(1).remove(0).json()["deleted"], true);
    }
}

const RULES: &str = "groups:\n- name: g\n  rules:\n  - {alert: Up, expr: up == 2}\n";

#[test]
fn what_is_not_taken_is_told_with_its_series_and_the_rest_counts() {
    let folder = TempDir::new().expect("a folder");
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, RULES).expect("written");
    let server = Server::start_with(&["--rules", rules.to_str().expect("text")]);
    let now = now_ms();
    for (version, job) in [(V1, "one"), (V2, "two")] {
        let up = |samples: &[(f64, i64)]| series(&[("__name__", "up"), ("job", job)], samples);
        assert_eq!(write(&server, version, &[up(&[(1.0, now - 500)])]).status, 204);
        // The same once more, as after an answer that was lost.
        assert_eq!(write(&server, version, &[up(&[(1.0, now - 500)])]).status, 204);
        let others = Series { histograms: 2, exemplars: 1, ..up(&[(2.0, now)]) };
        let nameless = series(&[("job", job)], &[(1.0, now)]);
        let answer = write(&server, version, &[nameless, others, up(&[(0.0, now - 900)])]);
        assert_eq!(answer.status, 400);
        let untaken = if version == V2 { 5 } else { 4 };
        let counts =
            "name_missing 1, histogram_unsupported 2, exemplar_unsupported 1, sample_late 1";
        let first =
            format!("the first is series 1, {{job=\"{job}\"}}: the series has no `__name__`");
        assert_eq!(answer.text(), format!("not taken: {untaken} ({counts}); {first}\n"));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        let late = write(&server, version, &[up(&[(0.0, now - 900)])]);
        assert_eq!(late.status, 400);
        assert!(late.text().contains("sample_late 1"), "{}", late.text());
        assert!(late.text().contains(&format!("up{{job=\"{job}\"}}")), "{}", late.text());
        if version == V2 {
            assert_eq!(written(&answer), Some(["1", "0", "0"]));
            assert_eq!(written(&late), Some(["0", "0", "0"]));
        }
    }
    let found = get(server.address(), "/api/v1/query?query=up").json();
    let values = found["data"]["result"].as_array().expect("series");
    let values: Vec<_> = values.iter().map(|it| it["value"][1].as_str().expect("text")).collect();
    assert_eq!(values, ["2", "2"], "{found}");
    let metrics = get(server.address(), "/metrics");
    for figure in [
        r#"bellwire_source_samples_taken_total{source="remote_write"} 6"#,
        r#"bellwire_source_samples_refused_total{source="remote_write",reason="sample_late"} 4"#,
        r#"bellwire_source_samples_refused_total{source="remote_write",reason="histogram_unsupported"} 4"#,
    ] {
        assert!(metrics.text().contains(&format!("\n{figure}\n")), "{figure}: {}", metrics.text());
    }
}

#[test]
fn wrong_requests_are_4xx_and_bombs_are_refused_before_they_are_made() {
    let server = Server::start();
    let message = v1(&[series(&[("__name__", "up")], &[(1.0, now_ms())])]);
    let plain = snappy(&message);
    // Says that it has 4 GiB, and 15 MiB.
    let [lie, bomb] = [&[0xff, 0xff, 0xff, 0xff, 0x0f, 0][..], &[0x80, 0x80, 0xc0, 0x07, 0]];
    let zeros = snappy(&vec![0; 16 * 1024 * 1024 + 1]);
    let unknown = "application/x-protobuf;proto=io.prometheus.write.v3.Request";
    for (headers, body, status, told) in [
        (&[][..], &plain[..], 204, ""),
        (&[("Content-Type", V1)], &plain, 204, ""),
        (&[("Content-Type", unknown)], &plain, 415, "io.prometheus.write.v2.Request"),
        (&[("Content-Type", "application/json")], &plain, 415, "application/x-protobuf"),
        (&[("Content-Encoding", "zstd")], &plain, 415, "snappy"),
        (&[("Content-Encoding", "snappy, snappy")], &plain, 415, "once"),
        (&[("Content-Encoding", "identity")], &message, 204, ""),
        (&[], &message, 400, "not snappy in its block format"),
        (&[], b"", 400, "not snappy"),
        (&[], lie, 413, "16777216 bytes"),
        (&[], bomb, 400, "say that they are"),
        (&[], &zeros, 413, "16777216 bytes"),
        (&[], &plain[..plain.len() - 1], 400, "not snappy"),
        (&[], &snappy(&message[..message.len() - 1]), 400, "ends within a field"),
        (&[("Content-Type", V2)], &plain, 400, "the fields of the other version"),
    ] {
        let answer = send(&server, headers, body);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, status, "{headers:?} {text}");
        assert!(text.contains(told) && text.len() < 1_024, "{headers:?}: {text}");
        let is_v2 = headers == [("Content-Type", V2)];
        assert_eq!(written(&answer), is_v2.then_some(["0", "0", "0"]), "{headers:?}");
    }
    assert_eq!(get(server.address(), PATH).status, 405);
    assert_eq!(get(server.address(), "/healthz").status, 200);
}

#[test]
fn each_series_is_asked_for_the_right_to_send_it() {
    let folder = TempDir::new().expect("a folder");
    let made = bellwire(&["key", "make", "--subject", "oslo", "--role", "sensor"]).output();
    let made = String::from_utf8(made.expect("it runs").stdout).expect("text");
    let (key, table) = made.split_once('\n').expect("a key, then a table");
    let role = "[[access.role]]\nname = \"sensor\"\ningest = ['{site=\"oslo\"}']\n";
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, format!("{role}{table}")).expect("written");
    let server = Server::start_with(&["--config", path.to_str().expect("text")]);
    let now = now_ms();
    let of = |site: &str| series(&[("__name__", "t"), ("site", site)], &[(1.0, now)]);
    let body = snappy(&v2(&[of("oslo"), of("bergen"), of("oslo")]));
    let basic = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("oslo:{key}"))
    };
    for authorization in [format!("Bearer {key}"), format!("Basic {basic}")] {
        let headers = [("Content-Type", V2), ("Authorization", &authorization)];
        let answer = send(&server, &headers, &body);
        assert_eq!(answer.status, 400);
        assert_eq!(written(&answer), Some(["2", "0", "0"]));
        assert!(
            answer.text().contains("t{site=\"bergen\"}: you may not send"),
            "{}",
            answer.text()
        );
    }
    let answer = write(&server, V2, &[of("oslo")]);
    assert_eq!((answer.status, written(&answer)), (401, Some(["0", "0", "0"])));
    assert!(answer.text().starts_with("credential_missing: "), "{}", answer.text());
}

#[test]
fn one_of_a_pair_of_replicas_counts_and_its_label_is_taken_away() {
    let config = "[ingest.remote_write]\nreplica_label = \"__replica__\"\n";
    let (server, _folder) = with_config(config);
    let now = now_ms();
    let mut stream = Stream::open(server.address(), "topic=samples/t");
    stream.until_ready();
    let of = |replica: &str, value: f64| {
        let labels =
            [("__name__", "t"), ("cluster", "north"), ("__replica__", replica), ("job", "a")];
        series(&labels, &[(value, now)])
    };
    for (replica, value) in [("0", 1.0), ("1", 2.0), ("0", 3.0)] {
        let answer = write(&server, V2, &[of(replica, value)]);
        assert_eq!((answer.status, written(&answer)), (204, Some(["1", "0", "0"])));
    }
    let figure = "\nbellwire_source_samples_passed_over_total{source=\"remote_write\"} 1\n";
    assert!(get(server.address(), "/metrics").text().contains(figure));
    // Whoever is no pair's comes in besides.
    let alone = series(&[("__name__", "t"), ("job", "b")], &[(4.0, now)]);
    assert_eq!(write(&server, V2, &[alone]).status, 204);
    let events: Vec<Value> = stream.events(3).iter().map(StreamItem::json).collect();
    let shown: Vec<_> =
        events.iter().map(|it| (&it["data"]["value"], &it["data"]["labels"])).collect();
    let (pair, alone) = (json!({ "cluster": "north", "job": "a" }), json!({ "job": "b" }));
    let values = [json!(1), json!(3), json!(4)];
    assert_eq!(shown, [(&values[0], &pair), (&values[1], &pair), (&values[2], &alone)]);
}
