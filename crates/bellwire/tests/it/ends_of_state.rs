//! State topics that end: behind the last of their values, on every transport, for good.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Lines, Request, Spoken, Stream, StreamItem, WebSocket, delete, get, post, request,
};
use crate::state_on_disk::{board, start};

/// One in memory, and one on the disk.
const TOPICS: [&str; 2] = ["tickers/x", "jobs/x"];
const JSON: (&str, &str) = ("Accept", "application/json");

fn send(address: SocketAddr, topic: &str, (headers, body): (&[(&str, &str)], &str)) -> Answer {
    let path = format!("/v1/topics/{topic}");
    let body = body.as_bytes();
    request(address, Request { method: "POST", path: &path, headers, body })
}

fn put(address: SocketAddr, (topic, key): (&str, &str), value: &str) -> Answer {
    send(address, topic, (&[("Bellwire-Key", key), ("Content-Type", "application/json")], value))
}

/// Ends a topic by itself; returns the cursor of that.
fn end(address: SocketAddr, topic: &str) -> String {
    let answer = send(address, topic, (&[("Bellwire-End", "true")], ""));
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["end"].as_str().expect("a cursor").to_owned()
}

fn reopen(address: SocketAddr, topic: &str) {
    let answer = send(address, topic, (&[("Bellwire-End", "false")], ""));
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn ask(address: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Answer {
    let path = format!("/v1/events?{query}");
    request(address, Request { method: "GET", path: &path, headers, body: b"" })
}

fn code(answer: &Answer) -> Value {
    answer.json()["code"].clone()
}

/// `key=data`, and what becomes of the topic.
fn told(items: &[Value]) -> Vec<String> {
    let told = |item: &Value| match item["control"].as_str() {
        Some(control) => control.to_owned(),
        None => format!("{}={}", item["key"].as_str().expect("a key"), item["data"]),
    };
    items.iter().map(told).filter(|told| told != "heartbeat").collect()
}

fn items(items: &[StreamItem]) -> Vec<String> {
    told(&items.iter().map(StreamItem::json).collect::<Vec<_>>())
}

/// All that comes until the stream ends in order.
fn all_of(stream: &mut Stream) -> Vec<String> {
    items(&std::iter::from_fn(|| stream.next()).collect::<Vec<_>>())
}

#[test]
fn an_end_comes_behind_the_last_value_and_closes_the_stream_for_good() {
    let (server, _folder) = start(&[]);
    for topic in TOPICS {
        ends_for_good(server.address(), topic);
    }
}

fn ends_for_good(address: SocketAddr, topic: &str) {
    put(address, (topic, "a"), "1");
    let queries = [
        format!("topic={topic}"),
        format!("topic={topic}&state=changes"),
        format!("topic={topic}&max_rate=1"),
    ];
    let mut followers = queries.each_ref().map(|query| Stream::open(address, query));
    let mut lines = Lines::open(address, &queries[0]);
    let mut sockets = Spoken::BOTH.map(|spoken| WebSocket::open_as(address, &queries[0], spoken));
    for follower in &mut followers {
        assert_eq!(items(&follower.until_ready()), ["a=1"]);
    }
    lines.until_ready();
    for socket in &mut sockets {
        socket.until_ready(&Value::Null);
    }
    // The last of them comes too soon for who has asked for a rate.
    put(address, (topic, "a"), "2");
    put(address, (topic, "b"), "3");
    put(address, (topic, "a"), "4");
    let at = end(address, topic);
    for (follower, query) in followers.iter_mut().zip(&queries) {
        let mut came = all_of(follower);
        assert_eq!(came.pop().as_deref(), Some("end"), "{query}: {came:?}");
        assert_eq!(came.last().map(String::as_str), Some("a=4"), "{query}: {came:?}");
        assert!(came.contains(&"b=3".to_owned()), "{query}: {came:?}");
    }
    let came = told(&std::iter::from_fn(|| lines.next()).collect::<Vec<_>>());
    assert!(came.ends_with(&["a=4".into(), "end".into()]), "{came:?}");
    for socket in &mut sockets {
        let (mut came, mut cursor) = (Vec::new(), Value::Null);
        while cursor.is_null() {
            let item = socket.next();
            if item["control"] == "end" {
                cursor = item["cursor"].clone();
                assert_eq!(item["topic"], topic);
            }
            came.push(item);
        }
        assert_eq!(cursor, json!(at));
        let came = told(&came);
        assert!(came.ends_with(&["a=4".into(), "end".into()]), "{came:?}");
    }

    // Who comes back has nothing to come back for.
    for accept in ["text/event-stream", "application/x-ndjson", "application/json"] {
        let headers = [("Accept", accept), ("Last-Event-ID", at.as_str())];
        let answer = ask(address, &format!("topic={topic}&wait=10s"), &headers);
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{accept}");
    }
    // Who was not there gets the values, then the end.
    for query in &queries {
        let mut late = Stream::open(address, query);
        let came = all_of(&mut late);
        assert_eq!(came, ["b=3", "a=4", "end", "ready"], "{query}");
    }
    for spoken in Spoken::BOTH {
        let mut socket = WebSocket::open_as(address, "", spoken);
        socket.until_ready(&Value::Null);
        assert_eq!(told(&socket.subscribe(1, &[topic], "latest")), ["b=3", "a=4", "end", "ready"]);
    }
    let poll = ask(address, &format!("topic={topic}&wait=60s"), &[JSON]).json();
    assert_eq!(poll["events"].as_array().map(Vec::len), Some(2), "{poll}");
    assert_eq!(poll["ends"][0]["topic"], topic, "{poll}");
    let page = get(address, &format!("/v1/topics/{topic}")).json();
    assert_eq!(page["events"].as_array().map(Vec::len), Some(2), "{page}");
    assert_eq!(page["ends"], json!([{ "control": "end", "topic": topic, "cursor": at }]));
    let listed = get(address, &format!("/v1/topics?prefix={topic}")).json();
    assert_eq!(listed["topics"][0]["ended"], true, "{listed}");
    assert_eq!(
        (&listed["topics"][0]["kind"], &listed["topics"][0]["keys"]),
        (&json!("state"), &json!(2))
    );
    assert_eq!(listed["topics"].as_array().map(Vec::len), Some(1), "{listed}");
}

#[test]
fn what_is_cut_in_the_middle_of_its_values_comes_back_to_the_rest() {
    let (server, _folder) = start(&[]);
    let address = server.address();
    for topic in TOPICS {
        let lines: Vec<Value> = (0..5_000)
            .map(|key| json!({ "topic": topic, "key": key.to_string(), "data": "x".repeat(500) }))
            .collect();
        assert_eq!(post(address, "/v1/events", json!(lines).to_string()).status, 200);
        end(address, topic);
        let query = format!("topic={topic}&state=changes");
        let mut stream = Stream::open(address, &query);
        let (mut keys, mut cursor) = (Vec::new(), String::new());
        while keys.len() < 100 || cursor.is_empty() {
            let item = stream.next().expect("it goes on");
            if item.json()["key"].is_string() {
                keys.push(item.json()["key"].clone());
            }
            cursor = if item.id.is_empty() { cursor } else { item.id };
        }
        drop(stream);
        let mut back = Stream::resume(address, &query, &cursor);
        let rest: Vec<StreamItem> = std::iter::from_fn(|| back.next()).collect();
        let came = rest.iter().map(|item| item.json()["key"].clone()).filter(Value::is_string);
        keys.extend(came);
        let distinct: std::collections::BTreeSet<String> =
            keys.iter().map(Value::to_string).collect();
        assert_eq!(distinct.len(), 5_000, "{cursor}");
        let last = rest.last().expect("a ready").id.clone();
        let answer = ask(address, &format!("{query}&after={last}"), &[JSON]);
        assert_eq!(answer.status, 204, "{last}");
    }
}

#[test]
fn nothing_is_written_to_a_topic_that_has_ended_until_it_is_reopened() {
    let (mut server, _folder) = start(&[]);
    for topic in TOPICS {
        let address = server.address();
        put(address, (topic, "a"), "1");
        end(address, topic);
        refused(address, topic);
    }
    server.kill();
    server.restart();
    for topic in TOPICS {
        let address = server.address();
        let expected = if topic.starts_with("jobs") { vec!["a"] } else { Vec::new() };
        assert!(board(address, topic).into_keys().eq(expected));
        refused(address, topic);
        let mut wild = Stream::open(address, "topic=tickers/*&topic=jobs/*");
        wild.until_ready();
        reopen(address, topic);
        put(address, (topic, "b"), "2");
        let came = items(&[wild.next().expect("an item"), wild.next().expect("an item")]);
        // A value may overtake that its topic goes on.
        assert!(came.contains(&"reopened".into()) && came.contains(&"b=2".into()), "{came:?}");
        assert_eq!(delete(address, &format!("/v1/topics/{topic}?key=b")).status, 204);
    }
}

fn refused(address: SocketAddr, topic: &str) {
    let patch = |more: &str| {
        let path = format!("/v1/topics/{topic}?{more}");
        request(address, Request { method: "PATCH", path: &path, headers: &[], body: b"" })
    };
    let batch = json!([{ "topic": topic, "key": "k", "data": 1 }]).to_string();
    let answers = [
        put(address, (topic, "a"), "2"),
        put(address, (topic, "new"), "2"),
        delete(address, &format!("/v1/topics/{topic}?key=a")),
        delete(address, &format!("/v1/topics/{topic}?prefix=a")),
        patch("key=a&ttl=1h"),
        post(address, "/v1/events?atomic=true", batch.clone()),
    ];
    for answer in answers {
        assert_eq!(
            (answer.status, code(&answer)),
            (409, json!("topic_ended")),
            "{}",
            answer.text()
        );
    }
    let results = post(address, "/v1/events", batch).json();
    assert_eq!(results["results"][0]["error"]["code"], "topic_ended");
    let mut socket = WebSocket::open(address, "");
    socket.until_ready(&Value::Null);
    for ask in [
        json!({ "request": "publish", "id": 1, "topic": topic, "key": "a", "data": 1 }),
        json!({ "request": "delete", "id": 1, "topic": topic, "key": "a" }),
        json!({ "request": "touch", "id": 1, "topic": topic, "key": "a", "ttl": "1h" }),
    ] {
        assert_eq!(socket.call(&ask)["error"]["code"], "topic_ended", "{ask}");
    }
    let twice = send(address, topic, (&[("Bellwire-End", "true")], "")).json();
    assert_eq!(twice["duplicate"], true, "{twice}");
}

#[test]
fn a_last_value_and_the_end_are_one_where_both_are_in_the_journal() {
    let (server, _folder) = start(&[]);
    let address = server.address();
    let last = [("Bellwire-Key", "a"), ("Bellwire-End", "true"), ("Idempotency-Key", "k")];
    let ended = send(address, "jobs/x", (&last, "1"));
    assert_eq!(ended.status, 201, "{}", ended.text());
    assert!(ended.json()["version"].is_string() && ended.json()["end"].is_string());
    assert_eq!(send(address, "jobs/x", (&last, "1")).json()["end"], ended.json()["end"]);
    assert_eq!(send(address, "jobs/x", (&last[..2], "1")).status, 409);
    let refused = send(address, "tickers/x", (&last[..2], "1"));
    assert_eq!((refused.status, code(&refused)), (409, json!("kind_mismatch")));
    // In a batch the value that stands before the end of a topic in memory is before it.
    let batch = json!([
        { "topic": "tickers/x", "key": "a", "data": 1 },
        { "topic": "tickers/x", "end": true },
        { "topic": "jobs/y", "key": "a", "data": 1, "end": true },
        { "topic": "jobs/y", "key": "b", "data": 1 },
    ]);
    let results = post(address, "/v1/events", batch.to_string()).json();
    assert!(results["results"][0]["version"].is_string(), "{results}");
    assert!(results["results"][1]["end"].is_string() && results["results"][2]["end"].is_string());
    assert_eq!(results["results"][3]["error"]["code"], "topic_ended");
    assert_eq!(board(address, "tickers/x").len(), 1);
    let mut socket = WebSocket::open(address, "");
    socket.until_ready(&Value::Null);
    let last = json!({ "request": "publish", "id": 1, "topic": "jobs/z", "key": "a", "data": 1, "end": true });
    let reply = socket.call(&last);
    assert!(reply["version"].is_string() && reply["end"].is_string(), "{reply}");
}

#[test]
fn a_key_whose_time_is_over_stays_in_a_topic_that_has_ended() {
    let (mut server, _folder) = start(&[]);
    let address = server.address();
    let with_ttl = |key| [("Bellwire-Key", key), ("Bellwire-Ttl", "1s")];
    for topic in TOPICS {
        assert_eq!(send(address, topic, (&with_ttl("goes"), "1")).status, 201);
        assert_eq!(put(address, (topic, "stays"), "1").status, 201);
        end(address, topic);
    }
    // Time passes: elsewhere keys go.
    let mut others = Stream::open(address, "topic=jobs/other&topic=tickers/other");
    for topic in ["jobs/other", "tickers/other"] {
        assert_eq!(send(address, topic, (&with_ttl("goes"), "1")).status, 201);
    }
    let mut gone = 0;
    while gone < 2 {
        gone += usize::from(others.next().expect("it goes on").json()["deleted"] == true);
    }
    for topic in TOPICS {
        assert!(board(address, topic).into_keys().eq(["goes", "stays"]), "{topic}");
        let mut wild = Stream::open(address, &format!("topic={topic}"));
        let mut also = Stream::open(address, &format!("topic={topic}/**"));
        also.until_ready();
        assert_eq!(all_of(&mut wild).last().map(String::as_str), Some("ready"));
        reopen(address, topic);
        // Once it goes on the key goes.
        while also.next().expect("it goes on").json()["deleted"] != true {}
        assert!(board(address, topic).into_keys().eq(["stays"]), "{topic}");
        end(address, topic);
    }
    server.kill();
    server.restart();
    assert!(board(server.address(), "jobs/x").into_keys().eq(["stays"]));
}
