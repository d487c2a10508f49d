//! Prometheus' API over what rules remember, and rules that are read again.

use serde_json::{Value, json};

use crate::harness::{Server, Stream, get, post};

const RULES: &str = r#"
groups:
  - name: boilers
    interval: 30s
    limit: 10
    rules:
      - record: site:temperature:max
        expr: max by (site) (temperature)
        labels: {kind: boiler}
      - alert: Hot
        expr: temperature > 90
        for: 1h
        keep_firing_for: 5m
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.site }}"}
  - name: others
    rules:
      - {alert: Open, expr: door == 1}
"#;

struct Rules(tempfile::NamedTempFile);

impl Rules {
    fn new(text: &str) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let rules = Self(file);
        rules.write(text);
        rules
    }

    fn write(&self, text: &str) {
        std::fs::write(self.0.path(), text).expect("a file is written");
    }

    fn server(&self) -> Server {
        Server::start_with(&["--rules", self.0.path().to_str().expect("UTF-8")])
    }
}

/// Sends samples, and waits until the rules have seen the last of them.
fn send(server: &Server, samples: &[(&str, &str, f64)]) {
    let (last, _, _) = samples.last().expect("there are samples");
    let mut values = Stream::open(server.address(), &format!("topic=samples/{last}"));
    values.until_ready();
    let lines = samples.iter().map(|(name, site, value)| {
        json!({ "name": name, "labels": { "site": site }, "value": value }).to_string()
    });
    let lines: Vec<String> = lines.collect();
    assert_eq!(post(server.address(), "/v1/samples", lines.join("\n")).status, 200);
    values.events(1);
}

fn ask(server: &Server, path: &str) -> Value {
    let answer = get(server.address(), path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["status"], "success");
    answer["data"].clone()
}

#[test]
fn queries_see_what_rules_select_and_record() {
    let rules = Rules::new(RULES);
    let server = rules.server();
    send(&server, &[("temperature", "oslo", 95.0), ("temperature", "bergen", 20.5)]);
    let data = ask(&server, "/api/v1/query?query=temperature%7Bsite=%22bergen%22%7D");
    assert_eq!(data["resultType"], "vector");
    assert_eq!(data["result"][0]["metric"], json!({ "__name__": "temperature", "site": "bergen" }));
    assert_eq!(data["result"][0]["value"][1], "20.5");
    let data = ask(&server, "/api/v1/query?query=sum(%7B__name__=~%22site:.*%22%7D)");
    assert_eq!(data["result"][0]["value"][1], "115.5");
    let data = ask(&server, "/api/v1/query?query=1/0&time=1700000000");
    assert_eq!(data, json!({ "resultType": "scalar", "result": [1_700_000_000, "+Inf"] }));
    // The last times that there are: it must come to an end.
    let range = "/api/v1/query_range?query=1&start=9223372036854775&end=9e18&step=1e18";
    assert_eq!(ask(&server, range)["resultType"], "matrix");
    let range = "/api/v1/query_range?query=vector(time())&start=10&end=20&step=5s";
    let values = json!([[10, "10"], [15, "15"], [20, "20"]]);
    assert_eq!(ask(&server, range)["result"], json!([{ "metric": {}, "values": values }]));
    let tree = ask(&server, "/api/v1/parse_query?query=rate(x%5B5m%5D)");
    assert_eq!((&tree["type"], &tree["func"]["name"]), (&json!("call"), &json!("rate")));
}

#[test]
fn series_are_listed_for_whoever_completes_what_is_typed() {
    let rules = Rules::new(RULES);
    let server = rules.server();
    send(&server, &[("temperature", "oslo", 95.0), ("temperature", "bergen", 20.5)]);
    let names = ["ALERTS", "ALERTS_FOR_STATE", "site:temperature:max", "temperature"];
    assert_eq!(ask(&server, "/api/v1/label/__name__/values"), json!(names));
    assert_eq!(ask(&server, "/api/v1/label/site/values"), json!(["bergen", "oslo"]));
    assert_eq!(ask(&server, "/api/v1/label/nothing/values"), json!([]));
    let of_metric = "match[]=temperature";
    assert_eq!(ask(&server, &format!("/api/v1/labels?{of_metric}")), json!(["__name__", "site"]));
    // Where several selectors select one, it is there once.
    let both = "match[]=temperature%7Bsite=%22oslo%22%7D&match[]=temperature";
    let series = |site| json!({ "__name__": "temperature", "site": site });
    assert_eq!(
        ask(&server, &format!("/api/v1/series?{both}")),
        json!([series("bergen"), series("oslo")])
    );
    // Of another time there is none, and of all times what there is.
    assert_eq!(ask(&server, &format!("/api/v1/series?{of_metric}&end=1000")), json!([]));
    let from = format!("/api/v1/series?{of_metric}&start=1000&limit=1");
    let cut = get(server.address(), &from).json();
    assert_eq!(cut["data"], json!([series("bergen")]));
    assert_eq!(cut["warnings"], json!(["results truncated due to limit"]));
    let form = post(server.address(), "/api/v1/labels?match[]=temperature", "");
    assert_eq!(form.json()["data"], json!(["__name__", "site"]));
    assert_eq!(ask(&server, "/api/v1/metadata"), json!({}));
}

#[test]
fn wrong_queries_say_what_is_wrong() {
    let rules = Rules::new(RULES);
    let server = rules.server();
    for (path, status, part) in [
        ("/api/v1/query", 400, "`query` is missing"),
        ("/api/v1/query?query=sum(", 400, "1:4: parse error"),
        ("/api/v1/query?query=a&time=yesterday", 400, "RFC 3339"),
        ("/api/v1/query_range?query=a&start=0&end=11000&step=1", 400, "at most 11000 steps"),
        ("/api/v1/query_range?query=a&start=5&end=1&step=1", 400, "before"),
        ("/api/v1/query_range?query=a&start=5&end=6&step=0", 400, "`step`"),
        ("/api/v1/series", 400, "`match[]` is missing"),
        ("/api/v1/series?match[]=sum(a)", 400, "`match[]` is a selector"),
        ("/api/v1/series?match[]=a%20offset%205m", 400, "`match[]` is a selector"),
        ("/api/v1/labels?match[]=%7B%7D", 400, "1:1: parse error"),
        ("/api/v1/labels?start=5&end=1", 400, "before"),
        ("/api/v1/labels?limit=-1", 400, "`limit`"),
        ("/api/v1/rules?type=other", 400, "`alert` or `record`"),
    ] {
        let answer = get(server.address(), path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        let body = answer.json();
        assert_eq!(body["status"], "error", "{path}");
        let text = body["error"].as_str().expect("a text");
        assert!(text.contains(part), "{path}: {text}");
    }
}

#[test]
fn rules_and_alerts_are_listed_as_prometheus_does() {
    let rules = Rules::new(RULES);
    let server = rules.server();
    send(&server, &[("door", "oslo", 1.0), ("temperature", "oslo", 95.0)]);
    let groups = ask(&server, "/api/v1/rules")["groups"].clone();
    let boilers = &groups[0];
    assert_eq!((&boilers["name"], &boilers["interval"]), (&json!("boilers"), &json!(30.0)));
    assert_eq!(boilers["limit"], 10);
    assert_eq!(boilers["rules"][0]["type"], "recording");
    assert_eq!(boilers["rules"][0]["labels"], json!({ "kind": "boiler" }));
    let hot = &boilers["rules"][1];
    assert_eq!((&hot["state"], &hot["duration"]), (&json!("pending"), &json!(3600.0)));
    assert_eq!(hot["keepFiringFor"], 300.0);
    assert_eq!(hot["annotations"]["summary"], "{{ $labels.site }}");
    assert_eq!(hot["alerts"][0]["annotations"]["summary"], "oslo");
    assert_eq!(hot["alerts"][0]["value"], "9.5e+01");
    let only = ask(&server, "/api/v1/rules?type=alert&rule_group[]=others&exclude_alerts=true");
    assert_eq!(only["groups"].as_array().map(Vec::len), Some(1));
    assert_eq!(only["groups"][0]["rules"][0]["state"], "firing");
    assert_eq!(only["groups"][0]["rules"][0].get("alerts"), None);
    let query = "/api/v1/query?query=count(ALERTS)%20by%20(alertname,alertstate)";
    let counts = ask(&server, query)["result"].clone();
    assert_eq!(counts.as_array().map(Vec::len), Some(2), "{counts}");
    let alerts = ask(&server, "/api/v1/alerts")["alerts"].clone();
    let states: Vec<&Value> =
        alerts.as_array().expect("an array").iter().map(|alert| &alert["state"]).collect();
    assert_eq!(states, ["pending", "firing"], "{alerts}");
}

#[test]
fn rules_that_are_read_again_keep_their_state_and_wrong_ones_change_nothing() {
    let rules = Rules::new(RULES);
    let mut server = rules.server();
    send(&server, &[("door", "oslo", 1.0), ("temperature", "oslo", 95.0)]);
    let pending = ask(&server, "/api/v1/rules?rule_name[]=Hot")["groups"][0]["rules"][0].clone();

    rules.write("groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'sum('}\n");
    let refused = post(server.address(), "/-/reload", "");
    assert_eq!(refused.status, 422);
    let problem = refused.json();
    assert_eq!(problem["code"], "rules_invalid");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(":4:")), "{problem}");
    assert_eq!(server.figure("bellwire_reloads_failed_total"), 1);
    assert_eq!(ask(&server, "/api/v1/rules")["groups"].as_array().map(Vec::len), Some(2));

    // One rule goes, one stays, one is new.
    let changed = RULES.replace("{alert: Open, expr: door == 1}", "{alert: Ajar, expr: door > 0}");
    rules.write(&changed);
    let mut events = Stream::open(server.address(), "topic=alerts/events/**");
    events.until_ready();
    server.process().signal("HUP");
    let mut told: Vec<(String, Value)> = (0..2)
        .map(|_| events.events(1).remove(0))
        .map(|event| (event.event_type.clone(), event.payload()["labels"]["alertname"].clone()))
        .collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [("alert.firing", "Ajar"), ("alert.resolved", "Open")];
    let expected = expected.map(|(kind, name)| (kind.to_owned(), json!(name)));
    assert_eq!(told, expected);
    let kept = ask(&server, "/api/v1/rules?rule_name[]=Hot")["groups"][0]["rules"][0].clone();
    assert_eq!(kept["alerts"][0]["activeAt"], pending["alerts"][0]["activeAt"]);

    // The state that is kept on the disk is that of the new rules.
    server.kill();
    server.restart();
    let after = ask(&server, "/api/v1/rules?rule_name[]=Hot")["groups"][0]["rules"][0].clone();
    assert_eq!(after["alerts"][0]["activeAt"], pending["alerts"][0]["activeAt"]);
    assert_eq!(
        ask(&server, "/api/v1/rules?rule_name[]=Ajar")["groups"][0]["rules"][0]["state"],
        "firing"
    );
}

/// A range query that would take many minutes: a thousand million evaluations.
const ENDLESS: &str = "/api/v1/query_range?query=count_over_time(vector(1)%5B100s:1ms%5D)\
                       &start=0&end=10999&step=1";

fn refused(server: &Server, path: &str) -> (u16, String, String) {
    let answer = get(server.address(), path);
    let body = answer.json();
    assert_eq!(body["status"], "error", "{path}: {body}");
    let text = |member: &str| body[member].as_str().expect("a text").to_owned();
    (answer.status, text("errorType"), text("error"))
}

#[test]
fn a_query_that_takes_too_long_or_holds_too_much_ends() {
    let rules = Rules::new(RULES);
    let path = rules.0.path().to_str().expect("UTF-8").to_owned();
    let server = Server::start_with(&["--rules", &path, "--query-samples-max", "2000"]);
    send(&server, &[("temperature", "oslo", 95.0), ("temperature", "bergen", 20.5)]);
    // A thousand values at each step, so that it holds no more than it may.
    let long = ENDLESS.replace("100s", "1s");
    let (status, kind, text) = refused(&server, &format!("{long}&timeout=100ms"));
    assert_eq!((status, &*kind), (503, "timeout"));
    assert_eq!(text, "query timed out in expression evaluation");
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let range = |steps: u64| {
        format!("/api/v1/query_range?query=temperature&start={now}&end={}&step=0.1", now + steps)
    };
    // Two series with two thousand values each, then with two hundred.
    let (status, kind, text) = refused(&server, &range(200));
    assert_eq!((status, &*kind), (422, "execution"));
    let begins = "query processing would load too many samples into memory";
    assert!(text.starts_with(begins), "{text}");
    assert_eq!(ask(&server, &range(20))["resultType"], "matrix");
    let (status, kind, _) = refused(&server, "/api/v1/query?query=1&timeout=soon");
    assert_eq!((status, &*kind), (400, "bad_data"));
}

#[test]
fn queries_wait_for_their_turn_and_one_whose_client_is_gone_gives_its_place_to_others() {
    use std::io::Write as _;
    let rules = Rules::new(RULES);
    let path = rules.0.path().to_str().expect("UTF-8").to_owned();
    let server = Server::start_with(&["--rules", &path, "--queries-max", "1"]);
    let mut client = std::net::TcpStream::connect(server.address()).expect("a connection");
    let request = format!("GET {ENDLESS} HTTP/1.1\r\nhost: {}\r\n\r\n", server.address());
    client.write_all(request.as_bytes()).expect("a request");
    // Until the other one has the only place, this one does.
    let short = "/api/v1/query?query=1&timeout=200ms";
    loop {
        let answer = get(server.address(), short);
        let body = answer.json();
        match (answer.status, body["error"].as_str()) {
            (503, Some("query timed out in query queue")) => {
                assert_eq!(body["errorType"], "timeout");
                break;
            }
            // It had a place, on a machine that was slow.
            (503, Some("query timed out in expression evaluation")) => {}
            (status, _) => assert_eq!(status, 200, "{body}"),
        }
    }
    drop(client);
    assert_eq!(ask(&server, "/api/v1/query?query=1")["resultType"], "scalar");
}
