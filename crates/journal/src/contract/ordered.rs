//! A journal that has a replica apply what is appended to it, each batch at the next place of an order
//! that is nobody else's. So a replica can be asked to keep the whole contract.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwire_model::limits::{APPENDS_QUEUED_MAX, STATE_LOOKS_MAX};
use bellwire_model::{Epoch, FilterSet, Offset, Timestamp};

use crate::{
    Append, AppliedReply, Bounds, ClockReading, ClockStep, Due, Ended, Error, Journal, Page,
    Placed, PlacedBatch, ReadLimit, Record, RecordChange, RecordReply, Replica, Reply,
    StateHorizons, StatePage, TopicFigures,
};

/// So far each place is from the next, as in a cluster.
pub const PLACE_OFFSETS: u64 = 1 << 14;

/// See the module. Its clocks say what they did when they were looked at last.
pub struct Ordered {
    replica: Arc<dyn Replica>,
    next: Mutex<Next>,
    /// Group commits that wait.
    queued: Arc<AtomicUsize>,
}

/// What the next group commit has.
struct Next {
    place: u64,
    now: ClockReading,
}

impl Ordered {
    /// Goes on behind what the replica has applied.
    pub fn new(replica: Arc<dyn Replica>) -> Self {
        let place = replica.bounds().tail.get() / PLACE_OFFSETS + 1;
        let next = Mutex::new(Next { place, now: ClockReading::default() });
        Self { replica, next, queued: Arc::new(AtomicUsize::new(0)) }
    }

    /// Places batches, and changes of records.
    fn place(
        &self,
        batches: Vec<PlacedBatch>,
        (records, applied): (Vec<RecordChange>, AppliedReply),
    ) -> Result<(), Error> {
        if self.queued.fetch_add(1, Ordering::Relaxed) >= APPENDS_QUEUED_MAX {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::Busy);
        }
        let queued = Arc::clone(&self.queued);
        let applied: AppliedReply = Box::new(move |result| {
            queued.fetch_sub(1, Ordering::Relaxed);
            applied(result);
        });
        // Held while it is placed, so that the places are in the order of the queue.
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = next.now;
        let times = batches.iter().flat_map(|batch| &batch.appends).map(|it| it.event.time);
        let time = times.fold(now.wall, Timestamp::max);
        let base = Offset::new(next.place * PLACE_OFFSETS);
        self.replica.apply(Placed { base, time, now, batches, records }, applied)?;
        next.place += 1;
        Ok(())
    }

    fn look(&self, now: ClockReading) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).now = now;
    }

    /// What goes at an uptime has so long to live.
    fn living(&self, mut batch: Vec<Append>) -> Vec<Append> {
        let uptime = self.next.lock().unwrap_or_else(PoisonError::into_inner).now.uptime;
        for append in &mut batch {
            append.expires_at = append.expires_at.map(|at| at.saturating_sub(uptime));
        }
        batch
    }
}

impl fmt::Debug for Ordered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ordered").field("replica", &self.replica).finish_non_exhaustive()
    }
}

impl Journal for Ordered {
    fn epoch(&self) -> Epoch {
        self.replica.epoch()
    }

    fn append(&self, batch: Vec<Append>, reply: Reply) -> Result<(), Error> {
        if let Err(error) = self.replica.check_room(&batch) {
            reply(Err(error));
            return Ok(());
        }
        let appends = self.living(batch);
        let batch = PlacedBatch { appends, reply: Some(reply) };
        self.place(vec![batch], (Vec::new(), Box::new(drop)))
    }

    fn bounds(&self) -> Bounds {
        self.replica.bounds()
    }

    fn trimmed(&self, filters: &FilterSet) -> Offset {
        self.replica.trimmed(filters)
    }

    fn read(&self, after: Offset, filters: &FilterSet, limit: ReadLimit) -> Result<Page, Error> {
        self.replica.read(after, filters, limit)
    }

    fn state(&self, after: Offset, limit: ReadLimit) -> Result<StatePage, Error> {
        self.replica.state(after, limit)
    }

    fn state_horizons(&self) -> Result<StateHorizons, Error> {
        self.replica.state_horizons()
    }

    fn ended(&self, topic: &str) -> Option<Ended> {
        self.replica.ended(topic)
    }

    fn list_topics(&self, prefix: &str, after: &str, limit: usize) -> Vec<TopicFigures> {
        self.replica.list_topics(prefix, after, limit)
    }

    fn write_records(&self, changes: Vec<RecordChange>, reply: RecordReply) -> Result<(), Error> {
        self.replica.check_room_for_records(&changes)?;
        self.place(Vec::new(), (changes, reply))
    }

    fn records(&self, prefix: &str) -> Result<Vec<Record>, Error> {
        self.replica.records(prefix)
    }

    fn health(&self) -> Result<(), Error> {
        self.replica.health()
    }

    fn damaged(&self) -> u64 {
        self.replica.damaged()
    }

    fn damaged_blocks(&self) -> u64 {
        self.replica.damaged_blocks()
    }

    fn apply_retention(&self, now: ClockReading) -> Result<Option<ClockStep>, Error> {
        self.look(now);
        self.replica.apply_retention(now)
    }

    fn expire(&self, now: ClockReading) -> Result<Option<Duration>, Error> {
        self.look(now);
        let Due { keys, next } = self.replica.due(now, STATE_LOOKS_MAX)?;
        if keys.is_empty() {
            return Ok(next);
        }
        let batch =
            |key: crate::DueKey| PlacedBatch { appends: vec![key.deletion(now.wall)], reply: None };
        let (sender, applied) = std::sync::mpsc::sync_channel(1);
        let tell: AppliedReply = Box::new(move |result| drop(sender.send(result)));
        self.place(keys.into_iter().map(batch).collect(), (Vec::new(), tell))?;
        applied.recv().map_err(|_| Error::Closed)??;
        Ok(next)
    }

    fn close(&self) -> Result<(), Error> {
        self.replica.close()
    }
}
