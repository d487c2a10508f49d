//! Who of the nodes does what one alone may do: a thread that asks for a lease and holds it, for as long as
//! the process lives and whatever of it begins anew meanwhile.
//!
//! ```text
//! Tenure ─ asks, beats, looks ─▶ the engine's registers
//!    │ Seat: whether it is this node, in which term, and else which and where
//!    ▼
//! who watches, and whoever appends under the fence of a term (FencedJournal)
//! ```

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bellwire_process::crash;
use bellwire_shared_log::{Fence, Generation, SharedLog};

use crate::clock::Clock;
use crate::lease::{self, Lease, LeaseTiming, Looked, Stepped, Wanted};
use crate::{Error, nodes};

/// How long nothing is done where the engine does not answer.
const AWAY_PAUSE: Duration = Duration::from_millis(200);

/// A node that cannot do for so long what its holder does gives it up, and one that can for so long asks again.
const UNABLE_AGE: Duration = Duration::from_secs(5);

/// How often it is looked where the node is that holds it.
const ADDRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Who holds the lease, as far as this node knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    /// Of this node, where it is its own: the term. It goes on until somebody else was seen to have taken
    /// it, and what was decided in one term is void in the next.
    pub term: Option<u64>,
    /// Whether this node holds it, as of when that was found.
    pub is_held: bool,
    /// Another node that holds it, as its register says.
    pub other: Option<Other>,
}

/// A node that holds what others do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// What it is called.
    pub node: Box<str>,
    /// Where it is reached, where it has said so.
    pub address: Option<Box<str>>,
    /// Whether it was seen to say that it is there.
    pub is_alive: bool,
}

/// Told of each seat that is another one, on the thread of the tenure. Must not block.
type Watcher = Box<dyn Fn(&Seat) + Send + Sync>;

/// See the module.
pub struct Tenure {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    clock: Clock,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    seat: Seat,
    term: Option<(u64, Fence)>,
    held_until: Option<Duration>,
    watcher: Option<Watcher>,
    /// How long it is left to others.
    deference: Duration,
    /// Since when this node cannot do what its holder does: at times at least, and never for long.
    unable_since: Option<Duration>,
    /// Since when it can, as of what it said last.
    able_since: Option<Duration>,
    /// It was unable for too long.
    is_unable: bool,
    is_doubted: bool,
    is_closing: bool,
}

impl State {
    /// The node can, or cannot, from now on. One that is stuck may seem to go on before each try.
    fn want(&mut self, wanted: Wanted, now: Duration) {
        self.look(now);
        match wanted {
            Wanted::Yes => drop(self.able_since.get_or_insert(now)),
            Wanted::No => {
                self.able_since = None;
                self.unable_since.get_or_insert(now);
            }
        }
        self.look(now);
    }

    /// Whether it is wanted now.
    fn look(&mut self, now: Duration) -> Wanted {
        let is_old = |since: Duration| now.saturating_sub(since) >= UNABLE_AGE;
        match self.able_since {
            Some(since) if is_old(since) => (self.unable_since, self.is_unable) = (None, false),
            Some(_) => {}
            None => self.is_unable |= self.unable_since.is_some_and(is_old),
        }
        if self.is_unable { Wanted::No } else { Wanted::Yes }
    }
}

impl fmt::Debug for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenure").field("seat", &self.seat()).finish_non_exhaustive()
    }
}

impl Tenure {
    /// Has `node` ask for the lease of this name from now on, which it [leaves to others](Self::defer) for
    /// so long.
    pub fn begin(
        log: Arc<dyn SharedLog>,
        (name, node): (&str, &str),
        clock: Clock,
        (timing, deference): (LeaseTiming, Duration),
    ) -> Result<Self, Error> {
        let state = Mutex::new(State { deference, ..State::default() });
        let shared = Arc::new(Shared { clock, state, changed: Condvar::new() });
        let asking = Asking {
            shared: Arc::clone(&shared),
            log,
            lease: Lease::new(name, node, timing),
            looked: None,
            other: None,
            next_address: Duration::ZERO,
        };
        let thread = crash::spawn_essential(format!("lease-{name}"), move || asking.run())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Who holds it.
    pub fn seat(&self) -> Seat {
        self.shared.state().seat.clone()
    }

    /// Waits for `patience` at most until this node holds it, or another was seen to be there that does.
    pub fn decided(&self, patience: Duration) -> Seat {
        let is_open = |state: &mut State| {
            let is_others = state.seat.other.as_ref().is_some_and(|other| other.is_alive);
            !state.seat.is_held && !is_others
        };
        let waited = self.shared.changed.wait_timeout_while(self.shared.state(), patience, is_open);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.seat.clone()
    }

    /// Has this told of the seat as it is, and of each other one. Nobody else is from now on.
    pub fn watch(&self, watcher: impl Fn(&Seat) + Send + Sync + 'static) {
        let mut state = self.shared.state();
        watcher(&state.seat);
        state.watcher = Some(Box::new(watcher));
    }

    /// Whether this node holds it now, by its clock, in this term: nobody else does then.
    pub fn holds(&self, term: u64) -> bool {
        let now = self.shared.clock.now().uptime;
        let state = self.shared.state();
        let is_of_term = state.term.as_ref().is_some_and(|(of, _)| *of == term);
        is_of_term && state.held_until.is_some_and(|until| now < until)
    }

    /// What is appended under in this term; nothing where that is over.
    pub fn fence(&self, term: u64) -> Option<Fence> {
        let state = self.shared.state();
        let (_, fence) = state.term.as_ref().filter(|(of, _)| *of == term)?;
        Some(fence.clone())
    }

    /// Something was kept out by a fence, or the registers may be gone with the log: has it looked at once
    /// whose it is. Until then nobody is known to hold it.
    pub fn doubt(&self) {
        let mut state = self.shared.state();
        (state.is_doubted, state.held_until) = (true, None);
        (state.seat.is_held, state.seat.other) = (false, None);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Leaves it to others for so long, whenever it is nobody's: one of them is to have it first.
    pub fn defer(&self, deference: Duration) {
        self.shared.state().deference = deference;
    }

    /// This node can do what its holder does, or cannot: after some seconds of that it gives it up, and asks
    /// for it again once it can.
    pub fn want(&self, wanted: Wanted) {
        let now = self.shared.clock.now().uptime;
        self.shared.state().want(wanted, now);
        self.shared.changed.notify_all();
    }

    /// Gives it up, so that another takes it at once.
    pub fn end(&self) {
        self.shared.state().is_closing = true;
        self.shared.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("The thread of a lease had failed.");
        }
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        // Whoever wants to know that it is given up calls `end`.
        self.shared.state().is_closing = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread has.
struct Asking {
    shared: Arc<Shared>,
    log: Arc<dyn SharedLog>,
    lease: Lease,
    /// The registers at the last look.
    looked: Option<(Generation, Generation)>,
    other: Option<Other>,
    /// When it is looked again where the other is.
    next_address: Duration,
}

impl Asking {
    fn run(mut self) {
        loop {
            let mut state = self.shared.state();
            if state.is_closing {
                break;
            }
            if std::mem::take(&mut state.is_doubted) {
                self.lease.doubt();
                (self.looked, self.other) = (None, None);
            }
            self.lease.defer(state.deference);
            let wanted = state.look(self.now());
            drop(state);
            self.lease.want(wanted);
            let wait = self.turn();
            self.tell();
            let state = self.shared.state();
            if !state.is_doubted && !state.is_closing {
                drop(self.shared.changed.wait_timeout(state, wait));
            }
        }
        self.lease.want(Wanted::No);
        if self.lease.held(self.now()).is_some() {
            lease::step(&mut self.lease, &*self.log, &self.shared.clock);
        }
        self.tell();
    }

    fn now(&self) -> Duration {
        self.shared.clock.now().uptime
    }

    /// Goes on by a step. Returns how long there is nothing more.
    fn turn(&mut self) -> Duration {
        match lease::step(&mut self.lease, &*self.log, &self.shared.clock) {
            Stepped::Waits(until) => until.saturating_sub(self.now()),
            Stepped::Looked(looked) => {
                self.look(looked);
                Duration::ZERO
            }
            Stepped::Set => Duration::ZERO,
            Stepped::Unanswered => AWAY_PAUSE,
        }
    }

    /// Who it is of the others, and where.
    fn look(&mut self, Looked { holder, is_own, generations }: Looked) {
        let before = self.looked.replace(generations);
        let Some(node) = holder.filter(|_| !is_own) else {
            self.other = None;
            return;
        };
        let same = self.other.take().filter(|other| other.node == node);
        let has_beaten =
            before.is_some_and(|(lease, beat)| lease == generations.0 && beat != generations.1);
        let is_alive = has_beaten || same.as_ref().is_some_and(|other| other.is_alive);
        let mut address = same.and_then(|other| other.address);
        let now = self.now();
        if address.is_none() || now >= self.next_address {
            self.next_address = now.saturating_add(ADDRESS_INTERVAL);
            if let Ok(mark) = nodes::node(&*self.log, &node) {
                address = mark.map(|mark| mark.address);
            }
        }
        self.other = Some(Other { node, address, is_alive });
    }

    /// Tells what has become of it.
    fn tell(&mut self) {
        let (term, held_until) = (self.lease.term(), self.lease.held_until());
        if term.is_some() {
            self.other = None;
        }
        let seat = Seat {
            term: term.as_ref().map(|(term, _)| *term),
            is_held: self.lease.held(self.now()).is_some(),
            other: self.other.clone(),
        };
        let mut state = self.shared.state();
        if state.is_doubted {
            return;
        }
        (state.term, state.held_until) = (term, held_until);
        if state.seat != seat {
            state.seat = seat;
            // Told in order, so within the lock.
            if let Some(watcher) = &state.watcher {
                watcher(&state.seat);
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
