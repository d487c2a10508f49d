//! `bellwire demo`.

use crate::harness::{Process, Stream, get};

#[test]
fn alerts_fire_and_resolve_by_themselves() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path().to_str().expect("UTF-8");
    let mut demo = Process::start(&["demo", "--listen", "127.0.0.1:0", "--data", data]);
    let line = demo.line();
    let address = line.strip_prefix("listening on http://").expect("where it listens");
    let address = address.parse().expect("an address");
    let mut alerts = Stream::open(address, "topic=alerts/events/**&after=earliest");
    let firing = alerts.next_of("alert.firing");
    assert!(firing.payload()["annotations"]["summary"].is_string(), "{}", firing.data);

    let samples = get(address, "/v1/topics").json();
    let topics: Vec<_> = samples["topics"].as_array().expect("topics").iter().collect();
    for topic in ["samples/host_cpu_usage_percent", "samples/boiler_temperature_celsius"] {
        assert!(topics.iter().any(|found| found["topic"] == topic), "{topic}: {topics:?}");
    }
    assert_eq!(get(address, "/").header("content-type"), Some("text/html; charset=utf-8"));
    demo.signal("INT");
    assert!(demo.wait().success(), "{}", demo.errors());
}
