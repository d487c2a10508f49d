//! Followers that come back, over a network that fails on purpose: whether each event reaches each of
//! them once and in order, how late, and at what cost.
//!
//! ```text
//! publisher ──▶ server ◀── network ◀── followers: SSE, WebSocket, long poll
//!                             ▲             │
//!                      fault: what, when    └──▶ ledger: what came, how late
//! ```
//!
//! A crowd is very many followers on one thread, for a server that is killed: they read and count in
//! the same way, and go on at the next address.

mod clock;
mod crowd;
mod fault;
mod feed;
mod follower;
mod ledger;
mod network;
mod outcome;
mod run;

pub(crate) use self::crowd::Crowd;
pub(crate) use self::fault::FaultKind;
pub(crate) use self::feed::body;
pub(crate) use self::ledger::{Ledger, Tally};
pub(crate) use self::outcome::{Memories, Outcome, Side};
pub(crate) use self::run::{Plan, run};
