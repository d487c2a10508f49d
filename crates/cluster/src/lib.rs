//! A node of a cluster: its replica of the shared log is its journal.

mod batch;
mod envelope;
mod error;
mod fields;
mod lease;
mod order;

pub use error::Error;
pub use lease::{Lease, LeaseStep, LeaseTiming, Wanted};
