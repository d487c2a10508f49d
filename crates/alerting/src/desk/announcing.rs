//! Steps of the rules that may be visible to clients before the desk has taken them.
//!
//! An alert's event is seen as soon as it is durable, a moment before the evaluator learns that
//! and brings the alert to the desk. Whoever answers it at once must find the alert there: the
//! desk's thread lets such a step end before it looks at a request.

use std::sync::{Condvar, Mutex};

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

    /// Waits for the end of the step that is under way, as long as the journal takes for its
    /// answer. What begins later does not matter: nobody can have seen it.
    pub(super) fn wait(&self) {
        let state = self.state.lock().expect("not poisoned");
        let ended = state.ended;
        let is_same = |state: &mut State| state.is_under_way && state.ended == ended;
        drop(self.has_ended.wait_while(state, is_same).expect("not poisoned"));
    }
}
