//! Events in the words of others: CloudEvents, and webhooks.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Answer, Request, Server, get, request};

const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"order.made",
    "subject":"o-7","data":{"total":3}}"#;

fn posted(server: &Server, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let request_of = Request { method: "POST", path, headers, body: body.as_bytes() };
    request(server.address(), request_of)
}

fn events(server: &Server, topic: &str) -> Vec<Value> {
    let answer = get(server.address(), &format!("/v1/topics/{topic}?after=earliest"));
    answer.json()["events"].as_array().expect("events").clone()
}

fn configured(text: &str) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, text).expect("written");
    (Server::start_with(&["--config", path.to_str().expect("text")]), folder)
}

#[test]
fn a_cloud_event_is_one_event_in_each_of_its_forms() {
    let server = Server::start();
    let structured = [("Content-Type", "application/cloudevents+json; charset=UTF-8")];
    assert_eq!(posted(&server, "/v1/topics/orders", &structured, EVENT).status, 201);
    let again = posted(&server, "/v1/topics/orders", &structured, EVENT);
    assert_eq!(again.json()["duplicate"], json!(true));
    let binary = [
        ("Content-Type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/shop"),
        ("ce-type", "order.made"),
    ];
    let same = posted(&server, "/v1/topics/orders", &binary, "{\"total\":3}");
    assert_eq!((same.status, &same.json()["duplicate"]), (201, &json!(true)));
    let batch = [("Content-Type", "application/cloudevents-batch+json")];
    let body = format!("[{EVENT},{},{{}}]", EVENT.replace("\"1\"", "\"2\""));
    let results = posted(&server, "/v1/topics/orders", &batch, &body).json();
    assert_eq!(results["results"][0]["duplicate"], json!(true));
    assert_eq!(results["results"][2]["error"]["code"], "event_invalid");
    let events = events(&server, "orders");
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0]["type"], &events[0]["key"]), (&json!("order.made"), &json!("o-7")));
    assert_eq!(events[0]["data"], serde_json::from_str::<Value>(EVENT).expect("JSON"));
}

#[test]
fn what_is_no_cloud_event_is_refused_and_not_stored() {
    let server = Server::start();
    let structured = [("Content-Type", "application/cloudevents+json")];
    for body in ["{", "{}", "[]", &EVENT.replace("1.0", "0.3")] {
        let answer = posted(&server, "/v1/topics/orders", &structured, body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
    }
    let batch = [("Content-Type", "application/cloudevents-batch+json")];
    let answer = posted(&server, "/v1/topics/orders", &batch, "[{},3]");
    assert_eq!((answer.status, answer.json()["errors"].as_array().map(Vec::len)), (400, Some(2)));
    assert_eq!(events(&server, "orders"), Vec::<Value>::new());
}

#[test]
fn a_webhook_goes_where_the_configuration_says() {
    let (server, _folder) = configured(
        "[[webhook]]\nname = \"grafana\"\nformat = \"grafana\"\n\
         topic = \"teams/{labels.team}/alerts\"\n[[webhook]]\nname = \"ci\"\nkey = \"{job.id}\"\n",
    );
    let alert = |status: &str, team: &str| {
        format!(
            r#"{{"status":"{status}","labels":{{"team":"{team}"}},"fingerprint":"f",
               "startsAt":"2026-11-29T10:00:00Z"}}"#
        )
    };
    let body = format!(
        "{{\"receiver\":\"x\",\"alerts\":[{},{},{{\"labels\":{{}}}}]}}",
        alert("firing", "a/b"),
        alert("resolved", "web")
    );
    let json = [("Content-Type", "application/json")];
    let results = posted(&server, "/v1/webhooks/grafana", &json, &body).json();
    assert_eq!(results["results"][2]["error"]["code"], "member_missing");
    // What is told again, as Alertmanager does each hour, is told once here.
    let again = posted(&server, "/v1/webhooks/grafana", &json, &body).json();
    assert_eq!(again["results"][0]["duplicate"], json!(true));
    assert_eq!(events(&server, "teams/a_b/alerts")[0]["type"], "firing");
    let resolved = events(&server, "teams/web/alerts");
    assert_eq!((resolved.len(), &resolved[0]["key"]), (1, &json!("f")));

    assert_eq!(posted(&server, "/v1/webhooks/ci", &json, "{\"job\":{\"id\":7}}").status, 200);
    assert_eq!(events(&server, "webhooks/ci")[0]["key"], "7");
    let none = posted(&server, "/v1/webhooks/ci", &json, "{\"job\":{}}");
    assert_eq!(none.status, 400);
    assert!(none.text().contains("`job.id`"), "{}", none.text());
    assert_eq!(posted(&server, "/v1/webhooks/other", &json, "{}").status, 404);
}

#[test]
fn who_posts_a_webhook_needs_the_right_to_publish_where_it_goes() {
    let (server, _folder) = configured(
        "[access]\nanonymous = \"web\"\n[[access.role]]\nname = \"web\"\n\
         publish = [\"teams/web/**\"]\nsubscribe = [\"teams/**\"]\n\
         [[webhook]]\nname = \"t\"\ntopic = \"teams/{team}/x\"\n",
    );
    let of =
        |team: &str| posted(&server, "/v1/webhooks/t", &[], &format!("{{\"team\":\"{team}\"}}"));
    assert_eq!(of("web").status, 200);
    assert_eq!(of("pay").status, 403);
    assert_eq!(of("web/../pay").status, 403);
    assert_eq!(events(&server, "teams/web/x").len(), 1);
}

/// A role that may name two topics, and publish on all.
const TWO_TOPICS: &str = "[access]\nanonymous = \"web\"\n[[access.role]]\nname = \"web\"\n\
    publish = [\"**\"]\nsubscribe = [\"**\"]\nlimits = { topics = 2 }\n\
    [[topic]]\nmatch = \"s/**\"\nkind = \"state\"\n\
    [[webhook]]\nname = \"named\"\neach = \"items\"\ntopic = \"{to}\"\nid = \"{id}\"\nkey = \"{id}\"\n\
    [[webhook]]\nname = \"nameless\"\neach = \"items\"\ntopic = \"{to}\"\n";

#[test]
fn what_may_be_taken_later_is_sent_again_and_is_there_once() {
    let (server, _folder) = configured(TWO_TOPICS);
    let items = |topics: &[&str]| {
        let items = topics.iter().enumerate();
        let items: Vec<_> = items.map(|(id, to)| json!({ "to": to, "id": id })).collect();
        json!({ "items": items }).to_string()
    };
    // Where nothing has a name what could be taken is not, either.
    let nameless = posted(&server, "/v1/webhooks/nameless", &[], &items(&["a", "b", "c"]));
    assert_eq!((nameless.status, nameless.json()["status"].as_u64()), (503, Some(503)));
    assert_eq!(nameless.json()["code"], "principal_exhausted");
    assert!(nameless.header("retry-after").is_some());
    assert_eq!(events(&server, "a").len(), 0);
    for _ in 0..2 {
        let named = posted(&server, "/v1/webhooks/named", &[], &items(&["a", "b", "c"]));
        assert_eq!((named.status, &named.json()["code"]), (503, &json!("principal_exhausted")));
        assert!(named.header("retry-after").is_some());
        let results = named.json()["results"].as_array().expect("results").clone();
        assert_eq!(
            (results.len(), &results[2]["error"]["code"]),
            (3, &json!("principal_exhausted"))
        );
        assert_eq!((events(&server, "a").len(), events(&server, "b").len()), (1, 1));
    }
    let none = posted(&server, "/v1/webhooks/named", &[], &items(&["c"]));
    assert_eq!(none.status, 503);
    // What is known goes on.
    let known = posted(&server, "/v1/webhooks/nameless", &[], &items(&["a", "b"]));
    assert_eq!(known.status, 200);
    // What is wrong for good has nothing sent again.
    let wrong = r#"{"items":[{"to":"a","id":7},{"id":8}]}"#;
    let wrong = posted(&server, "/v1/webhooks/named", &[], wrong);
    assert_eq!(
        (wrong.status, &wrong.json()["results"][1]["error"]["code"]),
        (200, &json!("member_missing"))
    );
}
