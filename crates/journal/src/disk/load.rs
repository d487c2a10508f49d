//! Loads what memory keeps of the file when it is opened.

use bellwire_model::{Offset, Timestamp, Topic};
use rusqlite::{Connection, OptionalExtension};

use super::blocks::{BlockNumber, Blocks, Summary};
use super::index::Index;
use super::schema::{self, damaged, from_sql, to_sql};
use super::sweep;
use crate::ClockReading;
use crate::retention::Retention;
use crate::steps::{Boot, Steps};
use crate::topics::{TopicId, TopicState, Topics};

/// The index of what is in the file, and the full blocks that its table lacks.
pub(super) fn index(
    connection: &Connection,
    retention: Retention,
) -> rusqlite::Result<(Index, Vec<(BlockNumber, Summary)>)> {
    let forgotten = from_sql(schema::meta(connection, "forgotten")?.unwrap_or_default());
    let mut index = Index {
        topics: Topics::new(forgotten),
        blocks: Blocks::default(),
        retention,
        tail: Offset::ZERO,
        sweeps: 0,
    };
    topics(connection, &mut index)?;
    let first_unsaved = blocks(connection, &mut index)?;

    // The blocks that were not full or not saved yet: a few thousand events.
    let mut unsaved = Vec::new();
    let mut select = connection.prepare(sweep::MARKS)?;
    let mut rows = select.query((to_sql(first_unsaved), i64::MAX))?;
    while let Some(row) = rows.next()? {
        let mark = sweep::mark(row, &index.topics)?;
        unsaved.extend(index.add(mark));
    }
    // Retention may have removed the newest events; their offsets are taken all the same.
    index.tail = index.tail.max(index.topics.trimmed_any());
    Ok((index, unsaved))
}

fn topics(connection: &Connection, index: &mut Index) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT id, name, trimmed FROM topics")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let name = row.get_ref(1)?.as_str()?;
        let topic: Topic = name.parse().map_err(|_| damaged("a topic's name breaks the rules"))?;
        let trimmed = from_sql(row.get(2)?);
        let rule = index.retention.rule_of(&topic);
        let state = TopicState { trimmed, last: trimmed, ..TopicState::new(topic, rule) };
        index.topics.insert(TopicId(row.get(0)?), state);
    }
    Ok(())
}

/// What the file remembers of the wall clock, up to now.
pub(super) fn steps(
    connection: &Connection,
    (now, boot): (ClockReading, Boot),
    tail: Offset,
) -> rusqlite::Result<Steps> {
    let mut steps = if let Some(text) = schema::meta::<String>(connection, "clock")? {
        Steps::from_text(&text).ok_or_else(|| damaged("what it remembers of the clock"))?
    } else {
        let newest = "SELECT time FROM events ORDER BY offset DESC LIMIT 1";
        let newest = connection.query_row(newest, [], |row| row.get(0)).optional()?;
        Steps::since(newest.map(Timestamp::from_ms), tail)
    };
    steps.resume(now, tail, boot);
    schema::set_meta(connection, "clock", steps.to_text())?;
    Ok(steps)
}

/// Loads the table of blocks. Returns the offset that follows them.
fn blocks(connection: &Connection, index: &mut Index) -> rusqlite::Result<Offset> {
    let sql = "SELECT block, topic, events, bytes, last, oldest FROM blocks ORDER BY block, topic";
    let mut select = connection.prepare(sql)?;
    let mut rows = select.query([])?;
    let mut following = Offset::ZERO;
    while let Some(row) = rows.next()? {
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
        following = number.next().first();
    }
    Ok(following)
}
