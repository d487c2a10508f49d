//! Whether this server is the one that tells of alerts: one that stands alone always is, of several nodes
//! one is at a time.
//!
//! What the journal takes is fenced below. What goes out to webhooks and browsers cannot be: whoever is about
//! to send something asks just before.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How often it is asked again where it is not so.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Clone)]
pub struct Charge(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Charge {
    /// Of a server that stands alone.
    pub fn always() -> Self {
        Self(None)
    }

    /// Of one of several: whatever this says.
    pub fn told(tell: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// Whether it is so now.
    pub fn is_ours(&self) -> bool {
        self.0.as_ref().is_none_or(|tell| tell())
    }

    /// Whether another server may have it later.
    pub(crate) fn is_one_of_several(&self) -> bool {
        self.0.is_some()
    }

    /// Waits until it is so.
    pub(crate) async fn ours(&self) {
        while !self.is_ours() {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Charge").field(&self.is_ours()).finish()
    }
}
