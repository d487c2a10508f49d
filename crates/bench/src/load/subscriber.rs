//! One of very many subscribers: a stream, and a few carried bytes.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bellwire_wire::ws::{self, Compression, Decoder, Inflater, Input, Opcode, Received, Role};

use super::marker::{CARRY_BYTES_MAX, Marker};
use super::opening::Opening;
use super::response::Response;
use super::stamp;
use super::stream::Stream;

const PIECE_BYTES: usize = 64 * 1024;

/// Masks of a client's frames protect proxies, of which there are none.
const MASK: [u8; 4] = [0x5a, 0xa5, 0x3c, 0xc3];

/// What a subscriber notices.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Heard {
    /// It is live, so long after it began to connect.
    Live { after: Duration },
    /// An event came, so long after it was sent.
    Event { after: Duration },
}

/// What many subscribers share.
#[derive(Debug)]
pub(super) struct Script {
    opening: Opening,
    stamp: Marker,
    /// Room for what is carried, then for what a read brings.
    piece: Vec<u8>,
}

impl Script {
    pub(super) fn new(opening: Opening) -> Self {
        Self { opening, stamp: stamp::marker(), piece: vec![0; CARRY_BYTES_MAX + PIECE_BYTES] }
    }
}

#[derive(Debug)]
pub(super) struct Subscriber {
    stream: Stream,
    began: Instant,
    /// Of the opening; past its last one the subscriber is live.
    step: u8,
    /// Whether the request is still to be sent.
    is_new: bool,
    carried: u8,
    carry: [u8; CARRY_BYTES_MAX],
    decoder: Decoder,
    /// Of who polls: an answer that is not whole yet.
    answer: Vec<u8>,
    /// Bytes that were sent since it is live.
    sent_bytes: u64,
}

impl Subscriber {
    pub(super) fn new(stream: Stream, began: Instant) -> Self {
        Self {
            stream,
            began,
            step: 0,
            is_new: true,
            carried: 0,
            carry: [0; CARRY_BYTES_MAX],
            decoder: Decoder::new(Role::Client, Compression::Off),
            answer: Vec::new(),
            sent_bytes: 0,
        }
    }

    /// Bytes that were sent since it is live: polls, and answers to pings.
    pub(super) fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// The socket takes bytes.
    pub(super) fn on_writable(&mut self, script: &Script) -> Result<()> {
        if !self.is_new {
            return self.stream.flush().context("a stream broke");
        }
        if let Some(error) = self.stream.error()? {
            return Err(error).context("cannot connect");
        }
        self.is_new = false;
        self.stream.send(script.opening.sent(0)).context("cannot ask for a stream")
    }

    /// Reads all that has come. Returns how many bytes that was.
    pub(super) fn on_readable(
        &mut self,
        script: &mut Script,
        on: &mut impl FnMut(Heard),
    ) -> Result<u64> {
        let mut bytes = 0;
        loop {
            let read = match self.stream.read(&mut script.piece[CARRY_BYTES_MAX..]) {
                Ok(0) => bail!("the server closed a stream"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(bytes),
                Err(error) => return Err(error).context("a stream broke"),
            };
            bytes += read as u64;
            self.take(script, read, (Instant::now(), on))?;
            if read < PIECE_BYTES && self.stream.is_emptied_by_short_reads() {
                return Ok(bytes);
            }
        }
    }

    /// Reads one byte, which is lost. From now on events cannot be read.
    pub(super) fn drip(&mut self) {
        // There may be nothing; and who is this slow may have been cut off.
        let _ = self.stream.read(&mut [0]);
    }

    /// Looks through what a read has brought.
    fn take(
        &mut self,
        script: &mut Script,
        read: usize,
        (now, on): (Instant, &mut impl FnMut(Heard)),
    ) -> Result<()> {
        let Script { opening, stamp, piece } = script;
        // What was carried goes right in front of what was read.
        let start = CARRY_BYTES_MAX - usize::from(self.carried);
        piece[start..CARRY_BYTES_MAX].copy_from_slice(&self.carry[..usize::from(self.carried)]);
        self.carried = 0;
        let mut bytes = &mut piece[start..CARRY_BYTES_MAX + read];
        if opening.is_polled() {
            return self.take_answers((opening, stamp), bytes, (now, on));
        }
        while let Some(awaited) = opening.awaited(self.step).filter(|_| !self.is_framed(opening)) {
            let Some(end) = awaited.find_end(bytes) else {
                refuse_failure(bytes)?;
                let rest = awaited.done_without(bytes);
                self.carry_over(&bytes[rest..]);
                return Ok(());
            };
            refuse_failure(bytes)?;
            bytes = &mut bytes[end..];
            self.go_on(opening, (now, on))?;
        }
        if self.is_framed(opening) {
            return self.take_frames((opening, stamp), bytes, (now, on));
        }
        let done = read_stamps(stamp, bytes, (now, on))?;
        self.carry_over(&bytes[done..]);
        Ok(())
    }

    /// Asks again behind each answer; is live with the first.
    fn take_answers(
        &mut self,
        (opening, stamp): (&Opening, &Marker),
        bytes: &[u8],
        (now, on): (Instant, &mut impl FnMut(Heard)),
    ) -> Result<()> {
        self.answer.extend_from_slice(bytes);
        while let Some(response) = Response::parse(&self.answer)? {
            let body = response.body(&self.answer);
            let answer = || String::from_utf8_lossy(body);
            ensure!(response.status == 200, "the server answers {}", answer());
            read_stamps(stamp, body, (now, on))?;
            let cursor = cursor_of(body).with_context(|| format!("no cursor: {}", answer()))?;
            let next = opening.next_poll(cursor).context("nobody polls")?;
            if self.step == 0 {
                self.step = 1;
                on(Heard::Live { after: now - self.began });
            }
            self.answer.drain(..response.bytes());
            self.send(&next).context("cannot ask again")?;
        }
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.sent_bytes += bytes.len() as u64;
        self.stream.send(bytes)
    }

    /// Whether what comes now are frames.
    fn is_framed(&self, opening: &Opening) -> bool {
        opening.is_framed() && self.step > 0
    }

    fn carry_over(&mut self, rest: &[u8]) {
        self.carry[..rest.len()].copy_from_slice(rest);
        self.carried = rest.len() as u8;
    }

    /// What a step waited for has come.
    fn go_on(
        &mut self,
        opening: &Opening,
        (now, on): (Instant, &mut impl FnMut(Heard)),
    ) -> Result<()> {
        self.step += 1;
        if opening.awaited(self.step).is_none() {
            on(Heard::Live { after: now - self.began });
            return Ok(());
        }
        let text = opening.sent(self.step);
        if !text.is_empty() {
            self.stream.send(&ws::masked_frame(Opcode::Text, text, MASK))?;
        }
        Ok(())
    }

    fn take_frames(
        &mut self,
        (opening, stamp): (&Opening, &Marker),
        bytes: &mut [u8],
        (now, on): (Instant, &mut impl FnMut(Heard)),
    ) -> Result<()> {
        let (mut input, mut inflater) = (Input::new(bytes), Inflater::default());
        while let Some(received) = self.decoder.next(&mut input, &mut inflater)? {
            match &received {
                Received::Text(text) => {
                    let awaited = opening.awaited(self.step);
                    if awaited.is_some_and(|awaited| awaited.find_end(text.as_bytes()).is_some()) {
                        self.go_on(opening, (now, on))?;
                    }
                    read_stamps(stamp, text.as_bytes(), (now, on))?;
                }
                Received::Ping(payload) => {
                    self.send(&ws::masked_frame(Opcode::Pong, payload, MASK))?;
                }
                Received::Binary(_) | Received::Pong(_) => {}
                Received::Close(close) => bail!("the server closed a stream: {close:?}"),
            }
        }
        Ok(())
    }
}

/// Finds the events. Returns how many bytes are done with.
fn read_stamps(
    stamp: &Marker,
    bytes: &[u8],
    (now, on): (Instant, &mut impl FnMut(Heard)),
) -> Result<usize> {
    let mut is_wrong = false;
    let done = stamp.scan(bytes, |digits| match stamp::parse(digits) {
        Some(sent_ns) => on(Heard::Event { after: stamp::since(sent_ns, now) }),
        None => is_wrong = true,
    });
    ensure!(!is_wrong, "an event came back changed");
    Ok(done)
}

/// Where a poll's answer says to go on: behind all of its events.
fn cursor_of(body: &[u8]) -> Option<&str> {
    const MARK: &[u8] = b"\"cursor\":\"";
    let begin = memchr::memmem::rfind(body, MARK)? + MARK.len();
    let length = memchr::memchr(b'"', &body[begin..])?;
    std::str::from_utf8(&body[begin..begin + length]).ok()
}

/// An error where an answer of HTTP begins that is not one of success.
fn refuse_failure(bytes: &[u8]) -> Result<()> {
    let is_failure = bytes
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.first())
        .is_some_and(|class| !matches!(class, b'1' | b'2'));
    ensure!(!is_failure, "the server answers {}", String::from_utf8_lossy(bytes));
    Ok(())
}
