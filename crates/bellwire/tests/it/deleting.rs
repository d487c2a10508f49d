//! Keys of state topics that are deleted by what they begin with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::Range;

use serde_json::{Value, json};

use crate::harness::{Lines, Random, Raw, Spoken, Stream, StreamItem, WebSocket, delete, post};
use crate::state::put;
use crate::state_on_disk::{board, start};

/// One topic in memory and one on the disk.
const TOPICS: [&str; 2] = ["tickers/x", "jobs/x"];
/// So many keys go at a time.
const PAGE: usize = 1_024;

/// Puts keys in the order of their numbers, many in a request.
fn put_all(address: SocketAddr, topic: &str, prefix: &str, numbers: Range<usize>) {
    let numbers: Vec<usize> = numbers.collect();
    for some in numbers.chunks(10_000) {
        let lines = some.iter().fold(String::new(), |mut lines, number| {
            let _ = writeln!(
                lines,
                "{{\"topic\":\"{topic}\",\"key\":\"{prefix}{number}\",\"data\":{number}}}"
            );
            lines
        });
        let answer = post(address, "/v1/events", lines);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

fn delete_all(address: SocketAddr, topic: &str, prefix: &str) -> Value {
    let answer = delete(address, &format!("/v1/topics/{topic}?prefix={prefix}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The keys of deletions, in the order in which they came.
fn gone(events: impl IntoIterator<Item = Value>) -> Vec<String> {
    let key = |event: Value| {
        assert_eq!((&event["deleted"], event.get("reason")), (&json!(true), None), "{event}");
        event["key"].as_str().expect("a key").to_owned()
    };
    events.into_iter().map(key).collect()
}

#[test]
fn keys_that_begin_alike_go_in_their_order_and_everybody_is_told_of_each() {
    let (server, _folder) = start(&[]);
    let address = server.address();
    let count = 2 * PAGE + 5;
    for topic in TOPICS {
        put(address, topic, "b", "0");
        put_all(address, topic, "a", 0..count);
        put(address, topic, "ä", "0");
        // Its change is the newest: it goes last.
        put(address, topic, "a0", "1");
        let mut names: Vec<String> = (1..count).map(|number| format!("a{number}")).collect();
        names.push("a0".to_owned());
        let query = format!("topic={topic}&state=changes");
        let mut sse = Stream::open(address, &query);
        let ready = sse.until_ready();
        assert_eq!(ready.len(), count + 2);
        let mut lines = Lines::open(address, &query);
        lines.until_ready();
        let mut sockets = Spoken::BOTH.map(|spoken| WebSocket::open_as(address, &query, spoken));
        for socket in &mut sockets {
            socket.until_ready(&Value::Null);
        }
        assert_eq!(delete_all(address, topic, "a"), json!({ "deleted": count }), "{topic}");
        assert_eq!(gone(sse.events(count).iter().map(StreamItem::json)), names, "{topic}");
        assert_eq!(gone(lines.events(count)), names, "{topic}");
        for socket in &mut sockets {
            assert_eq!(gone(socket.events(count)), names, "{topic}");
        }
        assert_eq!(board(address, topic).keys().collect::<Vec<_>>(), ["b", "ä"], "{topic}");
        assert_eq!(delete_all(address, topic, "a"), json!({ "deleted": 0 }), "{topic}");
        assert_eq!(delete_all(address, topic, "%C3%A4"), json!({ "deleted": 1 }), "{topic}");
        assert_eq!(delete_all(address, topic, ""), json!({ "deleted": 1 }), "{topic}");
        assert_eq!(board(address, topic), BTreeMap::new(), "{topic}");
    }
}

#[test]
fn over_a_websocket_what_is_written_behind_it_stays() {
    let (server, _folder) = start(&[]);
    let address = server.address();
    for (spoken, topic) in
        Spoken::BOTH.into_iter().zip(TOPICS).chain([(Spoken::BOTH[0], TOPICS[1])])
    {
        put_all(address, topic, "a", 0..3 * PAGE);
        let mut socket = WebSocket::open_as(address, "topic=other", spoken);
        socket.until_ready(&Value::Null);
        socket.ask(&json!({ "request": "delete", "id": 1, "topic": topic, "prefix": "a" }));
        // The last to go, and one that is new.
        let last = format!("a{}", 3 * PAGE - 1);
        for (id, key) in [(2, last.as_str()), (3, "anew")] {
            let publish =
                json!({ "request": "publish", "id": id, "topic": topic, "key": key, "data": "x" });
            socket.ask(&publish);
        }
        let deleted = socket.reply(&json!(1));
        let expected = [(last, json!("x")), ("anew".to_owned(), json!("x"))];
        assert_eq!(board(address, topic), expected.into(), "{topic}");
        // The last one had gone before it was written, or was never deleted.
        let deleted = deleted["deleted"].as_u64().expect("a number") as usize;
        assert!((3 * PAGE - 1..=3 * PAGE).contains(&deleted), "{topic}: {deleted}");
        let all = json!({ "request": "delete", "id": 4, "topic": topic, "prefix": "" });
        assert_eq!(socket.call(&all), json!({ "reply": 4, "deleted": 2 }), "{topic}");
    }
}

#[test]
fn what_cannot_be_deleted_so_says_why() {
    let (server, _folder) = start(&[]);
    let address = server.address();
    let long = format!("jobs/x?prefix={}", "k".repeat(256));
    for (path, status, code) in [
        ("log?prefix=a", 409, "kind_mismatch"),
        ("alerts/active?prefix=a", 403, "topic_reserved"),
        ("jobs/x?prefix=a&key=a", 400, "parameter_invalid"),
        ("jobs/x?prefix=a&prefix=b", 400, "parameter_invalid"),
        ("jobs/x?prefix=a&if_version=s9-77", 400, "parameter_invalid"),
        ("jobs/x?prefix=%07", 400, "key_invalid"),
        (long.as_str(), 400, "key_invalid"),
        ("jobs/x", 400, "key_missing"),
    ] {
        let answer = delete(address, &format!("/v1/topics/{path}"));
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(code)), "{path}");
    }
    assert_eq!(delete_all(address, "jobs/nothing/is/here", "a"), json!({ "deleted": 0 }));
}

const ROUNDS: usize = 4;
const KEYS: usize = 20_000;

#[test]
fn a_kill_in_the_middle_leaves_the_first_of_them_gone_and_a_retry_finishes() {
    let mut random = Random::announced();
    let (mut server, _folder) = start(&[]);
    for _ in 0..ROUNDS {
        put(server.address(), "jobs/x", "b", "0");
        put_all(server.address(), "jobs/x", "a", 0..KEYS);
        let until = random.below((KEYS - PAGE) as u64) as usize;
        let mut lines = Lines::open(server.address(), "topic=jobs/x");
        lines.until_ready();
        let mut raw = Raw::connect(server.address());
        raw.send("DELETE /v1/topics/jobs/x?prefix=a HTTP/1.1\r\nHost: x\r\n\r\n");
        // What is seen is durable.
        let seen = gone(lines.events(until));
        server.kill();
        server.restart();
        let address = server.address();
        let left = board(address, "jobs/x");
        let mut numbers: Vec<usize> =
            left.keys().filter_map(|key| key.strip_prefix('a')?.parse().ok()).collect();
        numbers.sort_unstable();
        let first = KEYS - numbers.len();
        assert_eq!(numbers, (first..KEYS).collect::<Vec<_>>(), "the first are gone");
        assert!(first >= seen.len(), "{first} of {} that were seen", seen.len());
        assert!(left.contains_key("b"));
        assert_eq!(delete_all(address, "jobs/x", "a"), json!({ "deleted": KEYS - first }));
        assert_eq!(board(address, "jobs/x").len(), 1);
    }
}

#[test]
fn what_is_written_meanwhile_stays() {
    const MANY: usize = 100_000;
    let (server, _folder) = start(&[]);
    let address = server.address();
    for topic in TOPICS {
        put_all(address, topic, "a", 0..MANY);
        let mut raw = Raw::connect(address);
        raw.send(format!("DELETE /v1/topics/{topic}?prefix=a HTTP/1.1\r\nHost: x\r\n\r\n"));
        // Old keys and new ones, and streams beside them.
        let mut written = BTreeMap::new();
        for number in 0..40 {
            let key = format!("a{}", number * (MANY / 20));
            post(address, "/v1/topics/log", number.to_string()).cursor();
            put(address, topic, &key, "\"new\"");
            written.insert(key, json!("new"));
        }
        let deleted = raw.answer().json()["deleted"].as_u64().expect("a number") as usize;
        assert!((MANY - 20..=MANY).contains(&deleted), "{topic}: {deleted}");
        assert_eq!(board(address, topic), written, "{topic}");
    }
}
