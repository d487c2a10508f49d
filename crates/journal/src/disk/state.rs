//! Rows of state topics: each change is written at the end of one table, and what no longer counts is
//! removed many at once. See [`Newest`] for which those are.

use bellwire_model::{Entry, Epoch, Keep, Offset, Topic};
use rusqlite::{Connection, Row};

use super::reader::{self, event, is_whole};
use super::schema::{STATE_FORGOTTEN, begin, damaged, from_sql, meta, set_meta, to_sql};
use super::sums::{self, EventSums};
use crate::deadlines::{Deadline, DueValue};
use crate::newest::{Change, Newest, Place, Sweep};
use crate::passed::Moment;
use crate::topics::TopicId;
use crate::{ReadLimit, StateHorizon, StateHorizons, StateLoader, StatePage};

/// What [`event`] reads, and the offset; the order is to follow.
pub(super) const SELECT_BARE: &str = "
    SELECT topic, time, kind, data, key, type, content_type, offset FROM state ORDER BY offset";
/// The same, and the topic's name.
const SELECT: &str = "
    SELECT state.topic, time, kind, data, key, type, content_type, offset, name
    FROM state JOIN state_topics ON state_topics.id = state.topic
    WHERE offset BETWEEN ?1 AND ?2 ORDER BY offset";
/// A column of [`SELECT`].
const NAME: usize = 8;

/// Loads where the newest change of each key is, and hands on all changes; of a journal of this epoch,
/// of which all else ends there. Returns also where all of it ends: a place further where other topics
/// were kept here, so that nobody has seen it who was there before.
pub(super) fn load(
    connection: &Connection,
    (epoch, end, had_other_places): (Epoch, Offset, bool),
    states: &mut dyn StateLoader,
) -> rusqlite::Result<(Newest, Offset)> {
    let mut newest = index(connection)?;
    let last = "SELECT coalesce(max(offset), 0) FROM state";
    let last = from_sql(connection.query_row(last, [], |row| row.get(0))?);
    let mut tail = newest.newest_horizon().max(last).max(end);
    if had_other_places {
        tail = Offset::new(tail.get() + 1);
        newest.forget_up_to(tail);
    }
    states.begin(epoch, tail);
    let mut select = connection.prepare(SELECT_BARE)?;
    let mut rows = select.query([])?;
    // Mostly many of one topic come together.
    let mut of: Option<(TopicId, Topic, EventSums)> = None;
    while let Some(row) = rows.next()? {
        let id = TopicId(row.get(reader::TOPIC)?);
        let (_, topic, sums) = match &of {
            Some(known) if known.0 == id => known,
            _ => {
                let topic = newest.topic(id).cloned();
                let topic = topic.ok_or_else(|| damaged("a value of an unknown topic"))?;
                let sums = EventSums::new(&topic);
                of.insert((id, topic, sums))
            }
        };
        let entry = entry(row, (topic.clone(), sums))?;
        let place = match entry.event.body {
            None => Place::of_deletion(entry.offset),
            Some(_) => Place::of_value(entry.offset),
        };
        let key = entry.event.key.as_deref().unwrap_or_default();
        newest.load(Change::new(id, (topic, key), place));
        states.take(entry);
    }
    newest.loaded();
    Ok((newest, tail))
}

/// What is known of topics, and when keys go.
fn index(connection: &Connection) -> rusqlite::Result<Newest> {
    let forgotten = from_sql(meta(connection, STATE_FORGOTTEN)?.unwrap_or_default());
    let mut newest = Newest::new(forgotten);
    let mut select =
        connection.prepare("SELECT id, name, horizon, checksum FROM state_topics ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (id, topic, horizon) = self::topic(row)?;
        newest.insert_topic(id, topic, horizon);
    }
    let mut select = connection.prepare(SELECT_DEADLINES)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        // Of those of values that are replaced further on it is known so which have a row.
        newest.deadlines_mut().set(deadline(row)?);
    }
    Ok(newest)
}

/// Reads a topic's row: id, name, horizon and checksum.
pub(super) fn topic(row: &Row<'_>) -> rusqlite::Result<(TopicId, Topic, Offset)> {
    let name = row.get_ref(1)?.as_str()?;
    let topic: Topic = name.parse().map_err(|_| damaged("a topic's name breaks the rules"))?;
    let (id, horizon) = (TopicId(row.get(0)?), from_sql(row.get(2)?));
    if row.get::<_, i64>(3)? != sums::of_topic(id, name, (horizon, Offset::ZERO)) {
        return Err(damaged("a state topic is not what was written"));
    }
    Ok((id, topic, horizon))
}

/// Writes a topic's row.
pub(super) fn save_topic(
    connection: &Connection,
    id: TopicId,
    (name, horizon): (&str, Offset),
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO state_topics (id, name, horizon, checksum) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (id) DO UPDATE SET horizon = excluded.horizon, checksum = excluded.checksum";
    let row = (id.0, name, to_sql(horizon), sums::of_topic(id, name, (horizon, Offset::ZERO)));
    connection.prepare_cached(sql)?.execute(row).map(drop)
}

/// Writes the rows of new topics.
pub(super) fn save_topics(
    connection: &Connection,
    topics: &[(TopicId, Topic)],
) -> rusqlite::Result<()> {
    topics
        .iter()
        .try_for_each(|(id, topic)| save_topic(connection, *id, (topic.as_str(), Offset::ZERO)))
}

/// All rows of times at which keys go.
pub(super) const SELECT_DEADLINES: &str =
    "SELECT offset, due, renewed, checksum FROM deadlines ORDER BY offset";

/// Reads such a row.
pub(super) fn deadline(row: &Row<'_>) -> rusqlite::Result<Deadline> {
    let numbers = [row.get(0)?, row.get(1)?, row.get(2)?];
    if row.get::<_, i64>(3)? != sum_of_deadline(&numbers) {
        return Err(damaged("when a key goes is not what was written"));
    }
    let [value, at, renewed_at] = numbers;
    Ok(Deadline { value: from_sql(value), at: Moment(at), renewed_at: from_sql(renewed_at) })
}

/// That of format 6 where there is nothing more.
fn sum_of_deadline(numbers: &[i64; 3]) -> i64 {
    let [rest @ .., renewed_at] = numbers;
    sums::of_row(if *renewed_at == 0 { rest } else { numbers }, &[])
}

/// Writes when values go.
pub(super) fn save_deadlines(
    connection: &Connection,
    deadlines: &[Deadline],
) -> rusqlite::Result<()> {
    if deadlines.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO deadlines (offset, due, renewed, checksum) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (offset) DO UPDATE SET due = excluded.due, renewed = excluded.renewed,
               checksum = excluded.checksum";
    let mut upsert = connection.prepare_cached(sql)?;
    for Deadline { value, at, renewed_at } in deadlines {
        let numbers = [to_sql(*value), at.0, to_sql(*renewed_at)];
        upsert.execute((numbers[0], numbers[1], numbers[2], sum_of_deadline(&numbers)))?;
    }
    Ok(())
}

/// Up to so many keys whose time is over, those first that are to go first.
pub(super) fn due(
    connection: &Connection,
    newest: &mut Newest,
    (now, count_max): (Moment, usize),
) -> rusqlite::Result<Vec<DueValue>> {
    let mut select = connection.prepare_cached("SELECT topic, key FROM state WHERE offset = ?1")?;
    let mut keys = Vec::new();
    for value in newest.deadlines().due(now, count_max) {
        let mut rows = select.query([to_sql(value)])?;
        let found = rows.next()?.and_then(|row| {
            let topic = newest.topic(TopicId(row.get(0).ok()?))?.clone();
            let key: Box<str> = row.get_ref(1).ok()?.as_str().ok()?.into();
            newest.is_value((&topic, &key), value).then_some((topic, key))
        });
        match found {
            Some((topic, key)) => {
                let timed_at = newest.deadlines().timed_at(value);
                keys.push(DueValue { topic, key, value, timed_at });
            }
            // Its row is damaged: it must not keep others from going.
            None => drop(newest.deadlines_mut().forget(value)),
        }
    }
    Ok(keys)
}

/// Removes what a step says, in a transaction that is under way.
pub(super) fn sweep(
    connection: &Connection,
    newest: &Newest,
    sweep: &Sweep,
) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM state WHERE offset = ?1")?;
    for offset in &sweep.rows {
        delete.execute([to_sql(*offset)])?;
    }
    let mut delete = connection.prepare_cached("DELETE FROM deadlines WHERE offset = ?1")?;
    for offset in &sweep.deadlines {
        delete.execute([to_sql(*offset)])?;
    }
    for (id, horizon) in &sweep.horizons {
        let topic = newest.topic(*id).ok_or_else(|| damaged("a value of an unknown topic"))?;
        save_topic(connection, *id, (topic.as_str(), *horizon))?;
    }
    let mut delete = connection.prepare_cached("DELETE FROM state_topics WHERE id = ?1")?;
    for id in &sweep.over {
        delete.execute([id.0])?;
    }
    if sweep.over.is_empty() {
        Ok(())
    } else {
        set_meta(connection, STATE_FORGOTTEN, to_sql(sweep.forgotten))
    }
}

/// One step of removing, in a transaction of its own. Returns whether there may be more.
pub(super) fn step(
    connection: &Connection,
    newest: &mut Newest,
    rows_max: usize,
) -> rusqlite::Result<bool> {
    let mut step = newest.sweep(rows_max);
    if step.rows.is_empty() {
        step = newest.over(rows_max);
    }
    if step.is_empty() {
        return Ok(false);
    }
    let swept = begin(connection).and_then(|transaction| {
        sweep(&transaction, newest, &step)?;
        transaction.commit()
    });
    match swept {
        Ok(()) => newest.swept(&step),
        Err(_) => newest.put_back(step),
    }
    swept.map(|()| true)
}

/// See [`Journal::state`](crate::Journal::state).
pub(super) fn page(
    connection: &Connection,
    (after, tail): (Offset, Offset),
    limit: ReadLimit,
) -> rusqlite::Result<StatePage> {
    let mut select = connection.prepare_cached(SELECT)?;
    let mut rows = select.query((to_sql(Offset::new(after.get() + 1)), to_sql(tail)))?;
    let (mut entries, mut bytes, mut end) = (Vec::new(), 0, after);
    while let Some(row) = rows.next()? {
        let name = row.get_ref(NAME)?.as_str()?;
        let topic = name.parse().map_err(|_| damaged("a topic's name breaks the rules"))?;
        let sums = EventSums::new(&topic);
        let entry = entry(row, (topic, &sums))?;
        bytes += entry.event.size_bytes();
        let is_full = entries.len() >= limit.events || bytes > limit.bytes;
        if is_full && !entries.is_empty() {
            return Ok(StatePage { entries, end });
        }
        end = entry.offset;
        entries.push(entry);
    }
    Ok(StatePage { entries, end: end.max(tail) })
}

/// Reads a row of [`SELECT`] of a topic.
pub(super) fn entry(row: &Row<'_>, (topic, sums): (Topic, &EventSums)) -> rusqlite::Result<Entry> {
    let offset = from_sql(row.get(reader::OFFSET)?);
    let (event, kind) = event(row, topic)?;
    if !is_whole(kind, &event, |event| sums.kind_of(offset, event)) {
        let topic = &event.topic;
        return Err(damaged(format!("the value of a key of {topic} is not what was written")));
    }
    Ok(Entry { offset, event, keep: Keep::Newest })
}

/// See [`Journal::state_horizons`](crate::Journal::state_horizons).
pub(super) fn horizons(connection: &Connection) -> rusqlite::Result<StateHorizons> {
    let forgotten = from_sql(meta(connection, STATE_FORGOTTEN)?.unwrap_or_default());
    let sql = "SELECT id, name, horizon, checksum FROM state_topics WHERE horizon > 0";
    let mut select = connection.prepare_cached(sql)?;
    let topics = select.query_map([], |row| {
        let (_, topic, offset) = topic(row)?;
        Ok(StateHorizon { topic, offset })
    })?;
    Ok(StateHorizons { topics: topics.collect::<rusqlite::Result<_>>()?, forgotten })
}
