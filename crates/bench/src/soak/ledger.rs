//! What one follower got, against what it should have.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use std::time::Duration;

use super::fault::FaultKind;
use crate::histogram::Histogram;

/// Events that are lacking and may still come out of order, at most; more are lost for good.
const LACKING_MAX: usize = 10_000;

/// Faults that nothing has come behind yet, at most: a follower that has seen so many is lost.
const HEALED_MAX: usize = 1_000;

/// A fault that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Healed {
    pub(super) kind: FaultKind,
    /// When the network was whole again.
    pub(super) at: Duration,
    /// The first event that was published after that.
    pub(super) first: u64,
}

/// Counts of one follower, or of several together.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) events: u64,
    pub(crate) missed: u64,
    pub(crate) doubled: u64,
    pub(crate) reordered: u64,
    /// `gap`s that the server told.
    pub(crate) gaps: u64,
    pub(crate) bytes: u64,
    pub(crate) requests: u64,
    pub(crate) connections: u64,
    /// From just before an event's request is written to its arrival.
    pub(crate) latency: Histogram,
    /// From the end of a fault until the first event came that was published after it.
    pub(crate) recovery: BTreeMap<FaultKind, Histogram>,
    /// Why the last connection has ended that did.
    pub(crate) last_end: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            events: 0,
            missed: 0,
            doubled: 0,
            reordered: 0,
            gaps: 0,
            bytes: 0,
            requests: 0,
            connections: 0,
            latency: Histogram::new(),
            recovery: BTreeMap::new(),
            last_end: None,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.missed += other.missed;
        self.doubled += other.doubled;
        self.reordered += other.reordered;
        self.gaps += other.gaps;
        self.bytes += other.bytes;
        self.requests += other.requests;
        self.connections += other.connections;
        self.latency.add(&other.latency);
        self.last_end = self.last_end.take().or_else(|| other.last_end.clone());
        for (kind, recovery) in &other.recovery {
            self.recovery.entry(*kind).or_insert_with(Histogram::new).add(recovery);
        }
    }
}

/// Events are numbered from 1 on. Times count from when the run began.
#[derive(Debug)]
pub(crate) struct Ledger {
    tally: Tally,
    /// The number that comes next.
    next: u64,
    lacking: BTreeSet<u64>,
    /// How many events may be missing before the next one, as gaps have told.
    excused: u64,
    /// When something came last.
    heard_at: Duration,
    healed: VecDeque<Healed>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            tally: Tally::new(),
            next: 1,
            lacking: BTreeSet::new(),
            excused: 0,
            heard_at: Duration::ZERO,
            healed: VecDeque::new(),
        }
    }

    /// What the follower itself counts.
    pub(super) fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// The number of the event that comes next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// When the last event came, be it for the second time.
    pub(super) fn heard_at(&self) -> Duration {
        self.heard_at
    }

    /// The server says that so many events are gone, at most.
    pub(super) fn gap(&mut self, events: u64) {
        self.tally.gaps += 1;
        self.excused = self.excused.saturating_add(events);
    }

    /// The network is whole again.
    pub(super) fn heal(&mut self, healed: Healed) {
        if self.healed.len() < HEALED_MAX {
            self.healed.push_back(healed);
        }
    }

    /// Takes an event, published and come at these times.
    pub(crate) fn event(&mut self, number: u64, sent: Duration, now: Duration) {
        self.heard_at = now;
        if number < self.next {
            if self.lacking.remove(&number) {
                self.tally.reordered += 1;
                self.tally.missed -= 1;
            } else {
                self.tally.doubled += 1;
            }
            return;
        }
        // What a gap tells of is older than what is missing behind it.
        self.next = self.next.saturating_add(self.excused).min(number);
        self.excused = 0;
        self.miss(number);
        self.next = number + 1;
        self.tally.events += 1;
        self.tally.latency.record(now.saturating_sub(sent));
        while let Some(healed) = self.healed.pop_front_if(|healed| healed.first <= number) {
            let recovery = self.tally.recovery.entry(healed.kind).or_insert_with(Histogram::new);
            recovery.record(now.saturating_sub(healed.at));
        }
    }

    /// What there is, where events up to this one should have come.
    pub(crate) fn tally_at(&self, last: u64) -> Tally {
        let mut tally = self.tally.clone();
        tally.missed += (last + 1).saturating_sub(self.next);
        tally
    }

    /// All up to before this one are lacking.
    fn miss(&mut self, end: u64) {
        self.tally.missed += end - self.next;
        let room = LACKING_MAX - self.lacking.len();
        self.lacking.extend((self.next..end).take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of events with these numbers, one each second; 0 is a gap of three events.
    fn of(numbers: &[u64], last: u64) -> [u64; 5] {
        let mut ledger = Ledger::new();
        for (number, at) in numbers.iter().zip(1..) {
            let at = Duration::from_secs(at);
            match number {
                0 => ledger.gap(3),
                number => ledger.event(*number, at, at),
            }
        }
        let Tally { events, missed, doubled, reordered, gaps, .. } = ledger.tally_at(last);
        [events, missed, doubled, reordered, gaps]
    }

    #[test]
    fn each_event_counts_for_what_became_of_it() {
        for (numbers, last, expected) in [
            (&[1, 2, 3][..], 3, [3, 0, 0, 0, 0]),
            (&[1, 2], 3, [2, 1, 0, 0, 0]),
            (&[], 2, [0, 2, 0, 0, 0]),
            (&[1, 4], 4, [2, 2, 0, 0, 0]),
            (&[1, 2, 2, 1, 3], 3, [3, 0, 2, 0, 0]),
            (&[1, 3, 2, 4], 4, [3, 0, 0, 1, 0]),
            (&[1, 3, 2, 2], 3, [2, 0, 1, 1, 0]),
            // What is told to be gone is not missed in silence; what follows is.
            (&[1, 0, 5, 7], 7, [3, 1, 0, 0, 1]),
            (&[1, 0, 2, 4], 4, [3, 1, 0, 0, 1]),
            (&[1, 0, 7], 7, [2, 2, 0, 0, 1]),
            (&[1, 0, 0, 9], 9, [2, 1, 0, 0, 2]),
            (&[1, 0, 7, 2, 6], 7, [2, 1, 1, 1, 1]),
        ] {
            assert_eq!(of(numbers, last), expected, "{numbers:?}");
        }
    }

    #[test]
    fn a_fault_is_recovered_from_with_the_first_event_behind_it() {
        let mut ledger = Ledger::new();
        let s = Duration::from_secs;
        ledger.heal(Healed { kind: FaultKind::Cut, at: s(10), first: 3 });
        ledger.heal(Healed { kind: FaultKind::Mute, at: s(11), first: 4 });
        ledger.event(1, s(9), s(12));
        ledger.event(2, s(10), s(12));
        assert!(ledger.tally_at(2).recovery.is_empty());
        ledger.event(3, s(11), s(13));
        ledger.event(4, s(12), s(15));
        let tally = ledger.tally_at(4);
        let longest = |kind| tally.recovery.get(&kind).map(Histogram::max_ms);
        assert_eq!(longest(FaultKind::Cut), Some(3_000.0));
        assert_eq!(longest(FaultKind::Mute), Some(4_000.0));
        assert_eq!(longest(FaultKind::Stall), None);
        assert!((tally.latency.max_ms() - 3_000.0).abs() < f64::EPSILON);
    }

    #[test]
    fn what_is_remembered_of_what_is_lacking_is_bounded() {
        let mut ledger = Ledger::new();
        for number in (3..100_000).step_by(3) {
            ledger.event(number, Duration::ZERO, Duration::ZERO);
        }
        assert_eq!(ledger.lacking.len(), LACKING_MAX);
        assert_eq!(ledger.tally_at(99_999).missed, 66_666);
    }
}
