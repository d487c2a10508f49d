//! How much the engine may hold.

use bellwire_model::limits::{
    ENDED_TOPICS_BYTES_MAX, IDEMPOTENCY_KEYS_MAX, PRODUCERS_BYTES_MAX, TOPICS_MAX,
};

use super::DiskOptions;

/// How much there may be; tests lower it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreBounds {
    /// Topics with a row of their own.
    pub(crate) topics: usize,
    /// Bytes of topics that have ended.
    pub(crate) ended_bytes: usize,
    /// Idempotency keys.
    pub(crate) keys: usize,
    /// Bytes of producers.
    pub(crate) producers_bytes: usize,
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
        let (topics, ended_bytes) = (TOPICS_MAX, ENDED_TOPICS_BYTES_MAX);
        let (keys, producers_bytes) = (IDEMPOTENCY_KEYS_MAX, PRODUCERS_BYTES_MAX);
        Self { topics, ended_bytes, keys, producers_bytes, pages: None }
    }
}
