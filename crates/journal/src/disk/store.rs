//! The writer's side of the file: what happens on the journal's writer thread.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::RETENTION_STEP_LOOKS_MAX;
use bellwire_model::{Epoch, Offset, Timestamp};
use rusqlite::{Connection, ErrorCode};

use super::block_number::BlockNumber;
use super::blocks::Summary;
use super::bounds::StoreBounds;
use super::checkpointer::Checkpointer;
use super::doubt::{Emptied, empty, write_again};
use super::index::{Index, IndexLock, SharedIndex};
use super::keys::Keys;
use super::names::beside;
use super::place::{Place, SharedPlace};
use super::placed::{self, Applying};
use super::present::Layout;
use super::rows::save_blocks;
use super::schema::{self, Applied, Format, LastRun, from_sql};
use super::stage::{Stage, Staged, save_topics};
use super::sweep::Swept;
use super::witness::{State, Testimony, Witness};
use super::{DiskOptions, Durability, fences, load, records, state, sweep, witness};
use crate::deadlines::DueValue;
use crate::epoch::SharedEpoch;
use crate::error::Cause;
use crate::fences::{Fences, FencesBefore};
use crate::newest::{Newest, Sweep};
use crate::passed::Passed;
use crate::placing::Placing;
use crate::records::{RecordChanges, RecordTally, SharedTally};
use crate::retention::Retention;
use crate::role::Role;
use crate::steps::{Boot, Now, Steps};
use crate::writer::{Committed, Store};
use crate::{Append, ClockReading, ClockStep, Error, StateLoader};

/// See the module.
#[derive(Debug)]
pub(super) struct DiskStore {
    /// Ends before the connection does, which is then the last one, and decides what becomes of
    /// the write-ahead file.
    checkpointer: Checkpointer,
    connection: Connection,
    index: SharedIndex,
    newest: Newest,
    fences: Fences,
    keys: Keys,
    /// Full blocks that are not in their table yet; they ride the next transaction.
    unsaved: Vec<(BlockNumber, Summary)>,
    bounds: StoreBounds,
    steps: Steps,
    /// What keys go by that have a time to live.
    passed: Passed,
    log: FileState,
    records: SharedTally,
    /// Of a replica, how late it is, as its order says.
    time: Option<Timestamp>,
    epoch: SharedEpoch,
    /// Must outlive the connections, see there.
    place: SharedPlace,
    witness: Witness,
    /// What SQLite calls the version of the data, as of this connection's last look.
    data_version: i64,
    /// The next event's offset. Never goes back, not even where a commit fails.
    next: u64,
}

/// What stays the same about the file.
#[derive(Debug)]
struct FileState {
    path: PathBuf,
    durability: Durability,
}

/// A file that was opened, and what was found in it.
struct Opened {
    connection: Connection,
    /// Why what the last run has left may not be on the disk.
    doubt: Option<Cause>,
    loaded: (Index, Vec<(BlockNumber, Summary)>),
    newest: Newest,
    boot: Boot,
    place: SharedPlace,
    /// Of a replica, how late it is.
    time: Option<Timestamp>,
}

/// Opens the file and brings it to this format.
pub(super) fn connect(file: &Path) -> Result<(Connection, Option<Testimony>), Error> {
    let testimony = witness::before_opening(file)?;
    let (connection, format) = schema::connect_to_write(file)?;
    if format == Format::Known && testimony.is_none() {
        let what = format!("has lost its witness, `{}`", witness::FILE).into();
        return Err(Error::Less { path: file.to_owned(), what });
    }
    if matches!(format, Format::Old(_)) && testimony.is_none() {
        // Whoever is killed once the format is new must not seem to have lost it.
        drop(Witness::begin(file.parent().unwrap_or(file), Testimony::of_nothing())?);
    }
    schema::prepare(&connection, format).map_err(|error| Error::sqlite(file, error))?;
    Ok((connection, testimony))
}

/// Moves to the main file what a run has left that was not closed. One of its syncs may have failed,
/// and the system goes on to show what is not on the disk: whatever comes behind it would be lost
/// with it. The witness is the last to say that a run was closed, once all is synced. Returns why it
/// may still be so.
fn settle(
    connection: &Connection,
    file: &Path,
    last: LastRun,
    testimony: Option<Testimony>,
) -> rusqlite::Result<Option<Cause>> {
    let was_closed = testimony.is_some_and(|testimony| testimony.state == State::Closed);
    if last.epoch.is_none() || (last.was_closed && was_closed) {
        return Ok(None);
    }
    in_doubt(empty(connection), &beside(file, "-wal"))
}

/// Why what is in the write-ahead file may not be on the disk, after somebody tried to empty it.
pub(super) fn in_doubt(
    emptied: rusqlite::Result<Emptied>,
    write_ahead: &Path,
) -> rusqlite::Result<Option<Cause>> {
    match emptied {
        Ok(Emptied::Whole) => Ok(None),
        Ok(Emptied::Busy) => Ok(Some(Arc::new(io::Error::from(io::ErrorKind::ResourceBusy)))),
        // A full disk must not keep anybody from reading, and from removing. What there is fits where
        // it is.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
            Ok(write_again(write_ahead).err().map(|error| Arc::new(error) as Cause))
        }
        Err(error) => Err(error),
    }
}

/// Notes that a server runs, on a journal that ends there. Returns the epoch.
pub(super) fn begin_run(
    connection: &Connection,
    (options, role): (&DiskOptions, Role),
    (last, tail): (LastRun, Offset),
) -> Result<Epoch, Error> {
    if last.ends_epoch() || last.may_have_lost {
        // Whoever is killed once the epoch is new must not seem to have another one's witness.
        drop(Witness::begin(&options.path, Testimony::of_nothing())?);
    }
    schema::begin_run(connection, (options, role), (last, tail))
        .map_err(|error| Error::sqlite(&options.path.join(schema::FILE), error))
}

impl DiskStore {
    /// Opens the file and loads what memory keeps of it.
    pub(super) fn open(
        file: &Path,
        (options, role): (DiskOptions, Role),
        states: &mut dyn StateLoader,
    ) -> Result<Self, Error> {
        let (connection, testimony) = connect(file)?;
        let fail = |error| Error::sqlite(file, error);
        schema::check_tables(&connection).map_err(fail)?;
        let retention = Retention::new(options.retention.clone());
        let layout = match role {
            Role::Alone => Layout::Dense,
            Role::Replica => Layout::Sparse,
        };
        let mut loaded = load::index(&connection, (retention, layout)).map_err(fail)?;
        let ended = schema::last_run(&connection, (&options, role)).map_err(fail)?;
        let applied = ended.applied.map_or(Offset::ZERO, |applied| applied.tail);
        if role == Role::Replica {
            loaded.0.tail = loaded.0.tail.max(applied);
        }
        let end = (ended.next_epoch(&options), loaded.0.tail, ended.had_other_places);
        let (newest, tail) = state::load(&connection, end, states).map_err(fail)?;
        loaded.0.tail = tail;
        if let Some(testimony) = testimony
            && !ended.may_have_lost
        {
            // Of what was acknowledged: the place further was given to no event.
            let found = Offset::new(tail.get() - u64::from(ended.had_other_places)).max(applied);
            testimony.check(file, ended, found)?;
        }
        let doubt = settle(&connection, file, ended, testimony).map_err(fail)?;
        let epoch = begin_run(&connection, (&options, role), (ended, tail))?;
        let record_changes = ended.record_changes;
        let testimony = Testimony { state: State::Running, epoch, tail, record_changes };
        let witness = Witness::begin(file.parent().unwrap_or(file), testimony)?;
        let place = Place::of(file)?.into();
        let time = ended.applied.map_or(Timestamp::MIN, |applied| applied.time);
        let time = (role == Role::Replica).then_some(time);
        let opened = Opened { connection, doubt, loaded, newest, boot: ended.boot, place, time };
        Self::load(opened, witness, file, &options).map_err(fail)
    }

    fn load(
        opened: Opened,
        witness: Witness,
        file: &Path,
        options: &DiskOptions,
    ) -> rusqlite::Result<Self> {
        let Opened { mut connection, doubt, loaded, newest, boot, place, time } = opened;
        let (index, unsaved) = loaded;
        let bounds = StoreBounds::of(options);
        let mut keys = Keys::load(&connection)?;
        let fences = fences::load(&connection, bounds.producers_bytes)?;
        let (steps, step) = load::steps(&connection, (options.now, boot), index.tail)?;
        let passed = load::passed(&connection, (options.now, boot), step)?;
        let now = steps.now(options.now.wall);
        if let Some(time) = time {
            keys.follow(&connection, (time, bounds.keys))?;
        }
        while keys.forget(&connection, bounds.keys, &now)? {}
        if options.durability == Durability::Interval {
            connection.pragma_update(None, "synchronous", "normal")?;
        }
        if let Some(pages) = bounds.pages {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
        let records = SharedTally::new(records::tally(&connection)?);
        let epoch = SharedEpoch::new(witness.epoch());
        let checkpointer = Checkpointer::spawn(
            (file.to_owned(), &mut connection),
            place.clone(),
            options.durability,
        )?;
        if let Some(cause) = doubt {
            checkpointer.doubt(cause);
        }
        let data_version = schema::data_version(&connection)?;
        Ok(Self {
            next: index.tail.get() + 1,
            index: Arc::new(IndexLock::new(index)),
            newest,
            fences,
            keys,
            unsaved,
            bounds,
            steps,
            passed,
            records,
            time,
            epoch,
            checkpointer,
            log: FileState { path: file.to_owned(), durability: options.durability },
            place,
            witness,
            data_version,
            connection,
        })
    }

    /// What readers share with the writer.
    pub(super) fn index(&self) -> &SharedIndex {
        &self.index
    }

    /// What records there are.
    pub(super) fn records(&self) -> &SharedTally {
        &self.records
    }

    /// The epoch as it is.
    pub(super) fn shared_epoch(&self) -> &SharedEpoch {
        &self.epoch
    }

    /// How much there may be.
    pub(super) fn bounds(&self) -> StoreBounds {
        self.bounds
    }

    /// A sync has failed.
    #[cfg(test)]
    pub(super) fn doubt(&self, cause: Cause) {
        self.checkpointer.doubt(cause);
    }

    /// Where the files are.
    pub(super) fn place(&self) -> &SharedPlace {
        &self.place
    }

    /// Everything up to and with the commit. What no longer counts of state topics goes along, so
    /// that there is never much of it however fast they change.
    fn write(
        &mut self,
        make: impl FnOnce(Stage<'_>) -> rusqlite::Result<Staged>,
    ) -> rusqlite::Result<(Staged, Sweep)> {
        let index = self.index.read();
        let transaction = schema::begin(&self.connection)?;
        save_blocks(&transaction, &self.unsaved)?;
        let stage = Stage {
            connection: &transaction,
            index: &index,
            newest: &self.newest,
            passed: &self.passed,
            fences: &mut self.fences,
            keys: &mut self.keys,
            epoch: self.witness.epoch(),
            next: &mut self.next,
            order: None,
            staged: Staged::default(),
        };
        let staged = make(stage)?;
        if !staged.state.deadlines.is_empty() && self.newest.deadlines().is_empty() {
            // While no key had a time nobody wrote it down.
            schema::set_meta(&transaction, schema::PASSED, self.passed.to_text())?;
        }
        save_topics(&transaction, &index.topics, &staged)?;
        let sweep = self.newest.sweep_with(&staged.state);
        state::sweep(&transaction, &self.newest, &sweep)?;
        transaction.commit()?;
        Ok((staged, sweep))
    }

    /// Writes down what is known of the wall clock, where that is new, and how much time has passed,
    /// where keys go by that.
    fn save_clocks(&self, steps: Option<&Steps>) -> rusqlite::Result<()> {
        if let Some(steps) = steps {
            schema::set_meta(&self.connection, "clock", steps.to_text())?;
        }
        if !self.newest.deadlines().is_empty() {
            schema::set_meta(&self.connection, schema::PASSED, self.passed.to_text())?;
        }
        Ok(())
    }

    /// Writes down what full blocks have, so that the next start misses what is gone by then.
    fn save_unsaved(&mut self) -> rusqlite::Result<()> {
        if !self.unsaved.is_empty() {
            let transaction = schema::begin(&self.connection)?;
            save_blocks(&transaction, &self.unsaved)?;
            transaction.commit()?;
            self.unsaved.clear();
        }
        Ok(())
    }

    /// Tells the index of what is durable now.
    fn publish(&mut self, staged: &mut Staged, saved: &[(BlockNumber, Summary)]) {
        let mut index = self.index.write();
        index.blocks.saved(saved);
        for (id, state) in staged.topics.drain(..) {
            index.topics.insert(id, state);
        }
        for mark in &staged.marks {
            self.unsaved.extend(index.add(*mark));
        }
        for (topic, (id, ended)) in staged.ends.drain() {
            index.topics.set_ended(id, ended);
            if ended == Offset::ZERO {
                self.newest.deadlines_mut().go_on(&topic);
            }
        }
        // The newest may be a change of a state topic.
        index.tail = placed::tail(staged).unwrap_or(index.tail);
    }

    /// Runs a transaction whose commit is synced.
    fn synced<T>(
        &self,
        transact: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        if self.log.durability == Durability::Sync {
            return transact(&self.connection);
        }
        self.connection.pragma_update(None, "synchronous", "full")?;
        let result = transact(&self.connection);
        // Where it fails commits are synced that need not be. What was committed is.
        let _ = self.connection.pragma_update(None, "synchronous", "normal");
        result
    }

    fn failed(&self, error: rusqlite::Error) -> Error {
        self.checkpointer.on_error(&error);
        Error::sqlite(&self.log.path, error)
    }

    /// Fails where nothing may be written now.
    fn check(&mut self) -> Result<(), Error> {
        self.checkpointer.check()?;
        let version = schema::data_version(&self.connection).map_err(|error| self.failed(error))?;
        if version == self.data_version {
            return Ok(());
        }
        // Somebody has written, or only checkpointed. Events that are missing are told when they
        // are read; but what is given out must not be there already.
        let is_own = self.is_own().map_err(|error| self.failed(error))?;
        if !is_own {
            return Err(Error::Meddled { path: self.log.path.clone() });
        }
        self.data_version = version;
        Ok(())
    }

    /// Whether the file has this epoch, and no event beyond those that were given out.
    fn is_own(&self) -> rusqlite::Result<bool> {
        let epoch: Option<u32> = schema::meta(&self.connection, "epoch")?;
        let select = "SELECT max(coalesce((SELECT max(offset) FROM events), 0),
                                 coalesce((SELECT max(offset) FROM state), 0))";
        let newest = self.connection.query_row(select, [], |row| row.get(0)).map(from_sql)?;
        Ok(epoch == Some(self.witness.epoch().get()) && newest.get() < self.next)
    }

    /// Something was committed: keeps the write-ahead file in bounds.
    fn after_commit(&mut self) {
        self.checkpointer.on_commit();
        // What was committed is durable; a failure here is met again by whoever writes next.
        let _ = self.checkpointer.shorten(&self.connection, &self.index);
    }

    /// A transaction has failed.
    fn failed_to_write(&mut self, error: rusqlite::Error) -> Error {
        if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            // Then there is room in what no longer counts, however little of it.
            self.newest.choose();
        }
        self.failed(error)
    }

    /// Takes in what was committed.
    fn take(&mut self, mut staged: Staged, sweep: &Sweep) -> Committed {
        self.keys.commit();
        let saved = std::mem::take(&mut self.unsaved);
        self.newest.swept(sweep);
        self.newest.take(std::mem::take(&mut staged.state));
        self.fences.take(std::mem::take(&mut staged.fences));
        self.publish(&mut staged, &saved);
        if self.keys.are_too_many(self.bounds.keys) {
            // Where it fails there are a few too many until the next commit tries again.
            let forgotten =
                self.keys.forget(&self.connection, self.bounds.keys, &Now::before_all());
            let _ = forgotten.map_err(|error| self.failed(error));
        }
        self.after_commit();
        Committed { entries: staged.entries, results: staged.results }
    }
}

impl Store for DiskStore {
    fn commit(&mut self, batches: Vec<Vec<Append>>) -> Result<Committed, Error> {
        self.check()?;
        let bounds = (self.bounds.topics, self.bounds.ended_bytes);
        let written = self.write(|stage| stage.run(batches, bounds));
        let written = written.map_err(|error| self.failed_to_write(error));
        // What was committed into a file that is gone by now must not be acknowledged.
        let written = written.and_then(|written| self.place.check_held().map(|()| written));
        let (staged, sweep) = written.inspect_err(|_| self.keys.roll_back())?;
        if let Some(newest) = staged.entries.last() {
            self.witness.note(newest.offset);
        }
        Ok(self.take(staged, &sweep))
    }

    fn apply(&mut self, group: Vec<Placing>) -> Result<Committed, Error> {
        self.check()?;
        self.place.check_held()?;
        let mut fences_before = FencesBefore::default();
        let mut applying = Applying {
            time: self.time.unwrap_or(Timestamp::MIN),
            records: self.records.get(),
            record_changes: self.witness.record_changes(),
            keys_max: self.bounds.keys,
            fences_before: &mut fences_before,
        };
        let written = self.write(|stage| {
            let connection = stage.connection;
            let staged = stage.apply(group, &mut applying)?;
            Applied { tail: staged.applied, time: applying.time }.save(connection)?;
            Ok(staged)
        });
        let Applying { time, records, record_changes, .. } = applying;
        let (staged, sweep) = match written {
            Ok(written) => written,
            Err(error) => {
                self.keys.roll_back();
                self.fences.undo(fences_before);
                return Err(self.failed_to_write(error));
            }
        };
        // What comes into a file that is gone by now is there all the same: the order has it.
        self.time = Some(time);
        self.records.set(records);
        self.witness.note_applied(staged.applied, record_changes);
        Ok(self.take(staged, &sweep))
    }

    fn begin_anew(&mut self, epoch: Epoch, base: Offset) -> Result<(), Error> {
        self.check()?;
        // Whoever is killed once the epoch is new must not seem to have another one's witness.
        self.witness.withdraw()?;
        let index = Arc::clone(&self.index);
        // Under the lock: no reader may see the one without the other.
        let mut index = index.write();
        let begun = self.synced(|connection| {
            let transaction = schema::begin(connection)?;
            schema::begin_anew(&transaction, (epoch, base))?;
            transaction.commit()
        });
        begun.map_err(|error| {
            self.witness.restore();
            self.failed(error)
        })?;
        index.forget_all(base);
        self.epoch.set(epoch);
        drop(index);
        self.newest = Newest::new(base);
        self.fences = Fences::with_bytes_max(self.bounds.producers_bytes);
        self.keys.forget_all();
        self.unsaved.clear();
        self.steps = Steps::since(None, base);
        self.records.set(RecordTally::default());
        self.time = Some(Timestamp::MIN);
        self.next = base.get() + 1;
        self.witness.begin_anew(epoch, base);
        self.after_commit();
        Ok(())
    }

    fn enter_epoch(
        &mut self,
        epoch: Epoch,
        base: Offset,
        records: RecordChanges,
    ) -> Result<(), Error> {
        self.check()?;
        // Whoever is killed once the epoch is new must not seem to have another one's witness.
        self.witness.withdraw()?;
        let index = Arc::clone(&self.index);
        // Under the lock: no reader may see the one without the other.
        let mut index = index.write();
        let applied =
            Applied { tail: index.tail.max(base), time: self.time.unwrap_or(Timestamp::MIN) };
        let entered = self.synced(|connection| {
            placed::enter_epoch(connection, (epoch, applied), (&records, self.records.get()))
        });
        let written = entered.map_err(|error| {
            self.witness.restore();
            self.failed(error)
        })?;
        index.tail = applied.tail;
        self.epoch.set(epoch);
        drop(index);
        self.records.set(written.tally);
        self.next = self.next.max(applied.tail.get() + 1);
        self.witness.enter_epoch(epoch, applied.tail, written.changes);
        self.after_commit();
        Ok(())
    }

    fn tail(&self) -> Offset {
        self.index.bounds().tail
    }

    fn epoch(&self) -> Epoch {
        self.witness.epoch()
    }

    fn write_records(&mut self, changes: RecordChanges) -> Result<(), Error> {
        self.check()?;
        let before = self.records.get();
        let written = self.synced(|connection| {
            records::write(connection, &changes, before, |tally| tally.check(before))
        });
        let written = written.map_err(|error| self.failed(error))??;
        // They are changed, whatever is told.
        self.records.set(written.tally);
        self.place.check_held()?;
        self.witness.note_records(written.changes);
        self.after_commit();
        Ok(())
    }

    fn look_at_clocks(&mut self, reading: ClockReading) -> Option<ClockStep> {
        let (seen_tail, tail) = (self.steps.seen_tail(), self.index.read().tail);
        let step = self.steps.look(reading, tail);
        self.passed.look(reading, step);
        if self.check().is_ok() {
            // What is not stored makes events and keys younger at the next start, and none older.
            let steps = (step.is_some() || seen_tail != tail).then_some(&self.steps);
            let _ = self.save_clocks(steps).map_err(|error| self.failed(error));
        }
        step
    }

    fn trim(&mut self, from: Offset, now: Timestamp) -> Result<Option<Offset>, Error> {
        self.check()?;
        let now = self.steps.now(now);
        let mut swept = Swept {
            connection: &self.connection,
            index: &self.index,
            keys: &mut self.keys,
            unsaved: &mut self.unsaved,
            bounds: self.bounds,
        };
        let next = sweep::step(&mut swept, from, &now).map_err(|error| self.failed(error))?;
        let next = if next.is_some() {
            next
        } else {
            // The streams are done: now the state topics, then the producers.
            let looks = RETENTION_STEP_LOOKS_MAX;
            let swept = state::step(&self.connection, &mut self.newest, looks);
            let mut has_more = swept.map_err(|error| self.failed(error))?;
            // A replica forgets producers as its order says.
            if !has_more && self.time.is_none() {
                let idle = fences::step(&self.connection, &mut self.fences, (&now, looks));
                has_more = idle.map_err(|error| self.failed(error))?;
            }
            has_more.then_some(Offset::MAX)
        };
        self.after_commit();
        Ok(next)
    }

    fn due(&mut self, now: Duration, count_max: usize) -> Result<Vec<DueValue>, Error> {
        let now = self.passed.at(now);
        let due = state::due(&self.connection, &mut self.newest, (now, count_max));
        let mut due = due.map_err(|error| self.failed(error))?;
        let index = self.index.read();
        due.retain(|DueValue { value, topic, .. }| {
            let has_ended = index.topics.of(topic).ended > Offset::ZERO;
            if has_ended {
                self.newest.deadlines_mut().rest(*value, topic);
            }
            !has_ended
        });
        Ok(due)
    }

    fn next_due(&self, behind: usize) -> Option<Duration> {
        self.newest.deadlines().behind(behind).map(|at| self.passed.uptime_at(at))
    }

    fn look(&mut self) -> Result<(), Error> {
        self.place.check()?;
        self.check()
    }

    fn probe(&mut self) -> Result<(), Error> {
        self.look()?;
        let probed = self.synced(|connection| schema::set_meta(connection, "probe", 0));
        probed.map_err(|error| self.failed(error))
    }

    fn close(&mut self) -> Result<(), Error> {
        // Else a sync that it needs could fail unseen after the check.
        self.checkpointer.stop(&self.connection);
        self.check()?;
        self.place.check()?;
        self.save_unsaved().map_err(|error| self.failed(error))?;
        let index = self.index.read();
        let ended = schema::end_run(&self.connection, index.blocks.open());
        drop(index);
        ended.map_err(|error| self.failed(error))?;
        self.witness.close()?;
        schema::tidy_on_close(&self.connection).map_err(|error| self.failed(error))
    }
}
