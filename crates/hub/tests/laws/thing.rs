//! What is published: a number, and the labels of what it tells of.

use bellwire_hub::Payload;
use bellwire_model::{EffectiveFilter, Labels, Topic};

/// An event's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) number: u64,
    pub(crate) labels: Option<Labels>,
}

impl From<u64> for Thing {
    /// One without labels.
    fn from(number: u64) -> Self {
        Self { number, labels: None }
    }
}

impl Payload for Thing {
    fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    fn gone(&self) -> Self {
        Self::from(0)
    }
}

impl Thing {
    /// Whether it is for those who follow this, where it is published on this topic.
    pub(crate) fn is_for(&self, follows: &EffectiveFilter, topic: &Topic) -> bool {
        follows.filters().matches(topic) && follows.sight().shows(topic, || self.labels.as_ref())
    }
}
