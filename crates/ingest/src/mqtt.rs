//! MQTT 3.1.1 and 5: packets, and what their messages mean.
//!
//! ```text
//! bytes ── packet ──▶ message: topic, payload
//!                        │
//!                     mapping: topic template ─▶ name and labels
//!                        │     number, JSON paths, Sparkplug B ─▶ values and time
//!                        ▼
//!                     samples │ what is wrong
//! ```
//!
//! All of it is told the time and does no I/O. What a session does with packets is not here.

pub mod json_path;
pub mod mapping;
pub mod packet;
pub mod publication;
pub mod sparkplug;
pub mod topic;
