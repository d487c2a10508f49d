//! How much the engine may hold.

use bellwire_model::limits::{IDEMPOTENCY_KEYS_MAX, TOPICS_MAX};

use super::DiskOptions;

/// How much there may be; tests lower it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreBounds {
    /// Topics with a row of their own.
    pub(crate) topics: usize,
    /// Idempotency keys.
    pub(crate) keys: usize,
    /// Pages of the file, where the disk shall seem full beyond them.
    pub(crate) pages: Option<u32>,
}

impl StoreBounds {
    #[cfg(test)]
    pub(super) fn of(options: &DiskOptions) -> Self {
        options.bounds
    }

    #[cfg(not(test))]
    pub(super) fn of(_: &DiskOptions) -> Self {
        Self::default()
    }
}

impl Default for StoreBounds {
    fn default() -> Self {
        Self { topics: TOPICS_MAX, keys: IDEMPOTENCY_KEYS_MAX, pages: None }
    }
}
