//! The suite on the engine in memory.

use super::run_all;
use crate::MemoryLogs;

#[test]
fn the_engine_in_memory_keeps_the_contract() {
    run_all(&mut || Box::new(MemoryLogs::immediate()));
}
