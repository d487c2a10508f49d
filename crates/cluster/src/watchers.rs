//! Who is told of changes of records: what other nodes have changed, too.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use bellwire_journal::{AppliedReply, RecordChange, RecordWatcher};

/// See the module.
#[derive(Default)]
pub(crate) struct Watchers(RwLock<Vec<(&'static str, RecordWatcher)>>);

impl Watchers {
    pub(crate) fn add(&self, prefix: &'static str, watcher: RecordWatcher) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push((prefix, watcher));
    }

    /// Has those told who watch some of these changes, once they are applied and before `applied` is called.
    pub(crate) fn before(&self, changes: &[RecordChange], applied: AppliedReply) -> AppliedReply {
        if changes.is_empty() {
            return applied;
        }
        let watchers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of = |prefix: &str| -> Vec<RecordChange> {
            changes.iter().filter(|change| change.key.starts_with(prefix)).cloned().collect()
        };
        let told: Vec<(RecordWatcher, Vec<RecordChange>)> = watchers
            .iter()
            .map(|(prefix, watcher)| (watcher.clone(), of(prefix)))
            .filter(|(_, changes)| !changes.is_empty())
            .collect();
        if told.is_empty() {
            return applied;
        }
        Box::new(move |result| {
            if result.is_ok() {
                for (watcher, changes) in &told {
                    watcher(changes);
                }
            }
            applied(result);
        })
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").finish_non_exhaustive()
    }
}
