//! Which transport suits what flows between clients and a server: Server-Sent Events, WebSocket, long
//! poll, or one way down and another one up.
//!
//! Everything here is a function of its arguments. What a transport costs is taken from one table of
//! figures that were measured with `bellwire bench`.
//!
//! ```text
//! TOML or JSON ── read ──▶ Description ── advise ──▶ Advice: six steps, and of each flow a
//!                                                   transport, reasons, warnings and costs
//! a server's counts ────── Seen ──────── observe ──▶ ObservedAdvice: of each kind of traffic
//! ```
#![deny(missing_docs)]

mod advise;
mod cost;
mod decide;
mod flow;
mod measured;
mod observed;
mod outcome;
mod read;
mod reason;
mod say;
mod steps;
#[cfg(test)]
mod tests;

pub use advise::{Advice, advise};
pub use cost::{Candidate, Cost};
pub use decide::{Choice, SENDS_OFTEN_PER_SECOND};
pub use flow::{Client, Description, Direction, Flow, Infrastructure, Proxies, Team, WebSockets};
pub use measured::{FIGURES, Figure, Source, Transport};
pub use observed::{
    Carrier, CarrierTotal, Counts, Kind, KindAdvice, ObservedAdvice, Seen, Verdict, observe,
};
pub use outcome::{FlowAdvice, Totals};
pub use read::{ReadError, read_json, read_toml};
pub use reason::{Reason, Values};
pub use steps::{STEPS, Step};
