//! Shards: one thread each, with its own poll loop, its own hub and its share of the connections.
//!
//! ```text
//! front door ── adopt ──┐
//! journal, states ──────┼─▶ Inbox ─▶ Shard ─▶ pump(connection): Hub::next ─▶ writev ─▶ socket
//! history readers ──────┘
//! ```
//!
//! A shard never blocks but in `poll`. A burst costs a connection one write, since it takes all
//! that it is missing at once; a socket that is full waits for writability, and nothing piles up.

mod catch_up;
mod connection;
mod drain;
mod inbox;
mod lanes;
mod pump;
mod socket;
mod turn;
mod wheel;

use std::sync::Arc;

use bytes::BytesMut;

use crate::stream_request::{Framing, StreamRequest};

pub(crate) use inbox::ShardHandle;
pub(crate) use socket::Socket;
pub(crate) use turn::{ShardParts, spawn};

/// A connection that leaves the front door for a shard.
#[derive(Debug)]
pub(crate) struct Handoff {
    pub(crate) socket: Socket,
    pub(crate) request: StreamRequest,
}

/// A page of history that a reader has read for a shard.
#[derive(Debug)]
pub(crate) struct PageRead {
    pub(crate) ticket: u64,
    pub(crate) page: Result<bellwire_journal::Page, bellwire_journal::Error>,
}

/// The head of every streamed response.
pub(crate) fn response_head(request: &StreamRequest) -> BytesMut {
    let mut head = BytesMut::with_capacity(512);
    head.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Type: ");
    head.extend_from_slice(request.encoding.content_type().as_bytes());
    head.extend_from_slice(b"\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n");
    head.extend_from_slice(match request.framing {
        Framing::Chunked => b"Transfer-Encoding: chunked\r\n",
        Framing::Plain => b"Connection: close\r\n",
    });
    if let Some(origin) = &request.allow_origin {
        head.extend_from_slice(b"Access-Control-Allow-Origin: ");
        head.extend_from_slice(origin.as_bytes());
        head.extend_from_slice(b"\r\nVary: Origin\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
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
    pub(crate) figures: Arc<crate::observe::Figures>,
    pub(crate) timing: Timing,
}

/// The intervals of streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) heartbeat_interval: std::time::Duration,
    pub(crate) stall_timeout: std::time::Duration,
}
