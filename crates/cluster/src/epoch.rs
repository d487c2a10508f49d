//! The epoch of the log, which all nodes share, and whether the log is still the one that was followed.
//!
//! ```text
//! register `epoch`:  ordinal 3 │ e2718 │ a tail: 4711, checksum │ floor │ base: e1414, 9000, fingerprint │ shift
//!                    cluster 577215 │ epochs of before: e1414, e1618
//! ```
//!
//! An offset means nothing without its epoch, so whoever finds that something is gone which it has
//! applied, or is another thing there, raises the epoch: it sets the register from what it was, which
//! of all that find it at once one can do, and the others take what that one has set.
//!
//! What the raiser has is the *base* of the new epoch: a replica in which so much was applied, in that order
//! ([`crate::order`]). Behind it all counts that the log has, which is what is behind the floor, but for what
//! the base has already. Places in the new epoch are those of the log and a shift, so that all of them are
//! beyond those of the base. Who has exactly the base goes on with it, everybody else needs a snapshot of
//! one who does. Who raises without having anything sets no base: then all forget what they have, and begin
//! behind the floor. The first epoch of a cluster has a base as well where it begins with what a server has
//! that stood alone ([`crate::founding`]).
//!
//! The ordinal only grows. A register that has a smaller one than a node has seen is of an old copy of
//! the engine, and its epoch is raised, too: offsets of it were used for other events since. So is that of
//! another epoch with the ordinal of a node's own: whoever has set it did not know of that. The tail
//! is set anew now and then, so that a node whose own tail was trimmed meanwhile can tell that the log
//! has had it.
//!
//! All of it is of one cluster ([`crate::identity`]): with the data of another one nothing of it is set.

use bellwire_model::Epoch;
use bellwire_shared_log::{Error as LogError, Generation, Position, SharedLog, Span};

use crate::Error;
use crate::envelope;
use crate::founding;
use crate::identity::{ClusterId, Past};
use crate::mark::{Base, Mark, REGISTER, mark_of};
use crate::order::Tail;

/// How often it is looked again where others set the register meanwhile.
const LOOKS_MAX: usize = 8;

impl Mark {
    /// Has a replica begin in this epoch, if the log still has all of it.
    pub(crate) fn anew(self, own: Own, span: Span) -> Result<Verdict, Error> {
        let has_base = self.base.is_none() || self.base == own.base();
        if own.epoch != self.epoch && !has_base {
            return Err(Error::LacksBase { epoch: self.epoch });
        }
        if span.trimmed > self.floor || !has_base {
            return Err(Error::Behind { epoch: self.epoch, trimmed: span.trimmed });
        }
        Ok(if self.base.is_some() { Verdict::GoesOn(self) } else { Verdict::Anew(self) })
    }
}

/// What a replica has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) epoch: Epoch,
    /// The newest ordinal that is known.
    pub(crate) ordinal: u64,
    /// That of its epoch, where the replica has it.
    pub(crate) kept_ordinal: u64,
    /// Up to which place it was applied, or behind which it began.
    pub(crate) place: Position,
    /// Where that is in the log.
    pub(crate) began: Position,
    /// What it applied last of the log, and where that is there, if anything was.
    pub(crate) tail: Option<Tail>,
    /// Of all that it has ever applied, if anything was.
    pub(crate) fingerprint: Option<u64>,
    /// Which cluster it is of, where that is known.
    pub(crate) cluster: Option<ClusterId>,
}

impl Own {
    /// What it would be as a base; nothing where it has nothing.
    pub(crate) fn base(&self) -> Option<Base> {
        let Self { epoch, place, .. } = *self;
        self.fingerprint.map(|fingerprint| Base { epoch, place, fingerprint })
    }

    /// Fails where a log is of another cluster.
    fn check_cluster(&self, mark: &Mark) -> Result<(), Error> {
        let Some(log) = mark.cluster else { return Ok(()) };
        let is_own = match self.cluster {
            // Who has nothing may go anywhere.
            _ if self.fingerprint.is_none() => true,
            Some(cluster) => cluster == log,
            None => mark.has_had(self.epoch),
        };
        let own = self.cluster.map(ClusterId::get);
        if is_own { Ok(()) } else { Err(Error::OtherCluster { own, log: log.get() }) }
    }

    /// The base that a cluster is to begin with, which was never a node's of any.
    pub(crate) fn foundation(&self) -> Option<Base> {
        self.base().filter(|_| self.kept_ordinal == 0)
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on behind what was applied.
    Same(Mark),
    /// Forget all, and begin behind the mark's floor.
    Anew(Mark),
    /// Go on with all that there is, in the mark's epoch.
    GoesOn(Mark),
    /// The epoch is to be raised, by whoever may.
    Lost,
}

/// Whether the epoch is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Raise {
    /// Whoever asks is told.
    No,
    /// It is.
    Yes,
    /// Also where it is this one: nobody is there who has its base.
    InPlaceOf(Epoch),
}

/// Whether what a replica has is still what the log has; raises the epoch where it is not.
pub(crate) fn attend(log: &dyn SharedLog, own: Own, raise: Raise) -> Result<Verdict, Error> {
    let has_seen_none = own.ordinal == 0;
    // Who has nothing has nothing to lose, and must not outdo those who have.
    let ordinal = own.fingerprint.map_or(0, |_| own.ordinal);
    let own = Own { ordinal, ..own };
    for _ in 0..LOOKS_MAX {
        let register = log.register(REGISTER)?;
        let span = log.span()?;
        let mark = mark_of(&register)?;
        if let Some(base) = own.foundation() {
            let Some(mark) = mark else {
                founding::found(log, (base, own.cluster))?;
                continue;
            };
            // What it has would be forgotten here, and nobody else has it.
            if mark.base != Some(base) {
                return Err(Error::Taken);
            }
        }
        if let Some(mark) = &mark {
            own.check_cluster(mark)?;
        }
        let verdict = match mark {
            Some(mark) if raise == Raise::InPlaceOf(mark.epoch) => Verdict::Lost,
            Some(mark) => compare(log, own, (mark, span))?,
            None if own.fingerprint.is_none() => match begin(log, own, (span, has_seen_none))? {
                Some(mark) if mark.epoch == own.epoch => Verdict::Same(mark),
                Some(mark) => mark.anew(own, span)?,
                None => continue,
            },
            None => Verdict::Lost,
        };
        if verdict != Verdict::Lost || raise == Raise::No {
            return Ok(verdict);
        }
        if let Some((raised, span)) = set(log, own, (register.generation, mark))? {
            return raised.anew(own, span);
        }
        // Another has raised it, or has set a newer tail: what is it now?
    }
    Err(LogError::Away("others set its epoch again and again".into()).into())
}

/// Raises the epoch to what a replica has. Nothing, where the register was set by somebody else meanwhile.
fn set(
    log: &dyn SharedLog,
    own: Own,
    (mut generation, before): (Generation, Option<Mark>),
) -> Result<Option<(Mark, Span)>, Error> {
    let known = own.ordinal.max(before.map_or(0, |mark| mark.ordinal));
    let cluster = own.cluster.or(before.and_then(|mark| mark.cluster));
    let past = before.map_or(Past::default(), |mark| mark.past.with(mark.epoch)).with(own.epoch);
    // Where nobody can enter it any more, whoever has just done so has begun elsewhere: the next is another one.
    for ordinal in (known + 1..).take(LOOKS_MAX) {
        let (base, floor) = (own.base(), log.span()?.trimmed);
        let shift = base.map_or(0, |base| base.place.get().saturating_sub(floor.get()));
        let epoch = another(own.epoch);
        let raised = Mark { epoch, ordinal, tail: None, floor, base, shift, cluster, past };
        generation = match log.set_register(REGISTER, generation, raised.encode()) {
            Ok(generation) => generation,
            Err(LogError::Changed(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let span = log.span()?;
        if span.trimmed <= floor {
            return Ok(Some((raised, span)));
        }
    }
    Err(LogError::Away("it is trimmed again and again".into()).into())
}

/// The register was never set: a cluster begins, or all was lost.
fn begin(
    log: &dyn SharedLog,
    own: Own,
    (span, has_seen_none): (Span, bool),
) -> Result<Option<Mark>, Error> {
    let is_first = has_seen_none && span.tail == Position::START;
    let epoch = if is_first { own.epoch } else { another(own.epoch) };
    let (ordinal, floor) = (own.ordinal + 1, span.trimmed);
    let mark = Mark {
        epoch,
        ordinal,
        tail: None,
        floor,
        base: None,
        shift: 0,
        cluster: None,
        past: Past::default(),
    };
    match log.set_register(REGISTER, Generation::NEVER, mark.encode()) {
        Ok(_) => Ok(Some(mark)),
        Err(LogError::Changed(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What the register says, against what a replica has.
fn compare(log: &dyn SharedLog, own: Own, (mark, span): (Mark, Span)) -> Result<Verdict, Error> {
    let is_other = mark.epoch != own.epoch;
    let is_unknown = is_other && own.fingerprint.is_some() && mark.ordinal <= own.kept_ordinal;
    if mark.ordinal < own.ordinal || is_unknown {
        return Ok(Verdict::Lost);
    }
    if is_other {
        return mark.anew(own, span);
    }
    match look(log, own, (mark, span))? {
        Look::Same => Ok(Verdict::Same(mark)),
        Look::Behind => mark.anew(own, log.span()?),
        Look::Lost => Ok(Verdict::Lost),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Same,
    /// What comes next is gone, as it may be.
    Behind,
    Lost,
}

fn look(log: &dyn SharedLog, own: Own, (mark, span): (Mark, Span)) -> Result<Look, Error> {
    let Some(tail) = own.tail else {
        return Ok(if span.trimmed > own.began { Look::Behind } else { Look::Same });
    };
    if let Some(entry) = log.entry(tail.position)? {
        let is_same = envelope::checksum_of(&entry.batch) == Some(tail.checksum);
        return Ok(if is_same { Look::Same } else { Look::Lost });
    }
    // The trim may have been between the two looks.
    let span = if span.trimmed < tail.position { log.span()? } else { span };
    let has_had_it = match mark.tail {
        Some(marked) if marked.position == tail.position => marked.checksum == tail.checksum,
        Some(marked) => marked.position > tail.position,
        None => false,
    };
    Ok(match span.trimmed >= tail.position && has_had_it {
        true if span.trimmed > tail.position => Look::Behind,
        true => Look::Same,
        false => Look::Lost,
    })
}

/// Says that the log has had what was applied here, where the register does not say so yet. Returns whether
/// it says so: where it does not, the epoch is another one, or somebody else sets it.
pub(crate) fn refresh(log: &dyn SharedLog, epoch: Epoch, tail: Tail) -> Result<bool, Error> {
    let register = log.register(REGISTER)?;
    let Some(mark) = mark_of(&register)?.filter(|mark| mark.epoch == epoch) else {
        return Ok(false);
    };
    if mark.tail.is_some_and(|marked| marked.position >= tail.position) {
        return Ok(true);
    }
    put(log, register.generation, Mark { tail: Some(tail), ..mark })
}

/// Says which cluster the log of this epoch is of, where it does not say so. Where somebody else does so at
/// once it is theirs.
pub(crate) fn settle(log: &dyn SharedLog, epoch: Epoch, cluster: ClusterId) -> Result<bool, Error> {
    let register = log.register(REGISTER)?;
    let mark = mark_of(&register)?;
    match mark.filter(|mark| mark.epoch == epoch && mark.cluster.is_none()) {
        Some(mark) => put(log, register.generation, Mark { cluster: Some(cluster), ..mark }),
        None => Ok(false),
    }
}

/// Returns whether it was set: nobody else has meanwhile.
fn put(log: &dyn SharedLog, before: Generation, mark: Mark) -> Result<bool, Error> {
    match log.set_register(REGISTER, before, mark.encode()) {
        Ok(_) => Ok(true),
        Err(LogError::Changed(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What the register says, if it says something.
pub(crate) fn current(log: &dyn SharedLog) -> Result<Option<Mark>, Error> {
    mark_of(&log.register(REGISTER)?)
}

/// The epoch that the register has, if it has one.
pub(crate) fn current_epoch(log: &dyn SharedLog) -> Result<Option<Epoch>, Error> {
    Ok(current(log)?.map(|mark| mark.epoch))
}

/// A random epoch, other than this one.
fn another(epoch: Epoch) -> Epoch {
    loop {
        let other = Epoch::new(fastrand::u32(1..));
        if other != epoch {
            return other;
        }
    }
}

#[cfg(test)]
mod tests;
