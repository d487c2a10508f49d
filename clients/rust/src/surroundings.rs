//! What all that a client does has in common.

use std::sync::Arc;

use crate::backoff::Backoff;
use crate::http::Http;
use crate::renewal::Renewal;
use crate::token::Token;

#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) http: Http,
    pub(crate) token: Arc<Token>,
    pub(crate) renewal: Arc<Renewal>,
    /// As whoever begins to wait has it.
    pub(crate) backoff: Backoff,
}
