//! What webhooks have been told: remembered over restarts, so that nobody is told twice.
//!
//! A record is stored as bytes: a version (1), then in little-endian order the time of the
//! notification and of its end in milliseconds, the number of firing alerts, their fingerprints,
//! and the fingerprints of those that had resolved.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwire_model::limits::{
    NOTIFICATION_RECORD_AGE_MAX, NOTIFICATION_RECORD_AGE_MIN, NOTIFICATION_RECORDS_MAX,
};
use bellwire_model::{Fingerprint, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::notification::{Address, NotificationReason};

const VERSION: u8 = 1;

/// The alerts that a webhook was told of last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// When it was due.
    pub(super) time: Timestamp,
    /// When it is forgotten.
    pub(super) expires_at: Timestamp,
    pub(super) firing: FxHashSet<Fingerprint>,
    pub(super) resolved: FxHashSet<Fingerprint>,
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
        Self { time, expires_at: time.saturating_add(age), firing, resolved }
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
        if current.firing.is_empty() {
            // What began and ended since then, it never knew of.
            return (!known.firing.is_empty()).then_some(AllResolved);
        }
        if wishes.wants_resolved && !current.resolved.is_subset(&known.resolved) {
            return Some(SomeResolved);
        }
        let is_due = current.time >= known.time.saturating_add(wishes.repeat_interval);
        is_due.then_some(Repeated)
    }

    /// As it is stored.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let alerts = self.firing.len() + self.resolved.len();
        let mut bytes = Vec::with_capacity(1 + 8 + 8 + 8 + alerts * 8);
        bytes.push(VERSION);
        bytes.extend(self.time.as_ms().to_le_bytes());
        bytes.extend(self.expires_at.as_ms().to_le_bytes());
        bytes.extend((self.firing.len() as u64).to_le_bytes());
        for fingerprint in self.firing.iter().chain(&self.resolved) {
            bytes.extend(fingerprint.get().to_le_bytes());
        }
        bytes
    }

    /// Reads what was stored.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, words) = bytes.split_first()? else { return None };
        let (words, []) = words.as_chunks::<8>() else { return None };
        let ([time, expires_at, firing], alerts) = words.split_first_chunk::<3>()?;
        let firing = usize::try_from(u64::from_le_bytes(*firing)).ok()?;
        let (firing, resolved) = alerts.split_at_checked(firing)?;
        let fingerprints = |words: &[[u8; 8]]| {
            words.iter().map(|word| Fingerprint::from_u64(u64::from_le_bytes(*word))).collect()
        };
        Some(Self {
            time: Timestamp::from_ms(i64::from_le_bytes(*time)),
            expires_at: Timestamp::from_ms(i64::from_le_bytes(*expires_at)),
            firing: fingerprints(firing),
            resolved: fingerprints(resolved),
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
        for stored in [record(5, &[1, 2], &[3]), record(-5, &[], &[])] {
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
        assert_eq!(Record::from_bytes(&[2; 25]), None, "another version");
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
