//! When keys of state topics go by themselves.

use std::collections::{BTreeMap, BTreeSet};

use bellwire_model::{NameMap, Offset, Topic};

use crate::passed::Moment;

/// A key that is to go.
#[derive(Debug)]
pub(crate) struct DueValue {
    pub(crate) topic: Topic,
    pub(crate) key: Box<str>,
    /// Where its value is.
    pub(crate) value: Offset,
    /// Where its time was said last.
    pub(crate) timed_at: Offset,
}

/// When a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) value: Offset,
    pub(crate) at: Moment,
    /// Where that was said last; nothing where it was with the value, or where nobody asks.
    pub(crate) renewed_at: Offset,
}

/// When values go, by their offsets. Of those that have no time nothing is kept.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    of_value: BTreeMap<Offset, Deadline>,
    queue: BTreeSet<(Moment, Offset)>,
    /// Values of topics that had ended when their time was over: they stay until the topic is reopened.
    resting: NameMap<Topic, Vec<Offset>>,
}

impl Deadlines {
    /// Says when a value goes.
    pub(crate) fn set(&mut self, deadline: Deadline) {
        let Deadline { value, at, .. } = deadline;
        self.forget(value);
        self.of_value.insert(value, deadline);
        self.queue.insert((at, value));
    }

    /// Where the time of a value was said last.
    pub(crate) fn timed_at(&self, value: Offset) -> Offset {
        self.of_value.get(&value).map_or(value, |deadline| deadline.renewed_at.max(value))
    }

    /// The value is gone or replaced. Returns whether it had a time.
    pub(crate) fn forget(&mut self, value: Offset) -> bool {
        let Some(Deadline { at, .. }) = self.of_value.remove(&value) else { return false };
        self.queue.remove(&(at, value));
        true
    }

    /// The topic of a value whose time is over has ended, behind which nothing comes.
    pub(crate) fn rest(&mut self, value: Offset, topic: &Topic) {
        let Some(deadline) = self.of_value.get(&value) else { return };
        if self.queue.remove(&(deadline.at, value)) {
            self.resting.entry(topic.clone()).or_default().push(value);
        }
    }

    /// A topic is reopened: what rests of it is to go.
    pub(crate) fn go_on(&mut self, topic: &Topic) {
        for value in self.resting.remove(topic).unwrap_or_default() {
            self.queue.extend(self.of_value.get(&value).map(|deadline| (deadline.at, value)));
        }
    }

    /// Whether none has a time.
    pub(crate) fn is_empty(&self) -> bool {
        self.of_value.is_empty()
    }

    /// When the first value goes that comes behind so many.
    pub(crate) fn behind(&self, count: usize) -> Option<Moment> {
        self.queue.iter().nth(count).map(|(at, _)| *at)
    }

    /// Up to so many of those whose time is over, in the order of their times.
    pub(crate) fn due(&self, now: Moment, count_max: usize) -> Vec<Offset> {
        let due = self.queue.iter().take_while(|(at, _)| *at <= now);
        due.take(count_max).map(|(_, value)| *value).collect()
    }
}
