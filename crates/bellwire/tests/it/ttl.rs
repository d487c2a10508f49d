//! Keys of state topics that go by themselves.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Lines, Request, Spoken, Stream, StreamItem, WebSocket, get, post, request,
};
use crate::state;

const PATH: &str = "/v1/topics/tickers/x";

fn put(address: SocketAddr, key: &str, ttl: Option<&str>) -> Answer {
    let mut headers = vec![("Bellwire-Key", key), ("Content-Type", "application/json")];
    headers.extend(ttl.map(|ttl| ("Bellwire-Ttl", ttl)));
    request(address, Request { method: "POST", path: PATH, headers: &headers, body: b"1" })
}

fn touch(address: SocketAddr, parameters: &str) -> Answer {
    let path = format!("{PATH}?{parameters}");
    request(address, Request { method: "PATCH", path: &path, headers: &[], body: b"" })
}

fn keys(address: SocketAddr) -> Vec<String> {
    let events = get(address, PATH).json()["events"].take();
    let key = |event: &Value| event["key"].as_str().expect("a key").to_owned();
    let mut keys: Vec<String> = events.as_array().expect("events").iter().map(key).collect();
    keys.sort_unstable();
    keys
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
    let (server, _folder) = state::start();
    let address = server.address();
    let mut sse = Stream::open(address, "topic=tickers/*&state=changes");
    let cursor = sse.until_ready();
    assert!(cursor.is_empty());
    let mut lines = Lines::open(address, "topic=tickers/*");
    lines.until_ready();
    let mut sockets =
        Spoken::BOTH.map(|spoken| WebSocket::open_as(address, "topic=tickers/*", spoken));
    for socket in &mut sockets {
        socket.until_ready(&Value::Null);
    }
    assert_eq!(put(address, "stays", None).status, 201);
    assert_eq!(put(address, "put again", Some("1s")).status, 201);
    assert_eq!(put(address, "put again", None).status, 201);
    assert_eq!(put(address, "renewed", Some("1s")).status, 201);
    let put_at = put(address, "goes", Some("1s")).json();
    let renewed = touch(address, "key=renewed&ttl=1h");
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
    assert_eq!(keys(address), ["put again", "renewed", "stays"]);

    // It is as gone for those who come back as if somebody had deleted it.
    assert_eq!(put(address, "goes too", Some("1s")).status, 201);
    let event = until_gone(|| sse.events(1)[0].json(), "goes too");
    let mut again = Stream::resume(address, "topic=tickers/*&state=changes", &resumed);
    let told = again.until_ready().iter().map(StreamItem::json).collect::<Vec<_>>();
    assert_eq!(told, [event]);
}

#[test]
fn a_websocket_and_a_batch_say_how_long_a_key_lives_and_renew_it() {
    let (server, _folder) = state::start();
    let address = server.address();
    let mut socket = WebSocket::open(address, "topic=tickers/*");
    socket.until_ready(&Value::Null);
    let publish = |key: &str, ttl: &str| json!({ "request": "publish", "id": 1, "topic": "tickers/x", "key": key, "data": 1, "ttl": ttl });
    socket.call(&publish("goes", "1s"));
    let there = socket.call(&publish("renewed", "1s"));
    let touch = |version: &Value| {
        json!({
            "request": "touch", "id": 2, "topic": "tickers/x", "key": "renewed", "ttl": "1d",
            "if_version": version,
        })
    };
    let refused = socket.call(&touch(&json!("s1-1")));
    assert_eq!(refused["error"]["code"], "condition_failed");
    assert_eq!(refused["error"]["version"], there["version"]);
    let renewed = socket.call(&touch(&there["version"]));
    assert_eq!(renewed, json!({ "reply": 2, "version": there["version"] }));
    let batch = json!([{ "topic": "tickers/x", "key": "of a batch", "data": 1, "ttl": "1s" }]);
    assert_eq!(post(address, "/v1/events?atomic=true", batch.to_string()).status, 200);
    for key in ["goes", "of a batch"] {
        let event = until_gone(|| socket.events(1).remove(0), key);
        assert_eq!(event["reason"], "expired");
    }
    assert_eq!(keys(address), ["renewed"]);
}

#[test]
fn a_time_that_is_none_or_too_long_is_refused() {
    let (server, _folder) = state::start();
    let address = server.address();
    for ttl in ["0", "0s", "999ms", "31d", "1y", "-5s", "5", "", "forever", "99999999999999999y"] {
        let answer = put(address, "k", Some(ttl));
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("parameter_invalid")));
    }
    assert_eq!(keys(address), [""; 0]);
    assert_eq!(touch(address, "key=k&ttl=1s").status, 404);
    put(address, "k", None);
    for parameters in ["key=k", "ttl=1s", "key=k&ttl=0", "key=k&ttl=1y", "key=k&tll=1s&ttl=1s"] {
        assert_eq!(touch(address, parameters).status, 400, "{parameters}");
    }
    let path = "/v1/topics/lab/a";
    let headers = [("Bellwire-Ttl", "1s")];
    let stream = request(address, Request { method: "POST", path, headers: &headers, body: b"1" });
    assert_eq!((stream.status, &stream.json()["code"]), (409, &json!("kind_mismatch")));
    for (path, status) in [("lab/a", 409), ("samples/x", 403)] {
        let path = format!("/v1/topics/{path}?key=k&ttl=1s");
        let asked = Request { method: "PATCH", path: &path, headers: &[], body: b"" };
        assert_eq!(request(address, asked).status, status, "{path}");
    }
}
