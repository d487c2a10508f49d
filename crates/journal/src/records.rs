//! Durable records: what the server keeps by key beside its events, such as silences.
//!
//! They are few and small, so that reading all of them at a start costs nothing. There is no
//! order between records and events: who needs one writes the one, waits, and writes the other.

use std::collections::BTreeMap;
use std::ops::Bound::{Included, Unbounded};
use std::sync::{Arc, Mutex, PoisonError};

use bellwire_model::limits::{RECORD_BYTES_MAX, RECORDS_BYTES_MAX, RECORDS_MAX};
use bytes::Bytes;

use crate::Error;

/// A record as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is found by.
    pub key: Box<str>,
    /// What it says.
    pub value: Bytes,
}

/// A change of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChange {
    /// Which.
    pub key: Box<str>,
    /// What it says from now on; nothing where it goes.
    pub value: Option<Bytes>,
}

/// Called once, on the journal's writer, when changes are synced or have failed. Must not block.
pub type RecordReply = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Told of changes that were made together, in their order. Must not block.
pub type RecordWatcher = Arc<dyn Fn(&[RecordChange]) + Send + Sync>;

/// Changes that are made together: of two changes of one key the last counts.
pub(crate) type RecordChanges = BTreeMap<Box<str>, Option<Bytes>>;

/// The changes as they are made, unless one of them is too large.
pub(crate) fn gathered(changes: Vec<RecordChange>) -> Result<RecordChanges, Error> {
    let is_too_large = |change: &RecordChange| {
        change.key.len() + change.value.as_ref().map_or(0, Bytes::len) > RECORD_BYTES_MAX
    };
    if changes.iter().any(is_too_large) {
        return Err(Error::TooManyRecords);
    }
    Ok(changes.into_iter().map(|change| (change.key, change.value)).collect())
}

/// What changes take while they wait.
pub(crate) fn bytes_of(changes: &RecordChanges) -> usize {
    let of_values: usize = changes.values().flatten().map(Bytes::len).sum();
    let of_keys: usize = changes.keys().map(|key| key.len()).sum();
    changes.len() * size_of::<RecordChange>() + of_keys + of_values
}

/// The bytes of a record, as bounds count them.
pub(crate) fn record_bytes(key: &str, value_bytes: usize) -> u64 {
    (key.len() + value_bytes) as u64
}

/// How many records there are, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordTally {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

impl RecordTally {
    /// Counts a record that comes, or goes.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }

    pub(crate) fn remove(&mut self, bytes: u64) {
        self.count -= 1;
        self.bytes -= bytes;
    }

    /// Refuses more than there may be, unless it is less than before: deleting always works.
    pub(crate) fn check(self, before: Self) -> Result<(), Error> {
        let fits = self.count <= RECORDS_MAX as u64 && self.bytes <= RECORDS_BYTES_MAX;
        let shrinks = self.count <= before.count && self.bytes <= before.bytes;
        if fits || shrinks { Ok(()) } else { Err(Error::TooManyRecords) }
    }
}

/// What there is, for those who ask whether there is room.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedTally(Arc<Mutex<RecordTally>>);

impl SharedTally {
    pub(crate) fn new(tally: RecordTally) -> Self {
        Self(Arc::new(Mutex::new(tally)))
    }

    pub(crate) fn get(&self) -> RecordTally {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, tally: RecordTally) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = tally;
    }
}

/// Records in memory.
#[derive(Debug, Default)]
pub(crate) struct RecordMap {
    records: BTreeMap<Box<str>, Bytes>,
    tally: RecordTally,
}

impl RecordMap {
    /// Makes all changes, or none.
    pub(crate) fn change(&mut self, changes: RecordChanges) -> Result<(), Error> {
        self.check(&changes)?;
        self.change_all(changes);
        Ok(())
    }

    /// Whether there is room for changes.
    pub(crate) fn check(&self, changes: &RecordChanges) -> Result<(), Error> {
        self.tally_with(changes).check(self.tally)
    }

    fn tally_with(&self, changes: &RecordChanges) -> RecordTally {
        let mut tally = self.tally;
        for (key, value) in changes {
            if let Some(old) = self.records.get(key) {
                tally.remove(record_bytes(key, old.len()));
            }
            if let Some(new) = value {
                tally.add(record_bytes(key, new.len()));
            }
        }
        tally
    }

    /// Makes changes whatever room there is.
    pub(crate) fn change_all(&mut self, changes: RecordChanges) {
        self.tally = self.tally_with(&changes);
        for (key, value) in changes {
            match value {
                Some(value) => self.records.insert(key, value),
                None => self.records.remove(&key),
            };
        }
    }

    /// Those whose keys begin with `prefix`, in their order.
    pub(crate) fn with_prefix(&self, prefix: &str) -> Vec<Record> {
        let from_prefix = self.records.range::<str, _>((Included(prefix), Unbounded));
        let matching = from_prefix.take_while(|(key, _)| key.starts_with(prefix));
        matching.map(|(key, value)| Record { key: key.clone(), value: value.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_there_may_be_is_refused_but_less_than_before_never() {
        let (count, bytes) = (RECORDS_MAX as u64, RECORDS_BYTES_MAX);
        let table = [
            ((0, 0), (count, bytes), true),
            ((count, 0), (count + 1, 0), false),
            ((0, bytes), (1, bytes + 1), false),
            // As a smaller bound of a later version would find it.
            ((count + 9, bytes + 9), (count + 8, bytes + 9), true),
            ((count + 9, bytes + 9), (count + 8, bytes + 10), false),
        ];
        for (before, after, is_taken) in table {
            let [before, after] =
                [before, after].map(|(count, bytes)| RecordTally { count, bytes });
            assert_eq!(after.check(before).is_ok(), is_taken, "{before:?} {after:?}");
        }
    }

    #[test]
    fn the_tally_follows_what_comes_and_goes() {
        let mut records = RecordMap::default();
        let change = |key: &str, value: Option<&'static str>| (key.into(), value.map(Bytes::from));
        for (changes, count, bytes) in [
            (vec![change("a", Some("12")), change("b", Some(""))], 2, 4),
            (vec![change("a", Some("1")), change("c", None)], 2, 3),
            (vec![change("a", None), change("b", None)], 0, 0),
        ] {
            records.change(changes.into_iter().collect()).expect("there is room");
            assert_eq!(records.tally, RecordTally { count, bytes });
        }
    }
}
