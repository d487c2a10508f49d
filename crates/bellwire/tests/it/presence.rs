//! Presence: those who follow a topic and show themselves, on every transport.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::access::made;
use crate::harness::{
    Answer, Http2, Lines, Request, Server, Stream, WebSocket, get, post, request,
};

const COUNT: &str = "~count";

/// A server of which topics below `rooms` have presence.
fn start(more: &[&str]) -> Server {
    Server::start_with(&[&["--presence", "rooms/**"], more].concat())
}

/// What is told of those on a topic.
pub(crate) struct Board {
    lines: Lines,
    values: BTreeMap<String, Value>,
    /// Keys of the events that came, in order.
    told: Vec<String>,
}

impl Board {
    pub(crate) fn open(address: SocketAddr, topic: &str) -> Self {
        let mut lines = Lines::open(address, &format!("topic=presence/{topic}"));
        // Who is there already comes before it.
        let before = lines.until_ready();
        let mut board = Self { lines, values: BTreeMap::new(), told: Vec::new() };
        for line in &before {
            board.see(line);
        }
        board
    }

    /// Waits until it is told that so many are there, and that each of them is named.
    #[track_caller]
    pub(crate) fn until_named(&mut self, followers: usize) -> Vec<Value> {
        self.until(&json!({"followers": followers, "named": true}));
        let named = self.values.iter().filter(|(key, _)| *key != COUNT);
        named.map(|(_, value)| value.clone()).collect()
    }

    #[track_caller]
    fn until(&mut self, count: &Value) {
        while self.values.get(COUNT) != Some(count) {
            self.take();
        }
    }

    #[track_caller]
    pub(crate) fn until_nobody(&mut self) {
        while !self.values.is_empty() {
            self.take();
        }
    }

    #[track_caller]
    fn take(&mut self) {
        let next = self.lines.try_next();
        let event = next.unwrap_or_else(|why| panic!("{why}, with {:?}", self.values));
        self.see(&event.expect("the stream goes on"));
    }

    fn see(&mut self, event: &Value) {
        let Some(key) = event["key"].as_str() else { return };
        self.told.push(key.to_owned());
        if event["deleted"] == true {
            self.values.remove(key);
        } else {
            self.values.insert(key.to_owned(), event["data"].clone());
        }
    }
}

pub(crate) fn shown(values: &[Value]) -> Vec<&str> {
    let mut shown: Vec<&str> = values.iter().map(|it| it["shown"].as_str().expect("it")).collect();
    shown.sort_unstable();
    shown
}

fn poll(address: SocketAddr, query: &str) -> Answer {
    let path = format!("/v1/events?{query}");
    let headers = [("Accept", "application/json")];
    request(address, Request { method: "GET", path: &path, headers: &headers, body: b"" })
}

#[test]
fn whoever_shows_itself_is_seen_on_every_transport_and_gone_when_it_has_gone() {
    let server = start(&["--presence-grace", "300ms"]);
    let address = server.address();
    let mut board = Board::open(address, "rooms/a");
    let query = |name: &str| format!("topic=rooms/a&topic=other&present=%22{name}%22");
    let sse = Stream::open(address, &query("sse"));
    let lines = Lines::open(address, &query("lines"));
    let websocket = WebSocket::open(address, &query("websocket"));
    let mut http2 = Http2::plain(address);
    let carried = http2.stream(&query("http2"), &[]);
    // Whoever follows and does not show itself is not seen.
    let _hidden = Stream::open(address, "topic=rooms/a");
    std::thread::scope(|scope| {
        let asked =
            scope.spawn(|| poll(address, &format!("{}&present_id=p1&wait=20s", query("poll"))));
        let there = board.until_named(5);
        assert_eq!(shown(&there), ["http2", "lines", "poll", "sse", "websocket"]);
        assert!(there.iter().all(|it| it["since"].is_u64() && it.get("subject").is_none()));
        assert_eq!(post(address, "/v1/topics/rooms/a", "1").status, 201);
        assert_eq!(asked.join().expect("no panic").json()["events"][0]["data"], 1);
    });
    board.until_named(4);
    drop((sse, lines, websocket));
    board.until_named(1);
    drop((carried, http2));
    board.until_nobody();
    let listed = get(address, "/v1/topics?prefix=presence/").json();
    assert_eq!(listed["topics"], json!([]));
}

#[test]
fn whoever_comes_back_in_time_has_not_been_away() {
    let server = start(&["--presence-grace", "60s"]);
    let address = server.address();
    let mut board = Board::open(address, "rooms/a");
    let query = "topic=rooms/a&present=%22one%22&present_id=one-that-nobody-guesses";
    for _ in 0..3 {
        drop(Stream::open(address, query));
    }
    // A long poll is a connection by turns.
    for _ in 0..3 {
        assert_eq!(poll(address, query).status, 200);
    }
    board.until_named(1);
    let key = board.values.keys().next().expect("one").clone();
    let told = board.told.len();
    let _again = Stream::open(address, query);
    let _other = Stream::open(address, "topic=rooms/a&present=%22two%22");
    assert_eq!(shown(&board.until_named(2)), ["one", "two"]);
    assert!(board.values.contains_key(&key));
    assert!(!board.told[told..].contains(&key), "{:?}", board.told);
    // What is shown last is what is seen.
    let _newer = Stream::open(address, &query.replace("%22one%22", "%22three%22"));
    let _third = Stream::open(address, "topic=rooms/a&present=%22four%22");
    assert_eq!(shown(&board.until_named(3)), ["four", "three", "two"]);
    assert_eq!(board.values[&key]["shown"], "three");
}

#[test]
fn of_many_the_number_alone_is_told() {
    let server = start(&["--presence-grace", "100ms", "--presence-named-max", "4"]);
    let address = server.address();
    let mut board = Board::open(address, "rooms/a");
    let open = |_| Stream::open(address, "topic=rooms/a&present");
    let mut streams: Vec<Stream> = (0..4).map(open).collect();
    board.until_named(4);
    streams.extend((0..2).map(open));
    board.until(&json!({"followers": 6, "named": false}));
    assert_eq!(board.values.len(), 1, "{:?}", board.values);
    // At the bound they are not told anew with each who comes and goes.
    streams.truncate(4);
    board.until(&json!({"followers": 4, "named": false}));
    streams.truncate(3);
    assert_eq!(board.until_named(3).len(), 3);
    streams.clear();
    board.until_nobody();
}

#[test]
fn a_websocket_is_seen_where_it_subscribes_and_not_where_it_has_unsubscribed() {
    let server = start(&["--presence-grace", "60s"]);
    let address = server.address();
    let mut board = Board::open(address, "rooms/a");
    let mut other = Board::open(address, "rooms/b");
    let mut socket = WebSocket::open(address, "present=%22ada%22&present_id=x");
    socket.subscribe(1, &["rooms/a", "rooms/**", "news"], "latest");
    assert_eq!(shown(&board.until_named(1)), ["ada"]);
    socket.subscribe(2, &["rooms/b"], "latest");
    // What a wildcard has, too, is named all the same.
    socket.unsubscribe(&["rooms/a", "rooms/**"]);
    board.until_nobody();
    assert_eq!(shown(&other.until_named(1)), ["ada"]);
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let server = start(&[]);
    let address = server.address();
    let long = format!("topic=rooms/a&present=%22{}%22", "x".repeat(1_024));
    for query in [
        "topic=rooms/**&present",
        "topic=other&present",
        "topic=rooms/a&present=ada",
        "topic=rooms/a&present=%7B",
        "topic=rooms/a&present_id=x",
        "topic=rooms/a&present&present_id=",
        "topic=rooms/a&present",
        &long,
    ] {
        let refused = poll(address, query);
        assert_eq!(refused.status, 400, "{query}: {}", refused.text());
        assert_eq!(refused.json()["code"], "parameter_invalid");
    }
    let headers = [("Bellwire-Key", "ada")];
    let path = "/v1/topics/presence/rooms/a";
    let forged = Request { method: "POST", path, headers: &headers, body: b"1" };
    assert_eq!(request(address, forged).json()["code"], "topic_reserved");
    let without = Server::start();
    let refused = get(without.address(), "/v1/events?topic=rooms/a&present");
    assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("parameter_invalid")));
}

#[test]
fn somebody_with_a_name_is_one_however_many_connections_and_is_seen_by_those_who_may() {
    let folder = TempDir::new().expect("a folder");
    let mut text = String::from(
        r#"
        presence = ["rooms/**"]
        [[access.role]]
        name = "member"
        subscribe = ["rooms/open/*"]
        [[access.role]]
        name = "outsider"
        subscribe = ["presence/**", "news"]
        "#,
    );
    let [ada, bob, eve, root] =
        [("ada", "member"), ("bob", "member"), ("eve", "outsider"), ("root", "admin")].map(
            |(subject, role)| {
                let (key, table) = made(subject, role);
                text.push_str(&table);
                format!("Bearer {key}")
            },
        );
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, text).expect("written");
    let server = Server::start_with(&["--config", path.to_str().expect("text")]);
    let address = server.address();
    let open =
        |key: &str, query: &str| Stream::open_with(address, query, &[("Authorization", key)]);
    let _root = open(&root, "topic=rooms/closed/a&present");
    let _tabs = [1, 2].map(|tab| open(&ada, &format!("topic=rooms/open/a&present={tab}")));
    let mut seen = open(&bob, "topic=presence/rooms/**");
    let narrowed = seen.next().expect("a control").json();
    assert_eq!(narrowed["topics"], json!(["presence/rooms/open/*"]));
    let mut board: BTreeMap<String, Value> = BTreeMap::new();
    while !board.contains_key(COUNT) || board.get("ada").is_none_or(|ada| ada["shown"] != 2) {
        let event = seen.next().expect("it goes on").json();
        if let Some(key) = event["key"].as_str() {
            assert_eq!(event["topic"], "presence/rooms/open/a");
            board.insert(key.to_owned(), event["data"].clone());
        }
    }
    assert_eq!(board[COUNT], json!({"followers": 1, "named": true}));
    assert_eq!((board.len(), &board["ada"]["subject"]), (2, &json!("ada")));

    let ask = |key: &str, path: &str| {
        let headers = [("Authorization", key)];
        request(address, Request { method: "GET", path, headers: &headers, body: b"" })
    };
    // A page knows beforehand where it may show its reader.
    let offered = |key: &str| ask(key, "/v1/whoami").json()["presence"].clone();
    assert_eq!((offered(&bob), offered(&root)), (json!(["rooms/open/*"]), json!(["rooms/**"])));
    assert_eq!(offered(&eve), Value::Null);
    let listed = |key: &str| -> Vec<String> {
        let listed = ask(key, "/v1/topics?prefix=presence/").json();
        let topics = listed["topics"].as_array().expect("an array").iter();
        topics.map(|it| it["topic"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(listed(&bob), ["presence/rooms/open/a"]);
    assert_eq!(listed(&root), ["presence/rooms/closed/a", "presence/rooms/open/a"]);
    assert_eq!(listed(&eve), Vec::<String>::new());
    let closed = "/v1/topics/presence/rooms/closed/a";
    assert_eq!(ask(&root, closed).status, 200);
    for key in [&bob, &eve] {
        assert_eq!(ask(key, closed).status, 403);
        assert_eq!(ask(key, "/v1/events?topic=presence/rooms/closed/a").status, 403);
    }
    assert_eq!(ask(&eve, "/v1/topics/presence/rooms/open/a").status, 403);
    assert_eq!(ask(&bob, "/v1/topics/presence/rooms/open/a").status, 200);
}
