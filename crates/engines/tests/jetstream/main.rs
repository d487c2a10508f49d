//! The shared log on real nats-servers: the contract's suite, and what is particular to NATS.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod cluster;
mod following;
mod nats;
mod proxy;
mod refusals;
mod server;
#[path = "../shared/standstill.rs"]
mod standstill;
mod trimming;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bellwire_shared_log::contract::{CLAUSES, Clause, Engine};

use crate::nats::Nats;
use crate::server::program;

/// How many clauses run at once: they wait most of the time.
const THREADS: usize = 6;

#[test]
fn jetstream_keeps_the_contract() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    check(CLAUSES, &|| Box::new(Nats::start(&program)));
}

/// Runs these clauses, each on an engine of its own.
fn check(clauses: &[Clause], start: &(dyn Fn() -> Box<dyn Engine> + Sync)) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(clause) = clauses.get(next.fetch_add(1, Ordering::Relaxed)) {
                    clause.run(&mut || start());
                }
            });
        }
    });
}
