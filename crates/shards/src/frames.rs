//! An event as subscribers receive it: encoded once per form, however many they are.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};

use bellwire_hub::{Entry, Gone, HistoryPage, LaneId, Payload};
use bellwire_journal::Page;
use bellwire_model::limits::GZIP_BYTES_MIN;
use bellwire_model::{Cursor, Epoch, Event, Labels, Offset};
use bellwire_wire::http1::Frame;
use bellwire_wire::ws::{self, Compression, Opcode, Subprotocol};
use bellwire_wire::{Deflater, json, msgpack, ndjson, sse};
use bytes::Bytes;

use crate::form::{Coding, Encoding, Form, Framing, HttpForm, WebSocketForm, stored};

thread_local! {
    /// A compressor has some hundred KiB of state: each thread that encodes has one.
    static DEFLATER: RefCell<Deflater> = RefCell::default();
    /// What it has compressed.
    static DEFLATED_BYTES: Cell<u64> = const { Cell::new(0) };
}

/// Bytes that this thread has compressed so far, as they were before.
pub(crate) fn deflated_bytes() -> u64 {
    DEFLATED_BYTES.get()
}

/// These as one compressed piece of a gzip stream.
pub(crate) fn gzip_segment(parts: &[&[u8]]) -> Vec<u8> {
    deflate(|deflater| deflater.segment(parts))
}

fn deflate<T>(act: impl FnOnce(&mut Deflater) -> T) -> T {
    DEFLATER.with_borrow_mut(|deflater| {
        let done = act(deflater);
        DEFLATED_BYTES.set(deflater.deflated_bytes());
        done
    })
}

/// One event and its frames, each made by whoever needs it first.
#[derive(Debug)]
pub struct Frames {
    epoch: Epoch,
    /// `None` on a state topic: its events have no cursor.
    offset: Option<Offset>,
    event: Event,
    sse: OnceLock<Frame>,
    /// Most events go to Server-Sent Events alone, and should not pay for the others.
    others: OnceLock<Box<Others>>,
    /// Read from the body for those who may not see everything.
    labels: OnceLock<Option<Box<Labels>>>,
}

impl Payload for Frames {
    fn labels(&self) -> Option<&Labels> {
        let read = || json::labels_of(&self.event).map(Box::new);
        self.labels.get_or_init(read).as_deref()
    }

    fn gone(&self) -> Self {
        let Event { topic, key, time, .. } = &self.event;
        let (topic, key, time) = (topic.clone(), key.clone(), *time);
        Self::new(self.epoch, None, Event { topic, key, event_type: None, time, body: None })
    }
}

/// The frames of all encodings but the default.
#[derive(Debug, Default)]
struct Others {
    sse_raw: OnceLock<Frame>,
    ndjson: OnceLock<Frame>,
    sse_gzip: OnceLock<Frame>,
    sse_raw_gzip: OnceLock<Frame>,
    ndjson_gzip: OnceLock<Frame>,
    json: WebSocketFrames,
    msgpack: WebSocketFrames,
}

impl Others {
    fn size_bytes(&self) -> usize {
        let Self { sse_raw, ndjson, sse_gzip, sse_raw_gzip, ndjson_gzip, json, msgpack } = self;
        let http = [sse_raw, ndjson, sse_gzip, sse_raw_gzip, ndjson_gzip];
        let http = http.iter().filter_map(|frame| frame.get()).map(|frame| frame.chunked().len());
        let websocket = [json, msgpack].map(WebSocketFrames::size_bytes);
        size_of::<Self>() + http.chain(websocket).sum::<usize>()
    }
}

impl WebSocketFrames {
    fn size_bytes(&self) -> usize {
        let plain = self.plain.get();
        let is_other = |deflated: &&Bytes| plain.is_none_or(|it| it.as_ptr() != deflated.as_ptr());
        let deflated = self.deflated.get().filter(is_other);
        plain.map_or(0, Bytes::len) + deflated.map_or(0, Bytes::len)
    }
}

#[derive(Debug, Default)]
struct WebSocketFrames {
    plain: OnceLock<Bytes>,
    /// The plain one where compression does not pay.
    deflated: OnceLock<Bytes>,
}

impl Frames {
    pub fn new(epoch: Epoch, offset: Option<Offset>, event: Event) -> Self {
        let (sse, others, labels) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { epoch, offset, event, sse, others, labels }
    }

    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The bytes of this form.
    pub fn bytes(&self, form: Form) -> &[u8] {
        match form {
            Form::Http(http) => match http.framing {
                Framing::Chunked => self.body(http).chunked(),
                Framing::Plain => self.body(http).payload(),
            },
            Form::WebSocket(websocket) => self.message(websocket),
        }
    }

    /// [`bytes`](Self::bytes), shared.
    pub fn shared(&self, form: Form) -> Bytes {
        match form {
            Form::Http(http) => match http.framing {
                Framing::Chunked => self.body(http).chunked().clone(),
                Framing::Plain => self.body(http).payload_bytes(),
            },
            Form::WebSocket(websocket) => self.message(websocket).clone(),
        }
    }

    /// How many bytes this form takes, before gzip.
    pub fn size_bytes(&self, form: Form) -> usize {
        match form.gzip() {
            Some(http) => self.payload(http.encoding).len(),
            None => self.bytes(form).len(),
        }
    }

    /// What a compressed run of events is made from.
    pub fn payload(&self, encoding: Encoding) -> &[u8] {
        self.frame(encoding).payload()
    }

    fn body(&self, http: HttpForm) -> &Frame {
        match http.coding {
            Coding::Identity => self.frame(http.encoding),
            Coding::Gzip => self.gzip(http.encoding),
        }
    }

    fn frame(&self, encoding: Encoding) -> &Frame {
        match encoding {
            Encoding::Sse => {
                self.sse.get_or_init(|| sse::frame(self.epoch, self.offset, &self.event))
            }
            Encoding::SseRaw => self.others().sse_raw.get_or_init(|| {
                let cursor = self.offset.map(|offset| Cursor { epoch: self.epoch, offset });
                let Event { event_type, body, .. } = &self.event;
                Frame::new(&sse::raw(cursor, event_type.as_deref(), body.as_ref()))
            }),
            Encoding::Ndjson => self.others().ndjson.get_or_init(|| {
                ndjson::line_frame(&json::event(self.epoch, self.offset, &self.event))
            }),
        }
    }

    fn gzip(&self, encoding: Encoding) -> &Frame {
        let others = self.others();
        let frame = match encoding {
            Encoding::Sse => &others.sse_gzip,
            Encoding::SseRaw => &others.sse_raw_gzip,
            Encoding::Ndjson => &others.ndjson_gzip,
        };
        frame.get_or_init(|| {
            let payload = self.payload(encoding);
            Frame::new(&if payload.len() < GZIP_BYTES_MIN {
                stored(payload)
            } else {
                gzip_segment(&[payload])
            })
        })
    }

    fn message(&self, form: WebSocketForm) -> &Bytes {
        let (frames, opcode) = match form.subprotocol {
            Subprotocol::Json => (&self.others().json, Opcode::Text),
            Subprotocol::Msgpack => (&self.others().msgpack, Opcode::Binary),
        };
        let plain = frames.plain.get_or_init(|| ws::frame(opcode, &self.encoded(form.subprotocol)));
        match form.compression {
            Compression::Off => plain,
            Compression::Deflate => frames.deflated.get_or_init(|| {
                let payload = self.encoded(form.subprotocol);
                let deflated = deflate(|deflater| deflater.frame(opcode, &payload));
                deflated.unwrap_or_else(|| plain.clone())
            }),
        }
    }

    fn encoded(&self, subprotocol: Subprotocol) -> Vec<u8> {
        match subprotocol {
            Subprotocol::Json => json::event(self.epoch, self.offset, &self.event),
            Subprotocol::Msgpack => msgpack::event(self.epoch, self.offset, &self.event),
        }
    }

    fn others(&self) -> &Others {
        self.others.get_or_init(Box::default)
    }

    /// Bytes of what was made of it so far: what is in use takes more than what came.
    pub fn encoded_bytes(&self) -> usize {
        let frame = |frame: &OnceLock<Frame>| frame.get().map_or(0, |it| it.chunked().len());
        let labels = self.labels.get().and_then(Option::as_deref);
        let label_bytes = labels.map_or(0, |labels| size_of::<Labels>() + labels.size_bytes());
        frame(&self.sse) + label_bytes + self.others.get().map_or(0, |others| others.size_bytes())
    }

    /// Whether any form of it has been made.
    #[cfg(test)]
    pub(crate) fn is_encoded(&self) -> bool {
        self.sse.get().is_some() || self.others.get().is_some()
    }

    /// The event's JSON, on one line.
    pub fn json(&self) -> Bytes {
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
    let Page { entries, end, trimmed, lost } = page;
    let gone = if lost > 0 { Gone::Damaged } else { Gone::Retired };
    let entries = entries.into_iter().map(|read| entry(epoch, read)).collect();
    HistoryPage { lane, after, end, trimmed, gone, entries }
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
        let mut forms = Vec::new();
        for encoding in [Encoding::Sse, Encoding::SseRaw, Encoding::Ndjson] {
            for coding in [Coding::Identity, Coding::Gzip] {
                for framing in [Framing::Chunked, Framing::Plain] {
                    forms.push(Form::Http(HttpForm { encoding, coding, framing }));
                }
            }
        }
        for subprotocol in [Subprotocol::Json, Subprotocol::Msgpack] {
            for compression in [Compression::Off, Compression::Deflate] {
                forms.push(Form::WebSocket(WebSocketForm { subprotocol, compression }));
            }
        }
        let mut encoded_bytes = 0;
        for form in forms {
            let (one, other) = (frames.bytes(form), frames.bytes(form));
            assert_eq!(one.as_ptr(), other.as_ptr(), "{form:?}");
            assert_eq!(one.as_ptr(), frames.shared(form).as_ptr(), "{form:?}");
            assert!(frames.encoded_bytes() >= encoded_bytes.max(one.len()), "{form:?}");
            encoded_bytes = frames.encoded_bytes();
        }
        let before = frames.json();
        assert!(frames.frame(Encoding::Ndjson).payload().starts_with(&before));
        assert_eq!(frames.json(), before, "a line and a poll carry the same JSON");
    }
}
