//! Where somebody shows themselves: on a topic, or at an alert that they have open.

use std::cmp::Ordering;

use bellwire_hub::Payload;
use bellwire_model::{EffectiveFilter, Labels, Topic};

use crate::state::SharedTable;

/// A topic on which somebody is seen.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) topic: Topic,
    /// Where it is of an alert, the alert's: who sees that sees who is there.
    pub(crate) labels: Option<Labels>,
}

impl Place {
    /// The place of this topic. `None`: it is of an alert that is not on the board.
    pub(super) fn find(topic: Topic, table: &SharedTable) -> Option<Self> {
        let Some(fingerprint) = topic.alert() else { return Some(Self { topic, labels: None }) };
        let board: Topic = Topic::OF_BOARD.parse().expect("a topic");
        let shown = table.lock().expect("not poisoned").get(&board, fingerprint)?;
        let labels = Some(shown.payload.labels()?.clone());
        Some(Self { topic, labels })
    }

    /// Whether somebody may be here who sees what these do.
    pub(crate) fn is_seen_by(&self, followed: &EffectiveFilter) -> bool {
        let Some(labels) = &self.labels else { return true };
        followed.sight().shows(&self.topic, || Some(labels))
    }
}

/// Places are told apart by their topics.
impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.topic.cmp(&other.topic)
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.topic == other.topic
    }
}

impl Eq for Place {}

#[cfg(test)]
impl From<Topic> for Place {
    fn from(topic: Topic) -> Self {
        Self { topic, labels: None }
    }
}
