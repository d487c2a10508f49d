//! What goes over each transport, and for whom: by kinds of what is followed or sent to.
//!
//! A kind is made of the first segments of filters or topics, so that there are few of them however
//! many names clients make. Whoever counts has a tally of its own for each kind: nobody waits for
//! another, and a visit to a connection adds to it once, however many events that brings.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bellwire_model::limits::{
    TRAFFIC_KIND_SEGMENT_BYTES_MAX, TRAFFIC_KIND_SEGMENTS_MAX, TRAFFIC_KINDS_MAX,
};
use bellwire_model::{Filter, FilterSet, NameMap, Topic};
use bellwire_process::clock;

/// How many carriers there are.
const CARRIERS: usize = 5;

/// What carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// Streams of Server-Sent Events, those of Durable Streams among them.
    Sse,
    /// Streams of NDJSON.
    Ndjson,
    /// WebSockets.
    Websocket,
    /// Long polls.
    Poll,
    /// Requests that publish.
    Post,
}

/// What was counted so far, of one carrier and kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Connections that are open; of polls those that wait.
    pub open: u64,
    /// Connections that were opened; of polls and what publishes, requests.
    pub opened: u64,
    /// How long all of them were open together.
    pub open_ms: u64,
    /// Events to clients, once for each.
    pub events_down: u64,
    /// Bytes to clients: frames and all, but for the heads of answers to requests.
    pub bytes_down: u64,
    /// Signs of life.
    pub heartbeats: u64,
    /// Messages of WebSockets' clients, or events that requests publish.
    pub messages_up: u64,
    /// Bytes of them.
    pub bytes_up: u64,
}

/// Counts, as [`Carried`] has them. They only grow, but for those that are open.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    open: AtomicU64,
    opened: AtomicU64,
    /// The times at which connections were opened less those at which they were closed, all added up:
    /// with the time it is now, that is how long they were open.
    opened_at_ms: AtomicU64,
    events_down: AtomicU64,
    bytes_down: AtomicU64,
    heartbeats: AtomicU64,
    messages_up: AtomicU64,
    bytes_up: AtomicU64,
}

impl Tally {
    pub(crate) fn open(&self, now_ms: u64) {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.open_again(now_ms);
    }

    /// A connection that was counted elsewhere is counted here from now on.
    pub(crate) fn open_again(&self, now_ms: u64) {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.opened_at_ms.fetch_add(now_ms, Ordering::Relaxed);
    }

    pub(crate) fn close(&self, now_ms: u64) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.opened_at_ms.fetch_sub(now_ms, Ordering::Relaxed);
    }

    /// A request came that holds nothing open.
    fn note_request(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// Events and bytes went to a client.
    pub(crate) fn add_down(&self, events: u64, bytes: u64) {
        self.events_down.fetch_add(events, Ordering::Relaxed);
        self.bytes_down.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A client has sent so many messages, or bytes.
    pub(crate) fn add_up(&self, messages: u64, bytes: u64) {
        self.messages_up.fetch_add(messages, Ordering::Relaxed);
        self.bytes_up.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_heartbeat(&self) {
        self.heartbeats.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self, now_ms: u64) -> Carried {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let open = get(&self.open);
        // One that opens meanwhile may be in one of the two and not in the other.
        let open_ms = open.wrapping_mul(now_ms).wrapping_sub(get(&self.opened_at_ms));
        Carried {
            open,
            opened: get(&self.opened),
            open_ms: if open_ms > u64::MAX / 2 { 0 } else { open_ms },
            events_down: get(&self.events_down),
            bytes_down: get(&self.bytes_down),
            heartbeats: get(&self.heartbeats),
            messages_up: get(&self.messages_up),
            bytes_up: get(&self.bytes_up),
        }
    }
}

impl Carried {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// What was counted since there was no more than `earlier`; those that are open are as they are now.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { open: self.open, ..self.with(earlier, u64::saturating_sub) }
    }

    fn with(self, other: Self, each: fn(u64, u64) -> u64) -> Self {
        Self {
            open: each(self.open, other.open),
            opened: each(self.opened, other.opened),
            open_ms: each(self.open_ms, other.open_ms),
            events_down: each(self.events_down, other.events_down),
            bytes_down: each(self.bytes_down, other.bytes_down),
            heartbeats: each(self.heartbeats, other.heartbeats),
            messages_up: each(self.messages_up, other.messages_up),
            bytes_up: each(self.bytes_up, other.bytes_up),
        }
    }
}

/// One tally, and what it counts.
#[derive(Debug)]
struct Entry {
    carrier: Carrier,
    kind: Arc<str>,
    tally: Arc<Tally>,
}

/// All that is counted.
#[derive(Debug, Default)]
pub struct Traffic {
    entries: Mutex<Vec<Entry>>,
}

impl Traffic {
    /// What each carrier has carried so far, by kind.
    pub fn read(&self, now_ms: u64) -> Vec<(Carrier, Arc<str>, Carried)> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(Carrier, Arc<str>, Carried)> = entries
            .iter()
            .map(|entry| (entry.carrier, Arc::clone(&entry.kind), entry.tally.read(now_ms)))
            .collect();
        drop(entries);
        all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        all.dedup_by(|later, kept| {
            let is_same = (later.0, &later.1) == (kept.0, &kept.1);
            if is_same {
                kept.2 = kept.2.plus(later.2);
            }
            is_same
        });
        all
    }

    fn begin(&self, carrier: Carrier, kind: &str) -> Arc<Tally> {
        let tally = Arc::<Tally>::default();
        let entry = Entry { carrier, kind: kind.into(), tally: Arc::clone(&tally) };
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        tally
    }
}

/// The tallies of one who counts.
#[derive(Debug)]
pub(crate) struct Book {
    traffic: Arc<Traffic>,
    tallies: Vec<Arc<Tally>>,
    /// Of each kind the places of its tallies, by carrier.
    places: NameMap<Box<str>, [Option<u16>; CARRIERS]>,
}

/// Where those are counted who are of no kind any more.
const OTHERS: &str = "…";

/// What follows nothing yet.
const NOTHING: &str = "";

impl Book {
    /// With nothing in it.
    pub(crate) fn new(traffic: Arc<Traffic>) -> Self {
        Self { traffic, tallies: Vec::new(), places: NameMap::default() }
    }

    /// Where that is counted which follows these.
    pub(crate) fn place(&mut self, carrier: Carrier, filters: &FilterSet) -> u16 {
        self.place_of(carrier, &kind_of(filters.iter().map(Filter::as_str)))
    }

    fn place_of(&mut self, carrier: Carrier, kind: &str) -> u16 {
        let is_known = self.places.contains_key(kind);
        if !is_known && self.places.len() >= TRAFFIC_KINDS_MAX && kind != OTHERS {
            return self.place_of(carrier, OTHERS);
        }
        let places = self.places.entry(kind.into()).or_default();
        if let Some(place) = places[carrier as usize] {
            return place;
        }
        let place = self.tallies.len() as u16;
        places[carrier as usize] = Some(place);
        self.tallies.push(self.traffic.begin(carrier, kind));
        place
    }

    pub(crate) fn at(&self, place: u16) -> &Tally {
        &self.tallies[usize::from(place)]
    }
}

/// What requests carry that hold no connection of a shard: long polls, and what publishes.
#[derive(Debug)]
pub struct RequestTraffic(Mutex<Book>);

/// A poll that waits; it is counted when this is dropped.
#[derive(Debug)]
pub struct CountedPoll(Arc<Tally>);

impl RequestTraffic {
    /// Nothing yet.
    pub fn new(traffic: Arc<Traffic>) -> Self {
        Self(Mutex::new(Book::new(traffic)))
    }

    fn tally(&self, place: impl FnOnce(&mut Book) -> u16) -> Arc<Tally> {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = place(&mut book);
        Arc::clone(&book.tallies[usize::from(place)])
    }

    /// A poll that follows these begins, whose request has so many bytes.
    pub fn poll(&self, filters: &FilterSet, request_bytes: usize) -> CountedPoll {
        let tally = self.tally(|book| book.place(Carrier::Poll, filters));
        tally.open(clock::now().as_ms() as u64);
        tally.add_up(0, request_bytes as u64);
        CountedPoll(tally)
    }

    /// A request has published so many events to topics like this one.
    pub fn published(&self, topic: &Topic, events: usize, bytes: usize) {
        let kind = kind_of([topic.as_str()]);
        let tally = self.tally(|book| book.place_of(Carrier::Post, &kind));
        tally.note_request();
        tally.add_up(events as u64, bytes as u64);
    }
}

impl CountedPoll {
    /// It is answered with so many events, in so many bytes.
    pub fn answered(&self, events: usize, bytes: usize) {
        self.0.add_down(events as u64, bytes as u64);
    }
}

impl Drop for CountedPoll {
    fn drop(&mut self) {
        self.0.close(clock::now().as_ms() as u64);
    }
}

/// The kind of what these are the names of: their first segments, each once, `…` where there are more.
fn kind_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut firsts = BTreeSet::new();
    for name in names {
        let (first, is_deep) =
            name.split_once('/').map_or((name, false), |(first, _)| (first, true));
        let cut = first.floor_char_boundary(TRAFFIC_KIND_SEGMENT_BYTES_MAX);
        firsts.insert((&first[..cut], is_deep || cut < first.len()));
        if firsts.len() > TRAFFIC_KIND_SEGMENTS_MAX {
            return OTHERS.to_owned();
        }
    }
    let texts: Vec<String> = firsts
        .into_iter()
        .map(|(first, is_deep)| format!("{first}{}", if is_deep { "/…" } else { "" }))
        .collect();
    if texts.is_empty() { NOTHING.to_owned() } else { texts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(names: &[&str]) -> FilterSet {
        FilterSet::new(names.iter().map(|name| name.parse::<Filter>().expect(name))).expect("a few")
    }

    fn book() -> (Arc<Traffic>, Book) {
        let traffic = Arc::<Traffic>::default();
        (Arc::clone(&traffic), Book::new(traffic))
    }

    #[test]
    fn a_kind_is_made_of_first_segments() {
        for (names, kind) in [
            (&["chat/a", "chat/b"][..], "chat/…"),
            (&["chat"], "chat"),
            (&["**"], "**"),
            (&["b/1", "a/**", "a"], "a a/… b/…"),
            (&["a", "b", "c", "d", "e"], "…"),
            (&[], ""),
        ] {
            assert_eq!(kind_of(names.iter().copied()), kind, "{names:?}");
        }
        let long = "x".repeat(300);
        assert_eq!(kind_of([&*long]), format!("{}/…", "x".repeat(64)));
    }

    #[test]
    fn who_counts_apart_is_read_together() {
        let (traffic, mut one) = book();
        let mut other = Book::new(Arc::clone(&traffic));
        for book in [&mut one, &mut other] {
            let place = book.place(Carrier::Sse, &filters(&["chat/a"]));
            book.at(place).open(1_000);
            book.at(place).add_down(2, 500);
        }
        let place = one.place(Carrier::Websocket, &filters(&["chat/b"]));
        one.at(place).add_up(1, 30);
        let read = traffic.read(3_000);
        let [(Carrier::Sse, kind, sse), (Carrier::Websocket, _, websocket)] = &read[..] else {
            panic!("{read:?}");
        };
        assert_eq!((&**kind, sse.open, sse.opened, sse.open_ms), ("chat/…", 2, 2, 4_000));
        assert_eq!((sse.events_down, sse.bytes_down), (4, 1_000));
        assert_eq!((websocket.messages_up, websocket.bytes_up), (1, 30));
    }

    #[test]
    fn time_is_counted_while_a_connection_is_open_and_stands_still_behind() {
        let (traffic, mut book) = book();
        let place = book.place(Carrier::Sse, &filters(&["a"]));
        book.at(place).open(1_000);
        book.at(place).open(2_000);
        book.at(place).close(5_000);
        let open_ms = |now| traffic.read(now)[0].2.open_ms;
        assert_eq!((open_ms(5_000), open_ms(6_000)), (4_000 + 3_000, 4_000 + 4_000));
        book.at(place).close(6_000);
        assert_eq!((open_ms(6_000), open_ms(60_000)), (8_000, 8_000));
        let earlier = traffic.read(6_000)[0].2;
        assert_eq!(traffic.read(9_000)[0].2.since(earlier), Carried::default());
    }

    #[test]
    fn there_are_so_many_kinds_and_the_others() {
        let (traffic, mut book) = book();
        for number in 0..3 * TRAFFIC_KINDS_MAX {
            let place = book.place(Carrier::Sse, &filters(&[&format!("a{number}/b")]));
            book.at(place).open(0);
        }
        let read = traffic.read(0);
        assert_eq!(read.len(), TRAFFIC_KINDS_MAX + 1);
        let others = read.iter().find(|(_, kind, _)| &**kind == OTHERS).expect("there are others");
        assert_eq!(others.2.open as usize, 2 * TRAFFIC_KINDS_MAX);
    }
}
