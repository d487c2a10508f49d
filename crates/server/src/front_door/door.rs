//! What lies behind the front door.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bellwire_shards::Spread;

use crate::access::Access;
use crate::admission::Admission;
use crate::observe::Figures;
use crate::page::Callers;
use crate::tls::Tls;

/// What every connection needs.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) router: Router,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) spread: Arc<Spread>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) access: Arc<Access>,
    pub(crate) callers: Callers,
    /// How long a client may take no byte of what there is for it.
    pub(crate) stall_timeout: Duration,
}
