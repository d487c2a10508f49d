//! In whose name push subscriptions go on, and what they see today.

use std::sync::Arc;

use bellwire_access::{Identity, Mandate};
use bellwire_alerting::Standing;
use bellwire_model::Scope;
use bellwire_process::clock;

use super::Access;

/// Asks who somebody is today in whose name something goes on.
#[derive(Debug)]
pub(crate) struct Mandates(pub(crate) Arc<Access>);

impl Mandates {
    /// The mandate of whoever asks for something that goes on, as it is kept. `None`: nobody answers
    /// for it.
    pub(crate) fn written(identity: &Identity) -> Option<Box<str>> {
        let mandate = Mandate::of(identity)?;
        Some(serde_json::to_string(&mandate).expect("texts are JSON").into())
    }
}

impl Standing for Mandates {
    fn sees(&self, mandate: &str) -> Option<Scope> {
        let mandate: Mandate = serde_json::from_str(mandate).ok()?;
        let identity = self.0.authenticator.mandated(&mandate, clock::now())?;
        Some(identity.rights.alerts)
    }
}
