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

mod agenda;
mod catch_up;
mod change;
mod collecting;
mod collector;
mod compaction;
mod connection;
mod conversation;
mod described;
mod drain;
mod following;
mod hoards;
mod inbox;
mod input;
mod lag;
mod laggards;
mod lanes;
mod ledger;
mod marks;
mod membership;
mod notices;
mod outages;
mod outlet;
mod page_queue;
mod parts;
mod past;
mod past_reader;
mod polls;
mod pump;
mod reconsidering;
mod renewing;
mod segments;
mod showing;
mod socket;
mod speech;
mod standing;
mod subscription;
mod telling;
#[cfg(test)]
mod tests;
mod turn;
mod visit;
mod websocket;
mod wheel;
mod work;

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwire_hub::Start;
use bellwire_model::{Filter, MaxRate, PacedFilter};
use bellwire_wire::Outage;
use bellwire_wire::problem::Problem;
use bellwire_wire::request::RequestId;
use tokio::sync::oneshot;

use crate::authority::{Authority, HeldPrincipal, HeldPrincipals, Tally};
use crate::publisher::Published;
use crate::requests::{FollowedQueries, Requests, SamplesTaken};
use crate::stream_request::{PollRequest, StreamRequest};

pub use change::Reconsidering;
pub use collector::Collector;
pub use hoards::held_bytes_max;
pub(crate) use inbox::ShardHandle;
pub use laggards::{LagReport, Laggard, Lags};
pub use parts::ShardParts;
pub use polls::Pending;
pub use socket::Socket;
pub use speech::{refusal_body, refusal_response};
pub use turn::spawn;

/// A connection that leaves the front door for a shard.
#[derive(Debug)]
pub struct Handoff {
    pub socket: Socket,
    pub request: StreamRequest,
    /// Who asks.
    pub principal: HeldPrincipal,
    /// What the client of a WebSocket has said ahead of its answer.
    pub early: Box<[u8]>,
    /// Among the connections of its address, where those are limited.
    pub place: Option<Box<Place>>,
    /// Who answers where the socket is a pair that is refused, and is told why before it closes.
    pub answers: Option<oneshot::Sender<Problem>>,
}

/// Something that a connection holds until it ends.
#[derive(Debug)]
pub struct Place {
    /// Whom the other end of the socket speaks for.
    client: Option<IpAddr>,
    /// Where it is counted what it follows, if that is limited.
    tally: Option<Arc<dyn Tally>>,
    _held: Box<dyn Debug + Send>,
}

impl Place {
    /// What is to be dropped with the connection, and whose it is where a proxy is at the other end
    /// of the socket.
    pub fn new(client: Option<IpAddr>, held: impl Debug + Send + 'static) -> Box<Self> {
        // Boxed twice: a connection has one word for it.
        Box::new(Self { client, tally: None, _held: Box::new(held) })
    }

    /// Something more is to be dropped with the connection.
    #[must_use]
    pub fn with(place: Option<Box<Self>>, held: impl Debug + Send + 'static) -> Box<Self> {
        let client = place.as_ref().and_then(|place| place.client);
        let tally = place.as_ref().and_then(|place| place.tally.clone());
        Box::new(Self { client, tally, _held: Box::new((place, held)) })
    }

    /// Something more is to be dropped with the connection, where it is counted what that follows.
    #[must_use]
    pub fn counted(place: Option<Box<Self>>, tally: Arc<dyn Tally>) -> Box<Self> {
        let client = place.as_ref().and_then(|place| place.client);
        Box::new(Self { client, tally: Some(tally), _held: Box::new(place) })
    }
}

/// A page of history that a reader has read for a shard.
#[derive(Debug)]
pub struct PageRead {
    pub ticket: u64,
    pub page: Result<bellwire_journal::Page, bellwire_journal::Error>,
}

/// What became of something that a client of a shard asked of others.
#[derive(Debug)]
pub struct Answered {
    pub token: Token,
    /// The connection's, since its token may be another's by now.
    pub serial: u32,
    pub id: Option<RequestId>,
    pub result: Result<Done, Problem>,
}

/// What was done for a client.
#[derive(Debug)]
pub enum Done {
    Published(Published),
    Sampled(SamplesTaken),
    /// It goes on as this one.
    Renewed(HeldPrincipal),
    /// Queries stand that it wants to follow, with what else it does.
    Queries(FollowedQueries, ToFollow),
}

/// What a client wants to follow beside queries.
#[derive(Debug)]
pub struct ToFollow {
    topics: Vec<Filter>,
    start: Start,
    max_rate: Option<MaxRate>,
    history: Option<Duration>,
}

impl ToFollow {
    fn paced(self) -> (Vec<PacedFilter>, Start, Option<Duration>) {
        let Self { topics, start, max_rate, history } = self;
        let paced = |filter| PacedFilter { filter, max_rate };
        (topics.into_iter().map(paced).collect(), start, history)
    }
}

/// Spreads new connections over the shards.
#[derive(Debug)]
pub struct Spread {
    shards: Vec<ShardHandle>,
    /// What clients were told of.
    outage: Mutex<Option<Outage>>,
}

impl Spread {
    pub fn new(shards: Vec<ShardHandle>) -> Self {
        Self { shards, outage: Mutex::default() }
    }

    /// Gives the connection to the shard that has the fewest. An error gives it back: that shard
    /// has more waiting than it may.
    pub fn adopt(&self, handoff: Handoff) -> Result<(), Box<Handoff>> {
        self.idlest().adopt(handoff)
    }

    /// How many connections the shards have whose sockets are theirs, those that wait to be taken
    /// in included.
    pub fn connections(&self) -> usize {
        self.shards.iter().map(ShardHandle::sockets).sum()
    }

    fn idlest(&self) -> &ShardHandle {
        let shard = self.shards.iter().min_by_key(|shard| shard.connections());
        shard.expect("at least one shard")
    }

    /// Has a shard collect what a poll is answered with.
    pub fn poll(&self, request: PollRequest, principal: HeldPrincipal) -> Result<Pending, Problem> {
        Pending::ask(self.idlest(), request, principal)
    }

    /// Has every shard look anew at the connections of these principals, of whom something has
    /// changed. What is returned waits until all have.
    pub fn reconsider(&self, principals: HeldPrincipals) -> Reconsidering {
        let is_nobody = principals.is_empty();
        let (change, reconsidering) = change::begin(principals);
        if !is_nobody {
            self.shards.iter().for_each(|shard| shard.reconsider(change.clone()));
        }
        reconsidering
    }

    /// Tells all clients that the server takes no events in, or that it does again. It is for one to
    /// do: what two tell at once may come in any order.
    pub fn tell(&self, outage: Option<Outage>) {
        // Let go of before an inbox's is taken.
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = outage;
        self.shards.iter().for_each(|shard| shard.tell(outage));
    }

    /// Why it takes none, where clients were told so.
    pub fn outage(&self) -> Option<Outage> {
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the streams that are carried elsewhere through a pair, and answers the polls: who
    /// carries and asks waits for it.
    pub fn drain_carried(&self) {
        self.shards.iter().for_each(ShardHandle::drain_carried);
    }

    pub fn drain(&self) {
        self.shards.iter().for_each(ShardHandle::drain);
    }
}

/// A shard's own name for one of its connections.
pub(crate) type Token = usize;

/// What a shard needs of the rest of the server.
#[derive(Debug)]
pub struct Surroundings {
    pub journal: Arc<dyn bellwire_journal::Journal>,
    pub table: crate::state::SharedTable,
    pub history: crate::history::HistoryReaders,
    pub subscriptions: Arc<crate::topics::Subscriptions>,
    pub topics: crate::topics::TopicRules,
    pub requests: Arc<dyn Requests>,
    pub authority: Arc<dyn Authority>,
    pub figures: Arc<crate::figures::Figures>,
    pub lags: Arc<Lags>,
    /// Who has gone, and why.
    pub closed: Arc<crate::closed::ClosedStreams>,
    pub transports: Arc<crate::transport::Transports>,
    /// What goes over which transport.
    pub traffic: Arc<crate::traffic::Traffic>,
    pub timing: Timing,
    /// Who shows themselves; `None` where no topic has that.
    pub presence: Option<Arc<crate::presence::Presence>>,
    /// Bytes that a shard holds of what its talking clients have sent only in part.
    pub held_bytes_max: usize,
}

/// The intervals of streams.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub heartbeat_interval: std::time::Duration,
    pub stall_timeout: std::time::Duration,
}
