//! What comes in a stream: events, and what the server says of the stream itself.

mod control;
mod event;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::control::{Control, ControlKind};
pub use self::event::{DataError, Event};
use crate::error::{Error, ProtocolError};

/// What a subscription gives, in its order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Item {
    /// An event.
    Event(Event),
    /// Something that the server says of the stream, such as a gap.
    Control(Control),
    /// What has become of the connection.
    Status(Status),
}

/// What has become of the connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Status {
    /// On the way to [`Live`](Self::Live): values and events of before are to come.
    Connecting,
    /// Caught up.
    Live,
    /// Cut off, to try again.
    Waiting {
        /// Why.
        error: Error,
        /// After how long.
        retry_in: std::time::Duration,
    },
}

/// The members by which events and control events are told apart, and those of events.
#[derive(Deserialize)]
struct Members<'a> {
    control: Option<String>,
    topic: Option<String>,
    key: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    #[serde(default)]
    time: i64,
    cursor: Option<String>,
    version: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    encoding: Option<String>,
    content_type: Option<String>,
    #[serde(default)]
    deleted: bool,
    reason: Option<String>,
}

impl Item {
    /// Reads what a frame holds.
    pub(crate) fn read(json: String) -> Result<Self, ProtocolError> {
        let read = serde_json::from_str::<Members<'_>>(&json);
        match read {
            Ok(Members { control: Some(_), cursor, .. }) => {
                Control::read(on_one_line(json), cursor).map(Self::Control)
            }
            Ok(members) if members.topic.is_some() => {
                let event = Event::of(members, &json);
                Ok(Self::Event(event.with_json(on_one_line(json))))
            }
            Ok(_) => Err(ProtocolError::NoEvent),
            // JSON, and something else than an object of such members.
            Err(error) if error.is_data() => Err(ProtocolError::NoEvent),
            Err(error) => Err(ProtocolError::Malformed(error.into())),
        }
    }

    /// To go on from it misses nothing that comes behind this.
    pub(crate) fn cursor(&self) -> Option<&str> {
        match self {
            Self::Event(event) => event.cursor(),
            Self::Control(control) => control.cursor(),
            Self::Status(_) => None,
        }
    }
}

/// Several lines of `data:` are one text, in which no line break means anything.
fn on_one_line(json: String) -> String {
    if json.contains('\n') { json.replace('\n', " ") } else { json }
}
