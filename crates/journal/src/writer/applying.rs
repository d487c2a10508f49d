//! The writer of a replica: it applies what comes in the order in which it was placed, and nothing where
//! something before is missing.

use std::sync::PoisonError;

use bellwire_model::limits::{BYTES_PER_COMMIT_MAX, EVENTS_PER_COMMIT_MAX};
use bellwire_model::{Epoch, KeyVersion, Offset};

use super::{Command, Committed, Store, Turns, Writer, bytes_of};
use crate::placing::Placing;
use crate::records::{self, RecordChanges};
use crate::{AppliedReply, ClockReading, Due, DueKey, Error, Placed, RecordChange, Reply};

/// A group commit that waits.
pub(super) struct QueuedPlaced {
    placing: Placing,
    bytes: usize,
    waiting: Waiting,
}

/// Who waits for one.
struct Waiting {
    replies: Vec<Option<Reply>>,
    applied: AppliedReply,
}

impl Waiting {
    /// It could not be applied.
    fn fail(self, error: &Error) {
        for reply in self.replies.into_iter().flatten() {
            reply(Err(error.clone()));
        }
        (self.applied)(Err(error.clone()));
    }

    /// It was applied before.
    fn say_again(self) {
        for reply in self.replies.into_iter().flatten() {
            reply(Err(Error::Applied));
        }
        (self.applied)(Ok(()));
    }
}

impl Writer {
    /// Queues a group commit, once there is room.
    pub(crate) fn apply(&self, placed: Placed, applied: AppliedReply) -> Result<(), Error> {
        // Cloned for one command only: `close` waits for the last sender to go.
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner).clone();
        let queue = queue.ok_or(Error::Closed)?;
        let (placing, replies) = Placing::of(placed);
        let of_appends: usize = placing.batches.iter().flatten().map(bytes_of).sum();
        let bytes = of_appends + records::bytes_of(&placing.records);
        self.room.take(bytes)?;
        let waiting = Waiting { replies, applied };
        let command = Command::Apply(Box::new(QueuedPlaced { placing, bytes, waiting }));
        queue.send(command).map_err(|_| Error::Closed)
    }

    /// Has everything forgotten, and waits for it.
    pub(crate) fn begin_anew(&self, epoch: Epoch, base: Offset) -> Result<(), Error> {
        self.ask(|reply| Command::BeginAnew { epoch, base, reply })?
    }

    /// Has another epoch begin behind what there is, and waits for it.
    pub(crate) fn enter_epoch(
        &self,
        epoch: Epoch,
        base: Offset,
        records: Vec<RecordChange>,
    ) -> Result<(), Error> {
        let records = records::gathered(records)?;
        self.ask(|reply| Command::EnterEpoch { epoch, base, records, reply })?
    }

    /// Keys whose time is over.
    pub(crate) fn due(&self, now: ClockReading, count_max: usize) -> Result<Due, Error> {
        self.ask(|reply| Command::Due { now, count_max, reply })?
    }
}

impl<S: Store> Turns<S> {
    /// One transaction: `first` and what else waits and fits. Returns what was taken but did not fit.
    pub(super) fn apply(&mut self, first: QueuedPlaced) -> Option<Command> {
        if let Some(missing) = self.missing.filter(|missing| first.placing.base > *missing) {
            self.room.free(first.bytes);
            first.waiting.fail(&Error::OutOfOrder { missing });
            return None;
        }
        if first.placing.base <= self.store.tail() {
            self.room.free(first.bytes);
            first.waiting.say_again();
            return None;
        }

        // 1. Gather.
        let mut last = first.placing.base;
        let (mut events, mut bytes) = (first.placing.appends(), first.bytes);
        let (mut group, mut waiting) = (vec![first.placing], vec![first.waiting]);
        let mut ahead = None;
        // What failed is tried again by itself, so that it is known what of it can be applied.
        while self.missing.is_none()
            && let Ok(command) = self.queue.try_recv()
        {
            match command {
                Command::Wake => {}
                Command::Apply(placed)
                    if placed.placing.base > last
                        && events + placed.placing.appends() <= EVENTS_PER_COMMIT_MAX
                        && bytes + placed.bytes <= BYTES_PER_COMMIT_MAX =>
                {
                    last = placed.placing.base;
                    events += placed.placing.appends();
                    bytes += placed.bytes;
                    group.push(placed.placing);
                    waiting.push(placed.waiting);
                }
                other => {
                    ahead = Some(other);
                    break;
                }
            }
        }
        self.room.free(bytes);
        self.apply_group(group, waiting);
        ahead
    }

    /// Applied, visible, answered: in this order.
    fn apply_group(&mut self, group: Vec<Placing>, waiting: Vec<Waiting>) {
        let first = group.first().map(|placing| placing.base);
        let applied = self.store.apply(group);
        self.note(applied.as_ref().err());
        match applied {
            Ok(Committed { entries, results }) => {
                self.missing.take_if(|missing| self.store.tail() >= *missing);
                let newest = entries.last().map(|entry| entry.offset);
                if !entries.is_empty() {
                    self.observer.on_commit(entries);
                }
                // Whoever begins where the journal ends waits for its hub to be there.
                let tail = self.store.tail();
                if newest.is_none_or(|newest| newest < tail) {
                    self.observer.on_reach(tail);
                }
                let mut results = results.into_iter();
                for Waiting { replies, applied } in waiting {
                    for (reply, result) in replies.into_iter().zip(results.by_ref()) {
                        if let Some(reply) = reply {
                            reply(result);
                        }
                    }
                    applied(Ok(()));
                }
            }
            Err(error) => {
                self.missing = self.missing.into_iter().chain(first).min();
                for waiting in waiting {
                    waiting.fail(&error);
                }
            }
        }
    }

    pub(super) fn begin_anew(&mut self, epoch: Epoch, base: Offset) -> Result<(), Error> {
        let begun = self.store.begin_anew(epoch, base);
        self.note(begun.as_ref().err());
        begun?;
        self.missing = None;
        self.observer.on_begin_anew(epoch, base);
        Ok(())
    }

    pub(super) fn enter_epoch(
        &mut self,
        epoch: Epoch,
        base: Offset,
        records: RecordChanges,
    ) -> Result<(), Error> {
        let before = self.store.epoch();
        let entered = self.store.enter_epoch(epoch, base, records);
        self.note(entered.as_ref().err());
        entered?;
        if epoch != before {
            self.missing = None;
            self.observer.on_enter_epoch(epoch, self.store.tail());
        }
        Ok(())
    }

    pub(super) fn due(&mut self, now: ClockReading, count_max: usize) -> Result<Due, Error> {
        let due = self.store.due(now.uptime, count_max)?;
        let next = self.store.next_due(due.len());
        let epoch = self.store.epoch();
        let keys = due.into_iter().map(|due| {
            let version = KeyVersion::Journal { epoch, offset: due.value };
            DueKey { topic: due.topic, key: due.key, version, timed_at: due.timed_at }
        });
        Ok(Due { keys: keys.collect(), next })
    }
}
