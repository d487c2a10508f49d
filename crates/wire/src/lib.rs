//! Bytes that Bellwire's clients see, and nothing that reads or writes a socket.
//!
//! An event is serialized once ([`json`], or [`msgpack`] where a client asks for it); each
//! transport puts its own frame around the same bytes ([`sse`], [`ndjson`], [`ws`]), and
//! [`http1`] the chunk around the first two, compressed by [`gzip`] where that is asked for. What
//! publishers send comes in through [`publish`], what clients ask over a WebSocket through
//! [`request`]; [`reply`] answers it. [`control`] has what the server says about a stream itself,
//! [`problem`] what it says of errors, and [`cors`] to which pages.
//! [`forwarded`] and [`proxy_protocol`] have what proxies say of whom they speak for.
//!
//! ```text
//! event ──┬─ json ──┬── sse ─────┬── http1 ──▶ subscriber
//!         │         ├── ndjson ──┘                 ▲
//!         │         └── ws ────────────────────────┤
//!         └─ msgpack ── ws ────────────────────────┘
//! publisher ── publish ──▶ events to be
//! client ── ws ── request ──▶ what it asks ··▶ reply ── ws ──▶ client
//! ```
//!
//! What is sent is the same bytes for everybody: a server's WebSocket frames have no mask, and a
//! [`Deflater`] compresses each piece with a fresh context. What is received holds memory only
//! while something is incomplete.
#![deny(missing_docs)]

pub mod control;
pub mod cors;
mod deflate;
pub mod durable_streams;
pub mod forwarded;
pub mod gzip;
pub mod http1;
pub mod json;
pub mod msgpack;
pub mod ndjson;
mod object;
mod outage;
mod position;
pub mod presence;
pub mod problem;
pub mod proxy_protocol;
pub mod publish;
pub mod reply;
pub mod request;
pub mod sse;
mod write;
pub mod ws;

pub use control::{ByeReason, Control, GapReason};
pub use deflate::{Deflater, Inflater};
pub use outage::Outage;
pub use position::Position;
