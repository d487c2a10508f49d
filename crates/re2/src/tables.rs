//! What the tables of many expressions take together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that are left for the tables of expressions, which get one when they have been asked often.
/// Without one they match all the same, and more slowly.
#[derive(Debug)]
pub struct Tables {
    left: AtomicUsize,
}

impl Tables {
    /// All of them take so many bytes at most.
    pub fn new(bytes_max: usize) -> Self {
        Self { left: AtomicUsize::new(bytes_max) }
    }

    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Takes so many; says whether they were left.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let rest = |left: usize| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest).is_ok()
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}
