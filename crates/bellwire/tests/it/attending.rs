//! What people do with alerts: acknowledge, silence, post. All of it survives a kill.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Request, Server, Spoken, Stream, WebSocket, delete, get, post, request,
};

const RULES: &str = r"
groups:
  - name: doors
    rules:
      - alert: DoorOpen
        expr: door_open == 1
        labels: {severity: info}
";

fn server() -> (Server, tempfile::NamedTempFile) {
    let rules = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(rules.path(), RULES).expect("a file is written");
    let server = Server::start_with(&["--rules", rules.path().to_str().expect("UTF-8")]);
    (server, rules)
}

/// The door of a site opens or closes; returns once that is shown, which is after its alerts are.
fn door(server: &Server, site: &str, value: f64) {
    let mut values = Stream::open(server.address(), "topic=samples/door_open");
    values.until_ready();
    let sample = json!({ "name": "door_open", "labels": { "site": site }, "value": value });
    assert_eq!(post(server.address(), "/v1/samples", sample.to_string()).status, 200);
    values.events(1);
}

/// An alert of `/v1/alerts`.
fn alert(server: &Server, site: &str) -> Value {
    let alerts = get(server.address(), "/v1/alerts").json();
    let of_site = |alert: &&Value| alert["labels"]["site"] == site;
    alerts["alerts"].as_array().expect("an array").iter().find(of_site).cloned().unwrap_or_default()
}

fn put(address: SocketAddr, path: &str, body: &str) -> Answer {
    request(address, Request { method: "PUT", path, headers: &[], body: body.as_bytes() })
}

fn ack_path(alert: &Value) -> String {
    format!("/v1/alerts/{}/ack", alert["fingerprint"].as_str().expect("a fingerprint"))
}

fn silence(matchers: &Value, more: &Value) -> String {
    let mut silence = json!({
        "matchers": matchers,
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": "2999-01-01T00:00:00Z",
        "createdBy": "ada",
        "comment": "maintenance",
    });
    for (name, value) in more.as_object().expect("an object") {
        silence[name] = value.clone();
    }
    silence.to_string()
}

fn new_silence(server: &Server, site: &str, more: Value) -> String {
    let matchers = json!([{ "name": "site", "value": site, "isRegex": false }]);
    let answer = post(server.address(), "/api/v2/silences", silence(&matchers, &more));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["silenceID"].as_str().expect("an id").to_owned()
}

#[test]
fn an_acknowledgement_is_told_survives_a_kill_and_ends_with_the_alert() {
    let (mut server, _rules) = server();
    door(&server, "oslo", 1.0);
    let firing = alert(&server, "oslo");
    let mut events = Stream::open(server.address(), "topic=alerts/events/**");
    let mut board = Stream::open(server.address(), "topic=alerts/active");
    events.until_ready();
    board.until_ready();

    let answer = post(server.address(), &ack_path(&firing), r#"{"by":"ada","note":"on it"}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let acknowledged = answer.json();
    assert_eq!(acknowledged["state"], "acknowledged");
    assert_eq!(acknowledged["acknowledged"]["by"], "ada");
    assert_eq!(acknowledged["acknowledged"]["note"], "on it");
    let told = events.next_of("alert.acknowledged");
    assert_eq!(told.json()["topic"], "alerts/events/info/DoorOpen");
    assert_eq!(told.payload(), acknowledged);
    assert_eq!(board.next_of("alert.acknowledged").payload(), acknowledged);

    server.kill();
    server.restart();
    assert_eq!(alert(&server, "oslo"), acknowledged);
    door(&server, "oslo", 0.0);
    assert_eq!(alert(&server, "oslo")["acknowledged"], Value::Null);
    server.kill();
    server.restart();
    door(&server, "oslo", 1.0);
    assert_eq!(alert(&server, "oslo")["state"], "firing");
}

#[test]
fn an_acknowledgement_is_taken_back_and_wrong_ones_are_problems() {
    let (server, _rules) = server();
    let address = server.address();
    door(&server, "oslo", 1.0);
    let path = ack_path(&alert(&server, "oslo"));
    post(address, &path, r#"{"by":"ada"}"#);
    let mut events = Stream::open(address, "topic=alerts/events/**&after=earliest");
    let answer = delete(address, &path);
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("firing")));
    events.next_of("alert.unacknowledged");
    door(&server, "oslo", 0.0);
    for (path, body, status, code) in [
        (path.as_str(), r#"{"by":"ada"}"#, 409, "alert_not_firing"),
        (&path, "{}", 400, "body_invalid"),
        (&path, "ada", 400, "body_invalid"),
        ("/v1/alerts/0123456789abcdef/ack", r#"{"by":"ada"}"#, 404, "alert_not_found"),
        ("/v1/alerts/x/ack", r#"{"by":"ada"}"#, 404, "alert_not_found"),
    ] {
        let answer = post(address, path, body);
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(code)), "{body}");
    }
}

#[test]
fn who_is_to_see_to_an_alert_and_what_is_said_of_it_survive_a_kill_and_stay_in_its_history() {
    let (mut server, _rules) = server();
    door(&server, "oslo", 1.0);
    let fingerprint = alert(&server, "oslo")["fingerprint"].as_str().expect("one").to_owned();
    let (assign, say) = (
        format!("/v1/alerts/{fingerprint}/assignment"),
        format!("/v1/alerts/{fingerprint}/comments"),
    );
    let mut events = Stream::open(server.address(), "topic=alerts/events/**");
    let mut board = Stream::open(server.address(), "topic=alerts/active");
    events.until_ready();
    board.until_ready();

    let answer = put(server.address(), &assign, r#"{"to":"ada","by":"grace"}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["assigned"]["to"], "ada");
    assert_eq!(events.next_of("alert.assigned").payload(), answer.json());
    let answer = post(server.address(), &say, r#"{"by":"ada","text":"<b>the hinge</b>"}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said = answer.json();
    assert_eq!(said["comments"]["count"], 1);
    assert_eq!(events.next_of("alert.commented").payload()["comment"]["text"], "<b>the hinge</b>");
    assert_eq!(board.next_of("alert.commented").payload(), said);

    server.kill();
    server.restart();
    assert_eq!(alert(&server, "oslo"), said);
    let told = || get(server.address(), &format!("/v1/alerts/{fingerprint}")).json();
    let comment = |at: &Value| json!({ "by": "ada", "text": "<b>the hinge</b>", "at": at });
    assert_eq!(told()["comments"], json!([comment(&said["comments"]["last_at"])]));
    assert_eq!(delete(server.address(), &assign).json()["assigned"], Value::Null);
    door(&server, "oslo", 0.0);
    assert_eq!(post(server.address(), &say, r#"{"by":"ada","text":"mended"}"#).status, 200);
    let told = told();
    assert_eq!((&told["comments"], &told["alert"]["comments"]), (&Value::Null, &Value::Null));
    let types: Vec<&Value> =
        told["history"].as_array().expect("events").iter().map(|event| &event["type"]).collect();
    assert_eq!(
        types,
        [
            "alert.commented",
            "alert.resolved",
            "alert.unassigned",
            "alert.commented",
            "alert.assigned",
            "alert.firing"
        ]
    );
    // The board as it was knows nothing of a comment on what had resolved.
    let now = told["history"][0]["time"].as_i64().expect("a time");
    let then = get(server.address(), &format!("/v1/alerts?at={now}")).json();
    assert_eq!(then["alerts"], json!([]));
}

#[test]
fn many_are_taken_up_together_with_a_result_for_each() {
    let (server, _rules) = server();
    let address = server.address();
    for site in ["oslo", "rome", "bern"] {
        door(&server, site, 1.0);
    }
    door(&server, "bern", 0.0);
    let of = |site: &str| alert(&server, site)["fingerprint"].clone();
    let named = [of("oslo"), "0123456789abcdef".into(), of("rome"), of("bern"), of("oslo")];
    let ask = |more: &Value| {
        let mut body = json!({ "fingerprints": named });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        post(address, "/v1/alerts/actions", body.to_string())
    };
    let answer = ask(&json!({ "action": "acknowledge", "by": "ada", "note": "all" }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let results = answer.json()["results"].clone();
    let codes: Vec<&Value> =
        results.as_array().expect("results").iter().map(|it| &it["error"]["code"]).collect();
    let (done, gone, over) = (json!(null), json!("alert_not_found"), json!("alert_not_firing"));
    assert_eq!(codes, [&done, &gone, &done, &over]);
    assert_eq!(results[0]["fingerprint"], of("oslo"));
    assert_eq!(alert(&server, "rome")["acknowledged"]["note"], "all");
    for action in [
        json!({ "action": "assign", "to": "bob", "by": "ada" }),
        json!({ "action": "comment", "text": "all of them", "by": "ada" }),
        json!({ "action": "unacknowledge" }),
    ] {
        assert_eq!(ask(&action).status, 200, "{action}");
    }
    let rome = alert(&server, "rome");
    assert_eq!((&rome["state"], &rome["assigned"]["to"]), (&json!("firing"), &json!("bob")));
    assert_eq!(rome["comments"]["count"], 1);
    assert_eq!(ask(&json!({ "action": "unassign" })).status, 200);
    assert_eq!(alert(&server, "oslo")["assigned"], Value::Null);
    let many = vec![of("oslo"); 1_001];
    for body in [
        json!({ "action": "unassign", "fingerprints": [] }),
        json!({ "action": "unassign", "fingerprints": many }),
        json!({ "action": "unassign", "fingerprints": ["x"] }),
        json!({ "action": "unassign" }),
        json!({ "action": "assign", "fingerprints": [of("oslo")] }),
        json!({ "action": "forget", "fingerprints": [of("oslo")] }),
    ] {
        let answer = post(address, "/v1/alerts/actions", body.to_string());
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("body_invalid")));
    }
}

#[test]
fn a_websocket_acknowledges_in_band() {
    let (server, _rules) = server();
    door(&server, "oslo", 1.0);
    let fingerprint = alert(&server, "oslo")["fingerprint"].clone();
    for spoken in Spoken::BOTH {
        let mut socket = WebSocket::open_as(server.address(), "topic=alerts/active", spoken);
        socket.until_ready(&Value::Null);
        let ask =
            json!({ "request": "acknowledge", "id": 1, "fingerprint": fingerprint, "by": "ada" });
        assert_eq!(socket.call(&ask), json!({ "reply": 1 }));
        assert_eq!(alert(&server, "oslo")["acknowledged"]["by"], "ada");
        assert_eq!(socket.events(1)[0]["data"]["state"], "acknowledged");
        let ask = json!({ "request": "unacknowledge", "id": 2, "fingerprint": fingerprint });
        assert_eq!(socket.call(&ask), json!({ "reply": 2 }));
        assert_eq!(socket.events(1)[0]["data"]["state"], "firing");
        for (ask, code) in [
            (
                json!({ "request": "acknowledge", "id": 3, "fingerprint": "00", "by": "a" }),
                "alert_not_found",
            ),
            (
                json!({ "request": "acknowledge", "id": 3, "fingerprint": "x", "by": "a" }),
                "alert_not_found",
            ),
            (
                json!({ "request": "acknowledge", "id": 3, "fingerprint": fingerprint }),
                "request_invalid",
            ),
            (
                json!({ "request": "acknowledge", "id": 3, "fingerprint": fingerprint, "by": "" }),
                "body_invalid",
            ),
            (json!({ "request": "unacknowledge", "id": 3, "by": "ada" }), "unknown_field"),
        ] {
            let reply = socket.call(&ask);
            assert_eq!(
                (&reply["reply"], &reply["error"]["code"]),
                (&json!(3), &json!(code)),
                "{ask}"
            );
        }
    }
}

#[test]
fn a_silence_survives_a_kill_and_is_shown_with_what_it_silences() {
    let (mut server, _rules) = server();
    door(&server, "oslo", 1.0);
    let preview = r#"{"matchers":"site=~\"oslo|rome\""}"#;
    let preview = post(server.address(), "/v1/silences/preview", preview).json();
    assert_eq!((&preview["count"], &preview["alerts"][0]["state"]), (&json!(1), &json!("firing")));

    let id = new_silence(&server, "oslo", json!({}));
    assert_eq!(alert(&server, "oslo")["state"], "silenced");
    server.kill();
    server.restart();
    assert_eq!(alert(&server, "oslo")["silenced_by"], json!([id]));
    let listed = get(server.address(), "/v1/silences").json()["silences"][0].clone();
    assert_eq!((&listed["id"], &listed["alerts"]), (&json!(id), &json!(1)));
    assert_eq!(listed["filter"], r#"{site="oslo"}"#);

    // Other alerts are not concerned, and its end holds over a kill, too.
    door(&server, "rome", 1.0);
    assert_eq!(alert(&server, "rome")["state"], "firing");
    assert_eq!(delete(server.address(), &format!("/api/v2/silence/{id}")).status, 200);
    assert_eq!(alert(&server, "oslo")["state"], "firing");
    server.kill();
    server.restart();
    assert_eq!(alert(&server, "oslo")["state"], "firing");
    let silence = get(server.address(), &format!("/api/v2/silence/{id}")).json();
    assert_eq!(silence["status"]["state"], "expired");
}

#[test]
fn a_silence_until_resolution_ends_by_itself() {
    let (mut server, _rules) = server();
    door(&server, "oslo", 1.0);
    let id = new_silence(&server, "oslo", json!({ "until_resolved": true }));
    server.kill();
    server.restart();
    assert_eq!(alert(&server, "oslo")["state"], "silenced");
    door(&server, "oslo", 0.0);
    let silence = get(server.address(), &format!("/api/v2/silence/{id}")).json();
    assert_eq!(silence["status"]["state"], "expired");
    assert_eq!(silence["until_resolved"], true);
    door(&server, "oslo", 1.0);
    assert_eq!(alert(&server, "oslo")["state"], "firing");
}

#[test]
fn a_posted_alert_survives_a_kill_and_is_told_once() {
    let (mut server, _rules) = server();
    let labels = json!({ "alertname": "DiskFull", "site": "oslo", "severity": "warning" });
    let starts_at = "2026-01-01T00:00:00.250Z";
    let sent =
        json!([{ "labels": labels, "startsAt": starts_at, "generatorURL": "http://p/graph" }]);
    for _ in 0..2 {
        assert_eq!(post(server.address(), "/api/v2/alerts", sent.to_string()).status, 200);
        let shown = alert(&server, "oslo");
        assert_eq!(
            (&shown["state"], &shown["generator_url"]),
            (&json!("firing"), &json!("http://p/graph"))
        );
        assert_eq!(shown["fired_at"], 1_767_225_600_250_i64);
        server.kill();
        server.restart();
        assert_eq!(alert(&server, "oslo"), shown);
    }
    let ended =
        json!([{ "labels": labels, "startsAt": starts_at, "endsAt": "2026-01-02T00:00:00Z" }]);
    assert_eq!(post(server.address(), "/api/v2/alerts", ended.to_string()).status, 200);
    let mut events =
        Stream::open(server.address(), "topic=alerts/events/warning/DiskFull&after=earliest");
    let types: Vec<String> = events.events(2).into_iter().map(|event| event.event_type).collect();
    assert_eq!(types, ["alert.firing", "alert.resolved"]);
    assert_eq!(get(server.address(), "/api/v2/alerts").json(), json!([]));
}

#[test]
fn refusals_of_alertmanagers_api_are_texts() {
    let (server, _rules) = server();
    let address = server.address();
    let matchers = json!([{ "name": "a", "value": "b", "isRegex": false }]);
    let past = json!({ "endsAt": "2020-02-01T00:00:00Z" });
    let unknown = json!({ "id": "01234567-89ab-4def-8123-456789abcdef" });
    let regex = json!([{ "name": "a", "value": "[", "isRegex": true }]);
    let backwards = json!({ "startsAt": "2999-02-01T00:00:00Z" });
    let none = json!({});
    for (path, body, status, text) in [
        ("silences", silence(&matchers, &past), 400, "end time can't be in the past"),
        ("silences", silence(&matchers, &backwards), 400, "start time must be before end time"),
        ("silences", silence(&json!([]), &none), 400, "at least one matcher"),
        ("silences", silence(&regex, &none), 400, "error parsing regexp"),
        ("silences", silence(&matchers, &unknown), 404, "silence not found"),
        ("silences", "{}".to_owned(), 400, "missing field"),
        ("alerts", "{}".to_owned(), 400, "parsing alerts body failed"),
        ("alerts", r#"[{"labels":{}}]"#.to_owned(), 400, "at least one label pair required"),
        ("alerts", r#"[{"labels":{"a":"b"},"startsAt":"2026-01-02T00:00:00Z","endsAt":"2026-01-01T00:00:00Z"}]"#.to_owned(), 400, "start time must be before end time"),
    ] {
        let answer = post(address, &format!("/api/v2/{path}"), &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        let refusal = answer.json();
        assert!(refusal.as_str().is_some_and(|refusal| refusal.contains(text)), "{refusal}");
    }
    for path in
        ["alerts?filter=x", "alerts?receiver=[", "alerts/groups?filter=%7B", "silences?filter=x"]
    {
        let answer = get(address, &format!("/api/v2/{path}"));
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.json().is_string(), "{path}");
    }
    assert_eq!(get(address, "/api/v2/silence/x").status, 404);
    assert_eq!(delete(address, "/api/v2/silence/01234567-89ab-4def-8123-456789abcdef").status, 404);
}

#[test]
fn alerts_are_chosen_and_grouped_as_in_alertmanager() {
    let (server, _rules) = server();
    let address = server.address();
    let alerts = json!([
        { "labels": { "alertname": "A", "site": "oslo" } },
        { "labels": { "alertname": "A", "site": "rome" } },
        { "labels": { "alertname": "B", "site": "oslo" } },
    ]);
    assert_eq!(post(address, "/api/v2/alerts", alerts.to_string()).status, 200);
    new_silence(&server, "rome", json!({}));
    let names = |query: &str| -> Vec<String> {
        let alerts = get(address, &format!("/api/v2/alerts?{query}")).json();
        let name =
            |alert: &Value| format!("{}{}", alert["labels"]["alertname"], alert["labels"]["site"]);
        let mut names: Vec<String> =
            alerts.as_array().expect("an array").iter().map(name).collect();
        names.sort();
        names.into_iter().map(|name| name.replace('"', "")).collect()
    };
    for (query, expected) in [
        ("", vec!["Aoslo", "Arome", "Boslo"]),
        ("silenced=false", vec!["Aoslo", "Boslo"]),
        ("active=false", vec!["Arome"]),
        ("filter=alertname%3DA&filter=site%21%3Drome", vec!["Aoslo"]),
        ("filter=site%3D~%22o.*%22&inhibited=false", vec!["Aoslo", "Boslo"]),
        ("receiver=def.*", vec!["Aoslo", "Arome", "Boslo"]),
        ("receiver=def", vec![]),
    ] {
        assert_eq!(names(query), expected, "{query}");
    }
    let groups = get(address, "/api/v2/alerts/groups?silenced=false").json();
    assert_eq!(groups[0]["receiver"]["name"], "default");
    assert_eq!(groups[0]["alerts"].as_array().map(Vec::len), Some(2));
    assert_eq!(get(address, "/api/v2/receivers").json()[0]["name"], "default");
}

#[test]
fn members_that_are_null_are_left_out_and_a_time_without_an_end_is_readable() {
    let (server, _rules) = server();
    let address = server.address();
    let forever = "9999-12-31T23:59:59.999999999Z";
    let alert = json!([{ "labels": { "a": "b" }, "annotations": null, "endsAt": forever }]);
    assert_eq!(post(address, "/api/v2/alerts", alert.to_string()).status, 200);
    let matchers = json!([{ "name": "a", "value": "b", "isRegex": false }]);
    let body = silence(&matchers, &json!({ "annotations": null, "endsAt": forever }));
    assert_eq!(post(address, "/api/v2/silences", body).status, 200);
    for path in ["alerts", "silences"] {
        let listed = get(address, &format!("/api/v2/{path}")).json();
        assert_eq!(listed[0]["endsAt"], "9999-12-31T23:59:59.999Z", "{path}");
    }
}

#[test]
fn many_who_post_at_once_wait_for_each_other() {
    // Who waits for others must not wait for a slow disk, too.
    let server = Server::start_with(&["--journal", "memory"]);
    let address = server.address();
    std::thread::scope(|scope| {
        for sender in 0..150 {
            scope.spawn(move || {
                let alert =
                    json!([{ "labels": { "alertname": "Flood", "sender": sender.to_string() } }]);
                let answer = post(address, "/api/v2/alerts", alert.to_string());
                assert_eq!(answer.status, 200, "{}", answer.text());
            });
        }
    });
    let alerts = get(address, "/api/v2/alerts").json();
    assert_eq!(alerts.as_array().map(Vec::len), Some(150));
}
