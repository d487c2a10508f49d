//! What publishers send: one event as a request's body, or many as JSON.

use bellwire_model::limits::{
    CONTENT_TYPE_BYTES_MAX, EVENT_TYPE_BYTES_MAX, KEY_BYTES_MAX, NESTING_MAX,
};
use bellwire_model::{Body, Fence, Topic, WriteTerms, is_nested_deeper};
use bytes::Bytes;
use thiserror::Error;

mod array;
mod batch;
mod body;
mod cloud_event;
mod fence;
pub(crate) mod item;
mod mapping;
mod post;

pub use array::BatchError;
pub(crate) use array::elements;
pub use batch::{BatchFormat, Rejection, batch};
pub use body::{BodyRejection, body};
pub use cloud_event::{CloudEventMode, Place};
pub use fence::{FenceError, FenceTexts};
pub use item::{Refusal, TermTexts};
pub use mapping::{Mapping, MappingError, MappingText};
pub use post::Post;

/// Types that the stream itself uses, under SSE's `event:` field: a publisher that could send
/// them could forge a gap, or call the `onerror` of every `EventSource`.
const EVENT_TYPES_RESERVED: [&str; 14] = [
    "ready",
    "gap",
    "reset",
    "narrowed",
    "renew",
    "degraded",
    "restored",
    "bye",
    "end",
    "reopened",
    "heartbeat",
    "deleted",
    "open",
    "error",
];

/// An event shares the request's bytes if it is at least this part of them; a smaller one is
/// copied, because it would keep the whole request in memory for as long as it lives itself.
const SHARED_PART_MIN: usize = 4;

/// An event as published: it has no time and no offset yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    /// Where to.
    pub topic: Topic,
    /// The key of a state topic's value, or the publisher's own on a stream.
    pub key: Option<Box<str>>,
    /// The event's type.
    pub event_type: Option<Box<str>>,
    /// The payload.
    pub body: Body,
    /// How the key of a state topic is to be written.
    pub terms: WriteTerms,
    /// By which it counts once, where its publisher says so.
    pub fence: Option<Box<Fence>>,
}

/// An event with what tells it from others of its sender.
#[derive(Clone, Debug, PartialEq)]
pub struct Identified {
    /// The event.
    pub publish: Publish,
    /// Its idempotency key, where it has something to make one of.
    pub identity: Option<Box<str>>,
}

impl From<Publish> for Identified {
    fn from(publish: Publish) -> Self {
        Self { publish, identity: None }
    }
}

/// Why a key, a type or a media type is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// The key is empty, too long or has control characters.
    #[error("a key has 1 to {KEY_BYTES_MAX} bytes and no control characters")]
    Key,
    /// The event type is empty, too long or has control characters.
    #[error("an event type has 1 to {EVENT_TYPE_BYTES_MAX} bytes and no control characters")]
    EventType,
    /// The event type is one that the server or `EventSource` uses itself.
    #[error("the event type `{event_type}` is reserved for the stream itself: choose another")]
    EventTypeReserved {
        /// Which.
        event_type: &'static str,
    },
    /// The media type is empty, too long or has control characters.
    #[error("a content type has 1 to {CONTENT_TYPE_BYTES_MAX} bytes and no control characters")]
    ContentType,
}

impl NameError {
    /// The stable code of the problem.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Key => "key_invalid",
            Self::EventType | Self::EventTypeReserved { .. } => "event_type_invalid",
            Self::ContentType => "content_type_invalid",
        }
    }
}

/// A payload is nested so deep that parsers of others would not read a page that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("arrays and objects are nested more than {NESTING_MAX} times, the event's own included")]
pub struct NestingError;

impl NestingError {
    /// The stable code of the problem.
    pub const fn code(self) -> &'static str {
        "nesting_too_deep"
    }
}

/// Refuses a payload, which is JSON, that would be nested too deep in the event around it.
pub(crate) fn check_nesting(json: &str) -> Result<(), NestingError> {
    if is_nested_deeper(json.as_bytes(), NESTING_MAX - 1) { Err(NestingError) } else { Ok(()) }
}

/// A part of a request as an event has it.
pub(crate) fn share(request: &Bytes, part: &str) -> Bytes {
    if part.len() >= request.len() / SHARED_PART_MIN {
        request.slice_ref(part.as_bytes())
    } else {
        Bytes::copy_from_slice(part.as_bytes())
    }
}

/// Refuses a key that is empty, longer than [`KEY_BYTES_MAX`] or has control characters.
pub fn check_key(key: &str) -> Result<(), NameError> {
    if is_name(key, KEY_BYTES_MAX) { Ok(()) } else { Err(NameError::Key) }
}

/// Refuses an event type that is empty, longer than [`EVENT_TYPE_BYTES_MAX`], has control
/// characters, or is one that the stream itself or `EventSource` uses.
pub fn check_event_type(event_type: &str) -> Result<(), NameError> {
    if !is_name(event_type, EVENT_TYPE_BYTES_MAX) {
        return Err(NameError::EventType);
    }
    match EVENT_TYPES_RESERVED.into_iter().find(|reserved| *reserved == event_type) {
        Some(event_type) => Err(NameError::EventTypeReserved { event_type }),
        None => Ok(()),
    }
}

/// Refuses a content type that is empty, longer than [`CONTENT_TYPE_BYTES_MAX`], or has control
/// characters.
pub fn check_content_type(content_type: &str) -> Result<(), NameError> {
    if is_name(content_type, CONTENT_TYPE_BYTES_MAX) { Ok(()) } else { Err(NameError::ContentType) }
}

fn is_name(text: &str, bytes_max: usize) -> bool {
    !text.is_empty() && text.len() <= bytes_max && !text.chars().any(char::is_control)
}
