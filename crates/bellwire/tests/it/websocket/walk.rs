//! A client that subscribes, unsubscribes and comes back at random while others publish: whatever
//! it follows it gets from the first event on, in order, none of them lost.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bellwire_model::{Cursor, Filter, Offset, Topic};
use serde_json::{Value, json};

use crate::harness::{Over, Random, Raw, Server, Spoken, WebSocket};

/// Each publisher has its own.
const TOPICS: [&[&str]; 3] = [&["a/1", "b/1"], &["a/2", "b/2", "c"], &["a/3"]];
const FILTERS: [&str; 9] = ["a/1", "a/2", "a/*", "a/**", "b/1", "b/*", "c", "**", "d/**"];
const STEPS: u64 = 250;
/// What each publisher has published before anybody follows: it comes from the disk.
const EVENTS_BEFORE: u64 = 1_200;
const BATCH_EVENTS_MAX: u64 = 8;
/// Some events are large, so that sockets become full.
const PADDING_BYTES_MAX: u64 = 30_000;

/// Publishes each topic's numbers, from 1 on, until it is told to end or has published enough.
struct Publisher {
    topics: &'static [&'static str],
    newest: BTreeMap<String, u64>,
    random: Random,
}

impl Publisher {
    fn publish(&mut self, raw: &mut Raw) {
        let mut lines = String::new();
        for _ in 0..=self.random.below(BATCH_EVENTS_MAX) {
            let topic = self.topics[self.random.below(self.topics.len() as u64) as usize];
            let number = self.newest.entry(topic.to_owned()).or_default();
            *number += 1;
            let padding = match self.random.below(20) {
                0 => "x".repeat(self.random.below(PADDING_BYTES_MAX) as usize),
                _ => String::new(),
            };
            let data = json!({ "n": *number, "padding": padding });
            lines += &(json!({ "topic": topic, "data": data }).to_string() + "\n");
        }
        let answer = raw.try_post("/v1/events", "", lines).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.text().contains("error"), "{}", answer.text());
    }

    fn publish_some(&mut self, address: SocketAddr, count: u64) {
        let mut raw = Raw::connect(address);
        while self.newest.values().sum::<u64>() < count {
            self.publish(&mut raw);
        }
    }

    fn publish_until(&mut self, address: SocketAddr, is_over: &Over) {
        let mut raw = Raw::connect(address);
        while !is_over.is_so() {
            self.publish(&mut raw);
        }
    }
}

/// What the client knows of its connection.
struct Walk {
    address: SocketAddr,
    socket: WebSocket,
    random: Random,
    next_id: u64,
    ready: Vec<&'static str>,
    /// Subscriptions on their way, by their requests' ids. They begin with the earliest event.
    coming: BTreeMap<u64, Vec<&'static str>>,
    /// Of each topic that is followed: up to which number all have come.
    newest: BTreeMap<String, u64>,
    /// Topics of which a subscription may have brought more than the connection's own stream, and
    /// was taken back: what came of them may come once more.
    ahead: BTreeSet<String>,
    resume: Resume,
}

/// The newest cursor of what is ready, and what had come by then.
#[derive(Clone, Debug)]
struct Resume {
    cursor: Value,
    newest: BTreeMap<String, u64>,
    ahead: BTreeSet<String>,
}

fn offset(cursor: &Value) -> Offset {
    let cursor = cursor.as_str().unwrap_or_else(|| panic!("no cursor: {cursor}"));
    cursor.parse::<Cursor>().expect("a cursor").offset
}

fn passes<'a>(filters: impl IntoIterator<Item = &'a &'static str>, topic: &str) -> bool {
    let topic: Topic = topic.parse().expect("a topic");
    let filter = |text: &str| text.parse::<Filter>().expect("a filter");
    filters.into_iter().any(|text| filter(text).matches(&topic))
}

impl Walk {
    fn begin(address: SocketAddr, mut random: Random) -> Self {
        let spoken = Spoken::BOTH[random.below(2) as usize];
        let mut socket = WebSocket::open_as(address, "", spoken);
        let ready = socket.until_ready(&Value::Null).remove(0);
        Self {
            address,
            socket,
            random,
            next_id: 0,
            ready: Vec::new(),
            coming: BTreeMap::new(),
            newest: BTreeMap::new(),
            ahead: BTreeSet::new(),
            resume: Resume {
                cursor: ready["cursor"].clone(),
                newest: BTreeMap::new(),
                ahead: BTreeSet::new(),
            },
        }
    }

    fn step(&mut self) {
        match self.random.below(10) {
            0..3 => self.subscribe(),
            3..5 => self.unsubscribe(),
            5 if self.random.below(4) == 0 => self.come_back(),
            _ => {
                // Nothing may come for long where nothing is followed.
                if passes(self.ready.iter().chain(self.coming.values().flatten()), "a/3") {
                    for _ in 0..self.random.below(200) {
                        let item = self.socket.next();
                        self.take(&item);
                    }
                }
            }
        }
    }

    fn subscribe(&mut self) {
        let count = 1 + self.random.below(2);
        let filter = |random: &mut Random| FILTERS[random.below(FILTERS.len() as u64) as usize];
        let filters: Vec<_> = (0..count).map(|_| filter(&mut self.random)).collect();
        self.begin_subscription(filters);
    }

    fn begin_subscription(&mut self, filters: Vec<&'static str>) {
        self.next_id += 1;
        let id = self.next_id;
        let ask = json!({
            "request": "subscribe", "id": id, "topics": filters, "after": "earliest",
        });
        self.socket.ask(&ask);
        let reply = self.take_until_reply(&json!(id));
        assert_eq!(reply, json!({ "reply": id }));
        self.coming.insert(id, filters);
    }

    fn unsubscribe(&mut self) {
        let all: Vec<_> = self.ready.iter().chain(self.coming.values().flatten()).collect();
        if all.is_empty() {
            return;
        }
        let gone = *all[self.random.below(all.len() as u64) as usize];
        self.next_id += 1;
        let ask = json!({ "request": "unsubscribe", "id": self.next_id, "topics": [gone] });
        self.socket.ask(&ask);
        let reply = self.take_until_reply(&json!(self.next_id));
        assert_eq!(reply, json!({ "reply": self.next_id }), "{gone}");
        if self.coming.values().flatten().any(|filter| *filter == gone) {
            let brought = self.newest.keys().filter(|topic| passes([&gone], topic));
            self.ahead.extend(brought.cloned());
        }
        self.ready.retain(|filter| *filter != gone);
        for filters in self.coming.values_mut() {
            filters.retain(|filter| *filter != gone);
        }
        self.coming.retain(|_, filters| !filters.is_empty());
        self.forget_the_rest();
    }

    fn forget_the_rest(&mut self) {
        let followed: Vec<_> =
            self.ready.iter().chain(self.coming.values().flatten()).copied().collect();
        self.newest.retain(|topic, _| passes(&followed, topic));
        self.ahead.retain(|topic| passes(&followed, topic));
        self.resume.newest.retain(|topic, _| passes(&self.ready, topic));
    }

    /// On another connection, where what is ready goes on and the rest begins anew.
    fn come_back(&mut self) {
        let Resume { cursor, newest, ahead } = self.resume.clone();
        let mut query = vec![format!("after={}", cursor.as_str().expect("a cursor"))];
        query.extend(self.ready.iter().map(|filter| format!("topic={filter}")));
        let spoken = Spoken::BOTH[self.random.below(2) as usize];
        self.socket = WebSocket::open_as(self.address, &query.join("&"), spoken);
        (self.newest, self.ahead) = (newest, ahead);
        for (_, filters) in std::mem::take(&mut self.coming) {
            self.begin_subscription(filters);
        }
    }

    fn take_until_reply(&mut self, id: &Value) -> Value {
        loop {
            let item = self.socket.next();
            if item.get("reply") == Some(id) {
                return item;
            }
            self.take(&item);
        }
    }

    fn take(&mut self, item: &Value) {
        if item["control"] == "heartbeat" {
            return;
        }
        if item["control"] == "ready" {
            if let Some(id) = item["id"].as_u64() {
                let filters = self.coming.remove(&id);
                let filters = filters.unwrap_or_else(|| panic!("it is not on its way: {item}"));
                for filter in filters {
                    if !self.ready.contains(&filter) {
                        self.ready.push(filter);
                    }
                }
            }
            let cursor = &item["cursor"];
            assert!(offset(cursor) >= offset(&self.resume.cursor), "{item}, {:?}", self.resume);
            return self.resume_from(cursor);
        }
        let topic = item["topic"].as_str().unwrap_or_else(|| panic!("unexpected: {item}"));
        let number = item["data"]["n"].as_u64().expect("a number");
        let newest = self.newest.entry(topic.to_owned()).or_default();
        if passes(self.coming.values().flatten(), topic) {
            assert!(number <= *newest + 1, "{topic} {number} after {newest}");
            *newest = number.max(*newest);
        } else if self.ahead.contains(topic) && number <= *newest {
            assert!(passes(&self.ready, topic), "{topic} is not followed");
        } else {
            assert!(passes(&self.ready, topic), "{topic} is not followed");
            self.ahead.remove(topic);
            assert_eq!(number, *newest + 1, "{topic}: {:?}, {:?}", self.ready, self.coming);
            *newest = number;
        }
        if self.coming.is_empty() {
            let cursor = &item["cursor"];
            let before = &self.resume.cursor;
            assert!(offset(cursor) > offset(before), "{topic} {cursor} {:?}", self.resume);
            self.resume_from(cursor);
        }
    }

    fn resume_from(&mut self, cursor: &Value) {
        let ready = &self.ready;
        let newest = self.newest.iter().filter(|(topic, _)| passes(ready, topic));
        let newest: BTreeMap<String, u64> =
            newest.map(|(topic, number)| (topic.clone(), *number)).collect();
        // So may those be that are on their way still.
        let coming = newest.keys().filter(|topic| passes(self.coming.values().flatten(), topic));
        let ahead = self.ahead.iter().chain(coming).cloned().collect();
        self.resume = Resume { cursor: cursor.clone(), newest, ahead };
    }

    /// Takes all that is missing of what was published.
    fn finish(&mut self, published: &BTreeMap<String, u64>) {
        let has_all = |walk: &Self| {
            let missing = |(topic, number): (&String, &u64)| {
                passes(&walk.ready, topic) && walk.newest.get(topic) != Some(number)
            };
            walk.coming.is_empty() && !published.iter().any(missing)
        };
        while !has_all(self) {
            let item = self.socket.next();
            self.take(&item);
        }
    }
}

#[test]
fn a_client_that_follows_more_and_less_at_random_loses_nothing() {
    let mut random = Random::announced();
    let mut server = Server::start();
    let mut publishers = TOPICS.map(|topics| Publisher {
        topics,
        newest: BTreeMap::new(),
        random: Random::new(random.seed()),
    });
    std::thread::scope(|scope| {
        for publisher in &mut publishers {
            let address = server.address();
            scope.spawn(move || publisher.publish_some(address, EVENTS_BEFORE));
        }
    });
    server.restart();
    let address = server.address();
    let seeds = [random.seed(), random.seed()];
    let mut walks = seeds.map(|seed| Walk::begin(address, Random::new(seed)));
    let is_over = Over::default();
    std::thread::scope(|scope| {
        for publisher in &mut publishers {
            scope.spawn(|| publisher.publish_until(address, &is_over));
        }
        let _over = is_over.at_the_end();
        std::thread::scope(|scope| {
            for walk in &mut walks {
                scope.spawn(|| {
                    for _ in 0..STEPS {
                        walk.step();
                    }
                });
            }
        });
    });
    let published: BTreeMap<String, u64> =
        publishers.iter().flat_map(|publisher| publisher.newest.clone()).collect();
    for walk in &mut walks {
        walk.begin_subscription(vec!["**"]);
        walk.finish(&published);
        assert_eq!(walk.newest, published);
    }
}
