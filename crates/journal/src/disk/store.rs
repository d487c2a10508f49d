//! The writer's side of the file: what happens on the journal's writer thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwire_model::limits::{IDEMPOTENCY_KEYS_MAX, TOPICS_MAX};
use bellwire_model::{Entry, Epoch, Offset, Timestamp, Topic};
use bytes::Bytes;
use rusqlite::{CachedStatement, Connection, Statement};
use rustc_hash::FxHashMap;

use super::blocks::{BlockNumber, Mark, Summary};
use super::checkpointer::Checkpointer;
use super::index::{Index, IndexLock, SharedIndex};
use super::keys::Keys;
use super::place::{Place, SharedPlace};
use super::present::Bits;
use super::schema::{self, Format, from_sql, to_sql};
use super::witness::{State, Testimony, Witness};
use super::{DiskOptions, Durability, load, records, sums, sweep, witness};
use crate::records::{RecordChanges, RecordTally};
use crate::retention::Retention;
use crate::steps::{Boot, Now, Steps};
use crate::topics::{self, TopicId, TopicState};
use crate::writer::{Committed, Store};
use crate::{Append, Appended, ClockReading, ClockStep, Error};

// Kinds of body in the table `events`.
pub(super) const NO_BODY: i64 = 0;
pub(super) const JSON: i64 = 1;
pub(super) const TEXT: i64 = 2;
pub(super) const BINARY: i64 = 3;

pub(super) const INSERT: &str =
    "INSERT INTO events (offset, topic, key, type, time, kind, content_type, data, checksum)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// How much there may be; tests lower it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreBounds {
    /// Topics with a row of their own.
    pub(crate) topics: usize,
    /// Idempotency keys.
    pub(crate) keys: usize,
    /// Pages of the file, where the disk shall seem full beyond them.
    pub(crate) pages: Option<u32>,
}

impl StoreBounds {
    #[cfg(test)]
    fn of(options: &DiskOptions) -> Self {
        options.bounds
    }

    #[cfg(not(test))]
    fn of(_: &DiskOptions) -> Self {
        Self::default()
    }
}

impl Default for StoreBounds {
    fn default() -> Self {
        Self { topics: TOPICS_MAX, keys: IDEMPOTENCY_KEYS_MAX, pages: None }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct DiskStore {
    pub(super) connection: Connection,
    pub(super) index: SharedIndex,
    pub(super) keys: Keys,
    /// Full blocks that are not in their table yet; they ride the next transaction.
    pub(super) unsaved: Vec<(BlockNumber, Summary)>,
    pub(super) bounds: StoreBounds,
    steps: Steps,
    log: FileState,
    records: RecordTally,
    checkpointer: Checkpointer,
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
    loaded: (Index, Vec<(BlockNumber, Summary)>),
    boot: Boot,
    place: SharedPlace,
}

impl DiskStore {
    /// Opens the file and loads what memory keeps of it.
    pub(super) fn open(file: &Path, options: DiskOptions) -> Result<(Self, Epoch), Error> {
        let testimony = witness::before_opening(file)?;
        let (connection, format) = schema::open_to_write(file)?;
        let fail = |error| Error::sqlite(file, error);
        if format == Format::Known && testimony.is_none() {
            let what = format!("has lost its witness, `{}`", witness::FILE).into();
            return Err(Error::Less { path: file.to_owned(), what });
        }
        schema::check_tables(&connection).map_err(fail)?;
        let retention = Retention::new(options.retention.clone());
        let loaded = load::index(&connection, retention).map_err(fail)?;
        let ended = schema::last_run(&connection, &options).map_err(fail)?;
        if let Some(testimony) = testimony
            && !ended.may_have_lost
        {
            testimony.check(file, ended.epoch, loaded.0.tail)?;
        }
        let epoch = schema::begin_run(&connection, &options, ended).map_err(fail)?;
        let testimony = Testimony { state: State::Running, epoch, tail: loaded.0.tail };
        let witness = Witness::begin(file.parent().unwrap_or(file), testimony)?;
        let opened =
            Opened { connection, loaded, boot: ended.boot, place: Place::of(file)?.into() };
        let store = Self::load(opened, witness, file, &options).map_err(fail)?;
        Ok((store, epoch))
    }

    fn load(
        opened: Opened,
        witness: Witness,
        file: &Path,
        options: &DiskOptions,
    ) -> rusqlite::Result<Self> {
        let Opened { connection, loaded: (index, unsaved), boot, place } = opened;
        let bounds = StoreBounds::of(options);
        let mut keys = Keys::load(&connection)?;
        let steps = load::steps(&connection, (options.now, boot), index.tail)?;
        let now = steps.now(options.now.wall);
        while keys.forget(&connection, bounds.keys, &now)? {}
        if options.durability == Durability::Interval {
            connection.pragma_update(None, "synchronous", "normal")?;
        }
        if let Some(pages) = bounds.pages {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
        let records = records::tally(&connection)?;
        let checkpointer =
            Checkpointer::spawn(file.to_owned(), Arc::clone(&place), options.durability)?;
        let data_version = schema::data_version(&connection)?;
        Ok(Self {
            next: index.tail.get() + 1,
            index: Arc::new(IndexLock::new(index)),
            keys,
            unsaved,
            bounds,
            steps,
            records,
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

    /// Where the files are.
    pub(super) fn place(&self) -> &SharedPlace {
        &self.place
    }

    /// Everything up to and with the commit.
    fn write(&mut self, batches: Vec<Vec<Append>>) -> rusqlite::Result<Staged> {
        let index = self.index.read();
        let transaction = schema::begin(&self.connection)?;
        save_blocks(&transaction, &self.unsaved)?;
        let stage = Stage {
            insert: transaction.prepare_cached(INSERT)?,
            connection: &transaction,
            index: &index,
            keys: &mut self.keys,
            next: &mut self.next,
            staged: Staged::default(),
        };
        let staged = stage.run(batches, self.bounds.topics)?;
        save_topics(&transaction, &staged)?;
        transaction.commit()?;
        Ok(staged)
    }

    /// Tells the index of what is durable now. Returns its bytes.
    fn publish(&mut self, staged: &mut Staged) -> usize {
        let mut index = self.index.write();
        for (id, state) in staged.topics.drain(..) {
            index.topics.insert(id, state);
        }
        let mut bytes = 0;
        for mark in &staged.marks {
            bytes += mark.bytes as usize;
            self.unsaved.extend(index.add(*mark));
        }
        bytes
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
        self.connection.pragma_update(None, "synchronous", "normal")?;
        result
    }

    fn failed(&self, error: rusqlite::Error) -> Error {
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
        let select = "SELECT coalesce(max(offset), 0) FROM events";
        let newest = self.connection.query_row(select, [], |row| row.get(0)).map(from_sql)?;
        Ok(epoch == Some(self.witness.epoch().get()) && newest.get() < self.next)
    }

    /// About `bytes` were committed: keeps the write-ahead file in bounds.
    fn after_commit(&mut self, bytes: usize) {
        self.checkpointer.on_commit(bytes);
        // What was committed is durable; a failure here is met again by whoever writes next.
        let _ = self.checkpointer.shorten(&self.connection, &self.index);
    }
}

impl Store for DiskStore {
    fn commit(&mut self, batches: Vec<Vec<Append>>) -> Result<Committed, Error> {
        self.check()?;
        let written = self.write(batches).map_err(|error| self.failed(error));
        // What was committed into a file that is gone by now must not be acknowledged.
        let written = written.and_then(|staged| self.place.check_held().map(|()| staged));
        let mut staged = written.inspect_err(|_| self.keys.roll_back())?;
        if let Some(newest) = staged.entries.last() {
            self.witness.note(newest.offset);
        }
        self.keys.commit();
        self.unsaved.clear();
        let bytes = self.publish(&mut staged);
        self.after_commit(bytes);
        if self.keys.len() > self.bounds.keys {
            // Where it fails there are a few too many until the next commit tries again.
            let _ = self.keys.forget(&self.connection, self.bounds.keys, &Now::before_all());
        }
        Ok(Committed { entries: staged.entries, results: staged.results })
    }

    fn write_records(&mut self, changes: RecordChanges) -> Result<(), Error> {
        self.check()?;
        let before = self.records;
        let written = self.synced(|connection| {
            records::write(connection, &changes, before, |tally| tally.check(before))
        });
        let written = written.map_err(|error| self.failed(error))??;
        self.place.check_held()?;
        self.records = written;
        let value_bytes = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        let bytes = changes.iter().map(|(key, value)| key.len() + value_bytes(value)).sum();
        self.after_commit(bytes);
        Ok(())
    }

    fn look_at_clocks(&mut self, reading: ClockReading) -> Option<ClockStep> {
        let (seen_tail, tail) = (self.steps.seen_tail(), self.index.read().tail);
        let step = self.steps.look(reading, tail);
        if self.check().is_ok() && (step.is_some() || seen_tail != tail) {
            // What is not stored makes events younger at the next start, and none older.
            let _ = schema::set_meta(&self.connection, "clock", self.steps.to_text());
        }
        step
    }

    fn trim(&mut self, from: Offset, now: Timestamp) -> Result<Option<Offset>, Error> {
        self.check()?;
        let now = self.steps.now(now);
        let step = sweep::step(self, from, &now).map_err(|error| self.failed(error))?;
        self.after_commit(step.bytes);
        Ok(step.next)
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
        self.check()?;
        self.place.check()?;
        let open = self.index.read().blocks.open();
        schema::end_run(&self.connection, open).map_err(|error| self.failed(error))?;
        self.witness.close()
    }
}

/// What a transaction has written, to be made visible after its commit.
#[derive(Debug, Default)]
struct Staged {
    entries: Vec<Entry>,
    marks: Vec<Mark>,
    results: Vec<Result<Vec<Appended>, Error>>,
    /// New topics, and by name.
    topics: Vec<(TopicId, TopicState)>,
    ids: FxHashMap<Topic, TopicId>,
}

/// A transaction under way.
struct Stage<'a> {
    insert: CachedStatement<'a>,
    connection: &'a Connection,
    index: &'a Index,
    keys: &'a mut Keys,
    next: &'a mut u64,
    staged: Staged,
}

impl Stage<'_> {
    /// Writes the batches' events.
    fn run(mut self, batches: Vec<Vec<Append>>, topics_max: usize) -> rusqlite::Result<Staged> {
        for batch in batches {
            let has_room = topics::has_room(&batch, self.topics_with(&batch), topics_max);
            let appended =
                if has_room { Ok(self.append(batch)?) } else { Err(Error::TooManyTopics) };
            self.staged.results.push(appended);
        }
        Ok(self.staged)
    }

    /// How many topics `batch` brings, or more where it repeats new ones, and how many there are.
    fn topics_with(&self, batch: &[Append]) -> (usize, usize) {
        let is_new = |topic: &Topic| {
            self.index.topics.id(topic).is_none() && !self.staged.ids.contains_key(topic)
        };
        let new = batch.iter().filter(|append| is_new(&append.event.topic)).count();
        (new, self.index.topics.len() + self.staged.topics.len())
    }

    fn append(&mut self, batch: Vec<Append>) -> rusqlite::Result<Vec<Appended>> {
        batch.into_iter().map(|append| self.append_one(append)).collect()
    }

    fn append_one(&mut self, append: Append) -> rusqlite::Result<Appended> {
        let Append { event, idempotency_key } = append;
        if let Some(key) = &idempotency_key
            && let Some(offset) = self.keys.find(self.connection, &event, key)?
        {
            return Ok(Appended { offset, duplicate: true });
        }
        let offset = Offset::new(*self.next);
        *self.next += 1;
        let topic = self.intern(&event.topic);
        let (bytes, time) = (event.size_bytes() as u64, event.time);
        let entry = Entry { offset, event };
        insert_event(&mut self.insert, topic, &entry)?;
        if let Some(key) = idempotency_key {
            self.keys.remember(self.connection, &key, &entry)?;
        }
        self.staged.marks.push(Mark { offset, topic, bytes, time });
        self.staged.entries.push(entry);
        Ok(Appended { offset, duplicate: false })
    }

    fn intern(&mut self, topic: &Topic) -> TopicId {
        let known = self.index.topics.id(topic).or_else(|| self.staged.ids.get(topic).copied());
        known.unwrap_or_else(|| {
            let id = TopicId(self.index.topics.next_id().0 + self.staged.topics.len() as u32);
            let rule = self.index.retention.rule_of(topic);
            self.staged.topics.push((id, TopicState::new(topic.clone(), rule)));
            self.staged.ids.insert(topic.clone(), id);
            id
        })
    }
}

/// Writes an event's row with the statement of [`INSERT`].
pub(super) fn insert_event(
    insert: &mut Statement<'_>,
    topic: TopicId,
    entry: &Entry,
) -> rusqlite::Result<()> {
    let Entry { offset, event } = entry;
    let (kind, content_type) = sums::kind(event);
    let data = event.body.as_ref().map(|body| &**body.bytes());
    let (key, event_type) = (event.key.as_deref(), event.event_type.as_deref());
    let (time, sum) = (event.time.as_ms(), sums::of_event(*offset, event));
    let row = (to_sql(*offset), topic.0, key, event_type, time, kind, content_type, data, sum);
    insert.execute(row).map(drop)
}

/// Writes a topic's row.
pub(super) fn insert_topic(
    connection: &Connection,
    id: TopicId,
    (name, trimmed): (&str, Offset),
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO topics (id, name, trimmed, checksum) VALUES (?1, ?2, ?3, ?4)";
    let row = (id.0, name, to_sql(trimmed), sums::of_topic(id, name, trimmed));
    connection.prepare_cached(sql)?.execute(row).map(drop)
}

fn save_topics(connection: &Connection, staged: &Staged) -> rusqlite::Result<()> {
    for (id, state) in &staged.topics {
        insert_topic(connection, *id, (state.topic.as_str(), Offset::ZERO))?;
    }
    Ok(())
}

/// Writes the summaries of blocks into their table.
pub(super) fn save_blocks(
    connection: &Connection,
    blocks: &[(BlockNumber, Summary)],
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO blocks (block, topic, events, bytes, last, oldest, checksum)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let mut insert = connection.prepare_cached(sql)?;
    let sql = "INSERT INTO holes (block, present) VALUES (?1, ?2)";
    let mut insert_holes = connection.prepare_cached(sql)?;
    for (number, summary) in blocks {
        if !summary.is_empty() && summary.present() != Bits::ALL {
            insert_holes.execute((number.0 as i64, &summary.present().to_bytes()[..]))?;
        }
        for (topic, tally) in summary.sorted() {
            let (events, bytes) = (tally.events as i64, tally.bytes as i64);
            let (last, oldest) = (to_sql(tally.last), tally.oldest.as_ms());
            let numbers = [number.0 as i64, topic.0.into(), events, bytes, last, oldest];
            let sum = sums::of_row(&numbers, &[]);
            insert.execute((number.0 as i64, topic.0, events, bytes, last, oldest, sum))?;
        }
    }
    Ok(())
}
