//! What lies behind the front door.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use bellwire_shards::Spread;

use crate::access::Access;
use crate::admission::Admission;
use crate::observe::Figures;
use crate::page::Callers;
use crate::tls::Tls;

/// Where requests go: elsewhere from some moment on, where the node takes the desk over or gives it up. One that
/// has begun goes on as it began.
#[derive(Debug)]
pub(crate) struct Routes(RwLock<Router>);

impl Routes {
    pub(crate) fn new(router: Router) -> Arc<Self> {
        Arc::new(Self(RwLock::new(router)))
    }

    /// Requests that begin from now on go there.
    pub(crate) fn turn(&self, router: Router) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = router;
    }

    /// Where one goes that begins now. Nobody waits: it is written once in weeks.
    pub(super) fn now(&self) -> Router {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What every connection needs.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) routes: Arc<Routes>,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) spread: Arc<Spread>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) access: Arc<Access>,
    pub(crate) callers: Callers,
    /// How long a client may take no byte of what there is for it.
    pub(crate) stall_timeout: Duration,
}
