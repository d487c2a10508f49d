//! Rows as they are written, and the columns of them that memory keeps.

use bellwire_model::{Entry, Offset, Timestamp, Topic};
use rusqlite::{CachedStatement, Connection, Row};

use super::block_number::BlockNumber;
use super::blocks::{Mark, Summary, Tally};
use super::present::{Offsets, Present};
use super::schema::{damaged, from_sql, to_sql};
use super::sums::{self, EventSums};
use crate::topics::{TopicId, TopicState, Topics};

/// What fails rolls back the whole transaction, so no statement needs to be undone by itself.
const COLUMNS: &str = "(offset, topic, time, kind, key, type, content_type, data)";
const VALUES: &str = "(?, ?, ?, ?, ?, ?, ?, ?)";
/// Events that one statement writes.
const ROWS: usize = 16;

/// Selects the [`mark`]s of a range of offsets; touches no body.
pub(super) const MARKS: &str = "
    SELECT offset, topic, time,
           coalesce(octet_length(key), 0) + coalesce(octet_length(type), 0)
           + coalesce(octet_length(data), 0)
    FROM events WHERE offset BETWEEN ?1 AND ?2 ORDER BY offset";

/// Reads a row of [`MARKS`].
pub(super) fn mark(row: &Row<'_>, topics: &Topics) -> rusqlite::Result<Mark> {
    let topic = TopicId(row.get(1)?);
    let state = topics.get(topic).ok_or_else(|| damaged("an event of an unknown topic"))?;
    // The same sum as `Event::size_bytes`.
    let bytes = row.get::<_, i64>(3)? as u64 + state.topic.as_str().len() as u64;
    let time = Timestamp::from_ms(row.get(2)?);
    Ok(Mark { offset: from_sql(row.get(0)?), topic, bytes, time })
}

/// Which offsets a block has, where its table says so.
pub(super) fn present(
    connection: &Connection,
    number: BlockNumber,
) -> rusqlite::Result<Option<Present>> {
    let sql = "SELECT present FROM holes WHERE block = ?1";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([number.0 as i64])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let offsets = Offsets::from_bytes(row.get_ref(0)?.as_blob()?);
    offsets.map(Present::from).map(Some).ok_or_else(|| damaged("which offsets a block has"))
}

/// What the table of blocks counts of a block, by topic.
pub(super) fn counted(
    connection: &Connection,
    number: BlockNumber,
) -> rusqlite::Result<Vec<(TopicId, Tally)>> {
    let sql = "SELECT topic, events, bytes, last, oldest FROM blocks WHERE block = ?1";
    let mut select = connection.prepare_cached(sql)?;
    let counted = select.query_map([number.0 as i64], |row| {
        let [events, bytes] = [row.get::<_, i64>(1)?, row.get(2)?].map(i64::unsigned_abs);
        let (last, oldest) = (from_sql(row.get(3)?), Timestamp::from_ms(row.get(4)?));
        Ok((TopicId(row.get(0)?), Tally { events, bytes, last, oldest }))
    })?;
    counted.collect()
}

/// A table of events; both have the same columns.
#[derive(Clone, Copy, Debug)]
pub(super) enum EventTable {
    /// Of streams.
    Events,
    /// Of state topics, which are numbered apart.
    State,
}

impl EventTable {
    const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::State => "state",
        }
    }
}

/// Writes rows of events, several with a statement where there are as many: most of what a row
/// costs is to begin a statement and to find the end of the table.
pub(super) struct EventRows<'a> {
    one: EventInsert<'a>,
    several: EventInsert<'a>,
}

impl<'a> EventRows<'a> {
    pub(super) fn new(connection: &'a Connection, table: EventTable) -> rusqlite::Result<Self> {
        let one = format!("INSERT OR FAIL INTO {} {COLUMNS} VALUES {VALUES}", table.name());
        let several = format!("{one}{}", format!(", {VALUES}").repeat(ROWS - 1));
        Ok(Self {
            one: EventInsert::new(connection, &one)?,
            several: EventInsert::new(connection, &several)?,
        })
    }

    /// Writes events, each with its topic.
    pub(super) fn insert_all(&mut self, rows: &[(TopicId, &Entry)]) -> rusqlite::Result<()> {
        for rows in rows.chunks(ROWS) {
            let mut rows = rows.iter().copied();
            if rows.len() == ROWS {
                self.several.insert(rows)?;
            } else {
                rows.try_for_each(|row| self.one.insert([row]))?;
            }
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, topic: TopicId, entry: &Entry) -> rusqlite::Result<()> {
        self.one.insert([(topic, entry)])
    }
}

/// A statement that writes a number of events.
struct EventInsert<'a> {
    statement: CachedStatement<'a>,
    /// Whether a row has a key, a type, a type of content. What has none stays so.
    has: [[bool; 3]; ROWS],
}

impl<'a> EventInsert<'a> {
    fn new(connection: &'a Connection, sql: &str) -> rusqlite::Result<Self> {
        Ok(Self { statement: connection.prepare_cached(sql)?, has: [[false; 3]; ROWS] })
    }

    fn insert<'e>(
        &mut self,
        rows: impl IntoIterator<Item = (TopicId, &'e Entry)>,
    ) -> rusqlite::Result<()> {
        let mut at = 1;
        for ((topic, entry), has) in rows.into_iter().zip(&mut self.has) {
            let Entry { offset, event, .. } = entry;
            let (_, content_type) = sums::kind(event);
            let numbers = [
                to_sql(*offset),
                topic.0.into(),
                event.time.as_ms(),
                EventSums::new(&event.topic).kind_of(*offset, event),
            ];
            for number in numbers {
                self.statement.raw_bind_parameter(at, number)?;
                at += 1;
            }
            let texts = [event.key.as_deref(), event.event_type.as_deref(), content_type];
            for (text, has) in texts.into_iter().zip(has) {
                if text.is_some() || *has {
                    self.statement.raw_bind_parameter(at, text)?;
                }
                *has = text.is_some();
                at += 1;
            }
            let data = event.body.as_ref().map(|body| &**body.bytes());
            self.statement.raw_bind_parameter(at, data)?;
            at += 1;
        }
        self.statement.raw_execute().map(drop)
    }
}

/// Writes a topic's row.
pub(super) fn insert_topic(
    connection: &Connection,
    id: TopicId,
    TopicState { topic, trimmed, ended, .. }: &TopicState,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO topics (id, name, trimmed, ended, checksum) VALUES (?1, ?2, ?3, ?4, ?5)";
    let sum = sums::of_topic(id, topic.as_str(), (*trimmed, *ended));
    let row = (id.0, topic.as_str(), to_sql(*trimmed), to_sql(*ended), sum);
    connection.prepare_cached(sql)?.execute(row).map(drop)
}

/// Writes up to where the events of a topic were removed.
pub(super) fn trim_topic(
    connection: &Connection,
    (id, topic): (TopicId, &Topic),
    (trimmed, ended): (Offset, Offset),
) -> rusqlite::Result<()> {
    let sql = "UPDATE topics SET trimmed = ?1, checksum = ?2 WHERE id = ?3";
    let sum = sums::of_topic(id, topic.as_str(), (trimmed, ended));
    connection.prepare_cached(sql)?.execute((to_sql(trimmed), sum, id.0)).map(drop)
}

/// Writes where a topic has ended; [`Offset::ZERO`]: it goes on.
pub(super) fn end_topic(
    connection: &Connection,
    (id, topic): (TopicId, &Topic),
    (trimmed, ended): (Offset, Offset),
) -> rusqlite::Result<()> {
    let sql = "UPDATE topics SET ended = ?1, checksum = ?2 WHERE id = ?3";
    let sum = sums::of_topic(id, topic.as_str(), (trimmed, ended));
    connection.prepare_cached(sql)?.execute((to_sql(ended), sum, id.0)).map(drop)
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
        // A start knows a block without such a row as whole only if an event of each offset is
        // counted; those that are missing and must be told are not.
        if !summary.is_empty() && !summary.is_counted_whole() {
            insert_holes.execute((number.0 as i64, summary.present().to_bytes()))?;
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
