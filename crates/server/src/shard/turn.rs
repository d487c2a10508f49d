//! The shard's loop: poll, take in what waits, visit who is touched, look at the wheel.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use bellwire_hub::{Hub, HubLimits, LaneEnd, LaneId, Snapshot};
use bellwire_model::FilterSet;
use bellwire_model::limits::{DELETIONS_KEPT_MAX, LANES_PER_SHARD_MAX, VISITS_PER_TURN};
use bellwire_wire::{ndjson, sse};
use bytes::{Bytes, BytesMut};
use mio::{Events, Poll};
use slab::Slab;

use super::catch_up::CatchUps;
use super::connection::{Connection, Mood};
use super::inbox::{ShardHandle, Waiting, poll_and_handle};
use super::lanes::LaneMembers;
use super::pump::{self, Context, Pumped, Written};
use super::socket::Socket;
use super::wheel::Wheel;
use super::{Handoff, Surroundings, Token};
use crate::clock::{Ticker, ticks};
use crate::crash;
use crate::feed::Batch;
use crate::frames::{Encoding, Frames};
use crate::problem::{Code, Problem};
use crate::stream_request;

/// The poll's token of the inbox; connections have their slab keys.
const INBOX: mio::Token = mio::Token(usize::MAX);

/// What a shard is spawned from. Its handle exists first: the feed needs it.
#[derive(Debug)]
pub(crate) struct ShardParts {
    poll: Poll,
    pub(crate) handle: ShardHandle,
}

impl ShardParts {
    pub(crate) fn new() -> io::Result<Self> {
        let (poll, handle) = poll_and_handle(INBOX)?;
        Ok(Self { poll, handle })
    }
}

/// Starts a shard's thread.
pub(crate) fn spawn(
    index: usize,
    parts: ShardParts,
    surroundings: Arc<Surroundings>,
) -> io::Result<JoinHandle<()>> {
    let bounds = surroundings.journal.bounds();
    let ticker = Ticker::start();
    let shard = Shard {
        hub: Hub::new(surroundings.journal.epoch(), bounds.tail, HubLimits::default()),
        poll: parts.poll,
        handle: parts.handle,
        connections: Slab::new(),
        members: LaneMembers::default(),
        adoptions: VecDeque::new(),
        queued: VecDeque::new(),
        catch_ups: CatchUps::default(),
        wheel: Wheel::new(ticker.now()),
        ticker,
        written: Written::default(),
        surroundings,
    };
    crash::spawn_essential(format!("shard-{index}"), move || shard.run())
}

/// One shard. See the module above.
pub(super) struct Shard {
    pub(super) surroundings: Arc<Surroundings>,
    poll: Poll,
    pub(super) handle: ShardHandle,
    pub(super) hub: Hub<Frames>,
    pub(super) connections: Slab<Connection>,
    pub(super) members: LaneMembers,
    /// Connections that the front door has given, and that are yet to be taken in.
    pub(super) adoptions: VecDeque<Handoff>,
    /// Connections that have more to write than one pump may.
    pub(super) queued: VecDeque<Token>,
    pub(super) catch_ups: CatchUps,
    wheel: Wheel,
    pub(super) ticker: Ticker,
    pub(super) written: Written,
}

impl Shard {
    fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        let mut scratch = vec![0; 4096];
        loop {
            if let Err(error) = self.poll.poll(&mut events, Some(self.poll_timeout())) {
                assert_eq!(error.kind(), io::ErrorKind::Interrupted, "poll failed: {error}");
            }
            for event in &events {
                if event.token() == INBOX {
                    let waiting = self.handle.0.take();
                    if self.take_in(waiting) == Phase::Ended {
                        return;
                    }
                } else {
                    self.on_socket_event(event, &mut scratch);
                }
            }
            self.adopt_some();
            self.visit_touched();
            self.visit_queued();
            self.look_at_wheel();
            self.free_history();
            self.report();
        }
    }

    fn poll_timeout(&self) -> Duration {
        let is_idle = self.queued.is_empty() && self.adoptions.is_empty();
        if !is_idle || self.members.has_touched() {
            return Duration::ZERO;
        }
        // Nobody to attend to: the inbox wakes.
        self.wheel.next_due().map_or(Duration::from_hours(1), |due| self.ticker.until(due))
    }

    fn take_in(&mut self, waiting: Waiting) -> Phase {
        self.push(waiting.batches);
        self.adoptions.extend(waiting.adoptions);
        for page in waiting.pages {
            self.take_page(page);
        }
        if waiting.drain_pairs {
            self.drain_pairs();
        }
        if waiting.drain {
            self.drain();
            return Phase::Ended;
        }
        Phase::Running
    }

    fn push(&mut self, batches: VecDeque<Batch>) {
        let mut touched = Vec::new();
        for batch in batches {
            match batch {
                Batch::Entries(entries) => self.hub.push(&entries, &mut touched),
                Batch::Values(values) => self.hub.push_values(&values, &mut touched),
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for lane in touched {
            self.members.touch(lane);
            if self.hub.wants_compaction(lane) {
                self.compact(lane);
            }
        }
    }

    /// What a new lane starts from, if these filters need one; the hub is as new as that.
    pub(super) fn snapshot(&mut self, filters: &FilterSet) -> Option<Snapshot<Frames>> {
        if self.hub.has_lane(filters) {
            return None;
        }
        // Changes come into the inbox under the table's lock, so the two agree while it is held.
        let table = self.surroundings.table.lock().expect("not poisoned");
        let batches = self.handle.0.take_batches();
        let snapshot = table.snapshot(filters);
        drop(table);
        self.push(batches);
        Some(snapshot)
    }

    /// Takes in some of the connections that wait, so that many of them do not hold up the others.
    fn adopt_some(&mut self) {
        for _ in 0..self.adoptions.len().min(VISITS_PER_TURN) {
            let Some(handoff) = self.adoptions.pop_front() else { break };
            self.adopt(handoff);
        }
    }

    fn adopt(&mut self, handoff: Handoff) {
        let Handoff { mut socket, request } = handoff;
        if self.hub.lanes() >= LANES_PER_SHARD_MAX && !self.hub.has_lane(&request.filters) {
            let detail =
                "as many different filters are followed as may be: follow one of a broader kind";
            let problem = Problem::new(Code::ConnectionsExhausted, detail).retry_after(30);
            socket.refuse(&problem);
            self.handle.0.connections.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let journal = &self.surroundings.journal;
        let begin = stream_request::begin(journal.as_ref(), &request.filters, request.start);
        let snapshot = self.snapshot(&request.filters);
        let (delivery, gap) = self.hub.join(&request.filters, begin, snapshot);
        self.surroundings.subscriptions.join(&request.filters);
        let now = self.ticker.now();
        let mut connection = Connection::new(socket, delivery, &request, now);
        let mut opening = match connection.socket {
            // Whoever has the other end answers.
            Socket::Pair(_) => BytesMut::new(),
            Socket::Tcp(_) | Socket::Tls(_) => super::response_head(&request),
        };
        if request.encoding != Encoding::Ndjson {
            let retry = crate::controls::jittered_retry();
            opening.extend_from_slice(&pump::framed(&sse::retry(retry), request.framing));
        }
        if let Some(gap) = gap {
            let gap = crate::controls::gap(&gap, &request.filters);
            opening.extend_from_slice(&pump::control(&connection, &gap));
        }
        connection.unwritten = Some(Box::new(opening.freeze()));

        let slot = self.connections.vacant_entry();
        let token = slot.key();
        connection.place = self.members.join(connection.delivery.lane(), token);
        let due = now + ticks(self.surroundings.timing.heartbeat_interval);
        connection.due_at = self.wheel.insert(token, due);
        let connection = slot.insert(connection);
        self.surroundings.figures.streams_open.add(1);
        self.surroundings.figures.connections_open.add(1);
        if let Err(error) = connection.socket.register(self.poll.registry(), mio::Token(token)) {
            tracing::warn!(%error, "The poll does not take a connection; it is closed.");
            return self.close(token);
        }
        self.visit(token);
    }

    fn on_socket_event(&mut self, event: &mio::event::Event, scratch: &mut [u8]) {
        let token = event.token().0;
        let Some(connection) = self.connections.get_mut(token) else { return };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            // A client that closes its half has gone: it has nothing to say on such a stream.
            if connection.drop_input(scratch).is_err() {
                return self.close(token);
            }
        }
        if event.is_writable() {
            self.visit(token);
        }
    }

    /// Pumps the connections of touched lanes, some of each lane a turn.
    pub(super) fn visit_touched(&mut self) {
        let mut visits = Vec::new();
        self.members.next_visits(&mut visits);
        for token in visits {
            self.visit(token);
        }
    }

    /// Gives each connection that had more than its share another turn.
    fn visit_queued(&mut self) {
        for _ in 0..self.queued.len().min(VISITS_PER_TURN) {
            let Some(token) = self.queued.pop_front() else { break };
            if let Some(connection) = self.connections.get_mut(token)
                && connection.mood == Mood::Queued
            {
                connection.mood = Mood::Calm;
                self.visit(token);
            }
        }
    }

    pub(super) fn visit(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        let context = Context {
            now: self.ticker.now(),
            heartbeat_interval: self.surroundings.timing.heartbeat_interval,
        };
        let pumped =
            crash::contain(|| pump::pump(connection, &mut self.hub, &context, &mut self.written));
        let Some(pumped) = pumped else {
            tracing::error!("An invariant is broken for one connection; it ends.");
            return self.close(token);
        };
        match pumped {
            Ok(Pumped::Done | Pumped::Blocked) => {}
            Ok(Pumped::More) => {
                if connection.mood == Mood::Calm {
                    connection.mood = Mood::Queued;
                    self.queued.push_back(token);
                }
            }
            Ok(Pumped::NeedsHistory(after)) => self.catch_up(token, after),
            Err(_) => self.close(token),
        }
    }

    /// Heartbeats for the silent, an end for the stalled.
    fn look_at_wheel(&mut self) {
        let now = self.ticker.now();
        let mut due = Vec::new();
        self.wheel.advance(now, &mut due);
        for (token, due_at) in due {
            let Some(connection) = self.connections.get_mut(token) else { continue };
            if connection.due_at != due_at {
                continue;
            }
            let timing = self.surroundings.timing;
            let silent = now.saturating_sub(connection.written_at);
            if connection.is_blocked() && silent >= ticks(timing.stall_timeout) {
                self.surroundings.figures.streams_stalled.add(1);
                self.close(token);
                continue;
            }
            if !connection.is_blocked() && silent >= ticks(timing.heartbeat_interval) {
                connection.unwritten = Some(Box::new(heartbeat(connection, &self.hub)));
            }
            self.visit(token);
            let Some(connection) = self.connections.get_mut(token) else { continue };
            let patience = if connection.is_blocked() {
                timing.stall_timeout
            } else {
                timing.heartbeat_interval
            };
            let next = (connection.written_at + ticks(patience)).max(now + 1);
            connection.due_at = self.wheel.insert(token, next);
        }
    }

    /// Frees stale state values of the lanes that hold many.
    fn compact(&mut self, lane: LaneId) {
        let versions =
            self.members.tokens(lane).map(|token| self.connections[token].delivery.version());
        let Some(seen) = versions.min() else { return };
        let deletions = self.hub.compact(lane, seen);
        if deletions <= DELETIONS_KEPT_MAX {
            return;
        }
        // The slowest hold up what everybody else has got rid of: they start with a new snapshot.
        let is_slowest = |token: &Token| self.connections[*token].delivery.version() == seen;
        let slowest: Vec<Token> = self.members.tokens(lane).filter(is_slowest).collect();
        self.surroundings.figures.streams_stalled.add(slowest.len() as u64);
        for token in slowest {
            self.close(token);
        }
    }

    pub(super) fn close(&mut self, token: Token) {
        let Some(mut connection) = self.connections.try_remove(token) else { return };
        connection.socket.end();
        // The descriptor is about to close, which removes it from the poll in any case.
        let _ = connection.socket.deregister(self.poll.registry());
        let lane = connection.delivery.lane();
        self.surroundings.subscriptions.leave(self.hub.filters(lane));
        if let Some(moved) = self.members.leave(lane, connection.place) {
            self.connections[moved].place = connection.place;
        }
        if self.hub.leave(&connection.delivery) == LaneEnd::Ended {
            self.catch_ups.abandon(lane);
        }
        self.surroundings.figures.streams_open.sub(1);
        self.surroundings.figures.connections_open.sub(1);
        self.handle.0.connections.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn report(&mut self) {
        let written = std::mem::take(&mut self.written);
        if written.bytes > 0 {
            self.surroundings.figures.events_delivered.add(written.events);
            self.surroundings.figures.bytes_delivered.add(written.bytes);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Ended,
}

fn heartbeat(connection: &mut Connection, hub: &Hub<Frames>) -> Bytes {
    let cursor = hub.cursor(&connection.delivery);
    // Only a cursor that moved is news.
    let moved = (cursor.offset > connection.told).then_some(cursor);
    connection.told = cursor.offset;
    let payload = match connection.encoding {
        Encoding::Sse | Encoding::SseRaw => sse::heartbeat(moved),
        Encoding::Ndjson => ndjson::heartbeat(moved),
    };
    pump::framed(&payload, connection.framing)
}
