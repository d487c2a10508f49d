//! What clients write into events, so that whoever reads them knows what has to be so.

use bellwire_model::{Body, Epoch, Event, Offset, Timestamp};
use bytes::Bytes;

/// The topic of a count that is written by compare and set, and its key.
pub(crate) const COUNT: (&str, &str) = ("state/count", "all");

/// The topic of who holds the lease.
pub(crate) const DESK: &str = "desk/numbers";

/// The topic of values that go by themselves.
pub(crate) const TIMED: &str = "state/timed";

/// What topics begin with that end.
pub(crate) const ENDING: &str = "ending";

/// What an event says, where something follows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// Of a producer that numbers what it writes.
    Numbered { client: usize, epoch: u64, sequence: u64 },
    /// One more than what was there when it was written.
    Count { client: usize, try_number: u64, number: u64, after: Option<(Epoch, Offset)> },
    /// One more than what stood before the term of who holds the lease, and so on.
    Desk { number: u64, generation: u64, epoch: Epoch, node: String },
}

impl Text {
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let text = body(event)?;
        let mut words = text.split(' ');
        let kind = words.next()?;
        if kind == "desk" {
            let mut number = || words.next()?.parse::<u64>().ok();
            let (desk, generation, epoch) = (number()?, number()?, number()?);
            let (epoch, node) = (Epoch::new(epoch as u32), words.next()?.to_owned());
            return Some(Self::Desk { number: desk, generation, epoch, node });
        }
        let mut number = || words.next()?.parse::<u64>().ok();
        match kind {
            "numbered" => {
                let (client, epoch, sequence) = (number()? as usize, number()?, number()?);
                Some(Self::Numbered { client, epoch, sequence })
            }
            "count" => {
                let (client, try_number, count) = (number()? as usize, number()?, number()?);
                let (epoch, offset) = (number()?, number()?);
                let after = (Epoch::new(epoch as u32), Offset::new(offset));
                let after = (offset > 0).then_some(after);
                Some(Self::Count { client, try_number, number: count, after })
            }
            _ => None,
        }
    }

    pub(crate) fn write(&self) -> String {
        match self {
            Self::Numbered { client, epoch, sequence } => {
                format!("numbered {client} {epoch} {sequence}")
            }
            Self::Count { client, try_number, number, after } => {
                let (epoch, offset) =
                    after.map_or((0, 0), |(epoch, offset)| (epoch.get(), offset.get()));
                format!("count {client} {try_number} {number} {epoch} {offset}")
            }
            Self::Desk { number, generation, epoch, node } => {
                format!("desk {number} {generation} {} {node}", epoch.get())
            }
        }
    }
}

/// An event.
pub(crate) fn event((topic, key): (&str, Option<&str>), text: &str, time: Timestamp) -> Event {
    Event {
        topic: topic.parse().expect("it is a topic"),
        key: key.map(Into::into),
        event_type: None,
        time,
        body: Some(Body::Json(Bytes::from(text.to_owned().into_bytes()))),
    }
}

/// What was published.
pub(crate) fn body(event: &Event) -> Option<String> {
    let body = event.body.as_ref()?;
    Some(String::from_utf8_lossy(body.bytes()).into_owned())
}
