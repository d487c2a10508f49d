//! Which entries of the log count: each batch once, in the order of its maker. Pure.
//!
//! ```text
//! log        A1   A2   B1   A2   A4   B2   A3   A4
//! counts     A1   A2   B1   ·    ·    B2   A3   A4
//!                           │    └ behind a hole
//!                           └ a repeat
//! ```
//!
//! Each run of a node is an incarnation, and numbers what it appends. Whoever follows takes an entry of an
//! incarnation only if its number is the next one, so that a node may append again what it does not know
//! to be stored: nothing counts twice or in another order, whatever the engine does. What counts is a
//! function of the log alone, so all nodes say the same.
//!
//! - What is known of each incarnation is a record of the replica, written with what is applied.
//! - So many are known. Whose last word is oldest is forgotten, up to the *horizon*; an incarnation that is
//!   not known counts from its number 1, and only if it was born behind the horizon: what was forgotten
//!   never begins anew.
//! - An incarnation may end another, of which nothing counts from then on.
//! - A payload in pieces counts where its last piece is. Pieces that are too old or too many are given
//!   up, and their incarnation has ended.
//! - All that has counted, in its order, is folded into a *fingerprint*: replicas that have the same one are
//!   the same.
//! - Places go on where another epoch begins on what a replica has ([`crate::epoch`]), whatever the log
//!   gives out again. What is read then of what was applied before is a repeat, as it is otherwise.
//! - How late it is say the nodes that speak together ([`Order::time`]): no one of them alone moves it, whose
//!   clock is days ahead.
//! - Where the beginning of the log is gone ([`Order::behind`]), what was born before that counts from the
//!   first number that is met. Nobody has more of the log, so a payload whose first pieces are gone comes
//!   to nothing for all.

mod kept;
mod speaker;

use std::collections::{BTreeMap, BTreeSet};

use bellwire_model::Timestamp;
use bellwire_shared_log::Position;
use bytes::Bytes;

use crate::envelope::{Head, Incarnation, NodeBits, PAYLOAD_BYTES_MAX, Piece};
pub(crate) use kept::{Began, Kept, PREFIX, Tail};
use speaker::{Speaker, Stage};

/// Incarnations that are known: each takes a record of some 60 bytes. Those of nodes that start anew all
/// the time push out those of nodes that are silent, which then begin another one.
const SPEAKERS_MAX: usize = 512;

/// Positions within which all pieces of a payload have to be: so far back somebody who starts reads again.
const OPEN_SPAN_MAX: u64 = 16_384;

/// Whose last word is within so many places has a say in how late it is.
const HEARD_SPAN: u64 = 4_096;

/// Bytes of pieces whose payload is not complete, of all incarnations: they are in memory.
const OPEN_BYTES_MAX: usize = 2 * PAYLOAD_BYTES_MAX;

/// What becomes of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It completes this payload, which is to be applied here.
    Counts(Bytes),
    /// It counts, and there is nothing to be applied: a piece, or nothing at all.
    Noted,
    /// It was there before.
    Repeat,
    /// What comes before it is missing.
    Hole,
    /// Its incarnation has ended or was forgotten: nothing of it counts.
    Stale,
}

/// What counted so far.
#[derive(Debug)]
pub(crate) struct Order {
    speakers: BTreeMap<Incarnation, Speaker>,
    /// By their last word.
    silent: BTreeSet<(Position, Incarnation)>,
    /// By where their payload begins.
    open: BTreeSet<(Position, Incarnation)>,
    /// Whose last word is up to here may be forgotten.
    horizon: Position,
    /// The log is known from here on.
    began: Position,
    /// Of all that has counted.
    fold: u64,
    /// What is known of these is not yet written.
    changed: BTreeSet<Incarnation>,
    forgotten: BTreeSet<Incarnation>,
    is_horizon_kept: bool,
    /// What was applied last, as it was loaded: up to here only what was not complete is read again.
    reread: Position,
    speakers_max: usize,
    open_bytes_max: usize,
}

impl Order {
    /// Nothing has counted, and what is up to `began` is gone.
    pub(crate) fn behind(began: Position) -> Self {
        Self {
            speakers: BTreeMap::new(),
            silent: BTreeSet::new(),
            open: BTreeSet::new(),
            horizon: began,
            began,
            fold: 0,
            changed: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            is_horizon_kept: false,
            reread: began,
            speakers_max: SPEAKERS_MAX,
            open_bytes_max: OPEN_BYTES_MAX,
        }
    }

    /// Behind which place the log is to be read, to know what is not complete.
    pub(crate) fn reads_after(&self) -> Position {
        self.resumes_after(self.reread)
    }

    /// The same, of whoever has applied up to there and starts again.
    pub(crate) fn resumes_after(&self, applied: Position) -> Position {
        let first = self.open.first().map(|(from, _)| Position::new(from.get() - 1));
        first.map_or(applied, |first| first.min(applied))
    }

    /// What becomes of the entry there. They come in order, each once.
    pub(crate) fn admit(&mut self, at: Position, piece: Piece) -> Verdict {
        let Piece { head, payload, checksum, .. } = piece;
        if at <= self.reread {
            return self.admit_again(at, &head, payload);
        }
        self.give_up_old_pieces(at);
        let Some(speaker) = self.speakers.get(&head.incarnation) else {
            return self.admit_first(at, (head, payload), checksum);
        };
        if speaker.stage == Stage::Ended {
            return Verdict::Stale;
        }
        if head.number <= speaker.newest {
            return Verdict::Repeat;
        }
        if head.number > speaker.newest + 1 {
            return Verdict::Hole;
        }
        self.take(at, (head, payload), checksum)
    }

    /// How late it is at that place, as of the nodes that have spoken lately: the middle of what their clocks
    /// said when they last did, and of two the earlier. A node that starts again and again is one of them. Who has fallen silent holds it back for a while, which keeps
    /// what goes by age longer.
    pub(crate) fn time(&self, at: Position) -> Option<Timestamp> {
        let since = Position::new(at.get().saturating_sub(HEARD_SPAN));
        let lately = self.silent.range((since, Incarnation::new(0))..);
        // In the order of their last words, so that of a node the newest is left.
        let newest: BTreeMap<NodeBits, Timestamp> = lately
            .filter_map(|(_, it)| Some((it.node(), self.speakers.get(it)?)))
            .filter(|(_, speaker)| speaker.stage == Stage::Speaking)
            .map(|(node, speaker)| (node, speaker.time))
            .collect();
        let mut times: Vec<Timestamp> = newest.into_values().collect();
        times.sort_unstable();
        times.get(times.len().saturating_sub(1) / 2).copied()
    }

    /// Of an incarnation that is not known.
    fn admit_first(
        &mut self,
        at: Position,
        (head, payload): (Head, Bytes),
        checksum: u32,
    ) -> Verdict {
        // Of what was born before all that is known here, others may know more. Once something was
        // forgotten, they have forgotten it as well.
        let is_adopted = head.born < self.began && self.horizon == self.began;
        if !is_adopted && head.born < self.horizon {
            return Verdict::Stale;
        }
        // Its maker appends what comes before it again, and must not begin another incarnation for it: what
        // would be numbered anew then may have counted in what another epoch begins on.
        if !is_adopted && head.number != 1 {
            return Verdict::Hole;
        }
        let newest = head.number.saturating_sub(1);
        self.insert(head.incarnation, Speaker::born(head.born, newest, Stage::Speaking));
        if let Some(ended) = head.ends.filter(|ended| *ended != head.incarnation) {
            // Also one that is not known, so that it does not become so.
            if !self.speakers.contains_key(&ended) {
                let at = Position::new(at.get() - 1);
                let unknown = Speaker { at, ..Speaker::born(head.born, 0, Stage::Ended) };
                self.insert(ended, unknown);
            }
            self.end(ended);
        }
        self.take(at, (head, payload), checksum)
    }

    fn insert(&mut self, incarnation: Incarnation, speaker: Speaker) {
        self.silent.insert((speaker.at, incarnation));
        if let Some(open) = &speaker.open {
            self.open.insert((open.from, incarnation));
        }
        self.speakers.insert(incarnation, speaker);
    }

    /// The next one of an incarnation that is known.
    fn take(&mut self, at: Position, (head, payload): (Head, Bytes), checksum: u32) -> Verdict {
        let incarnation = head.incarnation;
        let Some(speaker) = self.speakers.get_mut(&incarnation) else { return Verdict::Stale };
        self.silent.remove(&(speaker.at, incarnation));
        if let Some(open) = &speaker.open {
            self.open.remove(&(open.from, incarnation));
        }
        let verdict = speaker.take((at, checksum), &head, payload);
        if let Some(open) = &speaker.open {
            self.open.insert((open.from, incarnation));
        }
        self.silent.insert((at, incarnation));
        self.changed.insert(incarnation);
        self.fold = folded(folded(self.fold, at.get()), checksum.into());
        self.forget();
        self.give_up_pieces();
        if let Some(speaker) = self.speakers.get_mut(&incarnation) {
            speaker.fold = self.fold;
        }
        verdict
    }

    /// What was read before: a piece of what is not complete is kept, and nothing else counts.
    fn admit_again(&mut self, at: Position, head: &Head, payload: Bytes) -> Verdict {
        let Some(speaker) = self.speakers.get_mut(&head.incarnation) else {
            return Verdict::Repeat;
        };
        match &mut speaker.open {
            Some(open) if at >= open.from && head.number == speaker.newest + 1 => {
                speaker.newest += 1;
                open.push(payload);
                Verdict::Noted
            }
            _ => Verdict::Repeat,
        }
    }

    /// Forgets those whose last word is oldest, where they are too many.
    fn forget(&mut self) {
        while self.speakers.len() > self.speakers_max
            && let Some((at, incarnation)) = self.silent.pop_first()
        {
            self.horizon = self.horizon.max(at);
            if let Some(Speaker { open: Some(open), .. }) = self.speakers.remove(&incarnation) {
                self.open.remove(&(open.from, incarnation));
            }
            self.changed.remove(&incarnation);
            self.forgotten.insert(incarnation);
        }
    }

    /// Gives up pieces that are too old.
    fn give_up_old_pieces(&mut self, at: Position) {
        while let Some(&(from, incarnation)) = self.open.first()
            && from.get() + OPEN_SPAN_MAX < at.get()
        {
            self.end(incarnation);
        }
    }

    /// Gives up the oldest pieces, where they are too many.
    fn give_up_pieces(&mut self) {
        let bytes = |order: &Self| -> usize {
            let open = order.open.iter().filter_map(|(_, speaker)| order.speakers.get(speaker));
            open.filter_map(|speaker| Some(speaker.open.as_ref()?.bytes)).sum()
        };
        while bytes(self) > self.open_bytes_max
            && let Some(&(_, incarnation)) = self.open.first()
        {
            self.end(incarnation);
        }
    }

    /// Payloads that are not complete are as if they had not begun: for who goes on by another log, which
    /// may have none of their pieces.
    pub(crate) fn take_back_pieces(&mut self) {
        for (_, incarnation) in std::mem::take(&mut self.open) {
            let Some(speaker) = self.speakers.get_mut(&incarnation) else { continue };
            if let Some(open) = speaker.open.take() {
                speaker.newest = open.before;
                self.changed.insert(incarnation);
            }
        }
    }

    /// Nothing more of it counts.
    fn end(&mut self, incarnation: Incarnation) {
        let Some(speaker) = self.speakers.get_mut(&incarnation) else { return };
        speaker.stage = Stage::Ended;
        self.fold = folded(self.fold, incarnation.get());
        if let Some(open) = speaker.open.take() {
            self.open.remove(&(open.from, incarnation));
        }
        self.changed.insert(incarnation);
    }
}

/// What was folded, with one number more: all of its bits depend on all of both.
fn folded(fold: u64, number: u64) -> u64 {
    let mut bits = fold.rotate_left(29) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
