//! A parser of `text/event-stream`, exact to the WHATWG specification, for bytes cut anywhere.

use std::time::Duration;

use bellwire_model::limits::SSE_EVENT_BYTES_MAX;
use thiserror::Error;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event as a browser would dispatch it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The last event id at this event: its own `id:`, or the one that was in force before.
    pub last_event_id: String,
    /// Its `event:`; `None` where it has none, or an empty one.
    pub event_type: Option<String>,
    /// Its `data:` lines, joined by line feeds.
    pub data: String,
}

/// What a stream consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An event.
    Event(Received),
    /// A comment, such as a heartbeat, without its colon.
    Comment(String),
    /// The stream asks to wait this long before a reconnect.
    Retry(Duration),
}

/// The stream breaks a bound; it cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParserError {
    /// A line, or the lines of one event together.
    #[error("an event of the stream is larger than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
}

/// Reads a stream piece by piece.
///
/// ```
/// # use bellwire_wire::sse::{Item, Parser};
/// let mut parser = Parser::default();
/// let mut items = Vec::new();
/// parser.push(b"id: e7-1\nda", &mut items)?;
/// parser.push(b"ta: {}\n\n", &mut items)?;
/// assert!(matches!(&items[..], [Item::Event(event)] if event.data == "{}"));
/// # Ok::<(), bellwire_wire::sse::ParserError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Parser {
    event_bytes_max: usize,
    /// The line that has begun but not ended.
    line: Vec<u8>,
    /// What came so far: decides about the byte order mark, and about LF after CR.
    at: At,
    event_type: String,
    /// Each `data:` line with a line feed behind it.
    data: String,
    /// The id of the block being read; it takes effect at the block's end.
    id: String,
    last_event_id: String,
}

/// What the parser has just read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Nothing, or a part of a byte order mark.
    Start,
    /// A carriage return: a line feed now belongs to it.
    CarriageReturn,
    /// Anything else.
    Within,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new(SSE_EVENT_BYTES_MAX)
    }
}

impl Parser {
    /// A parser that refuses events of more bytes.
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            line: Vec::new(),
            at: At::Start,
            event_type: String::new(),
            data: String::new(),
            id: String::new(),
            last_event_id: String::new(),
        }
    }

    /// Takes in the next bytes and appends what they complete to `items`. After an error the
    /// stream is lost; what came before the error is in `items`.
    pub fn push(&mut self, bytes: &[u8], items: &mut Vec<Item>) -> Result<(), ParserError> {
        let mut rest = bytes;
        if self.at == At::Start {
            rest = self.skip_byte_order_mark(bytes);
        }
        loop {
            if self.at == At::CarriageReturn && !rest.is_empty() {
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
                self.at = At::Within;
            }
            let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                return self.extend_line(rest);
            };
            self.extend_line(&rest[..end])?;
            if rest[end] == b'\r' {
                self.at = At::CarriageReturn;
            }
            rest = &rest[end + 1..];
            // Taken out so that it can be read while the rest of the parser changes.
            let mut line = std::mem::take(&mut self.line);
            self.on_line(&line, items);
            line.clear();
            self.line = line;
        }
    }

    /// Holds the first bytes back until it is clear whether they are a byte order mark.
    fn skip_byte_order_mark<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let held = self.line.len();
        let missing = &BYTE_ORDER_MARK[held..];
        let same = missing.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        if same == missing.len() {
            self.line.clear();
            self.at = At::Within;
            return &bytes[same..];
        }
        if same < bytes.len() {
            // No mark after all: what was held back is text, and stays in `line`.
            self.at = At::Within;
            return bytes;
        }
        self.line.extend_from_slice(bytes);
        &[]
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), ParserError> {
        if self.line.len() + self.data.len() + bytes.len() > self.event_bytes_max {
            return Err(ParserError::TooLarge { bytes_max: self.event_bytes_max });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn on_line(&mut self, line: &[u8], items: &mut Vec<Item>) {
        // A line break never lies within a UTF-8 sequence, so lines may be decoded one by one.
        let line = String::from_utf8_lossy(line);
        if line.is_empty() {
            return self.on_block_end(items);
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        if name.is_empty() {
            return items.push(Item::Comment(value.to_owned()));
        }
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "event" => value.clone_into(&mut self.event_type),
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" => items.extend(retry_delay(value).map(Item::Retry)),
            _ => {}
        }
    }

    fn on_block_end(&mut self, items: &mut Vec<Item>) {
        self.last_event_id.clone_from(&self.id);
        let event_type = std::mem::take(&mut self.event_type);
        let mut data = std::mem::take(&mut self.data);
        if data.pop().is_some() {
            items.push(Item::Event(Received {
                last_event_id: self.last_event_id.clone(),
                event_type: Some(event_type).filter(|text| !text.is_empty()),
                data,
            }));
        }
    }
}

fn retry_delay(digits: &str) -> Option<Duration> {
    let only_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| Duration::from_millis(digits.parse().unwrap_or(u64::MAX)))
}
