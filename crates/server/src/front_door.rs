//! The front door: accepts, reads the first request's head, and decides who serves it.
//!
//! ```text
//! socket ─▶ TLS? ─▶ head (httparse) ─┬─ a stream or WebSocket ─▶ shard
//!                                    ├─ all else, replayed ────▶ hyper + axum
//!                                    │     └─ a stream on a used connection ─▶ shard
//!                                    └─ HTTP/2 ────────────────▶ hyper + axum
//!                                          └─ a stream ─▶ socket pair ─▶ shard
//! ```
//!
//! Handshake and head have one deadline together, and the head has a size cap.
//!
//! A stream or WebSocket that is the first thing asked for is lean: it never meets hyper, which
//! would keep some 20 KiB of buffers for it, and leave holes in the heap behind it. A browser that
//! asks for one on a connection that has served other requests gets a shard all the same: hyper
//! gives the socket back before anything of the answer is written.

mod accept;
mod activity;
mod answer;
mod carry;
mod door;
mod farewell;
mod framing;
mod head;
mod http1;
mod http2;
mod leftover;
mod letter;
mod opening;
mod progress;
mod replay;
mod secure;
mod stream;
mod takeover;

pub(crate) use accept::serve;
pub(crate) use carry::stream_headers;
pub(crate) use door::{Door, Routes};
#[cfg(feature = "fuzzing")]
pub(crate) use head::decide;
pub(crate) use opening::Opening;
pub(crate) use secure::Secure;
pub(crate) use stream::Peer;
pub(crate) use takeover::Passage;
