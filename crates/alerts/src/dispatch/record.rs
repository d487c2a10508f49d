//! What webhooks have been told: remembered over restarts, so that nobody is told twice. And what
//! they are being told, so that nobody is forgotten whose notification a restart cuts off.
//!
//! A record is stored as bytes: a version (2), then in little-endian order the time of the
//! notification and of its end in milliseconds, four numbers of alerts, and the fingerprints of so
//! many: those that fired, those that had resolved, and of those that were on their way those that
//! fired and those that had resolved. Version 1 has the first number alone, and no alerts on their
//! way.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwire_model::limits::{
    NOTIFICATION_RECORD_AGE_MAX, NOTIFICATION_RECORD_AGE_MIN, NOTIFICATION_RECORDS_MAX,
    RECORD_BYTES_MAX,
};
use bellwire_model::{Fingerprint, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::notification::{Address, NotificationReason};

const VERSION: u8 = 2;
const VERSION_WITHOUT_DOUBTS: u8 = 1;

/// Alerts of one stored record, all together: there is room for its key besides. Of a group with
/// more, a webhook is told once more after a restart.
const STORED_ALERTS_MAX: usize = RECORD_BYTES_MAX / 8 / 8 * 7;

/// The alerts that a webhook was told of last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// When it was due.
    pub(super) time: Timestamp,
    /// When it is forgotten.
    pub(super) expires_at: Timestamp,
    pub(super) firing: FxHashSet<Fingerprint>,
    pub(super) resolved: FxHashSet<Fingerprint>,
    /// What it may have been told since then.
    doubts: Doubts,
}

/// Alerts of notifications that were sent, and of which nobody knows whether they arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Doubts {
    firing: FxHashSet<Fingerprint>,
    resolved: FxHashSet<Fingerprint>,
}

/// What has to be remembered, or need no longer be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChange {
    /// Whose record it is.
    pub address: Address,
    /// The record as bytes; none to forget it.
    pub bytes: Option<Vec<u8>>,
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
        [firing, resolved]: [FxHashSet<Fingerprint>; 2],
    ) -> Self {
        let age = repeat_interval.saturating_mul(2);
        let age = age.clamp(NOTIFICATION_RECORD_AGE_MIN, NOTIFICATION_RECORD_AGE_MAX);
        let doubts = Doubts::default();
        Self { time, expires_at: time.saturating_add(age), firing, resolved, doubts }
    }

    /// What is known of a webhook that knows `known` while `sent` is on its way to it.
    pub(super) fn while_sent(known: Option<&Self>, sent: &Self) -> Self {
        let mut record = known.cloned().unwrap_or_else(|| Self {
            firing: FxHashSet::default(),
            resolved: FxHashSet::default(),
            ..sent.clone()
        });
        record.expires_at = record.expires_at.max(sent.expires_at);
        record.doubts.firing.extend(sent.firing.iter().copied());
        record.doubts.resolved.extend(sent.resolved.iter().copied());
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

    /// As it is stored; what there is no room for is left out, doubts first of all kept.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Doubts { firing, resolved } = &self.doubts;
        let mut room = STORED_ALERTS_MAX;
        // The order in which they find room; they are written in that of the format.
        let [doubts_firing, doubts_resolved, firing, resolved] =
            [firing, resolved, &self.firing, &self.resolved].map(|alerts| {
                let count = alerts.len().min(room);
                room -= count;
                (alerts, count)
            });
        let sets = [firing, resolved, doubts_firing, doubts_resolved];
        let alerts: usize = sets.iter().map(|(_, count)| count).sum();
        let mut bytes = Vec::with_capacity(1 + 6 * 8 + alerts * 8);
        bytes.push(VERSION);
        bytes.extend(self.time.as_ms().to_le_bytes());
        bytes.extend(self.expires_at.as_ms().to_le_bytes());
        for (_, count) in sets {
            bytes.extend((count as u64).to_le_bytes());
        }
        for (alerts, count) in sets {
            for fingerprint in alerts.iter().take(count) {
                bytes.extend(fingerprint.get().to_le_bytes());
            }
        }
        bytes
    }

    /// Reads what was stored.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&version, words) = bytes.split_first()?;
        let (words, []) = words.as_chunks::<8>() else { return None };
        let ([time, expires_at], words) = words.split_first_chunk::<2>()?;
        let count = |word: &[u8; 8]| usize::try_from(u64::from_le_bytes(*word)).ok();
        let (counts, mut alerts) = match version {
            VERSION => {
                let (counts, alerts) = words.split_first_chunk::<4>()?;
                let [firing, resolved, doubts_firing, doubts_resolved] = counts;
                let counts = [firing, resolved, doubts_firing, doubts_resolved].map(count);
                (counts, alerts)
            }
            VERSION_WITHOUT_DOUBTS => {
                let (firing, alerts) = words.split_first()?;
                let firing = count(firing)?;
                let resolved = alerts.len().checked_sub(firing)?;
                ([Some(firing), Some(resolved), Some(0), Some(0)], alerts)
            }
            _ => return None,
        };
        let mut take = |count: Option<usize>| {
            let (taken, rest) = alerts.split_at_checked(count?)?;
            alerts = rest;
            let fingerprint = |word: &[u8; 8]| Fingerprint::from_u64(u64::from_le_bytes(*word));
            Some(taken.iter().map(fingerprint).collect())
        };
        let [firing, resolved, doubts_firing, doubts_resolved] = counts;
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

/// Every webhook's record of every group.
#[derive(Debug, Default)]
pub(super) struct Records {
    by_address: FxHashMap<Address, Record>,
    expiries: BTreeSet<(Timestamp, Address)>,
}

impl Records {
    pub(super) fn get(&self, address: &Address) -> Option<&Record> {
        self.by_address.get(address)
    }

    /// Remembers a record, and says what is to be stored and what to be forgotten for it.
    pub(super) fn put(&mut self, address: Address, record: Record) -> Vec<RecordChange> {
        let bytes = Some(record.to_bytes());
        self.remove(&address);
        self.expiries.insert((record.expires_at, address.clone()));
        self.by_address.insert(address.clone(), record);
        let mut changes = vec![RecordChange { address, bytes }];
        if self.by_address.len() > NOTIFICATION_RECORDS_MAX
            && let Some((_, oldest)) = self.expiries.first().cloned()
        {
            changes.push(self.forget(oldest));
        }
        changes
    }

    /// What there is to be stored, all of it.
    pub(super) fn all(&self) -> Vec<RecordChange> {
        let stored = |(address, record): (&Address, &Record)| RecordChange {
            address: address.clone(),
            bytes: Some(record.to_bytes()),
        };
        self.by_address.iter().map(stored).collect()
    }

    /// Puts back what was known before; none to forget it.
    pub(super) fn restore(
        &mut self,
        address: &Address,
        record: Option<Record>,
    ) -> Vec<RecordChange> {
        match record {
            Some(record) => self.put(address.clone(), record),
            None => vec![self.forget(address.clone())],
        }
    }

    /// Forgets what has expired.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<RecordChange> {
        let mut changes = Vec::new();
        while let Some((expires_at, address)) = self.expiries.first()
            && *expires_at <= now
        {
            changes.push(self.forget(address.clone()));
        }
        changes
    }

    fn forget(&mut self, address: Address) -> RecordChange {
        self.remove(&address);
        RecordChange { address, bytes: None }
    }

    fn remove(&mut self, address: &Address) {
        if let Some(record) = self.by_address.remove(address) {
            self.expiries.remove(&(record.expires_at, address.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(time_ms: i64, firing: &[u64], resolved: &[u64]) -> Record {
        let set = |numbers: &[u64]| numbers.iter().map(|n| Fingerprint::from_u64(*n)).collect();
        Record::new(
            Timestamp::from_ms(time_ms),
            Duration::from_mins(10),
            [set(firing), set(resolved)],
        )
    }

    #[test]
    fn a_record_is_read_as_it_was_stored() {
        let doubtful = Record::while_sent(Some(&record(5, &[1], &[2])), &record(6, &[3, 4], &[1]));
        for stored in [record(5, &[1, 2], &[3]), record(-5, &[], &[]), doubtful] {
            let bytes = stored.to_bytes();
            assert_eq!(Record::from_bytes(&bytes), Some(stored));
            for length in 0..bytes.len() {
                let cut = Record::from_bytes(&bytes[..length]);
                assert!(cut.is_none_or(|cut| cut.to_bytes().len() == length), "{length}");
            }
        }
        let mut lies = record(5, &[1], &[]).to_bytes();
        lies[17..25].fill(0xFF);
        assert_eq!(Record::from_bytes(&lies), None);
        assert_eq!(Record::from_bytes(&[3; 49]), None, "another version");
    }

    #[test]
    fn a_record_of_the_first_version_is_read() {
        let mut bytes = vec![1];
        for word in [5_u64, 900_005, 1, 7, 8] {
            bytes.extend(word.to_le_bytes());
        }
        let read = Record::from_bytes(&bytes).expect("a record");
        assert_eq!((read.firing.len(), read.resolved.len()), (1, 1));
        assert_eq!(read.doubts, Doubts::default());
    }

    #[test]
    fn a_record_of_any_group_fits_into_the_journal() {
        let many: Vec<u64> = (0..400_000).collect();
        let stored = record(5, &many[..200_000], &many[200_000..]);
        let stored = Record::while_sent(Some(&stored), &record(6, &many[..1_000], &[]));
        let bytes = stored.to_bytes();
        assert!(bytes.len() + 64 * 1024 <= RECORD_BYTES_MAX, "{}", bytes.len());
        let read = Record::from_bytes(&bytes).expect("a record");
        assert_eq!(read.doubts, stored.doubts, "doubts are kept first");
        assert!(read.firing.len() > 100_000 && read.firing.is_subset(&stored.firing));
    }

    #[test]
    fn what_may_or_may_not_have_arrived_is_told() {
        use NotificationReason::{AllResolved, First, MoreFiring, SomeResolved};
        let wishes = Wishes { wants_resolved: true, repeat_interval: Duration::from_mins(10) };
        let known = record(0, &[1], &[]);
        let table = [
            (None, record(1, &[1], &[]), record(2, &[1], &[]), Some(First)),
            (None, record(1, &[1], &[]), record(2, &[], &[1]), Some(AllResolved)),
            (None, record(1, &[1], &[]), record(2, &[], &[2]), None),
            (Some(&known), record(1, &[1, 2], &[]), record(2, &[1], &[2]), Some(SomeResolved)),
            (Some(&known), record(1, &[], &[1]), record(2, &[1], &[]), Some(MoreFiring)),
            (Some(&known), record(1, &[1, 2], &[]), record(2, &[1], &[]), None),
        ];
        for (known, sent, current, expected) in table {
            let doubtful = Record::while_sent(known, &sent);
            let reason = Record::reason(Some(&doubtful), &current, wishes);
            assert_eq!(reason, expected, "{doubtful:?} {current:?}");
        }
    }

    #[test]
    fn a_webhook_is_told_what_it_does_not_know() {
        use NotificationReason::{AllResolved, First, MoreFiring, Repeated, SomeResolved};
        let none = || record(0, &[], &[]);
        let known = || Some(record(0, &[1, 2], &[3]));
        let ended = || Some(record(0, &[], &[1, 2]));
        let table = [
            (None, record(1, &[1], &[]), Some(First)),
            (None, record(1, &[], &[1]), None),
            (known(), record(1, &[1, 2], &[3]), None),
            (known(), record(1, &[1, 2, 4], &[]), Some(MoreFiring)),
            (known(), record(1, &[1], &[2]), Some(SomeResolved)),
            (known(), record(1, &[1], &[]), None),
            (known(), record(1, &[], &[1, 2]), Some(AllResolved)),
            (known(), none(), Some(AllResolved)),
            (ended(), record(1, &[1], &[]), Some(First)),
            (ended(), record(1, &[], &[4]), None),
            (known(), record(599_999, &[1, 2], &[]), None),
            (known(), record(600_000, &[1, 2], &[]), Some(Repeated)),
        ];
        let wishes = Wishes { wants_resolved: true, repeat_interval: Duration::from_mins(10) };
        for (known, current, expected) in table {
            let reason = Record::reason(known.as_ref(), &current, wishes);
            assert_eq!(reason, expected, "{known:?} {current:?}");
        }
        let wishes = Wishes { wants_resolved: false, ..wishes };
        let resolved = record(1, &[1], &[2]);
        assert_eq!(Record::reason(known().as_ref(), &resolved, wishes), None);
    }
}
