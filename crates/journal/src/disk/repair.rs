//! Repair: what is whole of a damaged journal goes into a new one, behind a new epoch.
//!
//! It works on a copy, so that the damaged files stay as they are until the new ones take their
//! place; then they are in a folder beside them. Whoever had a cursor gets a gap.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bellwire_model::{Entry, Epoch, Offset, Timestamp, Topic};
use rusqlite::{Connection, OptionalExtension, Row};
use rustc_hash::FxHashMap;

use super::blocks::BlockNumber;
use super::lock::Lock;
use super::place::beside;
use super::reader::{self, event, is_damage, is_whole};
use super::rows::{EventRows, insert_topic, save_blocks};
use super::schema::{self, damaged, from_sql};
use super::sums::EventSums;
use super::witness::{self, State, Testimony, Witness};
use super::{keys, load, records};
use crate::retention::Retention;
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
    /// Records that were damaged.
    pub records_lost: u64,
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
    let fail = |error: io::Error| Error::open(&scratch, error);
    let (old, new) = (scratch.join("old"), scratch.join("new"));
    if scratch.exists() {
        fs::remove_dir_all(&scratch).map_err(fail)?;
    }
    fs::create_dir_all(&old).and_then(|()| fs::create_dir(&new)).map_err(fail)?;
    for (from, name) in [(file.clone(), ""), (beside(&file, "-wal"), "-wal")] {
        if from.exists() {
            fs::copy(&from, beside(&old.join(schema::FILE), name)).map_err(fail)?;
        }
    }
    let testimony = witness::read(directory).ok().flatten();
    let target = new.join(schema::FILE);
    let connection = schema::open_to_write(&target)?;
    let mut salvage = Salvage { target: &connection, topics: FxHashMap::default(), testimony };
    let salvaged = salvage.run(&old.join(schema::FILE), fresh_epoch);
    let (mut repaired, tail) = salvaged.map_err(|error| Error::sqlite(&target, error))?;
    drop(connection);
    let closed = Testimony { state: State::Closed, epoch: repaired.epoch, tail, record_changes: 0 };
    drop(Witness::begin(&new, closed)?);
    repaired.damaged_files = swap(directory, &new).map_err(fail)?;
    fs::remove_dir_all(&scratch).map_err(fail)?;
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
            fs::hard_link(directory.join(name), kept.join(name))?;
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
    fn run(&mut self, old: &Path, fresh: Epoch) -> rusqlite::Result<(Repaired, Offset)> {
        let mut repaired = Repaired {
            events: 0,
            events_lost: 0,
            unreadable: Vec::new(),
            topics: 0,
            records: 0,
            records_lost: 0,
            record_changes_lost: self.testimony.map_or(0, |testimony| testimony.record_changes),
            keys: 0,
            epoch: fresh,
            damaged_files: PathBuf::new(),
        };
        let mut before = self.testimony.map(|testimony| testimony.epoch);
        // What cannot even be opened has nothing to give.
        if let Ok(source) = schema::open_to_write(old) {
            before = schema::meta(&source, "epoch").ok().flatten().map(Epoch::new).or(before);
            self.topics(&source)?;
            self.events(&source, &mut repaired)?;
            self.keys(&source, &mut repaired)?;
            self.records(&source, &mut repaired)?;
            let changes = schema::record_changes(&source).unwrap_or_default();
            repaired.record_changes_lost = repaired.record_changes_lost.saturating_sub(changes);
            let forgotten: i64 = schema::meta(&source, "forgotten").ok().flatten().unwrap_or(0);
            schema::set_meta(self.target, "forgotten", forgotten)?;
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

    fn topics(&mut self, source: &Connection) -> rusqlite::Result<()> {
        let walk = Walk {
            select: "SELECT id, name, trimmed, checksum FROM topics
                     WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
            number: 0,
            last: newest(source, "SELECT max(id) FROM topics", u32::MAX >> 12),
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
        let acknowledged = self.testimony.map_or(0, |testimony| testimony.tail.get());
        let walk = Walk {
            select: reader::SELECT,
            number: reader::OFFSET,
            last: newest(source, "SELECT max(offset) FROM events", 0).max(acknowledged as i64),
        };
        let blocks = "SELECT coalesce(sum(events), 0), coalesce(max(block), -1) + 1 FROM blocks";
        let counted = source.query_row(blocks, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let (expected, following): (i64, i64) = counted.unwrap_or_default();
        let (mut in_blocks, mut after_blocks) = (0, 0);
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
                rows.insert(TopicId(row.get(reader::TOPIC)?), &entry)?;
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
        let walk = Walk {
            select: "SELECT offset, topic, key, time, checksum FROM idempotency
                     WHERE offset BETWEEN ?1 AND ?2 ORDER BY offset",
            number: 0,
            last: newest(source, "SELECT max(offset) FROM idempotency", 0),
        };
        let transaction = schema::begin(self.target)?;
        walk.run(source, &mut |found| {
            if let Found::Row(row) = found
                && let Ok((offset, topic, key, time)) = keys::row(row)
            {
                keys::insert(&transaction, (offset, Timestamp::from_ms(time)), (topic, key))?;
                repaired.keys += 1;
            }
            Ok(())
        })?;
        transaction.commit()
    }

    /// From both ends, since what lies behind damage cannot be had by its key.
    fn records(&self, source: &Connection, repaired: &mut Repaired) -> rusqlite::Result<()> {
        let mut kept = FxHashMap::default();
        for order in ["ASC", "DESC"] {
            let sql = format!("SELECT key, value, checksum FROM records ORDER BY key {order}");
            let Ok(mut select) = source.prepare(&sql) else { continue };
            let mut rows = select.query([])?;
            let mut lost = 0;
            while let Ok(Some(row)) = rows.next() {
                match records::row(row) {
                    Ok(Record { key, value }) => drop(kept.insert(key, value)),
                    Err(_) => lost += 1,
                }
            }
            repaired.records_lost = repaired.records_lost.max(lost);
        }
        let transaction = schema::begin(self.target)?;
        for (key, value) in &kept {
            records::insert(&transaction, key, value)?;
        }
        repaired.records = kept.len() as u64;
        transaction.commit()
    }
}

fn newest(source: &Connection, select: &str, otherwise: u32) -> i64 {
    let newest = source.query_row(select, [], |row| row.get::<_, Option<i64>>(0)).optional();
    newest.ok().flatten().flatten().unwrap_or(otherwise.into())
}

fn tell(repaired: &mut Repaired, first: Offset, last: Offset) {
    let ranges = repaired.unreadable.len();
    match repaired.unreadable.last_mut() {
        Some((_, end)) if end.get() + 1 >= first.get() => *end = last.max(*end),
        _ if ranges < RANGES_MAX => repaired.unreadable.push((first, last)),
        _ => {}
    }
}

/// What a walk meets.
enum Found<'a, 'r> {
    Row(&'a Row<'r>),
    /// Nothing could be read from `first` to `last`.
    Damage {
        first: i64,
        last: i64,
    },
}

/// A walk through a table by the numbers of its rows, around what is damaged.
struct Walk {
    select: &'static str,
    /// The column of the row's number.
    number: usize,
    last: i64,
}

impl Walk {
    fn run(
        &self,
        source: &Connection,
        meet: &mut dyn FnMut(Found<'_, '_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut next = 0;
        while next <= self.last {
            next = self.scan(source, next, meet)?;
            let first = next;
            let mut is_found = false;
            while next <= self.last && !is_found {
                is_found = self.meet_one(source, next, meet)?;
                next += 1;
            }
            let last = next - 1 - i64::from(is_found);
            if last >= first {
                meet(Found::Damage { first, last })?;
            }
        }
        Ok(())
    }

    /// Goes on from `next` for as long as it can. Returns what comes after.
    fn scan(
        &self,
        source: &Connection,
        mut next: i64,
        meet: &mut dyn FnMut(Found<'_, '_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<i64> {
        let mut select = source.prepare_cached(self.select)?;
        let mut rows = select.query((next, self.last))?;
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let number: i64 = row.get(self.number)?;
                    if number < next {
                        return Ok(next);
                    }
                    meet(Found::Row(row))?;
                    next = number + 1;
                }
                Ok(None) => return Ok(next),
                Err(error) if is_damage(&error) => return Ok(next),
                Err(error) => return Err(error),
            }
        }
    }

    /// Meets the row of a number, if it can be found by it.
    fn meet_one(
        &self,
        source: &Connection,
        number: i64,
        meet: &mut dyn FnMut(Found<'_, '_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<bool> {
        let mut select = source.prepare_cached(self.select)?;
        let mut rows = select.query((number, number))?;
        match rows.next() {
            Ok(Some(row)) => meet(Found::Row(row)).map(|()| true),
            Ok(None) => Ok(false),
            Err(error) if is_damage(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
