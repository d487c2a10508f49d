//! Conditions of writes to state topics, versions, and requests that are whole or not at all.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Lines, Request, Spoken, Stream, WebSocket, delete, get, post, request,
};
use crate::state;

const PATH: &str = "/v1/topics/tickers/x";

/// Writes a key, under conditions.
fn write(address: SocketAddr, key: &str, value: &str, conditions: &[(&str, &str)]) -> Answer {
    let own = [("Bellwire-Key", key), ("Content-Type", "application/json")];
    let headers: Vec<_> = own.into_iter().chain(conditions.iter().copied()).collect();
    request(
        address,
        Request { method: "POST", path: PATH, headers: &headers, body: value.as_bytes() },
    )
}

fn version_of(json: &Value) -> String {
    json["version"].as_str().unwrap_or_else(|| panic!("no version: {json}")).to_owned()
}

/// What there is: each value with its version.
fn values(address: SocketAddr) -> Vec<(String, Value, String)> {
    let events = get(address, PATH).json()["events"].take();
    let value = |event: &Value| {
        let key = event["key"].as_str().expect("a key").to_owned();
        (key, event["data"].clone(), version_of(event))
    };
    events.as_array().expect("events").iter().map(value).collect()
}

fn batch(address: SocketAddr, parameters: &str, events: &Value) -> Answer {
    post(address, &format!("/v1/events{parameters}"), events.to_string())
}

fn event(key: &str, data: u64) -> Value {
    json!({ "topic": "tickers/x", "key": key, "data": data })
}

fn with(mut event: Value, name: &str, value: impl Into<Value>) -> Value {
    event[name] = value.into();
    event
}

#[test]
fn a_version_is_the_same_in_the_answer_and_in_the_event_on_every_transport() {
    let (server, _folder) = state::start();
    let address = server.address();
    let mut sse = Stream::open(address, "topic=tickers/*");
    sse.until_ready();
    let mut lines = Lines::open(address, "topic=tickers/*&state=changes");
    lines.until_ready();
    let mut sockets =
        Spoken::BOTH.map(|spoken| WebSocket::open_as(address, "topic=tickers/*", spoken));
    for socket in &mut sockets {
        socket.until_ready(&Value::Null);
    }
    let put = version_of(&write(address, "k", "1", &[]).json());
    let gone = delete(address, &format!("{PATH}?key=k"));
    assert_eq!((gone.status, gone.text()), (204, ""));
    let gone = gone.header("bellwire-version").expect("which version says that it is gone");
    assert_ne!(put, gone);
    // Who is slow is told of the last change alone.
    let last = |events: Vec<Value>| events.last().expect("an event").clone();
    let mut told = vec![sse.events(1)[0].json()];
    if told[0]["deleted"] != true {
        assert_eq!(version_of(&told[0]), put);
        told = vec![sse.events(1)[0].json()];
    }
    let mut line = last(lines.events(1));
    while line["deleted"] != true {
        line = last(lines.events(1));
    }
    let cursor = line["cursor"].as_str().expect("a cursor").to_owned();
    assert!(cursor.ends_with(gone), "{cursor} has the version in it, for those who resume");
    told.push(line);
    for socket in &mut sockets {
        let mut event = last(socket.events(1));
        while event["deleted"] != true {
            event = last(socket.events(1));
        }
        told.push(event);
    }
    assert!(told.iter().all(|event| version_of(event) == gone), "{told:?}");
}

#[test]
fn a_key_is_written_only_as_it_was_seen() {
    let (mut server, _folder) = state::start();
    let address = server.address();
    let failed = |answer: Answer| {
        let json = answer.json();
        assert_eq!((answer.status, &json["code"]), (412, &json!("condition_failed")), "{json}");
        json.get("version").cloned().unwrap_or(Value::Null)
    };
    let absent = ("Bellwire-If-Absent", "true");
    let first = version_of(&write(address, "k", "1", &[absent]).json());
    assert_eq!(failed(write(address, "k", "2", &[absent])), json!(first));
    let second = write(address, "k", "2", &[("Bellwire-If-Version", &first)]).json();
    let second = version_of(&second);
    assert_eq!(failed(write(address, "k", "3", &[("Bellwire-If-Version", &first)])), json!(second));
    // Of a key that is not there, of what is yet to come, and of another order.
    let (life, number) = second.split_once('-').expect("two numbers");
    let number: u64 = number.parse().expect("a number");
    for strange in [format!("{life}-{}", number + 1), format!("e1-{number}"), "s1-1".to_owned()] {
        let at = [("Bellwire-If-Version", strange.as_str())];
        assert_eq!(failed(write(address, "k", "3", &at)), json!(second));
        assert_eq!(failed(write(address, "other", "3", &at)), Value::Null);
    }
    assert_eq!(failed(delete(address, &format!("{PATH}?key=k&if_version={first}"))), json!(second));
    assert_eq!(values(address), [("k".to_owned(), json!(2), second.clone())]);
    assert_eq!(delete(address, &format!("{PATH}?key=k&if_version={second}")).status, 204);
    assert_eq!(failed(write(address, "k", "4", &[("Bellwire-If-Version", &second)])), Value::Null);
    write(address, "k", "4", &[absent]);

    let mut socket = WebSocket::open(address, "");
    let ask = |rest: Value| {
        let mut ask = json!({ "request": "publish", "id": 1, "topic": "tickers/x", "key": "k" });
        ask.as_object_mut().expect("an object").extend(rest.as_object().expect("it").clone());
        ask
    };
    let third = version_of(&write(address, "k", "5", &[]).json());
    let reply = socket.call(&ask(json!({ "data": 6, "if_version": third })));
    let fourth = version_of(&reply);
    let refused = socket.call(&ask(json!({ "data": 7, "if_version": third })));
    assert_eq!(refused["error"]["code"], "condition_failed", "{refused}");
    assert_eq!(version_of(&refused["error"]), fourth);
    let gone = socket.call(&ask(json!({ "request": "delete", "if_version": third })));
    assert_eq!(version_of(&gone["error"]), fourth);
    let gone = socket.call(&ask(json!({ "request": "delete", "if_version": fourth })));
    assert_ne!(version_of(&gone), fourth);
    let gone = socket.call(&ask(json!({ "request": "delete" })));
    assert_eq!(gone["error"]["code"], "key_not_found");

    // What was so in an earlier process is so no more, whatever the numbers are.
    write(address, "k", "8", &[]);
    let before = values(address)[0].2.clone();
    server.restart();
    let address = server.address();
    assert_eq!(failed(write(address, "k", "9", &[("Bellwire-If-Version", &before)])), Value::Null);
}

#[test]
fn who_adds_to_what_they_have_seen_adds_each_time_however_many_do() {
    let (server, _folder) = state::start();
    let address = server.address();
    write(address, "sum", "0", &[]);
    let (writers, each) = (6, 25);
    let made = AtomicU64::new(0);
    thread::scope(|scope| {
        for number in 0..writers {
            let made = &made;
            scope.spawn(move || {
                let id = number.to_string();
                let first = write(address, "first", &id, &[("Bellwire-If-Absent", "true")]);
                made.fetch_add(u64::from(first.status == 201), Ordering::Relaxed);
                let mut added = 0;
                while added < each {
                    let seen = values(address).into_iter().find(|(key, ..)| key == "sum");
                    let (_, sum, version) = seen.expect("it is there");
                    let sum = (sum.as_u64().expect("a number") + 1).to_string();
                    let answer = write(address, "sum", &sum, &[("Bellwire-If-Version", &version)]);
                    assert!([201, 412].contains(&answer.status), "{}", answer.text());
                    added += u64::from(answer.status == 201);
                }
            });
        }
    });
    let sum = values(address).into_iter().find(|(key, ..)| key == "sum").expect("it is there");
    assert_eq!(sum.1, json!(writers * each));
    assert_eq!(made.into_inner(), 1, "one of them was the first");
}

#[test]
fn an_atomic_request_is_whole_or_not_at_all() {
    let (server, _folder) = state::start();
    let address = server.address();
    let seen = version_of(&write(address, "a", "1", &[]).json());
    let before = values(address);
    let mut follower = Stream::open(address, "topic=tickers/*&topic=lab/*");
    follower.until_ready();

    let refused = |events: Value, status: u16, code: &str, index: u64| {
        let answer = batch(address, "?atomic=true", &events);
        let json = answer.json();
        assert_eq!((answer.status, &json["code"]), (status, &json!(code)), "{json}");
        assert_eq!(json["errors"][0]["index"], json!(index), "{json}");
        assert_eq!(json["errors"][0]["code"], json!(code), "{json}");
        assert_eq!(values(address), before, "nothing is written");
        json
    };
    let stale = with(event("a", 2), "if_version", "s1-1");
    let json = refused(json!([event("b", 1), stale]), 412, "condition_failed", 1);
    assert_eq!(json["errors"][0]["version"], json!(seen));
    let fresh = with(event("b", 1), "if_absent", true);
    refused(json!([fresh, fresh]), 412, "condition_failed", 1);
    let own = with(event("b", 2), "if_version", seen.as_str());
    refused(json!([event("b", 1), own]), 412, "condition_failed", 1);
    let reserved = json!({ "topic": "alerts/x", "data": 1 });
    refused(json!([event("b", 1), reserved, stale]), 403, "topic_reserved", 1);
    let wrong = batch(address, "?atomic=true", &json!([event("b", 1), { "data": 1 }]));
    let error = wrong.json()["errors"][0].take();
    assert_eq!(
        (wrong.status, &error["code"], &error["index"]),
        (400, &json!("topic_missing"), &json!(1))
    );
    let line = json!({ "topic": "lab/a", "data": 1 });
    let mixed = batch(address, "?atomic=true", &json!([event("b", 1), line]));
    assert_eq!((mixed.status, &mixed.json()["code"]), (409, &json!("kind_mismatch")));
    let conditional = with(line.clone(), "if_absent", true);
    refused(json!([line, conditional]), 409, "kind_mismatch", 1);
    assert_eq!(values(address), before);

    let renamed = with(event("a", 2), "if_version", seen.as_str());
    let answer = batch(address, "?atomic=true", &json!([renamed, fresh, event("a", 3)]));
    let results = answer.json()["results"].take();
    assert_eq!((answer.status, results.as_array().map(Vec::len)), (200, Some(3)));
    let [_, second, third] = [0, 1, 2].map(|index| version_of(&results[index]));
    let expected = [("b", 1, second), ("a", 3, third)];
    let expected = expected.map(|(key, data, version)| (key.to_owned(), json!(data), version));
    assert_eq!(values(address), expected);
    let streams = batch(address, "?atomic=true", &json!([line, line]));
    assert_eq!(streams.json()["results"].as_array().map(Vec::len), Some(2));
    // Those who follow see nothing of what was refused.
    let told: Vec<Value> =
        follower.events(4).iter().map(crate::harness::StreamItem::json).collect();
    assert!(told.iter().all(|event| event["data"] != json!(2) || event["key"] != "b"), "{told:?}");
    assert_eq!(told[0]["topic"], "tickers/x");
}

#[test]
fn what_is_not_atomic_costs_only_itself() {
    let (server, _folder) = state::start();
    let address = server.address();
    let seen = version_of(&write(address, "a", "1", &[]).json());
    let stale = with(event("a", 2), "if_version", "s1-1");
    let fresh = with(event("b", 3), "if_absent", true);
    let line = with(json!({ "topic": "lab/a", "data": 1 }), "if_absent", true);
    let results = batch(address, "", &json!([stale, fresh, fresh, line, event("c", 4)])).json();
    let results = results["results"].as_array().expect("results").clone();
    assert_eq!(results[0]["error"]["code"], "condition_failed");
    assert_eq!(version_of(&results[0]["error"]), seen);
    assert_eq!(version_of(&results[2]["error"]), version_of(&results[1]), "as it is by then");
    assert_eq!(results[3]["error"]["code"], "kind_mismatch");
    let written: Vec<Value> = values(address).into_iter().map(|(_, data, _)| data).collect();
    assert_eq!(written, [json!(1), json!(3), json!(4)]);
}

#[test]
fn what_is_misspelt_is_no_condition_and_no_write() {
    let (server, _folder) = state::start();
    let address = server.address();
    let headers = [
        ("Bellwire-If-Vresion", "s9-77"),
        ("Bellwire-If-Version", "77"),
        ("Bellwire-If-Version", ""),
        ("Bellwire-If-Absent", "yes"),
    ];
    for header in headers {
        let answer = write(address, "k", "1", &[header]);
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("parameter_invalid")));
    }
    let both = [("Bellwire-If-Version", "s9-77"), ("Bellwire-If-Absent", "true")];
    assert_eq!(write(address, "k", "1", &both).status, 400);
    for parameters in ["?atomic=yes", "?atomc=true", "?if_absent=true"] {
        assert_eq!(batch(address, parameters, &json!([event("k", 1)])).status, 400, "{parameters}");
    }
    assert_eq!(delete(address, &format!("{PATH}?key=k&if_vresion=s9-77")).status, 400);
    assert_eq!(values(address), []);
    let headers = [("Bellwire-If-Absent", "true")];
    let path = "/v1/topics/lab/a";
    let stream = request(address, Request { method: "POST", path, headers: &headers, body: b"1" });
    assert_eq!((stream.status, &stream.json()["code"]), (409, &json!("kind_mismatch")));
}
