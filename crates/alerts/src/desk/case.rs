//! One alert at the desk.

use std::sync::Arc;

use bellwire_model::{Alert, AlertStatus, Timestamp};

use super::{Audience, Shown, is_raised};
use crate::posted::Posted;

/// An alert, and what has been made of it. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Case {
    pub(super) alert: Arc<Alert>,
    pub(super) status: AlertStatus,
    pub(super) updated_at: Timestamp,
    /// What else is known of it where it was posted.
    pub(super) posted: Option<Posted>,
}

impl Case {
    pub(super) fn of_rule(alert: Arc<Alert>, now: Timestamp) -> Self {
        Self { alert, status: AlertStatus::default(), updated_at: now, posted: None }
    }

    pub(super) fn of_posted(posted: Posted) -> Self {
        let alert = Arc::clone(&posted.alert);
        let updated_at = alert.sample_time;
        Self { alert, status: AlertStatus::default(), updated_at, posted: Some(posted) }
    }

    /// The alert as its source has it.
    pub fn alert(&self) -> &Arc<Alert> {
        &self.alert
    }

    /// What has been made of it.
    pub fn status(&self) -> &AlertStatus {
        &self.status
    }

    /// When its source said something of it last.
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// When it resolves or has resolved, where that is known. A rule's alert goes on until the
    /// rule says otherwise.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.posted.as_ref().map(|posted| posted.ends_at).or(self.alert.resolved_at)
    }

    /// Whether it has begun to fire and not resolved.
    pub fn is_raised(&self) -> bool {
        is_raised(self.alert.state)
    }

    /// As it is to be shown.
    pub fn shown(&self, event_type: Option<&'static str>) -> Shown {
        let (alert, status) = (Arc::clone(&self.alert), self.status.clone());
        Shown { alert, status, event_type, audience: Audience::All }
    }

    /// Whether people would see no difference.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        let (one, two) = (&self.alert, &other.alert);
        one.annotations == two.annotations
            && one.source == two.source
            && one.active_at == two.active_at
            && one.state == two.state
            && self.status == other.status
    }
}
