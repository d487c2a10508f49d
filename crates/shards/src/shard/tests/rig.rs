//! A shard that is turned by hand, and clients of it.

mod client;

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bellwire_hub::{Hub, HubLimits, PastLimits, Point, Start, StateLimits, StateTable, Value};
use bellwire_journal::{
    Append, Bounds, ClockReading, ClockStep, Ended, Error, Journal, MemoryJournal, Observer, Page,
    ReadLimit, Record, RecordChange, RecordReply, Reply as AppendReply, RetentionRule,
    StateHorizons, StatePage, TopicFigures,
};
use bellwire_model::limits::CATCH_UPS_PER_SHARD_MAX;
use bellwire_model::{
    AskedQuery, Body, Closure, Condition, EffectiveFilter, Epoch, Event, Filter, FilterError,
    FilterSet, Fingerprint, Life, NameHasher, NewAcknowledgement, Offset, Principal, Progress,
    Sight, Timestamp, Topic, Version, WriteTerms,
};
use bellwire_process::clock;
use bellwire_wire::Outage;
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::publish::Post;
use bellwire_wire::ws::{self, Compression, Opcode, Subprotocol};
use http::{HeaderValue, header};
use mio::Events;
use tokio::sync::oneshot;

pub(super) use self::client::Client;
use self::client::pair;
use super::super::change;
use super::super::parts::Shard;
use super::super::work::Work;
use super::super::{Handoff, Reconsidering, ShardParts, Socket, Surroundings, Timing};
use crate::authority::{Authority, FollowerName, HeldPrincipal, HeldPrincipals, Standing};
use crate::committer::{Committer, Onward};
use crate::feed::{Batch, Destination, Feed};
use crate::form::{Coding, Encoding, Form, Framing, HttpForm, WebSocketForm};
use crate::frames::{self, Frames};
use crate::history::HistoryReaders;
use crate::pasts::PastRules;
use crate::presence::{Presence, PresenceTerms};
use crate::requests::{QueriesReply, RenewalReply, Reply, Requests, SamplesReply};
use crate::state::{SharedTable, States, new_table};
use crate::stream_request::{Handshake, StreamRequest};
use crate::topics::TopicRules;

pub(super) const EPOCH: Epoch = Epoch::new(7);
pub(super) const LIFE: Life = Life::new(5);

fn hasher() -> NameHasher {
    NameHasher::new([1, 2])
}

/// A shard, and what feeds it.
pub(super) struct Rig {
    pub(super) shard: Shard,
    table: Arc<Mutex<StateTable<Frames>>>,
    events: Events,
    /// All that was done in the turn with the most of each.
    pub(super) most: Work,
    pub(super) turns: usize,
    offset: Offset,
    /// The same, as the journal tells it.
    tail: Arc<AtomicU64>,
    pub(super) guests: Arc<Guests>,
    /// Who connects next.
    principal: Principal,
}

impl Rig {
    pub(super) fn new() -> Self {
        let memory = MemoryJournal::new(EPOCH, Vec::new(), Box::new(Nobody(Arc::default())));
        let tail = Arc::new(AtomicU64::new(0));
        let journal = Arc::new(Bystander { memory, tail: Arc::clone(&tail) });
        let parts = ShardParts::new((Offset::ZERO, Progress::ZERO), hasher()).expect("a poll");
        Self::over((journal, tail), parts, new_table(LIFE, hasher()))
    }

    /// One whose journal has what is appended to it, and of that so many events after a trim.
    pub(super) fn with_journal(events_max: u64) -> Self {
        let parts = ShardParts::new((Offset::ZERO, Progress::ZERO), hasher()).expect("a poll");
        let begin = (Offset::ZERO, LIFE, Progress::ZERO);
        let feed = Arc::new(Feed::new(vec![Arc::new(parts.handle.clone())], begin));
        let table = new_table(LIFE, hasher());
        let room = (Arc::clone(&table), usize::MAX);
        let states = States::new(EPOCH, room, Arc::clone(&feed), PastRules::default());
        let onward = Onward { epoch: EPOCH, feed, states: Arc::new(states) };
        let onward = Arc::new(OnceLock::from(onward));
        let topics = TopicRules::new(Vec::new(), std::time::Duration::from_hours(1));
        let committer = Committer { onward, rates: Arc::default(), topics };
        let pattern = "**".parse().expect("a filter");
        let (age, bytes_max, events_max) = (None, None, Some(events_max));
        let rule = RetentionRule { pattern, age, bytes_max, events_max };
        let journal = MemoryJournal::new(EPOCH, vec![rule], Box::new(committer));
        Self::over((Arc::new(journal), Arc::default()), parts, table)
    }

    fn over(
        (journal, tail): (Arc<dyn Journal>, Arc<AtomicU64>),
        parts: ShardParts,
        table: SharedTable,
    ) -> Self {
        let (an_hour, guests) = (Duration::from_hours(1), Arc::new(Guests::default()));
        let surroundings = Surroundings {
            table: Arc::clone(&table),
            history: HistoryReaders::start(&journal).expect("threads"),
            journal,
            subscriptions: Arc::default(),
            topics: TopicRules::new(Vec::new(), an_hour),
            requests: Arc::new(Nobody(guests.clone())),
            authority: guests.clone(),
            figures: Arc::default(),
            lags: Arc::default(),
            closed: Arc::default(),
            transports: Arc::default(),
            traffic: Arc::default(),
            timing: Timing { heartbeat_interval: an_hour, stall_timeout: an_hour },
            presence: Presence::new(PresenceTerms {
                topics: vec!["rooms/**".parse().expect("a filter")],
                grace: Duration::from_secs(10),
                named_max: 3,
            }),
            held_bytes_max: 1024 * 1024,
        };
        let shard = Shard::new(0, parts, Arc::new(surroundings));
        let (events, offset) = (Events::with_capacity(1024), Offset::ZERO);
        let principal = Principal(1);
        Self {
            shard,
            table,
            events,
            most: Work::default(),
            turns: 0,
            offset,
            tail,
            guests,
            principal,
        }
    }

    /// Gives the hub limits of its own.
    pub(super) fn with_limits(mut self, limits: HubLimits) -> Self {
        self.shard.hub = Hub::new(self.shard.hub.tail(), limits, hasher());
        self
    }

    /// Appends an event to a journal that has what is appended to it.
    pub(super) fn append(&self, topic: &str, json: &str) -> Offset {
        self.append_event(event(topic, None, json))
    }

    /// Ends a topic in such a journal.
    pub(super) fn end(&self, topic: &str) -> Offset {
        let topic = topic.parse().expect("a topic");
        self.append_event(Closure::End.event(topic, Timestamp::from_ms(1)))
    }

    /// Has a topic go on that has ended.
    pub(super) fn reopen(&self, topic: &str) -> Offset {
        let topic = topic.parse().expect("a topic");
        self.append_event(Closure::Reopened.event(topic, Timestamp::from_ms(1)))
    }

    /// Has such a journal remove what is beyond its bound.
    pub(super) fn trim(&self) {
        let now = ClockReading { wall: Timestamp::from_ms(1), uptime: Duration::ZERO };
        self.shard.surroundings.journal.apply_retention(now).expect("a journal");
    }

    fn append_event(&self, event: Event) -> Offset {
        let (reply, replied) = std::sync::mpsc::sync_channel(1);
        let append = Append::new(event, None);
        let reply = Box::new(move |result| reply.send(result).expect("it is waited for"));
        self.shard.surroundings.journal.append(vec![append], reply).expect("room");
        replied.recv().expect("a reply").expect("an offset")[0].offset
    }

    /// Turns until there is nothing to do; pages of history are waited for.
    pub(super) fn settle(&mut self) {
        loop {
            self.turn();
            let is_idle = self.shard.agenda.is_clear() && !self.shard.members.has_touched();
            let is_idle = is_idle && !self.shard.outages.is_under_way();
            let is_reading = self.shard.pages.vacant() < CATCH_UPS_PER_SHARD_MAX;
            if is_idle && is_reading {
                // The page wakes it.
                self.shard.turn(&mut self.events);
            } else if is_idle && !self.shard.pages.may_admit() {
                return;
            }
        }
    }

    fn total(&self) -> Work {
        self.shard.ledger.total(self.shard.counts())
    }

    /// One turn, be there something to do or nothing.
    pub(super) fn turn(&mut self) -> Work {
        self.shard.handle.0.wake();
        let before = self.total();
        self.shard.turn(&mut self.events);
        self.turns += 1;
        let work = self.total().since(&before);
        self.most = Work {
            events: self.most.events.max(work.events),
            written_bytes: self.most.written_bytes.max(work.written_bytes),
            deflated_bytes: self.most.deflated_bytes.max(work.deflated_bytes),
            read_bytes: self.most.read_bytes.max(work.read_bytes),
            inflated_bytes: self.most.inflated_bytes.max(work.inflated_bytes),
            looks: self.most.looks.max(work.looks),
        };
        work
    }

    /// Puts as many keys of a state topic into the table as there are, one after the other.
    pub(super) fn put(&mut self, topic: &str, keys: impl Iterator<Item = usize>) {
        self.put_json(topic, keys, "{}");
    }

    /// The same with this as the value of each.
    pub(super) fn put_json(&mut self, topic: &str, keys: impl Iterator<Item = usize>, json: &str) {
        let mut table = self.table.lock().expect("not poisoned");
        let room = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };
        let put = |key: usize| -> Arc<Value<Frames>> {
            let event = event(topic, Some(key.to_string().into()), json);
            let (topic, size_bytes) = (event.topic.clone(), event.size_bytes());
            let payload = (Frames::new(EPOCH, None, event), size_bytes);
            table.put((&topic, &key.to_string()), payload, room).expect("room")
        };
        let changes: Arc<[_]> = keys.map(put).collect();
        self.shard.handle.push(&Batch::Values(changes));
    }

    /// Puts as many series on a topic as there are keys, and remembers so many points of each, which are
    /// all the same.
    pub(super) fn put_series(&mut self, topic: &str, keys: std::ops::Range<usize>, points: usize) {
        let json = r#"{"name":"steady","labels":{"site":"oslo"},"value":1,"timestamp":1}"#;
        self.put_json(topic, keys.clone(), json);
        let mut table = self.table.lock().expect("not poisoned");
        let topic = topic.parse().expect("a topic");
        let now_ms = clock::now().as_ms();
        let limits = PastLimits { window_ms: u32::MAX, points_max: u16::MAX };
        for (key, point) in keys.flat_map(|key| (0..points).map(move |point| (key, point))) {
            let point = Point { time_ms: now_ms + point as i64, value: 1.0 };
            table.remember((&topic, &key.to_string()), (point, now_ms), (limits, usize::MAX));
        }
    }

    /// Appends an event, and feeds it to the shard.
    pub(super) fn publish(&mut self, topic: &str, json: &str) -> Offset {
        self.publish_all(&[topic], json)
    }

    /// The same with one for each of these topics, as one batch.
    pub(super) fn publish_all(&mut self, topics: &[&str], json: &str) -> Offset {
        let mut publish = |topic: &&str| {
            self.offset = Offset::new(self.offset.get() + 1);
            let event = event(topic, None, json);
            frames::entry(EPOCH, bellwire_model::Entry::of_stream(self.offset, event), None)
        };
        let entries = topics.iter().map(&mut publish).collect();
        self.tail.store(self.offset.get(), Ordering::Release);
        self.shard.handle.push(&Batch::Entries(entries));
        self.offset
    }

    /// Appends an event that comes behind this change of state topics, and feeds it to the shard.
    pub(super) fn publish_behind(&mut self, topic: &str, version: Version) {
        self.offset = Offset::new(self.offset.get() + 1);
        let entry = bellwire_model::Entry::of_stream(self.offset, event(topic, None, "1"));
        let reach = Progress { version, durable: Offset::ZERO };
        let entry = frames::entry(EPOCH, entry, Some((LIFE, reach)));
        self.tail.store(self.offset.get(), Ordering::Release);
        self.shard.handle.push(&Batch::Entries(Arc::from([entry])));
    }

    /// Leaves out so many offsets, as a node of a cluster does behind each commit.
    pub(super) fn leave_out(&mut self, offsets: u64) {
        self.offset = Offset::new(self.offset.get() + offsets);
    }

    /// Has so many events pass.
    pub(super) fn pass_by(&mut self, topic: &str, events: usize) -> Offset {
        self.publish_all(&vec![topic; events], "\"one of many\"")
    }

    /// Connects somebody.
    pub(super) fn connect(&mut self, filters: &[&str], start: Start, form: Form) -> Client {
        let (client, socket) = pair();
        self.adopt(socket, filters, (start, form));
        client
    }

    /// Connects somebody who keeps what it has of state topics.
    pub(super) fn connect_keeping(&mut self, filters: &[&str], start: Start, form: Form) -> Client {
        let (client, socket) = pair();
        let mut handoff = self.handoff(socket, filters, (start, form));
        handoff.request.resumes_state = true;
        self.shard.handle.adopt(handoff).expect("room");
        client
    }

    /// Connects somebody who wants all that is remembered of series.
    pub(super) fn connect_for_past(&mut self, filters: &[&str], form: Form) -> Client {
        let (client, socket) = pair();
        let mut handoff = self.handoff(socket, filters, (Start::Latest, form));
        handoff.request.history_ms = Some(NonZeroU32::MAX);
        self.shard.handle.adopt(handoff).expect("room");
        client
    }

    /// Connects a WebSocket that knows what its handshake was.
    pub(super) fn shake_hands(&mut self, filters: &[&str], form: Form) -> Client {
        let (client, socket) = pair();
        let mut handoff = self.handoff(socket, filters, (Start::Latest, form));
        let version = [(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))];
        let handshake = Handshake::of_http2(Some("websocket"), &version.into_iter().collect());
        handoff.request.handshake = handshake.expect("valid").map(Box::new);
        self.shard.handle.adopt(handoff).expect("room");
        client
    }

    /// Connects somebody for whom somebody else answers, who is told where that is refused.
    pub(super) fn connect_answered(
        &mut self,
        filters: &[&str],
        begin: (Start, Form),
    ) -> oneshot::Receiver<Problem> {
        let (answers, refused) = oneshot::channel();
        let handoff = self.handoff(pair().1, filters, begin);
        self.shard.handle.adopt(Handoff { answers: Some(answers), ..handoff }).expect("room");
        refused
    }

    /// The next who connect are of this principal.
    pub(super) fn come_as(&mut self, principal: Principal) {
        self.principal = principal;
    }

    /// Takes back what these have shown; the shard has yet to look for them.
    pub(super) fn revoke(&mut self, principals: &[Principal]) -> Reconsidering {
        self.guests.revoked.lock().expect("not poisoned").extend(principals);
        let held = HeldPrincipals::new(principals.to_vec(), self.guests.clone());
        let (change, reconsidering) = change::begin(held);
        self.shard.handle.reconsider(change);
        self.shard.reconsideration.let_begin();
        reconsidering
    }

    /// These have shown something newer, which lets them follow this and see that; the shard has yet
    /// to look for them.
    pub(super) fn renew(
        &mut self,
        principal: Principal,
        (allowed, sight): (&[&str], Sight),
    ) -> Reconsidering {
        let allowed = allowed.iter().map(|text| text.parse::<Filter>().expect("a filter"));
        let allowed = FilterSet::new(allowed).unwrap_or_else(|_| FilterSet::none());
        let rights = &self.guests.rights;
        rights.lock().expect("not poisoned").insert(principal, (allowed, sight));
        let held = HeldPrincipals::new(vec![principal], self.guests.clone());
        let (change, reconsidering) = change::begin(held);
        self.shard.handle.reconsider(change);
        self.shard.reconsideration.let_begin();
        reconsidering
    }

    /// There is an outage from now on, or none; clients are yet to be told.
    pub(super) fn tell(&mut self, outage: Option<Outage>) {
        self.shard.handle.tell(outage);
    }

    /// Gives a connection to the shard.
    pub(super) fn adopt(&mut self, socket: Socket, filters: &[&str], begin: (Start, Form)) {
        let handoff = self.handoff(socket, filters, begin);
        self.shard.handle.adopt(handoff).expect("room");
    }

    fn handoff(&self, socket: Socket, filters: &[&str], (start, form): (Start, Form)) -> Handoff {
        let filters = filters.iter().map(|text| text.parse::<Filter>().expect("a filter"));
        let filters = FilterSet::new(filters).unwrap_or_else(|_| FilterSet::none());
        let follows = EffectiveFilter::from(filters);
        Handoff {
            socket,
            request: StreamRequest::new(follows, start, form),
            principal: HeldPrincipal::new(self.principal, self.guests.clone()),
            early: Box::default(),
            place: None,
            answers: None,
        }
    }
}

pub(super) const SSE: Form = sse(Coding::Identity);
pub(super) const SSE_GZIP: Form = sse(Coding::Gzip);
pub(super) const NDJSON: Form = http(Encoding::Ndjson, Coding::Identity);
pub(super) const WEBSOCKET: Form = websocket(Compression::Deflate);
pub(super) const PLAIN_WEBSOCKET: Form = websocket(Compression::Off);

const fn websocket(compression: Compression) -> Form {
    Form::WebSocket(WebSocketForm { subprotocol: Subprotocol::Json, compression })
}

const fn sse(coding: Coding) -> Form {
    http(Encoding::Sse, coding)
}

const fn http(encoding: Encoding, coding: Coding) -> Form {
    Form::Http(HttpForm { encoding, coding, framing: Framing::Plain })
}

/// A text of a WebSocket's client.
pub(super) fn text(text: &str) -> Vec<u8> {
    ws::masked_frame(Opcode::Text, text.as_bytes(), [1, 2, 3, 4])
}

fn event(topic: &str, key: Option<Box<str>>, json: &str) -> Event {
    Event {
        topic: topic.parse().expect("a topic"),
        key,
        event_type: None,
        time: Timestamp::from_ms(1),
        body: Some(Body::Json(json.to_owned().into())),
    }
}

/// Who does nothing for anybody.
#[derive(Debug)]
struct Nobody(Arc<Guests>);

impl Observer for Nobody {
    fn on_commit(&mut self, _entries: Vec<bellwire_model::Entry>) {}
}

fn refused<T>() -> Result<T, Problem> {
    Err(Problem::new(Code::Draining, "nobody is here").retry_after(3))
}

/// Whoever is here.
#[derive(Debug, Default)]
pub(super) struct Guests {
    /// Whether what they have shown has ended.
    pub(super) are_over: AtomicBool,
    /// Those of whom it was taken back.
    pub(super) revoked: Mutex<Vec<Principal>>,
    /// What they have shown still counts for so long, and is tolerated for so long.
    pub(super) ends: Mutex<Option<(Duration, Duration)>>,
    /// What those may who have renewed what they have shown.
    pub(super) rights: Mutex<HashMap<Principal, (FilterSet, Sight)>>,
    /// How many have gone.
    pub(super) gone: AtomicU64,
}

impl Authority for Guests {
    fn standing(&self, principal: Principal) -> Standing {
        if self.revoked.lock().expect("not poisoned").contains(&principal) {
            return Standing::Revoked;
        }
        if self.are_over.load(Ordering::Relaxed) {
            return Standing::Ends { left: Duration::ZERO, tolerated: Duration::ZERO };
        }
        let ends = self.ends.lock().expect("not poisoned");
        match *ends {
            Some((left, tolerated)) => Standing::Ends { left, tolerated },
            None => Standing::Good,
        }
    }

    fn is_renewed(&self, principal: Principal) -> bool {
        self.rights.lock().expect("not poisoned").contains_key(&principal)
    }

    fn rest(
        &self,
        principal: Principal,
        follows: EffectiveFilter,
    ) -> Result<EffectiveFilter, FilterError> {
        match self.rights.lock().expect("not poisoned").get(&principal) {
            Some((allowed, sight)) => follows.within(allowed, sight),
            None => Ok(follows),
        }
    }

    fn filters_allowed(&self, principal: Principal) -> usize {
        let rights = self.rights.lock().expect("not poisoned");
        rights.get(&principal).map_or(1, |(allowed, _)| allowed.iter().count())
    }

    fn renews(&self, principal: Principal) -> Option<String> {
        Some(format!("principal-{}", principal.0))
    }

    fn follower(&self, _: Principal, _: Option<IpAddr>) -> FollowerName {
        crate::nobody()
    }

    fn leave(&self, _: Principal) {
        self.gone.fetch_add(1, Ordering::Relaxed);
    }
}

impl Requests for Nobody {
    fn permit(&self, _: Principal, follows: EffectiveFilter) -> Result<EffectiveFilter, Problem> {
        Ok(follows)
    }

    fn follow_queries(
        &self,
        _: Principal,
        _: Option<IpAddr>,
        _: (Vec<AskedQuery>, Option<Duration>),
        _: QueriesReply,
    ) -> Result<(), Problem> {
        refused()
    }

    fn renew(
        &self,
        _: Principal,
        _: Option<IpAddr>,
        shown: Box<str>,
        reply: RenewalReply,
    ) -> Result<(), Problem> {
        let Ok(number) = shown.parse() else { return refused() };
        reply(Ok(HeldPrincipal::new(Principal(number), self.0.clone())));
        Ok(())
    }

    fn publish(&self, _: Principal, _: Post, _: Option<Box<str>>, _: Reply) -> Result<(), Problem> {
        refused()
    }

    fn touch(
        &self,
        _: Principal,
        _: (Topic, &str),
        _: WriteTerms,
        _: Reply,
    ) -> Result<(), Problem> {
        Err(Problem::new(Code::Draining, "nobody is here"))
    }

    fn delete(
        &self,
        _: Principal,
        _: (Topic, &str),
        _: Condition,
        _: Reply,
    ) -> Result<(), Problem> {
        refused()
    }

    fn delete_all(&self, _: Principal, _: (Topic, &str), _: Reply) -> Result<(), Problem> {
        refused()
    }

    fn acknowledge(
        &self,
        _: Principal,
        _: Fingerprint,
        _: NewAcknowledgement,
        _: Reply,
    ) -> Result<(), Problem> {
        refused()
    }

    fn unacknowledge(&self, _: Principal, _: Fingerprint, _: Reply) -> Result<(), Problem> {
        refused()
    }

    fn take_samples(
        &self,
        _: Principal,
        _: Option<IpAddr>,
        _: &[u8],
        _: SamplesReply,
    ) -> Result<(), Problem> {
        refused()
    }
}

/// A journal that has nothing to be read, and whose topics a shard must not walk.
#[derive(Debug)]
struct Bystander {
    memory: MemoryJournal,
    /// What has been fed to the shard.
    tail: Arc<AtomicU64>,
}

impl Journal for Bystander {
    fn epoch(&self) -> Epoch {
        EPOCH
    }

    fn append(&self, batch: Vec<Append>, reply: AppendReply) -> Result<(), Error> {
        self.memory.append(batch, reply)
    }

    fn bounds(&self) -> Bounds {
        let tail = Offset::new(self.tail.load(Ordering::Acquire));
        Bounds { tail, ..self.memory.bounds() }
    }

    fn trimmed(&self, _: &FilterSet) -> Offset {
        panic!("a shard walks over all topics that the journal knows")
    }

    fn read(&self, after: Offset, filters: &FilterSet, limit: ReadLimit) -> Result<Page, Error> {
        self.memory.read(after, filters, limit)
    }

    fn state(&self, after: Offset, limit: ReadLimit) -> Result<StatePage, Error> {
        self.memory.state(after, limit)
    }

    fn state_horizons(&self) -> Result<StateHorizons, Error> {
        self.memory.state_horizons()
    }

    fn ended(&self, topic: &str) -> Option<Ended> {
        self.memory.ended(topic)
    }

    fn list_topics(&self, prefix: &str, after: &str, limit: usize) -> Vec<TopicFigures> {
        self.memory.list_topics(prefix, after, limit)
    }

    fn write_records(&self, changes: Vec<RecordChange>, reply: RecordReply) -> Result<(), Error> {
        self.memory.write_records(changes, reply)
    }

    fn records(&self, prefix: &str) -> Result<Vec<Record>, Error> {
        self.memory.records(prefix)
    }

    fn health(&self) -> Result<(), Error> {
        self.memory.health()
    }

    fn damaged(&self) -> u64 {
        self.memory.damaged()
    }

    fn damaged_blocks(&self) -> u64 {
        self.memory.damaged_blocks()
    }

    fn apply_retention(&self, now: ClockReading) -> Result<Option<ClockStep>, Error> {
        self.memory.apply_retention(now)
    }

    fn expire(&self, now: ClockReading) -> Result<Option<Duration>, Error> {
        self.memory.expire(now)
    }

    fn close(&self) -> Result<(), Error> {
        self.memory.close()
    }
}
