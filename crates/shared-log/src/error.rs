//! What can go wrong with a shared log.

use crate::{Position, Register};

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The engine is not there, or did not answer in time. What was asked of it may have been done.
    #[error("the engine is away: {0}")]
    Away(String),
    /// The register of the fence is of another generation: nothing was stored.
    #[error("the register `{0}` has been set meanwhile")]
    Fenced(String),
    /// The register is of another generation: this is what it is.
    #[error("the register has been set meanwhile")]
    Changed(Register),
    /// What is asked for is gone: what is left is behind this place.
    #[error("the log is trimmed up to {0}")]
    Trimmed(Position),
    /// A batch or a register's value is larger than the engine takes.
    #[error("{bytes} bytes are more than the {max} that the engine takes")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What it may have.
        max: usize,
    },
    /// The engine has no room; nothing was stored.
    #[error("the engine has no room: {0}")]
    Full(String),
    /// The engine does not let us: credentials, rights, or what is not allowed there.
    #[error("the engine refuses: {0}")]
    Refused(String),
    /// The engine, or the log in it, is not one that can be used: too old, set up otherwise, of
    /// something else. Says what to do.
    #[error("{0}")]
    Unfit(String),
}

/// Why a following has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// It was lost on the way, or may have been: look whether the log is the same, and follow again.
    #[error("what followed the log was lost: {0}")]
    Lost(String),
    /// Batches that it should have handed on are gone, up to here.
    #[error("the log was trimmed up to {0} before it was followed")]
    Trimmed(Position),
}
