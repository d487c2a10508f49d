//! Who attends to which alert: acknowledgements, from a firing alert to its resolution.

use std::sync::Arc;

use bellwire_model::limits::{
    ACKNOWLEDGEMENTS_BYTES_MAX, ALERTS_OF_ONE_SHARE, NOTE_BYTES_MAX, PERSON_BYTES_MAX,
};
use bellwire_model::{Acknowledgement, Coded, Fingerprint, NewAcknowledgement, Timestamp};
use thiserror::Error;

use super::plan::{Announcement, Change, Plan};
use super::{Case, Desk, Outcome};
use crate::record::{self, Acknowledged};

/// Why an acknowledgement is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AcknowledgeError {
    /// There is no such alert.
    #[error("there is no alert of this fingerprint")]
    NotFound,
    /// It does not fire.
    #[error("the alert does not fire: only a firing alert can be acknowledged")]
    NotFiring,
    /// Nobody says who acknowledges, or too much is said.
    #[error("`by` has 1 to {PERSON_BYTES_MAX} bytes, `note` at most {NOTE_BYTES_MAX}")]
    Text,
    /// All of them would take more than [`ACKNOWLEDGEMENTS_BYTES_MAX`].
    #[error(
        "no room for this acknowledgement of {bytes} bytes: all of them take at most \
         {ACKNOWLEDGEMENTS_BYTES_MAX} bytes; write a shorter note, or take others back"
    )]
    NoRoom {
        /// What it would take.
        bytes: usize,
    },
    /// Whoever acknowledges has as much of that as leaves room for others.
    #[error(
        "your acknowledgements take as much as leaves room for those of others: take some back, or \
         write shorter notes"
    )]
    NoRoomOfOne,
}

impl Coded for AcknowledgeError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "alert_not_found",
            Self::NotFiring => "alert_not_firing",
            Self::Text => "body_invalid",
            Self::NoRoom { .. } | Self::NoRoomOfOne => "records_exhausted",
        }
    }
}

impl Desk {
    /// The same, whose acknowledgements take so many bytes at most.
    #[must_use]
    pub fn with_acknowledgements_bytes_max(self, acknowledged_bytes_max: usize) -> Self {
        Self { acknowledged_bytes_max, ..self }
    }

    /// Somebody takes an alert up. Who says the same again changes nothing.
    pub fn plan_acknowledgement(
        &self,
        now: Timestamp,
        fingerprint: Fingerprint,
        new: NewAcknowledgement,
    ) -> Result<Plan, AcknowledgeError> {
        let NewAcknowledgement { by, note } = new;
        let case = self.firing(fingerprint)?;
        if by.is_empty() || by.len() > PERSON_BYTES_MAX || note.len() > NOTE_BYTES_MAX {
            return Err(AcknowledgeError::Text);
        }
        let old = case.status.acknowledged.as_ref();
        if old.is_some_and(|old| (&old.by, &old.note) == (&by, &note)) {
            return Ok(Plan::default());
        }
        let acknowledgement = Arc::new(Acknowledgement { by, note, at: now });
        let (bytes, before) = (bytes_of(Some(&acknowledgement)), bytes_of(old));
        // What becomes no longer always has room.
        if bytes > before && self.acknowledged_bytes - before + bytes > self.acknowledged_bytes_max
        {
            return Err(AcknowledgeError::NoRoom { bytes });
        }
        if bytes > before && !self.leaves_room(&acknowledgement.by, bytes - before) {
            return Err(AcknowledgeError::NoRoomOfOne);
        }
        let episode = case.episode();
        Ok(planned(now, case, Some(Acknowledged { episode, acknowledgement })))
    }

    /// Whether whoever takes so many bytes more for acknowledgements leaves room for those of others.
    fn leaves_room(&self, by: &str, more: usize) -> bool {
        let free = self.acknowledged_bytes_max.saturating_sub(self.acknowledged_bytes);
        let share = free * ALERTS_OF_ONE_SHARE;
        // Mostly there is that much room for all together.
        if self.acknowledged_bytes + more <= share {
            return true;
        }
        let there = self.cases.values().filter_map(|case| case.status.acknowledged.as_ref());
        let waiting = self.waiting.values().map(|waiting| &waiting.acknowledgement);
        let own = there.chain(waiting).filter(|it| &*it.by == by);
        own.map(|it| bytes_of(Some(it))).sum::<usize>() + more <= share
    }

    /// Nobody attends to an alert any more.
    pub fn plan_unacknowledgement(
        &self,
        now: Timestamp,
        fingerprint: Fingerprint,
    ) -> Result<Plan, AcknowledgeError> {
        let case = self.cases.get(&fingerprint).ok_or(AcknowledgeError::NotFound)?;
        Ok(match case.status.acknowledged {
            Some(_) => planned(now, case, None),
            None => Plan::default(),
        })
    }

    fn firing(&self, fingerprint: Fingerprint) -> Result<&Case, AcknowledgeError> {
        let case = self.cases.get(&fingerprint).ok_or(AcknowledgeError::NotFound)?;
        if case.is_raised() { Ok(case) } else { Err(AcknowledgeError::NotFiring) }
    }

    /// Somebody attends to an alert, or nobody any more. If it has resolved since that was asked,
    /// nobody does.
    pub(super) fn put_acknowledged(
        &mut self,
        (fingerprint, acknowledged): (Fingerprint, Option<Acknowledged>),
        event_type: Option<&'static str>,
        outcome: &mut Outcome,
    ) {
        let is_of_this = |case: &&mut Case| {
            let is_in = |acknowledged: &Acknowledged| case.is_in(acknowledged.episode);
            case.is_raised() && acknowledged.as_ref().is_none_or(is_in)
        };
        if let Some(case) = self.cases.get_mut(&fingerprint).filter(is_of_this) {
            self.acknowledged_bytes -= bytes_of(case.status.acknowledged.as_ref());
            case.status.acknowledged =
                acknowledged.map(|acknowledged| acknowledged.acknowledgement);
            self.acknowledged_bytes += bytes_of(case.status.acknowledged.as_ref());
            outcome.shown.push(case.shown(event_type));
        } else {
            outcome.records.push(record::set_acknowledged(fingerprint, None));
        }
    }

    /// Who has acknowledged an alert that comes in the place of `old`: the same who had before it
    /// changed, or before a restart, unless it has resolved meanwhile.
    pub(super) fn attend(&mut self, case: &mut Case, old: Option<&Case>, outcome: &mut Outcome) {
        let fingerprint = case.alert.fingerprint;
        if case.is_raised() {
            let waiting = self.waiting.get(&fingerprint);
            case.status.acknowledged = if waiting.is_some_and(|it| case.is_in(it.episode)) {
                self.take_waiting(fingerprint)
            } else {
                let old = old.filter(|old| old.is_raised() && old.episode() == case.episode());
                old.and_then(|old| old.status.acknowledged.clone())
            };
            self.acknowledged_bytes += bytes_of(case.status.acknowledged.as_ref());
        }
        if let Some(old) = old {
            self.unattend(old);
            if old.status.acknowledged.is_some() && case.status.acknowledged.is_none() {
                outcome.records.push(record::set_acknowledged(fingerprint, None));
            }
        }
    }

    /// An alert is no longer there, or no longer as it was.
    pub(super) fn unattend(&mut self, case: &Case) {
        self.acknowledged_bytes -= bytes_of(case.status.acknowledged.as_ref());
    }

    /// An acknowledgement of before a restart, whose alert is yet to come.
    pub(super) fn wait_for(&mut self, fingerprint: Fingerprint, acknowledged: Acknowledged) {
        self.acknowledged_bytes += bytes_of(Some(&acknowledged.acknowledgement));
        self.waiting.insert(fingerprint, acknowledged);
    }

    fn take_waiting(&mut self, fingerprint: Fingerprint) -> Option<Arc<Acknowledgement>> {
        let acknowledgement = self.waiting.remove(&fingerprint)?.acknowledgement;
        self.acknowledged_bytes -= bytes_of(Some(&acknowledgement));
        Some(acknowledgement)
    }

    /// Ends what waited for alerts that have not come back.
    pub(super) fn end_waiting(&mut self, outcome: &mut Outcome) {
        let fingerprints: Vec<Fingerprint> = self.waiting.keys().copied().collect();
        for fingerprint in fingerprints {
            self.take_waiting(fingerprint);
            outcome.records.push(record::set_acknowledged(fingerprint, None));
        }
    }
}

fn bytes_of(acknowledgement: Option<&Arc<Acknowledgement>>) -> usize {
    acknowledgement.map_or(0, record::acknowledgement_bytes)
}

/// The acknowledgement of an alert, or its end.
fn planned(now: Timestamp, case: &Case, acknowledged: Option<Acknowledged>) -> Plan {
    let event_type =
        if acknowledged.is_some() { "alert.acknowledged" } else { "alert.unacknowledged" };
    let fingerprint = case.alert.fingerprint;
    let mut status = case.status.clone();
    status.acknowledged =
        acknowledged.as_ref().map(|acknowledged| Arc::clone(&acknowledged.acknowledgement));
    let announcement = Announcement {
        event_type,
        id: format!("{fingerprint}-{now}-{event_type}"),
        time: now,
        alert: Arc::clone(&case.alert),
        status,
    };
    Plan {
        announcements: vec![announcement],
        records: vec![record::set_acknowledged(fingerprint, acknowledged.as_ref())],
        changes: vec![Change::Acknowledged(fingerprint, acknowledged)],
        event_type: Some(event_type),
    }
}
