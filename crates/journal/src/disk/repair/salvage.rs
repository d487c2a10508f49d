//! Takes what is whole of a damaged database into a new one.

use bellwire_model::{Entry, Epoch, NameMap, NameSet, Offset, Timestamp};
use rusqlite::{Connection, Row};
use rustc_hash::FxHashMap;

use super::{RepairSource, Repaired, values};
use crate::Record;
use crate::disk::block_number::{BLOCK_OFFSETS, BlockNumber};
use crate::disk::blocks::{Mark, Summary};
use crate::disk::present::Layout;
use crate::disk::reader::{self, event, is_whole};
use crate::disk::rows::{EventRows, EventTable, insert_topic, save_blocks, trim_topic};
use crate::disk::schema::{self, damaged, from_sql, to_sql};
use crate::disk::sums::EventSums;
use crate::disk::walk::{Found, Walk};
use crate::disk::witness::Testimony;
use crate::disk::{fences, keys, load, records, state};
use crate::fences::Producer;
use crate::passed::Passed;
use crate::retention::Retention;
use crate::steps::Steps;
use crate::topics::{TopicId, TopicState};

/// Ranges that are told one by one.
const RANGES_MAX: usize = 100;
const ANYWHERE: &[(i64, i64)] = &[(0, i64::MAX)];

/// Fills a new database with what is whole of `source`. Says what became of it, and its newest
/// offset.
pub(super) fn run(
    source: Option<&Connection>,
    (target, testimony): (&Connection, Option<Testimony>),
    fresh_epoch: Epoch,
) -> rusqlite::Result<(Repaired, Offset)> {
    let looked_for = source.map_or_else(Vec::new, stretches);
    Salvage { target, topics: FxHashMap::default(), testimony, looked_for }.run(source, fresh_epoch)
}

struct Salvage<'a> {
    target: &'a Connection,
    topics: FxHashMap<TopicId, TopicState>,
    testimony: Option<Testimony>,
    /// Where events are looked for one by one.
    looked_for: Vec<(i64, i64)>,
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
            values: 0,
            values_lost: 0,
            records: 0,
            records_lost: 0,
            is_witnessed: self.testimony.is_some(),
            record_changes_lost: self.testimony.map_or(0, |testimony| testimony.record_changes),
            keys: 0,
            source: RepairSource::AsItWas,
            epoch: fresh,
            damaged_files: std::path::PathBuf::new(),
        };
        let mut before = self.testimony.map(|testimony| testimony.epoch);
        if let Some(source) = source {
            before = schema::meta(source, "epoch").ok().flatten().map(Epoch::new).or(before);
            self.topics(source)?;
            self.events(source, &mut repaired)?;
            let forgotten: i64 = schema::meta(source, "forgotten").ok().flatten().unwrap_or(0);
            schema::set_meta(self.target, "forgotten", forgotten)?;
            self.values(source, &mut repaired)?;
            self.keys(source, &mut repaired)?;
            self.ends()?;
            self.records(source, &mut repaired)?;
            self.producers(source, &repaired)?;
            let changes = schema::record_changes(source).unwrap_or_default();
            repaired.record_changes_lost = repaired.record_changes_lost.saturating_sub(changes);
            self.clock(source)?;
        }
        repaired.topics = self.topics.len() as u64;
        let (index, unsaved) =
            load::index(self.target, (Retention::new(Vec::new()), Layout::Dense))?;
        save_blocks(self.target, &unsaved)?;
        let tail = state::load(self.target, (Epoch::new(0), index.tail, false), &mut ())?.1;
        let acknowledged = self.testimony.map_or(Offset::ZERO, |testimony| testimony.tail);
        if acknowledged > tail {
            let first = Offset::new(tail.get() + 1);
            repaired.events_lost += acknowledged.get() - tail.get();
            tell(&mut repaired, first, acknowledged);
        }
        let is_old = before == Some(fresh);
        repaired.epoch = if is_old { Epoch::new(fresh.get().wrapping_add(1)) } else { fresh };
        schema::set_meta(self.target, "epoch", repaired.epoch.get())?;
        schema::set_meta(self.target, "clean", true)?;
        Ok((repaired, tail))
    }

    fn values(&self, source: &Connection, repaired: &mut Repaired) -> rusqlite::Result<()> {
        let salvaged = values::salvage(source, self.target)?;
        (repaired.values, repaired.values_lost) = (salvaged.kept, salvaged.lost);
        let forgotten: i64 =
            schema::meta(source, schema::STATE_FORGOTTEN).ok().flatten().unwrap_or(0);
        schema::set_meta(self.target, schema::STATE_FORGOTTEN, forgotten)
    }

    /// The newest offset that the witness tells.
    fn acknowledged(&self) -> i64 {
        self.testimony.map_or(0, |testimony| to_sql(testimony.tail))
    }

    fn topics(&mut self, source: &Connection) -> rusqlite::Result<()> {
        let walk = Walk {
            select: "SELECT id, name, trimmed, ended, checksum FROM topics
                     WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
            number: 0,
            last: last(source, ("topics", "id"), i64::from(u32::MAX >> 12)),
            looked_for: ANYWHERE,
        };
        let transaction = schema::begin(self.target)?;
        walk.run(source, &mut |found| {
            // Of what is no topic the events say more.
            if let Found::Row(row) = found
                && let Ok((id, state)) = load::topic(row)
            {
                insert_topic(&transaction, id, &state)?;
                self.topics.insert(id, state);
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
            looked_for: &self.looked_for,
        };
        let blocks = "SELECT coalesce(sum(events), 0), coalesce(max(block), -1) + 1 FROM blocks";
        let counted = source.query_row(blocks, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let (expected, following): (i64, i64) = counted.unwrap_or_default();
        let (mut in_blocks, mut after_blocks) = (0, 0);
        let mut blocks = OpenBlock::default();
        let transaction = schema::begin(self.target)?;
        let mut rows = EventRows::new(&transaction, EventTable::Events)?;
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
        let state = self
            .topics
            .get(&TopicId(row.get(reader::TOPIC)?))
            .ok_or_else(|| damaged("an event of an unknown topic"))?;
        let (event, kind) = event(row, state.topic.clone())?;
        let offset = from_sql(row.get(reader::OFFSET)?);
        if !is_whole(kind, &event, |event| EventSums::new(&event.topic).kind_of(offset, event)) {
            return Err(damaged("an event is not what was written"));
        }
        Ok(Entry::of_stream(offset, event))
    }

    /// Up to where retention has removed events of topics.
    fn trimmed(&self) -> rusqlite::Result<impl Fn(&str) -> Offset> {
        let forgotten: i64 = schema::meta(self.target, "forgotten")?.unwrap_or(0);
        let trimmed: NameMap<&str, Offset> =
            self.topics.values().map(|state| (state.topic.as_str(), state.trimmed)).collect();
        Ok(move |topic: &str| trimmed.get(topic).copied().unwrap_or(from_sql(forgotten)))
    }

    /// A producer whose newest event is lost has to begin a new epoch, and to send again what it
    /// knows of: nobody knows which of its events are whole. One that is damaged itself begins anew.
    fn producers(&self, source: &Connection, repaired: &Repaired) -> rusqlite::Result<()> {
        let removed = self.trimmed()?;
        let streams: NameSet<&str> =
            self.topics.values().map(|state| state.topic.as_str()).collect();
        let is_all_there = repaired.events_lost == 0 && repaired.values_lost == 0;
        let walk = Walk {
            select: fences::SELECT,
            number: 0,
            last: last(source, ("producers", "id"), i64::from(u32::MAX >> 12)),
            looked_for: ANYWHERE,
        };
        let transaction = schema::begin(self.target)?;
        walk.run(source, &mut |found| {
            if let Found::Row(row) = found
                && let Ok((topic, name, mut producer)) = fences::row(row)
            {
                // Of a state topic a value that was replaced since is gone by right.
                let is_replaced = is_all_there && !streams.contains(topic.as_str());
                let is_kept = is_replaced
                    || producer.at <= removed(topic.as_str())
                    || has_row(&transaction, "events", producer.at)?
                    || has_row(&transaction, "state", producer.at)?;
                if !is_kept {
                    let epoch = producer.epoch + 1;
                    producer = Producer { epoch, next: 0, at: Offset::ZERO, ..producer };
                }
                fences::save(&transaction, (&topic, name), &producer)?;
            }
            Ok(())
        })?;
        transaction.commit()
    }

    fn keys(&self, source: &Connection, repaired: &mut Repaired) -> rusqlite::Result<()> {
        let removed = self.trimmed()?;
        // Of state topics what was replaced is gone, and nothing else is where no value is lost.
        let are_all_there = repaired.values_lost == 0;
        let (of_state, newest) =
            state::load(self.target, (Epoch::new(0), Offset::ZERO, false), &mut ())?;
        let is_replaced =
            |offset: Offset, topic: &str| are_all_there && offset <= newest && of_state.has(topic);
        let walk = Walk {
            select: "SELECT offset, topic, key, time, checksum FROM idempotency
                     WHERE offset BETWEEN ?1 AND ?2 ORDER BY offset",
            number: 0,
            last: last(source, ("idempotency", "offset"), self.acknowledged()),
            looked_for: &self.looked_for,
        };
        let transaction = schema::begin(self.target)?;
        walk.run(source, &mut |found| {
            // That of a lost event would say that it is there, and stand in the way of the next one
            // at its offset.
            if let Found::Row(row) = found
                && let Ok((offset, topic, key, time)) = keys::row(row)
                && (offset <= removed(topic)
                    || is_replaced(offset, topic)
                    || has_row(&transaction, "events", offset)?
                    || has_row(&transaction, "state", offset)?)
            {
                keys::insert(&transaction, (offset, Timestamp::from_ms(time)), (topic, key))?;
                repaired.keys += 1;
            }
            Ok(())
        })?;
        transaction.commit()
    }

    /// An end whose event is lost is told like one that retention has removed.
    fn ends(&self) -> rusqlite::Result<()> {
        for (id, TopicState { topic, trimmed, ended, .. }) in &self.topics {
            if *ended > *trimmed && !has_row(self.target, "events", *ended)? {
                trim_topic(self.target, (*id, topic), (*ended, *ended))?;
            }
        }
        Ok(())
    }

    /// Steps of the clock, without which events may seem older than they are.
    fn clock(&self, source: &Connection) -> rusqlite::Result<()> {
        let text = |name| schema::meta::<String>(source, name).ok().flatten();
        if let Some(clock) = text("clock").filter(|clock| Steps::from_text(clock).is_some()) {
            schema::set_meta(self.target, "clock", clock)?;
            schema::set_meta(self.target, "boot_id", text("boot_id").unwrap_or_default())?;
        }
        if let Some(passed) = text(schema::PASSED).filter(|it| Passed::from_text(it).is_some()) {
            schema::set_meta(self.target, schema::PASSED, passed)?;
        }
        Ok(())
    }

    /// From both ends, since what lies behind damage cannot be had by its key.
    fn records(&self, source: &Connection, repaired: &mut Repaired) -> rusqlite::Result<()> {
        let mut kept = NameMap::default();
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

/// Whether a table of events has one at an offset.
fn has_row(connection: &Connection, table: &str, offset: Offset) -> rusqlite::Result<bool> {
    let select = format!("SELECT 1 FROM {table} WHERE offset = ?1");
    connection.prepare_cached(&select)?.exists([to_sql(offset)])
}

/// The block that the next event may belong to.
#[derive(Default)]
struct OpenBlock(Option<(BlockNumber, Summary)>);

impl OpenBlock {
    /// Counts an event in, and saves the block before it when that is full.
    fn add(&mut self, target: &Connection, topic: TopicId, entry: &Entry) -> rusqlite::Result<()> {
        let Entry { offset, event, .. } = entry;
        let number = BlockNumber::of(*offset);
        if let Some(full) = self.0.take_if(|(open, _)| *open != number) {
            save_blocks(target, &[full])?;
        }
        let (_, summary) = self.0.get_or_insert_with(|| (number, Summary::empty(Layout::Dense)));
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

/// The stretches of offsets in which there may be events: the full blocks that their table has, and
/// all that follows them. A journal may have removed billions before those, which nobody looks for.
fn stretches(source: &Connection) -> Vec<(i64, i64)> {
    let of_blocks = || {
        let mut select = source.prepare("SELECT DISTINCT block FROM blocks ORDER BY block")?;
        let numbers = select.query_map([], |row| row.get::<_, i64>(0))?;
        let mut stretches: Vec<(i64, i64)> = Vec::new();
        for number in numbers {
            let number = number?;
            if !(0..i64::MAX >> BLOCK_OFFSETS.ilog2()).contains(&number) {
                return Err(damaged("a block beyond all offsets"));
            }
            let number = BlockNumber(number.unsigned_abs());
            let (first, last) = (to_sql(number.first()), to_sql(number.last()));
            match stretches.last_mut() {
                Some((_, end)) if *end + 1 == first => *end = last,
                _ => stretches.push((first, last)),
            }
        }
        let following = stretches.last().map_or(0, |(_, last)| last + 1);
        stretches.push((following, i64::MAX));
        rusqlite::Result::Ok(stretches)
    };
    let is_whole = schema::is_sound(source, "blocks");
    let stretches = if is_whole { of_blocks().ok() } else { None };
    stretches.unwrap_or_else(|| ANYWHERE.to_vec())
}

fn tell(repaired: &mut Repaired, first: Offset, last: Offset) {
    let ranges = repaired.unreadable.len();
    match repaired.unreadable.last_mut() {
        Some((_, end)) if end.get() + 1 >= first.get() => *end = last.max(*end),
        _ if ranges < RANGES_MAX => repaired.unreadable.push((first, last)),
        _ => {}
    }
}
