//! What the process gives to all that runs in it: the time, chance, threads that it cannot do
//! without, and the figures that it is watched by.
//!
//! It is the one crate of its floor that reads a clock. What decides anything is told the time by
//! whoever runs it; what runs something has it from here.
#![deny(missing_docs)]

mod chance;
pub mod clock;
pub mod crash;
mod figure;

pub use chance::jittered;
pub use figure::{Family, Figure, Inside, Row};
