//! What becomes of alerts once they fire: who silences or acknowledges them, which others inhibit
//! them, and whom to notify of which group at what time.
//!
//! Rules say that an alert fires; this crate says what that means for people. It is a pure state
//! machine in the terms of Prometheus' Alertmanager: time, alerts and requests go in, states and
//! notifications come out. Nothing here reads a clock or does I/O.
//!
//! ```text
//! rules, posts, requests, time ─▶ Desk ─▶ alerts as people see them, records
//!                                  │
//!                                  └ updates ─▶ Dispatcher ─▶ notifications, records
//! ```
//!
//! [`Desk`] has every alert, silenced ([`silence`]), inhibited ([`inhibition`]), acknowledged or
//! posted. [`config`] reads Alertmanager's file, [`route`] is its tree, and [`dispatch`] decides whom
//! to tell of what and when. [`record`] is what of the desk outlives the process.
//!
//! `docs/internals/alerts.md` tells the whole, with the thread and the requests around it.

pub mod config;
pub mod desk;
pub mod dispatch;
pub mod inhibition;
pub mod notification;
mod now;
pub mod past;
mod posted;
pub mod record;
pub mod route;
pub mod silence;

pub use bellwire_model::{Matcher, MatcherError, Matchers, MatchersBuilder, Operator};
pub use desk::Desk;
pub use now::Now;
pub use posted::{Post, PostError};
