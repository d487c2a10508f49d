//! The epoch of a journal that runs: of a replica it may change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bellwire_model::Epoch;

/// Shared by the writer, who changes it, and by all who ask.
#[derive(Clone, Debug)]
pub(crate) struct SharedEpoch(Arc<AtomicU32>);

impl SharedEpoch {
    /// It begins with this one.
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self(Arc::new(AtomicU32::new(epoch.get())))
    }

    pub(crate) fn get(&self) -> Epoch {
        Epoch::new(self.0.load(Ordering::Acquire))
    }

    pub(crate) fn set(&self, epoch: Epoch) {
        self.0.store(epoch.get(), Ordering::Release);
    }
}
