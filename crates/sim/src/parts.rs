//! What a world is made of, where that may be something else.

use std::fmt;
use std::sync::Arc;

use bellwire_journal::Replica;
use bellwire_shared_log::contract::Fault;
use bellwire_shared_log::{MemoryLog, MemoryLogs, SharedLog};

use crate::disk::Step;

/// What a world is made of. Everything as it should be, unless a test says otherwise.
pub trait Parts: fmt::Debug + Sync {
    /// The log, as a node has it.
    fn log(&self, log: Arc<MemoryLog>) -> Arc<dyn SharedLog> {
        log
    }

    /// The log, as a node of another cluster has it that is led there.
    fn log_of_others(&self, log: Arc<MemoryLog>) -> Arc<dyn SharedLog> {
        self.log(log)
    }

    /// The replica, as a node has it.
    fn replica(&self, replica: Arc<dyn Replica>) -> Arc<dyn Replica> {
        replica
    }

    /// What a node gets of another one's disk.
    fn snapshot(&self, steps: Vec<Step>) -> Vec<Step> {
        steps
    }

    /// The engine is killed, and starts again later.
    fn kill_engine(&self, logs: &MemoryLogs) {
        logs.fail(Fault::Kill);
    }

    /// Whether publishers are answered as the journal answers; at once, where they are not.
    fn waits_for_the_journal(&self) -> bool {
        true
    }
}

/// As it should be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Honest;

impl Parts for Honest {}
