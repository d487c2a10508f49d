//! The server: the HTTP API, the front door, TLS and configuration, and the wiring of all parts.
//!
//! ```text
//!               ┌─ front_door ─▶ shards (streams, WebSockets)
//! clients ──────┤        └─────▶ api (hyper, axum) ─┬─▶ publisher ─▶ journal ─▶ feed ─▶ hubs
//!               │                                   ├─▶ evaluator ─▶ journal, states
//!               │                                   └─▶ shards (long polls)
//! ```
//!
//! [`Server::start`] wires it all together and returns once it listens; [`Server::drain`] ends it
//! without losing anything that was acknowledged. Here alone the shards and the alerting meet:
//! `requests` does for a shard's clients what they ask, and shows for the alerting what it shows.

mod admission;
mod api;
pub mod config;
mod front_door;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(test)]
mod golden;
mod journal_watch;
mod loaded;
mod observe;
mod open_files;
mod pipeline;
mod place;
mod problem;
mod requests;
mod sys;
mod tls;

pub use bellwire_alerting::{
    AlertmanagerConfigError, RuleFileText, RuleFiles, RuleFilesError, load_alertmanager_config,
    read_rule_files,
};
pub use bellwire_shards::{Kind, TopicRule};
pub use config::{Config, ConfigError};
pub use pipeline::{Server, StartError};
pub use tls::TlsError;
