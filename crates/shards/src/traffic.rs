//! What goes over each transport, and for whom: by kinds of what is followed or sent to.
//!
//! A kind is made of the first segments of filters or topics, so that there are few of them however
//! many names clients make. Whoever counts has a tally of its own for each kind: nobody waits for
//! another, and a visit to a connection adds to it once, however many events that brings.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bellwire_model::limits::{
    TRAFFIC_KIND_SEGMENT_BYTES_MAX, TRAFFIC_KIND_SEGMENTS_MAX, TRAFFIC_KINDS_MAX, TRAFFIC_SPAN,
    TRAFFIC_SPANS_MAX,
};
use bellwire_model::{Filter, FilterSet, NameMap, NameSet, Topic};
use bellwire_process::clock;

/// How many carriers there are.
const CARRIERS: usize = 6;

/// A kind of which nothing was open or has moved for so long is forgotten: nobody looks back further.
const IDLE_MS: u64 = TRAFFIC_SPAN.as_millis() as u64 * TRAFFIC_SPANS_MAX as u64;

/// What carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// Streams of Server-Sent Events, those of Durable Streams among them.
    Sse,
    /// Streams of NDJSON.
    Ndjson,
    /// WebSockets whose messages are text.
    Websocket,
    /// Those whose messages are binary.
    WebsocketBinary,
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
    /// Nobody reads it any more: its kind was forgotten.
    is_forgotten: AtomicBool,
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
    /// What it had when it was last seen to have moved, and when that was.
    seen: Carried,
    moved_at_ms: u64,
}

impl Entry {
    /// Looks whether it has moved.
    fn look(&mut self, now_ms: u64) {
        let carried = Carried { open_ms: 0, ..self.tally.read(now_ms) };
        if carried.open > 0 || carried != self.seen {
            (self.seen, self.moved_at_ms) = (carried, now_ms);
        }
    }
}

/// All that is counted.
#[derive(Debug, Default)]
pub struct Traffic {
    counted: Mutex<Counted>,
    /// How often kinds were forgotten.
    sweeps: AtomicU64,
}

#[derive(Debug, Default)]
struct Counted {
    entries: Vec<Entry>,
    /// The kinds that are counted apart, by all who count together.
    kinds: NameSet<Arc<str>>,
}

impl Traffic {
    /// What each carrier has carried so far, by kind.
    pub fn read(&self, now_ms: u64) -> Vec<(Carrier, Arc<str>, Carried)> {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(Carrier, Arc<str>, Carried)> = counted
            .entries
            .iter()
            .map(|entry| (entry.carrier, Arc::clone(&entry.kind), entry.tally.read(now_ms)))
            .collect();
        drop(counted);
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

    /// Forgets the kinds of which nothing is open, and nothing has moved for an hour, and says which
    /// they were. It is to be called again and again.
    pub fn forget_idle(&self, now_ms: u64) -> Vec<Arc<str>> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let Counted { entries, kinds } = &mut *counted;
        let mut idle = kinds.clone();
        for entry in &mut *entries {
            entry.look(now_ms);
            if now_ms.saturating_sub(entry.moved_at_ms) < IDLE_MS {
                idle.remove(&entry.kind);
            }
        }
        if !idle.is_empty() {
            for entry in entries.extract_if(.., |entry| idle.contains(&entry.kind)) {
                entry.tally.is_forgotten.store(true, Ordering::Relaxed);
            }
            kinds.retain(|kind| !idle.contains(kind));
            self.sweeps.fetch_add(1, Ordering::Release);
        }
        idle.into_iter().collect()
    }

    /// A tally of this kind, unless it is one too many.
    fn begin(&self, carrier: Carrier, kind: &str) -> Option<Arc<Tally>> {
        let tally = Arc::<Tally>::default();
        self.enter((carrier, kind), Arc::clone(&tally), TRAFFIC_KINDS_MAX).then_some(tally)
    }

    fn enter(&self, (carrier, kind): (Carrier, &str), tally: Arc<Tally>, kinds_max: usize) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let Counted { entries, kinds } = &mut *counted;
        let name = match kinds.get(kind) {
            Some(name) => Arc::clone(name),
            None if kind == OTHERS => kind.into(),
            None if kinds.len() >= kinds_max => return false,
            None => {
                let name: Arc<str> = kind.into();
                kinds.insert(Arc::clone(&name));
                name
            }
        };
        let (seen, moved_at_ms) = (Carried::default(), clock::steady().as_ms() as u64);
        entries.push(Entry { carrier, kind: name, tally, seen, moved_at_ms });
        true
    }
}

/// The tallies of one who counts.
#[derive(Debug)]
pub(crate) struct Book {
    traffic: Arc<Traffic>,
    tallies: Vec<Arc<Tally>>,
    /// Places whose kinds were forgotten.
    free: Vec<u16>,
    /// Of each kind the places of its tallies, by carrier.
    places: NameMap<Box<str>, [Option<u16>; CARRIERS]>,
    /// How often kinds had been forgotten when this was last looked at.
    sweeps: u64,
}

/// Where those are counted who are of no kind any more.
const OTHERS: &str = "…";

/// What follows nothing yet.
const NOTHING: &str = "";

const CARRIERS_ALL: [Carrier; CARRIERS] = [
    Carrier::Sse,
    Carrier::Ndjson,
    Carrier::Websocket,
    Carrier::WebsocketBinary,
    Carrier::Poll,
    Carrier::Post,
];

impl Book {
    /// With nothing in it.
    pub(crate) fn new(traffic: Arc<Traffic>) -> Self {
        let (tallies, free, places) = (Vec::new(), Vec::new(), NameMap::default());
        Self { traffic, tallies, free, places, sweeps: 0 }
    }

    /// Where that is counted which follows these.
    pub(crate) fn place(&mut self, carrier: Carrier, filters: &FilterSet) -> u16 {
        self.place_of(carrier, &kind_of(filters.iter().map(Filter::as_str)))
    }

    fn place_of(&mut self, carrier: Carrier, kind: &str) -> u16 {
        self.mind_forgotten();
        if let Some(place) = self.places.get(kind).and_then(|places| places[carrier as usize]) {
            return place;
        }
        let Some(tally) = self.traffic.begin(carrier, kind) else {
            return self.place_of(carrier, OTHERS);
        };
        let place = if let Some(place) = self.free.pop() {
            self.tallies[usize::from(place)] = tally;
            place
        } else {
            self.tallies.push(tally);
            (self.tallies.len() - 1) as u16
        };
        self.places.entry(kind.into()).or_default()[carrier as usize] = Some(place);
        place
    }

    /// Gives the places free whose kinds were forgotten. Where one was opened in that very moment, it is
    /// counted again.
    fn mind_forgotten(&mut self) {
        let sweeps = self.traffic.sweeps.load(Ordering::Acquire);
        if sweeps == self.sweeps {
            return;
        }
        self.sweeps = sweeps;
        let Self { traffic, tallies, free, places, .. } = self;
        places.retain(|kind, places| {
            for carrier in CARRIERS_ALL {
                let Some(place) = places[carrier as usize] else { continue };
                let tally = &tallies[usize::from(place)];
                if !tally.is_forgotten.load(Ordering::Relaxed) {
                    continue;
                }
                if tally.open.load(Ordering::Relaxed) > 0 {
                    tally.is_forgotten.store(false, Ordering::Relaxed);
                    traffic.enter((carrier, kind), Arc::clone(tally), usize::MAX);
                } else {
                    places[carrier as usize] = None;
                    free.push(place);
                }
            }
            places.iter().any(Option::is_some)
        });
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
        tally.open(clock::steady().as_ms() as u64);
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
        self.0.close(clock::steady().as_ms() as u64);
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
    fn kinds_of_which_nothing_is_there_any_more_make_room_for_others() {
        let (traffic, mut one) = book();
        let mut other = Book::new(Arc::clone(&traffic));
        let name = |number: usize| filters(&[&format!("a{number}/b")]);
        let mut places = Vec::new();
        for number in 0..TRAFFIC_KINDS_MAX {
            places.push(one.place(Carrier::Sse, &name(number)));
            one.at(places[number]).open(0);
        }
        let began = clock::steady().as_ms() as u64;
        for place in &places[1..] {
            one.at(*place).close(1);
        }
        assert!(traffic.forget_idle(began).is_empty());
        assert!(traffic.forget_idle(began + IDLE_MS - 1).is_empty());
        let forgotten = traffic.forget_idle(began + IDLE_MS);
        assert_eq!(forgotten.len(), TRAFFIC_KINDS_MAX - 1, "one is open");
        assert_eq!(traffic.read(0).len(), 1);
        for number in 0..2 * TRAFFIC_KINDS_MAX {
            let place = other.place(Carrier::Poll, &name(1_000 + number));
            other.at(place).open(0);
        }
        let read = traffic.read(0);
        assert_eq!(read.len(), 1 + (TRAFFIC_KINDS_MAX - 1) + 1, "with the others");
        // The places are given anew, and the one that is open keeps its own.
        let place = one.place(Carrier::Sse, &name(7));
        assert!(places[1..].contains(&place) && one.tallies.len() == TRAFFIC_KINDS_MAX);
        assert_eq!(one.place(Carrier::Sse, &name(0)), places[0]);
        assert_eq!(one.at(places[0]).open.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn there_are_so_many_kinds_for_all_who_count_and_the_others() {
        let (traffic, mut one) = book();
        let mut other = Book::new(Arc::clone(&traffic));
        for number in 0..3 * TRAFFIC_KINDS_MAX {
            let book = if number % 2 == 0 { &mut one } else { &mut other };
            let place = book.place(Carrier::Sse, &filters(&[&format!("a{number}/b")]));
            book.at(place).open(0);
        }
        let read = traffic.read(0);
        assert_eq!(read.len(), TRAFFIC_KINDS_MAX + 1);
        let others = read.iter().find(|(_, kind, _)| &**kind == OTHERS).expect("there are others");
        assert_eq!(others.2.open as usize, 2 * TRAFFIC_KINDS_MAX);
    }
}
