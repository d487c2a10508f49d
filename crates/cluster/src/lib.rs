//! A node of a cluster: its replica of the shared log is its journal.
//!
//! ```text
//! publish ─▶ ClusterJournal ─▶ Outbox: gathers, numbers, keeps who waits ─▶ SharedLog::append
//!                                 ▲ met, passed
//! follow ◀── SharedLog ─▶ Follower: envelope ─▶ Order ─▶ batch ─▶ Replica::apply ─▶ observer, reply
//! ```
//!
//! Every node applies the same entries in the same order, so that every one has the same events at the
//! same offsets: the entry's position, and which event of it. A publisher is answered when its batch is
//! durable in the engine, as far as that says, and was applied here.
//!
//! - [`Lease`] says who of several nodes does something, for a while; a [`Tenure`] asks for one and holds it,
//!   and a [`FencedJournal`] appends only while it does.
//! - [`Standing`] says how a node stands to the log.
//! - A [`Node`] takes its turns on threads of its own, or where a simulation has it do so.
#![deny(missing_docs)]

mod applies;
mod batch;
mod behind;
mod clock;
mod envelope;
mod epoch;
mod error;
mod fenced;
mod fields;
mod follower;
mod founding;
mod house;
mod identity;
mod journal;
mod lease;
mod loaded;
mod mark;
mod node;
mod nodes;
mod order;
mod outbox;
mod pins;
mod places;
mod queue;
mod raising;
mod reading;
mod secret;
#[cfg(test)]
mod seed;
mod shared;
mod sightings;
mod standing;
mod tenure;
mod threads;
mod trimming;
mod watchers;
mod window;

pub use clock::Clock;
pub use error::Error;
pub use fenced::FencedJournal;
pub use founding::{Foundation, Founding, RECORDS};
pub use identity::ClusterId;
pub use journal::ClusterJournal;
pub use lease::{Lease, LeaseStep, LeaseTiming, Wanted};
pub use node::{Node, NodeOptions};
pub use nodes::{Applied, NODES_MAX, NodeMark, Roster, nodes};
pub use pins::Pin;
pub use places::place_of;
pub use raising::Vigil;
pub use secret::{SECRET_BYTES, Secret};
pub use standing::{Standing, Watcher};
pub use tenure::{Other, Seat, Tenure};
