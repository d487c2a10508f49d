//! An event as subscribers receive it: encoded once per encoding, however many they are.

use std::sync::{Arc, OnceLock};

use bellwire_hub::{Entry, HistoryPage, LaneId};
use bellwire_journal::Page;
use bellwire_model::{Cursor, Epoch, Event, Offset};
use bellwire_wire::http1::Frame;
use bellwire_wire::{json, ndjson, sse};
use bytes::Bytes;

/// How a stream writes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Server-Sent Events that carry the event's JSON.
    Sse,
    /// Server-Sent Events that carry the published payload alone.
    SseRaw,
    /// One JSON object a line.
    Ndjson,
}

impl Encoding {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Sse | Self::SseRaw => "text/event-stream",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// One event and its frames, each made by whoever needs it first.
#[derive(Debug)]
pub(crate) struct Frames {
    epoch: Epoch,
    /// `None` on a state topic: its events have no cursor.
    offset: Option<Offset>,
    event: Event,
    sse: OnceLock<Frame>,
    sse_raw: OnceLock<Frame>,
    ndjson: OnceLock<Frame>,
}

impl Frames {
    pub(crate) fn new(epoch: Epoch, offset: Option<Offset>, event: Event) -> Self {
        let (sse, sse_raw, ndjson) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { epoch, offset, event, sse, sse_raw, ndjson }
    }

    pub(crate) fn event(&self) -> &Event {
        &self.event
    }

    pub(crate) fn frame(&self, encoding: Encoding) -> &Frame {
        match encoding {
            Encoding::Sse => {
                self.sse.get_or_init(|| sse::frame(self.epoch, self.offset, &self.event))
            }
            Encoding::SseRaw => self.sse_raw.get_or_init(|| {
                let cursor = self.offset.map(|offset| Cursor { epoch: self.epoch, offset });
                let Event { event_type, body, .. } = &self.event;
                Frame::new(&sse::raw(cursor, event_type.as_deref(), body.as_ref()))
            }),
            Encoding::Ndjson => self.ndjson.get_or_init(|| {
                ndjson::line_frame(&json::event(self.epoch, self.offset, &self.event))
            }),
        }
    }

    /// The event's JSON, on one line.
    pub(crate) fn json(&self) -> Bytes {
        let line = self.frame(Encoding::Ndjson).payload_bytes();
        line.slice(..line.len() - 1)
    }
}

/// A journal's entry as the hub carries it.
pub(crate) fn entry(epoch: Epoch, entry: bellwire_model::Entry) -> Arc<Entry<Frames>> {
    Arc::new(Entry {
        offset: entry.offset,
        topic: entry.event.topic.clone(),
        size_bytes: entry.event.size_bytes(),
        payload: Frames::new(epoch, Some(entry.offset), entry.event),
    })
}

/// A page that was read for a lane, from `after` on, as the hub carries it.
pub(crate) fn history_page(
    epoch: Epoch,
    (lane, after): (LaneId, Offset),
    page: Page,
) -> HistoryPage<Frames> {
    let Page { entries, end, trimmed } = page;
    let entries = entries.into_iter().map(|read| entry(epoch, read)).collect();
    HistoryPage { lane, after, end, trimmed, entries }
}

#[cfg(test)]
mod tests {
    use bellwire_model::{Body, Timestamp};

    use super::*;

    #[test]
    fn an_event_is_encoded_once_for_all_subscribers() {
        let event = Event {
            topic: "a/b".parse().expect("a topic"),
            key: None,
            event_type: None,
            time: Timestamp::from_ms(1),
            body: Some(Body::Json(Bytes::from_static(b"{}"))),
        };
        let frames = Frames::new(Epoch::new(7), Some(Offset::new(1042)), event);
        for encoding in [Encoding::Sse, Encoding::SseRaw, Encoding::Ndjson] {
            let (one, other) = (frames.frame(encoding), frames.frame(encoding));
            assert_eq!(one.chunked().as_ptr(), other.chunked().as_ptr(), "{encoding:?}");
        }
        let before = frames.json();
        assert!(frames.frame(Encoding::Ndjson).payload().starts_with(&before));
        assert_eq!(frames.json(), before, "a line and a poll carry the same JSON");
    }
}
