//! Bytes of a connection to what they say, strictly as RFC 6455 has it.
//!
//! ```text
//! bytes ──▶ head ──▶ payload, unmasked in place ─┬─ whole: borrowed ──────────────▶ Received
//!             │                                  └─ a part: kept, UTF-8 checked ─┐      ▲
//!             └─ cut: kept                                                      └───────┘
//! ```

use std::borrow::Cow;

use bellwire_model::limits::{WEBSOCKET_FRAGMENTS_MAX, WEBSOCKET_MESSAGE_BYTES_MAX};

use super::frame::apply_mask;
use super::head::{HEAD_BYTES_MAX, Head, Opcode};
use super::utf8::{NotUtf8, Utf8};
use super::{CloseCode, Compression, Inflater, Violation};

/// RSV1 alone.
const COMPRESSED: u8 = 0b100;

/// Which end of the connection decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The server: the client's frames must be masked.
    Server,
    /// A client: the server's frames must not be masked.
    Client,
}

/// Bytes of a connection that were not decoded yet, in memory that the caller lends: payloads are
/// unmasked in place and borrowed from it.
#[derive(Debug)]
pub struct Input<'a>(&'a mut [u8]);

impl<'a> Input<'a> {
    /// What was just read from the connection.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all was decoded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was not decoded.
    pub fn into_rest(self) -> &'a mut [u8] {
        self.0
    }

    fn take(&mut self, bytes: usize) -> &'a mut [u8] {
        self.0.split_off_mut(..bytes).expect("no more is taken than there is")
    }

    fn clear(&mut self) {
        self.0 = &mut [];
    }
}

/// What a peer says. Borrowed where it came in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Binary(Cow<'a, [u8]>),
    /// Wants a pong with the same payload.
    Ping(Cow<'a, [u8]>),
    /// A sign of life.
    Pong(Cow<'a, [u8]>),
    /// The peer ends the connection, and wants a close frame with the same code. Nothing that
    /// follows counts. `None`: it does not say why.
    Close(Option<Close>),
}

/// Why a peer ends the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Its code.
    pub code: CloseCode,
    /// Its reason, mostly empty.
    pub reason: String,
}

/// Reads one connection. It holds memory only while a frame or a fragmented message is not
/// complete.
///
/// ```
/// # use bellwire_wire::ws::{self, Compression, Decoder, Inflater, Input, Opcode, Received, Role};
/// let mut decoder = Decoder::new(Role::Server, Compression::Off);
/// let mut inflater = Inflater::default();
/// let mut bytes = ws::masked_frame(Opcode::Text, b"hello", [1, 2, 3, 4]);
/// let mut input = Input::new(&mut bytes);
/// while let Some(received) = decoder.next(&mut input, &mut inflater)? {
///     assert_eq!(received, Received::Text("hello".into()));
/// }
/// assert!(input.is_empty());
/// # Ok::<(), ws::Violation>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    pending: Option<Box<Pending>>,
    message_bytes_max: u32,
    role: Role,
    compression: Compression,
    /// A close frame, or a violation: what follows does not count.
    has_ended: bool,
}

/// Every WebSocket connection has one.
const _: () = assert!(size_of::<Decoder>() <= 16);

/// What has come of something that is not complete.
#[derive(Debug, Default)]
struct Pending {
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: u8,
    frame: Option<Frame>,
    /// The payload of a control frame, which may come between the fragments of a message.
    control: Vec<u8>,
    message: Option<Fragments>,
}

/// A frame whose payload is being read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    is_compressed: bool,
    is_last: bool,
    /// Turned so that it begins with the next byte.
    mask: [u8; 4],
    missing_bytes: usize,
}

/// Text or binary of which more is to come.
#[derive(Debug)]
struct Fragments {
    opcode: Opcode,
    is_compressed: bool,
    payload: Vec<u8>,
    utf8: Utf8,
    frames: u32,
}

impl Decoder {
    /// A decoder for a connection on which `compression` was agreed.
    pub fn new(role: Role, compression: Compression) -> Self {
        Self {
            pending: None,
            message_bytes_max: WEBSOCKET_MESSAGE_BYTES_MAX as u32,
            role,
            compression,
            has_ended: false,
        }
    }

    /// Refuses messages of more bytes than this, compressed or not, in place of
    /// [`WEBSOCKET_MESSAGE_BYTES_MAX`].
    #[must_use]
    pub fn with_message_bytes_max(self, message_bytes_max: u32) -> Self {
        Self { message_bytes_max, ..self }
    }

    /// Bytes that are held because something is not complete.
    pub fn held_bytes(&self) -> usize {
        let of = |pending: &Pending| {
            let message = pending.message.as_ref().map_or(0, |message| message.payload.capacity());
            size_of::<Pending>() + pending.control.capacity() + message
        };
        self.pending.as_deref().map_or(0, of)
    }

    /// The next that `input` completes; what was read is cut off from its front. `None`: all of
    /// it was read. After a close frame or a violation the rest is dropped unread.
    pub fn next<'a>(
        &mut self,
        input: &mut Input<'a>,
        inflater: &mut Inflater,
    ) -> Result<Option<Received<'a>>, Violation> {
        if self.has_ended {
            input.clear();
            return Ok(None);
        }
        let result = self.advance(input, inflater);
        if matches!(result, Err(_) | Ok(Some(Received::Close(_)))) {
            self.end();
        }
        result
    }

    /// Nothing that follows counts; what is held is freed.
    pub fn end(&mut self) {
        self.has_ended = true;
        self.pending = None;
    }

    fn advance<'a>(
        &mut self,
        input: &mut Input<'a>,
        inflater: &mut Inflater,
    ) -> Result<Option<Received<'a>>, Violation> {
        loop {
            let Some(mut frame) = self.frame(input)? else { return Ok(None) };
            let piece = frame.take(input);
            let received = if frame.opcode.is_control() {
                self.on_control(&frame, piece)?
            } else {
                self.on_data(&frame, piece, inflater)?
            };
            if frame.missing_bytes > 0 {
                self.pending().frame = Some(frame);
                return Ok(None);
            }
            if received.is_some() {
                return Ok(received);
            }
        }
    }

    /// The frame that the input goes on with, or begins.
    fn frame(&mut self, input: &mut Input<'_>) -> Result<Option<Frame>, Violation> {
        if let Some(frame) = self.pending.as_mut().and_then(|pending| pending.frame.take()) {
            return Ok(Some(frame));
        }
        // A head is short enough to be copied, so that a cut one is read like any other.
        let mut bytes = [0; HEAD_BYTES_MAX];
        let held = match &mut self.pending {
            Some(pending) => {
                bytes = pending.head;
                std::mem::take(&mut pending.head_bytes) as usize
            }
            None => 0,
        };
        let length = HEAD_BYTES_MAX.min(held + input.0.len());
        bytes[held..length].copy_from_slice(&input.0[..length - held]);
        if let Some((head, head_bytes)) = Head::read(&bytes[..length])? {
            input.take(head_bytes - held);
            return self.accept(&head).map(Some);
        }
        input.clear();
        if length > 0 {
            let pending = self.pending();
            pending.head = bytes;
            pending.head_bytes = length as u8;
        }
        Ok(None)
    }

    /// Checks a head against the connection and what came before.
    fn accept(&mut self, head: &Head) -> Result<Frame, Violation> {
        let is_compressed = self.is_compressed(head)?;
        match (self.role, head.mask) {
            (Role::Server, None) => return Err(Violation::Unmasked),
            (Role::Client, Some(_)) => return Err(Violation::Masked),
            _ => {}
        }
        if !head.opcode.is_control() {
            self.check_order_and_size(head)?;
        }
        Ok(Frame {
            opcode: head.opcode,
            is_compressed,
            is_last: head.is_last,
            mask: head.mask.unwrap_or_default(),
            missing_bytes: head.payload_bytes as usize,
        })
    }

    /// The first frame of a message says that it is compressed; no other bit means anything.
    fn is_compressed(&self, head: &Head) -> Result<bool, Violation> {
        let may_be = matches!(head.opcode, Opcode::Text | Opcode::Binary)
            && self.compression == Compression::Deflate;
        match head.reserved {
            0 => Ok(false),
            COMPRESSED if may_be => Ok(true),
            bits => Err(Violation::ReservedBits { bits }),
        }
    }

    fn check_order_and_size(&mut self, head: &Head) -> Result<(), Violation> {
        let message = self.pending.as_mut().and_then(|pending| pending.message.as_mut());
        let held_bytes = match (head.opcode, message) {
            (Opcode::Continuation, None) => return Err(Violation::ContinuationOfNothing),
            (Opcode::Continuation, Some(message)) => {
                message.frames += 1;
                if message.frames > WEBSOCKET_FRAGMENTS_MAX {
                    return Err(Violation::TooManyFragments);
                }
                message.payload.len() as u64
            }
            (_, Some(_)) => return Err(Violation::Interleaved),
            (_, None) => 0,
        };
        // The length has at most 63 bits, so this does not overflow.
        if held_bytes + head.payload_bytes > self.message_bytes_max as u64 {
            return Err(Violation::TooLarge { bytes_max: self.message_bytes_max });
        }
        Ok(())
    }

    fn on_control<'a>(
        &mut self,
        frame: &Frame,
        piece: &'a mut [u8],
    ) -> Result<Option<Received<'a>>, Violation> {
        let held = match &mut self.pending {
            Some(pending) => std::mem::take(&mut pending.control),
            None => Vec::new(),
        };
        let payload = join(held, piece);
        if frame.missing_bytes > 0 {
            self.pending().control = payload.into_owned();
            return Ok(None);
        }
        self.release();
        control(frame.opcode, payload).map(Some)
    }

    fn on_data<'a>(
        &mut self,
        frame: &Frame,
        piece: &'a mut [u8],
        inflater: &mut Inflater,
    ) -> Result<Option<Received<'a>>, Violation> {
        let is_end = frame.is_last && frame.missing_bytes == 0;
        let held = self.pending.as_mut().and_then(|pending| pending.message.take());
        if !is_end {
            let mut message = held.unwrap_or_else(|| Fragments::begin(frame));
            message.push(piece)?;
            self.pending().message = Some(message);
            return Ok(None);
        }
        self.release();
        let (opcode, is_compressed, payload) = match held {
            Some(message) => (message.opcode, message.is_compressed, join(message.payload, piece)),
            None => (frame.opcode, frame.is_compressed, Cow::Borrowed(&*piece)),
        };
        let payload = if is_compressed {
            Cow::Owned(inflater.payload(&payload, self.message_bytes_max)?)
        } else {
            payload
        };
        data(opcode, payload).map(Some)
    }

    fn pending(&mut self) -> &mut Pending {
        self.pending.get_or_insert_default()
    }

    /// Something was completed: frees the memory, unless a message is still under way.
    fn release(&mut self) {
        self.pending.take_if(|pending| pending.message.is_none());
    }
}

impl Frame {
    /// The payload as far as the input has it, unmasked.
    fn take<'a>(&mut self, input: &mut Input<'a>) -> &'a mut [u8] {
        let piece = input.take(self.missing_bytes.min(input.0.len()));
        if self.mask != [0; 4] {
            apply_mask(piece, self.mask);
            self.mask.rotate_left(piece.len() % 4);
        }
        self.missing_bytes -= piece.len();
        piece
    }
}

impl Fragments {
    fn begin(frame: &Frame) -> Self {
        Self {
            opcode: frame.opcode,
            is_compressed: frame.is_compressed,
            payload: Vec::new(),
            utf8: Utf8::default(),
            frames: 1,
        }
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), Violation> {
        if self.opcode == Opcode::Text && !self.is_compressed {
            self.utf8.push(piece).map_err(|NotUtf8| Violation::Utf8)?;
        }
        self.payload.extend_from_slice(piece);
        Ok(())
    }
}

/// Copies nothing where `piece` is all there is.
fn join(mut held: Vec<u8>, piece: &mut [u8]) -> Cow<'_, [u8]> {
    if held.is_empty() {
        return Cow::Borrowed(piece);
    }
    held.extend_from_slice(piece);
    Cow::Owned(held)
}

fn data(opcode: Opcode, payload: Cow<'_, [u8]>) -> Result<Received<'_>, Violation> {
    if opcode == Opcode::Text {
        text(payload).map(Received::Text).ok_or(Violation::Utf8)
    } else {
        Ok(Received::Binary(payload))
    }
}

fn control(opcode: Opcode, payload: Cow<'_, [u8]>) -> Result<Received<'_>, Violation> {
    match opcode {
        Opcode::Ping => Ok(Received::Ping(payload)),
        Opcode::Pong => Ok(Received::Pong(payload)),
        _ => close(&payload).map(Received::Close),
    }
}

fn close(payload: &[u8]) -> Result<Option<Close>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(Violation::CloseCodeCut) };
    };
    let code = u16::from_be_bytes(*code);
    let code = CloseCode::new(code).ok_or(Violation::CloseCodeInvalid { code })?;
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::CloseReasonUtf8)?;
    Ok(Some(Close { code, reason: reason.to_owned() }))
}

fn text(bytes: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}
