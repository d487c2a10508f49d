//! One alert at the desk.

use std::sync::Arc;

use bellwire_model::{Alert, AlertStatus, Timestamp};

use super::{Audience, Outcome, Shown, is_raised};
use crate::inhibition::Inhibitors;
use crate::posted::Posted;
use crate::record::Episode;
use crate::silence::Silencers;

/// An alert, and what has been made of it. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Case {
    pub(super) alert: Arc<Alert>,
    pub(super) status: AlertStatus,
    pub(super) updated_at: Timestamp,
    /// How many silences in force match it.
    pub(super) silences: usize,
    /// What else is known of it where it was posted.
    pub(super) posted: Option<Posted>,
}

impl Case {
    pub(super) fn of_rule(alert: Arc<Alert>, now: Timestamp) -> Self {
        Self { alert, status: AlertStatus::default(), updated_at: now, silences: 0, posted: None }
    }

    pub(super) fn of_posted(posted: Posted) -> Self {
        let alert = Arc::clone(&posted.alert);
        let updated_at = alert.sample_time;
        let status = AlertStatus::default();
        Self { alert, status, updated_at, silences: 0, posted: Some(posted) }
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

    /// Which of its times of firing it is. Posts may say that a posted one began earlier: it is the
    /// same all the same.
    pub(super) fn episode(&self) -> Episode {
        let Alert { fired_at, active_at, .. } = *self.alert;
        let of_rule = Episode::FiredAt(fired_at.unwrap_or(active_at));
        self.posted.as_ref().map_or(of_rule, |posted| Episode::Since(posted.since))
    }

    /// Whether it is this one; of a posted alert, earlier versions noted when it fired.
    pub(super) fn is_in(&self, episode: Episode) -> bool {
        match episode {
            Episode::FiredAt(fired_at) => self.alert.fired_at == Some(fired_at),
            Episode::Since(_) => self.episode() == episode,
        }
    }

    pub(super) fn silencers(&self) -> Silencers {
        Silencers { named: self.status.silenced_by.clone(), count: self.silences }
    }

    /// These silence it from now on. Says whether people see a difference.
    pub(super) fn put_silencers(&mut self, silencers: Silencers) -> bool {
        let has_more = silencers.has_more();
        self.silences = silencers.count;
        let is_seen =
            self.status.silenced_by != silencers.named || self.status.has_more_silences != has_more;
        self.status.silenced_by = silencers.named;
        self.status.has_more_silences = has_more;
        is_seen
    }

    /// Looks at who inhibits it.
    pub(super) fn look_for_inhibition(&mut self, by: &Inhibitors, outcome: &mut Outcome) {
        let inhibited_by = by.inhibited_by(&self.alert.labels);
        if self.status.inhibited_by != inhibited_by {
            self.status.inhibited_by = inhibited_by;
            outcome.shown.push(self.shown(None));
        }
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
