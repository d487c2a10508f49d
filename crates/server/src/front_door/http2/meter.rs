//! The frames of a client as they come, counted where h2 does not: one that sends nothing but
//! frames without content keeps a thread busy and pays little for it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bellwire_model::limits::{
    HTTP2_ACKNOWLEDGED_BYTES_MIN, HTTP2_IDLE_FRAMES_BURST, HTTP2_IDLE_FRAMES_PER_SECOND,
    HTTP2_RESETS_REMEMBERED, HTTP2_STREAMS_MAX, HTTP2_UNACKNOWLEDGED_BYTES_MAX,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Replay;
use bellwire_process::clock::Ticker;

/// What every connection begins with.
const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;
const END_STREAM: u8 = 1;
const PADDED: u8 = 8;

/// A connection whose frames are counted.
#[derive(Debug)]
pub(super) struct Metered {
    replay: Replay,
    meter: Meter,
}

impl Metered {
    pub(super) fn new(replay: Replay) -> Self {
        Self { replay, meter: Meter::new() }
    }
}

/// Why a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Violation {
    /// More frames without content than there may be.
    Flood,
    /// A stream that the client has reset goes on.
    Closed,
}

#[derive(Debug)]
struct Meter {
    /// Bytes to pass over before the next head.
    skipped: usize,
    /// And with it, of padded DATA, how much of it is padding.
    head: [u8; HEAD_BYTES + 1],
    head_bytes: usize,
    ticker: Ticker,
    /// Frames without content that it may still send, in thousandths, and as of when.
    allowance: u64,
    as_of_ms: u64,
    resets: VecDeque<u32>,
    /// Requests for which no stream has been reset: each stream is reset once at most.
    resettable: u32,
    /// And for which no body has ended: that takes a frame, which may have no content.
    endable: u32,
    /// Bytes written to the client which it may still say that it has taken.
    unacknowledged_bytes: usize,
}

const ALLOWANCE_MAX: u64 = HTTP2_IDLE_FRAMES_BURST as u64 * 1000;

impl Meter {
    fn new() -> Self {
        Self {
            skipped: PREFACE_BYTES,
            head: [0; HEAD_BYTES + 1],
            head_bytes: 0,
            ticker: Ticker::start(),
            allowance: ALLOWANCE_MAX,
            as_of_ms: 0,
            resets: VecDeque::new(),
            resettable: 0,
            endable: 0,
            unacknowledged_bytes: 0,
        }
    }

    fn see(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        loop {
            let skipped = self.skipped.min(bytes.len());
            self.skipped -= skipped;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(self.wanted_bytes() - self.head_bytes);
            if taken == 0 {
                return Ok(());
            }
            let (head, rest) = bytes.split_at(taken);
            self.head[self.head_bytes..][..taken].copy_from_slice(head);
            self.head_bytes += taken;
            bytes = rest;
            if self.head_bytes == self.wanted_bytes() {
                let now_ms = self.ticker.now_ms();
                self.on_head(now_ms)?;
                self.skipped -= self.head_bytes - HEAD_BYTES;
                self.head_bytes = 0;
            }
        }
    }

    /// How much of a frame is looked at.
    fn wanted_bytes(&self) -> usize {
        let [a, b, c, kind, flags, ..] = self.head;
        let is_padded = kind == 0 && flags & PADDED != 0 && [a, b, c] != [0; 3];
        HEAD_BYTES + usize::from(self.head_bytes >= HEAD_BYTES && is_padded)
    }

    fn on_head(&mut self, now_ms: u64) -> Result<(), Violation> {
        let [a, b, c, kind, flags, stream @ .., padding] = self.head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes(stream) & (u32::MAX >> 1);
        let padding = match flags & PADDED {
            0 => 0,
            _ => 1 + usize::from(padding),
        };
        self.skipped = length;
        match kind {
            // DATA, HEADERS.
            0 | 1 if self.resets.contains(&stream) => return Err(Violation::Closed),
            0 if length <= padding => match self.endable.checked_sub(1) {
                Some(left) if flags & END_STREAM != 0 => self.endable = left,
                _ => self.on_idle_frame(now_ms)?,
            },
            1 => {
                self.resettable = (self.resettable + 1).min(HTTP2_STREAMS_MAX);
                self.endable = (self.endable + 1).min(HTTP2_STREAMS_MAX);
            }
            // RST_STREAM.
            3 => {
                match self.resettable.checked_sub(1) {
                    Some(left) => self.resettable = left,
                    None => self.on_idle_frame(now_ms)?,
                }
                if self.resets.len() == HTTP2_RESETS_REMEMBERED {
                    self.resets.pop_front();
                }
                self.resets.push_back(stream);
            }
            // WINDOW_UPDATE.
            8 => match self.unacknowledged_bytes.checked_sub(HTTP2_ACKNOWLEDGED_BYTES_MIN) {
                Some(left) => self.unacknowledged_bytes = left,
                None => self.on_idle_frame(now_ms)?,
            },
            // PRIORITY, SETTINGS, PING, GOAWAY, and what nobody knows.
            2 | 4 | 6 | 7 | 10.. => self.on_idle_frame(now_ms)?,
            _ => {}
        }
        Ok(())
    }

    fn on_written(&mut self, bytes: usize) {
        self.unacknowledged_bytes =
            (self.unacknowledged_bytes + bytes).min(HTTP2_UNACKNOWLEDGED_BYTES_MAX);
    }

    fn on_idle_frame(&mut self, now_ms: u64) -> Result<(), Violation> {
        let earned = (now_ms - self.as_of_ms) * u64::from(HTTP2_IDLE_FRAMES_PER_SECOND);
        self.as_of_ms = now_ms;
        self.allowance = (self.allowance + earned).min(ALLOWANCE_MAX);
        self.allowance = self.allowance.checked_sub(1000).ok_or(Violation::Flood)?;
        Ok(())
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.replay).poll_read(context, buffer);
        if let Err(violation) = self.meter.see(&buffer.filled()[before..]) {
            tracing::debug!(?violation, "A client breaks the rules of HTTP/2.");
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        read
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.replay).poll_write(context, bytes);
        if let Poll::Ready(Ok(bytes)) = written {
            self.meter.on_written(bytes);
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.replay).poll_write_vectored(context, slices);
        if let Poll::Ready(Ok(bytes)) = written {
            self.meter.on_written(bytes);
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.replay.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.replay).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.replay).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        flagged(kind, 0, (stream, payload))
    }

    fn flagged(kind: u8, flags: u8, (stream, payload): (u8, &[u8])) -> Vec<u8> {
        let length = payload.len() as u32;
        let [_, a, b, c] = length.to_be_bytes();
        [&[a, b, c, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    #[test]
    fn frames_are_told_wherever_the_bytes_are_cut() {
        let closed = [frame(1, 1, b"head"), frame(3, 1, &[0; 4]), frame(0, 1, b"data")].concat();
        let open = [frame(1, 1, b"head"), frame(3, 3, &[0; 4]), frame(0, 1, b"data")].concat();
        for (frames, expected) in [(closed, Err(Violation::Closed)), (open, Ok(()))] {
            let bytes = [PREFACE, &frames].concat();
            for size in 1..bytes.len() {
                let mut meter = Meter::new();
                let seen = bytes.chunks(size).try_for_each(|bytes| meter.see(bytes));
                assert_eq!(seen, expected, "in pieces of {size}");
            }
        }
    }

    #[test]
    fn frames_without_content_are_rationed() {
        let frames: [(u8, u8, &[u8]); 12] = [
            (0, 0, &[]),
            (0, END_STREAM, &[]),
            (0, PADDED, &[3, 0, 0, 0]),
            (0, PADDED, &[0]),
            (0, PADDED | END_STREAM, &[1, 0]),
            (2, 0, &[0; 5]),
            (3, 0, &[0; 4]),
            (4, 0, &[]),
            (6, 0, &[0; 8]),
            (7, 0, &[0; 8]),
            (8, 0, &[0; 4]),
            (0xfa, 0, b"x"),
        ];
        for (kind, flags, payload) in frames {
            let frame = flagged(kind, flags, (1, payload));
            for size in [1, frame.len() - 1, frame.len() * 100] {
                let burst = [PREFACE, &frame.repeat(HTTP2_IDLE_FRAMES_BURST as usize)].concat();
                let flood = frame.repeat(20 * HTTP2_IDLE_FRAMES_BURST as usize);
                let mut meter = Meter::new();
                let seen = burst.chunks(size).try_for_each(|bytes| meter.see(bytes));
                assert_eq!(seen, Ok(()), "{kind} {flags}");
                let seen = flood.chunks(size).try_for_each(|bytes| meter.see(bytes));
                assert_eq!(seen, Err(Violation::Flood), "{kind} {flags}");
            }
            let mut meter = Meter::new();
            meter.skipped = 0;
            let mut send = |count: u32, now_ms: u64| {
                (0..count).try_for_each(|_| {
                    let head = frame.len().min(HEAD_BYTES + 1);
                    meter.head[..head].copy_from_slice(&frame[..head]);
                    meter.on_head(now_ms)
                })
            };
            assert_eq!(send(HTTP2_IDLE_FRAMES_BURST, 0), Ok(()), "{kind} {flags}");
            assert_eq!(send(1, 0), Err(Violation::Flood), "{kind} {flags}");
            assert_eq!(send(HTTP2_IDLE_FRAMES_PER_SECOND, 1_000), Ok(()), "{kind} {flags}");
            assert_eq!(send(1, 1_000), Err(Violation::Flood), "{kind} {flags}");
        }
    }

    #[test]
    fn what_carries_something_or_ends_a_body_is_no_flood() {
        let padded = [2, b'x', 0, 0];
        let upload = frame(1, 1, b"head");
        let bodies = [
            frame(0, 1, b"x"),
            flagged(0, PADDED, (1, &padded)),
            [&upload[..], &flagged(0, END_STREAM, (1, &[]))].concat(),
            [&upload[..], &flagged(0, END_STREAM | PADDED, (1, &[2, 0, 0]))].concat(),
        ];
        for body in bodies {
            let mut meter = Meter::new();
            let all = [PREFACE, &body.repeat(10_000)].concat();
            assert_eq!(meter.see(&all), Ok(()), "{body:?}");
        }
    }

    #[test]
    fn who_takes_an_answer_may_say_so_frame_by_frame() {
        const FRAMES: usize = 100_000;
        let updates = [frame(8, 0, &[0; 4]), frame(8, 1, &[0; 4])].concat();
        // A large answer, and events each of which comes alone.
        for frame_bytes in [16_384 + HEAD_BYTES, 64] {
            let mut meter = Meter::new();
            meter.see(PREFACE).expect("the preface");
            for _ in 0..FRAMES {
                meter.on_written(frame_bytes);
                assert_eq!(meter.see(&updates), Ok(()), "{frame_bytes}");
            }
        }
        // All of a large window at once, after a while.
        let mut meter = Meter::new();
        meter.see(PREFACE).expect("the preface");
        meter.on_written(64 * 1024 * 1024);
        let all = updates.repeat(64 * 1024 * 1024 / 16_384);
        assert_eq!(meter.see(&all), Ok(()));
        // What was written is good for so many and no more.
        let flood = updates.repeat(HTTP2_UNACKNOWLEDGED_BYTES_MAX / HTTP2_ACKNOWLEDGED_BYTES_MIN);
        assert_eq!(meter.see(&flood), Err(Violation::Flood));
    }

    #[test]
    fn who_gives_up_each_of_its_streams_is_no_flood() {
        let mut meter = Meter::new();
        meter.see(PREFACE).expect("the preface");
        let one = |stream: u32, kind: u8| {
            let [a, b, c, d] = stream.to_be_bytes();
            [0, 0, 4, kind, 4, a, b, c, d, 0, 0, 0, 8]
        };
        for round in 0..1_000 {
            let streams = (0..HTTP2_STREAMS_MAX).map(|n| 2 * (round * HTTP2_STREAMS_MAX + n) + 1);
            for kind in [1, 3] {
                let frames: Vec<u8> =
                    streams.clone().flat_map(|stream| one(stream, kind)).collect();
                assert_eq!(meter.see(&frames), Ok(()));
            }
        }
        // Streams long gone, however many of them, are not to be given up again and again.
        let flood: Vec<u8> = (0..300).flat_map(|n| one(2 * n + 1, 3)).collect();
        assert_eq!(meter.see(&flood.repeat(1_000)), Err(Violation::Flood));
    }
}
