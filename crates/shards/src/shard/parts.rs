//! What a shard consists of. What it does is in the modules that are named after it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bellwire_hub::{Hub, HubLimits, HubSize, LaneId};
use bellwire_model::{Cursor, NameHasher, Offset, Progress};
use mio::Poll;
use rustc_hash::FxHashMap;
use slab::Slab;

use super::agenda::Agenda;
use super::change::Reconsideration;
use super::connection::Connection;
use super::inbox::{ShardHandle, poll_and_handle};
use super::input::Input;
use super::laggards::Laggards;
use super::lanes::LaneMembers;
use super::ledger::{Counts, Ledger};
use super::outages::Outages;
use super::page_queue::PageQueue;
use super::past_reader::PastReaders;
use super::work::Work;
use super::{Surroundings, Token};
use crate::feed::Batch;
use crate::frames::Frames;
use crate::presence::Present;
use crate::traffic::Book;

/// The poll's token of the inbox; connections have their slab keys.
pub(super) const INBOX: mio::Token = mio::Token(usize::MAX);

/// What a shard is spawned from. Its handle exists first: the feed needs it.
#[derive(Debug)]
pub struct ShardParts {
    poll: Poll,
    pub handle: ShardHandle,
    /// What came before anything could come into the inbox: the shard starts later, and finds
    /// there what the rules have announced meanwhile.
    tail: Offset,
    /// The state table's newest change, as of then.
    state: Progress,
    name_hasher: NameHasher,
}

impl ShardParts {
    pub fn new((tail, state): (Offset, Progress), name_hasher: NameHasher) -> io::Result<Self> {
        let (poll, handle) = poll_and_handle(INBOX)?;
        Ok(Self { poll, handle, tail, state, name_hasher })
    }
}

/// One shard: a thread's poll, hub and connections.
pub(super) struct Shard {
    pub(super) index: usize,
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) poll: Poll,
    pub(super) handle: ShardHandle,
    pub(super) hub: Hub<Frames>,
    pub(super) connections: Slab<Connection>,
    /// Who follows which lane.
    pub(super) members: LaneMembers,
    /// Who gets attention next.
    pub(super) agenda: Agenda,
    /// Who waits for which page of history.
    pub(super) pages: PageQueue,
    /// Who wants the past of series.
    pub(super) past_readers: PastReaders,
    /// The number of the last event that told of one.
    pub(super) past_serial: u64,
    /// What clients say.
    pub(super) input: Input,
    /// What was done.
    pub(super) ledger: Ledger,
    pub(super) laggards: Laggards,
    /// What goes over which transport.
    pub(super) traffic: Book,
    /// Of whom something has changed.
    pub(super) reconsideration: Reconsideration,
    pub(super) outages: Outages,
    /// Connections that are seen by others who follow the same.
    pub(super) presents: FxHashMap<Token, Present>,
}

impl Shard {
    pub(super) fn new(index: usize, parts: ShardParts, surroundings: Arc<Surroundings>) -> Self {
        let tail = Cursor::new(surroundings.journal.epoch(), parts.tail);
        Self {
            hub: Hub::new(tail, HubLimits::default(), parts.name_hasher).with_state(parts.state),
            poll: parts.poll,
            handle: parts.handle,
            connections: Slab::new(),
            members: LaneMembers::default(),
            agenda: Agenda::new(),
            pages: PageQueue::default(),
            past_readers: PastReaders::default(),
            past_serial: 0,
            input: Input::new(surroundings.held_bytes_max),
            ledger: Ledger::default(),
            laggards: Laggards::default(),
            traffic: Book::new(Arc::clone(&surroundings.traffic)),
            reconsideration: Reconsideration::default(),
            outages: Outages::default(),
            presents: FxHashMap::default(),
            index,
            surroundings,
        }
    }

    /// Gives a connection another turn.
    pub(super) fn queue(&mut self, token: Token) {
        let connection = &mut self.connections[token];
        if !std::mem::replace(&mut connection.is_queued, true) {
            self.agenda.queue(token);
        }
    }

    /// What the hub and the inflater count themselves.
    pub(super) fn counts(&self) -> Counts {
        let inflated_bytes = self.input.inflater.inflated_bytes();
        Counts { inflated_bytes, looks: self.hub.looks() }
    }

    /// What was done in this turn.
    pub(super) fn work_of_turn(&self) -> Work {
        self.ledger.turn(self.counts())
    }

    /// Tells the figures of this turn.
    pub(super) fn report(&mut self) {
        let turn = self.work_of_turn();
        let HubSize { ring_bytes, lane_bytes } = self.hub.size();
        let figures = &self.surroundings.figures;
        self.ledger.show(figures, turn, (self.input.hoards.bytes(), lane_bytes));
        if self.index == 0 {
            // All hubs hold the same.
            figures.ring_bytes.set(ring_bytes as u64);
        }
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
            Batch::Reached(tail) => hub.end_at(tail),
        }
    }
}
