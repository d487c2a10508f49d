//! State topics for those who keep what they have: `state=changes`, on every transport.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{
    Lines, Over, Random, Raw, Request, Server, Stream, StreamItem, WebSocket, delete, get, post,
    request,
};
use crate::state;

const QUERY: &str = "topic=tickers/**&topic=lab/**&state=changes";

fn put(address: SocketAddr, key: &str, value: &str) {
    state::put(address, "tickers/x", key, value);
}

fn remove(address: SocketAddr, key: &str) {
    assert_eq!(delete(address, &format!("/v1/topics/tickers/x?key={key}")).status, 204);
}

/// What a client has, and the newest cursor that it was told.
#[derive(Clone, Debug, Default)]
struct Client {
    board: BTreeMap<String, Value>,
    lab: Vec<Value>,
    cursor: String,
    resets: usize,
    /// Events of state topics that came.
    changes: usize,
}

impl Client {
    fn take(&mut self, event: &Value) {
        if event["control"] == "reset" {
            assert_eq!(event["filters"], json!(["lab/**", "tickers/**"]));
            self.board.clear();
            self.resets += 1;
        } else if event["topic"] == "lab/a" {
            self.lab.push(event["data"].clone());
        } else if let Some(key) = event["key"].as_str() {
            self.changes += 1;
            if event["deleted"] == true {
                self.board.remove(key);
            } else {
                self.board.insert(key.to_owned(), event["data"].clone());
            }
        }
        if let Some(cursor) = event["cursor"].as_str() {
            cursor.clone_into(&mut self.cursor);
        }
    }

    fn take_sse(&mut self, items: &[StreamItem]) {
        for item in items {
            self.take(&item.json());
            assert_eq!(self.cursor, item.id, "{item:?}");
        }
    }

    /// Comes back over a transport, and is cut off behind so many events.
    fn follow(&mut self, address: SocketAddr, transport: &str, count: usize) {
        let query = format!("{QUERY}&after={}", self.cursor);
        match transport {
            "sse" => {
                let mut stream = Stream::resume(address, QUERY, &self.cursor);
                for _ in 0..count {
                    let item = stream.next().expect("the stream goes on");
                    self.take(&item.json());
                    // A reader of these events keeps the newest there was; this one is new.
                    if !item.id.is_empty() {
                        self.cursor = item.id;
                    }
                }
            }
            "ndjson" => {
                let mut lines = Lines::open(address, &query);
                (0..count).for_each(|_| self.take(&lines.next().expect("the stream goes on")));
            }
            "websocket" => {
                let mut socket = WebSocket::open(address, &query);
                (0..count).for_each(|_| self.take(&socket.next()));
            }
            _ => self.resume(address, transport),
        }
    }

    /// Comes back over a transport, and gets what there is.
    fn resume(&mut self, address: SocketAddr, transport: &str) {
        let query = format!("{QUERY}&after={}", self.cursor);
        match transport {
            "sse" => {
                let mut stream = Stream::resume(address, QUERY, &self.cursor);
                let items = stream.until_ready();
                for item in &items {
                    self.take(&item.json());
                }
                // `ready` says where all of that leads to.
                put(address, "end", "0");
                self.take_sse(&stream.events(1));
                remove(address, "end");
                self.take_sse(&stream.events(1));
            }
            "ndjson" => {
                for line in Lines::open(address, &query).until_ready() {
                    self.take(&line);
                }
            }
            "websocket" => {
                let mut socket = WebSocket::open(address, &query);
                let mut ready = false;
                while !ready {
                    let said = socket.next();
                    ready = said["control"] == "ready";
                    self.take(&said);
                }
            }
            "poll" => {
                let headers = [("Accept", "application/json")];
                let path = format!("/v1/events?{query}");
                let poll = Request { method: "GET", path: &path, headers: &headers, body: b"" };
                let answer = request(address, poll);
                assert_eq!(answer.status, 200, "{path}: {}", answer.text());
                let answer = answer.json();
                if answer["reset"].is_object() {
                    self.take(&answer["reset"]);
                }
                for event in answer["events"].as_array().expect("events") {
                    self.take(event);
                }
                answer["cursor"].as_str().expect("a cursor").clone_into(&mut self.cursor);
            }
            other => panic!("{other} is no transport"),
        }
    }

    #[track_caller]
    fn has(&self, address: SocketAddr) {
        let all = get(address, "/v1/topics/tickers/x").json();
        let all = all["events"].as_array().expect("events").iter();
        let key = |event: &Value| event["key"].as_str().expect("a key").to_owned();
        let truth: BTreeMap<String, Value> =
            all.map(|event| (key(event), event["data"].clone())).collect();
        assert_eq!(self.board, truth);
    }
}

const TRANSPORTS: [&str; 4] = ["sse", "ndjson", "websocket", "poll"];

#[test]
fn a_client_comes_back_to_what_has_changed_on_whichever_transport() {
    let (mut server, _folder) = state::start();
    let address = server.address();
    for key in 0..50 {
        put(address, &format!("k{key}"), "0");
    }
    let mut client = Client::default();
    let mut stream = Stream::open(address, QUERY);
    let items = stream.until_ready();
    for item in &items {
        client.take(&item.json());
    }
    assert_eq!((client.resets, client.changes), (0, 50), "who has nothing has nothing to lose");
    // A value and an event of a stream bring the cursor of both.
    put(address, "k0", "1");
    client.take_sse(&stream.events(1));
    assert!(client.cursor.contains(".s"), "{}", client.cursor);
    post(address, "/v1/topics/lab/a", "1");
    client.take_sse(&stream.events(1));
    assert!(client.cursor.contains(".s"), "{}", client.cursor);
    drop(stream);

    let mut number = 1;
    for transport in TRANSPORTS.iter().chain(TRANSPORTS.iter().rev()) {
        number += 1;
        put(address, "k1", &number.to_string());
        remove(address, &format!("k{number}"));
        put(address, &format!("new{number}"), "1");
        put(address, "gone", "1");
        remove(address, "gone");
        post(address, "/v1/topics/lab/a", number.to_string());
        (client.resets, client.changes) = (0, 0);
        client.resume(address, transport);
        assert_eq!(client.resets, 0, "{transport}");
        let own = if *transport == "sse" { 2 } else { 0 };
        assert_eq!(client.changes, 4 + own, "{transport}: what has changed, and nothing else");
        client.has(address);
        let lab: Vec<Value> = (1..=number).map(Value::from).collect();
        assert_eq!(client.lab, lab, "{transport}: nothing is missing, nothing comes twice");
    }

    // Another process knows nothing of the cursor, and says so.
    let before = client.clone();
    server.restart();
    let address = server.address();
    put(address, "k1", "9");
    for transport in TRANSPORTS {
        let mut client = before.clone();
        (client.resets, client.changes) = (0, 0);
        client.resume(address, transport);
        assert_eq!(client.resets, 1, "{transport}");
        client.has(address);
        assert_eq!(client.lab, before.lab, "{transport}: streams go on");
    }
}

#[test]
fn who_does_not_ask_for_it_gets_all_values_with_any_cursor() {
    let (server, _folder) = state::start();
    let address = server.address();
    for key in ["a", "b"] {
        put(address, key, "1");
    }
    let mut stream = Stream::open(address, QUERY);
    let cursor = stream.next_of("ready").id;
    assert!(cursor.contains(".s"), "{cursor}");
    let query = "topic=tickers/**";
    let mut plain = Stream::resume(address, query, &cursor);
    let values = plain.until_ready();
    assert_eq!(values.len(), 2, "{values:?}");
    assert!(values.iter().all(|item| item.json().get("cursor").is_none()));
    put(address, "a", "2");
    assert!(!plain.events(1)[0].id.contains('.'));
    // Who asks for it and has a cursor of before is told that it says nothing of state.
    let mut reset = Stream::resume(address, QUERY, "e1-0");
    let items = reset.until_ready();
    let types: Vec<&str> = items.iter().map(|item| &*item.event_type).collect();
    assert_eq!(types, ["gap", "reset", "message", "message"]);
    // Who is cut off behind a `reset`, and has dropped what it had, is told of it again: its cursor
    // says nothing of state any more.
    let place = cursor.split_once('.').expect("two parts").0;
    let foreign = format!("{place}.s1-0");
    let reset = Stream::resume(address, QUERY, &foreign).next_of("reset");
    assert_eq!((&*reset.id, &reset.json()["cursor"]), (place, &json!(place)));
    let again = Stream::resume(address, QUERY, &reset.id).next_of("reset");
    assert_eq!(again.id, place);
    let wrong = get(address, "/v1/events?topic=a&state=all");
    assert_eq!((wrong.status, &wrong.json()["code"]), (400, &json!("parameter_invalid")));
}

#[test]
fn a_value_brings_the_cursor_though_streams_that_are_not_followed_go_on() {
    let (server, _folder) = state::start();
    let address = server.address();
    let mut stream = Stream::open(address, "topic=tickers/**&state=changes");
    stream.next_of("ready");
    for number in 1..=5 {
        assert_eq!(post(address, "/v1/topics/other", "1").status, 201);
        put(address, "a", &number.to_string());
        let value = stream.events(1).remove(0);
        assert_eq!(value.json()["data"], number);
        let cursor = value.json()["cursor"].as_str().expect("a cursor").to_owned();
        assert!(cursor.contains(".s"), "{cursor}");
        assert_eq!(value.id, cursor);
    }
}

#[test]
fn what_is_subscribed_to_later_begins_anew_and_then_has_one_cursor_with_the_rest() {
    let (server, _folder) = state::start();
    let address = server.address();
    for key in ["a", "b"] {
        put(address, key, "1");
    }
    let mut socket = WebSocket::open(address, "state=changes");
    socket.next();
    let values = socket.subscribe(1, &["tickers/**"], "latest");
    assert_eq!(values.iter().filter(|it| it["topic"] == "tickers/x").count(), 2, "{values:?}");
    put(address, "a", "2");
    let event = socket.events(1).remove(0);
    let cursor = event["cursor"].as_str().expect("a cursor").to_owned();
    assert!(cursor.contains(".s"), "{event}");
    drop(socket);
    remove(address, "b");
    let mut socket = WebSocket::open(address, "state=changes");
    socket.next();
    let values = socket.subscribe(2, &["tickers/**"], &cursor);
    let gone: Vec<&Value> = values.iter().filter(|it| it["topic"] == "tickers/x").collect();
    assert_eq!(gone.len(), 1, "{values:?}");
    assert_eq!((&gone[0]["key"], &gone[0]["deleted"]), (&json!("b"), &json!(true)));
}

/// Changes without end, until it is told to stop: keys that come and go, and events of a stream that
/// are counted. Returns how many of those there were.
fn change(address: SocketAddr, is_over: &Over, random: &mut Random) -> u64 {
    let mut published = 0;
    while !is_over.is_so() {
        let key = format!("k{}", random.below(40));
        match random.below(4) {
            0 => {
                let _ = delete(address, &format!("/v1/topics/tickers/x?key={key}"));
            }
            1 => {
                published += 1;
                let answer = post(address, "/v1/topics/lab/a", published.to_string());
                assert_eq!(answer.status, 201);
            }
            _ => put(address, &key, &random.below(1_000).to_string()),
        }
    }
    published
}

#[test]
fn whoever_is_cut_off_again_and_again_has_the_truth_in_the_end() {
    let (server, _folder) = state::start();
    let address = server.address();
    let mut random = Random::announced();
    let mut others = Random::new(random.seed());
    let mut client = Client::default();
    let stream = Stream::open(address, QUERY).next_of("ready");
    client.cursor = stream.id;
    let is_over = Over::default();
    let published = std::thread::scope(|scope| {
        let changes = scope.spawn(|| change(address, &is_over, &mut others));
        let over = is_over.at_the_end();
        for _ in 0..200 {
            let transport = TRANSPORTS[random.below(4) as usize];
            client.follow(address, transport, random.below(12) as usize);
        }
        drop(over);
        changes.join().expect("it ends")
    });
    assert_eq!(client.resets, 0, "the server knows all along what has changed");
    client.resume(address, "ndjson");
    client.has(address);
    let lab: Vec<Value> = (1..=published).map(Value::from).collect();
    assert_eq!(client.lab, lab, "nothing is missing, nothing comes twice");
}

/// Changes until the server is gone: values, keys that go, and numbers of a stream, which count on from
/// `number`. Returns the numbers that were acknowledged.
fn change_until_gone(address: SocketAddr, random: &mut Random, number: &mut u64) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    let mut change = |raw: &mut Raw| -> std::io::Result<()> {
        let key = format!("k{}", random.below(40));
        if random.below(4) == 0 {
            let path = format!("/v1/topics/tickers/x?key={key}");
            raw.try_send(format!("DELETE {path} HTTP/1.1\r\nHost: x\r\n\r\n"))?;
            assert!([204, 404].contains(&raw.try_answer()?.status));
            return Ok(());
        }
        *number += 1;
        let lines = format!(
            "{{\"topic\":\"tickers/x\",\"key\":\"{key}\",\"data\":{number}}}\n\
             {{\"topic\":\"lab/a\",\"data\":{number}}}\n"
        );
        let answer = raw.try_post("/v1/events", "Content-Type: application/x-ndjson\r\n", lines)?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        acknowledged.push(*number);
        Ok(())
    };
    if let Ok(mut raw) = Raw::try_connect(address) {
        while change(&mut raw).is_ok() {}
    }
    acknowledged
}

#[test]
fn topics_that_change_their_place_begin_anew_for_whoever_comes_back() {
    let rule = |durability: &str| {
        format!(
            "[[topic]]\nmatch = \"tickers/**\"\nkind = \"state\"\ndurability = \"{durability}\"\n"
        )
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bellwire.toml");
    std::fs::write(&file, rule("memory")).expect("written");
    let mut server = Server::start_with(&["--config", file.to_str().expect("UTF-8")]);
    let cursor = Stream::open(server.address(), QUERY).next_of("ready").id;
    let mut client = Client { cursor, ..Client::default() };
    put(server.address(), "gone with its process", "1");
    client.resume(server.address(), "ndjson");
    client.has(server.address());
    for (durability, resets) in [("disk", 1), ("disk", 1), ("memory", 2), ("disk", 3)] {
        std::fs::write(&file, rule(durability)).expect("written");
        server.restart();
        client.resume(server.address(), "ndjson");
        client.has(server.address());
        assert_eq!(client.resets, resets, "{durability}");
        if durability == "disk" {
            // Once it is told, and not at each start until something changes.
            server.restart();
            client.resume(server.address(), "ndjson");
            client.has(server.address());
            assert_eq!(client.resets, resets, "{durability}, again");
        }
        put(server.address(), durability, "2");
        client.resume(server.address(), "ndjson");
    }
}

#[test]
fn whoever_is_cut_off_a_thousand_times_though_the_server_is_killed_has_the_truth_in_the_end() {
    const LIVES: usize = 5;
    const RETURNS: usize = 200;
    let topic = "[[topic]]\nmatch = \"tickers/**\"\nkind = \"state\"\ndurability = \"disk\"\n";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bellwire.toml");
    std::fs::write(&file, topic).expect("written");
    let mut server = Server::start_with(&["--config", file.to_str().expect("UTF-8")]);
    let mut random = Random::announced();
    let mut others = Random::new(random.seed());
    let cursor = Stream::open(server.address(), QUERY).next_of("ready").id;
    let mut client = Client { cursor, ..Client::default() };
    let (mut number, mut acknowledged) = (0, Vec::new());
    for _ in 0..LIVES {
        let address = server.address();
        std::thread::scope(|scope| {
            let changes = scope.spawn(|| change_until_gone(address, &mut others, &mut number));
            // In the midst of changes.
            let killed = server.killed_in_the_end();
            for _ in 0..RETURNS {
                let transport = TRANSPORTS[random.below(4) as usize];
                client.follow(address, transport, random.below(12) as usize);
            }
            drop(killed);
            acknowledged.extend(changes.join().expect("it ends"));
        });
        server.restart();
    }
    assert_eq!(client.resets, 0, "the journal knows all along what has changed");
    let address = server.address();
    client.resume(address, "ndjson");
    client.has(address);
    let truth = Lines::open(address, "topic=lab/**&after=earliest").until_ready();
    let truth = truth.iter().filter(|event| event["topic"] == "lab/a");
    let truth: Vec<Value> = truth.map(|event| event["data"].clone()).collect();
    assert_eq!(client.lab, truth, "nothing is missing, nothing comes twice");
    assert!(acknowledged.into_iter().all(|number| truth.contains(&json!(number))));
}
