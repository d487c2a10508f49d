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
    /// What was applied last.
    tail: Option<Tail>,
    /// Behind which place the log is read by whoever starts with what was applied, if anything was.
    resumes_after: Option<Position>,
}

impl Applies {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is to be applied. Returns what is called once it was.
    pub(crate) fn reply(
        self: &Arc<Self>,
        (tail, resumes_after): (Tail, Position),
        waiters: Vec<Waiter>,
    ) -> AppliedReply {
        self.state().under_way += 1;
        let guard = Guard(Arc::clone(self));
        Box::new(move |applied| {
            let mut state = guard.0.state();
            match &applied {
                Ok(()) if state.failure.is_none() => {
                    (state.tail, state.resumes_after) = (Some(tail), Some(resumes_after));
                }
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

    /// Up to where all is applied that was followed up to `followed`.
    pub(crate) fn reached(&self, followed: Position) -> Position {
        let state = self.state();
        if state.under_way == 0 {
            return followed;
        }
        state.tail.map_or(Position::START, |tail| tail.position)
    }

    /// What was applied last of the log, if anything was.
    pub(crate) fn tail(&self) -> Option<Tail> {
        self.state().tail
    }

    /// Behind which place the log is read by whoever starts with what was applied, if anything was.
    pub(crate) fn resumes_after(&self) -> Option<Position> {
        self.state().resumes_after
    }

    /// This was applied last of the log, and it is read behind there; nothing of it, where all that was
    /// applied was so before the epoch began.
    pub(crate) fn begin(&self, tail: Option<Tail>, resumes_after: Position) {
        let mut state = self.state();
        (state.tail, state.resumes_after) = (tail, Some(resumes_after));
    }

    /// Nothing was applied.
    pub(crate) fn forget(&self) {
        let mut state = self.state();
        (state.tail, state.resumes_after) = (None, None);
    }
}

/// One that is on its way, whatever becomes of it.
struct Guard(Arc<Applies>);

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way -= 1;
        let is_last = state.under_way == 0;
        drop(state);
        if is_last {
            self.0.changed.notify_all();
        }
    }
}
