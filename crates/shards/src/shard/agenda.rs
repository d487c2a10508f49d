//! The agenda of a shard: who has a turn coming, and when.

use std::collections::VecDeque;
use std::time::Duration;

use bellwire_process::clock::{Tick, Ticker};

use super::wheel::Wheel;
use super::{Answered, Handoff, Token};

/// Who comes, who has more to do than one visit may, and whose time comes when.
#[derive(Debug)]
pub(super) struct Agenda {
    ticker: Ticker,
    /// Connections that the front door has given, and that are yet to be taken in.
    adoptions: VecDeque<Handoff>,
    /// What became of what clients have asked of others, and is yet to be told.
    answers: VecDeque<Answered>,
    /// Connections that are to get another turn.
    queued: VecDeque<Token>,
    wheel: Wheel,
    /// Those whom the wheel has brought round and who are yet to be looked after, each with the tick
    /// that was set for it.
    overdue: VecDeque<(Token, Tick)>,
}

/// So much room is kept for those who are overdue: mostly nobody is.
const OVERDUE_KEPT_MAX: usize = 1_024;

impl Agenda {
    pub(super) fn new() -> Self {
        let ticker = Ticker::start();
        Self {
            ticker,
            adoptions: VecDeque::new(),
            answers: VecDeque::new(),
            queued: VecDeque::new(),
            wheel: Wheel::new(ticker.now()),
            overdue: VecDeque::new(),
        }
    }

    pub(super) fn now(&self) -> Tick {
        self.ticker.now()
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.ticker.now_ms()
    }

    /// How long until `tick` begins.
    pub(super) fn until(&self, tick: Tick) -> Duration {
        self.ticker.until(tick)
    }

    /// How long the shard may wait: until somebody's time has come, one of these ticks has begun or
    /// so many milliseconds have passed since the beginning. `None`: nothing but the inbox wakes it.
    pub(super) fn wait(&self, look_at: Option<Tick>, at_ms: Option<u64>) -> Option<Duration> {
        let (expected, answers) = (self.adoptions.len(), self.answers.len());
        if !self.is_clear() || expected + answers + self.overdue.len() > 0 {
            return Some(Duration::ZERO);
        }
        let due = self.wheel.next_due().into_iter().chain(look_at).min();
        let due = due.map(|due| self.ticker.until(due));
        let release = at_ms.map(|at_ms| self.ticker.until_ms(at_ms));
        due.into_iter().chain(release).min()
    }

    /// These are to be taken in.
    pub(super) fn expect(&mut self, handoffs: impl IntoIterator<Item = Handoff>) {
        self.adoptions.extend(handoffs);
    }

    /// How many are to be taken in.
    pub(super) fn expected(&self) -> usize {
        self.adoptions.len()
    }

    pub(super) fn next_expected(&mut self) -> Option<Handoff> {
        self.adoptions.pop_front()
    }

    /// All who are to be taken in: nobody is expected any more.
    pub(super) fn take_expected(&mut self) -> VecDeque<Handoff> {
        std::mem::take(&mut self.adoptions)
    }

    /// These are to be told.
    pub(super) fn put_answers(&mut self, answers: impl IntoIterator<Item = Answered>) {
        self.answers.extend(answers);
    }

    pub(super) fn next_answer(&mut self) -> Option<Answered> {
        self.answers.pop_front()
    }

    /// Gives a connection another turn. It must not have one coming.
    pub(super) fn queue(&mut self, token: Token) {
        self.queued.push_back(token);
    }

    /// Whether nobody has another turn coming.
    pub(super) fn is_clear(&self) -> bool {
        self.queued.is_empty()
    }

    /// How many have another turn coming.
    pub(super) fn queued(&self) -> usize {
        self.queued.len()
    }

    pub(super) fn next_queued(&mut self) -> Option<Token> {
        self.queued.pop_front()
    }

    /// A connection that was queued last is the next instead.
    pub(super) fn hurry(&mut self, token: Token) {
        if self.queued.back() == Some(&token) {
            self.queued.rotate_right(1);
        }
    }

    /// A connection is to be looked after then; returns when the wheel brings it round.
    pub(super) fn look_after(&mut self, token: Token, due: Tick) -> Tick {
        self.wheel.insert(token, due)
    }

    /// The connections whose time has come by `now`, each with the tick that was set for it: `most` of
    /// them, those first whose time came first. The others are asked for again.
    pub(super) fn due(&mut self, now: Tick, most: usize) -> Vec<(Token, Tick)> {
        self.wheel.advance(now, &mut self.overdue);
        let due = self.overdue.drain(..most.min(self.overdue.len())).collect();
        if self.overdue.is_empty() {
            self.overdue.shrink_to(OVERDUE_KEPT_MAX);
        }
        due
    }
}
