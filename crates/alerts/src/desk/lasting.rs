//! How long what people do with an alert lasts: from its firing to its resolution, whatever its rule
//! says meanwhile, and over restarts.

use std::sync::Arc;

use bellwire_model::{Acknowledgement, AlertStatus, Attention, Fingerprint};

use super::{Case, Desk, Outcome};
use crate::record::{self, Acknowledged, Attended, Episode};

/// What people did of an alert that is yet to come.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) acknowledged: Option<Acknowledged>,
    pub(super) attended: Option<Attended>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.acknowledged.is_none() && self.attended.is_none()
    }

    pub(super) fn acknowledgement(&self) -> Option<&Arc<Acknowledgement>> {
        self.acknowledged.as_ref().map(|it| &it.acknowledgement)
    }

    pub(super) fn attention(&self) -> Option<&Arc<Attention>> {
        self.attended.as_ref().map(|it| &it.attention)
    }

    fn bytes(&self) -> usize {
        acknowledgement_bytes(self.acknowledgement()) + attention_bytes(self.attention())
    }
}

impl Desk {
    /// Somebody attends to an alert, or nobody any more. If it has resolved since that was asked,
    /// nobody does.
    pub(super) fn put_acknowledged(
        &mut self,
        (fingerprint, acknowledged): (Fingerprint, Option<Acknowledged>),
        event_type: Option<&'static str>,
        outcome: &mut Outcome,
    ) {
        let episode = acknowledged.as_ref().map(|it| it.episode);
        let put = |status: &mut AlertStatus| {
            status.acknowledged = acknowledged.map(|it| it.acknowledgement);
        };
        if !self.put_status((fingerprint, episode), put, (event_type, outcome)) {
            outcome.records.push(record::set_acknowledged(fingerprint, None));
        }
    }

    /// The same of who is to see to an alert, and what was said of it.
    pub(super) fn put_attended(
        &mut self,
        (fingerprint, attended): (Fingerprint, Option<Attended>),
        event_type: Option<&'static str>,
        outcome: &mut Outcome,
    ) {
        let episode = attended.as_ref().map(|it| it.episode);
        let put = |status: &mut AlertStatus| status.attention = attended.map(|it| it.attention);
        if !self.put_status((fingerprint, episode), put, (event_type, outcome)) {
            outcome.records.push(record::set_attended(fingerprint, None));
        }
    }

    /// Changes what an alert is besides what its rule says, and shows it. Says whether it fires still,
    /// and for the same time.
    fn put_status(
        &mut self,
        (fingerprint, episode): (Fingerprint, Option<Episode>),
        put: impl FnOnce(&mut AlertStatus),
        (event_type, outcome): (Option<&'static str>, &mut Outcome),
    ) -> bool {
        let is_of_this = |case: &&mut Case| {
            case.is_raised() && episode.is_none_or(|episode| case.is_in(episode))
        };
        let Some(case) = self.cases.get_mut(&fingerprint).filter(is_of_this) else { return false };
        self.attended_bytes -= status_bytes(&case.status);
        put(&mut case.status);
        self.attended_bytes += status_bytes(&case.status);
        outcome.shown.push(case.shown(event_type));
        true
    }

    /// What people did of an alert that comes in the place of `old`: the same as before it changed, or
    /// before a restart, unless it has resolved meanwhile.
    pub(super) fn attend(&mut self, case: &mut Case, old: Option<&Case>, outcome: &mut Outcome) {
        if case.is_raised() {
            let Waiting { acknowledged, attended } = self.take_waiting(case);
            let old = old.filter(|old| old.is_raised() && old.episode() == case.episode());
            let old = old.map(|old| &old.status);
            let (acknowledged, attention) =
                (acknowledged.map(|it| it.acknowledgement), attended.map(|it| it.attention));
            case.status.acknowledged =
                acknowledged.or_else(|| old.and_then(|old| old.acknowledged.clone()));
            case.status.attention = attention.or_else(|| old.and_then(|old| old.attention.clone()));
            self.attended_bytes += status_bytes(&case.status);
        }
        if let Some(old) = old {
            self.unattend(old);
            forget_lost(case.alert.fingerprint, (&old.status, &case.status), outcome);
        }
    }

    /// An alert is no longer there, or no longer as it was.
    pub(super) fn unattend(&mut self, case: &Case) {
        self.attended_bytes -= status_bytes(&case.status);
    }

    /// Something of before a restart, of an alert that is yet to come.
    pub(super) fn wait_for(&mut self, fingerprint: Fingerprint, put: impl FnOnce(&mut Waiting)) {
        let waiting = self.waiting.entry(fingerprint).or_default();
        self.attended_bytes -= waiting.bytes();
        put(waiting);
        self.attended_bytes += waiting.bytes();
    }

    /// What has waited for an alert, and is of the time for which it fires now.
    fn take_waiting(&mut self, case: &Case) -> Waiting {
        let fingerprint = case.alert.fingerprint;
        let Some(mut left) = self.waiting.remove(&fingerprint) else { return Waiting::default() };
        let taken = Waiting {
            acknowledged: left.acknowledged.take_if(|it| case.is_in(it.episode)),
            attended: left.attended.take_if(|it| case.is_in(it.episode)),
        };
        self.attended_bytes -= taken.bytes();
        if !left.is_empty() {
            self.waiting.insert(fingerprint, left);
        }
        taken
    }

    /// Ends what waited for alerts that have not come back.
    pub(super) fn end_waiting(&mut self, outcome: &mut Outcome) {
        for (fingerprint, waiting) in std::mem::take(&mut self.waiting) {
            self.attended_bytes -= waiting.bytes();
            let was = AlertStatus {
                acknowledged: waiting.acknowledgement().cloned(),
                attention: waiting.attention().cloned(),
                ..AlertStatus::default()
            };
            forget_lost(fingerprint, (&was, &AlertStatus::default()), outcome);
        }
    }
}

/// Forgets the records of what has ended.
pub(super) fn forget_lost(
    fingerprint: Fingerprint,
    (before, after): (&AlertStatus, &AlertStatus),
    outcome: &mut Outcome,
) {
    if before.acknowledged.is_some() && after.acknowledged.is_none() {
        outcome.records.push(record::set_acknowledged(fingerprint, None));
    }
    if before.attention.is_some() && after.attention.is_none() {
        outcome.records.push(record::set_attended(fingerprint, None));
    }
}

/// Bytes of the record of an acknowledgement; none where there is none.
pub(super) fn acknowledgement_bytes(acknowledgement: Option<&Arc<Acknowledgement>>) -> usize {
    acknowledgement.map_or(0, record::acknowledgement_bytes)
}

/// Bytes of the record of who is to see to an alert and what was said of it.
pub(super) fn attention_bytes(attention: Option<&Arc<Attention>>) -> usize {
    attention.map_or(0, record::attention_bytes)
}

fn status_bytes(status: &AlertStatus) -> usize {
    acknowledgement_bytes(status.acknowledged.as_ref()) + attention_bytes(status.attention.as_ref())
}
