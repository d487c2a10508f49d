//! Shards: one thread each, with its own poll loop, its own hub and its share of the connections.
//!
//! ```text
//! front door ── adopt ──┐
//! journal, states ──────┼─▶ Inbox ─▶ Shard ─▶ pump(connection): Hub::next ─▶ writev ─▶ socket
//! history readers ──────┤              └─▶ conversation: what a WebSocket's client says
//! replies of publishers ┘
//! ```
//!
//! A shard never blocks but in `poll`. A burst costs a connection one write, since it takes all
//! that it is missing at once; a socket that is full waits for writability, and nothing piles up.

mod catch_up;
mod compaction;
mod connection;
mod conversation;
mod drain;
mod following;
mod inbox;
mod lag;
mod lanes;
mod membership;
mod outlet;
mod pump;
mod segments;
mod socket;
mod speech;
mod turn;
mod websocket;
mod wheel;

use std::sync::{Arc, Weak};

use bellwire_wire::request::RequestId;

use crate::admission::AddressPlace;
use crate::evaluator::SampleIntake;
use crate::problem::Problem;
use crate::publisher::{Published, Publisher};
use crate::stream_request::StreamRequest;

pub(crate) use inbox::ShardHandle;
pub(crate) use lag::{LagReport, Laggard};
pub(crate) use socket::Socket;
pub(crate) use turn::{ShardParts, spawn};

/// A connection that leaves the front door for a shard.
#[derive(Debug)]
pub(crate) struct Handoff {
    pub(crate) socket: Socket,
    pub(crate) request: StreamRequest,
    /// What the client of a WebSocket has said ahead of its answer.
    pub(crate) early: Vec<u8>,
    /// Among the connections of its address, where those are limited.
    pub(crate) place: Option<Box<AddressPlace>>,
}

/// A page of history that a reader has read for a shard.
#[derive(Debug)]
pub(crate) struct PageRead {
    pub(crate) ticket: u64,
    pub(crate) page: Result<bellwire_journal::Page, bellwire_journal::Error>,
}

/// What became of something that a client of a shard published.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) token: Token,
    /// The connection's, since its token may be another's by now.
    pub(crate) serial: u32,
    pub(crate) id: Option<RequestId>,
    pub(crate) result: Result<Published, Problem>,
}

/// Spreads new connections over the shards.
#[derive(Debug)]
pub(crate) struct Spread {
    shards: Vec<ShardHandle>,
}

impl Spread {
    pub(crate) fn new(shards: Vec<ShardHandle>) -> Self {
        Self { shards }
    }

    /// Gives the connection to the shard that has the fewest. An error gives it back: that shard
    /// has more waiting than it may.
    pub(crate) fn adopt(&self, handoff: Handoff) -> Result<(), Handoff> {
        let shard = self.shards.iter().min_by_key(|shard| shard.connections());
        shard.expect("at least one shard").adopt(handoff)
    }

    /// Ends the streams that are carried elsewhere through a pair: who carries them waits for it.
    pub(crate) fn drain_pairs(&self) {
        self.shards.iter().for_each(ShardHandle::drain_pairs);
    }

    pub(crate) fn drain(&self) {
        self.shards.iter().for_each(ShardHandle::drain);
    }
}

/// A shard's own name for one of its connections.
pub(crate) type Token = usize;

/// What a shard needs of the rest of the server.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) journal: Arc<dyn bellwire_journal::Journal>,
    pub(crate) table: crate::state::SharedTable,
    pub(crate) history: crate::history::HistoryReaders,
    pub(crate) subscriptions: Arc<crate::topics::Subscriptions>,
    pub(crate) publisher: Arc<Publisher>,
    /// Gone once the server drains: the evaluator ends with it.
    pub(crate) intake: Weak<SampleIntake>,
    /// Gone once the server drains, too.
    pub(crate) alerting: Weak<crate::alerting::Alerting>,
    pub(crate) figures: Arc<crate::observe::Figures>,
    pub(crate) lags: Arc<crate::sys::Lags>,
    pub(crate) timing: Timing,
}

/// The intervals of streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) heartbeat_interval: std::time::Duration,
    pub(crate) stall_timeout: std::time::Duration,
}
