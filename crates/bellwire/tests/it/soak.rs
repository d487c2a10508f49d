//! Followers on each transport, side by side over a network that fails: for seconds what
//! `cargo xtask soak` does for hours.

use serde_json::Value;

use crate::harness::{Process, Random, bellwire};

/// Long enough for each kind of fault to have its turn.
const SECONDS: &str = "20";

#[test]
fn each_event_comes_once_and_in_order_over_a_network_that_fails() {
    let seed = Random::announced().below(1 << 32).to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let so_far = folder.path().join("so-far.ndjson");
    let mut command = bellwire(&["bench", "soak", "--json", "--seconds", SECONDS]);
    command.args(["--followers", "2", "--fault-interval-ms", "1000", "--backoff-ms", "50"]);
    command.args(["--seed", &seed]).arg("--so-far").arg(&so_far);
    let (code, output, errors) = Process::spawn(command).finish();
    assert_eq!(code, Some(0), "{output}{errors}");

    let records: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let transports: Vec<_> = records.iter().map(|one| &one["parameters"]["transport"]).collect();
    assert_eq!(transports, ["sse", "websocket", "poll"]);
    for record in &records {
        let figure = |name: &str| record["figures"][name].as_f64();
        assert_eq!(figure("published"), Some(400.0), "{record}");
        assert_eq!(figure("deliveries"), Some(800.0), "{record}");
        for name in ["missed", "doubled", "reordered", "gaps"] {
            assert_eq!(figure(name), Some(0.0), "{name}: {record}");
        }
        for kind in ["cut", "reset", "stall", "mute", "away"] {
            assert!(figure(&format!("recovery_{kind}_p99_ms")).is_some(), "{kind}: {record}");
        }
        assert!(figure("connections") > Some(2.0), "{record}");
        assert!(figure("server_rss_end_bytes") > Some(0.0), "{record}");
    }
    // What there was before the end, and then at the end.
    assert_eq!(std::fs::read_to_string(so_far).expect("kept"), output);
}
