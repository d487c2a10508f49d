//! The shared log: one order of batches for all nodes of a cluster, on an engine that users run.
//!
//! ```text
//!   node A ── append ──▶ ┌────────────────────────────┐ ──▶ follow ── node A
//!   node B ── append ──▶ │ 17  18  19  21  22  23 …   │ ──▶ follow ── node B
//!                        └────────────────────────────┘ ──▶ follow ── node C
//!                          registers: epoch, leases, nodes (compare and set)
//! ```
//!
//! A [`SharedLog`] orders batches, which are bytes to it, and keeps a few small registers beside
//! them. It does nothing else, so an engine is small: what a batch means, what counts once, and what is
//! still there after a disaster is decided by those who apply the batches.
//!
//! # The contract
//!
//! Every engine passes [`contract`], an executable suite of it:
//! - positions strictly increase in the order in which batches are stored; holes are allowed;
//! - a batch is stored whole or not at all, and once its append is answered it is as durable as
//!   [`Assurance`] says, and everybody who follows gets it;
//! - an append that is answered with [`Error::Away`] may have been stored, or may be stored yet: who
//!   appends it again has it twice, and says so in the batch. Every other error says that it is not there;
//! - batches that are appended one after the other, without waiting, are stored in that order, unless
//!   one of them fails: then those behind it may be there without it;
//! - an append with a [`Fence`] is stored only while its register is of that [`Generation`]: who sets
//!   the register keeps out, from then on, all that was fenced by what it was;
//! - a register is set only where it is of the generation that was expected, and gets a new one, which
//!   it has never had. Of two that set it at once one gets [`Error::Changed`];
//! - a [`Following`] hands on every batch behind its start, once, in order. It ends at the first doubt:
//!   where the connection, the server that leads or what follows inside of the engine was lost, where
//!   batches are gone that it should have handed on. It never goes on by itself: whoever
//!   follows again looks, once the new one was begun and before anything of it counts, whether the log is
//!   still the one that was followed ([`SharedLog::entry`]). What becomes of it behind that look ends it;
//! - [`SharedLog::trim`] removes batches, registers never.

mod checks;
pub mod contract;
mod error;
mod memory;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

pub use checks::{check_append, check_register_name, check_set, is_register_name};
pub use error::{Ended, Error};
pub use memory::{MemoryLog, MemoryLogs};

/// The largest batch that an engine has to take, in bytes: half of what a NATS server takes at most as
/// it comes, so that headers and our own envelope fit beside it.
pub const BATCH_BYTES_MAX: usize = 512 * 1024;

/// The largest value of a register, in bytes.
pub const REGISTER_BYTES_MAX: usize = 64 * 1024;

/// The longest name of a register, in bytes.
pub const REGISTER_NAME_BYTES_MAX: usize = 64;

/// A place in the log. The first batch is behind [`Position::START`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Before every batch.
    pub const START: Self = Self(0);

    /// The place with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a register was when it was set: another number each time, of which later ones are larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

impl Generation {
    /// That of a register that was never set.
    pub const NEVER: Self = Self(0);

    /// The generation with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A batch where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub position: Position,
    /// What was appended.
    pub batch: Bytes,
}

/// What has to be so for an append to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The name of a register.
    pub register: String,
    /// Which it is to be of.
    pub generation: Generation,
}

/// A small value that is changed by compare and set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// Which one it is.
    pub generation: Generation,
    /// Its value; empty where it was never set.
    pub value: Bytes,
}

/// Where the log begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Up to here batches may be gone, for good.
    pub trimmed: Position,
    /// The newest batch, or behind it where that is gone or where a hole is; never before what
    /// somebody was answered.
    pub tail: Position,
}

/// What an engine loses of what it has acknowledged, as its own settings are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assurance {
    /// What it is, with its version and where it is, for people: `nats-server 2.11.4 at 127.0.0.1:4222`.
    pub engine: String,
    /// What may be lost and which setting would not; nothing where what is acknowledged survives the
    /// loss of a machine's power.
    pub losses: Vec<String>,
    /// What may be lost as well, if it is set up so: whether it is the engine does not tell.
    pub doubts: Vec<String>,
}

/// Called once, on a thread of the engine, when an append was stored or was not. Must not block.
pub type Stored = Box<dyn FnOnce(Result<Position, Error>) + Send>;

/// A log that nodes share. All calls but [`append`](Self::append) wait for the engine, for so long as
/// it waits itself before it says [`Error::Away`].
pub trait SharedLog: Send + Sync + fmt::Debug {
    /// Queues a batch of up to [`BATCH_BYTES_MAX`]; `stored` is called in every case. Waits for nobody.
    fn append(&self, batch: Bytes, fence: Option<Fence>, stored: Stored);

    /// Hands on what is behind `after`. Fails with [`Error::Trimmed`] where batches behind it may be gone.
    fn follow(&self, after: Position) -> Result<Box<dyn Following>, Error>;

    /// The batch at exactly this place; nothing where there is none.
    fn entry(&self, at: Position) -> Result<Option<Entry>, Error>;

    /// Where it begins and ends now, as the server that leads has it.
    fn span(&self) -> Result<Span, Error>;

    /// Lets go of all batches up to and with `until`.
    fn trim(&self, until: Position) -> Result<(), Error>;

    /// What a register is, as the server that leads has it. Its name is of `a`–`z`, `0`–`9` and `-`, up
    /// to [`REGISTER_NAME_BYTES_MAX`]: every other one is [`Error::Refused`], here, when it is set and in
    /// a fence.
    fn register(&self, name: &str) -> Result<Register, Error>;

    /// Sets a register that is of the generation `expected`, and returns its new one.
    fn set_register(
        &self,
        name: &str,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, Error>;

    /// The names of all registers that begin so and were set, sorted.
    fn registers(&self, prefix: &str) -> Result<Vec<String>, Error>;

    /// What the engine may lose.
    fn assurance(&self) -> Result<Assurance, Error>;
}

/// Batches in order, as they come.
pub trait Following: Send {
    /// The next batches, as many as are here, up to a few MiB; none where none came within `patience`.
    /// After an error there is nothing more.
    fn next(&mut self, patience: Duration) -> Result<Vec<Entry>, Ended>;
}
