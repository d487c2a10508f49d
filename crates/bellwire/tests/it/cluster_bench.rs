//! `bench nodes` on each engine that is there: each part once, small and short.

use serde_json::Value;

use crate::harness::{Process, bellwire};

/// What the lines of a run are about, each once for the one server and once for the cluster.
const WORKLOADS: [&str; 12] = [
    "nodes-latency",
    "nodes-latency",
    "nodes-publish",
    "nodes-publish",
    "nodes-publish",
    "nodes-publish",
    "nodes-failover",
    "nodes-failover",
    "nodes-failover",
    "nodes-failover",
    "nodes-streams",
    "nodes-streams",
];

const SMALL: [&str; 20] = [
    "--transport",
    "websocket",
    "--seconds",
    "1",
    "--publishers",
    "4",
    "--rate",
    "50",
    "--batch",
    "10",
    "--clients",
    "20",
    "--failover-rate",
    "20",
    "--streams",
    "20",
    "--broadcasts",
    "3",
    "--settle-seconds",
    "1",
];

#[test]
fn a_cluster_is_measured_beside_one_server() {
    for (engine, variable) in [("nats", "NATS_SERVER_BIN"), ("redis", "REDIS_SERVER_BIN")] {
        if std::env::var_os(variable).is_none() {
            println!("SKIPPED: {variable} names no server; `cargo xtask test` brings one");
            continue;
        }
        measures(engine);
    }
}

fn measures(engine: &str) {
    let mut command = bellwire(&["bench", "nodes", "--json", "--engine", engine]);
    command.args(SMALL);
    if let Some(libraries) = std::env::var_os("TEST_LIBRARIES") {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    let mut process = Process::spawn(command);
    let lines = process.lines(WORKLOADS.len());
    let (code, output, errors) = process.finish();
    assert_eq!((code, output.as_str()), (Some(0), ""), "{errors}");
    let records: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let workloads: Vec<_> = records.iter().map(|one| one["workload"].as_str()).collect();
    assert_eq!(workloads, WORKLOADS.map(Some));
    for (record, number) in records.iter().zip(0..) {
        let is_cluster = number % 2 == 1;
        let parameter = |name: &str| &record["parameters"][name];
        let said = (parameter("engine"), parameter("nodes").as_u64());
        let expected = if is_cluster { (engine, Some(2)) } else { ("embedded", Some(1)) };
        assert_eq!((said.0.as_str(), said.1), (Some(expected.0), expected.1), "{record}");
        if is_cluster {
            let settings = parameter("engine_settings").as_str().expect("settings");
            assert!(settings.contains("always"), "{record}");
            let version = parameter("engine_version").as_str().expect("a version");
            assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{record}");
        }
        let ratio = holds(record);
        let has_ratio = record["figures"][ratio].is_number();
        assert_eq!(has_ratio, is_cluster, "{ratio}: {record}");
    }
}

/// What each line says beside times. Returns what a cluster's says of one server's.
fn holds(record: &Value) -> &'static str {
    let figure = |name: &str| record["figures"][name].as_f64();
    let (none_is, ratio) = match record["workload"].as_str() {
        Some("nodes-latency") => (&[][..], "latency_p50_ms_ratio"),
        Some("nodes-publish") => {
            assert!(figure("arrived_events") > Some(0.0), "{record}");
            (&["missing_events", "unaccounted_events"][..], "acknowledged_events_per_s_ratio")
        }
        Some("nodes-failover") => {
            let (published, deliveries) = (figure("published"), figure("deliveries"));
            assert_eq!(deliveries, published.map(|events| events * 20.0), "{record}");
            assert!(figure("connections_per_client") >= Some(2.0), "{record}");
            (&["missed", "doubled", "reordered", "gaps"][..], "back_max_ms_ratio")
        }
        _ => {
            assert!(figure("last_p50_ms") >= figure("first_p50_ms"), "{record}");
            (&[][..], "last_p50_ms_ratio")
        }
    };
    for name in none_is {
        assert_eq!(figure(name), Some(0.0), "{name}: {record}");
    }
    ratio
}
