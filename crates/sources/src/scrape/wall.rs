//! The time of day of scrapes: it may be set, while what is waited for goes by another clock.

use std::fmt;
use std::sync::Arc;

use bellwire_model::Timestamp;
use bellwire_process::clock;

/// A wall clock.
#[derive(Clone)]
pub(super) struct Wall(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Wall {
    #[cfg(test)]
    pub(super) fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Wall {
    fn default() -> Self {
        Self(Arc::new(clock::now))
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wall({})", self.now().as_ms())
    }
}
