//! Measures push systems, this one and others, the same way for everybody.
//!
//! ```text
//! system     what is measured: how it is started, how one subscribes and publishes
//! load       what measures: very many subscribers on one thread, publishers, marks, latencies
//! workload   what is done, one file each, to one record
//! result     the record as it is kept
//! report     all kept records as one page
//! fleet      rules and series as Kubernetes' own monitoring has them
//! soak       followers that come back, over a network that fails
//! senders    the fleet's samples in each protocol
//! floor      a server that does nothing but write: what no other can be far below
//! ```
//!
//! The generator shares the machine with the server, so it is built to be cheap: few threads,
//! plain sockets, and what comes is searched for what matters only.
#![allow(clippy::disallowed_methods, reason = "a load generator reads the clock and paces itself")]

mod fleet;
mod floor;
mod histogram;
mod load;
mod process;
mod report;
mod result;
mod senders;
mod soak;
mod system;
mod workload;

use anyhow::Result;

pub use self::workload::Arguments;

/// Prints a text and a line feed to standard output.
pub type Print = fn(&str) -> Result<()>;

/// Does what the command line says.
pub fn run(arguments: Arguments, print: Print) -> Result<()> {
    workload::run(arguments, print)
}
