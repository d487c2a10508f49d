//! What a replica tells: handed on to the truth, and kept for who asks on this machine.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_journal::Observer;
use bellwire_model::{Entry, Epoch, Offset};

use crate::clock::MachineClock;
use crate::truth::{Life, SharedTruth};

/// See the module.
#[derive(Debug)]
pub(crate) struct Watch {
    epoch: AtomicU32,
    life: Mutex<Life>,
    truth: SharedTruth,
    clock: MachineClock,
}

impl Watch {
    pub(crate) fn new(
        machine: usize,
        epoch: Epoch,
        truth: SharedTruth,
        clock: MachineClock,
    ) -> Arc<Self> {
        let life = Mutex::new(Life::new(machine, epoch, Offset::ZERO));
        Arc::new(Self { epoch: AtomicU32::new(epoch.get()), life, truth, clock })
    }

    /// The epoch of what it tells.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch::new(self.epoch.load(Ordering::Relaxed))
    }

    /// What was told of this life of the replica.
    pub(crate) fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells it.
pub(crate) struct Teller(pub(crate) Arc<Watch>);

impl Observer for Teller {
    fn on_commit(&mut self, entries: Vec<Entry>) {
        let watch = &self.0;
        let now = watch.clock.now();
        let (mut life, mut truth) = (watch.life(), watch.truth.lock());
        for entry in entries {
            truth.told(&mut life, entry, now);
        }
    }

    fn on_begin_anew(&mut self, epoch: Epoch, base: Offset) {
        let watch = &self.0;
        let mut life = watch.life();
        *life = Life::new(life.machine(), epoch, base);
        watch.epoch.store(epoch.get(), Ordering::Relaxed);
        watch.truth.lock().begun(epoch);
    }
    fn on_enter_epoch(&mut self, epoch: Epoch, tail: Offset) {
        let watch = &self.0;
        let mut life = watch.life();
        watch.truth.lock().entered(&mut life, epoch, tail);
        watch.epoch.store(epoch.get(), Ordering::Relaxed);
    }
}
