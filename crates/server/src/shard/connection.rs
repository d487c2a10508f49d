//! A connection of a shard: a socket, where its subscriber is, and at most one unfinished write.

use std::io::{self, Read};

use bellwire_hub::Delivery;
use bellwire_model::Offset;
use bellwire_model::limits::IDLE_INPUT_BYTES_MAX;
use bytes::Bytes;

use super::socket::Socket;
use crate::clock::Tick;
use crate::frames::Encoding;
use crate::stream_request::Framing;

/// One subscriber's connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) delivery: Delivery,
    pub(super) encoding: Encoding,
    pub(super) framing: Framing,
    /// What it waits for.
    pub(super) mood: Mood,
    /// Bytes that the socket did not take; shared with all who were sent the same.
    pub(super) unwritten: Option<Box<Bytes>>,
    /// Its place among the members of its lane.
    pub(super) place: u32,
    /// When the socket last took a byte.
    pub(super) written_at: Tick,
    /// When the wheel brings it round.
    pub(super) due_at: Tick,
    /// The newest cursor that the client has been told.
    pub(super) told: Offset,
    /// Bytes that the client sent although only the server speaks.
    input_bytes: u32,
}

/// What a connection waits for, if not for its socket or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Calm,
    /// It has more to write than one pump may; its next turn is coming.
    Queued,
    /// It waits for a page of history.
    Waiting,
}

// A connection costs O(1), whatever its lag.
const _: () = assert!(size_of::<Connection>() <= 96);

impl Connection {
    pub(super) fn new(
        socket: Socket,
        delivery: Delivery,
        request: &crate::stream_request::StreamRequest,
        now: Tick,
    ) -> Self {
        Self {
            socket,
            delivery,
            encoding: request.encoding,
            framing: request.framing,
            mood: Mood::Calm,
            unwritten: None,
            place: 0,
            written_at: now,
            due_at: 0,
            told: Offset::ZERO,
            input_bytes: 0,
        }
    }

    /// Whether bytes wait until the socket is writable.
    pub(super) fn is_blocked(&self) -> bool {
        self.unwritten.is_some() || self.socket.holds_bytes()
    }

    /// Reads and drops what the client sends. An error says that the connection has ended, or
    /// that the client sends without end.
    pub(super) fn drop_input(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        loop {
            match self.socket.read(scratch) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.input_bytes = self.input_bytes.saturating_add(read as u32);
                    if self.input_bytes as usize > IDLE_INPUT_BYTES_MAX {
                        return Err(io::ErrorKind::InvalidInput.into());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
