//! The process is killed at random moments while eight publishers write and a subscriber follows.
//!
//! What was acknowledged is there, in order and once; what the subscriber saw is there, too
//! (durable before visible); and no offset is given out twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use bellwire_model::{Cursor, Offset};
use bellwire_wire::sse::Parser;
use serde_json::Value;

use crate::harness::{Random, Raw, Server, Stream, StreamItem, closely};

const PUBLISHERS: usize = 8;
const ROUNDS: u64 = 4;
const BATCH_EVENTS_MAX: u64 = 24;
/// A round ends at a random number of acknowledged events up to this.
const ACKNOWLEDGED_MAX: u64 = 1_200;

/// One publisher's numbers, across all rounds.
#[derive(Debug, Default)]
struct Publisher {
    next: u64,
    /// In the order of the answers.
    acknowledged: Vec<Acknowledged>,
    /// Published with an idempotency key and not acknowledged when the server was killed.
    unanswered: Option<u64>,
}

#[derive(Debug)]
struct Acknowledged {
    number: u64,
    offset: Offset,
    /// The answer said that it had been there before.
    is_duplicate: bool,
}

impl Acknowledged {
    fn new(number: u64, answer: &Value) -> Self {
        let offset = offset(answer["cursor"].as_str().expect("a cursor"));
        Self { number, offset, is_duplicate: answer["duplicate"] == true }
    }
}

impl Publisher {
    /// Publishes until the server is gone.
    fn run(&mut self, name: usize, address: SocketAddr, mut random: Random, count: &AtomicU64) {
        let Ok(mut raw) = Raw::try_connect(address) else { return };
        while let Some(events) = self.publish(name, &mut raw, &mut random) {
            count.fetch_add(events, Ordering::Relaxed);
        }
    }

    /// `None`: the server is gone.
    fn publish(&mut self, name: usize, raw: &mut Raw, random: &mut Random) -> Option<u64> {
        match random.below(3) {
            0 => self.publish_batch(name, raw, 2 + random.below(BATCH_EVENTS_MAX - 1)),
            1 => self.publish_once(name, raw),
            _ => {
                let number = self.number();
                let path = format!("/v1/topics/crash/{name}");
                let answer = raw.try_post(&path, JSON, body(name, number)).ok()?;
                self.acknowledged.push(Acknowledged::new(number, &answer.json()));
                Some(1)
            }
        }
    }

    /// With an idempotency key: what an earlier round left open is sent again.
    fn publish_once(&mut self, name: usize, raw: &mut Raw) -> Option<u64> {
        let number = self.unanswered.take().unwrap_or_else(|| self.number());
        self.unanswered = Some(number);
        let headers = format!("{JSON}Idempotency-Key: {name}-{number}\r\n");
        let path = format!("/v1/topics/crash/{name}");
        let answer = raw.try_post(&path, &headers, body(name, number)).ok()?;
        self.acknowledged.push(Acknowledged::new(number, &answer.json()));
        self.unanswered = None;
        Some(1)
    }

    fn publish_batch(&mut self, name: usize, raw: &mut Raw, events: u64) -> Option<u64> {
        let numbers: Vec<u64> = (0..events).map(|_| self.number()).collect();
        let line = |number: &u64| {
            format!("{{\"topic\":\"crash/{name}\",\"data\":{}}}\n", body(name, *number))
        };
        let lines: String = numbers.iter().map(line).collect();
        let answer = raw.try_post("/v1/events", NDJSON, lines).ok()?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let results = answer.json();
        for (number, result) in numbers.iter().zip(results["results"].as_array()?) {
            self.acknowledged.push(Acknowledged::new(*number, result));
        }
        Some(events)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

const JSON: &str = "Content-Type: application/json\r\n";
const NDJSON: &str = "Content-Type: application/x-ndjson\r\n";

fn body(name: usize, number: u64) -> String {
    format!("{{\"publisher\":{name},\"n\":{number}}}")
}

/// What stands in the journal: data by offset, in order.
type Journal = BTreeMap<Offset, Value>;

fn offset(cursor: &str) -> Offset {
    cursor.parse::<Cursor>().expect("a cursor").offset
}

#[test]
fn nothing_acknowledged_or_seen_is_lost_with_durability_sync() {
    survives_kills("sync");
}

#[test]
fn nothing_acknowledged_or_seen_is_lost_with_durability_interval() {
    survives_kills("interval");
}

fn survives_kills(durability: &str) {
    let mut random = Random::announced();
    let mut server = Server::start_with(&["--durability", durability]);
    let mut publishers: Vec<Publisher> = (0..PUBLISHERS).map(|_| Publisher::default()).collect();
    let mut journal = Journal::new();
    for round in 0..ROUNDS {
        let seen = run_until_killed(&mut server, &mut publishers, &mut random);
        server.restart();
        let after = read_journal(&server);
        check_round(&journal, &after, &seen);
        check_acknowledged(&after, &publishers);
        println!("round {round}: {} events, {} of them seen live", after.len(), seen.len());
        journal = after;
    }
}

/// One life of the server; returns what its subscriber saw.
fn run_until_killed(
    server: &mut Server,
    publishers: &mut [Publisher],
    random: &mut Random,
) -> Vec<StreamItem> {
    let address = server.address();
    let mut subscriber = Raw::connect(address);
    subscriber.send("GET /v1/events?topic=crash/* HTTP/1.1\r\nHost: x\r\n\r\n");
    subscriber.until("event: ready");
    let subscriber = std::thread::spawn(move || subscriber.rest());

    let acknowledged = AtomicU64::new(0);
    let enough = 1 + random.below(ACKNOWLEDGED_MAX);
    std::thread::scope(|scope| {
        let acknowledged = &acknowledged;
        for (name, publisher) in publishers.iter_mut().enumerate() {
            let random = Random::new(random.seed());
            scope.spawn(move || publisher.run(name, address, random, acknowledged));
        }
        let killed = server.killed_in_the_end();
        closely("enough is acknowledged", || acknowledged.load(Ordering::Relaxed) >= enough);
        drop(killed);
    });
    events_of(&subscriber.join().expect("the subscriber reads to the end"))
}

/// The whole events of a chunked body that was cut off anywhere.
fn events_of(bytes: &[u8]) -> Vec<StreamItem> {
    let mut parser = Parser::default();
    let mut items = Vec::new();
    // The bytes begin within the frame of `ready`, which ends with its chunk.
    let mut rest = after_line_break(bytes, 4).expect("the end of `ready`");
    while let Some(behind) = after_line_break(rest, 2) {
        let size = std::str::from_utf8(&rest[..rest.len() - behind.len() - 2]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size in hex");
        let Some(chunk) = behind.get(..size) else { break };
        parser.push(chunk, &mut items).expect("events of a sane size");
        let Some(next) = behind.get(size + 2..) else { break };
        rest = next;
    }
    items.into_iter().filter_map(crate::harness::of_item).collect()
}

fn after_line_break(bytes: &[u8], length: usize) -> Option<&[u8]> {
    let mark = if length == 4 { &b"\n\n\r\n"[..] } else { b"\r\n" };
    let start = bytes.windows(length).position(|window| window == mark)?;
    Some(&bytes[start + length..])
}

fn read_journal(server: &Server) -> Journal {
    let mut stream = Stream::open(server.address(), "topic=crash/*&after=earliest");
    let mut journal = Journal::new();
    let mut last = None;
    for item in stream.until_ready() {
        assert_ne!(item.event_type, "gap", "{}", item.data);
        let offset = offset(&item.id);
        assert!(last < Some(offset), "{offset} after {last:?}");
        last = Some(offset);
        journal.insert(offset, item.payload());
    }
    journal
}

/// What was in the journal stays, and what was seen or acknowledged since lies behind it.
fn check_round(before: &Journal, after: &Journal, seen: &[StreamItem]) {
    for (offset, data) in before {
        assert_eq!(after.get(offset), Some(data), "{offset} was there before the crash");
    }
    let mut last = before.keys().last().copied();
    for item in seen {
        let offset = offset(&item.id);
        assert!(last < Some(offset), "{offset} came live after {last:?}");
        last = Some(offset);
        assert_eq!(after.get(&offset), Some(&item.payload()), "{offset} was visible");
    }
}

fn check_acknowledged(journal: &Journal, publishers: &[Publisher]) {
    for (name, publisher) in publishers.iter().enumerate() {
        let mut last = None;
        for Acknowledged { number, offset, is_duplicate } in &publisher.acknowledged {
            let expected = serde_json::json!({ "publisher": name, "n": number });
            assert_eq!(journal.get(offset), Some(&expected), "{offset} was acknowledged");
            if !is_duplicate {
                assert!(last < Some(*offset), "{offset} acknowledged after {last:?}");
                last = Some(*offset);
            }
        }
        let is_own = |data: &&Value| data["publisher"] == name;
        let numbers = journal.values().filter(is_own).map(|data| data["n"].as_u64().expect("n"));
        let numbers: Vec<u64> = numbers.collect();
        let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
        assert_eq!(numbers.len(), distinct.len(), "publisher {name}: nothing twice");
    }
}
