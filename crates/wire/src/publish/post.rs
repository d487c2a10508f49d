//! What a publisher asks of a topic: to take an event, to end, or both.

use bellwire_model::{Closure, Fence, Topic};

use super::Publish;

/// What a publisher asks of a topic.
#[derive(Clone, Debug, PartialEq)]
pub enum Post {
    /// To take an event.
    Event(Publish),
    /// To take an event, and to end with it.
    Last(Publish),
    /// To end, or to go on.
    Closure(Topic, Closure),
}

impl Post {
    /// The topic.
    pub fn topic(&self) -> &Topic {
        match self {
            Self::Event(publish) | Self::Last(publish) => &publish.topic,
            Self::Closure(topic, _) => topic,
        }
    }

    /// By which its event counts once.
    pub fn fence(&self) -> Option<&Fence> {
        match self {
            Self::Event(publish) | Self::Last(publish) => publish.fence.as_deref(),
            Self::Closure(..) => None,
        }
    }

    /// Bytes of the payload.
    pub fn body_bytes(&self) -> usize {
        match self {
            Self::Event(publish) | Self::Last(publish) => publish.body.bytes().len(),
            Self::Closure(..) => 0,
        }
    }
}
