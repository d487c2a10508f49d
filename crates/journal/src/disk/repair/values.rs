//! Takes what is whole of state topics into a new database.

use bellwire_model::{Offset, Topic};
use rusqlite::Connection;
use rustc_hash::FxHashMap;

use crate::disk::reader::{OFFSET, TOPIC};
use crate::disk::rows::{EventRows, EventTable};
use crate::disk::sums::EventSums;
use crate::disk::{schema, state};
use crate::topics::TopicId;

/// What became of the values of state topics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Salvaged {
    pub(super) kept: u64,
    /// As far as they could be counted.
    pub(super) lost: u64,
}

/// From both ends, since what lies behind damage cannot be had in its order. What a lost row had
/// replaced may count again.
pub(super) fn salvage(source: &Connection, target: &Connection) -> rusqlite::Result<Salvaged> {
    let mut names: FxHashMap<TopicId, (Topic, Offset)> = FxHashMap::default();
    for order in ["ASC", "DESC"] {
        let sql =
            format!("SELECT id, name, horizon, checksum FROM state_topics ORDER BY id {order}");
        let Ok(mut select) = source.prepare(&sql) else { continue };
        let mut rows = select.query([])?;
        while let Ok(Some(row)) = rows.next() {
            let Ok((id, topic, horizon)) = state::topic(row) else { continue };
            names.insert(id, (topic, horizon));
        }
    }
    let transaction = schema::begin(target)?;
    for (id, (topic, horizon)) in &names {
        state::save_topic(&transaction, *id, (topic.as_str(), *horizon))?;
    }
    let mut salvaged = Salvaged::default();
    let mut values = EventRows::new(&transaction, EventTable::State)?;
    // Those from the other end come once more where nothing is damaged.
    let mut end = Offset::ZERO;
    for order in ["ASC", "DESC"] {
        let Ok(mut select) = source.prepare(&format!("{} {order}", state::SELECT_BARE)) else {
            continue;
        };
        let mut rows = select.query([])?;
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let offset = schema::from_sql(row.get(OFFSET)?);
                    if order == "DESC" && offset <= end {
                        break;
                    }
                    end = if order == "ASC" { offset } else { end };
                    let topic = TopicId(row.get(TOPIC)?);
                    let name = names.get(&topic).map(|(name, _)| name.clone());
                    let sums = |name: &Topic| EventSums::new(name);
                    match name.map(|name| state::entry(row, (name.clone(), &sums(&name)))) {
                        Some(Ok(entry)) => {
                            values.insert(topic, &entry)?;
                            salvaged.kept += 1;
                        }
                        None | Some(Err(_)) => salvaged.lost += 1,
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    // How many there are between the two ends nobody knows.
                    salvaged.lost = salvaged.lost.max(1);
                    break;
                }
            }
        }
    }
    drop(values);
    salvage_deadlines(source, &transaction)?;
    transaction.commit()?;
    Ok(salvaged)
}

/// From both ends, those whose values are kept. A key whose time is lost stays.
fn salvage_deadlines(source: &Connection, target: &Connection) -> rusqlite::Result<()> {
    let mut is_kept = target.prepare("SELECT 1 FROM state WHERE offset = ?1")?;
    for order in ["ASC", "DESC"] {
        let select = format!("{} {order}", state::SELECT_DEADLINES);
        let Ok(mut select) = source.prepare(&select) else { continue };
        let mut rows = select.query([])?;
        loop {
            match rows.next().map(|row| row.map(state::deadline)) {
                Ok(Some(Ok(deadline))) if is_kept.exists([schema::to_sql(deadline.value)])? => {
                    state::save_deadlines(target, &[deadline])?;
                }
                Ok(Some(_)) => {}
                // All were there, from the first to the last.
                Ok(None) => return Ok(()),
                Err(_) => break,
            }
        }
    }
    Ok(())
}
