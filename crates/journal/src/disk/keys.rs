//! Idempotency keys: in a table, with their hashes in memory so that a new key costs no look-up.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::ops::Bound;

use bellwire_model::limits::{IDEMPOTENCY_AGE, RETENTION_STEP_LOOKS_MAX};
use bellwire_model::{Entry, Event, NameHasher, Offset, Timestamp};
use rusqlite::{Connection, Row};

use super::schema::{begin, damaged, from_sql, to_sql};
use super::sums;
use crate::steps::Now;

/// The hash of a topic and key, and where the event is. Equal hashes may stand side by side.
type Hashed = (u64, Offset);

/// Of so many keys that are remembered, one may be too many: then all of these go in one transaction.
const ONE_TOO_MANY_OF: usize = 1024;

/// The remembered keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    hashes: BTreeSet<Hashed>,
    /// Those of the transaction that is under way.
    staged: Vec<Hashed>,
    /// Of a replica: which are known.
    known: Option<Known>,
    /// The same before the transaction that is under way.
    known_before: Option<Known>,
}

/// Which keys a replica knows: all know the same, whatever rows they have left.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Up to here they are forgotten.
    forgotten: Offset,
    /// How many are known.
    count: usize,
    /// When the first of them came.
    oldest: Option<Timestamp>,
}

impl Keys {
    /// Loads the keys of earlier runs.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut select =
            connection.prepare("SELECT offset, topic, key, time, checksum FROM idempotency")?;
        let hashes = select.query_map([], |row| {
            let (offset, topic, key, _) = self::row(row)?;
            Ok((hash(topic, key), offset))
        })?;
        Ok(Self { hashes: hashes.collect::<rusqlite::Result<_>>()?, ..Self::default() })
    }

    /// They are those of a replica, where it is so late.
    pub(super) fn follow(
        &mut self,
        connection: &Connection,
        (time, count_max): (Timestamp, usize),
    ) -> rusqlite::Result<()> {
        let known = Known { count: self.len(), oldest: Some(Timestamp::MIN), ..Known::default() };
        self.known = Some(known);
        self.pass_to(connection, time, count_max)?;
        self.commit();
        Ok(())
    }

    /// Nothing is remembered any more.
    pub(super) fn forget_all(&mut self) {
        let known = self.known.map(|_| Known::default());
        *self = Self { known, known_before: known, ..Self::default() };
    }

    /// Of a replica, in the transaction under way: forgets what is beyond `count_max`, or too old as of
    /// a time of the order. Rows stay until [`forget`](Self::forget).
    pub(super) fn pass_to(
        &mut self,
        connection: &Connection,
        time: Timestamp,
        count_max: usize,
    ) -> rusqlite::Result<()> {
        let Some(known) = &mut self.known else { return Ok(()) };
        let is_old = |came: Timestamp| time.saturating_since(came) > IDEMPOTENCY_AGE;
        if known.count <= count_max && !known.oldest.is_some_and(is_old) {
            return Ok(());
        }
        let sql = "SELECT offset, time FROM idempotency WHERE offset > ?1 ORDER BY offset";
        let mut select = connection.prepare_cached(sql)?;
        let mut rows = select.query([to_sql(known.forgotten)])?;
        known.oldest = None;
        while let Some(row) = rows.next()? {
            let (offset, came) = (from_sql(row.get(0)?), Timestamp::from_ms(row.get(1)?));
            if known.count <= count_max && !is_old(came) {
                known.oldest = Some(came);
                break;
            }
            known.forgotten = offset;
            known.count -= 1;
        }
        Ok(())
    }

    /// Whether so many are remembered beyond `count_max` that forgetting them is worth a transaction.
    pub(super) fn are_too_many(&self, count_max: usize) -> bool {
        self.len() > count_max + count_max / ONE_TOO_MANY_OF
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Where the event is that came with the same topic and key, as long as it is remembered.
    pub(super) fn find(
        &self,
        connection: &Connection,
        event: &Event,
        key: &str,
    ) -> rusqlite::Result<Option<Offset>> {
        let hash = hash(event.topic.as_str(), key);
        let forgotten = self.known.map_or(Offset::ZERO, |known| known.forgotten);
        let from = (Bound::Excluded((hash, forgotten)), Bound::Included((hash, Offset::MAX)));
        let candidates = self.hashes.range(from);
        for (_, offset) in candidates {
            let sql = "SELECT 1 FROM idempotency WHERE offset = ?1 AND topic = ?2 AND key = ?3";
            let mut select = connection.prepare_cached(sql)?;
            let mut rows = select.query((to_sql(*offset), event.topic.as_str(), key))?;
            if rows.next()?.is_some() {
                return Ok(Some(*offset));
            }
        }
        Ok(None)
    }

    /// Remembers the key that `entry` came with at a time, in the transaction under way.
    pub(super) fn remember(
        &mut self,
        connection: &Connection,
        key: &str,
        (entry, time): (&Entry, Timestamp),
    ) -> rusqlite::Result<()> {
        let Entry { offset, event, .. } = entry;
        let topic = event.topic.as_str();
        insert(connection, (*offset, time), (topic, key))?;
        let hashed = (hash(topic, key), *offset);
        if let Some(known) = &mut self.known {
            known.count += 1;
            known.oldest.get_or_insert(time);
        }
        self.hashes.insert(hashed);
        self.staged.push(hashed);
        Ok(())
    }

    /// The transaction is committed.
    pub(super) fn commit(&mut self) {
        self.staged.clear();
        self.known_before = self.known;
    }

    /// The transaction has failed.
    pub(super) fn roll_back(&mut self) {
        for hashed in self.staged.drain(..) {
            self.hashes.remove(&hashed);
        }
        self.known = self.known_before;
    }

    /// Forgets the oldest keys: those beyond `count_max`, and those too old as of `now`; of a replica
    /// the rows of those that it has forgotten. One step in a transaction of its own; returns whether
    /// there may be more.
    pub(super) fn forget(
        &mut self,
        connection: &Connection,
        count_max: usize,
        now: &Now,
    ) -> rusqlite::Result<bool> {
        let excess = self.len().saturating_sub(count_max);
        let transaction = begin(connection)?;
        let sql = "SELECT offset, topic, key, time FROM idempotency ORDER BY offset LIMIT ?1";
        let mut select = transaction.prepare_cached(sql)?;
        let mut rows = select.query([RETENTION_STEP_LOOKS_MAX as i64])?;
        let mut forgotten = Vec::new();
        while let Some(row) = rows.next()? {
            let (offset, time) = (from_sql(row.get(0)?), Timestamp::from_ms(row.get(3)?));
            let is_young = now.at(offset).saturating_since(time) <= IDEMPOTENCY_AGE;
            let stays = match self.known {
                Some(known) => offset > known.forgotten,
                None => is_young && forgotten.len() >= excess,
            };
            if stays {
                break;
            }
            let hash = hash(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
            forgotten.push((hash, offset));
        }
        drop(rows);
        drop(select);
        if let Some((_, last)) = forgotten.last() {
            let delete = "DELETE FROM idempotency WHERE offset <= ?1";
            transaction.prepare_cached(delete)?.execute([to_sql(*last)])?;
        }
        transaction.commit()?;
        for hashed in &forgotten {
            self.hashes.remove(hashed);
        }
        Ok(forgotten.len() == RETENTION_STEP_LOOKS_MAX)
    }
}

/// Reads a key's row: offset, topic, key, time and checksum.
pub(super) fn row<'a>(row: &'a Row<'_>) -> rusqlite::Result<(Offset, &'a str, &'a str, i64)> {
    let (topic, key) = (row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
    let (numbers, sum): ([i64; 2], Option<i64>) = ([row.get(0)?, row.get(3)?], row.get(4)?);
    if sum.is_some_and(|sum| sum != sums::of_row(&numbers, &[topic.as_bytes(), key.as_bytes()])) {
        return Err(damaged("an idempotency key is not what was written"));
    }
    Ok((from_sql(numbers[0]), topic, key, numbers[1]))
}

/// Writes a key's row.
pub(super) fn insert(
    connection: &Connection,
    (offset, time): (Offset, Timestamp),
    (topic, key): (&str, &str),
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO idempotency (offset, topic, key, time, checksum)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let numbers = [to_sql(offset), time.as_ms()];
    let sum = sums::of_row(&numbers, &[topic.as_bytes(), key.as_bytes()]);
    connection.prepare_cached(sql)?.execute((numbers[0], topic, key, numbers[1], sum)).map(drop)
}

/// Never stored: the next process has another secret.
fn hash(topic: &str, key: &str) -> u64 {
    NameHasher::default().hash_one((topic, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::keyed;
    use crate::disk::schema;

    #[test]
    fn a_failed_transaction_leaves_no_key_behind() {
        let folder = tempfile::TempDir::new().unwrap();
        let connection = schema::open_to_write(&folder.path().join(schema::FILE)).unwrap();
        let mut keys = Keys::default();
        let entry = Entry::of_stream(Offset::new(1), keyed("a", "k", 0).event);
        let transaction = begin(&connection).unwrap();
        keys.remember(&transaction, "k", (&entry, Timestamp::from_ms(0))).unwrap();
        assert_eq!(keys.find(&transaction, &entry.event, "k").unwrap(), Some(entry.offset));
        drop(transaction);
        keys.roll_back();
        assert_eq!((keys.len(), keys.find(&connection, &entry.event, "k").unwrap()), (0, None));
    }

    #[test]
    fn what_a_replica_forgets_in_a_failed_transaction_is_known_again() {
        let folder = tempfile::TempDir::new().unwrap();
        let connection = schema::open_to_write(&folder.path().join(schema::FILE)).unwrap();
        let mut keys = Keys::default();
        let zero = Timestamp::from_ms(0);
        keys.follow(&connection, (zero, 10)).unwrap();
        let entry = |offset| Entry::of_stream(Offset::new(offset), keyed("a", "k", 0).event);
        for offset in 1..=3 {
            keys.remember(&connection, &offset.to_string(), (&entry(offset), zero)).unwrap();
        }
        keys.commit();
        let known = |keys: &Keys| {
            let is_known = |offset: &u64| {
                keys.find(&connection, &entry(*offset).event, &offset.to_string())
                    .unwrap()
                    .is_some()
            };
            (1..=3).filter(is_known).collect::<Vec<u64>>()
        };
        let late = zero.saturating_add(2 * IDEMPOTENCY_AGE);
        for (time, count_max, left) in
            [(late, 10, vec![]), (zero, 1, vec![3]), (zero, 2, vec![2, 3])]
        {
            keys.pass_to(&connection, time, count_max).unwrap();
            assert_eq!(known(&keys), left);
            keys.roll_back();
            assert_eq!(known(&keys), [1, 2, 3]);
        }
        keys.pass_to(&connection, zero, 2).unwrap();
        keys.commit();
        // Its rows go some time, and nothing depends on when.
        assert_eq!((keys.len(), known(&keys)), (3, vec![2, 3]));
        assert!(!keys.forget(&connection, 10, &Now::exactly(late)).unwrap());
        assert_eq!((keys.len(), known(&keys)), (2, vec![2, 3]));
    }
}
