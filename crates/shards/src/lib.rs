//! Events to sockets.
//!
//! ```text
//! journal's writer ─┐
//!                   ├─▶ feed ─▶ shard 0, 1, … (SSE, NDJSON, WebSockets, long polls)
//! state table ──────┘
//! ```
//!
//! What is published goes to the journal or to the state table ([`Publisher`]), and from both on to
//! every shard. Whoever connects is handed to a shard ([`Handoff`]) with what it asked for
//! ([`StreamRequest`]). What the client of a WebSocket asks of the rest of the server goes through
//! [`Requests`], which the crate above implements.
//!
//! | module | what it is |
//! |---|---|
//! | `shard` | the poll loop (`turn`), who comes, follows and goes (`membership`), what one is missing (`pump`) and where it goes (`outlet`), what WebSockets say (`conversation`), what long polls are answered with (`polls`) |
//! | `authority` | who may what over a connection's life, as the crate above says |
//! | `feed` | from the journal and the state table to every hub |
//! | `closed`, `transport` | which streams have ended and why, and how many each transport has |
//! | `ends` | topics that have ended, for those who follow them by name |
//! | `form` | the bytes that a connection is sent, around the same events |
//! | `frames` | an event and its encodings |
//! | `history` | the threads that read pages for shards |
//! | `packed` | an event as the state table keeps it while nobody reads it |
//! | `pasts` | what is remembered of series, and how it is told |
//! | `poll` | what a long poll is answered with |
//! | `presence` | who follows what, of those who show themselves |
//! | `publisher`, `state` | streams into the journal, state topics into the table |
//! | `stream_request` | what a client asks of `GET /v1/events` |
//! | `topics` | kinds, rates and subscribers of topics |
//!
//! `docs/internals/delivery.md` tells the whole, with the hub behind it.
//!
//! A transport is a form and a talker. The [`Form`] says how events and the shard's own words are
//! written (`Frames` and `shard::speech::Speech`), the talker (`shard::websocket`, for those whose
//! clients say something) how what comes is read, and the [`Socket`] moves the bytes. Another
//! transport is another variant of `Form` and of `Socket`; lanes, catching up, budgets and lag are
//! none of its business.

mod authority;
mod closed;
mod committer;
mod controls;
mod ends;
mod feed;
mod figures;
mod form;
mod frames;
mod history;
mod packed;
mod pasts;
mod percent;
mod poll;
mod presence;
mod publisher;
mod refusals;
mod requests;
mod shard;
mod state;
mod state_write;
mod stream_request;
mod tls;
mod topics;
mod traffic;
mod transport;

pub use authority::{Authority, FollowerName, HeldPrincipal, HeldPrincipals, Standing, Tally};
pub use bellwire_hub::Point as PastPoint;
pub use closed::{CloseReason, ClosedStream, ClosedStreams};
pub use committer::{Committer, Onward};
pub use controls::gap;
pub use feed::{Batch, Destination, Feed};
pub use figures::Figures;
pub use form::{Coding, DurableForm, Encoding, Form, Framing, HttpForm, WebSocketForm};
pub use frames::Frames;
pub use history::{HistoryReaders, read_page};
pub use pasts::{HISTORY, PastRule, PastRules, past_event};
pub use percent::{check_query, wrong_escape};
pub use poll::{Collected, PollAnswer};
pub use presence::{Abroad, AskedPresence, Moved, Presence, PresenceTerms, Seen, nobody};
pub use publisher::{
    Deleting, Published, Publisher, Results, Write, Writes, check_idempotency_key, check_topic,
    fenced_refusal,
};
pub use refusals::Refusals;
pub use requests::{
    FollowedQueries, Held, QueriesReply, RenewalReply, Reply, Requests, SampleRejection,
    SamplesReply, SamplesTaken,
};
pub use shard::{
    Collector, Handoff, LagReport, Laggard, Lags, Pending, Place, Reconsidering, ShardParts,
    Socket, Spread, Surroundings, Timing, held_bytes_max, refusal_body, refusal_response, spawn,
};
pub use state::{SharedTable, States, TableFill, new_table, state_bytes_max};
pub use stream_request::{
    Asked, AskedQueries, EVENTS_PATH, EventsRequest, Handshake, PollRequest, StreamRequest,
    parse_cursor, parse_history, takes_coding,
};
pub use tls::TlsSession;
pub use topics::{Kind, Lately, StateDurability, Subscriptions, TopicRates, TopicRule, TopicRules};
pub use traffic::{Carried, Carrier, CountedPoll, RequestTraffic, Traffic};
pub use transport::{Transport, Transports};
