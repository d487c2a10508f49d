//! The threads of a node, which end before its replica does.

use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Threads(Mutex<Vec<JoinHandle<()>>>);

impl Threads {
    pub(crate) fn add(&self, threads: [JoinHandle<()>; 3]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(threads);
    }

    /// Waits until they have ended.
    pub(crate) fn join(&self) {
        let threads = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("A thread of the cluster had failed.");
            }
        }
    }
}
