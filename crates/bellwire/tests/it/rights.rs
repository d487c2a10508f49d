//! What becomes of a stream with the rights of whoever has opened it.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::frames::text;
use crate::harness::{
    Answer, Frames, Http2, Lines, Request, Server, Stream, StreamItem, get, post, request,
};

/// A server whose strangers may read some topics, and publish to all of them.
fn with_strangers(more: &str) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let text = format!(
        "[access]\nanonymous = \"guest\"\n{more}\n[[access.role]]\nname = \"guest\"\n\
         subscribe = [\"news/**\", \"own/*\"]\npublish = [\"news/**\", \"own/**\", \"other/**\"]\n"
    );
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, text).expect("written");
    (Server::start_with(&["--config", path.to_str().expect("text")]), folder)
}

fn polled(server: &Server, query: &str) -> Answer {
    let path = format!("/v1/events?{query}");
    let headers = [("Accept", "application/json")];
    request(server.address(), Request { method: "GET", path: &path, headers: &headers, body: b"" })
}

#[test]
fn a_stream_is_told_first_of_what_it_follows_less_than_was_asked_for() {
    let (server, _folder) = with_strangers("");
    let address = server.address();
    let left = json!(["news/today", "own/*"]);
    let asked = "topic=own/**&topic=news/today&topic=other/**";

    let mut stream = Stream::open(address, &format!("{asked}&after=e1-1"));
    let told = stream.next().expect("a control");
    assert_eq!(told.json(), json!({"control": "narrowed", "topics": left}));
    assert_eq!((&*told.event_type, &*told.id), ("narrowed", ""));
    assert_eq!(stream.next().expect("a control").json()["control"], json!("gap"));
    stream.until_ready();
    let mut raw = Stream::open(address, &format!("{asked}&format=raw"));
    assert_eq!(raw.next().expect("a control").json()["topics"], left);
    let mut lines = Lines::open(address, asked);
    assert_eq!(lines.next().expect("a line"), json!({"control": "narrowed", "topics": left}));
    let mut http2 = Http2::plain(address);
    let mut carried = http2.stream(asked, &[]);
    assert_eq!(http2.next(&mut carried).expect("a control").json()["topics"], left);
    let mut socket = Frames::open(address, asked);
    assert_eq!(socket.next().json(), json!({"control": "narrowed", "topics": left}));
    let poll = polled(&server, asked).json();
    assert_eq!((&poll["narrowed"], &poll["events"]), (&left, &json!([])));

    for topic in ["other/a", "own/a/b", "own/a", "news/today"] {
        assert_eq!(post(address, &format!("/v1/topics/{topic}"), "1").status, 201);
    }
    let topics = |events: Vec<Value>| -> Vec<Value> {
        events.into_iter().map(|event| event["topic"].clone()).collect()
    };
    let events = stream.events(2).iter().map(StreamItem::json).collect();
    assert_eq!(topics(events), ["own/a", "news/today"]);
    lines.until_ready();
    assert_eq!(topics(lines.events(2)), ["own/a", "news/today"]);
}

#[test]
fn who_follows_all_that_was_asked_for_is_told_of_nothing() {
    let (server, _folder) = with_strangers("");
    let address = server.address();
    let asked = "topic=own/a&topic=news/**";
    let mut stream = Stream::open(address, asked);
    assert_eq!(stream.next().expect("a control").json()["control"], json!("ready"));
    let poll = polled(&server, asked).json();
    assert_eq!(poll.get("narrowed"), None, "{poll}");
    let mut socket = Frames::open(address, "");
    assert_eq!(socket.next().json()["control"], json!("ready"));
    socket.send(text(r#"{"request":"subscribe","id":1,"topics":["own/a"]}"#));
    assert_eq!(socket.reply(1), json!({"reply": 1}));
}

#[test]
fn a_subscription_says_in_its_reply_what_is_left_of_it() {
    let (server, _folder) = with_strangers("");
    let mut socket = Frames::open(server.address(), "topic=news/a");
    socket.send(text(r#"{"request":"subscribe","id":1,"topics":["own/**","other/**"]}"#));
    assert_eq!(socket.reply(1), json!({"reply": 1, "narrowed": ["own/*"]}));
    socket.send(text(r#"{"request":"subscribe","id":2,"topics":["other/**"]}"#));
    assert_eq!(socket.reply(2)["error"]["code"], json!("forbidden"));
    // It is taken back by the name that it was asked by.
    socket.send(text(r#"{"request":"unsubscribe","id":3,"topics":["own/**"]}"#));
    assert_eq!(socket.reply(3), json!({"reply": 3}));
}

#[test]
fn who_asks_for_more_is_refused_where_that_is_configured() {
    let (server, _folder) = with_strangers("wider = \"refuse\"");
    let address = server.address();
    for (asked, status) in [("topic=own/**", 403), ("topic=own/*", 200), ("topic=other/a", 403)] {
        assert_eq!(polled(&server, asked).status, status, "{asked}");
    }
    assert_eq!(get(address, "/v1/events?topic=own/**").json()["code"], json!("forbidden"));
    let mut socket = Frames::open(address, "topic=own/a");
    socket.send(text(r#"{"request":"subscribe","id":1,"topics":["own/**"]}"#));
    assert_eq!(socket.reply(1)["error"]["code"], json!("forbidden"));
    socket.send(text(r#"{"request":"subscribe","id":2,"topics":["news/**"]}"#));
    assert_eq!(socket.reply(2), json!({"reply": 2}));
}
