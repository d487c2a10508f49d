//! Every webhook's record of every group, and what of them is to be stored: bounded in number and
//! in bytes, whatever webhooks do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwire_model::limits::{NOTIFICATION_RECORDS_BYTES_MAX, NOTIFICATION_RECORDS_MAX};
use bellwire_model::{Fingerprint, NameMap, Timestamp};

use super::alert_set::AlertSet;
use super::record::{Record, shifted};
use crate::Now;
use crate::notification::{Address, RECORD_KEY_BYTES_MAX};

/// What has to be remembered, or need no longer be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationRecordChange {
    /// What it is stored under.
    pub key: String,
    /// What is stored; none to forget it.
    pub value: Option<Vec<u8>>,
    /// When.
    pub turn: Turn,
}

/// When a change of a record is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// At once, or behind what of the same record waits for dead letters.
    Next,
    /// Once dead letters stand for what it takes away.
    BehindLetters,
}

/// What follows for those who keep records and write dead letters.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// What is to be stored, in this order.
    pub records: Vec<NotificationRecordChange>,
    /// What a webhook is owed and will not be told.
    pub forgone: Vec<Forgone>,
}

impl Changes {
    fn add_behind_letters(&mut self, records: Vec<NotificationRecordChange>) {
        let behind = |change| NotificationRecordChange { turn: Turn::BehindLetters, ..change };
        self.records.extend(records.into_iter().map(behind));
    }
}

/// A record that goes.
fn forgotten(key: String) -> NotificationRecordChange {
    NotificationRecordChange { key, value: None, turn: Turn::Next }
}

/// Something that a webhook is owed and will not be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgone {
    /// Whom it was for.
    pub address: Address,
    /// The alerts that it was about.
    pub alerts: Vec<Fingerprint>,
    /// Why it is not told.
    pub reason: &'static str,
    /// When it was told something last, or was about to be.
    pub time: Timestamp,
    /// When that would have been forgotten: where the same is owed once more, it is another time.
    pub expires_at: Timestamp,
}

/// Alerts that a webhook is not told of.
#[derive(Debug)]
pub(super) struct Untold {
    pub(super) alerts: AlertSet,
    pub(super) reason: &'static str,
    /// When that is found out, in steady time.
    pub(super) now: Timestamp,
}

/// Every record. Times are those of [`Now::steady`]; what is stored has the wall clock's.
#[derive(Debug)]
pub(super) struct Records {
    by_address: NameMap<Address, Kept>,
    expiries: BTreeSet<(Timestamp, Address)>,
    /// Of all of them as they are stored, their keys included.
    bytes: usize,
    bytes_max: usize,
    /// How far the wall clock is ahead of steady time.
    ahead_ms: i64,
}

#[derive(Debug)]
struct Kept {
    record: Arc<Record>,
    pieces: usize,
    bytes: usize,
}

impl Records {
    /// With what was stored, and what to forget of that since it cannot be read.
    pub(super) fn new(
        now: Now,
        stored: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> (Self, Changes) {
        let mut records = Self {
            by_address: NameMap::default(),
            expiries: BTreeSet::new(),
            bytes: 0,
            bytes_max: NOTIFICATION_RECORDS_BYTES_MAX,
            ahead_ms: now.ahead_ms(),
        };
        let mut changes = Changes::default();
        let mut pieces: BTreeMap<Address, BTreeMap<usize, Vec<u8>>> = BTreeMap::new();
        for (key, value) in stored {
            match Address::from_key(&key) {
                Some((address, piece)) => {
                    pieces.entry(address).or_default().insert(piece, value);
                }
                None => changes.records.push(forgotten(key)),
            }
        }
        for (address, pieces) in pieces {
            let bytes: Vec<u8> = pieces.values().flatten().copied().collect();
            let is_whole = pieces.keys().copied().eq(0..pieces.len());
            if let Some(record) = Record::from_bytes(&bytes).filter(|_| is_whole) {
                records.insert(address, record.read_at(now), pieces.len());
            } else {
                let keys = pieces.keys().map(|piece| address.to_key(*piece));
                changes.records.extend(keys.map(forgotten));
            }
        }
        (records, changes)
    }

    pub(super) fn get(&self, address: &Address) -> Option<&Arc<Record>> {
        self.by_address.get(address).map(|kept| &kept.record)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Address, &Arc<Record>)> {
        self.by_address.iter().map(|(address, kept)| (address, &kept.record))
    }

    /// The wall clock is so far ahead from now on.
    pub(super) fn set_ahead_ms(&mut self, ahead_ms: i64) {
        self.ahead_ms = ahead_ms;
    }

    pub(super) fn ahead_ms(&self) -> i64 {
        self.ahead_ms
    }

    /// Remembers a record. Where there are too many, those go that would be forgotten first.
    pub(super) fn put(&mut self, address: Address, record: Record, changes: &mut Changes) {
        let written = self.replace(address, Some(record));
        changes.records.extend(written);
        self.keep_within(changes);
    }

    /// What is known under one address is from now on under another one, of which nothing is known.
    pub(super) fn rename(&mut self, from: &Address, to: &Address, changes: &mut Changes) {
        if self.get(to).is_none()
            && let Some(record) = self.get(from).cloned()
        {
            changes.records.extend(self.replace(from.clone(), None));
            changes.records.extend(self.replace(to.clone(), Some(Arc::unwrap_or_clone(record))));
        }
    }

    /// Puts back what was known before, once a dead letter stands for what was sent; none to forget
    /// it.
    pub(super) fn restore(
        &mut self,
        address: &Address,
        record: Option<Record>,
        changes: &mut Changes,
    ) {
        let written = self.replace(address.clone(), record);
        changes.add_behind_letters(written);
        self.keep_within(changes);
    }

    /// A webhook will not be told of some alerts: a dead letter stands for that.
    pub(super) fn forgo(
        &mut self,
        address: &Address,
        Untold { alerts, reason, now }: Untold,
        changes: &mut Changes,
    ) {
        let known = self.get(address).cloned();
        let times = known.as_ref().map_or((now, now), |known| (known.time, known.expires_at));
        let [time, expires_at] = [times.0, times.1].map(|time| shifted(time, self.ahead_ms));
        if let Some(known) = known {
            let left = known.without(&alerts);
            let written = self.replace(address.clone(), (!left.is_void()).then_some(left));
            changes.add_behind_letters(written);
        }
        let (address, alerts) = (address.clone(), alerts.iter().collect());
        changes.forgone.push(Forgone { address, alerts, reason, time, expires_at });
    }

    /// What there is to be stored, all of it.
    pub(super) fn all(&self) -> Vec<NotificationRecordChange> {
        self.iter().flat_map(|(address, record)| self.stored(address, record)).collect()
    }

    /// Forgets what has expired.
    pub(super) fn expire(&mut self, now: Timestamp, changes: &mut Changes) {
        while let Some((expires_at, address)) = self.expiries.first()
            && *expires_at <= now
        {
            let address = address.clone();
            self.forget(&address, "nothing has come of it for too long", changes);
        }
    }

    fn keep_within(&mut self, changes: &mut Changes) {
        while self.by_address.len() > NOTIFICATION_RECORDS_MAX || self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.expiries.first().cloned() else { return };
            self.forget(&oldest, "as much is remembered of other webhooks as may be", changes);
        }
    }

    /// Forgets a record, and tells what was owed.
    fn forget(&mut self, address: &Address, reason: &'static str, changes: &mut Changes) {
        let Some(record) = self.get(address) else { return };
        let (alerts, now) = (record.owed(), record.time);
        if !alerts.is_empty() {
            self.forgo(address, Untold { alerts, reason, now }, changes);
        }
        let written = self.replace(address.clone(), None);
        changes.add_behind_letters(written);
    }

    /// Puts a record in the place of what was known, or nothing, and says what is to be stored.
    fn replace(
        &mut self,
        address: Address,
        record: Option<Record>,
    ) -> Vec<NotificationRecordChange> {
        let before = self.remove(&address);
        let stored = record.as_ref().map(|record| self.stored(&address, record));
        let mut changes = stored.unwrap_or_default();
        let gone = (changes.len()..before).map(|piece| address.to_key(piece));
        let pieces = changes.len();
        changes.extend(gone.map(forgotten));
        if let Some(record) = record {
            self.insert(address, record, pieces);
        }
        changes
    }

    /// A record as it is stored: not at all where its group has too long a key.
    fn stored(&self, address: &Address, record: &Record) -> Vec<NotificationRecordChange> {
        if address.to_key(0).len() > RECORD_KEY_BYTES_MAX {
            return Vec::new();
        }
        let pieces = record.to_pieces(self.ahead_ms).into_iter().enumerate();
        let change = |(piece, value)| NotificationRecordChange {
            key: address.to_key(piece),
            value: Some(value),
            turn: Turn::Next,
        };
        pieces.map(change).collect()
    }

    fn insert(&mut self, address: Address, record: Record, pieces: usize) {
        self.remove(&address);
        let bytes = record.len() + pieces.max(1) * address.to_key(0).len();
        self.bytes += bytes;
        self.expiries.insert((record.expires_at, address.clone()));
        self.by_address.insert(address, Kept { record: Arc::new(record), pieces, bytes });
    }

    /// Says in how many pieces it was stored.
    fn remove(&mut self, address: &Address) -> usize {
        let Some(Kept { record, pieces, bytes }) = self.by_address.remove(address) else {
            return 0;
        };
        self.expiries.remove(&(record.expires_at, address.clone()));
        self.bytes -= bytes;
        pieces
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::route::Variant;

    const EPOCH: Now = Now { steady: Timestamp::from_ms(0), wall: Timestamp::from_ms(0) };

    fn address(group: &str) -> Address {
        Address {
            receiver: "a".into(),
            webhook: 0,
            group_key: group.into(),
            variant: Variant::ALONE,
        }
    }

    fn record(time_ms: i64, alerts: std::ops::Range<u64>) -> Record {
        let firing = alerts.map(Fingerprint::from_u64).collect();
        let time = Timestamp::from_ms(time_ms);
        Record::new(time, Duration::from_mins(10), [firing, AlertSet::default()])
    }

    /// What is stored after these changes.
    fn store(stored: &mut BTreeMap<String, Vec<u8>>, changes: Changes) -> Vec<Forgone> {
        for NotificationRecordChange { key, value, .. } in changes.records {
            match value {
                Some(value) => stored.insert(key, value),
                None => stored.remove(&key),
            };
        }
        changes.forgone
    }

    #[test]
    fn a_large_record_comes_back_whole_and_leaves_nothing_behind_when_it_shrinks() {
        let (mut records, _) = Records::new(EPOCH, []);
        let mut stored = BTreeMap::new();
        for (alerts, pieces) in [(300_000, 3), (130_000, 2), (10, 1), (200_000, 2)] {
            let mut changes = Changes::default();
            records.put(address("g"), record(0, 0..alerts), &mut changes);
            assert_eq!(store(&mut stored, changes), []);
            assert_eq!(stored.len(), pieces);
            let (read, changes) = Records::new(EPOCH, stored.clone());
            assert!(read.get(&address("g")) == records.get(&address("g")), "{alerts}");
            assert_eq!(changes, Changes::default());
        }
        stored.remove(&address("g").to_key(1));
        stored.insert("notified?".to_owned(), vec![1]);
        let (read, changes) = Records::new(EPOCH, stored.clone());
        assert_eq!(read.iter().count(), 0);
        store(&mut stored, changes);
        assert_eq!(stored.len(), 0, "what cannot be read goes");
    }

    #[test]
    fn all_records_are_bounded_in_bytes_and_what_is_owed_is_told() {
        let (mut records, _) = Records::new(EPOCH, []);
        let mut stored = BTreeMap::new();
        let one = record(0, 0..1_000).len() + address("g0").to_key(0).len();
        records.bytes_max = 3 * one;
        let mut told = Vec::new();
        for number in 0..6 {
            let mut changes = Changes::default();
            // The second one is owed what it knows.
            let sent = record(number, 0..500);
            let known = record(number, 0..1_000);
            let known = if number == 1 { Record::while_sent(None, &sent) } else { known };
            records.put(address(&format!("g{number}")), known, &mut changes);
            told.extend(store(&mut stored, changes));
            assert!(records.bytes <= records.bytes_max);
        }
        assert_eq!(stored.len(), 3);
        let [forgone] = &told[..] else { panic!("{told:?}") };
        assert_eq!((&*forgone.address.group_key, forgone.alerts.len()), ("g1", 500));
    }

    #[test]
    fn what_is_forgotten_and_told_anew_is_stored_in_this_order() {
        let (mut records, _) = Records::new(EPOCH, []);
        records.put(address("g"), record(0, 0..9), &mut Changes::default());
        let mut changes = Changes::default();
        records.expire(Timestamp::MAX, &mut changes);
        records.put(address("g"), record(1, 0..3), &mut changes);
        let turns: Vec<_> =
            changes.records.iter().map(|change| (change.value.is_some(), change.turn)).collect();
        assert_eq!(turns, [(false, Turn::BehindLetters), (true, Turn::Next)]);
    }

    #[test]
    fn what_is_owed_twice_has_two_letters_that_differ() {
        let (mut records, _) = Records::new(EPOCH, []);
        let mut told = Vec::new();
        // The webhook knows of one alert, and of another one nobody knows, twice.
        records.put(address("g"), record(0, 0..1), &mut Changes::default());
        for minute in [20, 40] {
            let known = records.get(&address("g")).cloned();
            let sent = Record::while_sent(known.as_deref(), &record(minute * 60_000, 0..2));
            records.put(address("g"), sent, &mut Changes::default());
            let alerts = [Fingerprint::from_u64(1)].into_iter().collect();
            let untold = Untold { alerts, reason: "gone", now: Timestamp::MIN };
            let mut changes = Changes::default();
            records.forgo(&address("g"), untold, &mut changes);
            told.extend(changes.forgone);
        }
        assert_eq!(told[0].time, told[1].time);
        assert!(told[0].expires_at < told[1].expires_at);
    }

    #[test]
    fn a_group_with_too_long_a_key_is_remembered_and_not_stored() {
        let (mut records, _) = Records::new(EPOCH, []);
        for (length, pieces) in [(RECORD_KEY_BYTES_MAX - 14, 1), (RECORD_KEY_BYTES_MAX, 0)] {
            let (address, mut changes) = (address(&"x".repeat(length)), Changes::default());
            records.put(address.clone(), record(0, 0..10), &mut changes);
            assert_eq!(changes.records.len(), pieces, "{length}");
            assert!(records.get(&address).is_some());
        }
    }

    #[test]
    fn a_record_from_ahead_of_the_clock_is_of_now() {
        let (mut records, _) = Records::new(EPOCH, []);
        let (mut stored, mut changes) = (BTreeMap::new(), Changes::default());
        records.put(address("g"), record(86_400_000, 0..10), &mut changes);
        store(&mut stored, changes);
        let hour = Timestamp::from_ms(3_600_000);
        let now = Now { steady: hour, wall: hour };
        let (read, _) = Records::new(now, stored);
        let read = read.get(&address("g")).expect("a record");
        assert_eq!(
            (read.time, read.expires_at),
            (hour, hour.saturating_add(Duration::from_mins(20)))
        );
    }
}
