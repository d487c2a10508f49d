//! Who may attend to which alerts. It is asked within the desk's turn, of the alert as it is then.

use std::sync::Arc;

use bellwire_access::{Identity, Means};
use bellwire_alerts::desk::{AcknowledgeError, Case, Desk, Plan};
use bellwire_model::{Fingerprint, NewAcknowledgement, Timestamp};

/// Somebody who takes alerts up, or lets go of them.
#[derive(Debug)]
pub(crate) struct Attending(Arc<Identity>);

impl Attending {
    pub(crate) fn of(identity: Arc<Identity>) -> Self {
        Self(identity)
    }

    /// Takes an alert up, in the caller's own name where that is known.
    pub(crate) fn acknowledge(
        &self,
        desk: &Desk,
        now: Timestamp,
        (fingerprint, mut new): (Fingerprint, NewAcknowledgement),
    ) -> Result<Plan, AcknowledgeError> {
        self.check(desk, fingerprint)?;
        if !matches!(self.0.means, Means::Open | Means::Anonymous) {
            new.by = self.0.subject.clone();
        }
        desk.plan_acknowledgement(now, fingerprint, new)
    }

    /// Lets go of an alert.
    pub(crate) fn unacknowledge(
        &self,
        desk: &Desk,
        now: Timestamp,
        fingerprint: Fingerprint,
    ) -> Result<Plan, AcknowledgeError> {
        self.check(desk, fingerprint)?;
        desk.plan_unacknowledgement(now, fingerprint)
    }

    /// An alert that one may not attend to is not there: to say more would be to say that it is.
    fn check(&self, desk: &Desk, fingerprint: Fingerprint) -> Result<(), AcknowledgeError> {
        let scope = &self.0.rights.attend;
        let is_seen = |case: &Case| scope.passes(&case.alert().labels);
        if scope.is_all() || desk.case(fingerprint).is_some_and(is_seen) {
            return Ok(());
        }
        Err(AcknowledgeError::NotFound)
    }
}
