//! Replicas that are wrong, as nodes have them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellwire_journal::{
    Append, AppliedReply, Bounds, ClockReading, ClockStep, Due, Ended, Error, Journal, Page,
    Placed, ReadLimit, Record, RecordChange, RecordReply, Replica, Reply, StateHorizons, StatePage,
    TopicFigures,
};
use bellwire_model::{Epoch, FilterSet, Offset};

use super::How;

/// One in so many is not applied.
const SKIPPED_ONE_IN: u64 = 40;

#[derive(Debug)]
pub(super) struct WrongReplica {
    replica: Arc<dyn Replica>,
    how: How,
    applied: AtomicU64,
}

impl WrongReplica {
    pub(super) fn new(replica: Arc<dyn Replica>, how: How) -> Self {
        Self { replica, how, applied: AtomicU64::new(0) }
    }
}

impl Replica for WrongReplica {
    fn apply(&self, mut placed: Placed, applied: AppliedReply) -> Result<(), Error> {
        let number = self.applied.fetch_add(1, Ordering::Relaxed);
        let is_skipped = number % SKIPPED_ONE_IN == SKIPPED_ONE_IN - 1;
        if self.how == How::SkipsOne && is_skipped {
            placed.batches.retain(|batch| batch.reply.is_some());
        }
        self.replica.apply(placed, applied)
    }

    fn begin_anew(&self, epoch: Epoch, base: Offset) -> Result<(), Error> {
        self.replica.begin_anew(epoch, base)
    }

    fn enter_epoch(
        &self,
        epoch: Epoch,
        base: Offset,
        records: Vec<RecordChange>,
    ) -> Result<(), Error> {
        self.replica.enter_epoch(epoch, base, records)
    }

    fn due(&self, now: ClockReading, count_max: usize) -> Result<Due, Error> {
        self.replica.due(now, count_max)
    }

    fn check_room(&self, batch: &[Append]) -> Result<(), Error> {
        self.replica.check_room(batch)
    }

    fn check_room_for_records(&self, changes: &[RecordChange]) -> Result<(), Error> {
        self.replica.check_room_for_records(changes)
    }
}

impl Journal for WrongReplica {
    fn epoch(&self) -> Epoch {
        self.replica.epoch()
    }

    fn append(&self, batch: Vec<Append>, reply: Reply) -> Result<(), Error> {
        self.replica.append(batch, reply)
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
        self.replica.write_records(changes, reply)
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
        self.replica.apply_retention(now)
    }

    fn expire(&self, now: ClockReading) -> Result<Option<Duration>, Error> {
        self.replica.expire(now)
    }

    fn close(&self) -> Result<(), Error> {
        self.replica.close()
    }
}
