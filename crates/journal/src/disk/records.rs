//! Records: in a table of their own, synced with each change whatever the durability.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};

use super::schema::{begin, count_record_change, damaged};
use super::sums;
use crate::records::{Record, RecordChanges, RecordTally, record_bytes};

/// What the table holds.
pub(super) fn tally(connection: &Connection) -> rusqlite::Result<RecordTally> {
    let sql =
        "SELECT count(*), coalesce(sum(octet_length(key) + octet_length(value)), 0) FROM records";
    connection.query_row(sql, [], |row| {
        let (count, bytes): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok(RecordTally { count: count as u64, bytes: bytes as u64 })
    })
}

/// What the table holds after a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) tally: RecordTally,
    /// How many transactions have changed it.
    pub(super) changes: u64,
}

/// Makes all changes, unless `accept` refuses what the table would then hold. Says what it holds.
pub(super) fn write<E>(
    connection: &Connection,
    changes: &RecordChanges,
    mut tally: RecordTally,
    accept: impl FnOnce(RecordTally) -> Result<(), E>,
) -> rusqlite::Result<Result<Written, E>> {
    let transaction = begin(connection)?;
    tally = tally_with(&transaction, changes, tally)?;
    change(&transaction, changes)?;
    if let Err(refusal) = accept(tally) {
        // Dropping the transaction takes everything back.
        return Ok(Err(refusal));
    }
    let changes = count_record_change(&transaction)?;
    transaction.commit()?;
    Ok(Ok(Written { tally, changes }))
}

/// What the table will hold with changes.
pub(super) fn tally_with(
    connection: &Connection,
    changes: &RecordChanges,
    mut tally: RecordTally,
) -> rusqlite::Result<RecordTally> {
    let mut size =
        connection.prepare_cached("SELECT octet_length(value) FROM records WHERE key = ?1")?;
    for (key, value) in changes {
        let old: Option<i64> = size.query_row([key], |row| row.get(0)).optional()?;
        if let Some(old) = old {
            tally.remove(record_bytes(key, old as usize));
        }
        if let Some(value) = value {
            tally.add(record_bytes(key, value.len()));
        }
    }
    Ok(tally)
}

/// Makes changes in a transaction that is under way.
pub(super) fn change(connection: &Connection, changes: &RecordChanges) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM records WHERE key = ?1")?;
    for (key, value) in changes {
        match value {
            Some(value) => insert(connection, key, value)?,
            None => drop(delete.execute([key])?),
        }
    }
    Ok(())
}

/// Those whose keys begin with `prefix`, in their order.
pub(super) fn with_prefix(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<Record>> {
    let sql = "SELECT key, value, checksum FROM records WHERE key >= ?1 AND key < ?2 ORDER BY key";
    let mut select = connection.prepare_cached(sql)?;
    // No key has a character beyond the last one there is.
    let end = format!("{prefix}{}", char::MAX);
    let records = select.query_map((prefix, end), row)?;
    records.collect()
}

/// Reads a record's row: key, value and checksum.
pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<Record> {
    let value = Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?);
    let (key, sum): (Box<str>, Option<i64>) = (row.get(0)?, row.get(2)?);
    if sum.is_some_and(|sum| sum != sums::of_row(&[], &[key.as_bytes(), &value])) {
        return Err(damaged(format!("the record {key} is not what was written")));
    }
    Ok(Record { key, value })
}

/// Writes a record's row.
pub(super) fn insert(connection: &Connection, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO records (key, value, checksum) VALUES (?1, ?2, ?3)
               ON CONFLICT (key) DO UPDATE SET value = excluded.value, checksum = excluded.checksum";
    let sum = sums::of_row(&[], &[key.as_bytes(), value]);
    connection.prepare_cached(sql)?.execute((key, value, sum)).map(drop)
}
