//! The pump: moves what one subscriber is missing from its hub to its socket.

use std::io::{self, IoSlice, Write};
use std::time::Duration;

use bellwire_hub::{Entries, Hub, Next, Values};
use bellwire_model::limits::{WRITE_BYTES_MAX, WRITE_SLICES_MAX};
use bellwire_model::{Offset, Version};
use bellwire_wire::http1::Frame;
use bellwire_wire::{Control, ndjson, sse};
use bytes::{Buf, Bytes};

use super::connection::Connection;
use crate::clock::Tick;
use crate::frames::{Encoding, Frames};
use crate::stream_request::Framing;

/// How a pump ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pumped {
    /// The subscriber has all there is.
    Done,
    /// The socket is full; it tells when it is writable.
    Blocked,
    /// There is more, but others want their turn.
    More,
    /// A page of history is needed, from here.
    NeedsHistory(Offset),
}

/// What a pump did, for the figures.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

/// Writes until the subscriber has all there is, the socket is full, or it had its share.
pub(super) fn pump(
    connection: &mut Connection,
    hub: &mut Hub<Frames>,
    context: &Context,
    written: &mut Written,
) -> io::Result<Pumped> {
    let mut share = WRITE_BYTES_MAX;
    loop {
        if !write_rest(connection, context.now, written)? {
            return Ok(Pumped::Blocked);
        }
        if share == 0 {
            return Ok(Pumped::More);
        }
        let before = written.bytes;
        match hub.next(&mut connection.delivery) {
            Next::Nothing => return Ok(Pumped::Done),
            Next::History(after) => return Ok(Pumped::NeedsHistory(after)),
            Next::Ready(cursor) => {
                let heartbeat_interval = context.heartbeat_interval;
                connection.delivery.took_ready();
                connection.told = cursor.offset;
                let ready = Control::Ready { cursor, heartbeat_interval };
                connection.unwritten = Some(Box::new(control(connection, &ready)));
            }
            Next::Gap(gap) => {
                connection.delivery.took_gap(&gap);
                let lane = connection.delivery.lane();
                let gap = crate::controls::gap(&gap, hub.filters(lane));
                connection.unwritten = Some(Box::new(control(connection, &gap)));
            }
            Next::Entries(entries) => write_entries(connection, entries, context.now, written)?,
            Next::Values(values) => write_values(connection, values, context.now, written)?,
        }
        share = share.saturating_sub((written.bytes - before) as usize);
    }
}

/// What a pump knows of its shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) now: Tick,
    pub(super) heartbeat_interval: Duration,
}

/// One frame of a write, and what the subscriber has once it is written.
struct Piece<'a> {
    frame: &'a Frame,
    upto: Upto,
}

#[derive(Clone, Copy)]
enum Upto {
    Entry(Offset),
    Value(Version),
}

impl Upto {
    fn taken(self, connection: &mut Connection) {
        match self {
            Self::Entry(offset) => {
                connection.delivery.took_entry(offset);
                connection.told = offset;
            }
            Self::Value(version) => connection.delivery.took_value(version),
        }
    }
}

fn write_entries(
    connection: &mut Connection,
    entries: Entries<'_, Frames>,
    now: Tick,
    written: &mut Written,
) -> io::Result<()> {
    let page_end = match &entries {
        Entries::Page(_, end) => Some(*end),
        Entries::Lane(_) => None,
    };
    let encoding = connection.encoding;
    let (pieces, is_rest) = Pieces::collect(entries.map(|entry| Piece {
        frame: entry.payload.frame(encoding),
        upto: Upto::Entry(entry.offset),
    }));
    let complete = pieces.write(connection, now, written)?;
    if let Some(end) = page_end
        && is_rest
        && complete
    {
        connection.delivery.took_page(end);
    }
    Ok(())
}

fn write_values(
    connection: &mut Connection,
    values: Values<'_, Frames>,
    now: Tick,
    written: &mut Written,
) -> io::Result<()> {
    let encoding = connection.encoding;
    let judge = connection.delivery.clone();
    let as_of = values.as_of();
    let mut values = values.peekable();
    // What is skipped at the front is taken at once; behind a value that is written it must wait.
    while let Some(skipped) = values.next_if(|value| judge.skips(value, as_of)) {
        connection.delivery.took_value(skipped.version);
    }
    let fresh = values.filter(|value| !judge.skips(value, as_of));
    let (pieces, _) = Pieces::collect(fresh.map(|value| Piece {
        frame: value.payload.frame(encoding),
        upto: Upto::Value(value.version),
    }));
    pieces.write(connection, now, written)?;
    Ok(())
}

/// The frames of one write.
struct Pieces<'a>(Vec<Piece<'a>>);

impl<'a> Pieces<'a> {
    /// As many as one write takes, and whether that is all of them.
    fn collect(mut pieces: impl Iterator<Item = Piece<'a>>) -> (Self, bool) {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < WRITE_SLICES_MAX && bytes < WRITE_BYTES_MAX {
            let Some(piece) = pieces.next() else { return (Self(taken), true) };
            bytes += piece.frame.chunked().len();
            taken.push(piece);
        }
        (Self(taken), false)
    }

    /// Writes them at once; what the socket does not take of a frame that it began is kept, the
    /// frames behind it are left to the next pump. Returns whether all were taken.
    fn write(
        self,
        connection: &mut Connection,
        now: Tick,
        written: &mut Written,
    ) -> io::Result<bool> {
        let framing = connection.framing;
        let slices: Vec<IoSlice<'_>> =
            self.0.iter().map(|piece| IoSlice::new(bytes_of(piece.frame, framing))).collect();
        if slices.is_empty() {
            return Ok(true);
        }
        let mut taken = match write_slices(connection, &slices)? {
            0 => {
                self.keep_first(connection);
                return Ok(false);
            }
            taken => taken,
        };
        connection.written_at = now;
        written.bytes += taken as u64;
        for (piece, slice) in self.0.iter().zip(&slices) {
            piece.upto.taken(connection);
            written.events += 1;
            if taken < slice.len() {
                keep(connection, piece.frame, taken);
                return Ok(false);
            }
            taken -= slice.len();
            if taken == 0 {
                break;
            }
        }
        let last = self.0.last().expect("not empty").upto;
        Ok(match last {
            Upto::Entry(offset) => connection.delivery.offset() == offset,
            Upto::Value(version) => connection.delivery.version() == version,
        })
    }

    /// The socket took nothing: the first frame waits for it, so that the connection is woken when
    /// there is room.
    fn keep_first(self, connection: &mut Connection) {
        let first = self.0.first().expect("not empty");
        first.upto.taken(connection);
        keep(connection, first.frame, 0);
    }
}

fn keep(connection: &mut Connection, frame: &Frame, taken: usize) {
    let mut rest = owned(frame, connection.framing);
    rest.advance(taken);
    connection.unwritten = Some(Box::new(rest));
}

/// Writes what an earlier write left; returns whether nothing is left.
fn write_rest(connection: &mut Connection, now: Tick, written: &mut Written) -> io::Result<bool> {
    match connection.socket.flush() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
        flushed => flushed?,
    }
    while let Some(mut rest) = connection.unwritten.take() {
        let taken = write_slices(connection, &[IoSlice::new(&rest)])?;
        rest.advance(taken);
        if taken > 0 {
            connection.written_at = now;
            written.bytes += taken as u64;
        }
        if !rest.is_empty() {
            connection.unwritten = Some(rest);
            if taken == 0 {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Zero says that the socket is full.
fn write_slices(connection: &mut Connection, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        let result = match slices {
            [one] => connection.socket.write(one),
            many => connection.socket.write_vectored(many),
        };
        match result {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Writes what is left of a connection's last words, as far as the socket takes it.
pub(super) fn finish(
    connection: &mut Connection,
    now: Tick,
    written: &mut Written,
) -> io::Result<()> {
    write_rest(connection, now, written).map(|_| ())
}

/// The bytes of a control event on this connection.
pub(super) fn control(connection: &Connection, control: &Control<'_>) -> Bytes {
    let payload = match connection.encoding {
        Encoding::Sse | Encoding::SseRaw => sse::control(control),
        Encoding::Ndjson => ndjson::control(control),
    };
    framed(&payload, connection.framing)
}

/// A payload of this connection alone, framed.
pub(super) fn framed(payload: &[u8], framing: Framing) -> Bytes {
    owned(&Frame::new(payload), framing)
}

fn bytes_of(frame: &Frame, framing: Framing) -> &[u8] {
    match framing {
        Framing::Chunked => frame.chunked(),
        Framing::Plain => frame.payload(),
    }
}

fn owned(frame: &Frame, framing: Framing) -> Bytes {
    match framing {
        Framing::Chunked => frame.chunked().clone(),
        Framing::Plain => frame.payload_bytes(),
    }
}
