//! Which cluster it is: a random number, which the register of the epoch has, and each replica.
//!
//! ```text
//! log's    replica's    what the replica has
//! 4711     4711         is of this cluster
//! 4711     815          is of another one: the node leaves all as it is
//! 4711     –            is of this one where that has had its epoch, and of another one otherwise
//! –        4711, –      is taken as it was before there were numbers; the log gets the replica's
//! ```
//!
//! It is drawn once: by whoever begins a log with a journal ([`crate::founding`]), and otherwise by a node
//! that has followed a log without any for a minute. Nobody draws one before: where an engine has lost
//! everything somebody without data may be the first to begin it again, and those who have data take it back
//! within seconds ([`crate::raising`]), with the number that they have.

use std::fmt;
use std::num::NonZeroU64;

use bellwire_journal::{Record, RecordChange};
use bellwire_model::Epoch;

use crate::Error;
use crate::fields::{Fields, put_number};

/// Where a replica keeps it, of the records of a node's own.
const KEY: &str = "cluster/id";

/// So many epochs of before the register knows: for who was away meanwhile, and has no number yet.
pub(crate) const PAST_MAX: usize = 8;

/// The number of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterId(NonZeroU64);

impl ClusterId {
    /// Another one.
    pub(crate) fn random() -> Self {
        Self(NonZeroU64::MIN.saturating_add(fastrand::u64(..u64::MAX)))
    }

    /// The one with this number; of zero there is none.
    pub(crate) fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// Its number.
    pub(crate) fn get(self) -> u64 {
        self.0.get()
    }

    /// What the replica is to say.
    pub(crate) fn change(self) -> RecordChange {
        let mut value = Vec::new();
        put_number(&mut value, self.get());
        RecordChange { key: KEY.into(), value: Some(value.into()) }
    }

    /// What a replica's records say.
    pub(crate) fn of(records: &[Record]) -> Result<Option<Self>, Error> {
        let kept = records.iter().find(|record| *record.key == *KEY);
        let number = kept.map_or(Ok(0), |record| Fields::of(&record.value).number())?;
        Ok(Self::new(number))
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.get())
    }
}

/// Epochs that a cluster has had, the newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past([Option<Epoch>; PAST_MAX]);

impl Past {
    /// These, the newest first.
    pub(crate) fn of(epochs: impl IntoIterator<Item = Epoch>) -> Self {
        let mut past = Self::default();
        for (slot, epoch) in past.0.iter_mut().zip(epochs) {
            *slot = Some(epoch);
        }
        past
    }

    pub(crate) fn epochs(self) -> impl Iterator<Item = Epoch> {
        self.0.into_iter().flatten()
    }

    /// With one more.
    pub(crate) fn with(self, epoch: Epoch) -> Self {
        Self::of(std::iter::once(epoch).chain(self.epochs().filter(|it| *it != epoch)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_says_its_number_and_one_of_before_says_none() {
        for _ in 0..100 {
            let cluster = ClusterId::random();
            let RecordChange { key, value } = cluster.change();
            let record = Record { key, value: value.expect("it has one") };
            assert_eq!(ClusterId::of(&[record]).expect("its own"), Some(cluster));
        }
        assert_eq!(ClusterId::of(&[]).expect("nothing"), None);
    }

    #[test]
    fn the_newest_epochs_are_known_each_once() {
        let epochs = |past: Past| past.epochs().map(Epoch::get).collect::<Vec<u32>>();
        let past = [1, 2, 3, 2].map(Epoch::new).into_iter().fold(Past::default(), Past::with);
        assert_eq!(epochs(past), [2, 3, 1]);
        let past = (10..30).map(Epoch::new).fold(past, Past::with);
        assert_eq!(epochs(past), [29, 28, 27, 26, 25, 24, 23, 22]);
    }
}
