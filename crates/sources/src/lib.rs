//! Where samples come from: one protocol a file, and what all of them have in common.
//!
//! ```text
//! sensors ─▶ http::Protocol (json, influx, …) ──┐
//!                                               ├─▶ Intake ─▶ rules ─▶ Outcome ─▶ answer
//!                                               │      │
//!                                               │      └─▶ Figures, Rejects
//! ```
//!
//! `ingest` knows the bytes of samples; here is what surrounds them: heads, answers, status codes,
//! tasks and sockets. Who may send what, how much, and where samples go is the server's business,
//! which implements [`Intake`].
//!
//! | module | what it is |
//! |---|---|
//! | `http` | what a protocol over HTTP is, and each of them |
//! | `scrape` | targets that are asked for what they expose |
//! | `intake` | the way to the rules, for what brings samples by itself |
//! | `mqtt` | a listener for sensors that speak MQTT |
//! | `tls` | TLS towards others |
//! | `outcome` | what became of a batch |
//! | `figures` | what was taken and refused, by source and reason |
//! | `rejects` | a sample of what was refused, for `$sys/rejects` |
#![deny(missing_docs)]

mod figures;
pub mod http;
mod intake;
mod kind;
pub mod mqtt;
mod outcome;
mod rejects;
pub mod scrape;
mod tls;

pub use figures::Figures;
pub use intake::{Batch, EventsTaken, Intake, Part, PartsTaken, ScrapedTarget, Sender, Taken};
pub use kind::Kind;
pub use outcome::Outcome;
pub use rejects::{Reject, Rejects};
pub use tls::{TlsFiles, TlsTable, Verification};
