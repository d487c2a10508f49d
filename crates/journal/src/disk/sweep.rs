//! Retention on the disk: a few blocks a step, each step one transaction of the writer.
//!
//! A step reads the small columns of a block's events, asks the rules about each, deletes what
//! goes, and puts the summary of what is left in place of the old one.

use bellwire_model::Offset;
use bellwire_model::limits::{RETENTION_STEP_BLOCKS_MAX, RETENTION_STEP_LOOKS_MAX};
use rusqlite::Connection;
use rustc_hash::FxHashMap;

use super::block_number::BlockNumber;
use super::blocks::{Mark, RemovedByTopic, Summary, Tally};
use super::bounds::StoreBounds;
use super::index::{Index, SharedIndex, Sweep};
use super::keys::Keys;
use super::present::{Missing, Offsets, Present};
use super::reader::is_damage;
use super::rows::{self, MARKS, mark, save_blocks, trim_topic};
use super::schema::{begin, damaged, set_meta, to_sql};

use crate::steps::Now;
use crate::topics::{TopicId, Topics};

/// What retention works on.
#[derive(Debug)]
pub(super) struct Swept<'a> {
    pub(super) connection: &'a Connection,
    pub(super) index: &'a SharedIndex,
    pub(super) keys: &'a mut Keys,
    /// Full blocks that are not in their table yet.
    pub(super) unsaved: &'a mut Vec<(BlockNumber, Summary)>,
    pub(super) bounds: StoreBounds,
}

/// One step of retention, from `from` on. Returns where the next one begins; nothing at the end.
pub(super) fn step(
    swept: &mut Swept<'_>,
    from: Offset,
    now: &Now,
) -> rusqlite::Result<Option<Offset>> {
    let (due, next) = due(swept, from, now);
    if !due.is_empty()
        && let Err(Damaged(number, counted)) = sweep(swept, &due, now)?
    {
        swept.index.write().pass_by(number, &counted);
        // The others of these once more, without it.
        return Ok(Some(from));
    }
    if next.is_some() {
        return Ok(next);
    }
    // The events are done: now the names.
    let more_keys = swept.keys.forget(swept.connection, swept.bounds.keys, now)?;
    let more_topics = forget_topics(swept)?;
    Ok((more_keys || more_topics).then_some(Offset::MAX))
}

/// The next few blocks that may have events to remove, and where to look after them.
fn due(swept: &Swept<'_>, from: Offset, now: &Now) -> (Vec<BlockNumber>, Option<Offset>) {
    let index = swept.index.read();
    let retention = &index.retention;
    let (mut due, mut looks) = (Vec::new(), 0);
    // The same for all blocks, but for those around a step of the clock.
    let mut horizon_at = None;
    for (number, block) in index.blocks.from(BlockNumber::of(from)) {
        if looks >= RETENTION_STEP_LOOKS_MAX || due.len() == RETENTION_STEP_BLOCKS_MAX {
            return (due, Some(number.first()));
        }
        let (first, last) = index.blocks.range(number);
        let now = now.latest(first, last);
        let mut goes = |id: &TopicId| {
            looks += 1;
            let rule = index.topics.get(*id).and_then(|state| state.rule);
            retention.drops(rule, block.oldest, now)
        };
        let known = horizon_at.filter(|(at, _)| *at == now);
        let (_, horizon) =
            *horizon_at.insert(known.unwrap_or_else(|| (now, retention.horizon(now))));
        let may_be_due = block.oldest <= horizon && !index.damaged.contains(&number);
        if may_be_due && block.topics.iter().any(&mut goes) {
            due.push(number);
        }
        looks += 1;
    }
    (due, None)
}

/// A block that is damaged, and what was counted of it.
struct Damaged(BlockNumber, Vec<(TopicId, Tally)>);

/// Cleans the blocks; none of them where one is damaged.
fn sweep(
    swept: &mut Swept<'_>,
    due: &[BlockNumber],
    now: &Now,
) -> rusqlite::Result<Result<(), Damaged>> {
    let transaction = begin(swept.connection)?;
    save_blocks(&transaction, swept.unsaved)?;
    let sweep = {
        let index = swept.index.read();
        let mut cleaning = Cleaning::new(&transaction, &index, now);
        for number in due {
            match cleaning.clean(*number) {
                Ok(()) => {}
                Err(error) if is_damaged(&error) => {
                    let counted = match cleaning.counted(*number) {
                        Err(error) if is_damaged(&error) => Vec::new(),
                        counted => counted?,
                    };
                    return Ok(Err(Damaged(*number, counted)));
                }
                Err(error) => return Err(error),
            }
        }
        cleaning.sweep
    };
    save_trimmed(&transaction, &swept.index.read().topics, &sweep.removed)?;

    // Under the lock: no reader may see the one without the other.
    let mut index = swept.index.write();
    transaction.commit()?;
    index.blocks.saved(swept.unsaved);
    index.swept(sweep);
    swept.unsaved.clear();
    Ok(Ok(()))
}

/// Whether it is the file that contradicts itself. Without a code it is a value that there is not.
fn is_damaged(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code().is_none() || is_damage(error)
}

/// A transaction that removes events, and what it changes.
struct Cleaning<'a> {
    connection: &'a Connection,
    index: &'a Index,
    now: &'a Now,
    sweep: Sweep,
}

impl<'a> Cleaning<'a> {
    fn new(connection: &'a Connection, index: &'a Index, now: &'a Now) -> Self {
        let retention = index.retention.clone();
        let sweep = Sweep { removed: FxHashMap::default(), left: Vec::new(), retention };
        Self { connection, index, now, sweep }
    }

    fn clean(&mut self, number: BlockNumber) -> rusqlite::Result<()> {
        let counted = self.counted(number)?;
        let (marks, missing) = self.marks(number)?;
        let lost = lost(&counted, &marks)?;
        for (topic, tally) in &lost {
            self.count_out(*topic, tally);
        }
        let (goes, mut left) = self.judge(&marks, number);
        left.expect(&missing);
        // Who follows what is lost is told by the block's other events of the topic, or by what was
        // removed of it.
        for (topic, tally) in lost.iter().filter(|(topic, _)| !left.has(*topic)) {
            let removed = self.sweep.removed.entry(*topic).or_default();
            removed.newest = removed.newest.max(tally.last);
        }
        if goes.is_empty() && lost.is_empty() {
            return Ok(());
        }
        self.delete(number, &goes, &left)?;
        let replacement = (number, left);
        // An open block gets its rows when it is full.
        if !self.index.blocks.is_open(number) {
            save_blocks(self.connection, std::slice::from_ref(&replacement))?;
        }
        self.sweep.left.push(replacement);
        Ok(())
    }

    /// What was counted of a block when it was written.
    fn counted(&self, number: BlockNumber) -> rusqlite::Result<Vec<(TopicId, Tally)>> {
        let open = self.index.blocks.counted_open(number);
        open.map_or_else(|| rows::counted(self.connection, number), Ok)
    }

    /// What is there of a block, and what is missing although it must be there.
    fn marks(&self, number: BlockNumber) -> rusqlite::Result<(Vec<Mark>, Offsets)> {
        let blocks = &self.index.blocks;
        let (first, last) = blocks.range(number);
        let present = match blocks.present(number) {
            Present::Stored => rows::present(self.connection, number)?.unwrap_or_default(),
            present => present,
        };
        let mut missing = Missing::of((first, last), (present, blocks.layout(number)));
        let mut select = self.connection.prepare_cached(MARKS)?;
        let mut rows = select.query((to_sql(first), to_sql(last)))?;
        let mut marks = Vec::new();
        while let Some(row) = rows.next()? {
            let mark = mark(row, &self.index.topics)?;
            missing.found(mark.offset);
            marks.push(mark);
        }
        Ok((marks, missing.offsets()))
    }

    /// What is lost takes no room of what its rule keeps.
    fn count_out(&mut self, topic: TopicId, lost: &Tally) {
        let rule = self.index.topics.get(topic).and_then(|state| state.rule);
        self.sweep.retention.remove(rule, lost.events, lost.bytes);
        self.sweep.removed.entry(topic).or_default().add_lost(lost.events, lost.bytes);
    }

    /// Asks retention about each event of a block: which go, and what is left.
    fn judge(&mut self, marks: &[Mark], number: BlockNumber) -> (Vec<Offset>, Summary) {
        let mut left = Summary::empty(self.index.blocks.layout(number));
        let mut goes = Vec::new();
        for mark in marks {
            let rule = self.index.topics.get(mark.topic).and_then(|state| state.rule);
            if self.sweep.retention.drops(rule, mark.time, self.now.at(mark.offset)) {
                self.sweep.retention.remove(rule, 1, mark.bytes);
                self.sweep.removed.entry(mark.topic).or_default().add(mark.offset, mark.bytes);
                goes.push(mark.offset);
            } else {
                left.add(*mark);
            }
        }
        (goes, left)
    }

    /// Deletes events of a block, all at once where nothing is left, and what its table says.
    fn delete(&self, number: BlockNumber, goes: &[Offset], left: &Summary) -> rusqlite::Result<()> {
        let delete = "DELETE FROM events WHERE offset BETWEEN ?1 AND ?2";
        let mut delete = self.connection.prepare_cached(delete)?;
        if left.is_empty() {
            let (first, last) = self.index.blocks.range(number);
            delete.execute((to_sql(first), to_sql(last)))?;
        } else {
            for offset in goes {
                delete.execute((to_sql(*offset), to_sql(*offset)))?;
            }
        }
        for table in ["blocks", "holes"] {
            let delete = format!("DELETE FROM {table} WHERE block = ?1");
            self.connection.prepare_cached(&delete)?.execute([number.0 as i64])?;
        }
        Ok(())
    }
}

/// What was counted of a block and is not there. Fails where there is more of a topic than was
/// counted: then an event is not what was written, and counting it out would go wrong.
fn lost(counted: &[(TopicId, Tally)], marks: &[Mark]) -> rusqlite::Result<Vec<(TopicId, Tally)>> {
    let mut lost: FxHashMap<TopicId, Tally> = counted.iter().copied().collect();
    for mark in marks {
        let more = || damaged("a block has more events of a topic than were written");
        let tally = lost.get_mut(&mark.topic).filter(|tally| tally.events > 0);
        let tally = tally.ok_or_else(more)?;
        tally.events -= 1;
        tally.bytes = tally.bytes.saturating_sub(mark.bytes);
    }
    lost.retain(|_, tally| tally.events > 0 || tally.bytes > 0);
    Ok(lost.into_iter().collect())
}

/// Notes the newest removed offset of each topic; with it the offset stays taken for ever.
fn save_trimmed(
    connection: &Connection,
    topics: &Topics,
    removed: &RemovedByTopic,
) -> rusqlite::Result<()> {
    for (topic, removed) in removed {
        let state = topics.get(*topic).ok_or_else(|| damaged("an event of an unknown topic"))?;
        let trimmed = removed.newest.max(state.trimmed);
        trim_topic(connection, (*topic, &state.topic), (trimmed, state.ended))?;
    }
    Ok(())
}

/// Forgets topics without events once they are more than half of what the journal holds at most.
/// Returns whether there may be more.
fn forget_topics(swept: &Swept<'_>) -> rusqlite::Result<bool> {
    let emptied = {
        let index = swept.index.read();
        let is_crowded = index.topics.len() > swept.bounds.topics / 2;
        if is_crowded { index.topics.emptied(RETENTION_STEP_LOOKS_MAX) } else { Vec::new() }
    };
    if emptied.is_empty() {
        return Ok(false);
    }
    let transaction = begin(swept.connection)?;
    {
        let mut delete = transaction.prepare_cached("DELETE FROM topics WHERE id = ?1")?;
        for (id, _) in &emptied {
            delete.execute([id.0])?;
        }
    }
    let newest = emptied.iter().map(|(_, trimmed)| *trimmed).max().unwrap_or_default();
    let mut index = swept.index.write();
    let forgotten = newest.max(index.topics.forgotten());
    set_meta(&transaction, "forgotten", to_sql(forgotten))?;
    transaction.commit()?;
    index.topics.forget(&emptied);
    index.sweeps += 1;
    Ok(emptied.len() == RETENTION_STEP_LOOKS_MAX)
}
