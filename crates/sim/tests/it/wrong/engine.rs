//! Engines that are wrong, as nodes have them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_shared_log::{
    Assurance, Ended, Entry, Error, Fence, Following, Generation, MemoryLog, Position, Register,
    SharedLog, Span, Stored,
};
use bytes::Bytes;

use super::How;

/// So many positions too many go.
const TOO_MANY: u64 = 280;

/// What was handed on, by its place.
#[derive(Clone, Debug, Default)]
struct Met(Arc<Mutex<BTreeMap<Position, Entry>>>);

impl Met {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Position, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct WrongLog {
    log: Arc<MemoryLog>,
    how: How,
    met: Met,
    is_of_others: bool,
}

impl WrongLog {
    pub(super) fn new(log: Arc<MemoryLog>, how: How) -> Self {
        Self { log, how, met: Met::default(), is_of_others: false }
    }

    /// As a node of another cluster has it.
    pub(super) fn of_others(log: Arc<MemoryLog>, how: How) -> Self {
        Self { is_of_others: true, ..Self::new(log, how) }
    }
}

/// What the register of the epoch says, without what stands at its end: a byte and so many numbers are left.
fn without_cluster(value: &Bytes) -> Bytes {
    let numbers = if value.first() == Some(&1) { 5 } else { 9 };
    let ends = value.iter().enumerate().skip(1).filter(|(_, byte)| **byte < 0x80);
    let end = ends.map(|(at, _)| at + 1).nth(numbers - 1).unwrap_or(value.len());
    value.slice(..end)
}

impl SharedLog for WrongLog {
    fn append(&self, batch: Bytes, fence: Option<Fence>, stored: Stored) {
        let fence = fence.filter(|_| self.how != How::IgnoresFences);
        self.log.append(batch, fence, stored);
    }

    fn follow(&self, after: Position) -> Result<Box<dyn Following>, Error> {
        let following = self.log.follow(after)?;
        let (log, how, met) = (Arc::clone(&self.log), self.how, self.met.clone());
        Ok(Box::new(WrongFollowing { log, how, met, following, last: after }))
    }

    fn entry(&self, at: Position) -> Result<Option<Entry>, Error> {
        let entry = self.log.entry(at)?;
        let met = self.met.lock().get(&at).cloned();
        Ok(met.filter(|_| self.how == How::SeesNoLoss).or(entry))
    }

    fn span(&self) -> Result<Span, Error> {
        self.log.span()
    }

    fn trim(&self, until: Position) -> Result<(), Error> {
        let more = if self.how == How::TrimsTooMuch { TOO_MANY } else { 0 };
        self.log.trim(Position::new(until.get() + more))
    }

    fn register(&self, name: &str) -> Result<Register, Error> {
        let mut register = self.log.register(name)?;
        if self.how == How::HidesItsNumber && self.is_of_others && name == "epoch" {
            register.value = without_cluster(&register.value);
        }
        Ok(register)
    }

    fn set_register(
        &self,
        name: &str,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, Error> {
        self.log.set_register(name, expected, value)
    }

    fn registers(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.log.registers(prefix)
    }

    fn assurance(&self) -> Result<Assurance, Error> {
        self.log.assurance()
    }
}

struct WrongFollowing {
    log: Arc<MemoryLog>,
    how: How,
    met: Met,
    following: Box<dyn Following>,
    last: Position,
}

impl Following for WrongFollowing {
    fn next(&mut self, patience: Duration) -> Result<Vec<Entry>, Ended> {
        match self.following.next(patience) {
            Ok(entries) => {
                for entry in &entries {
                    self.last = entry.position;
                    self.met.lock().insert(entry.position, entry.clone());
                }
                Ok(entries)
            }
            Err(Ended::Lost(_)) if self.how == How::GoesOn => {
                if let Ok(following) = self.log.follow(self.last) {
                    self.following = following;
                }
                Ok(Vec::new())
            }
            Err(ended) => Err(ended),
        }
    }
}
