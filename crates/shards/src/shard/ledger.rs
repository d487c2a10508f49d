//! The ledger of a shard: what was done, in this turn and for whoever is listened to, and what of
//! it all shards' figures show.

use bellwire_process::Figure;

use super::segments::Segments;
use super::work::Work;
use crate::figures::Figures;
use crate::frames;

/// What was done, and what of it was told.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What was done so far, but for what others count themselves.
    work: Work,
    /// All of it when this turn began, and when somebody was last listened to.
    turn_began: Work,
    visit_began: Work,
    /// Runs of events that were compressed and may be of use to others.
    segments: Segments,
    shown: Shown,
}

/// What others count that belongs into the ledger.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    /// Bytes that messages were inflated to.
    pub(super) inflated_bytes: u64,
    /// Looks at the hub.
    pub(super) looks: u64,
}

/// What a shard has told the figures that all shards add to.
#[derive(Debug, Default)]
struct Shown {
    turn_looks_max: u64,
    held_bytes: usize,
    lane_bytes: usize,
}

impl Ledger {
    /// Where work is noted, and what it works with.
    pub(super) fn open(&mut self) -> (&mut Work, &mut Segments) {
        (&mut self.work, &mut self.segments)
    }

    /// Events and bytes that were written so far.
    pub(super) fn written(&self) -> (u64, u64) {
        (self.work.events, self.work.written_bytes)
    }

    /// Things were looked at.
    pub(super) fn add_looks(&mut self, looks: usize) {
        self.work.looks += looks as u64;
    }

    /// A client was read from.
    pub(super) fn add_read(&mut self, bytes: usize) {
        self.work.read_bytes += bytes as u64;
    }

    /// All that was done so far.
    pub(super) fn total(&self, counts: Counts) -> Work {
        Work {
            deflated_bytes: frames::deflated_bytes(),
            inflated_bytes: counts.inflated_bytes,
            looks: self.work.looks + counts.looks,
            ..self.work
        }
    }

    pub(super) fn begin_turn(&mut self, counts: Counts) {
        self.turn_began = self.total(counts);
    }

    /// What was done in this turn.
    pub(super) fn turn(&self, counts: Counts) -> Work {
        self.total(counts).since(&self.turn_began)
    }

    /// Somebody is listened to.
    pub(super) fn begin_visit(&mut self, counts: Counts) {
        self.visit_began = self.total(counts);
    }

    /// What was done since.
    pub(super) fn visit(&self, counts: Counts) -> Work {
        self.total(counts).since(&self.visit_began)
    }

    /// Nobody is being written to: what was compressed is of no use any more.
    pub(super) fn forget_segments(&mut self) {
        self.segments.clear();
    }

    /// Tells the figures of a turn, and the bytes that are held of what clients have said and of what
    /// lanes point to.
    pub(super) fn show(
        &mut self,
        figures: &Figures,
        turn: Work,
        (held_bytes, lane_bytes): (usize, usize),
    ) {
        if turn.written_bytes > 0 {
            figures.events_delivered.add(turn.events);
            figures.bytes_delivered.add(turn.written_bytes);
        }
        figures.turns.add(1);
        if turn.looks > self.shown.turn_looks_max {
            figures.turn_looks_max.raise(turn.looks);
            self.shown.turn_looks_max = turn.looks;
        }
        replace(&figures.websockets_held, &mut self.shown.held_bytes, held_bytes);
        replace(&figures.lane_bytes, &mut self.shown.lane_bytes, lane_bytes);
    }
}

/// Replaces one shard's part of a figure.
fn replace(figure: &Figure, shown: &mut usize, now: usize) {
    let before = std::mem::replace(shown, now);
    if now > before {
        figure.add((now - before) as u64);
    } else if now < before {
        figure.sub((before - now) as u64);
    }
}
