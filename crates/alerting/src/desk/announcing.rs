//! Steps of the rules that may be visible to clients before the desk has taken them.
//!
//! An alert's event is seen as soon as it is durable, a moment before the evaluator learns that
//! and brings the alert to the desk. Whoever answers it at once must find the alert there: the
//! desk's thread lets such a step end before it looks at a request.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// How long a request waits for such a step: longer than a journal takes that answers at all.
const STEP_PATIENCE: Duration = Duration::from_secs(1);

/// The evaluator's step, if one is under way.
#[derive(Debug, Default)]
pub(super) struct Announcing {
    state: Mutex<State>,
    has_ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_under_way: bool,
    /// Steps that have ended.
    ended: u64,
}

impl Announcing {
    /// What is appended from here on may be seen any moment.
    pub(super) fn begin(&self) {
        self.state.lock().expect("not poisoned").is_under_way = true;
    }

    /// What was seen has been taken, or nothing is seen: the journal did not take it.
    pub(super) fn end(&self) {
        let mut state = self.state.lock().expect("not poisoned");
        if std::mem::take(&mut state.is_under_way) {
            state.ended += 1;
            self.has_ended.notify_all();
        }
    }

    /// Waits for the end of the step that is under way, as long as a journal takes for its answer: one
    /// that says nothing shows nothing either. What begins later does not matter: nobody can have seen
    /// it.
    pub(super) fn wait(&self) {
        let state = self.state.lock().expect("not poisoned");
        let ended = state.ended;
        let is_same = |state: &mut State| state.is_under_way && state.ended == ended;
        let waited = self.has_ended.wait_timeout_while(state, STEP_PATIENCE, is_same);
        drop(waited.expect("not poisoned"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_does_not_end_is_not_waited_for_without_an_end() {
        let announcing = Announcing::default();
        announcing.wait();
        announcing.begin();
        announcing.wait();
        announcing.end();
        announcing.wait();
    }
}
