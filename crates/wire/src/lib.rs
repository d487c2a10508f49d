//! Bytes that Bellwire's clients see, and nothing that reads or writes a socket.
//!
//! An event is serialized once ([`json`]); each transport puts its own frame around the same
//! JSON ([`sse`], [`ndjson`], [`ws`]), and [`http1`] the chunk around the first two. What
//! publishers send comes in through [`publish`].
//!
//! ```text
//! event ── json ──┬── sse ─────┬── http1 ──▶ subscriber
//!                 ├── ndjson ──┘                ▲
//!                 └── ws ───────────────────────┘
//! publisher ── publish ──▶ events to be
//! ```
#![deny(missing_docs)]

mod control;
pub mod http1;
pub mod json;
pub mod ndjson;
pub mod publish;
pub mod sse;
mod write;
pub mod ws;

pub use control::{ByeReason, Control, GapReason};
