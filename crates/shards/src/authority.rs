//! Who may what over a connection's life: what a shard asks of the crate above.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::Principal;

/// Who gave principals their numbers. Nothing here blocks: a shard has others to serve.
pub trait Authority: fmt::Debug + Send + Sync {
    /// How long what this principal has shown still counts. `None`: it does not end by itself.
    fn left(&self, principal: Principal) -> Option<Duration>;

    /// One fewer connection is this principal's.
    fn leave(&self, principal: Principal);
}

/// A principal's number, counted as one that is in use until it is dropped or passed on.
#[derive(Debug)]
pub struct HeldPrincipal {
    principal: Principal,
    /// `None`: nobody counts those who have no number.
    authority: Option<Arc<dyn Authority>>,
}

impl HeldPrincipal {
    /// Somebody who has not said who they are.
    pub fn anonymous() -> Self {
        Self { principal: Principal::ANONYMOUS, authority: None }
    }

    /// One more connection is this principal's: whoever makes this has counted it.
    pub fn new(principal: Principal, authority: Arc<dyn Authority>) -> Self {
        Self { principal, authority: Some(authority) }
    }

    /// Whose it is.
    pub fn principal(&self) -> Principal {
        self.principal
    }

    /// Passes the count on: whoever takes the number tells when it is over.
    pub(crate) fn take(mut self) -> Principal {
        self.authority = None;
        self.principal
    }
}

impl Drop for HeldPrincipal {
    fn drop(&mut self) {
        if let Some(authority) = &self.authority {
            authority.leave(self.principal);
        }
    }
}
