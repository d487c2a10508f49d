//! An event as subscribers receive it: encoded once per form, however many they are.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};

use bellwire_hub::{Entry, Gone, HistoryPage, Kept, LaneId, Payload, Value};
use bellwire_journal::Page;
use bellwire_model::limits::GZIP_BYTES_MIN;
use bellwire_model::{
    Closure, Cursor, Epoch, Event, KeyVersion, Labels, Life, Offset, Progress, StateMark,
    Timestamp, Version,
};
use bellwire_wire::durable_streams;
use bellwire_wire::http1::Frame;
use bellwire_wire::ws::{self, Compression, Opcode, Subprotocol};
use bellwire_wire::{Deflater, Position, json, msgpack, ndjson, sse};
use bytes::Bytes;

use crate::form::{Coding, Encoding, Form, Framing, HttpForm, WebSocketForm, stored};
use crate::packed::{self, Standing};

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
    origin: Origin,
    event: Event,
    plain: Encoded,
    /// What most events have no use for.
    rare: OnceLock<Box<Rare>>,
}

#[derive(Debug, Default)]
struct Rare {
    /// For those who resume state topics.
    marked: OnceLock<Box<Encoded>>,
    /// Read from the body for those who may not see everything.
    labels: OnceLock<Option<Labels>>,
}

/// Where an event stands among all others. Memory is full of these: see [`Stamp`] for what the parts
/// mean.
#[derive(Clone, Copy, Debug)]
struct Origin {
    epoch: Epoch,
    /// `None` where it has no stamp.
    life: Option<Life>,
    offset: Offset,
    version: Version,
    own: Own,
}

/// What an event is in the journal, and the newest change of a state topic on the disk up to it, in
/// one number.
#[derive(Clone, Copy, Debug)]
struct Own(u64);

impl Own {
    /// It is of a stream.
    const STREAM: u64 = 1;
    /// It is that newest change.
    const CHANGE: u64 = 2;
    const BITS: u32 = 2;

    fn is(self, what: u64) -> bool {
        self.0 & what != 0
    }

    fn durable(self) -> Offset {
        Offset::new(self.0 >> Self::BITS)
    }

    fn with_durable(self, offset: Offset) -> Self {
        Self(offset.get() << Self::BITS | self.0 & (Self::STREAM | Self::CHANGE))
    }
}

impl Origin {
    fn new(epoch: Epoch, own: Option<Offset>) -> Self {
        let (life, offset, version) = (None, own.unwrap_or(Offset::ZERO), Version::ZERO);
        Self { epoch, life, offset, version, own: Own(own.map_or(0, |_| Own::STREAM)) }
    }

    /// The event's own offset: on a state topic it has none that says where somebody is.
    fn offset(self) -> Option<Offset> {
        self.own.is(Own::STREAM).then_some(self.offset)
    }

    fn stamp(self) -> Option<Stamp> {
        let Self { life, offset, version, own, .. } = self;
        life.map(|life| Stamp { life, offset, version, durable: own.durable() })
    }

    /// Which version of its key it is, on a state topic.
    fn key_version(self) -> Option<KeyVersion> {
        if self.own.is(Own::CHANGE) {
            return Some(KeyVersion::Journal { epoch: self.epoch, offset: self.own.durable() });
        }
        let stamp = self.stamp().filter(|_| !self.own.is(Own::STREAM));
        stamp.map(|Stamp { life, version, .. }| KeyVersion::Table { life, version })
    }
}

const _: () = assert!(size_of::<Origin>() <= 32);

/// What there was when an event was on its way to the hubs: who has all of that, and this event, may
/// be told so by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The state table's life.
    pub life: Life,
    /// The newest event of streams: of those, the event itself.
    pub offset: Offset,
    /// The newest change of state topics: of those, the event itself.
    pub version: Version,
    /// The newest of these that is on the disk.
    pub durable: Offset,
}

/// Whether the bytes of an event say where a subscriber is among the changes of state topics, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Of streams alone.
    Plain,
    /// Of both.
    Marked,
}

impl Payload for Frames {
    fn labels(&self) -> Option<&Labels> {
        let read = || json::labels_of(&self.event);
        self.rare().labels.get_or_init(read).as_ref()
    }

    fn gone(&self) -> Self {
        let Event { topic, key, time, .. } = &self.event;
        let (topic, key, time) = (topic.clone(), key.clone(), *time);
        let event = Event { topic, key, event_type: None, time, body: None };
        Self::new(self.origin.epoch, None, event)
    }

    fn pack(&self, into: &mut Vec<u8>) {
        let Origin { epoch, life, offset, own, .. } = self.origin;
        debug_assert!(!own.is(Own::STREAM), "an event of a stream is in no table");
        let (is_stamped, is_on_disk) = (life.is_some(), own.is(Own::CHANGE));
        packed::write(Standing { epoch, offset, is_stamped, is_on_disk }, &self.event, into);
    }

    fn unpack(packed: &[u8], of: &Value<()>, life: Life) -> Self {
        let (standing, event) = packed::read(packed, of);
        let Standing { epoch, offset, is_stamped, is_on_disk } = standing;
        let stamp = Stamp { life, offset, version: of.version, durable: of.durable };
        let frames = Self::new(epoch, None, event).stamped(is_stamped.then_some(stamp));
        if is_on_disk { frames.on_disk() } else { frames }
    }

    fn ends_topic(&self) -> bool {
        self.event.closure() == Some(Closure::End)
    }
}

impl Frames {
    /// An event that nobody can be marked by.
    pub fn new(epoch: Epoch, offset: Option<Offset>, event: Event) -> Self {
        let (plain, rare) = (Encoded::default(), OnceLock::new());
        Self { origin: Origin::new(epoch, offset), event, plain, rare }
    }

    /// The same of which it is known what there was before it.
    #[must_use]
    pub fn stamped(mut self, stamp: Option<Stamp>) -> Self {
        let origin = &mut self.origin;
        if let Some(Stamp { life, offset, version, durable }) = stamp {
            let is_of_stream = origin.own.is(Own::STREAM);
            debug_assert!(!is_of_stream || origin.offset == offset, "it is its own newest");
            (origin.life, origin.offset, origin.version) = (Some(life), offset, version);
            origin.own = origin.own.with_durable(durable);
        }
        self
    }

    /// The same of a change that is on the disk: the newest of those in its stamp.
    #[must_use]
    pub fn on_disk(mut self) -> Self {
        self.origin.own.0 |= Own::CHANGE;
        self
    }

    pub fn event(&self) -> &Event {
        &self.event
    }

    /// When an event in a state table was measured or published.
    pub(crate) fn time_of(kept: &Kept<'_, Self>) -> Timestamp {
        match kept {
            Kept::Packed(packed) => packed::time(packed),
            Kept::Shared(frames) => frames.event.time,
        }
    }

    /// What there was before it.
    pub fn stamp(&self) -> Option<Stamp> {
        self.origin.stamp()
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    fn encoded(&self, mark: Mark) -> (&Encoded, Source<'_>) {
        let encoded = match mark {
            Mark::Plain => &self.plain,
            Mark::Marked => self.rare().marked.get_or_init(Box::default),
        };
        (encoded, Source { event: &self.event, origin: &self.origin, mark })
    }

    /// The bytes of this form.
    pub fn bytes(&self, form: Form, mark: Mark) -> &[u8] {
        let (encoded, source) = self.encoded(mark);
        encoded.bytes(form, source)
    }

    /// [`bytes`](Self::bytes), shared.
    pub fn shared(&self, form: Form, mark: Mark) -> Bytes {
        let (encoded, source) = self.encoded(mark);
        encoded.shared(form, source)
    }

    /// How many bytes this form takes, before gzip.
    pub fn size_bytes(&self, form: Form, mark: Mark) -> usize {
        match form.gzip() {
            Some(http) => self.payload(http.encoding, mark).len(),
            None => self.bytes(form, mark).len(),
        }
    }

    /// What a compressed run of events is made from.
    pub fn payload(&self, encoding: Encoding, mark: Mark) -> &[u8] {
        let (encoded, source) = self.encoded(mark);
        encoded.frame(encoding, source).payload()
    }

    /// Bytes of what was made of it so far: what is in use takes more than what came.
    pub fn encoded_bytes(&self) -> usize {
        self.plain.size_bytes() + self.rare.get().map_or(0, |rare| rare.size_bytes())
    }

    /// Whether any form of it has been made.
    #[cfg(test)]
    pub(crate) fn is_encoded(&self) -> bool {
        self.plain.is_begun() || self.rare.get().is_some_and(|rare| rare.marked.get().is_some())
    }

    /// The event's JSON, on one line.
    pub fn json(&self) -> Bytes {
        let (encoded, source) = self.encoded(Mark::Plain);
        let line = encoded.frame(Encoding::Ndjson, source).payload_bytes();
        line.slice(..line.len() - 1)
    }
}

impl Rare {
    fn size_bytes(&self) -> usize {
        let labels = self.labels.get().and_then(Option::as_ref);
        let marked = self.marked.get();
        size_of::<Self>()
            + labels.map_or(0, Labels::size_bytes)
            + marked.map_or(0, |it| size_of::<Encoded>() + it.size_bytes())
    }
}

/// What the bytes of an event are made of.
#[derive(Clone, Copy, Debug)]
struct Source<'a> {
    event: &'a Event,
    origin: &'a Origin,
    mark: Mark,
}

impl Source<'_> {
    fn cursor(self) -> Option<Cursor> {
        let epoch = self.origin.epoch;
        match (self.mark, self.origin.stamp()) {
            (Mark::Marked, Some(Stamp { life, offset, version, durable })) => {
                let reach = Progress { version, durable };
                let state = Some(StateMark::between(life, reach, reach));
                Some(Cursor { state, ..Cursor::new(epoch, offset) })
            }
            _ => self.origin.offset().map(|offset| Cursor::new(epoch, offset)),
        }
    }

    /// Of what nobody but the server writes no version is told: nobody has a use for it.
    fn position(self) -> Position {
        let version = self.origin.key_version().filter(|_| !self.event.topic.is_reserved());
        Position { cursor: self.cursor(), version }
    }
}

/// The bytes of an event in all forms.
#[derive(Debug, Default)]
struct Encoded {
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
    /// Rarely more than one of these.
    durable: OnceLock<Box<DurableFrames>>,
}

impl Others {
    fn size_bytes(&self) -> usize {
        let Self { sse_raw, ndjson, sse_gzip, sse_raw_gzip, ndjson_gzip, json, msgpack, durable } =
            self;
        let http = [sse_raw, ndjson, sse_gzip, sse_raw_gzip, ndjson_gzip];
        let http = http.iter().filter_map(|frame| frame.get()).map(|frame| frame.chunked().len());
        let websocket = [json, msgpack].map(WebSocketFrames::size_bytes);
        let durable = durable.get().map_or(0, |it| it.size_bytes());
        size_of::<Self>() + durable + http.chain(websocket).sum::<usize>()
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

/// The data events of Durable Streams.
#[derive(Debug, Default)]
struct DurableFrames {
    json: OnceLock<Frame>,
    text: OnceLock<Frame>,
    binary: OnceLock<Frame>,
}

impl DurableFrames {
    fn size_bytes(&self) -> usize {
        let Self { json, text, binary } = self;
        let frames = [json, text, binary].into_iter().filter_map(OnceLock::get);
        size_of::<Self>() + frames.map(|frame| frame.chunked().len()).sum::<usize>()
    }
}

#[derive(Debug, Default)]
struct WebSocketFrames {
    plain: OnceLock<Bytes>,
    /// The plain one where compression does not pay.
    deflated: OnceLock<Bytes>,
}

impl Encoded {
    fn bytes(&self, form: Form, source: Source<'_>) -> &[u8] {
        match form {
            Form::Http(http) => match http.framing {
                Framing::Chunked => self.body(http, source).chunked(),
                Framing::Plain => self.body(http, source).payload(),
            },
            Form::WebSocket(websocket) => self.message(websocket, source),
            Form::Durable(durable) => match durable.framing() {
                Framing::Chunked => self.durable(durable.payload(), source).chunked(),
                Framing::Plain => self.durable(durable.payload(), source).payload(),
            },
        }
    }

    fn shared(&self, form: Form, source: Source<'_>) -> Bytes {
        match form {
            Form::Http(http) => match http.framing {
                Framing::Chunked => self.body(http, source).chunked().clone(),
                Framing::Plain => self.body(http, source).payload_bytes(),
            },
            Form::WebSocket(websocket) => self.message(websocket, source).clone(),
            Form::Durable(durable) => match durable.framing() {
                Framing::Chunked => self.durable(durable.payload(), source).chunked().clone(),
                Framing::Plain => self.durable(durable.payload(), source).payload_bytes(),
            },
        }
    }

    fn body(&self, http: HttpForm, source: Source<'_>) -> &Frame {
        match http.coding {
            Coding::Identity => self.frame(http.encoding, source),
            Coding::Gzip => self.gzip(http.encoding, source),
        }
    }

    fn frame(&self, encoding: Encoding, source: Source<'_>) -> &Frame {
        let event = source.event;
        match encoding {
            Encoding::Sse => self.sse.get_or_init(|| sse::frame(source.position(), event)),
            Encoding::SseRaw => self.others().sse_raw.get_or_init(|| {
                if event.closure().is_some() {
                    return sse::frame(source.cursor(), event);
                }
                let Event { event_type, body, .. } = event;
                Frame::new(&sse::raw(source.cursor(), event_type.as_deref(), body.as_ref()))
            }),
            Encoding::Ndjson => self
                .others()
                .ndjson
                .get_or_init(|| ndjson::line_frame(&json::event(source.position(), event))),
        }
    }

    fn gzip(&self, encoding: Encoding, source: Source<'_>) -> &Frame {
        let others = self.others();
        let frame = match encoding {
            Encoding::Sse => &others.sse_gzip,
            Encoding::SseRaw => &others.sse_raw_gzip,
            Encoding::Ndjson => &others.ndjson_gzip,
        };
        frame.get_or_init(|| {
            let payload = self.frame(encoding, source).payload();
            Frame::new(&if payload.len() < GZIP_BYTES_MIN {
                stored(payload)
            } else {
                gzip_segment(&[payload])
            })
        })
    }

    fn durable(&self, payload: durable_streams::Payload, source: Source<'_>) -> &Frame {
        let frames = self.others().durable.get_or_init(Box::default);
        let frame = match payload {
            durable_streams::Payload::Json => &frames.json,
            durable_streams::Payload::Text => &frames.text,
            durable_streams::Payload::Binary => &frames.binary,
        };
        frame.get_or_init(|| Frame::new(&payload.data_event(&source.event.body)))
    }

    fn message(&self, form: WebSocketForm, source: Source<'_>) -> &Bytes {
        let (frames, opcode) = match form.subprotocol {
            Subprotocol::Json => (&self.others().json, Opcode::Text),
            Subprotocol::Msgpack => (&self.others().msgpack, Opcode::Binary),
        };
        let encode = || match form.subprotocol {
            Subprotocol::Json => json::event(source.position(), source.event),
            Subprotocol::Msgpack => msgpack::event(source.position(), source.event),
        };
        let plain = frames.plain.get_or_init(|| ws::frame(opcode, &encode()));
        match form.compression {
            Compression::Off => plain,
            Compression::Deflate => frames.deflated.get_or_init(|| {
                let deflated = deflate(|deflater| deflater.frame(opcode, &encode()));
                deflated.unwrap_or_else(|| plain.clone())
            }),
        }
    }

    fn others(&self) -> &Others {
        self.others.get_or_init(Box::default)
    }

    /// Bytes of what was made so far.
    fn size_bytes(&self) -> usize {
        let sse = self.sse.get().map_or(0, |it| it.chunked().len());
        sse + self.others.get().map_or(0, |others| others.size_bytes())
    }

    #[cfg(test)]
    fn is_begun(&self) -> bool {
        self.sse.get().is_some() || self.others.get().is_some()
    }
}

/// A journal's entry as the hub carries it.
///
/// `state` is the newest change of state topics before it.
pub(crate) fn entry(
    epoch: Epoch,
    entry: bellwire_model::Entry,
    state: Option<(Life, Progress)>,
) -> Arc<Entry<Frames>> {
    let offset = entry.offset;
    let stamp =
        state.map(|(life, Progress { version, durable })| Stamp { life, offset, version, durable });
    Arc::new(Entry {
        offset,
        topic: entry.event.topic.clone(),
        size_bytes: entry.event.size_bytes(),
        payload: Frames::new(epoch, Some(offset), entry.event).stamped(stamp),
    })
}

/// A page that was read for a lane, from `after` on, as the hub carries it. `state` is the newest
/// change that the hub has.
pub(crate) fn history_page(
    epoch: Epoch,
    (lane, after): (LaneId, Offset),
    page: Page,
    state: Option<(Life, Progress)>,
) -> HistoryPage<Frames> {
    let Page { entries, end, trimmed, lost } = page;
    let gone = if lost > 0 { Gone::Damaged } else { Gone::Retired };
    let entries = entries.into_iter().map(|read| entry(epoch, read, state)).collect();
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
        let offset = Offset::new(1042);
        let (life, version) = (Life::new(9), Version::new(77));
        let stamp = Stamp { life, offset, version, durable: Offset::ZERO };
        let frames = Frames::new(Epoch::new(7), Some(offset), event).stamped(Some(stamp));
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
        let marks = [Mark::Plain, Mark::Marked];
        for (form, mark) in forms.into_iter().flat_map(|form| marks.map(|mark| (form, mark))) {
            let (one, other) = (frames.bytes(form, mark), frames.bytes(form, mark));
            assert_eq!(one.as_ptr(), other.as_ptr(), "{form:?}");
            assert_eq!(one.as_ptr(), frames.shared(form, mark).as_ptr(), "{form:?}");
            assert!(frames.encoded_bytes() >= encoded_bytes.max(one.len()), "{form:?}");
            encoded_bytes = frames.encoded_bytes();
        }
        let text =
            |mark| String::from_utf8(frames.payload(Encoding::Sse, mark).to_vec()).expect("text");
        assert!(text(Mark::Plain).starts_with("id: e7-1042\n"));
        assert!(text(Mark::Marked).starts_with("id: e7-1042.s9-77\n"));
        let before = frames.json();
        assert!(frames.payload(Encoding::Ndjson, Mark::Plain).starts_with(&before));
        assert_eq!(frames.json(), before, "a line and a poll carry the same JSON");
    }
}
