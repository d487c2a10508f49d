//! The server: the only crate with sockets, clocks and tasks.
//!
//! ```text
//!               ┌─ front_door ─▶ shard 0, 1, … (SSE, NDJSON)
//! clients ──────┤        └─────▶ api (hyper, axum) ─┬─▶ publisher ─▶ journal ─▶ feed ─▶ hubs
//!               │                                   ├─▶ evaluator ─▶ journal, states
//!               │                                   └─▶ tasks (long polls)
//! ```
//!
//! [`Server::start`] wires it all together and returns once it listens; [`Server::drain`] ends it
//! without losing anything that was acknowledged.

mod admission;
mod alerting;
mod api;
mod clock;
pub mod config;
mod controls;
mod crash;
mod evaluator;
mod feed;
mod frames;
mod front_door;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(test)]
mod golden;
mod history;
mod journal_watch;
mod notifier;
mod observe;
mod open_files;
mod percent;
mod pipeline;
mod place;
mod problem;
mod publisher;
mod reload;
mod rule_files;
mod shard;
mod state;
mod stream_request;
mod sys;
mod tasks;
mod tls;
mod topics;

pub use config::{Config, ConfigError};
pub use notifier::{AlertmanagerConfigError, load as load_alertmanager_config};
pub use pipeline::{Server, StartError};
pub use rule_files::{RuleFileText, RuleFilesError, read as read_rule_files};
pub use tls::TlsError;
pub use topics::{Kind, TopicRule};
