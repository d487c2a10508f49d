//! What a webhook has been told: remembered over restarts, so that nobody is told twice. And what
//! it is being told, so that nobody is forgotten whose notification a restart cuts off.
//!
//! A record is stored as bytes: a version (3), then in little-endian order the time of the
//! notification and of its end in milliseconds, four numbers of alerts, and the fingerprints of so
//! many: those that fired, those that had resolved, and of those that were on their way those that
//! fired and those that had resolved. What is longer than a record of the journal goes on in further
//! ones. Earlier versions have fingerprints of another kind, of which nothing can be known any more:
//! their records are forgotten.

use std::time::Duration;

use bellwire_model::limits::{
    NOTIFICATION_RECORD_AGE_MAX, NOTIFICATION_RECORD_AGE_MIN, RECORD_BYTES_MAX,
};
use bellwire_model::{Fingerprint, Timestamp};

use super::alert_set::AlertSet;
use crate::Now;
use crate::notification::{NotificationReason, RECORD_KEY_BYTES_MAX};

const VERSION: u8 = 3;

/// Bytes of a piece: with the longest key it is a record of the journal.
const PIECE_BYTES_MAX: usize = RECORD_BYTES_MAX - RECORD_KEY_BYTES_MAX;

/// The alerts that a webhook was told of last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// When it was due.
    pub(super) time: Timestamp,
    /// When it is forgotten.
    pub(super) expires_at: Timestamp,
    pub(super) firing: AlertSet,
    pub(super) resolved: AlertSet,
    /// What it may have been told since then.
    doubts: Doubts,
}

/// Alerts of notifications that were sent, and of which nobody knows whether they arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Doubts {
    firing: AlertSet,
    /// Of those that it was told to fire: of others it does not matter.
    resolved: AlertSet,
}

/// How a webhook wants to be notified.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    pub(super) wants_resolved: bool,
    pub(super) repeat_interval: Duration,
}

impl Record {
    /// Of these alerts, at `time`.
    pub(super) fn new(
        time: Timestamp,
        repeat_interval: Duration,
        [firing, resolved]: [AlertSet; 2],
    ) -> Self {
        let age = repeat_interval.saturating_mul(2);
        let age = age.clamp(NOTIFICATION_RECORD_AGE_MIN, NOTIFICATION_RECORD_AGE_MAX);
        let doubts = Doubts::default();
        Self { time, expires_at: time.saturating_add(age), firing, resolved, doubts }
    }

    /// What is known of a webhook that knows `known` while `sent` is on its way to it.
    pub(super) fn while_sent(known: Option<&Self>, sent: &Self) -> Self {
        let mut record = known.cloned().unwrap_or_else(|| Self {
            firing: AlertSet::default(),
            resolved: AlertSet::default(),
            ..sent.clone()
        });
        record.expires_at = record.expires_at.max(sent.expires_at);
        record.doubts.firing = record.doubts.firing.union(&sent.firing);
        let ended = sent.resolved.filtered(|alert| record.firing.contains(alert));
        record.doubts.resolved = record.doubts.resolved.union(&ended);
        record
    }

    /// Why the webhook is to be told of `current`, given what it knows; none where it is not.
    pub(super) fn reason(
        known: Option<&Self>,
        current: &Self,
        wishes: Wishes,
    ) -> Option<NotificationReason> {
        use NotificationReason::{AllResolved, First, MoreFiring, Repeated, SomeResolved};
        let Some(known) = known else {
            return (!current.firing.is_empty()).then_some(First);
        };
        if !current.firing.is_subset(&known.firing) {
            return Some(if known.firing.is_empty() { First } else { MoreFiring });
        }
        let may_miss_an_end = !known.doubts.firing.is_disjoint(&current.resolved);
        if current.firing.is_empty() {
            // What began and ended since then, it never knew of.
            return (!known.firing.is_empty() || may_miss_an_end).then_some(AllResolved);
        }
        if !known.doubts.resolved.is_disjoint(&current.firing) {
            // It may take for resolved what has begun anew.
            return Some(MoreFiring);
        }
        let has_ended = may_miss_an_end || !current.resolved.is_subset(&known.resolved);
        if wishes.wants_resolved && has_ended {
            return Some(SomeResolved);
        }
        let is_due = current.time >= known.time.saturating_add(wishes.repeat_interval);
        is_due.then_some(Repeated)
    }

    /// Whether the webhook may hold an alert for firing.
    pub(super) fn may_fire(&self, alert: Fingerprint) -> bool {
        self.firing.contains(alert) || self.doubts.firing.contains(alert)
    }

    /// The alerts of which the webhook is owed something.
    pub(super) fn owed(&self) -> AlertSet {
        self.doubts.firing.union(&self.doubts.resolved)
    }

    /// What is left where nothing is known any more of some alerts.
    pub(super) fn without(&self, gone: &AlertSet) -> Self {
        let left = |of: &AlertSet| of.filtered(|alert| !gone.contains(alert));
        let doubts =
            Doubts { firing: left(&self.doubts.firing), resolved: left(&self.doubts.resolved) };
        let (firing, resolved) = (left(&self.firing), left(&self.resolved));
        Self { firing, resolved, doubts, ..*self }
    }

    /// How long it is as bytes.
    pub(super) fn len(&self) -> usize {
        let alerts: usize = self.sets().iter().map(|set| set.len()).sum();
        1 + 6 * 8 + alerts * 8
    }

    /// Whether it says nothing.
    pub(super) fn is_void(&self) -> bool {
        self.sets().iter().all(|set| set.is_empty())
    }

    /// The same, whose times were the wall clock's, in steady time. What is from ahead is of now:
    /// the clock has been set back since.
    pub(super) fn read_at(self, now: Now) -> Self {
        let steady = |time: Timestamp| shifted(time, now.ahead_ms().saturating_neg());
        let (time, expires_at) = (steady(self.time), steady(self.expires_at));
        let early = time.saturating_since(now.steady);
        Self {
            time: time.saturating_sub(early),
            expires_at: expires_at.saturating_sub(early),
            ..self
        }
    }

    fn sets(&self) -> [&AlertSet; 4] {
        [&self.firing, &self.resolved, &self.doubts.firing, &self.doubts.resolved]
    }

    /// As it is stored, in pieces, where the wall clock is so far ahead of the record's times.
    pub(super) fn to_pieces(&self, ahead_ms: i64) -> Vec<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.len());
        bytes.push(VERSION);
        for time in [self.time, self.expires_at] {
            bytes.extend(shifted(time, ahead_ms).as_ms().to_le_bytes());
        }
        for set in self.sets() {
            bytes.extend((set.len() as u64).to_le_bytes());
        }
        for alert in self.sets().into_iter().flat_map(AlertSet::iter) {
            bytes.extend(alert.get().to_le_bytes());
        }
        if bytes.len() <= PIECE_BYTES_MAX {
            return vec![bytes];
        }
        bytes.chunks(PIECE_BYTES_MAX).map(<[u8]>::to_vec).collect()
    }

    /// Reads what was stored, its pieces one after the other.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&version, words) = bytes.split_first()?;
        let (words, []) = words.as_chunks::<8>() else { return None };
        let ([time, expires_at], words) = words.split_first_chunk::<2>()?;
        let count = |word: &[u8; 8]| usize::try_from(u64::from_le_bytes(*word)).ok();
        if version != VERSION {
            return None;
        }
        let (counts, mut alerts) = words.split_first_chunk::<4>()?;
        let mut take = |count: Option<usize>| {
            let (taken, rest) = alerts.split_at_checked(count?)?;
            alerts = rest;
            let fingerprint = |word: &[u8; 8]| Fingerprint::from_u64(u64::from_le_bytes(*word));
            Some(taken.iter().map(fingerprint).collect())
        };
        let [firing, resolved, doubts_firing, doubts_resolved] = counts.each_ref().map(count);
        let (firing, resolved) = (take(firing)?, take(resolved)?);
        let doubts = Doubts { firing: take(doubts_firing)?, resolved: take(doubts_resolved)? };
        alerts.is_empty().then(|| Self {
            time: Timestamp::from_ms(i64::from_le_bytes(*time)),
            expires_at: Timestamp::from_ms(i64::from_le_bytes(*expires_at)),
            firing,
            resolved,
            doubts,
        })
    }
}

/// A time that is so many milliseconds later.
pub(super) fn shifted(time: Timestamp, ms: i64) -> Timestamp {
    Timestamp::from_ms(time.as_ms().saturating_add(ms))
}

#[cfg(test)]
mod tests;
