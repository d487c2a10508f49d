//! When something is due: one timer for each series, at most one for each part of a rule and for
//! each alert.

use std::collections::BTreeSet;

use bellwire_model::{Fingerprint, Timestamp};

use super::series::Subscription;
use super::ticks::GroupId;
use crate::storage::SeriesId;

/// All timers, by what they are for.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// The lookback of a series may end, or nothing may look at it any more.
    pub(super) series: Queue<SeriesId>,
    /// A part of a rule may come to something else though nothing comes.
    pub(super) partitions: Queue<Subscription>,
    /// A group in tick mode is evaluated.
    pub(super) groups: Queue<GroupId>,
    /// An alert has been pending or kept firing for long enough, or nobody has spoken for a
    /// restored one.
    pub(super) alerts: Queue<Fingerprint>,
    /// A resolved alert has been kept for long enough.
    pub(super) retention: Queue<Fingerprint>,
}

impl Timers {
    pub(super) fn next(&self) -> Option<Timestamp> {
        let Self { series, partitions, groups, alerts, retention } = self;
        let next =
            [series.next(), partitions.next(), groups.next(), alerts.next(), retention.next()];
        next.into_iter().flatten().min()
    }
}

/// Timers in the order of their times; those of one time in the order of their keys.
#[derive(Debug)]
pub(super) struct Queue<K>(BTreeSet<(Timestamp, K)>);

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Copy + Ord> Queue<K> {
    pub(super) fn arm(&mut self, due: Timestamp, key: K) {
        self.0.insert((due, key));
    }

    pub(super) fn cancel(&mut self, due: Timestamp, key: K) {
        self.0.remove(&(due, key));
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(due, _)| *due)
    }

    /// Takes the timer that is due first.
    pub(super) fn pop(&mut self) -> Option<(Timestamp, K)> {
        self.0.pop_first()
    }

    /// Takes the timers that are due at or before `now`.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<(Timestamp, K)> {
        let mut due = Vec::new();
        while self.next().is_some_and(|next| next <= now) {
            due.extend(self.pop());
        }
        due
    }
}
