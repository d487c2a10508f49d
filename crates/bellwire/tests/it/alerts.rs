//! From a sample to an alert, over real sockets.

use serde_json::{Value, json};

use crate::harness::{Server, Stream, get, post};

const RULES: &str = r#"
groups:
  - name: boilers
    rules:
      - alert: BoilerHot
        expr: boiler_temperature_celsius > 90
        for: 2s
        labels:
          severity: critical
        annotations:
          summary: "{{ $labels.site }} is at {{ $value }} °C"
      - alert: BoilerWarm
        expr: boiler_average_celsius > 90
        for: 1h
      - alert: DoorOpen
        expr: door_open == 1
        labels:
          severity: info
      - alert: Humid
        expr: humidity_percent > 90
        resolve_expr: humidity_percent < 80
      - alert: Pressed
        expr: last_over_time(pressure_bar[200ms]) > 5
        on_data_lost: keep
"#;

fn server() -> (Server, tempfile::NamedTempFile) {
    let rules = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(rules.path(), RULES).expect("a file is written");
    let server = Server::start_with(&["--rules", rules.path().to_str().expect("UTF-8")]);
    (server, rules)
}

fn sample(name: &str, site: &str, value: f64) -> String {
    json!({ "name": name, "labels": { "site": site }, "value": value }).to_string()
}

#[test]
fn an_alert_fires_exactly_when_for_has_passed_and_resolves_with_the_next_sample() {
    let (server, _rules) = server();
    let address = server.address();
    let mut events = Stream::open(address, "topic=alerts/events/**");
    let mut board = Stream::open(address, "topic=alerts/active");
    events.until_ready();
    board.until_ready();

    assert_eq!(
        post(address, "/v1/samples", sample("boiler_temperature_celsius", "oslo", 93.5)).status,
        200
    );
    let pending = board.next_of("alert.pending").payload();
    assert_eq!(pending["state"], "pending");
    let firing = events.next_of("alert.firing");
    let as_shown = |mut alert: Value| {
        let expression = alert.as_object_mut().expect("an alert").remove("expression");
        assert_eq!(expression, Some(json!("boiler_temperature_celsius > 90")), "as it was then");
        alert
    };
    let alert = as_shown(firing.payload());
    assert_eq!(firing.json()["topic"], "alerts/events/critical/BoilerHot");
    assert_eq!(firing.json()["cursor"], firing.id.as_str());
    assert_eq!(alert["annotations"]["summary"], "oslo is at 93.5 °C");
    assert_eq!(alert["labels"]["site"], "oslo");
    let time = |alert: &Value, name: &str| alert[name].as_i64().expect("a time");
    assert_eq!(time(&alert, "fired_at") - time(&alert, "active_at"), 2_000, "to the millisecond");
    assert_eq!(board.next_of("alert.firing").payload(), alert, "the board shows the same");

    post(address, "/v1/samples", sample("boiler_temperature_celsius", "oslo", 80.0));
    let resolved = as_shown(events.next_of("alert.resolved").payload());
    assert_eq!(resolved["fingerprint"], alert["fingerprint"]);
    assert!(time(&resolved, "resolved_at") >= time(&alert, "fired_at"));
    // The board follows what has been announced.
    assert_eq!(board.next_of("alert.resolved").payload(), resolved);
    let alerts = get(address, "/v1/alerts").json();
    assert_eq!(alerts["alerts"][0]["state"], "resolved", "it stays on the board for a while");
}

#[test]
fn an_alert_with_an_end_of_its_own_resolves_there() {
    let (server, _rules) = server();
    let address = server.address();
    let mut events = Stream::open(address, "topic=alerts/events/**");
    events.until_ready();
    for value in [91.0, 85.0, 79.0] {
        post(address, "/v1/samples", sample("humidity_percent", "oslo", value));
    }
    let firing = events.next().expect("the stream goes on");
    assert_eq!(firing.json()["type"], "alert.firing");
    let resolved = events.next().expect("the stream goes on");
    assert_eq!(resolved.json()["type"], "alert.resolved");
    assert_eq!(resolved.payload()["value"], 91.0, "the value that the condition saw last");
}

#[test]
fn an_alert_whose_series_falls_silent_is_shown_as_that_and_fires_on_when_it_is_back() {
    let (server, _rules) = server();
    let address = server.address();
    let mut events = Stream::open(address, "topic=alerts/events/**");
    let mut board = Stream::open(address, "topic=alerts/active");
    events.until_ready();
    board.until_ready();
    post(address, "/v1/samples", sample("pressure_bar", "oslo", 7.0));
    let firing = events.next_of("alert.firing").payload();
    let lost = events.next_of("alert.data_lost").payload();
    assert_eq!(
        (&lost["state"], &lost["fingerprint"]),
        (&json!("data_lost"), &firing["fingerprint"])
    );
    // The board follows what has been announced.
    board.next_of("alert.data_lost");
    let alerts = get(address, "/v1/alerts").json();
    assert_eq!(alerts["alerts"][0]["state"], "data_lost");
    post(address, "/v1/samples", sample("pressure_bar", "oslo", 8.0));
    let again = events.next_of("alert.firing").payload();
    assert_eq!(again["fired_at"], firing["fired_at"], "it is the same alert");
    events.next_of("alert.data_lost");
    post(address, "/v1/samples", sample("pressure_bar", "oslo", 1.0));
    let resolved = events.next_of("alert.resolved").payload();
    assert_eq!(resolved["fingerprint"], firing["fingerprint"]);
}

#[test]
fn an_alert_that_ends_before_for_has_passed_was_never_announced() {
    let (server, _rules) = server();
    let address = server.address();
    let mut board = Stream::open(address, "topic=alerts/active");
    board.until_ready();
    post(address, "/v1/samples", sample("boiler_average_celsius", "oslo", 95.0));
    let pending = board.next_of("alert.pending").json();
    post(address, "/v1/samples", sample("boiler_average_celsius", "oslo", 20.0));
    let removed = board.next().expect("the stream goes on").json();
    assert_eq!((&removed["key"], &removed["deleted"]), (&pending["key"], &json!(true)));

    // Another alert's event is the first on the topic: there was none before it.
    post(address, "/v1/samples", sample("door_open", "oslo", 1.0));
    let mut events = Stream::open(address, "topic=alerts/events/**&after=earliest");
    assert_eq!(events.events(1)[0].json()["topic"], "alerts/events/info/DoorOpen");
}

#[test]
fn a_batch_is_applied_whole_before_rules_look_at_it() {
    let (server, _rules) = server();
    let address = server.address();
    // Of two with one time the last counts: what holds after the batch is all that rules see.
    let batch = [sample("door_open", "bergen", 1.0), sample("door_open", "bergen", 0.0)].join("\n");
    assert_eq!(post(address, "/v1/samples", batch).json(), json!({ "accepted": 2 }));
    post(address, "/v1/samples", sample("door_open", "oslo", 1.0));
    let mut events = Stream::open(address, "topic=alerts/events/**&after=earliest");
    assert_eq!(events.events(1)[0].payload()["labels"]["site"], "oslo");
}

#[test]
fn the_line_protocol_feeds_the_same_rules() {
    let (server, _rules) = server();
    let address = server.address();
    let answer = post(address, "/api/v2/write?org=o&bucket=b", "door,site=höhe open=true");
    assert_eq!(answer.status, 204, "{}", answer.text());
    let mut events = Stream::open(address, "topic=alerts/events/info/*&after=earliest");
    assert_eq!(events.next_of("alert.firing").payload()["labels"]["site"], "höhe");
    let mut values = Stream::open(address, "topic=samples/door_open");
    assert_eq!(values.events(1)[0].payload()["value"], 1);
}

#[test]
fn a_restart_neither_forgets_nor_repeats_a_firing_alert() {
    let (mut server, _rules) = server();
    let address = server.address();
    post(address, "/v1/samples", sample("door_open", "oslo", 1.0));
    let mut events = Stream::open(address, "topic=alerts/events/**&after=earliest");
    let firing = events.next_of("alert.firing");
    server.kill();
    server.restart();

    let alerts = get(address, "/v1/alerts").json();
    assert_eq!(alerts["alerts"][0]["state"], "firing");
    assert_eq!(alerts["alerts"][0]["active_at"], firing.payload()["active_at"]);
    let mut board = Stream::open(address, "topic=alerts/active");
    assert_eq!(board.until_ready().len(), 1, "the board is there from the first moment");
    // The same condition again is the same alert; its end is the next event.
    post(address, "/v1/samples", sample("door_open", "oslo", 1.0));
    post(address, "/v1/samples", sample("door_open", "oslo", 0.0));
    let mut events = Stream::resume(address, "topic=alerts/events/**", &firing.id);
    let next = events.events(1).remove(0);
    assert_eq!(next.event_type, "alert.resolved");
    assert_eq!(next.payload()["fingerprint"], firing.payload()["fingerprint"]);
}
