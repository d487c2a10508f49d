//! A transaction of a replica: group commits one after the other, each decided by nothing but what was
//! applied before it, whatever else is in the transaction.

use bellwire_model::{Epoch, Offset, Timestamp};
use rusqlite::Connection;

use super::records::Written;
use super::schema::Applied;
use super::stage::{Stage, Staged};
use super::{fences, records, schema};
use crate::fences::FencesBefore;
use crate::placing::{Order, Placing};
use crate::records::{RecordChanges, RecordTally};
use crate::steps::Now;

/// What a replica goes on from, and what of it a transaction has changed.
#[derive(Debug)]
pub(super) struct Applying<'a> {
    /// How late it is, as the order says.
    pub(super) time: Timestamp,
    pub(super) records: RecordTally,
    /// How often records were changed.
    pub(super) record_changes: u64,
    /// Idempotency keys that are remembered.
    pub(super) keys_max: usize,
    /// What producers were before.
    pub(super) fences_before: &'a mut FencesBefore,
}

impl Stage<'_> {
    /// Writes what group commits make.
    pub(super) fn apply(
        mut self,
        group: Vec<Placing>,
        applying: &mut Applying<'_>,
    ) -> rusqlite::Result<Staged> {
        // Nothing is decided by them, so that of all that change one the last is written alone: each entry
        // of a log changes what is known of its maker.
        let mut records = RecordChanges::new();
        for placing in group {
            records.extend(self.apply_one(placing, applying)?);
        }
        if !records.is_empty() {
            applying.records = records::tally_with(self.connection, &records, applying.records)?;
            records::change(self.connection, &records)?;
            applying.record_changes = schema::count_record_change(self.connection)?;
        }
        self.write_rows()?;
        Ok(self.staged)
    }

    /// Returns the changes of records, which are yet to be made.
    fn apply_one(
        &mut self,
        placing: Placing,
        applying: &mut Applying<'_>,
    ) -> rusqlite::Result<RecordChanges> {
        let Placing { base, time, batches, records } = placing;
        applying.time = applying.time.max(time);
        self.order = Some(Order { base, time: applying.time });
        *self.next = base.get();
        self.keys.pass_to(self.connection, applying.time, applying.keys_max)?;
        let idle = self.fences.idle(&Now::exactly(applying.time), usize::MAX);
        fences::delete(self.connection, &idle)?;
        self.fences.forget_ahead(&idle, applying.fences_before);
        for batch in batches {
            let appended = self.judge_and_append(batch)?;
            self.staged.results.push(appended);
        }
        let producers = std::mem::take(&mut self.staged.fences);
        fences::save_staged(self.connection, &producers)?;
        self.fences.take_ahead(producers, applying.fences_before);
        self.staged.applied = self.tail().max(base);
        Ok(records)
    }
}

/// Has another epoch begin behind what was applied, with changes of records, which hold so much before.
pub(super) fn enter_epoch(
    connection: &Connection,
    (epoch, applied): (Epoch, Applied),
    (changes, before): (&RecordChanges, RecordTally),
) -> rusqlite::Result<Written> {
    let transaction = schema::begin(connection)?;
    let tally = records::tally_with(&transaction, changes, before)?;
    records::change(&transaction, changes)?;
    // What is the same would not be written, and the sync be left out with it.
    let changes = schema::count_record_change(&transaction)?;
    schema::set_meta(&transaction, "epoch", epoch.get())?;
    applied.save(&transaction)?;
    transaction.commit()?;
    Ok(Written { tally, changes })
}

/// The newest event of a transaction, or what was applied where that is further.
pub(super) fn tail(staged: &Staged) -> Option<Offset> {
    let newest = staged.entries.last().map(|newest| newest.offset);
    newest.max(Some(staged.applied).filter(|applied| *applied > Offset::ZERO))
}
