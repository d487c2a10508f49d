//! What the register of the epoch says, and how that is written.

use bellwire_model::Epoch;
use bellwire_shared_log::{Generation, Position, Register};
use bytes::Bytes;

use crate::Error;
use crate::fields::{Fields, put_number};
use crate::identity::{ClusterId, PAST_MAX, Past};
use crate::order::{Began, Tail};

/// The register's name.
pub(crate) const REGISTER: &str = "epoch";

const VERSION: u8 = 1;

/// With a base: who does not know of any must not begin behind the floor.
const VERSION_OF_BASE: u8 = 2;

/// A replica that an epoch begins on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    /// In which epoch.
    pub(crate) epoch: Epoch,
    /// Up to which place it was applied.
    pub(crate) place: Position,
    /// Of all that was.
    pub(crate) fingerprint: u64,
}

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
    /// What it goes on with.
    pub(crate) base: Option<Base>,
    /// How far places are beyond those of the log.
    pub(crate) shift: u64,
    /// Which cluster it is, once that is settled.
    pub(crate) cluster: Option<ClusterId>,
    /// The epochs before, which nodes may come back from.
    pub(crate) past: Past,
}

impl Mark {
    /// Whether it is this epoch, or one that it has come of.
    pub(crate) fn has_had(&self, epoch: Epoch) -> bool {
        let is_base = self.base.is_some_and(|base| base.epoch == epoch);
        self.epoch == epoch || is_base || self.past.epochs().any(|past| past == epoch)
    }

    pub(crate) fn encode(self) -> Bytes {
        let mut value = vec![if self.base.is_some() { VERSION_OF_BASE } else { VERSION }];
        let (position, checksum) =
            self.tail.map_or((0, 0), |tail| (tail.position.get(), tail.checksum));
        let floor = self.floor.get();
        for number in [self.epoch.get().into(), self.ordinal, position, checksum.into(), floor] {
            put_number(&mut value, number);
        }
        if let Some(Base { epoch, place, fingerprint }) = self.base {
            for number in [epoch.get().into(), place.get(), fingerprint, self.shift] {
                put_number(&mut value, number);
            }
        }
        // Who knows of no clusters reads no further.
        let past: Vec<Epoch> = self.past.epochs().collect();
        if self.cluster.is_some() || !past.is_empty() {
            put_number(&mut value, self.cluster.map_or(0, ClusterId::get));
            for epoch in past {
                put_number(&mut value, epoch.get().into());
            }
        }
        value.into()
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Error> {
        let other = |what| Error::Register { register: REGISTER.into(), what };
        let mut fields = Fields::of(value);
        let has_base = match fields.byte().ok() {
            Some(VERSION) => false,
            Some(VERSION_OF_BASE) => true,
            _ => return Err(other("it is of another version, or of something else")),
        };
        let mut number = || fields.number().map_err(|_| other("it ends too early"));
        let (epoch, ordinal, position, checksum) = (number()?, number()?, number()?, number()?);
        let tail = Tail { position: Position::new(position), checksum: checksum as u32 };
        let tail = (position > 0).then_some(tail);
        let floor = Position::new(number()?);
        let (base, shift) = if has_base {
            let (epoch, place, fingerprint) = (number()?, number()?, number()?);
            let (epoch, place) = (Epoch::new(epoch as u32), Position::new(place));
            (Some(Base { epoch, place, fingerprint }), number()?)
        } else {
            (None, 0)
        };
        let mut more = Vec::new();
        while !fields.is_empty() && more.len() <= PAST_MAX {
            more.push(fields.number().map_err(|_| other("it ends too early"))?);
        }
        let mut more = more.into_iter();
        let cluster = more.next().and_then(ClusterId::new);
        let past = Past::of(more.map(|epoch| Epoch::new(epoch as u32)));
        let epoch = Epoch::new(epoch as u32);
        Ok(Self { epoch, ordinal, tail, floor, base, shift, cluster, past })
    }

    /// Where a replica begins in it that goes on with the base, which has folded this.
    pub(crate) fn began(&self, fold: u64) -> Began {
        let place = Position::new(self.floor.get().saturating_add(self.shift));
        Began { place, shift: self.shift, fold }
    }
}

/// What it says; nothing where it was never set.
pub(crate) fn mark_of(register: &Register) -> Result<Option<Mark>, Error> {
    if register.generation == Generation::NEVER {
        return Ok(None);
    }
    Mark::decode(&register.value).map(Some)
}
