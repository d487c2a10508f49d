//! What is known of one incarnation.

use bellwire_model::Timestamp;
use bellwire_shared_log::Position;
use bytes::Bytes;

use super::Verdict;
use crate::envelope::{Head, Part};

/// An incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Speaker {
    pub(super) born: Position,
    /// The newest number that counted.
    pub(super) newest: u64,
    /// Where that is, with its checksum.
    pub(super) at: Position,
    pub(super) checksum: u32,
    /// All that had counted then, that included.
    pub(super) fold: u64,
    /// What its clock said then.
    pub(super) time: Timestamp,
    pub(super) stage: Stage,
    /// A payload that is not complete.
    pub(super) open: Option<Open>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Speaking,
    /// Nothing of it counts any more.
    Ended,
}

/// Pieces of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    /// Where the first of them is.
    pub(super) from: Position,
    /// The newest number before it.
    pub(super) before: u64,
    pub(super) pieces: Vec<Bytes>,
    /// Of all pieces.
    pub(super) bytes: usize,
}

impl Open {
    /// What begins there.
    pub(super) fn from(from: Position, before: u64) -> Self {
        Self { from, before, pieces: Vec::new(), bytes: 0 }
    }

    pub(super) fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push(piece);
    }
}

impl Speaker {
    /// One of which so much counted.
    pub(super) fn born(born: Position, newest: u64, stage: Stage) -> Self {
        Self {
            born,
            newest,
            at: Position::START,
            checksum: 0,
            fold: 0,
            time: Timestamp::MIN,
            stage,
            open: None,
        }
    }

    /// Takes in its next entry.
    pub(super) fn take(
        &mut self,
        (at, checksum): (Position, u32),
        head: &Head,
        payload: Bytes,
    ) -> Verdict {
        let before = self.newest;
        (self.newest, self.at, self.checksum) = (head.number, at, checksum);
        self.time = head.time;
        if let Part::Middle | Part::Last = head.part {
            return self.gather(head.part, payload);
        }
        self.open = None;
        match head.part {
            Part::Whole => Verdict::Counts(payload),
            Part::First => {
                let mut open = Open::from(at, before);
                open.push(payload);
                self.open = Some(open);
                Verdict::Noted
            }
            Part::Void | Part::Middle | Part::Last => Verdict::Noted,
        }
    }

    fn gather(&mut self, part: Part, payload: Bytes) -> Verdict {
        // Its maker gave up what came before, or that is gone with the beginning of the log: there is
        // nothing to be made of it.
        let Some(mut open) = self.open.take() else { return Verdict::Noted };
        open.push(payload);
        if part == Part::Last {
            return Verdict::Counts(open.pieces.concat().into());
        }
        self.open = Some(open);
        Verdict::Noted
    }
}
