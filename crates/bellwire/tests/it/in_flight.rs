//! Requests whose bodies are still coming while the credential of their head is taken back.

use serde_json::json;

use crate::harness::Raw;
use crate::keys::House;

/// What each would do, were it let to: the target, the kind of its body, and the body.
fn deeds() -> Vec<(&'static str, &'static str, String)> {
    const JSON: &str = "application/json";
    let silence = json!({
        "matchers": [{"name": "a", "value": "b", "isRegex": false, "isEqual": true}],
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2100-01-01T00:00:00Z",
        "createdBy": "x",
        "comment": "x",
    });
    let samples = json!({"name": "m", "labels": {}, "value": 1});
    vec![
        ("/v1/keys", JSON, json!({"subject": "more", "roles": ["admin"]}).to_string()),
        ("/v1/revocations", JSON, json!({"subject": "guest"}).to_string()),
        ("/v1/topics/a", JSON, "1".into()),
        ("/v1/events", "application/x-ndjson", "{\"topic\":\"a\",\"data\":1}\n".into()),
        ("/v1/samples", JSON, samples.to_string()),
        ("/write?precision=ms", "text/plain", "m value=1".into()),
        ("/api/v2/silences", JSON, silence.to_string()),
        ("/api/v2/alerts", JSON, json!([{"labels": {"alertname": "A"}}]).to_string()),
    ]
}

#[test]
fn what_was_asked_with_a_key_that_is_taken_back_is_not_done() {
    let house = House::start("");
    for (target, kind, body) in deeds() {
        let made = json!({ "subject": "second", "roles": ["admin"] }).to_string();
        let made = house.ask(&house.admin, "POST", "/v1/keys", &made).json();
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        let (id, key) = (text("id"), text("key"));
        let mut raw = Raw::connect(house.server.address());
        let (sent, rest) = body.split_at(body.len() - 1);
        raw.send(format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{sent}",
            body.len(),
        ));
        // Whether its head is read by now is the test's luck; a head that comes later is refused, too.
        assert_eq!(house.ask(&key, "GET", "/v1/whoami", "").status, 200);
        let path = format!("/v1/keys/{id}");
        assert_eq!(house.ask(&house.admin, "DELETE", &path, "").status, 204);
        raw.send(rest);
        let answer = raw.answer();
        assert_eq!(answer.status, 401, "{target}: {}", answer.text());
    }
    let listed = house.ask(&house.admin, "GET", "/v1/keys", "").json();
    let subjects = listed["keys"].as_array().expect("a list").iter();
    assert_eq!(subjects.filter(|key| key["subject"] == "more").count(), 0);
    assert_eq!(house.ask(&house.guest, "GET", "/v1/whoami", "").status, 200);
    let page = house.ask(&house.admin, "GET", "/v1/topics/a", "").json();
    assert_eq!(page["events"], json!([]));
}
