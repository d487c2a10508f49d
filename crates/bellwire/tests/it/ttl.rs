//! Keys of state topics that go by themselves.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Lines, Request, Spoken, Stream, StreamItem, WebSocket, post, request,
};
use crate::state_on_disk::{board, start};

/// One in memory, and one on the disk.
const TOPICS: [&str; 2] = ["tickers/x", "jobs/x"];

fn put(address: SocketAddr, (topic, key): (&str, &str), ttl: Option<&str>) -> Answer {
    let mut headers = vec![("Bellwire-Key", key), ("Content-Type", "application/json")];
    headers.extend(ttl.map(|ttl| ("Bellwire-Ttl", ttl)));
    let path = format!("/v1/topics/{topic}");
    request(address, Request { method: "POST", path: &path, headers: &headers, body: b"1" })
}

fn touch(address: SocketAddr, topic: &str, parameters: &str) -> Answer {
    let path = format!("/v1/topics/{topic}?{parameters}");
    request(address, Request { method: "PATCH", path: &path, headers: &[], body: b"" })
}

fn keys(address: SocketAddr, topic: &str) -> Vec<String> {
    board(address, topic).into_keys().collect()
}

/// What came, up to the end of a key.
fn until_gone(mut next: impl FnMut() -> Value, key: &str) -> Value {
    loop {
        let event = next();
        if event["key"] == key && event["deleted"] == true {
            return event;
        }
    }
}

#[test]
fn a_key_goes_when_its_time_is_over_and_everybody_is_told_why() {
    let (server, _folder) = start(&[]);
    for topic in TOPICS {
        goes_and_is_told(server.address(), topic);
    }
}

fn goes_and_is_told(address: SocketAddr, topic: &str) {
    let put = |key, ttl| put(address, (topic, key), ttl);
    let (follow, resume) = (format!("topic={topic}"), format!("topic={topic}&state=changes"));
    let mut sse = Stream::open(address, &resume);
    let cursor = sse.until_ready();
    assert!(cursor.is_empty());
    let mut lines = Lines::open(address, &follow);
    lines.until_ready();
    let mut sockets = Spoken::BOTH.map(|spoken| WebSocket::open_as(address, &follow, spoken));
    for socket in &mut sockets {
        socket.until_ready(&Value::Null);
    }
    assert_eq!(put("stays", None).status, 201);
    assert_eq!(put("put again", Some("1s")).status, 201);
    assert_eq!(put("put again", None).status, 201);
    assert_eq!(put("renewed", Some("1s")).status, 201);
    let put_at = put("goes", Some("1s")).json();
    let renewed = touch(address, topic, "key=renewed&ttl=1h");
    assert_eq!((renewed.status, renewed.text()), (204, ""));

    let event = until_gone(|| sse.events(1)[0].json(), "goes");
    assert_eq!((&event["reason"], event.get("data")), (&json!("expired"), None), "{event}");
    assert_ne!(event["version"], put_at["version"]);
    let resumed = event["cursor"].as_str().expect("a cursor").to_owned();
    let alike = |other: Value| {
        assert_eq!((&other["reason"], &other["version"]), (&json!("expired"), &event["version"]));
    };
    alike(until_gone(|| lines.events(1).remove(0), "goes"));
    for socket in &mut sockets {
        alike(until_gone(|| socket.events(1).remove(0), "goes"));
    }
    assert_eq!(keys(address, topic), ["put again", "renewed", "stays"]);

    // It is as gone for those who come back as if somebody had deleted it.
    assert_eq!(put("goes too", Some("1s")).status, 201);
    let event = until_gone(|| sse.events(1)[0].json(), "goes too");
    let mut again = Stream::resume(address, &resume, &resumed);
    let told = again.until_ready().iter().map(StreamItem::json).collect::<Vec<_>>();
    assert_eq!(told, [event]);
}

#[test]
fn a_websocket_and_a_batch_say_how_long_a_key_lives_and_renew_it() {
    let (server, _folder) = start(&[]);
    for topic in TOPICS {
        renewed_by_a_websocket(server.address(), topic);
    }
}

fn renewed_by_a_websocket(address: SocketAddr, topic: &str) {
    let mut socket = WebSocket::open(address, &format!("topic={topic}"));
    socket.until_ready(&Value::Null);
    let publish = |key: &str, ttl: &str| json!({ "request": "publish", "id": 1, "topic": topic, "key": key, "data": 1, "ttl": ttl });
    socket.call(&publish("goes", "1s"));
    let there = socket.call(&publish("renewed", "1s"));
    let touch = |version: &Value| {
        json!({
            "request": "touch", "id": 2, "topic": topic, "key": "renewed", "ttl": "1d",
            "if_version": version,
        })
    };
    let refused = socket.call(&touch(&json!("s1-1")));
    assert_eq!(refused["error"]["code"], "condition_failed");
    assert_eq!(refused["error"]["version"], there["version"]);
    let renewed = socket.call(&touch(&there["version"]));
    assert_eq!(renewed, json!({ "reply": 2, "version": there["version"] }));
    let batch = json!([{ "topic": topic, "key": "of a batch", "data": 1, "ttl": "1s" }]);
    assert_eq!(post(address, "/v1/events?atomic=true", batch.to_string()).status, 200);
    for key in ["goes", "of a batch"] {
        let event = until_gone(|| socket.events(1).remove(0), key);
        assert_eq!(event["reason"], "expired");
    }
    assert_eq!(keys(address, topic), ["renewed"]);
}

#[test]
fn a_time_that_is_none_or_too_long_is_refused() {
    let (server, _folder) = start(&[]);
    let address = server.address();
    for topic in TOPICS {
        is_refused(address, topic);
    }
    let path = "/v1/topics/lab/a";
    let headers = [("Bellwire-Ttl", "1s")];
    let stream = request(address, Request { method: "POST", path, headers: &headers, body: b"1" });
    assert_eq!((stream.status, &stream.json()["code"]), (409, &json!("kind_mismatch")));
    for (topic, status) in [("lab/a", 409), ("samples/x", 403)] {
        assert_eq!(touch(address, topic, "key=k&ttl=1s").status, status, "{topic}");
    }
}

fn is_refused(address: SocketAddr, topic: &str) {
    for ttl in ["0", "0s", "999ms", "31d", "1y", "-5s", "5", "", "forever", "99999999999999999y"] {
        let answer = put(address, (topic, "k"), Some(ttl));
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("parameter_invalid")));
    }
    assert_eq!(keys(address, topic), [""; 0]);
    assert_eq!(touch(address, topic, "key=k&ttl=1s").status, 404);
    put(address, (topic, "k"), None);
    for parameters in ["key=k", "ttl=1s", "key=k&ttl=0", "key=k&ttl=1y", "key=k&tll=1s&ttl=1s"] {
        assert_eq!(touch(address, topic, parameters).status, 400, "{parameters}");
    }
}

#[test]
fn keys_on_the_disk_go_in_order_whoever_was_killed_meanwhile() {
    let (mut server, _folder) = start(&[]);
    let put = |address, key, ttl| {
        let answer = put(address, ("jobs/x", key), ttl);
        assert_eq!(answer.status, 201, "{}", answer.text());
    };
    let mut live = Stream::open(server.address(), "topic=jobs/x&state=changes");
    live.until_ready();
    put(server.address(), "later", Some("3s"));
    put(server.address(), "first", Some("1s"));
    put(server.address(), "second", Some("2s"));
    put(server.address(), "stays", None);
    put(server.address(), "renewed", Some("1s"));
    let there = live.events(5)[4].json();
    assert_eq!(touch(server.address(), "jobs/x", "key=renewed&ttl=30d").status, 204);
    server.kill();
    server.restart();
    let address = server.address();
    let cursor = there["cursor"].as_str().expect("a cursor");
    let mut back = Stream::resume(address, "topic=jobs/x&state=changes", cursor);
    for key in ["first", "second", "later"] {
        let event = until_gone(|| back.next().expect("it goes on").json(), key);
        assert_eq!(event["reason"], "expired", "{event}");
    }
    assert_eq!(keys(address, "jobs/x"), ["renewed", "stays"]);
    // What has been renewed is what it was.
    let renewed = touch(
        address,
        "jobs/x",
        &format!("key=renewed&ttl=1s&if_version={}", there["version"].as_str().expect("a version")),
    );
    assert_eq!(renewed.status, 204, "{}", renewed.text());
    until_gone(|| back.next().expect("it goes on").json(), "renewed");
    server.restart();
    assert_eq!(keys(server.address(), "jobs/x"), ["stays"]);
}

#[test]
fn a_key_that_goes_takes_nothing_of_a_topic_that_is_in_memory_now() {
    let (mut server, folder) = start(&[]);
    put(server.address(), ("jobs/x", "a"), Some("2s"));
    put(server.address(), ("jobs/y", "a"), Some("2s"));
    let config = "[[topic]]\nmatch = \"jobs/x\"\nkind = \"state\"\n
                  [[topic]]\nmatch = \"jobs/**\"\nkind = \"state\"\ndurability = \"disk\"\n";
    std::fs::write(folder.path().join("bellwire.toml"), config).expect("written");
    server.restart();
    let address = server.address();
    let mut stream = Stream::open(address, "topic=jobs/**");
    put(address, ("jobs/x", "a"), None);
    let event = until_gone(|| stream.next().expect("it goes on").json(), "a");
    assert_eq!(event["topic"], "jobs/y");
    assert_eq!(keys(address, "jobs/x"), ["a"]);
}
