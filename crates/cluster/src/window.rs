//! What a node has appended and not yet met in the log: kept, and appended again where it may be missing.
//! Pure, told the time.
//!
//! ```text
//!           met ◀── accepted      in flight                       waits its turn
//!  … 17  18  19 │ 20 stored at 88 │ 21 sent │ 22 sent │ 23 │ 24 │
//!               └ appended again from here, in order, where one fails, or where 88 was passed without it
//! ```
//!
//! Each piece has its number for good ([`crate::order`]), so that to append it again is always safe. What is
//! appended again goes alone until something is met: where the engine refuses it again and again, what
//! is behind it would be stored each time, and never count. What is
//! given up leaves its numbers behind, with nothing in them. Where nothing of the incarnation counts any
//! more another one begins, whose first entry ends the one before it. Once that was met it is known what
//! of the old one counts, and the rest is numbered anew.

use std::collections::VecDeque;
use std::time::Duration;

use bellwire_journal::{RecordReply, Reply};
use bellwire_model::{Epoch, Timestamp};
use bellwire_shared_log::{Error as LogError, Fence, Position};
use bytes::Bytes;

use crate::envelope::{self, Head, Incarnation, Part};

/// Entries that are on their way at once.
pub(crate) const IN_FLIGHT_MAX: usize = 16;

/// The same of what publishers append, while what waits would be a small one. The more there are the
/// smaller they become, where all wait for their answers; and to append, sync and apply a small one costs
/// about as much as a large one. So many fill the way to the engine and back: what comes meanwhile goes
/// together.
const SMALL_IN_FLIGHT_MAX: usize = 4;

/// What has fewer bytes is small.
const SMALL_BYTES: usize = 64 * 1024;

/// How long is waited before something is appended again, at first and at most.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Who waits for a part of a commit.
pub(crate) enum Waiter {
    /// For what became of appends.
    Appends(Reply),
    /// For changes of records.
    Records(RecordReply),
}

/// Whether something may be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What publishers append: they are told to come again.
    Publishers,
    /// What the server itself has to say: it waits for as long as it takes.
    Own,
}

/// A group commit.
pub(crate) struct Commit {
    pub(crate) pieces: Vec<(Part, Bytes)>,
    /// One for each item of the payload.
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) lane: Lane,
    pub(crate) fence: Option<Fence>,
    /// Its maker's wall clock.
    pub(crate) time: Timestamp,
    /// Since when the first of its waiters waits.
    pub(crate) since: Duration,
}

/// Why a commit is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Void {
    GivenUp,
    Fenced,
}

struct Flight {
    /// The number of its first piece.
    first: u64,
    commit: Commit,
    /// So many of its pieces were met.
    met: usize,
    void: Option<Void>,
}

impl Flight {
    fn end(&self) -> u64 {
        self.first + self.commit.pieces.len() as u64
    }
}

/// A commit that was met in the log, to its end.
pub(crate) struct Met {
    /// Who waits for it.
    pub(crate) waiters: Vec<Waiter>,
    /// What it was fenced by.
    pub(crate) fence: Option<Fence>,
}

/// An entry to append.
#[derive(Debug)]
pub(crate) struct Send {
    pub(crate) ticket: Ticket,
    pub(crate) entry: Bytes,
    pub(crate) fence: Option<Fence>,
}

/// Which attempt an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    round: u64,
    number: u64,
}

/// Where the entry of one number is in this round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Asked,
    Stored(Position),
}

/// An incarnation and what follows the log for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) incarnation: Incarnation,
    /// At which place.
    pub(crate) born: Position,
    /// Up to where the log was followed then.
    pub(crate) followed: Position,
    pub(crate) epoch: Epoch,
}

/// See the module.
pub(crate) struct Window {
    life: Life,
    /// The incarnation that the flights are numbered in; another one than the life's until the entry
    /// that ends it was met.
    numbered: Incarnation,
    flights: VecDeque<Flight>,
    /// The number that comes next.
    next: u64,
    /// What was sent in this round: of the first number that was not met, and so on.
    sent: VecDeque<Sent>,
    /// How many may be on their way.
    at_once: usize,
    round: u64,
    /// Up to here the log was followed.
    followed: Position,
    /// Nothing is sent before.
    wait_until: Duration,
    backoff: Duration,
    /// When something was stored or met last, or had to wait at first.
    moved: Duration,
    /// What the engine said last.
    complaint: Option<Box<str>>,
}

impl Window {
    /// Nothing is in flight.
    pub(crate) fn new(life: Life) -> Self {
        Self {
            life,
            numbered: life.incarnation,
            flights: VecDeque::new(),
            next: 1,
            sent: VecDeque::new(),
            at_once: IN_FLIGHT_MAX,
            round: 0,
            followed: life.followed,
            wait_until: Duration::ZERO,
            backoff: BACKOFF_MIN,
            moved: Duration::ZERO,
            complaint: None,
        }
    }

    /// Whether an entry of it is this node's own.
    pub(crate) fn is_own(&self, incarnation: Incarnation) -> bool {
        incarnation == self.life.incarnation || incarnation == self.numbered
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// Whether another commit may be put into it, of that lane and of so many bytes.
    pub(crate) fn has_room(&self, lane: Lane, bytes: usize) -> bool {
        let left = |flight: &Flight| flight.commit.pieces.len() - flight.met;
        let pieces: usize = self.flights.iter().map(left).sum();
        self.is_settled() && pieces < IN_FLIGHT_MAX && self.is_worth_it(lane, bytes)
    }

    /// Whether something of so many bytes need not wait to become more.
    fn is_worth_it(&self, lane: Lane, bytes: usize) -> bool {
        let others = self.flights.iter().filter(|flight| flight.commit.lane == lane).count();
        lane == Lane::Own || bytes >= SMALL_BYTES || others < SMALL_IN_FLIGHT_MAX
    }

    /// Whether what is in flight is of the incarnation that there is.
    fn is_settled(&self) -> bool {
        self.numbered == self.life.incarnation
    }

    /// Puts in a commit.
    pub(crate) fn put(&mut self, commit: Commit, now: Duration) {
        if self.flights.is_empty() {
            self.moved = now;
        }
        let flight = Flight { first: self.next, commit, met: 0, void: None };
        self.next = flight.end();
        self.flights.push_back(flight);
    }

    /// The first number that was not met.
    fn first(&self) -> u64 {
        self.flights.front().map_or(self.next, |flight| flight.first + flight.met as u64)
    }

    /// What is to be appended now, in order.
    pub(crate) fn sends(&mut self, now: Duration) -> Vec<Send> {
        let mut sends = Vec::new();
        if now < self.wait_until {
            return sends;
        }
        if !self.is_settled() {
            // What ends the incarnation before comes first, and alone.
            if self.sent.is_empty() {
                self.sent.push_back(Sent::Asked);
                let ends = Some(self.numbered);
                let time = self.flights.front().map_or(Timestamp::MIN, |it| it.commit.time);
                let entry = envelope::encode(&self.head((1, Part::Void), (ends, time)), &[]);
                let ticket = Ticket { round: self.round, number: 1 };
                sends.push(Send { ticket, entry, fence: None });
            }
            return sends;
        }
        while self.sent.len() < self.at_once {
            let number = self.first() + self.sent.len() as u64;
            let Some((entry, fence)) = self.entry(number) else { break };
            self.sent.push_back(Sent::Asked);
            sends.push(Send { ticket: Ticket { round: self.round, number }, entry, fence });
        }
        sends
    }

    /// Whether something is to be appended now.
    pub(crate) fn may_send(&self, now: Duration) -> bool {
        if now < self.wait_until {
            return false;
        }
        if !self.is_settled() {
            return self.sent.is_empty();
        }
        let left = (self.next - self.first()) as usize;
        self.sent.len() < left.min(self.at_once)
    }

    fn head(
        &self,
        (number, part): (u64, Part),
        (ends, time): (Option<Incarnation>, Timestamp),
    ) -> Head {
        let Life { incarnation, born, epoch, .. } = self.life;
        Head { incarnation, number, born, ends, epoch, time, part }
    }

    fn entry(&self, number: u64) -> Option<(Bytes, Option<Fence>)> {
        let flight = self.flights.iter().find(|flight| number < flight.end())?;
        let (part, payload) = &flight.commit.pieces[(number - flight.first) as usize];
        let is_void = flight.void.is_some();
        let (part, payload) = if is_void { (Part::Void, &Bytes::new()) } else { (*part, payload) };
        let entry =
            envelope::encode(&self.head((number, part), (None, flight.commit.time)), payload);
        Some((entry, flight.commit.fence.clone().filter(|_| !is_void)))
    }

    /// An append was answered.
    pub(crate) fn stored(
        &mut self,
        ticket: Ticket,
        answer: Result<Position, LogError>,
        now: Duration,
    ) {
        let first = if self.is_settled() { self.first() } else { 1 };
        let index = ticket.number.checked_sub(first).map(|index| index as usize);
        let is_of_round = ticket.round == self.round;
        match answer {
            Ok(position) => {
                (self.moved, self.complaint) = (now, None);
                if let Some(sent) =
                    index.filter(|_| is_of_round).and_then(|at| self.sent.get_mut(at))
                {
                    *sent = Sent::Stored(position);
                }
                if is_of_round {
                    self.look(now);
                }
            }
            Err(error) if is_of_round && index.is_some() => {
                if let LogError::Fenced(_) = error {
                    self.void(ticket.number, Void::Fenced);
                } else {
                    self.complaint = Some(error.to_string().into());
                    self.slow_down(now);
                }
                self.again();
            }
            // It was met, or is being appended again.
            Err(_) => {}
        }
    }

    /// All that was not met is appended again.
    fn again(&mut self) {
        self.round += 1;
        self.sent.clear();
    }

    /// What is appended again goes later and alone, until something is met.
    fn slow_down(&mut self, now: Duration) {
        self.at_once = 1;
        self.wait_until = now.saturating_add(self.backoff);
        self.backoff = (2 * self.backoff).min(BACKOFF_MAX);
    }

    fn void(&mut self, number: u64, void: Void) {
        let flight = self.flights.iter_mut().find(|flight| number < flight.end());
        if let Some(flight) = flight.filter(|flight| flight.void.is_none()) {
            flight.void = Some(void);
        }
    }

    /// An entry of this node's own was met and counts. Returns what has waited for it, if it was the last
    /// of its commit.
    pub(crate) fn met(
        &mut self,
        (incarnation, number): (Incarnation, u64),
        now: Duration,
    ) -> Option<Met> {
        (self.moved, self.at_once, self.backoff) = (now, IN_FLIGHT_MAX, BACKOFF_MIN);
        if incarnation != self.numbered {
            // It ends the one before it: what was not met of that never will be.
            if incarnation == self.life.incarnation {
                self.settle();
            }
            return None;
        }
        let first = self.first();
        if self.is_settled() {
            let met = (number + 1).saturating_sub(first) as usize;
            self.sent.drain(..met.min(self.sent.len()));
        }
        // Of an incarnation of which the log has lost the beginning others may come first. What stands
        // before, or is a part of that, never counts: it stays, to be numbered anew.
        let is_next = |flight: &Flight| number == flight.first + flight.met as u64;
        let index = self.flights.iter().position(is_next)?;
        let flight = &mut self.flights[index];
        flight.met += 1;
        if flight.met < flight.commit.pieces.len() {
            return None;
        }
        let Commit { waiters, fence, .. } = self.flights.remove(index)?.commit;
        Some(Met { waiters, fence })
    }

    /// Numbers anew what is left.
    fn settle(&mut self) {
        self.numbered = self.life.incarnation;
        self.next = 2;
        self.flights.retain(|flight| flight.void != Some(Void::GivenUp));
        for flight in &mut self.flights {
            (flight.first, flight.met) = (self.next, 0);
            self.next = flight.end();
        }
        self.again();
    }

    /// What was stored may be gone, if it was not followed: nothing may ever come where it was.
    pub(crate) fn doubt(&mut self, now: Duration) {
        if !self.sent.is_empty() {
            self.slow_down(now);
            self.again();
        }
    }

    /// The log was followed up to there.
    pub(crate) fn passed(&mut self, position: Position, now: Duration) {
        self.followed = position;
        self.look(now);
    }

    /// What was stored where the log was followed, and not met, does not count: it is appended again.
    fn look(&mut self, now: Duration) {
        if let Some(Sent::Stored(stored)) = self.sent.front()
            && *stored <= self.followed
        {
            self.slow_down(now);
            self.again();
        }
    }

    /// The incarnation of what comes.
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.life.incarnation
    }

    /// Nothing of the incarnation counts any more, or it is another log: a new one begins.
    pub(crate) fn begin(&mut self, life: Life) {
        if self.flights.is_empty() {
            self.numbered = life.incarnation;
            self.next = 1;
        }
        (self.life, self.followed) = (life, life.followed);
        self.again();
        self.wait_until = Duration::ZERO;
    }

    /// What publishers have waited for since before then is given up. Returns who is to be told.
    pub(crate) fn give_up(&mut self, before: Duration) -> Vec<Waiter> {
        let mut waiters = Vec::new();
        let mut is_changed = false;
        for flight in &mut self.flights {
            let is_over = flight.commit.lane == Lane::Publishers && flight.commit.since < before;
            if is_over && !flight.commit.waiters.is_empty() {
                waiters.append(&mut flight.commit.waiters);
                flight.void.get_or_insert(Void::GivenUp);
                for (_, payload) in &mut flight.commit.pieces {
                    *payload = Bytes::new();
                }
                is_changed = true;
            }
        }
        if is_changed {
            self.again();
        }
        waiters
    }

    /// All that wait: nothing more will come.
    pub(crate) fn close(&mut self) -> Vec<Waiter> {
        self.flights.drain(..).flat_map(|flight| flight.commit.waiters).collect()
    }

    /// Since when something is in flight and nothing moves.
    pub(crate) fn stuck_since(&self) -> Option<Duration> {
        (!self.flights.is_empty()).then_some(self.moved)
    }

    /// What the engine said last, where that was no good.
    pub(crate) fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// When something is to be appended again, if that is so.
    pub(crate) fn wakes(&self) -> Option<Duration> {
        let is_idle = self.flights.is_empty() && self.is_settled();
        let waits = !is_idle && self.sent.is_empty();
        waits.then_some(self.wait_until)
    }
}

#[cfg(test)]
mod tests;
