//! The outlet of a connection: its socket, the form of what it writes, and at most one unfinished
//! write.

use std::io::{self, IoSlice, Write};

use bellwire_model::Offset;
use bellwire_model::limits::{GZIP_BYTES_MIN, WRITE_BYTES_MAX, WRITE_SLICES_MAX};
use bellwire_process::clock::Tick;
use bytes::{Buf, Bytes};

use super::segments::{Piece, Segments, Upto};
use super::socket::Socket;
use super::work::Work;
use crate::form::Form;

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
    pub(super) form: Form,
    /// The socket is full: it tells when it is writable, and nothing is tried before.
    is_full: bool,
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
        let (unwritten, told) = (None, Offset::ZERO);
        Self { socket, unwritten, told, written_at: now, form, is_full: false }
    }

    /// Whether bytes wait until the socket is writable.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The socket says that it takes bytes; returns whether that was waited for.
    pub(super) fn on_writable(&mut self) -> bool {
        std::mem::replace(&mut self.is_full, false)
    }

    /// Tries a full socket though it has said nothing; returns whether it takes anything.
    pub(super) fn try_again(&mut self, account: &mut Account<'_>) -> io::Result<bool> {
        self.is_full = false;
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
                self.is_full = true;
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
        let Some(first) = pieces.next() else { return Ok(true) };
        let Some(second) = pieces.next() else {
            // Mostly there is one, and nothing to be gathered.
            account.work.events += 1;
            return self.write_each(&[first], account, taken);
        };
        let mut batch = vec![first, second];
        let mut bytes: usize = batch.iter().map(|it| it.frames.size_bytes(self.form)).sum();
        let is_all = loop {
            if batch.len() >= WRITE_SLICES_MAX || bytes >= WRITE_BYTES_MAX {
                break false;
            }
            let Some(piece) = pieces.next() else { break true };
            bytes += piece.frames.size_bytes(self.form);
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

    /// Writes these events at once; returns whether all were taken.
    fn write_each<'a>(
        &mut self,
        batch: &[Piece<'a>],
        account: &mut Account<'_>,
        mut taken: impl FnMut(Upto),
    ) -> io::Result<bool> {
        let form = self.form;
        let slice = |piece: &Piece<'a>| IoSlice::new(piece.frames.bytes(form));
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
                let mut kept = piece.frames.shared(form);
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
                    return Ok(taken);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_full = true;
                    return Ok(0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
