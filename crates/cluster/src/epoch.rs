//! The epoch of the log, which all nodes share, and whether the log is still the one that was followed.
//!
//! ```text
//! register `epoch`:  ordinal 3 │ e2718 │ a tail: 4711, checksum │ floor │ shift, base
//! ```
//!
//! An offset means nothing without its epoch, so whoever finds that something is gone which it has
//! applied, or is another thing there, raises the epoch: it sets the register from what it was, which
//! of all that find it at once one can do, and the others take what that one has set. Whatever a replica
//! has then is forgotten, and the log is applied from its beginning.
//!
//! The ordinal only grows. A register that has a smaller one than a node has seen is of an old copy of
//! the engine, and its epoch is raised, too: offsets of it were used for other events since. The tail
//! is set anew now and then, so that a node whose own tail was trimmed meanwhile can tell that the log
//! has had it.
//!
//! An epoch may begin with what a replica has already, its *base* ([`crate::founding`]), which is in no entry
//! of the log: whoever has it not gets a snapshot of somebody who has.

use bellwire_model::Epoch;
use bellwire_shared_log::{Error as LogError, Generation, Position, Register, SharedLog, Span};
use bytes::Bytes;

use crate::Error;
use crate::envelope;
use crate::fields::{Fields, put_number};
use crate::founding;
use crate::order::Tail;
use crate::places::Shift;

/// The register's name.
pub(crate) const REGISTER: &str = "epoch";

const VERSION: u8 = 1;

/// The same where there is a base, which what knows the first version alone would lack.
const VERSION_WITH_BASE: u8 = 2;

/// How often it is looked again where others set the register meanwhile.
const LOOKS_MAX: usize = 8;

/// What the register says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) epoch: Epoch,
    /// How many there were.
    pub(crate) ordinal: u64,
    /// An entry that the log has had.
    pub(crate) tail: Option<Tail>,
    /// Up to where the log was gone when the epoch began. Whoever begins in it begins behind there:
    /// what counts is a function of all that was applied in it, so nobody begins later.
    pub(crate) floor: Position,
    /// How far its offsets are ahead of the log.
    pub(crate) shift: Shift,
    /// Whether it began with what a replica had, which nobody finds in the log.
    pub(crate) has_base: bool,
}

impl Mark {
    /// One that begins with nothing, behind there.
    pub(crate) fn of_nothing(epoch: Epoch, ordinal: u64, floor: Position) -> Self {
        Self { epoch, ordinal, tail: None, floor, shift: Shift::NONE, has_base: false }
    }

    pub(crate) fn encode(self) -> Bytes {
        let has_more = self.has_base || self.shift != Shift::NONE;
        let mut value = vec![if has_more { VERSION_WITH_BASE } else { VERSION }];
        let (position, checksum) =
            self.tail.map_or((0, 0), |tail| (tail.position.get(), tail.checksum));
        let floor = self.floor.get();
        for number in [self.epoch.get().into(), self.ordinal, position, checksum.into(), floor] {
            put_number(&mut value, number);
        }
        if has_more {
            put_number(&mut value, self.shift.get());
            value.push(self.has_base.into());
        }
        value.into()
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Error> {
        let other = |what| Error::Register { register: REGISTER.into(), what };
        let mut fields = Fields::of(value);
        let has_more = match fields.byte() {
            Ok(VERSION) => false,
            Ok(VERSION_WITH_BASE) => true,
            _ => return Err(other("it is of another version, or of something else")),
        };
        let mut number = || fields.number().map_err(|_| other("it ends too early"));
        let (epoch, ordinal, position, checksum) = (number()?, number()?, number()?, number()?);
        let tail = Tail { position: Position::new(position), checksum: checksum as u32 };
        let tail = (position > 0).then_some(tail);
        let floor = Position::new(number()?);
        let (shift, has_base) = if has_more { (number()?, number()? > 0) } else { (0, false) };
        let (epoch, shift) = (Epoch::new(epoch as u32), Shift::new(shift));
        Ok(Self { epoch, ordinal, tail, floor, shift, has_base })
    }
}

impl Mark {
    /// Has a replica begin in this epoch, if the log still has all of it.
    pub(crate) fn anew(self, span: Span) -> Result<Verdict, Error> {
        if self.has_base {
            return Err(Error::Lacking { epoch: self.epoch });
        }
        if span.trimmed > self.floor {
            return Err(Error::Behind { epoch: self.epoch, trimmed: span.trimmed });
        }
        Ok(Verdict::Anew(self))
    }
}

/// What a replica has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) epoch: Epoch,
    /// The ordinal of that, where it is known.
    pub(crate) ordinal: u64,
    /// Behind which place it began.
    pub(crate) began: Position,
    /// What it applied last, if anything.
    pub(crate) tail: Option<Tail>,
    /// What it has is to be the base of an epoch, whose offsets are so far ahead of the log.
    pub(crate) base: Option<Shift>,
}

impl Own {
    /// What a cluster is to begin with that has nothing yet.
    fn founds(&self) -> Option<Shift> {
        self.base.filter(|_| self.tail.is_none())
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on behind what was applied.
    Same(Mark),
    /// Forget all, and begin behind the mark's floor.
    Anew(Mark),
}

/// Whether what a replica has is still what the log has; raises the epoch where it is not.
pub(crate) fn attend(log: &dyn SharedLog, own: Own) -> Result<Verdict, Error> {
    for _ in 0..LOOKS_MAX {
        let register = log.register(REGISTER)?;
        let span = log.span()?;
        let mark = match mark_of(&register)? {
            Some(mark) => mark,
            None => match begin(log, own, span)? {
                Some(mark) => mark,
                None => continue,
            },
        };
        if own.founds().is_some() && (mark.epoch != own.epoch || !mark.has_base) {
            // It would be forgotten here, and nobody else has it.
            return Err(Error::Taken);
        }
        if mark.ordinal < own.ordinal {
            tracing::error!("The engine has gone back to an older state; the epoch is raised.");
        } else if mark.epoch != own.epoch {
            return mark.anew(span);
        } else {
            match look(log, own, (mark, span))? {
                Look::Same => return Ok(Verdict::Same(mark)),
                Look::Behind => return mark.anew(log.span()?),
                Look::Lost => {
                    tracing::error!(
                        "The log has lost what it had acknowledged; the epoch is raised."
                    );
                }
            }
        }
        let ordinal = own.ordinal.max(mark.ordinal) + 1;
        let floor = log.span()?.trimmed;
        let raised = Mark::of_nothing(another(own.epoch), ordinal, floor);
        match log.set_register(REGISTER, register.generation, raised.encode()) {
            Ok(_) => return raised.anew(log.span()?),
            // Another has raised it, or has set a newer tail: what is it now?
            Err(LogError::Changed(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(LogError::Away("others set its epoch again and again".into()).into())
}

pub(crate) fn mark_of(register: &Register) -> Result<Option<Mark>, Error> {
    if register.generation == Generation::NEVER {
        return Ok(None);
    }
    Mark::decode(&register.value).map(Some)
}

/// The register was never set: a cluster begins, or all was lost.
fn begin(log: &dyn SharedLog, own: Own, span: Span) -> Result<Option<Mark>, Error> {
    let is_first = own.tail.is_none() && own.ordinal == 0 && span.tail == Position::START;
    let epoch = if is_first { own.epoch } else { another(own.epoch) };
    let mark = match own.founds() {
        Some(_) if founding::has_entries(log)? => return Err(Error::Taken),
        Some(shift) => founding::mark(own.epoch, shift),
        None => Mark::of_nothing(epoch, own.ordinal + 1, span.trimmed),
    };
    match log.set_register(REGISTER, Generation::NEVER, mark.encode()) {
        Ok(_) => Ok(Some(mark)),
        Err(LogError::Changed(_)) => Ok(None),
        Err(error) => Err(error.into()),
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
    let mark = Mark { tail: Some(tail), ..mark };
    match log.set_register(REGISTER, register.generation, mark.encode()) {
        Ok(_) => Ok(true),
        Err(LogError::Changed(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The epoch that the register has, if it has one.
pub(crate) fn current(log: &dyn SharedLog) -> Result<Option<Epoch>, Error> {
    Ok(mark_of(&log.register(REGISTER)?)?.map(|mark| mark.epoch))
}

/// How far the offsets of an epoch are ahead of the log, where the register is of that epoch. It is the same
/// for as long as the epoch is.
pub(crate) fn shift_of(log: &dyn SharedLog, epoch: Epoch) -> Result<Option<Shift>, Error> {
    let mark = mark_of(&log.register(REGISTER)?)?.filter(|mark| mark.epoch == epoch);
    Ok(mark.map(|mark| mark.shift))
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
