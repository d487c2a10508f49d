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

    for metric in ["host_cpu_usage_percent", "boiler_temperature_celsius"] {
        let sample = Stream::open(address, &format!("topic=samples/{metric}")).next_of("message");
        assert_eq!(sample.payload()["name"], metric);
        assert!(sample.payload()["value"].is_number(), "{}", sample.data);
    }
    assert_eq!(get(address, "/").header("content-type"), Some("text/html; charset=utf-8"));
    demo.signal("INT");
    assert!(demo.wait().success(), "{}", demo.errors());
}
