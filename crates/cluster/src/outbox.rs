//! What this node appends: gathered into group commits, appended to the shared log, answered when it
//! was met there and applied here.
//!
//! ```text
//! publishers ─▶ queue ─┐  gather: one payload      Window: 16 entries in flight
//!                      ├──────────────────────▶ ─────────────────────────────▶ SharedLog::append
//! alerts, records ─▶ own lane: first                    ▲
//!                                  follower: met, passed, stale, another epoch
//! ```
//!
//! While nothing moves publishers wait for so long ([`PATIENCE`]), and are then told to come again; what
//! the server itself has to say waits for as long as it takes. Both are bounded in bytes.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_journal::Error as JournalError;
use bellwire_model::Epoch;
use bellwire_shared_log::{Fence, Position, SharedLog};

use crate::Error;
use crate::clock::Clock;
use crate::envelope::{Incarnation, NodeBits};
use crate::queue::{Content, Gathered, Queue, Waiting};
use crate::window::{Commit, Lane, Life, Met, Waiter, Window};

/// How long publishers wait while nothing moves.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

struct State {
    own: Queue,
    publishers: Queue,
    /// Nothing, while the log is not followed for the first time.
    window: Option<Window>,
    /// Nothing is taken any more, and why.
    refusal: Option<Refusal>,
    /// Nothing is appended, and why: the log is not the one that it is for.
    held: Option<Error>,
}

/// Why nothing is taken.
#[derive(Clone, Debug)]
enum Refusal {
    /// Publishers are to come again; the server's own waits.
    Publishers(Error),
    /// Nothing at all.
    All(JournalError),
}

/// See the module.
pub(crate) struct Outbox {
    log: Arc<dyn SharedLog>,
    clock: Clock,
    /// What its incarnations have in common.
    node: NodeBits,
    state: Mutex<State>,
    changed: Condvar,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Outbox {
    pub(crate) fn new(log: Arc<dyn SharedLog>, clock: Clock, node: NodeBits) -> Self {
        let (own, publishers) = (Queue::default(), Queue::default());
        let state = Mutex::new(State { own, publishers, window: None, refusal: None, held: None });
        Self { log, clock, node, state, changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.clock.now().uptime
    }

    /// Queues what is to be appended whole.
    pub(crate) fn queue(
        &self,
        content: Content,
        waiter: Waiter,
        fence: Option<Fence>,
    ) -> Result<(), JournalError> {
        content.check().map_err(|error| as_refused(&error))?;
        let (lane, bytes) = (content.lane(fence.as_ref()), content.bytes());
        let since = self.now();
        let mut state = self.state();
        match &state.refusal {
            Some(Refusal::All(error)) => return Err(refused(error.clone())),
            Some(Refusal::Publishers(error)) if lane == Lane::Publishers => {
                return Err(as_refused(error));
            }
            _ => {}
        }
        let waiting = Waiting { content, bytes, waiter, fence, since };
        let is_first = state.is_empty();
        match lane {
            Lane::Own => state.own.push(waiting)?,
            Lane::Publishers => state.publishers.push(waiting)?,
        }
        // Patience begins with the first.
        if is_first || state.has_work(since) {
            drop(state);
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Gathers what waits and appends what may be appended now. Returns when there may be more to do
    /// though nothing happens meanwhile. For one thread.
    pub(crate) fn turn(self: &Arc<Self>) -> Option<Duration> {
        self.give_up();
        while let Some(gathered) = self.gather() {
            match gathered.commit() {
                Ok(commit) => self.put(commit),
                Err((waiters, error)) => fail(waiters, &as_refused(&error)),
            }
        }
        let now = self.now();
        let mut state = self.state();
        let window = if state.held.is_none() { state.window.as_mut() } else { None };
        let sends = window.map_or_else(Vec::new, |window| window.sends(now));
        drop(state);
        for send in sends {
            let (outbox, ticket) = (Arc::downgrade(self), send.ticket);
            let stored = move |answer| {
                let Some(outbox) = outbox.upgrade() else { return };
                let now = outbox.now();
                let mut state = outbox.state();
                if let Some(window) = &mut state.window {
                    window.stored(ticket, answer, now);
                }
                outbox.wake(state, now);
            };
            // Nothing is locked here: it may be answered at once.
            self.log.append(send.entry, send.fence, Box::new(stored));
        }
        self.state().wakes(now)
    }

    fn put(&self, commit: Commit) {
        let now = self.now();
        let mut state = self.state();
        // It was there when this was gathered, and never goes.
        if let Some(window) = &mut state.window {
            window.put(commit, now);
        }
    }

    /// Turns until it is closed.
    pub(crate) fn run(self: &Arc<Self>) {
        loop {
            self.turn();
            let state = self.state();
            if let Some(Refusal::All(JournalError::Closed)) = &state.refusal
                && state.is_empty()
            {
                return;
            }
            let now = self.now();
            if state.has_work(now) {
                continue;
            }
            let wait = state.wakes(now).map_or(PATIENCE, |wakes| wakes.saturating_sub(now));
            // Whatever happens between the look and the wait happens behind this lock.
            drop(self.changed.wait_timeout(state, wait.max(Duration::from_millis(1))));
        }
    }

    /// What fits into one payload, of one lane.
    fn gather(&self) -> Option<Gathered> {
        let now = self.clock.now();
        let mut state = self.state();
        let lane = if state.own.is_empty() { Lane::Publishers } else { Lane::Own };
        if !state.has_room(lane) {
            return None;
        }
        match lane {
            Lane::Own => state.own.gather(lane, now),
            Lane::Publishers => state.publishers.gather(lane, now),
        }
    }

    /// Whoever waits too long is told so, and while nothing moves whoever comes.
    fn give_up(&self) {
        let now = self.now();
        let mut state = self.state();
        let before = now.saturating_sub(PATIENCE);
        let (mut unsent, mut waiters) = (Vec::new(), Vec::new());
        while state.publishers.first().is_some_and(|waiting| waiting.since < before) {
            unsent.extend(state.publishers.pop().map(|waiting| waiting.waiter));
        }
        let mut is_stuck = false;
        let mut why: Box<str> = "it has not been reached yet".into();
        if let Some(window) = &mut state.window {
            waiters.extend(window.give_up(before));
            is_stuck = window.stuck_since().is_some_and(|since| since < before);
            why = window.complaint().unwrap_or("it does not answer").into();
        }
        let error = Error::Away(why);
        if !matches!(state.refusal, Some(Refusal::All(_))) {
            let stuck = || is_stuck.then(|| error.clone());
            state.refusal = state.held.clone().or_else(stuck).map(Refusal::Publishers);
        }
        drop(state);
        fail(unsent, &as_refused(&error));
        fail(waiters, &as_journal(&error));
    }

    /// The log is followed, by one who has applied it up to a place, and followed it up to where that is
    /// there, and who is to begin this life where there is none, or where it is to be
    /// another one.
    pub(crate) fn begin(&self, (born, followed): (Position, Position), epoch: Epoch, begin: Begin) {
        let now = self.now();
        let life = Life { incarnation: Incarnation::random(self.node), born, followed, epoch };
        let mut state = self.state();
        let State { window, publishers, .. } = &mut *state;
        let (mut unsent, mut waiters) = (Vec::new(), Vec::new());
        match window {
            None => *window = Some(Window::new(life)),
            Some(window) => match begin {
                Begin::Another => {
                    // Whoever waits for a place would take it for one of the epoch before.
                    waiters = window.give_up(Duration::MAX);
                    while let Some(waiting) = publishers.pop() {
                        unsent.push(waiting.waiter);
                    }
                    window.begin(life);
                }
                Begin::InsteadOf(other) if other == window.incarnation() => window.begin(life),
                Begin::InsteadOf(_) => {}
                Begin::First => window.doubt(now),
            },
        }
        drop(state);
        self.changed.notify_all();
        let error = Error::Away("the log is not the one that it was: publish again".into());
        fail(unsent, &as_refused(&error));
        fail(waiters, &as_journal(&error));
    }

    /// Whether an entry is this node's own.
    pub(crate) fn is_own(&self, incarnation: Incarnation) -> bool {
        self.state().window.as_ref().is_some_and(|window| window.is_own(incarnation))
    }

    /// An own entry counts. Returns who has waited for its commit, where it is the last of that.
    pub(crate) fn met(&self, entry: (Incarnation, u64)) -> Option<Met> {
        let now = self.now();
        let mut state = self.state();
        let met = state.window.as_mut()?.met(entry, now);
        self.wake(state, now);
        met
    }

    /// The log was followed up to there.
    pub(crate) fn passed(&self, position: Position) {
        let now = self.now();
        let mut state = self.state();
        if let Some(window) = &mut state.window {
            window.passed(position, now);
        }
        self.wake(state, now);
    }

    /// Wakes who appends, where there is something to do or another time to wait for, and at the end who
    /// waits for that. Most of what happens is neither.
    fn wake(&self, state: MutexGuard<'_, State>, now: Duration) {
        let waits = state.window().is_some_and(|window| window.wakes().is_some());
        let is_over = state.refusal.is_some() && state.is_empty();
        if waits || is_over || state.has_work(now) {
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Appends nothing from now on, for this reason, or goes on where there is none.
    pub(crate) fn hold(&self, held: Option<Error>) {
        let mut state = self.state();
        if state.held.is_some() || held.is_some() {
            state.held = held;
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.state().is_empty()
    }

    /// Since when nothing moves.
    pub(crate) fn stuck_since(&self) -> Option<Duration> {
        self.state().window.as_ref()?.stuck_since()
    }

    /// Since when nothing moves, and what the engine says.
    pub(crate) fn stuck(&self) -> Option<(Duration, Box<str>)> {
        let state = self.state();
        let window = state.window.as_ref()?;
        Some((window.stuck_since()?, window.complaint()?.into()))
    }

    /// Nothing more is taken, or answered.
    pub(crate) fn refuse(&self, error: &JournalError) {
        let mut state = self.state();
        state.refusal = Some(Refusal::All(error.clone()));
        let waiters = state.window.as_mut().map_or_else(Vec::new, Window::close);
        let mut unsent = Vec::new();
        let State { own, publishers, .. } = &mut *state;
        for queue in [own, publishers] {
            while let Some(waiting) = queue.pop() {
                unsent.push(waiting.waiter);
            }
        }
        drop(state);
        self.changed.notify_all();
        fail(unsent, &refused(error.clone()));
        let sent = match error {
            JournalError::Closed => JournalError::Unanswered,
            error => error.clone(),
        };
        fail(waiters, &sent);
    }

    /// Takes nothing more, and waits until all that was taken was answered, for so long at most.
    pub(crate) fn drain(&self, patience: Duration) {
        let mut state = self.state();
        if !matches!(state.refusal, Some(Refusal::All(_))) {
            state.refusal = Some(Refusal::All(JournalError::Closed));
        }
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(state, patience, |state| !state.is_empty());
        drop(waited);
        self.refuse(&JournalError::Closed);
    }
}

impl State {
    fn is_empty(&self) -> bool {
        let is_queued = !self.own.is_empty() || !self.publishers.is_empty();
        !is_queued && self.window.as_ref().is_none_or(Window::is_empty)
    }

    /// When there may be something to do though nothing happens until then.
    fn wakes(&self, now: Duration) -> Option<Duration> {
        let patience = (!self.is_empty()).then(|| now.saturating_add(PATIENCE / 10));
        let wakes = self.window().and_then(Window::wakes);
        [patience, wakes].into_iter().flatten().min()
    }

    /// Whether a turn would do something.
    fn has_work(&self, now: Duration) -> bool {
        let may_gather = self.has_room(Lane::Own) || self.has_room(Lane::Publishers);
        may_gather || self.window().is_some_and(|window| window.may_send(now))
    }

    /// Whether what waits in a lane may be put into the window.
    fn has_room(&self, lane: Lane) -> bool {
        let queue = match lane {
            Lane::Own => &self.own,
            Lane::Publishers => &self.publishers,
        };
        let window = self.window();
        !queue.is_empty() && window.is_some_and(|window| window.has_room(lane, queue.bytes()))
    }

    /// What is under way, where something may be appended.
    fn window(&self) -> Option<&Window> {
        self.window.as_ref().filter(|_| self.held.is_none())
    }
}

/// Whether a life is to be begun where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Only where there is none: it is followed again, after a doubt.
    First,
    /// In any case.
    Another,
    /// Where it is this one, of which nothing counts any more.
    InsteadOf(Incarnation),
}

/// They are told that nothing is known of what they wait for.
pub(crate) fn fail(waiters: Vec<Waiter>, error: &JournalError) {
    for waiter in waiters {
        match waiter {
            Waiter::Appends(reply) => reply(Err(error.clone())),
            Waiter::Records(reply) => reply(Err(error.clone())),
        }
    }
}

/// What is told to whoever has appended what was not sent yet.
pub(crate) fn as_refused(error: &Error) -> JournalError {
    refused(as_journal(error))
}

fn refused(error: JournalError) -> JournalError {
    match error {
        JournalError::Away(cause) => JournalError::Refused(cause),
        other => other,
    }
}

/// What is told to who asks a journal, or waits for what may be stored.
pub(crate) fn as_journal(error: &Error) -> JournalError {
    match error {
        Error::Replica(error) => error.clone(),
        other => JournalError::Away(Arc::new(other.clone())),
    }
}
