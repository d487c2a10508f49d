//! Repair: what is whole of a damaged journal goes into a new one, behind a new epoch.
//!
//! It works on a copy, so that the damaged files stay as they are until the new ones take their
//! place; then they are in a folder beside them. Whoever had a cursor gets a gap.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bellwire_model::{Entry, Epoch, Offset, Timestamp, Topic};
use rusqlite::{Connection, Row};
use rustc_hash::FxHashMap;

use super::blocks::{BlockNumber, Mark, Summary};
use super::lock::Lock;
use super::place::beside;
use super::reader::{self, event, is_whole};
use super::rows::{EventRows, insert_topic, save_blocks};
use super::schema::{self, damaged, from_sql, to_sql};
use super::sums::EventSums;
use super::walk::{Found, Walk};
use super::witness::{self, State, Testimony, Witness};
use super::{keys, load, records};
use crate::retention::Retention;
use crate::steps::Steps;
use crate::topics::TopicId;
use crate::{Error, Record};

/// Ranges that are told one by one.
const RANGES_MAX: usize = 100;

/// What became of a journal that was repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Events that were whole, and are kept.
    pub events: u64,
    /// Events that were damaged or are missing, as far as the file still told.
    pub events_lost: u64,
    /// From which to which offset something could not be read, at most a hundred of these.
    pub unreadable: Vec<(Offset, Offset)>,
    /// Topics that are kept.
    pub topics: u64,
    /// Records that are kept: silences, acknowledgements, posted alerts.
    pub records: u64,
    /// Transactions that changed records and are lost.
    pub record_changes_lost: u64,
    /// Records that were damaged, as far as they could be counted.
    pub records_lost: u64,
    /// Whether the witness could tell how much there has to be. Where it is missing or damaged
    /// itself, more may be lost than is said.
    pub is_witnessed: bool,
    /// Idempotency keys that are kept.
    pub keys: u64,
    /// The epoch that begins.
    pub epoch: Epoch,
    /// Where the damaged files are.
    pub damaged_files: PathBuf,
}

/// Repairs the journal in a data directory that no server uses. `fresh_epoch` is a random number.
pub fn repair(directory: &Path, fresh_epoch: Epoch) -> Result<Repaired, Error> {
    let file = directory.join(schema::FILE);
    let wal = beside(&file, "-wal");
    if ![&file, &wal, &directory.join(witness::FILE)].into_iter().any(|path| path.exists()) {
        return Err(Error::open(&file, io::ErrorKind::NotFound.into()));
    }
    let _lock = Lock::take(directory)?;
    let scratch = directory.join("repair.tmp");
    let repaired = repair_in(&scratch, directory, fresh_epoch);
    // Where it stays, the next repair removes it.
    let _ = fs::remove_dir_all(&scratch);
    repaired
}

fn repair_in(scratch: &Path, directory: &Path, fresh_epoch: Epoch) -> Result<Repaired, Error> {
    let fail = |error: io::Error| Error::open(scratch, error);
    let file = directory.join(schema::FILE);
    let (old, new) = (scratch.join("old"), scratch.join("new"));
    if scratch.exists() {
        fs::remove_dir_all(scratch).map_err(fail)?;
    }
    fs::create_dir_all(&old).and_then(|()| fs::create_dir(&new)).map_err(fail)?;
    for (from, name) in [(file.clone(), ""), (beside(&file, "-wal"), "-wal")] {
        if from.exists() {
            fs::copy(&from, beside(&old.join(schema::FILE), name)).map_err(fail)?;
        }
    }
    let testimony = witness::read(directory).ok().flatten();
    let source = match schema::open_to_write(&old.join(schema::FILE)) {
        Ok(source) => Some(source),
        // That one is whole, and for somebody else to read.
        Err(Error::Format { found, known, .. }) => {
            return Err(Error::Format { path: file, found, known });
        }
        Err(Error::Foreign { .. }) if testimony.is_none() => {
            return Err(Error::Foreign { path: file });
        }
        // What cannot even be opened has nothing to give.
        Err(_) => None,
    };
    let target = new.join(schema::FILE);
    let connection = schema::open_to_write(&target)?;
    let failed = |error| Error::sqlite(&target, error);
    schema::write_carelessly(&connection).map_err(failed)?;
    let mut salvage = Salvage { target: &connection, topics: FxHashMap::default(), testimony };
    let (mut repaired, tail) = salvage.run(source.as_ref(), fresh_epoch).map_err(failed)?;
    schema::use_write_ahead_file(&connection).map_err(failed)?;
    drop(connection);
    let closed = Testimony { state: State::Closed, epoch: repaired.epoch, tail, record_changes: 0 };
    drop(Witness::begin(&new, closed)?);
    repaired.damaged_files = swap(directory, &new).map_err(fail)?;
    Ok(repaired)
}

/// Puts the new files in the place of the damaged ones. Wherever it is cut off, a server refuses
/// what it finds.
fn swap(directory: &Path, new: &Path) -> io::Result<PathBuf> {
    let free = |number: &u32| !directory.join(format!("damaged-{number}")).exists();
    let number = (1..=u32::MAX).find(free).unwrap_or(u32::MAX);
    let kept = directory.join(format!("damaged-{number}"));
    fs::create_dir(&kept)?;
    let file = directory.join(schema::FILE);
    for name in [schema::FILE, witness::FILE] {
        if directory.join(name).exists() {
            // Not every file system has links.
            let (from, to) = (directory.join(name), kept.join(name));
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop))?;
        }
    }
    for suffix in ["-wal", "-shm"] {
        if beside(&file, suffix).exists() {
            fs::rename(beside(&file, suffix), beside(&kept.join(schema::FILE), suffix))?;
        }
    }
    File::open(new.join(schema::FILE))?.sync_all()?;
    for name in [witness::FILE, schema::FILE] {
        fs::rename(new.join(name), directory.join(name))?;
    }
    File::open(directory)?.sync_all()?;
    Ok(kept)
}

struct Salvage<'a> {
    target: &'a Connection,
    topics: FxHashMap<TopicId, (Topic, Offset)>,
    testimony: Option<Testimony>,
}

impl Salvage<'_> {
    fn run(
        &mut self,
        source: Option<&Connection>,
        fresh: Epoch,
    ) -> rusqlite::Result<(Repaired, Offset)> {
        let mut repaired = Repaired {
            events: 0,
            events_lost: 0,
            unreadable: Vec::new(),
            topics: 0,
            records: 0,
            records_lost: 0,
            is_witnessed: self.testimony.is_some(),
            record_changes_lost: self.testimony.map_or(0, |testimony| testimony.record_changes),
            keys: 0,
            epoch: fresh,
            damaged_files: PathBuf::new(),
        };
        let mut before = self.testimony.map(|testimony| testimony.epoch);
        if let Some(source) = source {
            before = schema::meta(source, "epoch").ok().flatten().map(Epoch::new).or(before);
            self.topics(source)?;
            self.events(source, &mut repaired)?;
            let forgotten: i64 = schema::meta(source, "forgotten").ok().flatten().unwrap_or(0);
            schema::set_meta(self.target, "forgotten", forgotten)?;
            self.keys(source, &mut repaired)?;
            self.records(source, &mut repaired)?;
            let changes = schema::record_changes(source).unwrap_or_default();
            repaired.record_changes_lost = repaired.record_changes_lost.saturating_sub(changes);
            self.clock(source)?;
        }
        repaired.topics = self.topics.len() as u64;
        let (index, unsaved) = load::index(self.target, Retention::new(Vec::new()))?;
        save_blocks(self.target, &unsaved)?;
        let acknowledged = self.testimony.map_or(Offset::ZERO, |testimony| testimony.tail);
        if acknowledged > index.tail {
            let first = Offset::new(index.tail.get() + 1);
            repaired.events_lost += acknowledged.get() - index.tail.get();
            tell(&mut repaired, first, acknowledged);
        }
        let is_old = before == Some(fresh);
        repaired.epoch = if is_old { Epoch::new(fresh.get().wrapping_add(1)) } else { fresh };
        schema::set_meta(self.target, "epoch", repaired.epoch.get())?;
        schema::set_meta(self.target, "clean", true)?;
        Ok((repaired, index.tail))
    }

    /// The newest offset that the witness tells.
    fn acknowledged(&self) -> i64 {
        self.testimony.map_or(0, |testimony| to_sql(testimony.tail))
    }

    fn topics(&mut self, source: &Connection) -> rusqlite::Result<()> {
        let walk = Walk {
            select: "SELECT id, name, trimmed, checksum FROM topics
                     WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
            number: 0,
            last: last(source, ("topics", "id"), i64::from(u32::MAX >> 12)),
        };
        let transaction = schema::begin(self.target)?;
        walk.run(source, &mut |found| {
            // Of what is no topic the events say more.
            if let Found::Row(row) = found
                && let Ok((id, topic, trimmed)) = load::topic(row)
            {
                insert_topic(&transaction, id, (topic.as_str(), trimmed))?;
                self.topics.insert(id, (topic, trimmed));
            }
            Ok(())
        })?;
        transaction.commit()
    }

    fn events(&self, source: &Connection, repaired: &mut Repaired) -> rusqlite::Result<()> {
        let walk = Walk {
            select: reader::SELECT,
            number: reader::OFFSET,
            last: last(source, ("events", "offset"), self.acknowledged()),
        };
        let blocks = "SELECT coalesce(sum(events), 0), coalesce(max(block), -1) + 1 FROM blocks";
        let counted = source.query_row(blocks, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let (expected, following): (i64, i64) = counted.unwrap_or_default();
        let (mut in_blocks, mut after_blocks) = (0, 0);
        let mut blocks = OpenBlock::default();
        let transaction = schema::begin(self.target)?;
        let mut rows = EventRows::new(&transaction)?;
        walk.run(source, &mut |found| {
            let is_in_blocks = |offset| BlockNumber::of(offset).0 < following.unsigned_abs();
            let row = match found {
                Found::Row(row) => row,
                Found::Damage { first, last } => {
                    tell(repaired, from_sql(first), from_sql(last));
                    return Ok(());
                }
            };
            if let Ok(entry) = self.entry(row) {
                let topic = TopicId(row.get(reader::TOPIC)?);
                rows.insert(topic, &entry)?;
                blocks.add(&transaction, topic, &entry)?;
                in_blocks += i64::from(is_in_blocks(entry.offset));
                repaired.events += 1;
            } else {
                let offset = from_sql(row.get(reader::OFFSET)?);
                after_blocks += u64::from(!is_in_blocks(offset));
                tell(repaired, offset, offset);
            }
            Ok(())
        })?;
        drop(rows);
        repaired.events_lost = (expected - in_blocks).max(0).unsigned_abs() + after_blocks;
        transaction.commit()
    }

    fn entry(&self, row: &Row<'_>) -> rusqlite::Result<Entry> {
        let (topic, _) = self
            .topics
            .get(&TopicId(row.get(reader::TOPIC)?))
            .ok_or_else(|| damaged("an event of an unknown topic"))?;
        let (event, kind) = event(row, topic.clone())?;
        let offset = from_sql(row.get(reader::OFFSET)?);
        if !is_whole(kind, &event, |event| EventSums::new(&event.topic).kind_of(offset, event)) {
            return Err(damaged("an event is not what was written"));
        }
        Ok(Entry { offset, event })
    }

    fn keys(&self, source: &Connection, repaired: &mut Repaired) -> rusqlite::Result<()> {
        let forgotten: i64 = schema::meta(self.target, "forgotten")?.unwrap_or(0);
        let trimmed: FxHashMap<&str, Offset> =
            self.topics.values().map(|(topic, trimmed)| (topic.as_str(), *trimmed)).collect();
        let removed = |topic: &str| trimmed.get(topic).copied().unwrap_or(from_sql(forgotten));
        let walk = Walk {
            select: "SELECT offset, topic, key, time, checksum FROM idempotency
                     WHERE offset BETWEEN ?1 AND ?2 ORDER BY offset",
            number: 0,
            last: last(source, ("idempotency", "offset"), self.acknowledged()),
        };
        let transaction = schema::begin(self.target)?;
        walk.run(source, &mut |found| {
            // That of a lost event would say that it is there, and stand in the way of the next one
            // at its offset.
            if let Found::Row(row) = found
                && let Ok((offset, topic, key, time)) = keys::row(row)
                && (offset <= removed(topic) || has_event(&transaction, offset)?)
            {
                keys::insert(&transaction, (offset, Timestamp::from_ms(time)), (topic, key))?;
                repaired.keys += 1;
            }
            Ok(())
        })?;
        transaction.commit()
    }

    /// Steps of the clock, without which events may seem older than they are.
    fn clock(&self, source: &Connection) -> rusqlite::Result<()> {
        let text = |name| schema::meta::<String>(source, name).ok().flatten();
        if let Some(clock) = text("clock").filter(|clock| Steps::from_text(clock).is_some()) {
            schema::set_meta(self.target, "clock", clock)?;
            schema::set_meta(self.target, "boot_id", text("boot_id").unwrap_or_default())?;
        }
        Ok(())
    }

    /// From both ends, since what lies behind damage cannot be had by its key.
    fn records(&self, source: &Connection, repaired: &mut Repaired) -> rusqlite::Result<()> {
        let mut kept = FxHashMap::default();
        let mut ends = 0;
        for order in ["ASC", "DESC"] {
            let sql = format!("SELECT key, value, checksum FROM records ORDER BY key {order}");
            let Ok(mut select) = source.prepare(&sql) else { continue };
            let mut rows = select.query([])?;
            let mut lost = 0;
            loop {
                match rows.next().map(|row| row.map(records::row)) {
                    Ok(Some(Ok(Record { key, value }))) => drop(kept.insert(key, value)),
                    Ok(Some(Err(_))) => lost += 1,
                    Ok(None) => {
                        ends += 1;
                        break;
                    }
                    Err(_) => break,
                }
            }
            repaired.records_lost = repaired.records_lost.max(lost);
        }
        if ends == 0 {
            // How many there are between the two ends nobody knows.
            repaired.records_lost = repaired.records_lost.max(1);
        }
        let transaction = schema::begin(self.target)?;
        for (key, value) in &kept {
            records::insert(&transaction, key, value)?;
        }
        repaired.records = kept.len() as u64;
        transaction.commit()
    }
}

fn has_event(connection: &Connection, offset: Offset) -> rusqlite::Result<bool> {
    let select = "SELECT 1 FROM events WHERE offset = ?1";
    connection.prepare_cached(select)?.exists([to_sql(offset)])
}

/// The block that the next event may belong to.
#[derive(Default)]
struct OpenBlock(Option<(BlockNumber, Summary)>);

impl OpenBlock {
    /// Counts an event in, and saves the block before it when that is full.
    fn add(&mut self, target: &Connection, topic: TopicId, entry: &Entry) -> rusqlite::Result<()> {
        let Entry { offset, event } = entry;
        let number = BlockNumber::of(*offset);
        if let Some(full) = self.0.take_if(|(open, _)| *open != number) {
            save_blocks(target, &[full])?;
        }
        let (_, summary) = self.0.get_or_insert_with(|| (number, Summary::default()));
        let bytes = event.size_bytes() as u64;
        summary.add(Mark { offset: *offset, topic, bytes, time: event.time });
        Ok(())
    }
}

/// The last number of a table's rows. In a table that hangs together it is the one that is found;
/// elsewhere there may be some up to `otherwise`, which are then looked for one by one.
fn last(source: &Connection, (table, column): (&str, &str), otherwise: i64) -> i64 {
    let newest = format!("SELECT max({column}) FROM {table}");
    let newest = source.query_row(&newest, [], |row| row.get::<_, Option<i64>>(0));
    match newest {
        Ok(newest) if schema::is_sound(source, table) => newest.unwrap_or(-1),
        newest => newest.ok().flatten().unwrap_or(0).max(otherwise),
    }
}

fn tell(repaired: &mut Repaired, first: Offset, last: Offset) {
    let ranges = repaired.unreadable.len();
    match repaired.unreadable.last_mut() {
        Some((_, end)) if end.get() + 1 >= first.get() => *end = last.max(*end),
        _ if ranges < RANGES_MAX => repaired.unreadable.push((first, last)),
        _ => {}
    }
}
