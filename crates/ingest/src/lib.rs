//! Sensors' bytes to samples: pure decoders, one module for each format.
//!
//! A decoder takes a request's body and the time, and returns the samples with a rejection for
//! each item that is none. One bad item never costs its neighbours.
//!
//! ```text
//! body ── json ──────────┐
//! body ── line_protocol ─┼─▶ decoded: samples │ rejections
//! body ── remote_write ──┤
//! body ── otlp ──────────┤
//! message ── mqtt ───────┘
//!
//! body ── exposition ── relabel ── scrape ──▶ decoded: samples, all of them or none
//! ```

mod decoded;
pub mod exposition;
pub mod json;
pub mod line_protocol;
pub mod mqtt;
mod name;
pub mod otlp;
mod protobuf;
pub mod relabel;
pub mod remote_write;
pub mod scrape;

pub use decoded::{Announced, Change, Decoded, Interval, Rejection, Verdict};
