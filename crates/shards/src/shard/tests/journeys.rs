//! Whatever happens to clients: they follow more and less, read slowly, end in the middle and come
//! back over another transport, while events come, go with retention and leave the ring. Each gets
//! every event of what it follows once and in order, or a gap, and of each key the newest value.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bellwire_hub::{HubLimits, Start};
use bellwire_journal::ReadLimit;
use bellwire_model::{Cursor, Filter, FilterSet, Offset};
use bellwire_process::clock::ticks;

use super::rig::{Client, EPOCH, NDJSON, PLAIN_WEBSOCKET, Rig, SSE, text};
use crate::form::Form;

const TOPICS: [&str; 4] = ["lab/0", "lab/1", "lab/2", "lab/3"];
const BOARD: &str = "board/1";
const KEYS: usize = 5;
const FORMS: [Form; 3] = [SSE, NDJSON, PLAIN_WEBSOCKET];
const EVENTS_MAX: u64 = 60;

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) as usize % bound
    }
}

/// What a client follows of streams.
#[derive(Debug)]
struct Interest {
    /// It wants what comes after this.
    start: u64,
    /// Events up to here were gone when it asked for what there is.
    excused: u64,
}

/// What a WebSocket's client asked for.
#[derive(Debug)]
enum Asked {
    Subscribe(&'static str),
    Unsubscribe(&'static str),
}

/// One client, over all its connections.
struct Journey {
    form: Form,
    client: Client,
    /// Bytes that are yet to be a whole message.
    rest: Vec<u8>,
    follows: BTreeMap<&'static str, Interest>,
    asked: BTreeMap<usize, Asked>,
    /// Subscriptions that are not ready yet.
    pending: BTreeMap<usize, &'static str>,
    cursor: u64,
    seen: BTreeMap<&'static str, BTreeSet<u64>>,
    gaps: Vec<(String, u64, u64)>,
    board: BTreeMap<String, String>,
    is_ready: bool,
    name: String,
}

struct World {
    rig: Rig,
    dice: Dice,
    journal: Vec<(u64, &'static str)>,
    removed: BTreeSet<u64>,
    board: BTreeMap<String, String>,
    changes: usize,
    requests: usize,
}

fn start_after(offset: u64) -> Start {
    Start::After(Cursor::new(EPOCH, Offset::new(offset)))
}

/// The text of a member of an event or control, which has no escapes.
fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

fn offset(json: &str, name: &str) -> Option<u64> {
    member(json, name)?.strip_prefix("e7-")?.parse().ok()
}

fn number(json: &str, name: &str) -> Option<usize> {
    let (_, rest) = json.split_once(&format!("\"{name}\":"))?;
    rest.split([',', '}']).next()?.parse().ok()
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let limits = HubLimits {
            ring_events_max: 4 + dice.below(60),
            lane_entries_max: [0, 10, 1_000][dice.below(3)],
            ring_looks_max: 3 + dice.below(20),
            ..HubLimits::default()
        };
        Self {
            rig: Rig::with_journal(EVENTS_MAX).with_limits(limits),
            dice,
            journal: Vec::new(),
            removed: BTreeSet::new(),
            board: BTreeMap::new(),
            changes: 0,
            requests: 0,
        }
    }

    fn tail(&self) -> u64 {
        self.journal.last().map_or(0, |(offset, _)| *offset)
    }

    fn publish(&mut self) {
        let topic = TOPICS[self.dice.below(TOPICS.len())];
        let bytes = if self.dice.below(3) == 0 { 20_000 } else { 10 };
        let offset = self.rig.append(topic, &format!("\"{}\"", "x".repeat(bytes)));
        self.journal.push((offset.get(), topic));
    }

    fn put(&mut self) {
        let (key, bytes) = (self.dice.below(KEYS), [10, 10, 30_000][self.dice.below(3)]);
        self.changes += 1;
        let value = format!("v{} {}", self.changes, "y".repeat(bytes));
        self.rig.put_json(BOARD, [key].into_iter(), &format!("\"{value}\""));
        self.board.insert(key.to_string(), value);
    }

    fn trim(&mut self) {
        self.rig.trim();
        let journal = &self.rig.shard.surroundings.journal;
        let all = FilterSet::from("**".parse::<Filter>().expect("a filter"));
        let mut kept = BTreeSet::new();
        let mut after = Offset::ZERO;
        loop {
            let limit = ReadLimit { events: 1_000, bytes: usize::MAX };
            let page = journal.read(after, &all, limit).expect("a page");
            kept.extend(page.entries.iter().map(|entry| entry.offset.get()));
            if page.entries.is_empty() || page.end <= after {
                break;
            }
            after = page.end;
        }
        let offsets = self.journal.iter().map(|(offset, _)| *offset);
        self.removed = offsets.filter(|offset| !kept.contains(offset)).collect();
    }

    fn newest_removed(&self) -> u64 {
        self.removed.last().copied().unwrap_or(0)
    }

    /// Somebody new, who may follow nothing of streams yet.
    fn begin(&mut self, name: String) -> Journey {
        let form = FORMS[self.dice.below(FORMS.len())];
        let topics: Vec<&'static str> =
            TOPICS.into_iter().filter(|_| self.dice.below(2) == 0).collect();
        let tail = self.tail();
        let (start, from) = match self.dice.below(3) {
            0 => (Start::Latest, tail),
            1 => (Start::Earliest, 0),
            _ => {
                let from = tail.saturating_sub(self.dice.below(100) as u64);
                (start_after(from), from)
            }
        };
        let client = self.connect(&topics, start, form);
        let excused = if start == Start::Earliest { self.newest_removed() } else { 0 };
        let interest = |topic| (topic, Interest { start: from, excused });
        Journey {
            form,
            client,
            rest: Vec::new(),
            follows: topics.into_iter().map(interest).collect(),
            asked: BTreeMap::new(),
            pending: BTreeMap::new(),
            cursor: from,
            seen: BTreeMap::new(),
            gaps: Vec::new(),
            board: BTreeMap::new(),
            is_ready: false,
            name,
        }
    }

    /// What is there when it begins is known before anything else happens.
    fn connect(&mut self, topics: &[&str], start: Start, form: Form) -> Client {
        let filters: Vec<&str> = topics.iter().copied().chain(["board/*"]).collect();
        let client = self.rig.connect(&filters, start, form);
        self.rig.settle();
        client
    }

    /// It ends where it is, and comes back with what it has; what was not ready it asks for anew.
    fn resume(&mut self, journey: &mut Journey) {
        for topic in std::mem::take(&mut journey.pending).into_values() {
            journey.forget(topic);
        }
        for asked in std::mem::take(&mut journey.asked).into_values() {
            let (Asked::Subscribe(topic) | Asked::Unsubscribe(topic)) = asked;
            journey.forget(topic);
        }
        journey.form = FORMS[self.dice.below(FORMS.len())];
        let topics: Vec<&str> = journey.follows.keys().copied().collect();
        journey.client = self.connect(&topics, start_after(journey.cursor), journey.form);
        journey.rest.clear();
        journey.board.clear();
        journey.is_ready = false;
    }

    /// Follows a topic more, or less.
    fn ask(&mut self, journey: &mut Journey) {
        if !matches!(journey.form, Form::WebSocket(_)) {
            return;
        }
        let topic = TOPICS[self.dice.below(TOPICS.len())];
        let is_asked = |asked: &Asked| {
            let (Asked::Subscribe(other) | Asked::Unsubscribe(other)) = asked;
            *other == topic
        };
        if journey.asked.values().any(is_asked) {
            return;
        }
        self.requests += 1;
        let id = self.requests;
        if journey.follows.contains_key(topic) {
            let request = format!(r#"{{"request":"unsubscribe","id":{id},"topics":["{topic}"]}}"#);
            journey.client.send(&text(&request));
            journey.asked.insert(id, Asked::Unsubscribe(topic));
            return;
        }
        let start = self.tail().saturating_sub(self.dice.below(100) as u64);
        let request = format!(
            r#"{{"request":"subscribe","id":{id},"topics":["{topic}"],"after":"e7-{start}"}}"#
        );
        journey.client.send(&text(&request));
        journey.asked.insert(id, Asked::Subscribe(topic));
        journey.pending.insert(id, topic);
        journey.follows.insert(topic, Interest { start, excused: 0 });
    }

    fn step(&mut self, journeys: &mut [Journey]) {
        let journey = self.dice.below(journeys.len());
        let journey = &mut journeys[journey];
        match self.dice.below(32) {
            0..8 => self.publish(),
            8..10 => self.put(),
            10 => self.trim(),
            11..18 => drop(self.rig.turn()),
            18..24 => {
                let bytes = 1 + self.dice.below(40_000);
                self.read(journey, bytes);
            }
            24 => self.read(journey, usize::MAX / 2),
            25..28 => self.ask(journey),
            28 => self.resume(journey),
            29 => {
                let due = self.rig.shard.agenda.now() + ticks(Duration::from_mins(90));
                let connections = self.rig.shard.connections.iter();
                let tokens: Vec<_> = connections.map(|(token, _)| token).collect();
                if !tokens.is_empty() {
                    let token = tokens[self.dice.below(tokens.len())];
                    self.rig.shard.attend(token, due);
                }
            }
            30 => self.rig.settle(),
            _ => {
                // Many at once: the ring has moved on.
                for _ in 0..self.dice.below(40) {
                    self.publish();
                }
            }
        }
    }

    fn read(&mut self, journey: &mut Journey, bytes_max: usize) {
        let stays = journey.client.take_into(&mut journey.rest, bytes_max);
        journey.hear();
        if !stays {
            self.resume(journey);
        }
    }

    fn judge(&mut self, journeys: &mut [Journey]) {
        // Whoever was full goes on; what is asked is answered.
        let mut rounds = 0;
        loop {
            self.rig.settle();
            let before: usize = journeys.iter().map(Journey::heard_bytes).sum();
            for journey in journeys.iter_mut() {
                self.read(journey, usize::MAX / 2);
                // Pings are answered, as clients do.
                if matches!(journey.form, Form::WebSocket(_)) {
                    journey.client.send(&bellwire_wire::ws::masked_frame(
                        bellwire_wire::ws::Opcode::Pong,
                        b"",
                        [1, 2, 3, 4],
                    ));
                }
            }
            let after: usize = journeys.iter().map(Journey::heard_bytes).sum();
            let waits =
                |it: &Journey| !it.asked.is_empty() || !it.pending.is_empty() || !it.is_ready;
            rounds = if before == after { rounds + 1 } else { 0 };
            if rounds > 3 {
                let waiting: Vec<&str> =
                    journeys.iter().filter(|it| waits(it)).map(|it| it.name.as_str()).collect();
                assert!(waiting.is_empty(), "{waiting:?} wait for ever");
                break;
            }
        }
        for journey in journeys.iter() {
            assert_eq!(journey.board, self.board, "{}", journey.name);
            journey.judge(&self.journal, &self.removed);
        }
    }

    /// Everybody goes, and nothing is left of them.
    fn end(mut self, journeys: Vec<Journey>) {
        drop(journeys);
        self.rig.settle();
        let shard = &self.rig.shard;
        assert_eq!(shard.connections.len(), 0);
        assert_eq!((shard.hub.lanes(), shard.hub.size().lane_bytes), (0, 0));
        assert!(shard.pages.is_empty());
        assert_eq!((shard.handle.connections(), shard.input.hoards.bytes()), (0, 0));
        assert_eq!(shard.surroundings.figures.streams_open.get(), 0);
    }
}

impl Journey {
    fn forget(&mut self, topic: &str) {
        self.follows.remove(topic);
        self.seen.remove(topic);
        self.gaps.retain(|(other, ..)| other != topic);
    }

    fn heard_bytes(&self) -> usize {
        let seen: usize = self.seen.values().map(BTreeSet::len).sum();
        let board: usize = self.board.values().map(String::len).sum();
        seen + board + self.asked.len() + self.pending.len() + usize::from(self.is_ready)
    }

    /// Takes in every whole message.
    fn hear(&mut self) {
        while let Some((message, bytes)) = self.message() {
            self.rest.drain(..bytes);
            if let Some(message) = message {
                self.on_message(&message);
            }
        }
    }

    /// The next whole message, if it has any text, and its bytes.
    fn message(&self) -> Option<(Option<String>, usize)> {
        let rest = &self.rest;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        if self.form == PLAIN_WEBSOCKET {
            let (head, length) = match rest.get(1)? {
                126 => (4, u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]) as usize),
                127 => panic!("no message is that long"),
                length => (2, *length as usize),
            };
            let payload = rest.get(head..head + length)?;
            let is_text = rest[0] == 0x81;
            return Some((is_text.then(|| text(payload)), head + length));
        }
        if self.form == NDJSON {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            return Some(((end > 0).then(|| text(&rest[..end])), end + 1));
        }
        // A comment is a line of its own.
        if rest.starts_with(b":\n") {
            return Some((None, 2));
        }
        let end = rest.windows(2).position(|two| two == b"\n\n")?;
        let block = text(&rest[..end]);
        let data = block.lines().find_map(|line| line.strip_prefix("data: "));
        let data = data.map(str::to_owned);
        assert!(data.is_some(), "{}: {block}", self.name);
        Some((data, end + 2))
    }

    fn on_message(&mut self, json: &str) {
        let shown = &json[..json.len().min(200)];
        if json.starts_with("{\"reply\"") {
            assert!(!json.contains("error"), "{}: {json}", self.name);
            let id = number(json, "reply").expect("a number");
            if let Some(Asked::Unsubscribe(topic)) = self.asked.remove(&id) {
                self.pending.retain(|_, other| *other != topic);
                self.forget(topic);
            }
            return;
        }
        match member(json, "control") {
            Some("gap") => {
                let (from, to) = (offset(json, "from"), offset(json, "to"));
                let (from, to) = (from.expect("a cursor"), to.expect("a cursor"));
                for topic in TOPICS.into_iter().filter(|topic| json.contains(topic)) {
                    self.gaps.push((topic.to_owned(), from, to));
                }
                return;
            }
            Some("ready") => {
                if let Some(id) = number(json, "id") {
                    // It may have been unsubscribed meanwhile, and the reply be on its way.
                    self.pending.remove(&id);
                } else {
                    assert!(!self.is_ready, "{}: ready twice", self.name);
                    self.is_ready = true;
                }
                self.go_on(offset(json, "cursor").expect("a cursor"));
                return;
            }
            Some("heartbeat") => return self.go_on(offset(json, "cursor").expect("a cursor")),
            Some(other) => panic!("{}: {other}", self.name),
            None => {}
        }
        let topic = member(json, "topic").unwrap_or_else(|| panic!("{}: {shown}", self.name));
        if topic == BOARD {
            let (key, value) = (member(json, "key"), member(json, "data"));
            self.board.insert(key.expect("a key").to_owned(), value.expect("a value").to_owned());
            return;
        }
        let at = offset(json, "cursor").expect("a cursor");
        let topic = TOPICS.into_iter().find(|other| *other == topic).expect("one of them");
        assert!(self.follows.contains_key(topic), "{}: {topic} is not followed", self.name);
        let seen = self.seen.entry(topic).or_default();
        assert!(seen.last().is_none_or(|last| *last < at), "{}: {shown}", self.name);
        seen.insert(at);
        if !self.pending.values().any(|other| *other == topic) {
            assert!(at > self.cursor, "{}: {shown} behind {}", self.name, self.cursor);
            self.cursor = at;
        }
    }

    fn go_on(&mut self, cursor: u64) {
        assert!(cursor >= self.cursor, "{}: back to {cursor}", self.name);
        self.cursor = cursor;
    }

    fn judge(&self, journal: &[(u64, &'static str)], removed: &BTreeSet<u64>) {
        let nothing = BTreeSet::new();
        for (at, topic) in journal {
            let Some(interest) = self.follows.get(topic) else { continue };
            let seen = self.seen.get(topic).unwrap_or(&nothing);
            if *at <= interest.start.max(interest.excused) && !seen.contains(at) {
                continue;
            }
            assert!(*at > interest.start, "{}: {at} is not asked for", self.name);
            let covers = |(of, from, to): &(String, u64, u64)| of == topic && from < at && at <= to;
            let is_told = removed.contains(at) && self.gaps.iter().any(covers);
            assert!(seen.contains(at) || is_told, "{}: {at} on {topic} is missing", self.name);
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    let clients = 1 + world.dice.below(4);
    for _ in 0..world.dice.below(80) {
        world.publish();
    }
    let mut journeys: Vec<Journey> =
        (0..clients).map(|index| world.begin(format!("seed {seed}, client {index}"))).collect();
    for _ in 0..300 {
        world.step(&mut journeys);
    }
    world.judge(&mut journeys);
    world.end(journeys);
}

#[test]
fn whatever_happens_to_clients_each_gets_all_that_it_follows_or_a_gap() {
    for seed in 0..20 {
        run(seed);
    }
}
