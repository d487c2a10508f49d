//! What there was before a query stood: found out once for all who follow it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::OnceCell;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct QueryPast {
    found: OnceCell<()>,
    /// What it is of stands no longer: under the same keys another expression comes to something else.
    is_over: AtomicBool,
}

impl QueryPast {
    /// That of what does not stand.
    pub(crate) fn over() -> Self {
        Self { found: OnceCell::new(), is_over: AtomicBool::new(true) }
    }

    /// What it is of stands no longer.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// Whether nobody wants it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Has it found, unless somebody has. Who comes meanwhile waits, too.
    pub(crate) async fn find(&self, find: impl Future<Output = ()>) {
        if !self.is_over() {
            self.found.get_or_init(|| find).await;
        }
    }
}
