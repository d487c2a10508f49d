//! When keys of state topics go by themselves.

use std::collections::{BTreeMap, BTreeSet};

use bellwire_model::{NameMap, Offset, Topic};

use crate::passed::Moment;

/// A key of a state topic.
pub(crate) type TopicKey = (Topic, Box<str>);

/// Keys that are to go, in the order of their times.
pub(crate) type DueKeys = Vec<TopicKey>;

/// When values go, by their offsets. Of those that have no time nothing is kept.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    of_value: BTreeMap<Offset, Moment>,
    queue: BTreeSet<(Moment, Offset)>,
    /// Values of topics that had ended when their time was over: they stay until the topic is reopened.
    resting: NameMap<Topic, Vec<Offset>>,
}

impl Deadlines {
    /// Says when a value goes.
    pub(crate) fn set(&mut self, value: Offset, at: Moment) {
        self.forget(value);
        self.of_value.insert(value, at);
        self.queue.insert((at, value));
    }

    /// The value is gone or replaced. Returns whether it had a time.
    pub(crate) fn forget(&mut self, value: Offset) -> bool {
        let Some(at) = self.of_value.remove(&value) else { return false };
        self.queue.remove(&(at, value));
        true
    }

    /// The topic of a value whose time is over has ended, behind which nothing comes.
    pub(crate) fn rest(&mut self, value: Offset, topic: &Topic) {
        let Some(at) = self.of_value.get(&value) else { return };
        if self.queue.remove(&(*at, value)) {
            self.resting.entry(topic.clone()).or_default().push(value);
        }
    }

    /// A topic is reopened: what rests of it is to go.
    pub(crate) fn go_on(&mut self, topic: &Topic) {
        for value in self.resting.remove(topic).unwrap_or_default() {
            self.queue.extend(self.of_value.get(&value).map(|at| (*at, value)));
        }
    }

    /// Whether none has a time.
    pub(crate) fn is_empty(&self) -> bool {
        self.of_value.is_empty()
    }

    /// When the first value goes.
    pub(crate) fn first(&self) -> Option<Moment> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Up to so many of those whose time is over, in the order of their times.
    pub(crate) fn due(&self, now: Moment, count_max: usize) -> Vec<Offset> {
        let due = self.queue.iter().take_while(|(at, _)| *at <= now);
        due.take(count_max).map(|(_, value)| *value).collect()
    }
}
