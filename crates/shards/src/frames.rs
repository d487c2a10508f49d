//! An event as subscribers receive it: encoded once per form, however many they are.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};

use bellwire_hub::{Entry, Gone, HistoryPage, LaneId};
use bellwire_journal::Page;
use bellwire_model::limits::GZIP_BYTES_MIN;
use bellwire_model::{Cursor, Epoch, Event, Offset};
use bellwire_wire::http1::Frame;
use bellwire_wire::ws::{self, Compression, Opcode};
use bellwire_wire::{Deflater, gzip, json, msgpack, ndjson, sse};
use bytes::Bytes;

/// How a stream writes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Server-Sent Events that carry the event's JSON.
    Sse,
    /// Server-Sent Events that carry the published payload alone.
    SseRaw,
    /// One JSON object a line.
    Ndjson,
    /// JSON, each event in a frame of its own.
    Json,
    /// `MessagePack`, each event in a frame of its own.
    Msgpack,
}

impl Framing {
    /// The same with gzip within, where it is HTTP's.
    #[must_use]
    pub fn with_gzip(self) -> Self {
        match self {
            Self::Chunked | Self::GzipChunked => Self::GzipChunked,
            Self::Plain | Self::GzipPlain => Self::GzipPlain,
            Self::WebSocket(compression) => Self::WebSocket(compression),
        }
    }

    pub fn is_gzip(self) -> bool {
        matches!(self, Self::GzipChunked | Self::GzipPlain)
    }

    /// A payload of HTTP as it goes out.
    pub fn wrap(self, payload: &[u8]) -> Bytes {
        match self {
            Self::Chunked => Frame::new(payload).chunked().clone(),
            Self::Plain | Self::WebSocket(_) => Bytes::copy_from_slice(payload),
            Self::GzipChunked => Frame::new(&stored(payload)).chunked().clone(),
            Self::GzipPlain => stored(payload).into(),
        }
    }

    /// A piece of a gzip stream as it goes out.
    pub fn wrap_gzip(self, piece: &[u8]) -> Bytes {
        match self {
            Self::GzipChunked => Frame::new(piece).chunked().clone(),
            _ => Bytes::copy_from_slice(piece),
        }
    }
}

/// A piece of a gzip stream that every reader passes on at once.
fn stored(payload: &[u8]) -> Vec<u8> {
    let mut piece = Vec::with_capacity(gzip::stored_bytes(payload.len()) + gzip::FLUSH.len());
    gzip::write_stored(&mut piece, payload);
    piece.extend_from_slice(&gzip::FLUSH);
    piece
}

impl Encoding {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Sse | Self::SseRaw => "text/event-stream",
            Self::Ndjson => "application/x-ndjson",
            Self::Json => "application/json",
            Self::Msgpack => "application/msgpack",
        }
    }
}

/// What is around the events of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// HTTP/1.1's chunks.
    Chunked,
    /// Nothing: until the connection ends.
    Plain,
    /// Gzip within HTTP/1.1's chunks.
    GzipChunked,
    /// Gzip alone.
    GzipPlain,
    /// WebSocket's frames.
    WebSocket(Compression),
}

/// The bytes that a connection is sent: with the same form they are the same for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    pub encoding: Encoding,
    pub framing: Framing,
}

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

impl Form {
    /// The transport's name.
    pub fn transport(self) -> &'static str {
        match self.encoding {
            Encoding::Sse | Encoding::SseRaw => "sse",
            Encoding::Ndjson => "ndjson",
            Encoding::Json | Encoding::Msgpack => "websocket",
        }
    }
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
        Self { epoch, offset, event, sse: OnceLock::new(), others: OnceLock::new() }
    }

    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The bytes of this form.
    pub fn bytes(&self, form: Form) -> &[u8] {
        match form.framing {
            Framing::Chunked => self.frame(form.encoding).chunked(),
            Framing::Plain => self.frame(form.encoding).payload(),
            Framing::GzipChunked => self.gzip(form.encoding).chunked(),
            Framing::GzipPlain => self.gzip(form.encoding).payload(),
            Framing::WebSocket(compression) => self.websocket(form.encoding, compression),
        }
    }

    /// How many bytes this form takes, before gzip.
    pub fn size_bytes(&self, form: Form) -> usize {
        if form.framing.is_gzip() {
            self.payload(form.encoding).len()
        } else {
            self.bytes(form).len()
        }
    }

    /// What a compressed run of events is made from.
    pub fn payload(&self, encoding: Encoding) -> &[u8] {
        self.frame(encoding).payload()
    }

    /// [`bytes`](Self::bytes), shared.
    pub fn shared(&self, form: Form) -> Bytes {
        match form.framing {
            Framing::Chunked => self.frame(form.encoding).chunked().clone(),
            Framing::Plain => self.frame(form.encoding).payload_bytes(),
            Framing::GzipChunked => self.gzip(form.encoding).chunked().clone(),
            Framing::GzipPlain => self.gzip(form.encoding).payload_bytes(),
            Framing::WebSocket(compression) => self.websocket(form.encoding, compression).clone(),
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
            Encoding::Json | Encoding::Msgpack => unreachable!("they are WebSocket's"),
        }
    }

    fn gzip(&self, encoding: Encoding) -> &Frame {
        let others = self.others();
        let frame = match encoding {
            Encoding::SseRaw => &others.sse_raw_gzip,
            Encoding::Ndjson => &others.ndjson_gzip,
            Encoding::Sse | Encoding::Json | Encoding::Msgpack => &others.sse_gzip,
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

    fn websocket(&self, encoding: Encoding, compression: Compression) -> &Bytes {
        let (frames, opcode) = match encoding {
            Encoding::Msgpack => (&self.others().msgpack, Opcode::Binary),
            _ => (&self.others().json, Opcode::Text),
        };
        let plain = frames.plain.get_or_init(|| ws::frame(opcode, &self.encoded(encoding)));
        match compression {
            Compression::Off => plain,
            Compression::Deflate => frames.deflated.get_or_init(|| {
                let payload = self.encoded(encoding);
                let deflated = deflate(|deflater| deflater.frame(opcode, &payload));
                deflated.unwrap_or_else(|| plain.clone())
            }),
        }
    }

    fn encoded(&self, encoding: Encoding) -> Vec<u8> {
        match encoding {
            Encoding::Msgpack => msgpack::event(self.epoch, self.offset, &self.event),
            _ => json::event(self.epoch, self.offset, &self.event),
        }
    }

    fn others(&self) -> &Others {
        self.others.get_or_init(Box::default)
    }

    /// Bytes of the forms that were made so far: what is in use takes more than what came.
    pub fn encoded_bytes(&self) -> usize {
        let frame = |frame: &OnceLock<Frame>| frame.get().map_or(0, |it| it.chunked().len());
        frame(&self.sse) + self.others.get().map_or(0, |others| others.size_bytes())
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
        let http = [Encoding::Sse, Encoding::SseRaw, Encoding::Ndjson]
            .map(|encoding| Form { encoding, framing: Framing::Chunked });
        let websocket = [Encoding::Json, Encoding::Msgpack]
            .map(|encoding| Form { encoding, framing: Framing::WebSocket(Compression::Deflate) });
        for form in http.into_iter().chain(websocket) {
            let (one, other) = (frames.bytes(form), frames.bytes(form));
            assert_eq!(one.as_ptr(), other.as_ptr(), "{form:?}");
            assert_eq!(one.as_ptr(), frames.shared(form).as_ptr(), "{form:?}");
        }
        let before = frames.json();
        assert!(frames.frame(Encoding::Ndjson).payload().starts_with(&before));
        assert_eq!(frames.json(), before, "a line and a poll carry the same JSON");
    }
}
