//! What the standby asks for, and what it gets.

use super::following::Place;

/// What the standby asks for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// More of a checkpoint.
    Checkpoint {
        /// By what the keeper knows the copy.
        stream: u64,
        /// What it has of the log, where it has a checkpoint already.
        has: Option<Place>,
        /// The checkpoint.
        number: u64,
        /// Its first byte that is wanted.
        from: u64,
    },
    /// More of the log.
    Log {
        /// By what the keeper knows the copy.
        stream: u64,
        /// What it has of the log.
        place: Place,
        /// Whether it waits where there is nothing more yet.
        waits: bool,
    },
}

impl Want {
    /// By what the keeper knows the copy.
    pub fn stream(&self) -> u64 {
        let (Self::Checkpoint { stream, .. } | Self::Log { stream, .. }) = self;
        *stream
    }

    pub(super) fn has(&self) -> Option<Place> {
        match self {
            Self::Checkpoint { has, .. } => *has,
            Self::Log { place, .. } => Some(*place),
        }
    }

    pub(super) fn from(&self) -> u64 {
        match self {
            Self::Checkpoint { from, .. } => *from,
            Self::Log { place, .. } => place.bytes,
        }
    }
}

/// What comes next of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Nothing where nothing more is written yet.
    pub bytes: Vec<u8>,
    /// Whether the file ends behind that: a log is over, and the next one goes on.
    pub is_end: bool,
    /// The newest checkpoint: what came before it need not be kept.
    pub checkpoint: u64,
}
