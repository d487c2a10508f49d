//! Loads what memory keeps of the file when it is opened.

use std::collections::BTreeSet;

use bellwire_model::{Offset, Timestamp, Topic};
use rusqlite::{Connection, OptionalExtension, Row};

use super::block_number::{BLOCK_OFFSETS, BlockNumber};
use super::blocks::{Blocks, Summary};
use super::index::Index;
use super::present::{Layout, Offsets};
use super::schema::{self, damaged, from_sql, to_sql};
use super::{rows, sums};
use crate::passed::Passed;
use crate::retention::Retention;
use crate::steps::{Boot, Steps};
use crate::topics::{TopicId, TopicState, Topics};
use crate::{ClockReading, ClockStep};

/// The index of what is in the file, and the full blocks that its table lacks.
pub(super) fn index(
    connection: &Connection,
    (retention, layout): (Retention, Layout),
) -> rusqlite::Result<(Index, Vec<(BlockNumber, Summary)>)> {
    let forgotten = from_sql(schema::meta(connection, "forgotten")?.unwrap_or_default());
    let mut index = Index {
        topics: Topics::new(forgotten),
        blocks: Blocks::new(layout),
        retention,
        tail: Offset::ZERO,
        sweeps: 0,
        damaged: BTreeSet::new(),
    };
    topics(connection, &mut index)?;
    let first_unsaved = blocks(connection, &mut index)?;

    // The blocks that were not full or not saved yet: a few thousand events.
    let mut unsaved = Vec::new();
    let mut select = connection.prepare(rows::MARKS)?;
    let mut rows = select.query((to_sql(first_unsaved), i64::MAX))?;
    while let Some(row) = rows.next()? {
        let mark = rows::mark(row, &index.topics)?;
        unsaved.extend(index.add(mark));
    }
    if let Some((number, offsets)) = schema::open_block(connection)? {
        index.blocks.expect(number, &offsets);
    }
    // Retention may have removed the newest events; their offsets are taken all the same.
    index.tail = index.tail.max(index.topics.trimmed_any());
    Ok((index, unsaved))
}

/// Reads a topic's row: id, name, `trimmed`, `ended` and checksum.
pub(super) fn topic(row: &Row<'_>) -> rusqlite::Result<(TopicId, TopicState)> {
    let name = row.get_ref(1)?.as_str()?;
    let topic: Topic = name.parse().map_err(|_| damaged("a topic's name breaks the rules"))?;
    let (id, trimmed, ended) = (TopicId(row.get(0)?), from_sql(row.get(2)?), from_sql(row.get(3)?));
    let sum: Option<i64> = row.get(4)?;
    if sum.is_some_and(|sum| sum != sums::of_topic(id, name, (trimmed, ended))) {
        return Err(damaged("a topic is not what was written"));
    }
    let last = trimmed.max(ended);
    Ok((id, TopicState { last, trimmed, ended, ..TopicState::new(topic, None) }))
}

fn topics(connection: &Connection, index: &mut Index) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT id, name, trimmed, ended, checksum FROM topics")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (id, state) = self::topic(row)?;
        let rule = index.retention.rule_of(&state.topic);
        index.topics.insert(id, TopicState { rule, ..state });
    }
    Ok(())
}

/// What the file remembers of the wall clock, up to now, and whether that was set meanwhile.
pub(super) fn steps(
    connection: &Connection,
    (now, boot): (ClockReading, Boot),
    tail: Offset,
) -> rusqlite::Result<(Steps, Option<ClockStep>)> {
    let mut steps = if let Some(text) = schema::meta::<String>(connection, "clock")? {
        Steps::from_text(&text).ok_or_else(|| damaged("what it remembers of the clock"))?
    } else {
        let newest = "SELECT time FROM events ORDER BY offset DESC LIMIT 1";
        let newest = connection.query_row(newest, [], |row| row.get(0)).optional()?;
        Steps::since(newest.map(Timestamp::from_ms), tail)
    };
    let step = steps.resume(now, tail, boot);
    schema::set_meta(connection, "clock", steps.to_text())?;
    Ok((steps, step))
}

/// What has passed in the journal's life, up to now.
pub(super) fn passed(
    connection: &Connection,
    (now, boot): (ClockReading, Boot),
    step: Option<ClockStep>,
) -> rusqlite::Result<Passed> {
    let passed = if let Some(text) = schema::meta::<String>(connection, schema::PASSED)? {
        let mut passed =
            Passed::from_text(&text).ok_or_else(|| damaged("how long it has lived"))?;
        passed.resume(now, boot, step);
        passed
    } else {
        Passed::since(now)
    };
    schema::set_meta(connection, schema::PASSED, passed.to_text())?;
    Ok(passed)
}

/// Loads the table of blocks. Returns the offset that follows them.
fn blocks(connection: &Connection, index: &mut Index) -> rusqlite::Result<Offset> {
    let sql = "SELECT block, topic, events, bytes, last, oldest, checksum FROM blocks
               ORDER BY block, topic";
    let mut select = connection.prepare(sql)?;
    let mut rows = select.query([])?;
    let mut in_block = (BlockNumber(0), 0);
    while let Some(row) = rows.next()? {
        let numbers: [i64; 6] =
            [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
        let sum: Option<i64> = row.get(6)?;
        if sum.is_some_and(|sum| sum != sums::of_row(&numbers, &[])) {
            return Err(damaged("a block is not what was written"));
        }
        let number = BlockNumber(row.get::<_, i64>(0)? as u64);
        let topic = TopicId(row.get(1)?);
        let (events, bytes) = (row.get::<_, i64>(2)? as u64, row.get::<_, i64>(3)? as u64);
        let last = from_sql(row.get(4)?);
        if index.topics.get(topic).is_none() {
            return Err(damaged("a block has events of an unknown topic"));
        }
        let rule = index.topics.add(topic, events, bytes, last);
        index.retention.add(rule, events, bytes);
        index.blocks.load(number, topic, Timestamp::from_ms(row.get(5)?));
        index.tail = index.tail.max(last);
        if in_block.0 != number {
            in_block = (number, 0);
        }
        in_block.1 += events;
        if in_block.1 == BLOCK_OFFSETS {
            index.blocks.load_present(number, Offsets::all());
        }
    }
    let mut select = connection.prepare("SELECT block, present FROM holes")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let offsets = Offsets::from_bytes(row.get_ref(1)?.as_blob()?);
        let offsets = offsets.ok_or_else(|| damaged("which offsets a block has"))?;
        index.blocks.load_present(BlockNumber(row.get::<_, i64>(0)? as u64), offsets);
    }
    Ok(index.blocks.following())
}
