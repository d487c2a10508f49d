//! A cluster that begins with what a server has that stood alone.
//!
//! ```text
//! offsets   1 … 40 000           │ 49152 …                      shift: 2 places
//!           base: a replica's    │ the log's first entry, at place 1
//! ```
//!
//! Nothing of the base goes through the log: the first node has it, and the others get a snapshot. The epoch
//! is that of the server, and so are its offsets: what the log has comes behind them. Only an empty log can
//! be begun so. Who begins says it in the register of the epoch, of all that try at once one.

use std::time::Duration;

use bellwire_journal::RecordChange;
use bellwire_model::{Epoch, Offset};
use bellwire_shared_log::{Ended, Error as LogError, Position, SharedLog};

use crate::Error;
use crate::epoch::{self, Mark, REGISTER};
use crate::fields::{Fields, put_number};
use crate::order::PREFIX;
use crate::places::Shift;

/// Where a replica has that it is the base of an epoch.
pub(crate) const BASE: &str = "cluster/base";

/// How long is waited for an entry before it is taken that the log has none.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a log stands to a journal that it may be begun with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Founding {
    /// It is empty, and nobody has begun.
    Open,
    /// It was begun with this journal, or by it, and has nothing yet.
    Begun,
    /// It was begun with something else, or has entries.
    Taken,
}

/// How a log stands to a journal of this epoch. Waits for the engine.
pub fn founding(log: &dyn SharedLog, epoch: Epoch) -> Result<Founding, Error> {
    let mark = epoch::mark_of(&log.register(REGISTER)?)?;
    Ok(match mark {
        Some(mark) if !is_of(mark, epoch) => Founding::Taken,
        _ if has_entries(log)? => Founding::Taken,
        Some(_) => Founding::Begun,
        None => Founding::Open,
    })
}

/// Begins a log with a journal of this epoch that ends there. Whoever has begun may do so again, as long as
/// the log has no entry. Waits for the engine.
pub fn found(log: &dyn SharedLog, (epoch, tail): (Epoch, Offset)) -> Result<(), Error> {
    let register = log.register(REGISTER)?;
    let before = epoch::mark_of(&register)?;
    let mark = mark(epoch, Shift::behind(tail));
    if before == Some(mark) {
        return Ok(());
    }
    if before.is_some_and(|before| !is_of(before, epoch)) || has_entries(log)? {
        return Err(Error::Taken);
    }
    match log.set_register(REGISTER, register.generation, mark.encode()) {
        Ok(_) => Ok(()),
        Err(LogError::Changed(_)) => Err(Error::Taken),
        Err(error) => Err(error.into()),
    }
}

/// What is to be changed in the records of a journal that ends there, so that it is a base: with those that
/// it has whose keys begin with [`RECORDS`].
pub fn records_of_base<'a>(
    tail: Offset,
    before: impl IntoIterator<Item = &'a str>,
) -> Vec<RecordChange> {
    // Of a life as another cluster's node.
    let old = before.into_iter().map(|key| RecordChange { key: key.into(), value: None });
    let mut shift = Vec::new();
    put_number(&mut shift, Shift::behind(tail).get());
    let base = RecordChange { key: BASE.into(), value: Some(shift.into()) };
    old.chain([base]).collect()
}

/// Whose keys begin so are records of a node's own.
pub const RECORDS: &str = PREFIX;

/// How the epoch of such a cluster begins.
pub(crate) fn mark(epoch: Epoch, shift: Shift) -> Mark {
    let ordinal = 1;
    Mark { epoch, ordinal, tail: None, floor: Position::START, shift, has_base: true }
}

/// What a record says of it.
pub(crate) fn base(value: &[u8]) -> Result<Shift, Error> {
    Fields::of(value).number().map(Shift::new)
}

fn is_of(mark: Mark, epoch: Epoch) -> bool {
    mark == self::mark(epoch, mark.shift)
}

/// Whether there is anything in the log, or was.
pub(crate) fn has_entries(log: &dyn SharedLog) -> Result<bool, Error> {
    let span = log.span()?;
    if span.tail == Position::START {
        return Ok(false);
    }
    // Where registers are in the log as well it has an end, and nothing before it.
    let mut following = match log.follow(Position::START) {
        Err(LogError::Trimmed(_)) => return Ok(true),
        following => following?,
    };
    match following.next(PATIENCE) {
        Ok(entries) => Ok(!entries.is_empty()),
        Err(Ended::Trimmed(_)) => Ok(true),
        Err(Ended::Lost(why)) => Err(LogError::Away(why).into()),
    }
}

#[cfg(test)]
mod tests;
