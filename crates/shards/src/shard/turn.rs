//! The shard's loop: poll, take in what waits, visit who is touched, look at the wheel.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bellwire_hub::{Hub, HubLimits, HubSize, LaneId};
use bellwire_model::limits::{
    IDLE_INPUT_BYTES_MAX, LOOKS_PER_TURN_MAX, READ_BYTES_MAX, VISITS_PER_TURN,
};
use bellwire_model::{Cursor, NameHasher, Offset};
use bellwire_process::clock::{Tick, Ticker, ticks};
use bellwire_process::{Figure, crash};
use bellwire_wire::ws::{CloseCode, Inflater};
use mio::{Events, Poll};
use slab::Slab;

use super::catch_up::CatchUps;
use super::compaction::HeldUp;
use super::connection::Connection;
use super::hoards::Hoards;
use super::inbox::{ShardHandle, Waiting, poll_and_handle};
use super::lag::Laggards;
use super::lanes::LaneMembers;
use super::outlet::Account;
use super::pump::{self, Tools};
use super::segments::Segments;
use super::speech::Speech;
use super::wheel::Wheel;
use super::work::{self, Work};
use super::{Handoff, Surroundings, Token, polls};
use crate::feed::Batch;
use crate::frames::{self, Frames};

/// The poll's token of the inbox; connections have their slab keys.
const INBOX: mio::Token = mio::Token(usize::MAX);

/// Events of the poll that a turn looks at.
const EVENTS_PER_TURN: usize = 1024;

/// What a shard is spawned from. Its handle exists first: the feed needs it.
#[derive(Debug)]
pub struct ShardParts {
    poll: Poll,
    pub handle: ShardHandle,
    /// What came before anything could come into the inbox: the shard starts later, and finds
    /// there what the rules have announced meanwhile.
    tail: Offset,
    name_hasher: NameHasher,
}

impl ShardParts {
    pub fn new(tail: Offset, name_hasher: NameHasher) -> io::Result<Self> {
        let (poll, handle) = poll_and_handle(INBOX)?;
        Ok(Self { poll, handle, tail, name_hasher })
    }
}

/// Starts a shard's thread.
pub fn spawn(
    index: usize,
    parts: ShardParts,
    surroundings: Arc<Surroundings>,
) -> io::Result<JoinHandle<()>> {
    let shard = Shard::new(index, parts, surroundings);
    crash::spawn_essential(format!("shard-{index}"), move || shard.run())
}

/// One shard. See the module above.
pub(super) struct Shard {
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) poll: Poll,
    pub(super) handle: ShardHandle,
    pub(super) hub: Hub<Frames>,
    pub(super) connections: Slab<Connection>,
    pub(super) members: LaneMembers,
    /// Connections that the front door has given, and that are yet to be taken in.
    pub(super) adoptions: VecDeque<Handoff>,
    /// Connections that are to get another turn.
    pub(super) queued: VecDeque<Token>,
    pub(super) catch_ups: CatchUps,
    pub(super) wheel: Wheel,
    pub(super) ticker: Ticker,
    /// What clients say.
    pub(super) input: Input,
    /// What was done so far, but for what others count: see [`Shard::work`].
    pub(super) work: Work,
    /// All of it when this turn began, and when somebody was last listened to.
    pub(super) turn_began: Work,
    pub(super) visit_began: Work,
    shown: Shown,
    pub(super) segments: Segments,
    pub(super) laggards: Laggards,
    pub(super) held_up_by: Vec<HeldUp>,
    pub(super) index: usize,
}

/// What all connections share to read with.
#[derive(Debug)]
pub(super) struct Input {
    /// What was read last; nobody keeps any of it.
    pub(super) scratch: Vec<u8>,
    pub(super) inflater: Inflater,
    /// What is held of what they have said.
    pub(super) hoards: Hoards,
    /// The last number that was given to a WebSocket.
    pub(super) serial: u32,
}

impl Input {
    fn new(held_bytes_max: usize) -> Self {
        let (scratch, inflater) = (vec![0; READ_BYTES_MAX], Inflater::default());
        Self { scratch, inflater, hoards: Hoards::new(held_bytes_max), serial: 0 }
    }
}

impl Shard {
    pub(super) fn new(index: usize, parts: ShardParts, surroundings: Arc<Surroundings>) -> Self {
        let ticker = Ticker::start();
        let tail = Cursor { epoch: surroundings.journal.epoch(), offset: parts.tail };
        Self {
            hub: Hub::new(tail, HubLimits::default(), parts.name_hasher),
            poll: parts.poll,
            handle: parts.handle,
            connections: Slab::new(),
            members: LaneMembers::default(),
            adoptions: VecDeque::new(),
            queued: VecDeque::new(),
            catch_ups: CatchUps::default(),
            wheel: Wheel::new(ticker.now()),
            ticker,
            input: Input::new(surroundings.held_bytes_max),
            work: Work::default(),
            turn_began: Work::default(),
            visit_began: Work::default(),
            shown: Shown::default(),
            segments: Segments::default(),
            laggards: Laggards::default(),
            held_up_by: Vec::new(),
            index,
            surroundings,
        }
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        while self.turn(&mut events) == Phase::Running {}
    }

    /// Waits until there is something to do, and does some of it.
    pub(super) fn turn(&mut self, events: &mut Events) -> Phase {
        let timeout = self.poll_timeout();
        if let Err(error) = self.poll.poll(events, Some(timeout)) {
            // Anything else says that the descriptor is broken: nobody could be served.
            assert_eq!(error.kind(), io::ErrorKind::Interrupted, "poll failed: {error}");
        }
        self.turn_began = self.work();
        for event in &*events {
            if event.token() == INBOX {
                let waiting = self.handle.0.take();
                if self.take_in(waiting) == Phase::Ended {
                    return Phase::Ended;
                }
            } else {
                self.on_socket_event(event);
            }
        }
        self.release();
        self.close_who_hold_up();
        self.adopt_some();
        self.visit_touched();
        self.admit_to_history();
        self.visit_queued();
        self.look_at_wheel();
        self.report_lag();
        self.free_history();
        if self.queued.is_empty() && !self.members.has_touched() {
            self.segments.clear();
        }
        self.report();
        Phase::Running
    }

    /// What was done so far.
    pub(super) fn work(&self) -> Work {
        Work {
            deflated_bytes: frames::deflated_bytes(),
            inflated_bytes: self.input.inflater.inflated_bytes(),
            looks: self.work.looks + self.hub.looks(),
            ..self.work
        }
    }

    /// What was done in this turn.
    fn work_of_turn(&self) -> Work {
        self.work().since(&self.turn_began)
    }

    fn poll_timeout(&self) -> Duration {
        let is_idle =
            self.queued.is_empty() && self.adoptions.is_empty() && !self.catch_ups.may_admit();
        if !is_idle || !self.held_up_by.is_empty() || self.members.has_touched() {
            return Duration::ZERO;
        }
        let release = self.hub.next_release().map(|at_ms| self.ticker.until_ms(at_ms));
        // Nobody to attend to: the inbox wakes.
        let due = self.wheel.next_due().into_iter().chain(self.laggards.next_look()).min();
        let due = due.map(|due| self.ticker.until(due));
        due.into_iter().chain(release).min().unwrap_or(Duration::from_hours(1))
    }

    fn take_in(&mut self, waiting: Waiting) -> Phase {
        self.push(waiting.batches);
        self.adoptions.extend(waiting.adoptions);
        for page in waiting.pages {
            self.take_page(page);
        }
        for answered in waiting.answers {
            self.take_answer(answered);
        }
        for ticket in waiting.given_up {
            self.on_given_up(&ticket);
        }
        if waiting.drain_carried {
            self.drain_carried();
        }
        if waiting.drain {
            self.drain();
            return Phase::Ended;
        }
        Phase::Running
    }

    /// Takes in what the feed has brought.
    pub(super) fn push(&mut self, batches: VecDeque<Batch>) {
        let mut touched = Vec::new();
        push(&mut self.hub, batches, self.ticker.now_ms(), &mut touched);
        self.touch(touched);
    }

    /// Lets the values in that rates have held back until now.
    fn release(&mut self) {
        let mut touched = Vec::new();
        self.hub.release(self.ticker.now_ms(), &mut touched);
        self.touch(touched);
    }

    /// There is something new in these lanes.
    pub(super) fn touch(&mut self, mut touched: Vec<LaneId>) {
        touched.sort_unstable();
        touched.dedup();
        for lane in touched {
            self.members.touch(lane);
            if self.hub.wants_compaction(lane) {
                self.compact(lane);
            }
        }
    }

    /// Takes in some of the connections that wait, so that many of them do not hold up the others.
    fn adopt_some(&mut self) {
        for taken in 0..self.adoptions.len().min(VISITS_PER_TURN) {
            if taken > 0 && self.has_done_enough() {
                break;
            }
            let Some(handoff) = self.adoptions.pop_front() else { break };
            self.adopt(handoff);
        }
    }

    fn on_socket_event(&mut self, event: &mio::event::Event) {
        let token = event.token().0;
        let Some(connection) = self.connections.get_mut(token) else { return };
        let mut is_wanted = event.is_writable() && connection.outlet.on_writable();
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            if let Some(websocket) = &mut connection.websocket {
                websocket.has_input = true;
                is_wanted = true;
            } else if connection.drop_input(&mut self.input.scratch, IDLE_INPUT_BYTES_MAX).is_err()
            {
                // One that closes its half has gone, too: it has nothing to say on such a stream.
                return self.close(token);
            }
        }
        if !is_wanted {
            return;
        }
        // The other half is for those who wait already.
        if self.work_of_turn().uses_up(&work::TURN.half()) {
            self.queue(token);
        } else {
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
        for visited in 0..self.queued.len().min(VISITS_PER_TURN) {
            if visited > 0 && self.has_done_enough() {
                break;
            }
            let Some(token) = self.queued.pop_front() else { break };
            if let Some(connection) = self.connections.get_mut(token)
                && std::mem::replace(&mut connection.is_queued, false)
            {
                self.visit(token);
            }
        }
    }

    /// Whether a turn has done so much that live events should come next. Of those who come, talk
    /// or catch up one is served in any case.
    fn has_done_enough(&self) -> bool {
        self.work_of_turn().uses_up(&work::TURN)
    }

    /// Gives a connection another turn.
    pub(super) fn queue(&mut self, token: Token) {
        let connection = &mut self.connections[token];
        if !std::mem::replace(&mut connection.is_queued, true) {
            self.queued.push_back(token);
        }
    }

    /// Listens to a connection's client, and writes what it is missing.
    pub(super) fn visit(&mut self, token: Token) {
        self.serve(token);
        self.note_lag(token);
        self.note_page(token);
    }

    fn serve(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else { return };
        if connection.wants_to_talk() {
            self.listen(token);
        }
        let looks_left = LOOKS_PER_TURN_MAX.saturating_sub(self.work_of_turn().looks as usize);
        loop {
            let Some(connection) = self.connections.get_mut(token) else { return };
            if connection.outlet.is_full() {
                return;
            }
            let mut tools = Tools {
                looks_left,
                hub: &mut self.hub,
                heartbeat_interval: self.surroundings.timing.heartbeat_interval,
                account: Account {
                    now: self.ticker.now(),
                    work: &mut self.work,
                    segments: &mut self.segments,
                },
            };
            let pumped = crash::contain(|| match connection.outlet.socket.collector_mut() {
                Some(collector) => {
                    Ok(polls::pump(collector, &mut connection.main.delivery, &mut tools))
                }
                None => pump::pump(connection, &mut tools),
            });
            let Some(pumped) = pumped else {
                tracing::error!("An invariant is broken for one connection; it ends.");
                return self.close(token);
            };
            let Ok(pumped) = pumped else { return self.close(token) };
            if pumped.has_ended && connection.websocket.is_none() {
                return self.close(token);
            }
            if pumped.has_ended {
                return self.hang_up(token);
            }
            if let Some((lane, after)) = pumped.history {
                self.catch_up(token, lane, after);
            }
            if pumped.has_more {
                self.queue(token);
            }
            match pumped.complete {
                Some(index) => self.unite(token, index),
                None => break,
            }
        }
        // It was not listened to while it was owed replies, which are written now.
        if self.connections[token].wants_to_talk() {
            self.queue(token);
        }
    }

    /// Heartbeats for the silent, an end for the stalled and the dead.
    fn look_at_wheel(&mut self) {
        let now = self.ticker.now();
        let mut due = Vec::new();
        self.wheel.advance(now, &mut due);
        for (token, due_at) in due {
            let Some(connection) = self.connections.get_mut(token) else { continue };
            if connection.due_at != due_at {
                continue;
            }
            let Some(next) = self.attend(token, now) else { continue };
            // One whose last words were written meanwhile has been given less time.
            if let Some(connection) = self.connections.get_mut(token)
                && connection.due_at == due_at
            {
                connection.due_at = self.wheel.insert(token, next.max(now + 1));
            }
        }
    }

    /// Looks after one connection whose time has come; returns when it wants to be looked after
    /// again. `None`: it has ended.
    fn attend(&mut self, token: Token, now: Tick) -> Option<Tick> {
        let Connection { outlet, main, websocket, .. } = &mut self.connections[token];
        if let Some(due) = outlet.socket.collector().map(|collector| collector.due) {
            return self.attend_poll(token, due, now);
        }
        let timing = self.surroundings.timing;
        let (interval, stall) = (ticks(timing.heartbeat_interval), ticks(timing.stall_timeout));
        let silent = now.saturating_sub(outlet.written_at);
        if outlet.is_full() {
            if silent < stall {
                // It may take bytes again long before that, and then wants its heartbeats.
                return Some((outlet.written_at + stall).min(now + interval));
            }
            self.surroundings.figures.streams_stalled.add(1);
            self.close(token);
            return None;
        }
        match websocket {
            None if silent < interval => return Some(outlet.written_at + interval),
            None => {}
            Some(websocket) if websocket.has_ended() => {
                self.close(token);
                return None;
            }
            Some(websocket) => {
                if let Some(reason) = websocket.beat() {
                    self.end(token, CloseCode::POLICY, reason);
                    self.surroundings.figures.streams_stalled.add(1);
                    self.visit(token);
                    return Some(now + interval);
                }
            }
        }
        let cursor = self.hub.cursor(&main.delivery);
        // Only a cursor that moved is news.
        let moved = (cursor.offset > outlet.told).then_some(cursor);
        outlet.told = cursor.offset;
        outlet.put(outlet.form.heartbeat(moved));
        self.visit(token);
        Some(now + interval)
    }

    pub(super) fn report(&mut self) {
        let Work { events, written_bytes, looks, .. } = self.work_of_turn();
        let figures = &self.surroundings.figures;
        if written_bytes > 0 {
            figures.events_delivered.add(events);
            figures.bytes_delivered.add(written_bytes);
        }
        figures.turns.add(1);
        if looks > self.shown.turn_looks_max {
            figures.turn_looks_max.raise(looks);
            self.shown.turn_looks_max = looks;
        }
        show(&figures.websockets_held, &mut self.shown.held_bytes, self.input.hoards.bytes());
        let HubSize { ring_bytes, lane_bytes } = self.hub.size();
        show(&figures.lane_bytes, &mut self.shown.lane_bytes, lane_bytes);
        if self.index == 0 {
            // All hubs hold the same.
            figures.ring_bytes.set(ring_bytes as u64);
        }
    }
}

/// What a shard has told the figures that all shards add to.
#[derive(Debug, Default)]
pub(super) struct Shown {
    turn_looks_max: u64,
    held_bytes: usize,
    lane_bytes: usize,
}

/// Replaces this shard's part of a figure.
fn show(figure: &Figure, shown: &mut usize, now: usize) {
    let before = std::mem::replace(shown, now);
    if now > before {
        figure.add((now - before) as u64);
    } else if now < before {
        figure.sub((before - now) as u64);
    }
}

/// Puts batches into a hub, and names the lanes that they touch.
pub(super) fn push(
    hub: &mut Hub<Frames>,
    batches: VecDeque<Batch>,
    now_ms: u64,
    touched: &mut Vec<LaneId>,
) {
    hub.count_growth(Frames::encoded_bytes);
    for batch in batches {
        match batch {
            Batch::Entries(entries) => hub.push(&entries, touched),
            Batch::Values(values) => hub.push_values(&values, now_ms, touched),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Ended,
}
