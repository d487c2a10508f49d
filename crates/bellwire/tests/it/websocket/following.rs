//! Subscriptions that come and go on one WebSocket: one order, one cursor, nothing lost.

use std::net::SocketAddr;

use bellwire_model::limits::{FILTERS_PER_CONNECTION_MAX, SUBSCRIPTIONS_ADDED_MAX};
use serde_json::{Value, json};

use crate::harness::{Server, Spoken, WebSocket, post};

fn publish(address: SocketAddr, topic: &str, n: u64) -> String {
    post(address, &format!("/v1/topics/{topic}"), n.to_string()).cursor()
}

fn data(items: &[Value]) -> Vec<u64> {
    items.iter().filter_map(|item| item["data"].as_u64()).collect()
}

#[test]
fn a_subscription_begins_where_it_is_asked_to() {
    let server = Server::start();
    let address = server.address();
    let cursors: Vec<String> = (0..5).map(|n| publish(address, "lab/a", n)).collect();
    for spoken in Spoken::BOTH {
        let mut socket = WebSocket::open_as(address, "", spoken);
        // It follows nothing, and has all of it.
        assert_eq!(socket.until_ready(&Value::Null)[0]["control"], "ready");
        let starts: [(&str, &[u64]); 3] =
            [("earliest", &[0, 1, 2, 3, 4]), (&cursors[2], &[3, 4]), ("latest", &[])];
        for (id, (after, expected)) in starts.into_iter().enumerate() {
            let items = socket.subscribe(id as u64, &["lab/a"], after);
            assert_eq!(data(&items), expected, "{after}");
            let ready = items.last().expect("ready");
            assert!(ready["cursor"].is_string(), "{ready}");
            assert!(ready["heartbeat_interval_ms"].is_u64(), "{ready}");
            socket.unsubscribe(&["lab/a"]);
        }
        // Neither comes what is followed no more.
        socket.subscribe(9, &["lab/b"], "latest");
        publish(address, "elsewhere", 99);
        let cursor = publish(address, "lab/b", 1);
        let event = socket.next();
        assert_eq!((&event["topic"], &event["cursor"]), (&json!("lab/b"), &json!(cursor)));
    }
}

#[test]
fn covered_filters_count_again_when_what_covers_them_goes() {
    type Open = fn(SocketAddr) -> WebSocket;
    let server = Server::start();
    let address = server.address();
    let opens: [(&str, Open); 4] = [
        ("by the URL", |address| {
            let mut socket = WebSocket::open(address, "topic=lab/a&topic=lab/**&topic=lab/b");
            socket.until_ready(&Value::Null);
            socket
        }),
        ("by one request", |address| {
            let mut socket = WebSocket::open(address, "");
            socket.subscribe(1, &["lab/a", "lab/**", "lab/b"], "latest");
            socket
        }),
        ("one by one, narrow first", |address| {
            let mut socket = WebSocket::open(address, "topic=lab/a");
            socket.subscribe(1, &["lab/b"], "latest");
            socket.subscribe(2, &["lab/**"], "latest");
            socket
        }),
        ("one by one, wide first", |address| {
            let mut socket = WebSocket::open(address, "topic=lab/**");
            socket.subscribe(1, &["lab/b"], "latest");
            socket.subscribe(2, &["lab/a"], "latest");
            socket
        }),
    ];
    let follows = |socket: &mut WebSocket, topics: &[&str]| {
        for topic in ["lab/a", "lab/b", "lab/c"] {
            let cursor = publish(address, topic, 1);
            if topics.contains(&topic) {
                assert_eq!(socket.next()["cursor"], json!(cursor), "{topic}");
            }
        }
    };
    for (name, open) in opens {
        println!("{name}");
        let mut socket = open(address);
        follows(&mut socket, &["lab/a", "lab/b", "lab/c"]);
        socket.unsubscribe(&["lab/**"]);
        follows(&mut socket, &["lab/a", "lab/b"]);
        socket.unsubscribe(&["lab/a"]);
        follows(&mut socket, &["lab/b"]);
        let ask = json!({"request": "unsubscribe", "id": 1, "topics": ["lab/b", "lab/a"]});
        assert_eq!(socket.call(&ask)["error"]["code"], "parameter_invalid");
        follows(&mut socket, &["lab/b"]);
        socket.unsubscribe(&["lab/b"]);
        follows(&mut socket, &[]);
        socket.subscribe(3, &["lab/*"], "latest");
        follows(&mut socket, &["lab/a", "lab/b", "lab/c"]);
    }
}

#[test]
fn many_subscriptions_may_be_on_their_way() {
    let server = Server::start();
    let address = server.address();
    for n in 0..200 {
        publish(address, &format!("lab/{}", n % 20), n);
    }
    let mut socket = WebSocket::open(address, "");
    socket.until_ready(&Value::Null);
    let asked = SUBSCRIPTIONS_ADDED_MAX as u64 + 4;
    for id in 0..asked {
        let topics = [format!("lab/{id}")];
        socket.ask(&json!({
            "request": "subscribe", "id": id, "topics": topics, "after": "earliest",
        }));
    }
    let mut taken = Vec::new();
    for id in 0..asked {
        match socket.reply(&json!(id)) {
            reply if reply.get("error").is_none() => taken.push(id),
            reply => assert_eq!(reply["error"]["code"], "connections_exhausted"),
        }
    }
    assert!(taken.len() >= SUBSCRIPTIONS_ADDED_MAX, "{taken:?}");
    let (mut readies, mut seen) = (Vec::new(), Vec::new());
    while readies.len() < taken.len() {
        let item = socket.next();
        if item["control"] == "ready" {
            readies.push(item["id"].as_u64().expect("an id"));
        } else {
            seen.push(item["data"].as_u64().expect("an event"));
        }
    }
    readies.sort_unstable();
    assert_eq!(readies, taken);
    seen.sort_unstable();
    let expected: Vec<u64> = (0..200).filter(|n| taken.contains(&(n % 20))).collect();
    assert_eq!(seen, expected, "each event once: none of them overlap");
}

#[test]
fn a_connection_follows_many_filters_and_no_more() {
    let server = Server::start();
    let address = server.address();
    let mut socket = WebSocket::open(address, "");
    socket.until_ready(&Value::Null);
    let topics: Vec<String> = (0..FILTERS_PER_CONNECTION_MAX).map(|n| format!("lab/{n}")).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    socket.subscribe(1, &topics[..40], "latest");
    // Those that are followed already do not count twice.
    socket.subscribe(2, &topics[..40], "latest");
    socket.subscribe(3, &topics, "latest");
    let ask = json!({"request": "subscribe", "id": 4, "topics": ["another"]});
    assert_eq!(socket.call(&ask)["error"]["code"], "topic_invalid");
    socket.unsubscribe(&topics[1..]);
    socket.subscribe(5, &["another"], "latest");
    let cursor = publish(address, "another", 1);
    assert_eq!(socket.next()["cursor"], json!(cursor));
}
