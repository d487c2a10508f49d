//! Engines that break the contract, each in one way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::contract::{Engine, Fault};
use crate::{
    Assurance, Ended, Entry, Error, Fence, Following, Generation, MemoryLogs, Position, Register,
    SharedLog, Span, Stored,
};

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Followings connect again by themselves, and begin with what was handed on last.
    Repeats,
    /// Followings connect again by themselves.
    GoesOn,
    /// Followings go on behind what was trimmed.
    SkipsWhatIsTrimmed,
    /// Appends are stored whatever their fence says.
    IgnoresFences,
    /// Registers are set whatever they are.
    DoesNotCompare,
    /// Each second append is stored before the one ahead of it.
    Swaps,
    /// Each second append is stored, and nobody is told.
    DoesNotAnswer,
}

#[derive(Debug)]
pub(super) struct Wrong {
    logs: MemoryLogs,
    how: How,
}

impl Wrong {
    pub(super) fn new(how: How) -> Self {
        Self { logs: MemoryLogs::immediate(), how }
    }
}

impl Engine for Wrong {
    fn open(&mut self) -> Result<Arc<dyn SharedLog>, Error> {
        let log = self.logs.open()?;
        Ok(Arc::new(WrongLog { log, how: self.how, held: Mutex::default() }))
    }

    fn fault(&mut self, fault: Fault) -> bool {
        self.logs.fault(fault)
    }
}

type Held = (Bytes, Option<Fence>, Stored);

struct WrongLog {
    log: Arc<dyn SharedLog>,
    how: How,
    held: Mutex<Option<Held>>,
}

impl std::fmt::Debug for WrongLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.how.fmt(f)
    }
}

impl WrongLog {
    fn swap(&self, append: Held) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = held.take() else {
            *held = Some(append);
            return;
        };
        for (index, (batch, fence, stored)) in [append, first].into_iter().enumerate() {
            let stored = match self.how {
                How::DoesNotAnswer if index == 1 => Box::new(drop),
                _ => stored,
            };
            self.log.append(batch, fence, stored);
        }
    }
}

impl SharedLog for WrongLog {
    fn append(&self, batch: Bytes, fence: Option<Fence>, stored: Stored) {
        match self.how {
            How::IgnoresFences => self.log.append(batch, None, stored),
            How::Swaps | How::DoesNotAnswer => self.swap((batch, fence, stored)),
            _ => self.log.append(batch, fence, stored),
        }
    }

    fn follow(&self, after: Position) -> Result<Box<dyn Following>, Error> {
        let following = self.log.follow(after)?;
        let (log, how) = (Arc::clone(&self.log), self.how);
        Ok(Box::new(WrongFollowing { log, how, following, last: after, before: after }))
    }

    fn entry(&self, at: Position) -> Result<Option<Entry>, Error> {
        self.log.entry(at)
    }

    fn span(&self) -> Result<Span, Error> {
        self.log.span()
    }

    fn trim(&self, until: Position) -> Result<(), Error> {
        self.log.trim(until)
    }

    fn register(&self, name: &str) -> Result<Register, Error> {
        self.log.register(name)
    }

    fn set_register(
        &self,
        name: &str,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, Error> {
        let expected = match self.how {
            How::DoesNotCompare => self.log.register(name)?.generation,
            _ => expected,
        };
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
    log: Arc<dyn SharedLog>,
    how: How,
    following: Box<dyn Following>,
    last: Position,
    before: Position,
}

impl Following for WrongFollowing {
    fn next(&mut self, patience: Duration) -> Result<Vec<Entry>, Ended> {
        let ended = match self.following.next(patience) {
            Ok(entries) => {
                for entry in &entries {
                    self.before = std::mem::replace(&mut self.last, entry.position);
                }
                return Ok(entries);
            }
            Err(ended) => ended,
        };
        let after = match (self.how, &ended) {
            (How::Repeats, Ended::Lost(_)) => self.before,
            (How::GoesOn, Ended::Lost(_)) => self.last,
            (How::SkipsWhatIsTrimmed, &Ended::Trimmed(until)) => until,
            _ => return Err(ended),
        };
        if let Ok(following) = self.log.follow(after) {
            self.following = following;
        }
        Ok(Vec::new())
    }
}
