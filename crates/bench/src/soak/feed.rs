//! The bytes of a connection to what they say, for each transport.

use std::borrow::Cow;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bellwire_model::Cursor;
use bellwire_wire::sse::{self, Parser};
use bellwire_wire::ws::{self, Compression, Decoder, Inflater, Input, Opcode, Received, Role};
use memchr::memmem;
use serde::Deserialize;

use crate::load::{Response, request};

/// How events come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Sse,
    WebSocket,
    Poll,
}

/// More without an end is no answer of a server's.
const RECEIVED_BYTES_MAX: usize = 16 * 1024 * 1024;

const SUBPROTOCOL: &str = "bellwire.v1.json";
const HEAD_END: &[u8] = b"\r\n\r\n";
const LINE_END: &[u8] = b"\r\n";

/// Masks of a client's frames protect proxies, of which ours needs none.
const MASK: [u8; 4] = [0x5a, 0xa5, 0x3c, 0xc3];

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::Sse, Self::WebSocket, Self::Poll];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::WebSocket => "websocket",
            Self::Poll => "poll",
        }
    }

    /// Asks for what is behind a cursor; a poll waits so long.
    pub(super) fn request(self, topic: &str, after: &str, wait: Duration) -> Vec<u8> {
        let path = format!("/v1/events?topic={topic}&after={after}");
        match self {
            Self::Sse => request::get(&path),
            Self::WebSocket => request::upgrade(&path, Some(SUBPROTOCOL)),
            Self::Poll => request::poll(&format!("{path}&wait={}ms", wait.as_millis())),
        }
    }
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Event {
        number: u64,
        sent: Duration,
    },
    /// So many are gone, at most.
    Gap(u64),
    /// All that there was has come.
    Ready,
    /// To go on from here misses nothing that came before.
    Cursor(String),
}

/// What is to be done about what came.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) items: Vec<Item>,
    /// To be sent back.
    pub(super) reply: Vec<u8>,
    /// A poll has its answer, and the next one is to be asked.
    pub(super) is_answered: bool,
}

/// An event, or a control event.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    control: Option<Cow<'a, str>>,
    #[serde(borrow)]
    cursor: Option<Cow<'a, str>>,
    data: Option<Body>,
    #[serde(flatten, borrow)]
    span: Span<'a>,
}

/// What a gap is about.
#[derive(Deserialize)]
struct Span<'a> {
    #[serde(borrow)]
    from: Option<Cow<'a, str>>,
    #[serde(borrow)]
    to: Option<Cow<'a, str>>,
}

impl Span<'_> {
    /// How many events it has, at most.
    fn events(&self) -> Result<u64> {
        let place = |text: &Option<Cow<'_, str>>| -> Result<Cursor> {
            let text = text.as_deref().context("a gap lacks an end")?;
            text.parse().with_context(|| format!("a gap ends at `{text}`"))
        };
        let (from, to) = (place(&self.from)?, place(&self.to)?);
        // Nobody knows how many another life of the journal had.
        let is_same = from.epoch == to.epoch;
        Ok(if is_same { to.offset.get().saturating_sub(from.offset.get()) } else { u64::MAX })
    }
}

/// What the publisher has sent.
#[derive(Deserialize)]
struct Body {
    number: u64,
    sent_ns: u64,
}

/// The answer to a poll.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    events: Vec<Frame<'a>>,
    #[serde(borrow)]
    cursor: Cow<'a, str>,
    #[serde(borrow)]
    gap: Option<Span<'a>>,
}

/// The body of an event, as [`Body`] reads it, of so many bytes.
pub(crate) fn body(number: u64, sent: Duration, bytes: usize) -> Result<String> {
    let members = format!(r#""number":{number},"sent_ns":{},"#, sent.as_nanos());
    request::padded_json(&members, bytes)
}

/// One connection's.
#[derive(Debug)]
pub(super) struct Feed {
    transport: Transport,
    received: Vec<u8>,
    /// Of a stream, what its chunks hold.
    parser: Parser,
    has_head: bool,
    decoder: Decoder,
}

impl Feed {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            transport,
            received: Vec::new(),
            parser: Parser::default(),
            has_head: false,
            decoder: Decoder::new(Role::Client, Compression::Off),
        }
    }

    /// Fails where the connection is of no use any more.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Taken> {
        self.received.extend_from_slice(bytes);
        ensure!(self.received.len() < RECEIVED_BYTES_MAX, "it has no end");
        let mut taken = Taken::default();
        match self.transport {
            Transport::Poll => self.take_page(&mut taken)?,
            Transport::Sse => {
                if self.take_head("200")? {
                    self.take_blocks(&mut taken)?;
                }
            }
            Transport::WebSocket => {
                if self.take_head("101")? {
                    self.take_frames(&mut taken)?;
                }
            }
        }
        Ok(taken)
    }

    /// Whether the head of the answer has come.
    fn take_head(&mut self, status: &str) -> Result<bool> {
        if self.has_head {
            return Ok(true);
        }
        let Some(end) = memmem::find(&self.received, HEAD_END) else { return Ok(false) };
        let head = String::from_utf8_lossy(&self.received[..end]).into_owned();
        ensure!(head.split(' ').nth(1) == Some(status), "the server answers {head}");
        self.received.drain(..end + HEAD_END.len());
        self.has_head = true;
        Ok(true)
    }

    fn take_page(&mut self, taken: &mut Taken) -> Result<()> {
        let Some(response) = Response::parse(&self.received)? else { return Ok(()) };
        let body = response.body(&self.received);
        ensure!(response.status == 200, "the server answers {}", String::from_utf8_lossy(body));
        let page: Page<'_> = serde_json::from_slice(body).context("this is no answer to a poll")?;
        if let Some(gap) = page.gap {
            taken.items.push(Item::Gap(gap.events()?));
        }
        for frame in page.events {
            take_frame(frame, taken)?;
        }
        taken.items.push(Item::Cursor(page.cursor.into_owned()));
        taken.is_answered = true;
        self.received.drain(..response.bytes());
        Ok(())
    }

    fn take_blocks(&mut self, taken: &mut Taken) -> Result<()> {
        let mut items = Vec::new();
        while let Some(line) = memmem::find(&self.received, LINE_END) {
            let size = str::from_utf8(&self.received[..line])?;
            let size = usize::from_str_radix(size, 16).context("this is no chunk")?;
            ensure!(size > 0, "the stream has ended");
            let begin = line + LINE_END.len();
            let Some(chunk) = self.received.get(begin..begin + size + LINE_END.len()) else {
                break;
            };
            self.parser.push(&chunk[..size], &mut items)?;
            self.received.drain(..begin + size + LINE_END.len());
        }
        for item in items {
            if let sse::Item::Event(event) = item {
                take_frame(serde_json::from_str(&event.data).context("this is no event")?, taken)?;
            }
        }
        Ok(())
    }

    fn take_frames(&mut self, taken: &mut Taken) -> Result<()> {
        let (mut input, mut inflater) = (Input::new(&mut self.received), Inflater::default());
        while let Some(received) = self.decoder.next(&mut input, &mut inflater)? {
            match received {
                Received::Text(text) => {
                    take_frame(serde_json::from_str(&text).context("this is no event")?, taken)?;
                }
                Received::Ping(payload) => {
                    taken.reply.extend(ws::masked_frame(Opcode::Pong, &payload, MASK));
                }
                Received::Binary(_) | Received::Pong(_) => {}
                Received::Close(close) => bail!("the server closes: {close:?}"),
            }
        }
        // What is cut is with the decoder.
        self.received.clear();
        Ok(())
    }
}

fn take_frame(frame: Frame<'_>, taken: &mut Taken) -> Result<()> {
    if let Some(Body { number, sent_ns }) = frame.data {
        taken.items.push(Item::Event { number, sent: Duration::from_nanos(sent_ns) });
    }
    match frame.control.as_deref() {
        Some("gap") => taken.items.push(Item::Gap(frame.span.events()?)),
        Some("ready") => taken.items.push(Item::Ready),
        _ => {}
    }
    if let Some(cursor) = frame.cursor {
        taken.items.push(Item::Cursor(cursor.into_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str =
        r#"{"topic":"t","time":1,"cursor":"e1-2","data":{"number":2,"sent_ns":5,"pad":""}}"#;
    const READY: &str = r#"{"control":"ready","cursor":"e1-2"}"#;
    const GAP: &str = r#"{"control":"gap","from":"e1-0","to":"e1-1","reason":"expired"}"#;

    fn expected() -> Vec<Item> {
        let event = Item::Event { number: 2, sent: Duration::from_nanos(5) };
        let cursor = || Item::Cursor("e1-2".into());
        vec![Item::Gap(1), event, cursor(), Item::Ready, cursor()]
    }

    fn chunk(text: &str) -> String {
        format!("{:x}\r\n{text}\r\n", text.len())
    }

    /// What the bytes of an answer say, given in pieces of this size.
    fn of(transport: Transport, bytes: &[u8], size: usize) -> Result<Vec<Item>> {
        let mut feed = Feed::new(transport);
        let mut items = Vec::new();
        for piece in bytes.chunks(size) {
            items.extend(feed.take(piece)?.items);
        }
        Ok(items)
    }

    #[test]
    fn each_transport_says_the_same_in_pieces_of_any_size() {
        let stream = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}{}{}{}{}",
            chunk("retry: 1\n\n"),
            chunk(&format!("event: gap\ndata: {GAP}\n\n")),
            chunk(&format!("id: e1-2\ndata: {EVENT}")),
            chunk("\n\n:\n\n"),
            chunk(&format!("event: ready\ndata: {READY}\n\n")),
        );
        let mut socket = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
        for text in [GAP, EVENT, READY] {
            socket.extend_from_slice(&ws::frame(Opcode::Text, text.as_bytes()));
        }
        let page = format!(r#"{{"events":[{EVENT}],"cursor":"e1-2","gap":{GAP}}}"#);
        let poll = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{page}", page.len());
        for size in [1, 7, 1000] {
            assert_eq!(of(Transport::Sse, stream.as_bytes(), size).expect("a stream"), expected());
            assert_eq!(of(Transport::WebSocket, &socket, size).expect("frames"), expected());
            let mut items = of(Transport::Poll, poll.as_bytes(), size).expect("an answer");
            // A page's cursor stands behind all, and it is never not ready.
            assert_eq!(items.pop(), Some(Item::Cursor("e1-2".into())));
            assert_eq!(items, expected()[..3]);
        }
    }

    #[test]
    fn a_gap_has_no_more_events_than_lie_between_its_ends() {
        let span = |from: &str, to: &str| {
            let text = format!(r#"{{"control":"gap","from":"{from}","to":"{to}"}}"#);
            serde_json::from_str::<Span<'_>>(&text).expect("a gap").events().ok()
        };
        assert_eq!(span("e1-2", "e1-9"), Some(7));
        assert_eq!(span("e1-2.s4-1", "e1-9.s4-7"), Some(7));
        assert_eq!(span("e1-9", "e2-3"), Some(u64::MAX));
        assert_eq!(span("e1-9", "nowhere"), None);
    }

    #[test]
    fn what_is_of_no_use_is_an_error() {
        for (transport, bytes) in [
            (Transport::Sse, "HTTP/1.1 429 Too Many Requests\r\n\r\n"),
            (Transport::Sse, "HTTP/1.1 200 OK\r\n\r\nnone\r\n"),
            (Transport::Sse, "HTTP/1.1 200 OK\r\n\r\n0\r\n\r\n"),
            (Transport::WebSocket, "HTTP/1.1 200 OK\r\n\r\n"),
            (Transport::Poll, "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"),
            (Transport::Poll, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
        ] {
            assert!(of(transport, bytes.as_bytes(), 1000).is_err(), "{bytes}");
        }
    }

    #[test]
    fn a_body_is_as_it_is_read() {
        let body = body(7, Duration::from_secs(1), 128).expect("large enough");
        assert_eq!(body.len(), 128);
        let read: Body = serde_json::from_str(&body).expect("a body");
        assert_eq!((read.number, read.sent_ns), (7, 1_000_000_000));
    }
}
