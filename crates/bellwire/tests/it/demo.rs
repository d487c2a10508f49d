//! `bellwire demo`.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::harness::{Process, Request, Stream, get, request, until};

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

#[test]
fn each_team_logs_in_and_sees_its_own_sites() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().to_str().expect("UTF-8");
    let mut demo =
        Process::start(&["demo", "--teams", "--listen", "127.0.0.1:0", "--data", folder]);
    let line = demo.line();
    let address = line.strip_prefix("listening on http://").expect("where it listens");
    let address = address.parse().expect("an address");
    // `  north     <password>   oslo, bergen, …`
    let logins: Vec<(String, String, BTreeSet<String>)> = std::iter::repeat_with(|| demo.line())
        .skip_while(|line| !line.starts_with("Log in"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .map(|line| {
            let mut words = line.split_whitespace();
            let mut word = || words.next().expect("a word").to_owned();
            let (name, password) = (word(), word());
            (name, password, words.map(|site| site.trim_end_matches(',').to_owned()).collect())
        })
        .collect();
    let names: Vec<_> = logins.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["north", "west", "south", "operator"]);

    assert_eq!(get(address, "/v1/alerts").status, 401);
    for (name, password, sites) in &logins[..3] {
        let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
        let headers = [("Authorization", basic.as_str())];
        let path = "/v1/topics/samples/boiler_temperature_celsius?limit=1000";
        // Each sensor has its turn within some seconds.
        let mut seen = BTreeSet::new();
        until("each sees its sites", || {
            let asked = Request { method: "GET", path, headers: &headers, body: b"" };
            let page = request(address, asked).json();
            let events = page["events"].as_array().cloned().unwrap_or_default();
            let site = |event: &serde_json::Value| event["data"]["labels"]["site"].clone();
            seen = events
                .iter()
                .map(|event| site(event).as_str().expect("a site").to_owned())
                .collect::<BTreeSet<String>>();
            seen.len() >= sites.len()
        });
        assert_eq!(&seen, sites, "{name}");
    }
    demo.signal("INT");
    assert!(demo.wait().success(), "{}", demo.errors());
}
