//! What one query may take of the memory, and whether anybody still waits for it.
//!
//! Rules have none: what they look at is there already. A query copies it, and its answer may have
//! any number of values; it counts both as samples while it holds them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Evaluated, EvaluationError};
use crate::storage::SAMPLE_BYTES;

/// Bytes that a query borrows at a time, so that those who work side by side seldom meet.
const LOAN_BYTES: usize = 1024 * 1024;

/// The memory of all queries together.
#[derive(Clone, Debug)]
pub struct QueryMemory(Arc<AtomicUsize>);

impl QueryMemory {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// The bytes that nobody has.
    pub fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn lend(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn take_back(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Whoever waits for a query. Once this is dropped the query ends at its next step.
#[derive(Debug)]
pub struct Waiter(Arc<AtomicBool>);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What one query may take.
#[derive(Debug)]
pub struct Allowance {
    samples_max: usize,
    /// Samples that it holds.
    samples: usize,
    /// Bytes that it holds beside them.
    bytes: usize,
    memory: QueryMemory,
    /// Bytes that it has of the memory.
    lent: usize,
    is_given_up: Arc<AtomicBool>,
}

impl Allowance {
    /// At most so many samples at once, and no more than there is memory; ends when the waiter
    /// is dropped.
    pub fn new(samples_max: usize, memory: &QueryMemory) -> (Self, Waiter) {
        let is_given_up = Arc::default();
        let waiter = Waiter(Arc::clone(&is_given_up));
        let memory = memory.clone();
        (Self { samples_max, samples: 0, bytes: 0, memory, lent: 0, is_given_up }, waiter)
    }

    /// Whether somebody still waits.
    pub fn check(&self) -> Result<(), EvaluationError> {
        let is_given_up = self.is_given_up.load(Ordering::Relaxed);
        if is_given_up { Err(EvaluationError::GivenUp) } else { Ok(()) }
    }

    /// Holds bytes that are no samples.
    pub fn hold_bytes(&mut self, bytes: usize) -> Result<(), EvaluationError> {
        self.bytes += bytes;
        self.borrow()
    }

    /// Holds these bytes, and nothing else any more.
    pub fn hold_only(&mut self, bytes: usize) {
        (self.samples, self.bytes) = (0, bytes.min(self.lent));
        self.memory.take_back(self.lent - self.bytes);
        self.lent = self.bytes;
    }

    /// Holds more samples.
    pub(crate) fn hold(&mut self, samples: usize) -> Evaluated<()> {
        self.samples += samples;
        if self.samples > self.samples_max {
            return Err(EvaluationError::TooManySamples { max: self.samples_max });
        }
        self.borrow()
    }

    /// How many samples it may hold.
    pub(crate) fn samples_max(&self) -> usize {
        self.samples_max
    }

    /// How many samples it holds.
    pub(crate) fn held(&self) -> usize {
        self.samples
    }

    /// Holds no more samples than that.
    pub(crate) fn let_go(&mut self, samples: usize) {
        self.samples = self.samples.min(samples);
    }

    fn borrow(&mut self) -> Evaluated<()> {
        let wanted = self.samples * SAMPLE_BYTES + self.bytes;
        if wanted <= self.lent {
            return Ok(());
        }
        let more = (wanted - self.lent).next_multiple_of(LOAN_BYTES);
        if !self.memory.lend(more) {
            return Err(EvaluationError::NoMemory);
        }
        self.lent += more;
        Ok(())
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.memory.take_back(self.lent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let memory = QueryMemory::new(3 * LOAN_BYTES);
        let (mut one, _waiter) = Allowance::new(100, &memory);
        one.hold(60).expect("there is memory");
        assert_eq!(one.hold(41), Err(EvaluationError::TooManySamples { max: 100 }));
        one.let_go(60);
        one.hold(40).expect("there is some again");
        let (mut other, _waiter) = Allowance::new(usize::MAX, &memory);
        other.hold_bytes(2 * LOAN_BYTES).expect("there is memory");
        assert_eq!(memory.left(), 0);
        assert_eq!(other.hold_bytes(1), Err(EvaluationError::NoMemory));
        other.hold_only(10);
        assert_eq!(memory.left(), 2 * LOAN_BYTES - 10);
        drop((one, other));
        assert_eq!(memory.left(), 3 * LOAN_BYTES);
    }

    #[test]
    fn a_query_that_nobody_waits_for_ends() {
        let (allowance, waiter) = Allowance::new(1, &QueryMemory::new(0));
        assert_eq!(allowance.check(), Ok(()));
        drop(waiter);
        assert_eq!(allowance.check(), Err(EvaluationError::GivenUp));
    }
}
