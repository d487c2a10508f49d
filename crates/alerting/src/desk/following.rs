//! Records that follow from what became of alerts, and that nobody waits for. What the journal does not
//! take of them is offered again: without it a restart might bring back what is gone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bellwire_alerts::record::DeskRecordChange;

/// Of each record the newest change that the journal has refused, with the number of its write.
#[derive(Debug, Default)]
pub(super) struct Following(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    writes: u64,
    refused: BTreeMap<String, (u64, Option<Vec<u8>>)>,
}

impl Following {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next write, in the order in which the journal gets them.
    pub(super) fn next(&self) -> u64 {
        let mut state = self.state();
        state.writes += 1;
        state.writes
    }

    /// The journal has the changes of a write: what it refused of them before counts no more.
    pub(super) fn on_kept(&self, write: u64, changes: &[DeskRecordChange]) {
        let mut state = self.state();
        for DeskRecordChange { key, .. } in changes {
            if state.refused.get(key).is_some_and(|(refused, _)| *refused < write) {
                state.refused.remove(key);
            }
        }
    }

    /// The journal does not take the changes of a write that nobody waits for.
    pub(super) fn on_refused(&self, write: u64, changes: Vec<DeskRecordChange>) {
        let mut state = self.state();
        for DeskRecordChange { key, value } in changes {
            if state.refused.get(&key).is_none_or(|(refused, _)| *refused < write) {
                state.refused.insert(key, (write, value));
            }
        }
    }

    /// What is to be offered again.
    pub(super) fn take(&self) -> Vec<DeskRecordChange> {
        let refused = std::mem::take(&mut self.state().refused).into_iter();
        refused.map(|(key, (_, value))| DeskRecordChange { key, value }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, value: Option<u8>) -> DeskRecordChange {
        DeskRecordChange { key: key.to_owned(), value: value.map(|byte| vec![byte]) }
    }

    #[test]
    fn what_is_refused_is_offered_again_unless_something_newer_is_kept() {
        let following = Following::default();
        let [first, second, third] = [(); 3].map(|()| following.next());
        following.on_refused(first, vec![change("a", None), change("b", Some(1))]);
        following.on_kept(second, &[change("a", Some(2))]);
        following.on_refused(third, vec![change("b", Some(3))]);
        assert_eq!(following.take(), [change("b", Some(3))]);
        assert_eq!(following.take(), []);
        // One that is refused at once, before an earlier one is answered.
        let [earlier, later] = [(); 2].map(|()| following.next());
        following.on_refused(later, vec![change("c", None), change("d", None)]);
        following.on_kept(earlier, &[change("c", Some(1))]);
        following.on_refused(earlier, vec![change("d", Some(1))]);
        assert_eq!(following.take(), [change("c", None), change("d", None)]);
    }
}
