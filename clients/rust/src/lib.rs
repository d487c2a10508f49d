//! The client of Bellwire for Rust: it follows topics over Server-Sent Events, comes back by itself
//! with its cursor, and publishes.
//!
//! ```text
//! Client ─┬─ subscribe ─▶ Session ─ items ─▶ queue ─▶ Items, Events
//!         │                  │ one connection after the other
//!         ├─ publish ─┐      ▼
//!         ├─ samples ─┴─▶ Outbox ─▶ Http ─▶ Exchange (hyper, rustls)
//!         └─ request ───────────────▲
//! ```
//!
//! The README is where to begin; [`Client`] is the way in.
#![deny(missing_docs)]

mod address;
mod backoff;
mod client;
mod error;
mod http;
mod item;
mod link;
mod outbox;
mod problem;
mod publish;
mod queue;
mod renewal;
mod samples;
#[cfg(test)]
mod scripted;
mod session;
mod store;
mod subscription;
mod surroundings;
mod tls;
mod token;
mod trust;

/// Its examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use self::client::{Client, ClientBuilder, Response};
pub use self::error::{
    ArgumentError, BoxError, ConnectionError, Error, ProtocolError, UnsentError, UnsentReason,
};
pub use self::item::{Control, ControlKind, DataError, Event, Item, Status};
pub use self::problem::{Problem, SampleError};
pub use self::publish::{Publish, Published};
pub use self::samples::{Sample, SamplesTaken, SendSamples};
pub use self::store::{CursorStore, FileStore};
pub use self::subscription::{Events, Items, Subscribe};
pub use self::tls::{TlsError, TlsFault};
