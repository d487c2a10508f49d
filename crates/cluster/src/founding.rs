//! A cluster that begins with what a server has that stood alone.
//!
//! ```text
//! offsets   1 … 40 000           │ 49152 …                      shift: 2 places
//!           base: a replica's    │ the log's first entry, at place 1
//! ```
//!
//! Nothing of it goes through the log: it is the *base* of the first epoch ([`crate::epoch`]), which the first
//! node has, and of which the others get a snapshot. The epoch is that of the server, and so are its offsets:
//! what the log has comes behind them. Only an empty log can be begun so. Who begins says it in the register of
//! the epoch, of all that try at once one.

use std::time::Duration;

use bellwire_journal::RecordChange;
use bellwire_model::{Epoch, Offset};
use bellwire_shared_log::{Ended, Error as LogError, Position, SharedLog};

use crate::Error;
use crate::identity::{ClusterId, Past};
use crate::mark::{Base, Mark, REGISTER, mark_of};
use crate::order::{Began, PREFIX};
use crate::places::place_of;

/// Whose keys begin so are records of a node's own.
pub const RECORDS: &str = PREFIX;

/// The first epoch of a cluster.
const FIRST: u64 = 1;

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

impl Founding {
    /// How a log stands to a journal of this epoch. Waits for the engine.
    pub fn of(log: &dyn SharedLog, epoch: Epoch) -> Result<Self, Error> {
        let mark = mark_of(&log.register(REGISTER)?)?;
        Ok(match mark {
            Some(mark) if !is_of(mark, epoch) => Self::Taken,
            _ if has_entries(log)? => Self::Taken,
            Some(_) => Self::Begun,
            None => Self::Open,
        })
    }
}

/// What a cluster is to begin with: a journal that becomes a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foundation {
    began: Began,
    base: Base,
    cluster: ClusterId,
}

impl Foundation {
    /// A journal of this epoch that ends there. Its fingerprint is drawn: what a journal has been made of
    /// twice, such as before and after its server went on, is not the same.
    pub fn new(epoch: Epoch, tail: Offset) -> Self {
        let place = place_of(tail);
        let began = Began { place, shift: place.get(), fold: fastrand::u64(..) };
        let base = Base { epoch, place, fingerprint: began.fingerprint() };
        Self { began, base, cluster: ClusterId::random() }
    }

    /// What is to be changed in the records of the journal, which has these whose keys begin with [`RECORDS`].
    pub fn records<'a>(&self, before: impl IntoIterator<Item = &'a str>) -> Vec<RecordChange> {
        // Of a life as another cluster's node.
        let old = before.into_iter().map(|key| RecordChange { key: key.into(), value: None });
        old.chain([self.began.change(), self.cluster.change()]).collect()
    }

    /// Begins a log with it. Whoever has begun may do so again, as long as the log has no entry. Waits for
    /// the engine.
    pub fn found(&self, log: &dyn SharedLog) -> Result<(), Error> {
        found(log, (self.base, Some(self.cluster)))
    }
}

/// Begins a log with a base, of a cluster of its own where that has a number.
pub(crate) fn found(
    log: &dyn SharedLog,
    (base, cluster): (Base, Option<ClusterId>),
) -> Result<(), Error> {
    let register = log.register(REGISTER)?;
    let before = mark_of(&register)?;
    let mark = Mark { cluster, ..mark(base) };
    if before == Some(mark) {
        return Ok(());
    }
    if before.is_some_and(|before| !is_of(before, base.epoch)) || has_entries(log)? {
        return Err(Error::Taken);
    }
    match log.set_register(REGISTER, register.generation, mark.encode()) {
        Ok(_) => Ok(()),
        Err(LogError::Changed(_)) => Err(Error::Taken),
        Err(error) => Err(error.into()),
    }
}

/// How the epoch of such a cluster begins.
fn mark(base: Base) -> Mark {
    let (epoch, shift, base) = (base.epoch, base.place.get(), Some(base));
    let (tail, floor, cluster, past) = (None, Position::START, None, Past::default());
    Mark { epoch, ordinal: FIRST, tail, floor, base, shift, cluster, past }
}

/// Whether it began with a journal of this epoch. Any other base is of an epoch of before.
fn is_of(mark: Mark, epoch: Epoch) -> bool {
    mark.base.is_some_and(|base| {
        base.epoch == epoch && mark == Mark { cluster: mark.cluster, ..self::mark(base) }
    })
}

/// Whether there is anything in the log, or was.
fn has_entries(log: &dyn SharedLog) -> Result<bool, Error> {
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
