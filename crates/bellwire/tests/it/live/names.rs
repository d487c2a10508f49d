//! Queries that are recorded under names, and followed by them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{change, elements, ready, said, send};
use crate::access::made;
use crate::harness::{
    Answer, Lines, Request, Server, Spoken, Stream, WebSocket, delete, get, post, request,
};

fn put(server: &Server, name: &str, body: &Value) -> Answer {
    let (path, body) = (format!("/v1/queries/{name}"), body.to_string());
    let request_ = Request { method: "PUT", path: &path, headers: &[], body: body.as_bytes() };
    request(server.address(), request_)
}

fn record(server: &Server, name: &str, query: &str) -> Value {
    let body = json!({ "name": name, "query": query, "note": "wall" }).to_string();
    let answer = post(server.address(), "/v1/queries", body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("location"), Some(&*format!("/v1/queries/{name}")));
    answer.json()
}

fn code(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json()["code"].clone())
}

#[test]
fn a_name_is_followed_on_every_transport_and_survives_a_kill() {
    let mut server = Server::start_with(&[]);
    let recorded = record(&server, "hot", "temperature > 90");
    assert_eq!(recorded["query"], "temperature > 90");
    assert_eq!((&recorded["mode"], &recorded["stands"]), (&json!("stream"), &json!(false)));
    assert_eq!(recorded["cost"]["parts"], json!({ "kind": "each_series" }));

    server.kill();
    server.restart();
    let address = server.address();
    assert_eq!(get(address, "/v1/queries").json(), json!({ "queries": [recorded] }));

    let mut stream = Stream::open(address, "query_name=hot");
    let first = ready(&mut stream);
    assert_eq!(first[0]["topic"], recorded["topic"]);
    let told = json!({ "query": "temperature > 90", "mode": "stream", "name": "hot" });
    assert_eq!(first[0]["data"], told);
    send(&server, &[("temperature", "oslo", 95.0)]);
    let oslo = "temperature{site=\"oslo\"}".to_owned();
    assert_eq!(change(&mut stream), (oslo.clone(), json!(95)));

    let all = BTreeMap::from([(oslo, json!(95))]);
    let mut lines = Lines::open(address, "query_name=hot");
    assert_eq!(elements(&lines.until_ready()), all);
    let headers = [("Accept", "application/json")];
    let path = "/v1/events?query_name=hot";
    let poll = Request { method: "GET", path, headers: &headers, body: b"" };
    let poll = request(address, poll).json();
    assert_eq!(elements(poll["events"].as_array().expect("events")), all);
    let mut socket = WebSocket::open_as(address, "query_name=hot", Spoken::Json);
    assert_eq!(elements(&socket.until_ready(&json!(null))), all);
    let mut socket = WebSocket::open_as(address, "", Spoken::Json);
    socket.until_ready(&json!(null));
    let subscribe = json!({ "request": "subscribe", "id": 1, "query_names": ["hot"] });
    assert_eq!(socket.call(&subscribe), json!({ "reply": 1 }));
    assert_eq!(elements(&socket.until_ready(&json!(1))), all);

    let shown = get(address, "/v1/queries/hot").json();
    assert_eq!((&shown["stands"], &shown["followers"]), (&json!(true), &json!(4)));
}

#[test]
fn who_follows_a_name_is_moved_to_what_it_stands_for_and_told_of_its_end() {
    let server = Server::start_with(&[]);
    let address = server.address();
    let topic = record(&server, "sites", "t > 1")["topic"].clone();
    let mut stream = Stream::open(address, "query_name=sites");
    ready(&mut stream);
    send(&server, &[("t", "oslo", 1.0), ("t", "bergen", 2.0)]);
    assert_eq!(change(&mut stream), ("t{site=\"bergen\"}".to_owned(), json!(2)));

    // What no rule looks at is there for the new expression, too.
    let answer = put(&server, "sites", &json!({ "query": "sum(t)" }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!((&answer.json()["topic"], &answer.json()["note"]), (&topic, &json!("")));
    let changes = BTreeMap::from([change(&mut stream), change(&mut stream)]);
    let expected = [("t{site=\"bergen\"}".to_owned(), json!(null)), ("{}".to_owned(), json!(3))];
    assert_eq!(changes, BTreeMap::from(expected));
    let mut other = Stream::open(address, "query_name=sites");
    let told = ready(&mut other).into_iter().find(|event| event["key"] == "query");
    assert_eq!(told.expect("it is said")["data"]["query"], "sum(t)");

    // What turns out to be too costly while somebody follows it ends, and the name stays.
    let sites: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
    let samples: Vec<_> = sites.iter().map(|site| ("wide", &**site, 1.0)).collect();
    let mut wide = Stream::open(address, "query=wide");
    ready(&mut wide);
    send(&server, &samples);
    assert_eq!(put(&server, "sites", &json!({ "query": "sum(wide)" })).status, 200);
    let ended = |stream: &mut Stream| loop {
        let event = said(stream);
        if let Some(error) = event["data"]["error"].as_str() {
            assert_eq!(said(stream)["deleted"], true);
            break error.to_owned();
        }
    };
    let error = ended(&mut other);
    assert!(error.starts_with("it has ended: one evaluation of it looks at more"), "{error}");

    assert_eq!(put(&server, "sites", &json!({ "query": "count(t)" })).status, 200);
    let mut stream = Stream::open(address, "query_name=sites");
    ready(&mut stream);
    send(&server, &[("t", "oslo", 1.0), ("t", "bergen", 2.0)]);
    assert_eq!(change(&mut stream), ("{}".to_owned(), json!(2)));
    assert_eq!(delete(address, "/v1/queries/sites").status, 204);
    assert_eq!(ended(&mut stream), "it has ended: no query is recorded under `sites` for you");
    let gone = (404, json!("query_not_found"));
    assert_eq!(code(&get(address, "/v1/events?query_name=sites")), gone);
    assert_eq!(code(&get(address, "/v1/queries/sites")), gone);
    assert_eq!(code(&delete(address, "/v1/queries/sites")), gone);
}

#[test]
fn a_name_that_is_recorded_anew_has_none_of_the_past_of_what_it_was() {
    let server = Server::start_with(&[]);
    let address = server.address();
    record(&server, "level", "sum(t)");
    let mut stream = Stream::open(address, "query_name=level&history=15m");
    ready(&mut stream);
    for value in [1.0, 2.0, 3.0] {
        send(&server, &[("t", "oslo", value)]);
        assert_eq!(change(&mut stream), ("{}".to_owned(), json!(value as u64)));
    }
    assert_eq!(delete(address, "/v1/queries/level").status, 204);
    while said(&mut stream)["deleted"] != true {}

    let topic = record(&server, "level", "0 - sum(t)")["topic"].clone();
    let mut stream = Stream::open(address, "query_name=level&history=15m");
    ready(&mut stream);
    send(&server, &[("t", "oslo", 4.0)]);
    while change(&mut stream) != ("{}".to_owned(), json!(-4)) {}
    let path = format!("/v1/topics/{}?history=15m", topic.as_str().expect("a topic"));
    let events = get(address, &path).json()["events"].clone();
    let events = events.as_array().expect("events");
    let past = events.iter().find(|event| event["type"] == "history").expect("a past");
    let values = past["data"]["values"].as_array().expect("values");
    assert!(values.iter().all(|value| value.as_f64().is_some_and(|it| it < 0.0)), "{values:?}");
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    let server = Server::start_with(&[]);
    let address = server.address();
    record(&server, "hot", "t > 90");
    let long = "x".repeat(129);
    for (name, query, expected) in [
        ("hot", "t > 91", (409, "query_exists")),
        ("new", "sum(", (400, "query_invalid")),
        ("new", "max_over_time(t[9d])", (400, "query_too_costly")),
        ("", "t", (400, "body_invalid")),
        ("a/b", "t", (400, "body_invalid")),
        (&long, "t", (400, "body_invalid")),
    ] {
        let body = json!({ "name": name, "query": query }).to_string();
        let answer = post(address, "/v1/queries", body);
        assert_eq!(code(&answer), (expected.0, json!(expected.1)), "{name} {query}");
    }
    let same = json!({ "name": "hot", "query": "t > 90", "note": "wall" }).to_string();
    assert_eq!(post(address, "/v1/queries", same).status, 200, "it is there as it is to be");
    let misspelt = json!({ "name": "new", "qeury": "t" }).to_string();
    assert_eq!(code(&post(address, "/v1/queries", misspelt)), (400, json!("body_invalid")));
}

const TEAMS: &str = r#"
[[access.role]]
name = "blue"
query = ['{team="blue"}']

[[access.role]]
name = "red"
query = ['{team="red"}']
"#;

#[test]
fn names_are_a_teams_own_and_change_by_who_has_recorded_them() {
    let folder = TempDir::new().expect("a folder");
    let mut config = TEAMS.to_owned();
    let people = [("ada", "blue"), ("bob", "blue"), ("eve", "red"), ("root", "admin")];
    let [ada, bob, eve, root] = people.map(|(name, role)| {
        let (key, table) = made(name, role);
        config.push_str(&table);
        key
    });
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, config).expect("written");
    let server = Server::start_with(&["--config", path.to_str().expect("text")]);
    let ask = |key: &str, method, name: &str, body: Value| {
        let authorization = format!("Bearer {key}");
        let (path, body) = (format!("/v1/queries/{name}"), body.to_string());
        let body = if method == "PUT" { body.as_bytes() } else { b"" };
        let headers = [("Authorization", authorization.as_str())];
        request(server.address(), Request { method, path: &path, headers: &headers, body })
    };
    let none = || json!(null);
    assert_eq!(ask(&ada, "PUT", "hot", json!({ "query": "t > 90" })).status, 201);
    assert_eq!(ask(&bob, "GET", "hot", none()).json()["made_by"], "ada");
    let forbidden = (403, json!("forbidden"));
    assert_eq!(code(&ask(&bob, "PUT", "hot", json!({ "query": "t" }))), forbidden);
    assert_eq!(code(&ask(&bob, "DELETE", "hot", none())), forbidden);
    // To others there is no such name, and it is free.
    for key in [&eve, &root] {
        assert_eq!(ask(key, "GET", "hot", none()).status, 404);
    }
    assert_eq!(ask(&eve, "PUT", "hot", json!({ "query": "t > 80" })).status, 201);
    assert_eq!(ask(&ada, "GET", "hot", none()).json()["query"], "t > 90");
    assert_eq!(ask(&ada, "DELETE", "hot", none()).status, 204);
    assert_eq!(ask(&eve, "GET", "hot", none()).json()["query"], "t > 80");
}
