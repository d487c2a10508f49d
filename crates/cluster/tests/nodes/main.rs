//! Whole nodes over one log: what they promise, whatever the engine, the network and they themselves do.
//!
//! Everything but the writers of the replicas takes its turns as a generator with a seed says. Tests print
//! it; `BELLWIRE_TEST_SEED` is another one.

#![allow(clippy::print_stdout, reason = "a test that fails is run again with its seed")]

mod bases;
mod foreign;
mod founding;
mod identity;
mod keys;
mod large;
mod laws;
mod led;
mod lost;
mod rig;
mod threads;
mod trims;

/// What the run begins with.
fn seed() -> u64 {
    let asked = std::env::var("BELLWIRE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = asked.unwrap_or_else(|| fastrand::u64(..));
    println!("BELLWIRE_TEST_SEED={seed}");
    seed
}
