//! A group commit as an engine gets it: without those who wait for it.

use std::time::Duration;

use bellwire_model::limits::PLACED_CLOCKS_APART_MAX;
use bellwire_model::{Offset, Timestamp};

use crate::records::RecordChanges;
use crate::{Append, Placed, Reply};

/// What is to be applied.
#[derive(Debug)]
pub(crate) struct Placing {
    pub(crate) base: Offset,
    /// As it came; whoever applies it takes the newest there was.
    pub(crate) time: Timestamp,
    pub(crate) batches: Vec<Vec<Append>>,
    /// Of two changes of one key the last counts.
    pub(crate) records: RecordChanges,
}

/// What its appends are decided by, where that is not said by them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// The first event's offset, unless the tail is further.
    pub(crate) base: Offset,
    /// How late it is, as the order says: never before what it said before.
    pub(crate) time: Timestamp,
}

impl Placing {
    /// What is to be applied, and who waits for each batch. Times to live become uptimes of this
    /// machine.
    pub(crate) fn of(placed: Placed) -> (Self, Vec<Option<Reply>>) {
        let Placed { base, time, now, batches, records } = placed;
        let ago_ms = now.wall.as_ms().saturating_sub(time.as_ms()).max(0).unsigned_abs();
        // Clocks are never quite the same: what is beyond that is how long ago it was made.
        let ago = Duration::from_millis(ago_ms).saturating_sub(PLACED_CLOCKS_APART_MAX);
        let uptime = |ttl: Duration| now.uptime.saturating_add(ttl).saturating_sub(ago);
        let split = batches.into_iter().map(|mut batch| {
            for append in &mut batch.appends {
                append.expires_at = append.expires_at.map(uptime);
            }
            (batch.appends, batch.reply)
        });
        let (batches, replies) = split.unzip();
        let records = records.into_iter().map(|change| (change.key, change.value)).collect();
        (Self { base, time, batches, records }, replies)
    }

    /// How many appends there are.
    pub(crate) fn appends(&self) -> usize {
        self.batches.iter().map(Vec::len).sum()
    }
}
