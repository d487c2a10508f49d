//! What is on its way into the replica.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bellwire_journal::{AppliedReply, Error};
use bellwire_shared_log::Position;

use crate::order::Tail;
use crate::window::Waiter;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Applies {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    /// Why the first that failed did; what was behind it was not applied either.
    failure: Option<Error>,
    /// What was applied last, and behind which place the log is read by whoever starts with that.
    tail: Option<(Tail, Position)>,
}

impl Applies {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is to be applied. Returns what is called once it was.
    pub(crate) fn reply(
        self: &Arc<Self>,
        tail: (Tail, Position),
        waiters: Vec<Waiter>,
    ) -> AppliedReply {
        self.state().under_way += 1;
        let guard = Guard(Arc::clone(self));
        Box::new(move |applied| {
            let mut state = guard.0.state();
            match &applied {
                Ok(()) if state.failure.is_none() => state.tail = Some(tail),
                Ok(()) => {}
                Err(error) => drop(state.failure.get_or_insert_with(|| error.clone())),
            }
            drop(state);
            for waiter in waiters {
                match waiter {
                    Waiter::Records(reply) => reply(applied.clone()),
                    // Theirs are answered with what became of them.
                    Waiter::Appends(reply) => reply(Err(Error::Applied)),
                }
            }
            drop(guard);
        })
    }

    /// Waits until nothing is on its way any more.
    pub(crate) fn wait(&self) {
        drop(self.changed.wait_while(self.state(), |state| state.under_way > 0));
    }

    /// Waits until nothing is on its way any more, and forgets what failed. Fails where nothing can be
    /// applied.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        let state = self.state();
        let waited = self.changed.wait_while(state, |state| state.under_way > 0);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        match state.failure.take() {
            Some(Error::Closed) => Err(Error::Closed),
            _ => Ok(()),
        }
    }

    /// Why something failed, if it did.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.state().failure.clone()
    }

    /// What was applied last, if anything was.
    pub(crate) fn tail(&self) -> Option<Tail> {
        self.state().tail.map(|(tail, _)| tail)
    }

    /// Behind which place the log is read by whoever starts with what was applied, if anything was.
    pub(crate) fn resumes_after(&self) -> Option<Position> {
        self.state().tail.map(|(_, resumes_after)| resumes_after)
    }

    /// This was applied last.
    pub(crate) fn begin(&self, tail: (Tail, Position)) {
        self.state().tail = Some(tail);
    }

    /// Nothing was applied.
    pub(crate) fn forget(&self) {
        self.state().tail = None;
    }
}

/// One that is on its way, whatever becomes of it.
struct Guard(Arc<Applies>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.state().under_way -= 1;
        self.0.changed.notify_all();
    }
}
