//! Events: what subscribers receive.

use bytes::Bytes;
use thiserror::Error;

use crate::offset::Offset;
use crate::time::Timestamp;
use crate::topic::Topic;

/// One event: an envelope around a body. Closed by design; a new kind of delivery is a new type.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Where it was published.
    pub topic: Topic,
    /// On a state topic: which value this replaces. On a stream: the publisher's own key.
    pub key: Option<Box<str>>,
    /// The event's type, such as `alert.firing`; SSE's `event:` field. Of a deletion, which has none,
    /// why the key is gone, where nobody has deleted it.
    pub event_type: Option<Box<str>>,
    /// When the server took it in.
    pub time: Timestamp,
    /// What was published; `None` says that the key of a state topic was deleted.
    pub body: Option<Body>,
}

impl Event {
    /// What this says of its topic as a whole, if it says that and nothing else.
    pub fn closure(&self) -> Option<Closure> {
        if self.body.is_some() || self.key.is_some() {
            return None;
        }
        let event_type = self.event_type.as_deref()?;
        [Closure::End, Closure::Reopened].into_iter().find(|it| it.as_str() == event_type)
    }

    /// Why the key of a deletion is gone whose time was over.
    pub const EXPIRED: &str = "expired";

    /// The type that subscribers are told. Not why a key is gone: that is no type.
    pub fn shown_type(&self) -> Option<&str> {
        self.event_type.as_deref().filter(|_| !self.is_deletion())
    }

    /// Why a key is gone, where nobody has deleted it.
    pub fn reason(&self) -> Option<&str> {
        self.event_type.as_deref().filter(|_| self.is_deletion())
    }

    fn is_deletion(&self) -> bool {
        self.body.is_none() && self.key.is_some()
    }

    /// Bytes that this event is charged with against limits in bytes.
    pub fn size_bytes(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        self.topic.as_str().len()
            + text(&self.key)
            + text(&self.event_type)
            + self.body.as_ref().map_or(0, |body| body.bytes().len())
    }
}

/// What becomes of a topic as a whole: said by an event that has neither key nor body, in the order
/// of the topic's others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closure {
    /// It has ended: nothing more is published to it.
    End,
    /// It goes on after all.
    Reopened,
}

impl Closure {
    /// The type of its event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Reopened => "reopened",
        }
    }

    /// The event that says so.
    pub fn event(self, topic: Topic, time: Timestamp) -> Event {
        Event { topic, key: None, event_type: Some(self.as_str().into()), time, body: None }
    }
}

/// A published payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Checked JSON text, passed on as it came.
    Json(Bytes),
    /// UTF-8 text.
    Text(Bytes),
    /// Anything else, with its media type.
    Binary {
        /// The publisher's `Content-Type`.
        content_type: Box<str>,
        /// The payload.
        bytes: Bytes,
    },
}

impl Body {
    /// A text body.
    pub fn text(bytes: Bytes) -> Result<Self, BodyError> {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(Self::Text(bytes)),
            Err(error) => Err(BodyError { valid_bytes: error.valid_up_to() }),
        }
    }

    /// The payload as published.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Json(bytes) | Self::Text(bytes) | Self::Binary { bytes, .. } => bytes,
        }
    }

    /// The media type of the payload.
    pub fn content_type(&self) -> &str {
        match self {
            Self::Json(_) => "application/json",
            Self::Text(_) => "text/plain; charset=utf-8",
            Self::Binary { content_type, .. } => content_type,
        }
    }
}

/// A text body is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the text is not UTF-8: the byte at position {valid_bytes} is wrong")]
pub struct BodyError {
    /// How many bytes were right.
    pub valid_bytes: usize,
}

/// What is kept of the events of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Each, for as long as retention says: of a stream.
    #[default]
    Every,
    /// The newest of each key, until it is deleted: of a state topic.
    Newest,
}

/// An event and where the journal put it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The event's place in the total order.
    pub offset: Offset,
    /// The event.
    pub event: Event,
    /// What is kept of it.
    pub keep: Keep,
}

impl Entry {
    /// An event of a stream.
    pub fn of_stream(offset: Offset, event: Event) -> Self {
        Self { offset, event, keep: Keep::Every }
    }
}
