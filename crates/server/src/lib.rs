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
//!
//! | module | what it is |
//! |---|---|
//! | `pipeline` | wires all parts, and ends them in order |
//! | `access` | what somebody may do of what a request wants |
//! | `audit` | who did what, on `$sys/audit` |
//! | `admission`, `turns` | who may come in, what a refusal says, and whose turn is next |
//! | `front_door` | accepts, shakes hands, reads heads, hands over to shards or to hyper |
//! | `mqtt` | the socket that sensors with MQTT come to |
//! | `tls` | the certificate and its key, read again when they change |
//! | `api` | the HTTP API by resource; the crate's `openapi.json` describes it |
//! | `durable_streams` | what is known of streams of that protocol beside their events |
//! | `requests` | where the shards and the alerting meet |
//! | `board` | the state topics as the alerting shows on them |
//! | `membership`, `relay` | what a server is among other nodes, and what it passes on to the one that has the alerts |
//! | `mirror` | what that one shows of samples, rules and queries, on the others |
//! | `envoy` | what it has that one do for clients of WebSockets and streams of its own |
//! | `neighbours` | those who show themselves at other nodes |
//! | `sys` | the server's own topics, `$sys/…` |
//! | `config`, `observe` | the tables of settings and figures, which the reference is made of |
//! | `journal_watch`, `loaded`, `open_files` | what the server says of its journal, of what it has loaded, and of the limit of descriptors |
//!
//! `docs/internals/front-door.md` tells who serves a connection.

mod access;
mod admission;
mod allowances;
mod api;
mod audit;
mod board;
pub mod config;
mod durable_streams;
mod envoy;
mod front_door;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(test)]
mod golden;
mod hosts;
mod journal_watch;
mod lately;
mod lines;
mod live;
mod loaded;
mod membership;
mod mirror;
mod mqtt;
mod neighbours;
mod observe;
mod open_files;
mod outages;
mod page;
mod peers;
mod pipeline;
mod place;
mod problem;
mod proxies;
mod queries;
mod receiver;
mod relay;
mod requests;
mod scraping;
mod shares;
mod snapshots;
mod standby;
mod sys;
mod tls;
mod traffic;
mod turns;

pub use bellwire_alerting::{
    AlertmanagerConfigError, CostReport, PartsReport, Reach, RecordEnd, RecordError, RecordReader,
    RuleFileText, RuleFiles, RuleFilesError, load_alertmanager_config, read_rule_files,
    write_record,
};
pub use bellwire_alerts::config::Config as AlertmanagerConfig;
pub use bellwire_authn::{AccessError, NOBODY_COMES_IN, check_access, explain_token};
pub use bellwire_shards::{Kind, StateDurability, TopicRule};
pub use config::{Config, ConfigError};
pub use pipeline::{
    BroughtIn, ClusterError, PushKeyError, Server, StartError, Succession, bring_in, rule_settings,
    rule_state_folder,
};
pub use tls::{TlsError, check_tls};
