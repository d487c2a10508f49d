//! State topics that are kept on the disk: what was acknowledged is there, whatever becomes of the
//! process and of the disk.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::disk::{SmallDisk, start_on};
use crate::harness::{
    Answer, Lines, Process, Random, Raw, Request, Server, Stream, StreamItem, WebSocket, closely,
    delete, get, post, request,
};
use crate::state::put;

const CONFIG: &str = "
    [[topic]]\nmatch = \"jobs/**\"\nkind = \"state\"\ndurability = \"disk\"
    [[topic]]\nmatch = \"tickers/**\"\nkind = \"state\"
";

/// A server with such topics, and the folder of its configuration.
pub(crate) fn start(more: &[&str]) -> (Server, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bellwire.toml");
    std::fs::write(&file, CONFIG).expect("written");
    let arguments = [&["--config", file.to_str().expect("UTF-8")], more].concat();
    (Server::start_with(&arguments), folder)
}

/// The values of a topic by their keys.
pub(crate) fn board(address: SocketAddr, topic: &str) -> BTreeMap<String, Value> {
    let answer = get(address, &format!("/v1/topics/{topic}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let events = answer.json();
    let events = events["events"].as_array().expect("events").iter();
    let key = |event: &Value| event["key"].as_str().expect("a key").to_owned();
    events.map(|event| (key(event), event["data"].clone())).collect()
}

fn values(board: &[(&str, i32)]) -> BTreeMap<String, Value> {
    board.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect()
}

#[test]
fn what_was_put_and_deleted_outlives_the_process() {
    let (mut server, _folder) = start(&[]);
    for _ in 0..2 {
        let address = server.address();
        let mut live = Stream::open(address, "topic=jobs/**&topic=tickers/**&topic=log");
        live.until_ready();
        put(address, "jobs/x", "a", "1");
        put(address, "jobs/x", "b", "2");
        put(address, "tickers/x", "a", "3");
        assert_eq!(delete(address, "/v1/topics/jobs/x?key=b").status, 204);
        assert_eq!(delete(address, "/v1/topics/jobs/x?key=b").status, 404);
        let lines = "{\"topic\":\"jobs/y\",\"key\":\"c\",\"data\":4}\n{\"topic\":\"log\",\"data\":5}\n\
                     {\"topic\":\"jobs/x\",\"key\":\"a\",\"data\":6}\n";
        let answer = post(address, "/v1/events", lines);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen: Vec<Value> = live.events(7).iter().map(StreamItem::json).collect();
        assert!(seen.iter().any(|event| event["deleted"] == true), "{seen:?}");
        // Between the two processes nobody but the journal knows of it.
        server.restart();
        let address = server.address();
        assert_eq!(board(address, "jobs/x"), values(&[("a", 6)]));
        assert_eq!(board(address, "jobs/y"), values(&[("c", 4)]));
        assert_eq!(get(address, "/v1/topics/tickers/x").json()["events"], json!([]));
        let mut stream = Stream::open(address, "topic=jobs/**");
        let first: Vec<Value> = stream.until_ready().iter().map(StreamItem::json).collect();
        let keys: Vec<&str> = first.iter().filter_map(|event| event["key"].as_str()).collect();
        assert_eq!(keys, ["c", "a"], "in the order of their changes");
        let mut topics = get(address, "/v1/topics?prefix=jobs/").json();
        for topic in topics["topics"].as_array_mut().expect("a list") {
            // How many there have been is of the process, with those that it has read.
            let changes = topic.as_object_mut().and_then(|topic| topic.remove("changes"));
            assert!(changes.is_some_and(|changes| changes.as_u64() > Some(0)), "{topic}");
        }
        let expected = json!([
            { "topic": "jobs/x", "kind": "state", "durability": "disk", "keys": 1, "subscribers": 1 },
            { "topic": "jobs/y", "kind": "state", "durability": "disk", "keys": 1, "subscribers": 1 },
        ]);
        assert_eq!(topics["topics"], expected);
        assert_eq!(delete(address, "/v1/topics/jobs/y?key=c").status, 204);
    }
}

#[test]
fn topics_that_are_no_longer_to_be_on_the_disk_are_not_shown_and_come_back() {
    let (mut server, folder) = start(&[]);
    put(server.address(), "jobs/x", "a", "1");
    let file = folder.path().join("bellwire.toml");
    std::fs::write(&file, "").expect("written");
    server.restart();
    post(server.address(), "/v1/topics/jobs/x", "1").cursor();
    let events = get(server.address(), "/v1/topics/jobs/x").json();
    assert_eq!(events["events"].as_array().map(Vec::len), Some(1), "{events}");
    std::fs::write(&file, CONFIG).expect("written");
    server.restart();
    assert_eq!(board(server.address(), "jobs/x"), values(&[("a", 1)]));
}

const PUBLISHERS: usize = 4;
const ROUNDS: u64 = 4;
const KEYS: u64 = 12;

/// What one publisher has asked for: of each key what was acknowledged last, and what was sent since.
#[derive(Debug, Default)]
struct Publisher {
    number: u64,
    acknowledged: BTreeMap<String, Option<u64>>,
    unanswered: Vec<(String, Option<u64>)>,
}

impl Publisher {
    /// Publishes until the server is gone.
    fn run(&mut self, name: usize, address: SocketAddr, mut random: Random, count: &AtomicU64) {
        let Ok(mut raw) = Raw::try_connect(address) else { return };
        while self.publish(name, &mut raw, &mut random).is_some() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// `None`: the server is gone.
    fn publish(&mut self, name: usize, raw: &mut Raw, random: &mut Random) -> Option<()> {
        let key = format!("{name}-{}", random.below(KEYS));
        if random.below(4) == 0 {
            self.unanswered = vec![(key.clone(), None)];
            let path = format!("/v1/topics/jobs/kill?key={key}");
            let head = format!("DELETE {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            raw.try_send(head).ok()?;
            let answer = raw.try_answer().ok()?;
            assert!([204, 404].contains(&answer.status), "{}", answer.text());
        } else {
            // A batch of a few, with an event of a stream among them.
            let mut lines = format!("{{\"topic\":\"log\",\"data\":{}}}\n", self.number);
            self.unanswered.clear();
            for _ in 0..=random.below(4) {
                self.number += 1;
                let key = format!("{name}-{}", random.below(KEYS));
                let data = self.number;
                let _ = writeln!(
                    lines,
                    "{{\"topic\":\"jobs/kill\",\"key\":\"{key}\",\"data\":{data}}}"
                );
                self.unanswered.push((key, Some(data)));
            }
            let answer =
                raw.try_post("/v1/events", "Content-Type: application/x-ndjson\r\n", lines).ok()?;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        for (key, value) in self.unanswered.drain(..) {
            self.acknowledged.insert(key, value);
        }
        Some(())
    }

    /// What was sent last is there whole or not at all; what was acknowledged is there.
    fn check(&mut self, name: usize, board: &BTreeMap<String, Value>) {
        let prefix = format!("{name}-");
        let own = board.iter().filter(|(key, _)| key.starts_with(&prefix));
        let found: BTreeMap<String, u64> =
            own.map(|(key, value)| (key.clone(), value.as_u64().expect("a number"))).collect();
        let expected = |acknowledged: &BTreeMap<String, Option<u64>>| {
            let there = acknowledged.iter();
            let there = there.filter_map(|(key, value)| Some((key.clone(), (*value)?)));
            there.collect::<BTreeMap<String, u64>>()
        };
        let mut carried_out = self.acknowledged.clone();
        carried_out.extend(self.unanswered.drain(..));
        if found == expected(&carried_out) {
            self.acknowledged = carried_out;
        } else {
            assert_eq!(found, expected(&self.acknowledged), "of publisher {name}");
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_where_the_process_is_killed() {
    for durability in ["sync", "interval"] {
        let mut random = Random::announced();
        let (mut server, _folder) = start(&["--durability", durability]);
        let mut publishers: Vec<Publisher> =
            (0..PUBLISHERS).map(|_| Publisher::default()).collect();
        for _ in 0..ROUNDS {
            let address = server.address();
            let (count, until) = (AtomicU64::new(0), 50 + random.below(400));
            std::thread::scope(|scope| {
                for (name, publisher) in publishers.iter_mut().enumerate() {
                    let (random, count) = (Random::new(random.seed()), &count);
                    scope.spawn(move || publisher.run(name, address, random, count));
                }
                let killed = server.killed_in_the_end();
                closely("much is taken", || count.load(Ordering::Relaxed) >= until);
                drop(killed);
            });
            server.restart();
            let board = board(server.address(), "jobs/kill");
            for (name, publisher) in publishers.iter_mut().enumerate() {
                publisher.check(name, &board);
            }
        }
    }
}

#[test]
fn a_full_disk_in_the_middle_of_a_batch_changes_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        println!(
            "SKIPPED: a_full_disk_in_the_middle_of_a_batch_changes_nothing may not mount a disk"
        );
        return;
    };
    let file = disk.path().join("bellwire.toml");
    std::fs::write(&file, CONFIG).expect("written");
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 1024 * 1024]).expect("room for the ballast");
    let config = ["--config", file.to_str().expect("UTF-8")];
    let (_process, address): (Process, SocketAddr) = start_on(&disk, &config);
    put(address, "jobs/x", "a", "1");
    put(address, "jobs/x", "b", "1");
    let large = "x".repeat(50_000);
    let mut expected = board(address, "jobs/x");
    let mut fitted = 0;
    let refused = (0..1_000).find_map(|round| {
        // One key changes, one goes and comes back, one is new.
        let mut lines = format!("{{\"topic\":\"jobs/x\",\"key\":\"a\",\"data\":{round}}}\n");
        for part in 0..4 {
            let key = format!("{round}-{part}");
            let _ =
                writeln!(lines, "{{\"topic\":\"jobs/x\",\"key\":\"{key}\",\"data\":\"{large}\"}}");
        }
        let answer = post(address, "/v1/events", lines);
        if answer.status != 200 {
            return Some(answer);
        }
        fitted += 1;
        expected.insert("a".into(), json!(round));
        expected.extend((0..4).map(|part| (format!("{round}-{part}"), json!(large))));
        None
    });
    let refused = refused.expect("the disk never runs full");
    assert_eq!((refused.status, &refused.json()["code"]), (507, &json!("journal_full")));
    assert!(fitted > 3, "{fitted} batches fit");
    assert_eq!(board(address, "jobs/x"), expected, "nothing of it is visible");
    // Once there is room it goes on as if nothing had been.
    std::fs::remove_file(&ballast).expect("the ballast goes");
    let taken = (0..3_000).any(|_| {
        let is_taken = write(address, "b", "2", &[]).status == 201;
        if !is_taken {
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        is_taken
    });
    assert!(taken, "the server takes changes again");
    expected.insert("b".into(), json!(2));
    assert_eq!(board(address, "jobs/x"), expected);
}

/// What comes over a transport behind a cursor, up to `ready`, and the cursor that it leads to.
fn come_back(
    address: SocketAddr,
    transport: &str,
    query: &str,
    after: &str,
) -> (Vec<Value>, String) {
    let query = format!("{query}&state=changes&after={after}");
    let (mut came, cursor) = match transport {
        "sse" => {
            let mut stream = Stream::open(address, &query);
            until_ready(|| stream.next().expect("the stream goes on").json())
        }
        "ndjson" => {
            let mut lines = Lines::open(address, &query);
            until_ready(|| lines.next().expect("the stream goes on"))
        }
        "websocket" => {
            let mut socket = WebSocket::open(address, &query);
            until_ready(|| socket.next())
        }
        _ => {
            let headers = [("Accept", "application/json")];
            let path = format!("/v1/events?{query}");
            let poll = Request { method: "GET", path: &path, headers: &headers, body: b"" };
            let answer = request(address, poll);
            assert_eq!(answer.status, 200, "{}", answer.text());
            let answer = answer.json();
            let reset = answer["reset"].is_object().then(|| answer["reset"].clone());
            let events = answer["events"].as_array().expect("events").iter().cloned();
            let cursor = answer["cursor"].as_str().expect("a cursor").to_owned();
            (reset.into_iter().chain(events).collect(), cursor)
        }
    };
    came.retain(|it| it["control"] != "ready" && it["control"] != "heartbeat");
    (came, cursor)
}

fn until_ready(mut next: impl FnMut() -> Value) -> (Vec<Value>, String) {
    let mut came = Vec::new();
    loop {
        let said = next();
        let cursor = said["cursor"].as_str().map(str::to_owned);
        let is_ready = said["control"] == "ready";
        came.push(said);
        if is_ready {
            return (came, cursor.expect("a cursor"));
        }
    }
}

/// `key=data`, `-key` of one that is gone, `reset`.
fn told(came: &[Value]) -> Vec<String> {
    let told = |event: &Value| match (&event["control"], event["key"].as_str()) {
        (Value::String(control), _) => control.clone(),
        (_, Some(key)) if event["deleted"] == true => format!("-{key}"),
        (_, key) => format!("{}={}", key.unwrap_or("?"), event["data"]),
    };
    let mut told: Vec<String> = came.iter().map(told).collect();
    told.sort();
    told
}

#[test]
fn after_a_restart_only_what_has_changed_comes_on_every_transport() {
    let (mut server, _folder) = start(&[]);
    for transport in ["sse", "ndjson", "websocket", "poll"] {
        let address = server.address();
        let lines: String = (0..100).fold(String::new(), |mut lines, key| {
            let _ = writeln!(lines, "{{\"topic\":\"jobs/x\",\"key\":\"{key}\",\"data\":0}}");
            lines
        });
        assert_eq!(post(address, "/v1/events", lines).status, 200);
        let (came, cursor) = come_back(address, transport, "topic=jobs/**&topic=log", "latest");
        assert_eq!(came.len(), 100, "{transport}: {cursor}");
        // Within the process, across it, and both.
        put(address, "jobs/x", "7", "1");
        assert_eq!(delete(address, "/v1/topics/jobs/x?key=8").status, 204);
        server.kill();
        server.restart();
        let address = server.address();
        let query = "topic=jobs/**&topic=log";
        let (came, after) = come_back(address, transport, query, &cursor);
        assert_eq!(told(&came), ["-8", "7=1"], "{transport}: {cursor}");
        let (came, _) = come_back(address, transport, query, &after);
        assert_eq!(told(&came), Vec::<String>::new(), "{transport}: {after}");
        put(address, "jobs/x", "9", "2");
        post(address, "/v1/topics/log", "3").cursor();
        assert_eq!(delete(address, "/v1/topics/jobs/x?key=10").status, 204);
        // An old cursor is as good, of whichever process: what comes twice does no harm.
        for (cursor, expected) in
            [(&after, vec!["-10", "9=2", "?=3"]), (&cursor, vec!["-10", "-8", "7=1", "9=2", "?=3"])]
        {
            let (came, _) = come_back(address, transport, query, cursor);
            assert_eq!(told(&came), expected, "{transport}: {cursor}");
        }
        // Who follows what is in memory besides begins anew.
        let both = "topic=jobs/**&topic=tickers/**";
        let (came, _) = come_back(address, transport, both, &cursor);
        assert_eq!(came[0]["control"], "reset", "{transport}: {}", came[0]);
        assert_eq!(came.len(), 1 + 98, "{transport}");
        for key in 0..100 {
            delete(address, &format!("/v1/topics/jobs/x?key={key}"));
        }
    }
}

#[test]
fn what_the_journal_has_forgotten_is_told_by_a_reset() {
    let (mut server, _folder) = start(&["--durability", "interval"]);
    let address = server.address();
    put(address, "jobs/x", "a", "1");
    let (_, cursor) = come_back(address, "sse", "topic=jobs/x", "latest");
    // More than are remembered of a topic that has one key.
    let lines = |data: &str| {
        (0..1_100).fold(String::new(), |mut lines, key| {
            let _ = writeln!(lines, "{{\"topic\":\"jobs/x\",\"key\":\"{key}\",\"data\":{data}}}");
            lines
        })
    };
    for _ in 0..3 {
        assert_eq!(post(address, "/v1/events", lines("1")).status, 200);
        let mut raw = Raw::connect(address);
        for key in 0..1_100 {
            raw.try_send(format!("DELETE /v1/topics/jobs/x?key={key} HTTP/1.1\r\nHost: x\r\n\r\n"))
                .expect("sent");
            assert_eq!(raw.try_answer().expect("an answer").status, 204);
        }
    }
    let (came, now) = come_back(address, "sse", "topic=jobs/x", &cursor);
    assert_eq!(told(&came), ["a=1", "reset"]);
    server.kill();
    server.restart();
    let (came, _) = come_back(server.address(), "sse", "topic=jobs/x", &now);
    assert_eq!(told(&came), Vec::<String>::new());
}

/// Writes a key, under conditions.
fn write(address: SocketAddr, key: &str, value: &str, conditions: &[(&str, &str)]) -> Answer {
    let own = [("Bellwire-Key", key), ("Content-Type", "application/json")];
    let headers: Vec<_> = own.into_iter().chain(conditions.iter().copied()).collect();
    let (method, path, body) = ("POST", "/v1/topics/jobs/x", value.as_bytes());
    request(address, Request { method, path, headers: &headers, body })
}

#[test]
fn conditions_hold_for_what_was_written_by_an_earlier_process() {
    let (mut server, _folder) = start(&[]);
    let absent = [("Bellwire-If-Absent", "true")];
    let made = write(server.address(), "a", "1", &absent);
    assert_eq!(made.status, 201, "{}", made.text());
    let first = made.json()["version"].as_str().expect("a version").to_owned();
    server.kill();
    server.restart();
    let address = server.address();
    let seen = get(address, "/v1/topics/jobs/x").json();
    assert_eq!(seen["events"][0]["version"], *first, "{seen}");
    let refused = write(address, "a", "2", &absent);
    assert_eq!((refused.status, &refused.json()["version"]), (412, &json!(first)));
    let second = write(address, "a", "2", &[("Bellwire-If-Version", &first)]).json();
    let second = second["version"].as_str().expect("a version").to_owned();
    let refused = write(address, "a", "3", &[("Bellwire-If-Version", &first)]);
    assert_eq!((refused.status, &refused.json()["version"]), (412, &json!(second)));
    // A request is whole or not at all, with the events of streams in it.
    let lines = |version: &str| {
        format!(
            "{{\"topic\":\"log\",\"data\":1}}\n\
             {{\"topic\":\"jobs/x\",\"key\":\"a\",\"data\":4,\"if_version\":\"{version}\"}}\n"
        )
    };
    let refused = post(address, "/v1/events", lines(&first));
    assert_eq!(refused.status, 412, "{}", refused.text());
    assert_eq!(refused.json()["errors"][0]["index"], 1, "{}", refused.text());
    assert_eq!(get(address, "/v1/topics/log").json()["events"], json!([]));
    assert_eq!(post(address, "/v1/events", lines(&second)).status, 200);
    assert_eq!(board(address, "jobs/x"), values(&[("a", 4)]));
    let gone = delete(address, &format!("/v1/topics/jobs/x?key=a&if_version={second}"));
    assert_eq!(gone.status, 412, "{}", gone.text());
    // Of many who write where nothing is, one does.
    let made: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|number: i32| {
                scope.spawn(move || write(address, "one", &number.to_string(), &absent).status)
            })
            .collect();
        let statuses = writers.into_iter().map(|writer| writer.join().expect("an answer"));
        statuses.filter(|status| *status == 201).count()
    });
    assert_eq!(made, 1);
}
