//! What rules know survives a kill: timers that run, and the windows of series.

use serde_json::{Value, json};

use crate::harness::{Server, Stream, get, post};

const RULES: &str = r"
groups:
  - name: g
    rules:
      - {alert: Held, expr: held > 0, for: 8s}
      - {alert: Often, expr: 'count_over_time(often[1h]) >= 3'}
      - {alert: Kept, expr: kept > 0, keep_firing_for: 1h}
      - {record: total, expr: sum(part)}
      - {alert: Total, expr: total > 2}
";

fn server() -> (Server, tempfile::NamedTempFile) {
    let rules = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(rules.path(), RULES).expect("a file is written");
    let server = Server::start_with(&["--rules", rules.path().to_str().expect("UTF-8")]);
    (server, rules)
}

/// Sends a sample, and waits until the rules have seen it.
fn send(server: &Server, name: &str, value: f64) {
    let mut values = Stream::open(server.address(), &format!("topic=samples/{name}"));
    values.until_ready();
    let sample = json!({ "name": name, "labels": { "site": "oslo" }, "value": value });
    assert_eq!(post(server.address(), "/v1/samples", sample.to_string()).status, 200);
    values.events(1);
}

fn alert(server: &Server, name: &str) -> Value {
    let alerts = get(server.address(), "/v1/alerts").json();
    let of_name = |alert: &&Value| alert["labels"]["alertname"] == name;
    alerts["alerts"].as_array().expect("an array").iter().find(of_name).cloned().unwrap_or_default()
}

fn events(server: &Server) -> Stream {
    Stream::open(server.address(), "topic=alerts/events/**&after=earliest")
}

#[test]
fn for_goes_on_where_it_was_when_the_server_was_killed() {
    let (mut server, _rules) = server();
    send(&server, "held", 1.0);
    let pending = alert(&server, "Held");
    assert_eq!(pending["state"], "pending");
    server.kill();
    server.restart();
    let fired = events(&server).next_of("alert.firing").payload();
    assert_eq!(fired["active_at"], pending["active_at"]);
    let time = |name: &str| fired[name].as_i64().expect("a time");
    assert_eq!(time("fired_at") - time("active_at"), 8_000, "to the millisecond");
}

#[test]
fn windows_have_what_came_before_the_kill() {
    let (mut server, _rules) = server();
    for _ in 0..2 {
        send(&server, "often", 1.0);
        send(&server, "part", 1.0);
        server.kill();
        server.restart();
    }
    send(&server, "often", 1.0);
    assert_eq!(events(&server).next_of("alert.firing").payload()["labels"]["alertname"], "Often");
    // The recorded series goes on, too.
    send(&server, "part", 5.0);
    assert_eq!(alert(&server, "Total")["state"], "firing");
}

#[test]
fn an_alert_that_is_kept_firing_is_still_kept_after_a_kill() {
    let (mut server, _rules) = server();
    send(&server, "kept", 1.0);
    send(&server, "kept", 0.0);
    let firing = alert(&server, "Kept");
    for _ in 0..3 {
        server.kill();
        server.restart();
        let after = alert(&server, "Kept");
        assert_eq!((&after["state"], &after["fired_at"]), (&firing["state"], &firing["fired_at"]));
    }
    // It was told once: the next event is another alert's.
    send(&server, "part", 9.0);
    let mut events = events(&server);
    let names =
        events.events(2).into_iter().map(|event| event.payload()["labels"]["alertname"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["Kept", "Total"]);
}

#[test]
fn a_log_that_ends_in_the_middle_counts_up_to_there() {
    let (mut server, _rules) = server();
    send(&server, "held", 1.0);
    let pending = alert(&server, "Held");
    server.kill();
    let folder = server.data().join("rules");
    let mut logs: Vec<_> = std::fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log-"))
        })
        .collect();
    logs.sort();
    let log = logs.last().expect("there is a log");
    let mut bytes = std::fs::read(log).expect("a file");
    bytes.extend_from_slice(b"\x09\0\0\0half");
    std::fs::write(log, bytes).expect("a file");
    server.restart();
    assert_eq!(alert(&server, "Held")["active_at"], pending["active_at"]);
}
