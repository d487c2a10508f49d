//! Producers in their table, each a row: written where it is, since they are few and those that write
//! much are fewer still.

use bellwire_model::{Timestamp, Topic};
use rusqlite::{Connection, Row};

use super::schema::{begin, damaged, from_sql, to_sql};
use super::sums;
use crate::fences::{Fences, IdleProducers, Producer, StagedFences};
use crate::steps::Now;

/// What [`row`] reads.
pub(super) const SELECT: &str = "
    SELECT id, topic, producer, epoch, next, offset, time, checksum FROM producers
    WHERE id BETWEEN ?1 AND ?2 ORDER BY id";

/// Loads what earlier runs have remembered, with room for so much.
pub(super) fn load(connection: &Connection, bytes_max: usize) -> rusqlite::Result<Fences> {
    let mut fences = Fences::with_bytes_max(bytes_max);
    let mut select = connection.prepare(SELECT)?;
    let mut rows = select.query((0, i64::MAX))?;
    while let Some(row) = rows.next()? {
        let (topic, name, producer) = self::row(row)?;
        fences.insert((&topic, name), producer);
    }
    Ok(fences)
}

/// Reads a producer's row: its topic, its name, and what is remembered of it.
pub(super) fn row<'a>(row: &'a Row<'_>) -> rusqlite::Result<(Topic, &'a str, Producer)> {
    let (topic, name) = (row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
    let numbers: [i64; 5] = [row.get(0)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?];
    let [id, epoch, next, offset, time] = numbers;
    if row.get::<_, i64>(7)? != sums::of_row(&numbers, &[topic.as_bytes(), name.as_bytes()]) {
        return Err(damaged("a producer is not what was written"));
    }
    let topic = topic.parse().map_err(|_| damaged("a topic's name breaks the rules"))?;
    let (epoch, next, time) = (epoch.unsigned_abs(), next.unsigned_abs(), Timestamp::from_ms(time));
    let producer = Producer { id: id.unsigned_abs(), epoch, next, at: from_sql(offset), time };
    Ok((topic, name, producer))
}

/// Writes a producer's row.
pub(super) fn save(
    connection: &Connection,
    (topic, name): (&Topic, &str),
    producer: &Producer,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO producers (id, topic, producer, epoch, next, offset, time, checksum)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
               ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, next = excluded.next,
               offset = excluded.offset, time = excluded.time, checksum = excluded.checksum";
    let [id, epoch, next] = [producer.id, producer.epoch, producer.next].map(u64::cast_signed);
    let numbers = [id, epoch, next, to_sql(producer.at), producer.time.as_ms()];
    let sum = sums::of_row(&numbers, &[topic.as_str().as_bytes(), name.as_bytes()]);
    let row = (id, topic.as_str(), name, epoch, next, numbers[3], numbers[4], sum);
    connection.prepare_cached(sql)?.execute(row).map(drop)
}

/// Writes the rows that a transaction changes.
pub(super) fn save_staged(connection: &Connection, staged: &StagedFences) -> rusqlite::Result<()> {
    let mut producers = staged.producers();
    producers.try_for_each(|it| save(connection, (&it.topic, &it.name), &it.producer))
}

/// Removes the rows of those that are forgotten.
pub(super) fn delete(connection: &Connection, idle: &IdleProducers) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM producers WHERE id = ?1")?;
    idle.ids().try_for_each(|id| delete.execute([id.cast_signed()]).map(drop))
}

/// Forgets some of those that have written nothing for long, in a transaction of its own. Returns
/// whether there may be more.
pub(super) fn step(
    connection: &Connection,
    fences: &mut Fences,
    (now, count_max): (&Now, usize),
) -> rusqlite::Result<bool> {
    let idle = fences.idle(now, count_max);
    if idle.ids().len() == 0 {
        return Ok(false);
    }
    let transaction = begin(connection)?;
    delete(&transaction, &idle)?;
    transaction.commit()?;
    fences.forgotten(&idle);
    Ok(true)
}
