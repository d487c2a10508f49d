//! What queries may take: places, time, samples, memory.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::QUERY_SHARE_PERCENT;
use bellwire_rules::{Allowance, QueryMemory, Waiter};

use crate::config::Config;
use crate::turns::{Asker, Turn, Turns};

/// The bounds of all queries, and what is left of them.
#[derive(Debug)]
pub(crate) struct Queries {
    places: Arc<Turns>,
    timeout: Duration,
    samples_max: usize,
    memory: QueryMemory,
}

impl Queries {
    /// Of the memory that the process may have, queries get their share.
    pub(crate) fn new(config: &Config, memory_bytes: u64) -> Self {
        let bytes = memory_bytes / 100 * QUERY_SHARE_PERCENT;
        Self {
            places: Turns::new(config.queries_max),
            timeout: config.query_timeout,
            samples_max: config.query_samples_max,
            memory: QueryMemory::new(usize::try_from(bytes).unwrap_or(usize::MAX)),
        }
    }

    /// How long a query may take that asks for so much; it may ask for less than others get.
    pub(crate) fn timeout(&self, asked: Option<Duration>) -> Duration {
        asked.map_or(self.timeout, |asked| asked.min(self.timeout))
    }

    /// Waits until it is a query's turn. The place is held until its work ends, though whoever asked
    /// may be gone.
    pub(crate) async fn place(&self, asker: Asker) -> Turn {
        self.places.take(asker).await
    }

    /// What one query may take.
    pub(crate) fn allowance(&self) -> (Allowance, Waiter) {
        Allowance::new(self.samples_max, &self.memory)
    }
}
