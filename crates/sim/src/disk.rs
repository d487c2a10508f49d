//! A machine's disk: the list of what was applied to its replica, of which the newest may be unsynced.
//!
//! A replica is a function of what was applied to it. So what is on a disk after a loss of power is what
//! was synced, applied again to an empty replica, and a snapshot is the list of another node.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use bellwire_journal::{
    Append, AppliedReply, Bounds, ClockReading, ClockStep, Due, Ended, Error, Journal,
    MemoryJournal, Observer, Page, Placed, PlacedBatch, ReadLimit, Record, RecordChange,
    RecordReply, Replica, Reply, RetentionRule, StateHorizons, StatePage, TopicFigures,
};
use bellwire_model::{Epoch, FilterSet, Offset, Timestamp};

use crate::clock::MachineClock;

/// Events of topics that match this are kept for so long as there are no more of them.
const RETAINED: (&str, u64) = ("brief/**", 40);

/// Something that was done to a replica.
#[derive(Clone, Debug)]
pub enum Step {
    /// It began anew, in this epoch behind this offset.
    Anew(Epoch, Offset),
    /// It went on in this epoch, behind this offset, with these changes of records.
    Entered(Epoch, Offset, Vec<RecordChange>),
    /// A group commit was applied.
    Applied {
        /// The first event's offset.
        base: Offset,
        /// What its maker's clock said.
        time: Timestamp,
        /// The batches.
        batches: Vec<Vec<Append>>,
        /// The changes of records.
        records: Vec<RecordChange>,
    },
    /// What is not retained was removed.
    Retained,
}

/// A step, when it was done, and whether it was synced right then.
type Done = (Duration, bool, Step);

/// See the module.
#[derive(Clone)]
pub(crate) struct Disk {
    steps: Arc<Mutex<Vec<Done>>>,
    /// In which a replica begins that is new.
    epoch: Epoch,
    /// Until when it has no room, in microseconds of the world.
    full_until: Arc<AtomicU64>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("steps", &self.steps().len()).finish_non_exhaustive()
    }
}

impl Disk {
    /// One that is empty.
    pub(crate) fn new() -> Self {
        let epoch = Epoch::new(fastrand::u32(1..));
        Self { steps: Arc::default(), epoch, full_until: Arc::default() }
    }

    /// It has no room until then.
    pub(crate) fn fill(&self, until: Duration) {
        self.full_until.store(until.as_micros() as u64, Ordering::Relaxed);
    }

    fn check_room(&self, now: Duration) -> Result<(), Error> {
        if now.as_micros() as u64 >= self.full_until.load(Ordering::Relaxed) {
            return Ok(());
        }
        let source = Arc::new(io::Error::from(io::ErrorKind::StorageFull));
        Err(Error::Full { path: "the disk".into(), source })
    }

    /// In which epoch what is on it begins, unless it says otherwise.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn steps(&self) -> MutexGuard<'_, Vec<Done>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, at: Duration, step: Step) {
        let mut steps = self.steps();
        match step {
            Step::Anew(..) => steps.clear(),
            // All before it is on the disk then.
            Step::Entered(..) => steps.iter_mut().for_each(|(_, is_synced, _)| *is_synced = true),
            _ => {}
        }
        let is_synced = matches!(step, Step::Anew(..) | Step::Entered(..));
        steps.push((at, is_synced, step));
    }

    /// All that is on it.
    pub(crate) fn copy(&self) -> Vec<Step> {
        let begins = Step::Anew(self.epoch, Offset::ZERO);
        let mut steps: Vec<Step> = self.steps().iter().map(|(_, _, step)| step.clone()).collect();
        if !matches!(steps.first(), Some(Step::Anew(..))) {
            steps.insert(0, begins);
        }
        steps
    }

    /// One that has this, as of now.
    pub(crate) fn of(steps: Vec<Step>, now: Duration) -> Self {
        let steps = steps.into_iter().map(|step| (now, true, step)).collect();
        Self { steps: Arc::new(Mutex::new(steps)), ..Self::new() }
    }

    /// What was done after that is lost, unless it was synced.
    pub(crate) fn lose_after(&self, synced: Duration) {
        self.steps().retain(|(at, is_synced, _)| *at <= synced || *is_synced);
    }

    /// Whether something was ever applied.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps().is_empty()
    }

    /// The replica that has what is on it.
    pub(crate) fn open(
        &self,
        clock: &MachineClock,
        observer: Box<dyn Observer>,
    ) -> Arc<dyn Replica> {
        let (pattern, events_max) = RETAINED;
        let rule = RetentionRule {
            pattern: pattern.parse().expect("it is a filter"),
            age: None,
            bytes_max: None,
            events_max: Some(events_max),
        };
        let journal = MemoryJournal::replica(self.epoch, vec![rule], observer);
        let steps = self.steps().clone();
        for (at, _, step) in steps {
            let done = match step {
                Step::Anew(epoch, base) => journal.begin_anew(epoch, base),
                Step::Entered(epoch, base, records) => journal.enter_epoch(epoch, base, records),
                Step::Applied { base, time, batches, records } => {
                    let now = clock.at(at);
                    let batches = batches.into_iter().map(|appends| (appends, None));
                    let placed = placed((base, time, now), batches, records);
                    journal.apply(placed, Box::new(|_| ()))
                }
                Step::Retained => journal.apply_retention(clock.at(at)).map(drop),
            };
            done.expect("it was done before");
        }
        // Asked behind all of them, so that they are done.
        journal.due(clock.now_reading(), 0).expect("it is open");
        let (disk, clock) = (self.clone(), clock.clone());
        Arc::new(Recorded { journal, disk, clock, missing: Mutex::default() })
    }
}

fn placed(
    (base, time, now): (Offset, Timestamp, ClockReading),
    batches: impl Iterator<Item = (Vec<Append>, Option<Reply>)>,
    records: Vec<RecordChange>,
) -> Placed {
    let batches = batches.map(|(appends, reply)| PlacedBatch { appends, reply }).collect();
    Placed { base, time, now, batches, records }
}

/// A replica of which it is known what was applied.
#[derive(Debug)]
struct Recorded {
    journal: MemoryJournal,
    disk: Disk,
    clock: MachineClock,
    /// The base of what had no room, and has to be first.
    missing: Mutex<Option<Offset>>,
}

impl Recorded {
    /// What comes of a group commit where the disk has no room, or had none for one before it.
    fn check_order(&self, base: Offset) -> Result<(), Error> {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(missing) = missing.filter(|missing| base > *missing) {
            return Err(Error::OutOfOrder { missing });
        }
        let room = self.disk.check_room(self.clock.now());
        *missing = room.is_err().then_some(base);
        room
    }
}

impl Replica for Recorded {
    fn apply(&self, placed: Placed, applied: AppliedReply) -> Result<(), Error> {
        if placed.base > self.journal.bounds().tail
            && let Err(error) = self.check_order(placed.base)
        {
            let replies = placed.batches.into_iter().filter_map(|batch| batch.reply);
            replies.for_each(|reply| reply(Err(error.clone())));
            applied(Err(error));
            return Ok(());
        }
        let Placed { base, time, batches, records, .. } = &placed;
        let step = Step::Applied {
            base: *base,
            time: *time,
            batches: batches.iter().map(|batch| batch.appends.clone()).collect(),
            records: records.clone(),
        };
        let (disk, at) = (self.disk.clone(), self.clock.now());
        let noted = Box::new(move |result: Result<(), Error>| {
            if result.is_ok() {
                disk.push(at, step);
            }
            applied(result);
        });
        self.journal.apply(placed, noted)
    }

    fn begin_anew(&self, epoch: Epoch, base: Offset) -> Result<(), Error> {
        self.disk.check_room(self.clock.now())?;
        self.journal.begin_anew(epoch, base)?;
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.disk.push(self.clock.now(), Step::Anew(epoch, base));
        Ok(())
    }

    fn enter_epoch(
        &self,
        epoch: Epoch,
        base: Offset,
        records: Vec<RecordChange>,
    ) -> Result<(), Error> {
        self.disk.check_room(self.clock.now())?;
        self.journal.enter_epoch(epoch, base, records.clone())?;
        self.disk.push(self.clock.now(), Step::Entered(epoch, base, records));
        Ok(())
    }

    fn due(&self, now: ClockReading, count_max: usize) -> Result<Due, Error> {
        self.journal.due(now, count_max)
    }

    fn check_room(&self, batch: &[Append]) -> Result<(), Error> {
        self.journal.check_room(batch)
    }

    fn check_room_for_records(&self, changes: &[RecordChange]) -> Result<(), Error> {
        self.journal.check_room_for_records(changes)
    }
}

impl Journal for Recorded {
    fn epoch(&self) -> Epoch {
        self.journal.epoch()
    }

    fn append(&self, batch: Vec<Append>, reply: Reply) -> Result<(), Error> {
        self.journal.append(batch, reply)
    }

    fn bounds(&self) -> Bounds {
        self.journal.bounds()
    }

    fn trimmed(&self, filters: &FilterSet) -> Offset {
        self.journal.trimmed(filters)
    }

    fn read(&self, after: Offset, filters: &FilterSet, limit: ReadLimit) -> Result<Page, Error> {
        self.journal.read(after, filters, limit)
    }

    fn state(&self, after: Offset, limit: ReadLimit) -> Result<StatePage, Error> {
        self.journal.state(after, limit)
    }

    fn state_horizons(&self) -> Result<StateHorizons, Error> {
        self.journal.state_horizons()
    }

    fn ended(&self, topic: &str) -> Option<Ended> {
        self.journal.ended(topic)
    }

    fn list_topics(&self, prefix: &str, after: &str, limit: usize) -> Vec<TopicFigures> {
        self.journal.list_topics(prefix, after, limit)
    }

    fn write_records(&self, changes: Vec<RecordChange>, reply: RecordReply) -> Result<(), Error> {
        self.journal.write_records(changes, reply)
    }

    fn records(&self, prefix: &str) -> Result<Vec<Record>, Error> {
        self.journal.records(prefix)
    }

    fn health(&self) -> Result<(), Error> {
        self.disk.check_room(self.clock.now())?;
        self.journal.health()
    }

    fn damaged(&self) -> u64 {
        self.journal.damaged()
    }

    fn damaged_blocks(&self) -> u64 {
        self.journal.damaged_blocks()
    }

    fn apply_retention(&self, now: ClockReading) -> Result<Option<ClockStep>, Error> {
        let step = self.journal.apply_retention(now)?;
        self.disk.push(self.clock.now(), Step::Retained);
        Ok(step)
    }

    fn expire(&self, now: ClockReading) -> Result<Option<Duration>, Error> {
        self.journal.expire(now)
    }

    fn close(&self) -> Result<(), Error> {
        self.journal.close()
    }
}
