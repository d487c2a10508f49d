//! A deterministic simulation of a cluster: whole nodes on virtual time, over a log in memory.
//!
//! ```text
//! seed ─▶ Plan: how many nodes, who publishes, what goes wrong when
//!           │
//!           ▼
//!         World: whoever is due first has its turn ─▶ Node, MemoryLogs, publishers, followers, keepers
//!           │                                              │ what is applied, answered, delivered
//!           ▼                                              ▼
//!        Outcome: figures, or a breach ◀─────────────── Truth: compares it with what was promised
//! ```
//!
//! The nodes are those of `bellwire-cluster`, with their outbox, follower, leases, trimming and replica, and
//! the log is the engine in memory of `bellwire-shared-log` with all that it can do wrong. Nothing else is
//! real: time is a number, disks are lists of what was applied ([`Step`]), clients are a few fields.
//! So one seed is one run, a run is some thousand turns, and a seed that has failed is a test.
//!
//! What is asserted, while it runs and in the end:
//! - of one epoch there is one event at each offset, whichever node tells it, and offsets increase;
//! - what is published once is there at most once; what was acknowledged is where it was said to be, for as
//!   long as the epoch is the same, and the epoch changes only where the engine has lost something;
//! - what producers number is there in order and without holes; a compare and set follows what it has
//!   compared; of those who hold a lease one writes at a time;
//! - whoever follows, at whichever nodes, gets each event of its topics once and in order, or a gap covers it;
//! - a node of another cluster takes nothing from anybody, also while all stand still;
//! - nothing is trimmed that a node needs which was not away for long;
//! - once nothing goes wrong any more, all of it comes to an end: all nodes have the same, whoever waits is
//!   answered, leases are held.
//!
//! What is simulated may be replaced ([`Parts`]): tests put wrong ones in, and are content once each was
//! found.
#![deny(missing_docs)]

mod clients;
mod clock;
mod disk;
mod figures;
mod followers;
mod keeper;
mod machine;
mod parts;
mod plan;
mod publishers;
mod run;
mod shrink;
mod stranger;
mod truth;
mod watch;
mod world;

pub use disk::Step;
pub use figures::Figures;
pub use parts::{Honest, Parts};
pub use plan::{Act, Kind, Plan, Trouble};
pub use run::{Outcome, run};
pub use shrink::shrink;
pub use truth::Breach;
