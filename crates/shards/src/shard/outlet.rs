//! The outlet of a connection: its socket, the form of what it writes, and at most one unfinished
//! write.

use std::io::{self, IoSlice, Write};

use bellwire_hub::{Delivery, Hub};
use bellwire_journal::Ended;
use bellwire_model::limits::{
    DURABLE_STREAMS_RUN_BYTES_MAX, GZIP_BYTES_MIN, WRITE_BYTES_MAX, WRITE_SLICES_MAX,
};
use bellwire_model::{Closure, Cursor, Offset, Topic};
use bellwire_process::clock::Tick;
use bellwire_wire::Control;
use bellwire_wire::request::RequestId;
use bytes::{Buf, Bytes};

use super::marks::Marks;
use super::segments::{Piece, Segments, Upto};
use super::socket::Socket;
use super::speech::Speech;
use super::work::Work;
use crate::form::{DurableForm, Form};
use crate::frames::Frames;

/// Where the bytes of one connection go.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) socket: Socket,
    /// Bytes that the socket did not take; shared with all who were sent the same.
    unwritten: Option<Box<Bytes>>,
    /// The newest cursor that the client has been told.
    pub(super) told: Offset,
    /// When the socket last took a byte.
    pub(super) written_at: Tick,
    /// When it was opened.
    pub(super) opened_at: Tick,
    /// Bytes that it took, up to what the number holds: a connection is small.
    pub(super) written_bytes: u32,
    pub(super) form: Form,
    flags: Flags,
}

/// What else there is to know of an outlet, in one byte: a connection is small.
#[derive(Clone, Copy, Debug, Default)]
struct Flags(u8);

impl Flags {
    /// The socket is full: it tells when it is writable, and nothing is tried before.
    const FULL: u8 = 1;
    /// What the client is told of where it is among the changes of state topics.
    const MARKED: u8 = 2;
    /// It is owed some of that.
    const OWED: u8 = 4;
    /// The client was told of the end of a topic.
    const PASSED_END: u8 = 8;
    /// The last that there is to say was put.
    const SAID_ALL: u8 = 16;
    /// The client is to be told of state topics that have ended, behind their values.
    const OWED_ENDS: u8 = 32;
    /// The client is to be told where it is, behind what it was given.
    const OWED_PLACE: u8 = 64;
    /// The stream cannot go on as it is: its client has to ask again.
    const BROKEN: u8 = 128;

    fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    fn set(&mut self, flags: u8) {
        self.0 |= flags;
    }

    fn clear(&mut self, flags: u8) {
        self.0 &= !flags;
    }
}

/// When a write happens, and where it is counted.
#[derive(Debug)]
pub(super) struct Account<'a> {
    pub(super) now: Tick,
    pub(super) work: &'a mut Work,
    pub(super) segments: &'a mut Segments,
}

impl Outlet {
    pub(super) fn new(socket: Socket, form: Form, now: Tick) -> Self {
        let (unwritten, told, flags) = (None, Offset::ZERO, Flags::default());
        let (written_at, opened_at, written_bytes) = (now, now, 0);
        Self { socket, unwritten, told, written_at, opened_at, written_bytes, form, flags }
    }

    /// The client is told of where it is, by what is put next.
    pub(super) fn tell(&mut self, hub: &Hub<Frames>, delivery: &Delivery) -> Cursor {
        if self.form.durable().is_some() {
            return self.place(hub, delivery);
        }
        let mut marks = self.marks();
        let cursor = marks.cursor(hub, delivery);
        marks.note_told(cursor);
        self.set_marks(marks);
        self.told = cursor.offset;
        cursor
    }

    /// Where a reader of Durable Streams is: behind the newest of its own events, and not, as others
    /// are, where the whole journal is by now.
    pub(super) fn place(&self, hub: &Hub<Frames>, delivery: &Delivery) -> Cursor {
        Cursor { offset: self.told, ..hub.cursor(delivery) }
    }

    /// The client is to be told where it is before anything else.
    pub(super) fn owe_place(&mut self) {
        self.flags.set(Flags::OWED_PLACE);
    }

    /// Whether that is still to be told. From now on it is not.
    pub(super) fn take_owed_place(&mut self) -> bool {
        let is_owed = self.flags.has(Flags::OWED_PLACE);
        self.flags.clear(Flags::OWED_PLACE);
        is_owed
    }

    /// The stream cannot go on as it is: behind what is written it ends, and its client asks again.
    pub(super) fn note_break(&mut self) {
        self.flags.set(Flags::BROKEN);
    }

    /// Whether that is so.
    pub(super) fn is_broken(&self) -> bool {
        self.flags.has(Flags::BROKEN)
    }

    /// What tells the client that these topics have ended; `id` names the request that it belongs to.
    pub(super) fn tell_ends(
        &mut self,
        ended: &[(Topic, Ended)],
        (cursor, id): (Cursor, Option<&RequestId>),
    ) -> Bytes {
        if ended.is_empty() {
            return Bytes::new();
        }
        self.note_end();
        let end =
            |(topic, _): &(Topic, Ended)| self.form.control(&Control::End { topic, cursor }, id);
        ended.iter().map(end).collect::<Vec<_>>().concat().into()
    }

    /// What the client is told of where it is among the changes of state topics.
    pub(super) fn marks(&self) -> Marks {
        match (self.flags.has(Flags::MARKED), self.flags.has(Flags::OWED)) {
            (false, _) => Marks::Off,
            (true, false) => Marks::Told,
            (true, true) => Marks::Owed,
        }
    }

    pub(super) fn set_marks(&mut self, marks: Marks) {
        self.flags.clear(Flags::MARKED | Flags::OWED);
        self.flags.set(match marks {
            Marks::Off => 0,
            Marks::Told => Flags::MARKED,
            Marks::Owed => Flags::MARKED | Flags::OWED,
        });
    }

    /// The client was told of the end of a topic: it may have been the last that it follows.
    pub(super) fn note_end(&mut self) {
        self.flags.set(Flags::PASSED_END);
    }

    /// Whether it was.
    pub(super) fn has_passed_end(&self) -> bool {
        self.flags.has(Flags::PASSED_END)
    }

    /// State topics had ended when the connection began: that is told behind their values.
    pub(super) fn owe_ends(&mut self) {
        self.flags.set(Flags::OWED_ENDS);
    }

    /// Whether that is still to be told. From now on it is not.
    pub(super) fn take_owed_ends(&mut self) -> bool {
        let is_owed = self.flags.has(Flags::OWED_ENDS);
        self.flags.clear(Flags::OWED_ENDS);
        is_owed
    }

    /// Whether nothing follows what was put.
    pub(super) fn has_said_all(&self) -> bool {
        self.flags.has(Flags::SAID_ALL)
    }

    /// The last bytes, behind which nothing comes.
    pub(super) fn put_last(&mut self, bytes: Bytes) {
        self.put(bytes);
        self.flags.set(Flags::SAID_ALL);
    }

    /// Whether bytes wait until the socket is writable.
    pub(super) fn is_full(&self) -> bool {
        self.flags.has(Flags::FULL)
    }

    /// The socket says that it takes bytes; returns whether that was waited for.
    pub(super) fn on_writable(&mut self) -> bool {
        let was_full = self.is_full();
        self.flags.clear(Flags::FULL);
        was_full
    }

    /// Tries a full socket though it has said nothing; returns whether it takes anything.
    pub(super) fn try_again(&mut self, account: &mut Account<'_>) -> io::Result<bool> {
        self.flags.clear(Flags::FULL);
        let (held, written) = (self.socket.held_bytes(), account.work.written_bytes);
        let is_all = self.flush(account)?;
        Ok(is_all || self.socket.held_bytes() < held || account.work.written_bytes > written)
    }

    /// Bytes that are written before all else.
    pub(super) fn put(&mut self, bytes: Bytes) {
        assert!(self.unwritten.is_none(), "one write is finished before the next");
        self.unwritten = (!bytes.is_empty()).then(|| Box::new(bytes));
    }

    /// Whether a write is to be finished before the next.
    pub(super) fn has_begun(&self) -> bool {
        self.unwritten.is_some()
    }

    /// Bytes that the socket did not take.
    pub(super) fn unwritten(&self) -> Bytes {
        self.unwritten.as_deref().cloned().unwrap_or_default()
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_clear(&self) -> bool {
        self.unwritten.is_none() && !self.socket.holds_bytes()
    }

    /// Writes what an earlier write left; returns whether nothing is left.
    pub(super) fn flush(&mut self, account: &mut Account<'_>) -> io::Result<bool> {
        let held = self.socket.held_bytes();
        let flushed = self.socket.flush();
        if self.socket.held_bytes() < held {
            self.written_at = account.now;
        }
        match flushed {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.flags.set(Flags::FULL);
                return Ok(false);
            }
            flushed => flushed?,
        }
        while let Some(mut rest) = self.unwritten.take() {
            let taken = self.write_slices(&[IoSlice::new(&rest)], account)?;
            rest.advance(taken);
            if !rest.is_empty() {
                self.unwritten = Some(rest);
                if taken == 0 {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Writes as many events as one write takes, and calls `taken` with each that was begun; what
    /// is left of the last of them is kept. Returns whether that was all of them.
    pub(super) fn write<'a>(
        &mut self,
        mut pieces: impl Iterator<Item = Piece<'a>>,
        account: &mut Account<'_>,
        mut taken: impl FnMut(Upto),
    ) -> io::Result<bool> {
        if let Some(form) = self.form.durable() {
            return self.write_durable(form, pieces, account, taken);
        }
        let Some(first) = pieces.next() else { return Ok(true) };
        let Some(second) = pieces.next() else {
            // Mostly there is one, and nothing to be gathered.
            account.work.events += 1;
            return self.write_each(&[first], account, taken);
        };
        let mut batch = vec![first, second];
        let size_bytes = |it: &Piece<'_>| it.frames.size_bytes(self.form, it.mark());
        let mut bytes: usize = batch.iter().map(size_bytes).sum();
        let is_all = loop {
            if batch.len() >= WRITE_SLICES_MAX || bytes >= WRITE_BYTES_MAX {
                break false;
            }
            let Some(piece) = pieces.next() else { break true };
            bytes += size_bytes(&piece);
            batch.push(piece);
        };
        account.work.events += batch.len() as u64;
        if let Some(form) = self.form.gzip().filter(|_| bytes >= GZIP_BYTES_MIN) {
            let segment = account.segments.segment(form, &batch);
            for piece in &batch {
                taken(piece.upto);
            }
            self.put(segment);
            return Ok(self.flush(account)? && is_all);
        }
        Ok(self.write_each(&batch, account, taken)? && is_all)
    }

    /// The same for a reader of Durable Streams: several are one event, behind which it is told where
    /// it is. What says what becomes of the topic has no bytes.
    fn write_durable<'a>(
        &mut self,
        form: DurableForm,
        mut pieces: impl Iterator<Item = Piece<'a>>,
        account: &mut Account<'_>,
        mut taken: impl FnMut(Upto),
    ) -> io::Result<bool> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let is_all = loop {
            let Some(piece) = pieces.next() else { break true };
            bytes += piece.frames.event().size_bytes();
            let is_full = bytes > DURABLE_STREAMS_RUN_BYTES_MAX || batch.len() == WRITE_SLICES_MAX;
            if is_full && !batch.is_empty() {
                break false;
            }
            // What comes behind it may be of another stream.
            let is_reopened = piece.frames.event().closure() == Some(Closure::Reopened);
            batch.push(piece);
            if is_reopened {
                break false;
            }
        };
        if !batch.is_empty() {
            self.owe_place();
        }
        account.work.events += batch.len() as u64;
        if let [piece] = &batch[..]
            && piece.frames.event().body.is_some()
        {
            // Mostly there is one, whose bytes are shared.
            return Ok(self.write_each(&batch, account, taken)? && is_all);
        }
        let bodies = batch.iter().filter_map(|piece| piece.frames.event().body.as_ref());
        let data = form.wrap(&form.payload().data_event(bodies));
        for piece in &batch {
            taken(piece.upto);
        }
        self.put(data);
        Ok(self.flush(account)? && is_all)
    }

    /// Writes these events at once; returns whether all were taken.
    fn write_each<'a>(
        &mut self,
        batch: &[Piece<'a>],
        account: &mut Account<'_>,
        mut taken: impl FnMut(Upto),
    ) -> io::Result<bool> {
        let form = self.form;
        let slice = |piece: &Piece<'a>| IoSlice::new(piece.frames.bytes(form, piece.mark()));
        let (one, many): ([IoSlice<'a>; 1], Vec<IoSlice<'a>>);
        let slices = if let [piece] = batch {
            one = [slice(piece)];
            &one[..]
        } else {
            many = batch.iter().map(slice).collect();
            &many[..]
        };
        let mut rest = self.write_slices(slices, account)?;
        for (index, (piece, slice)) in batch.iter().zip(slices).enumerate() {
            // Of a socket that took nothing the first waits, so that it is woken for it.
            if rest == 0 && index > 0 {
                account.work.events -= (batch.len() - index) as u64;
                return Ok(false);
            }
            taken(piece.upto);
            if rest < slice.len() {
                let mut kept = piece.frames.shared(form, piece.mark());
                kept.advance(rest);
                self.unwritten = Some(Box::new(kept));
                account.work.events -= (batch.len() - index - 1) as u64;
                return Ok(false);
            }
            rest -= slice.len();
        }
        Ok(true)
    }

    /// Zero says that the socket is full.
    fn write_slices(
        &mut self,
        slices: &[IoSlice<'_>],
        account: &mut Account<'_>,
    ) -> io::Result<usize> {
        loop {
            let result = match slices {
                [one] => self.socket.write(one),
                many => self.socket.write_vectored(many),
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    self.written_at = account.now;
                    account.work.written_bytes += taken as u64;
                    self.written_bytes = self.written_bytes.saturating_add(taken as u32);
                    return Ok(taken);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.flags.set(Flags::FULL);
                    return Ok(0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
