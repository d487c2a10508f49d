//! A TLS session over a socket that does not block, which holds nothing while it is idle.
//!
//! rustls' buffered interface keeps 4 KiB to read into for as long as a session lasts, which most
//! of them never use again. With the unbuffered one the buffers are ours, and go when they are
//! empty: what stays is keys.
//!
//! Plaintext is taken only while nothing is held back for the peer, one record at a time, so that
//! a byte that was taken is at most one record away from the socket.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use bellwire_model::limits::{TLS_HANDSHAKE_BYTES_MAX, TLS_READS_MAX, TLS_RECORD_BYTES_MAX};
use bytes::{Buf, BytesMut};
use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};

/// Plaintext that one record has at most.
const PLAIN_BYTES_MAX: usize = 16 * 1024;
/// What a record, and a change of keys before it, take beyond the plaintext.
const OVERHEAD_BYTES: usize = 256;
/// What is read at first; of a record that is not complete all the rest is.
const READ_BYTES: usize = 4096;

/// The server's end of a session. The socket is lent to whatever needs it.
pub struct TlsSession {
    connection: UnbufferedServerConnection,
    /// Records of the peer that are not complete.
    received: Vec<u8>,
    /// What the peer has said, and nobody has read.
    unread: BytesMut,
    /// Records for the peer that its socket has not taken.
    unsent: BytesMut,
    has_peer_ended: bool,
    /// What the peer has done is not of the protocol: nothing that it says is looked at any more.
    is_broken: bool,
}

/// What is to be done once what came has been seen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish<'a> {
    Nothing,
    /// Plaintext for the peer, one record of it.
    Say(&'a [u8]),
    /// To tell the peer that nothing follows.
    End,
}

impl TlsSession {
    /// A session whose handshake is to come.
    pub fn new(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self {
            connection: UnbufferedServerConnection::new(config)?,
            received: Vec::new(),
            unread: BytesMut::new(),
            unsent: BytesMut::new(),
            has_peer_ended: false,
            is_broken: false,
        })
    }

    /// The protocol that was agreed on in the handshake.
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// Whether it holds something back for the peer, to be flushed when its socket is writable.
    pub fn holds_bytes(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Bytes that it holds back for the peer.
    pub fn held_bytes(&self) -> usize {
        self.unsent.len()
    }

    /// Whether the peer has said something, or ended, that nobody has read.
    pub fn has_read_ahead(&self) -> bool {
        !self.unread.is_empty() || self.has_peer_ended
    }

    /// Goes on with the handshake until it is done. Where the socket would block,
    /// [`holds_bytes`](Self::holds_bytes) says what is waited for.
    pub fn shake_hands(&mut self, socket: &mut (impl Read + Write)) -> io::Result<()> {
        while self.connection.is_handshaking() {
            self.flush(socket)?;
            let received = self.receive(socket);
            if received.is_err() {
                // An alert says what was wrong.
                let _ = self.flush(socket);
            }
            received?;
        }
        self.flush(socket)
    }

    /// Reads what the peer says. Zero says that it has ended the session in order.
    pub fn read(
        &mut self,
        socket: &mut (impl Read + Write),
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let mut reads = 0;
        while reads < TLS_READS_MAX {
            if !self.unread.is_empty() {
                let count = self.unread.len().min(buffer.len());
                self.unread.copy_to_slice(&mut buffer[..count]);
                if self.unread.is_empty() {
                    self.unread = BytesMut::new();
                }
                return Ok(count);
            }
            if self.has_peer_ended {
                return Ok(0);
            }
            let received = self.receive(socket);
            // An alert, or the answer to a change of keys: what the socket does not take now is
            // written when it is writable.
            let _ = self.flush(socket);
            received?;
            // A record may come in any number of pieces.
            reads += usize::from(self.received.is_empty());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "records without content"))
    }

    /// Takes as many bytes as the socket does, and one full record more at most.
    pub fn write_vectored(
        &mut self,
        socket: &mut impl Write,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        self.flush(socket)?;
        let mut rest = slices.to_vec();
        let mut rest = &mut rest[..];
        let mut taken = 0;
        loop {
            let plain = first_bytes(rest);
            if plain.is_empty() {
                return Ok(taken);
            }
            self.process(Wish::Say(&plain))?;
            let count = plain.len();
            drop(plain);
            taken += count;
            IoSlice::advance_slices(&mut rest, count);
            match self.flush(socket) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(taken),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes what is held back; [`io::ErrorKind::WouldBlock`] says that some of it still is.
    pub fn flush(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match socket.write(&self.unsent) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.unsent.advance(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unsent = BytesMut::new();
        Ok(())
    }

    /// Tells the peer that nothing follows; to be flushed. Once is enough.
    pub fn end(&mut self) {
        // A session that is broken, or not yet one, has no end in order.
        let _ = self.process(Wish::End);
    }

    /// Reads once from the socket, and sees to what has come.
    fn receive(&mut self, socket: &mut impl Read) -> io::Result<()> {
        let held = self.received.len();
        let room = match held {
            0 => READ_BYTES,
            _ if self.connection.is_handshaking() => {
                TLS_RECORD_BYTES_MAX.max(held * 2).min(TLS_HANDSHAKE_BYTES_MAX)
            }
            _ => TLS_RECORD_BYTES_MAX,
        };
        if held >= room {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a record that has no end"));
        }
        self.received.resize(room, 0);
        let read = socket.read(&mut self.received[held..]);
        self.received.truncate(held + *read.as_ref().unwrap_or(&0));
        let processed = match read {
            // To break off is not to end.
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => self.process(Wish::Nothing),
            Err(error) => Err(error),
        };
        if self.received.is_empty() {
            self.received = Vec::new();
        }
        processed
    }

    /// Sees to all that has come, then to the wish.
    fn process(&mut self, mut wish: Wish<'_>) -> io::Result<()> {
        if self.is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut broken = None;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(&mut self.received);
            let mut is_done = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(invalid)?;
                        discard += record.discard;
                        self.unread.extend_from_slice(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.unsent, 0, |room| data.encode(room).map_err(Refusal::from))?;
                }
                // What was encoded goes out before anything else does.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.has_peer_ended = true,
                Ok(ConnectionState::WriteTraffic(mut traffic)) if broken.is_none() => match wish {
                    Wish::Nothing => is_done = true,
                    Wish::Say(plain) => {
                        append(&mut self.unsent, plain.len() + OVERHEAD_BYTES, |room| {
                            traffic.encrypt(plain, room).map_err(Refusal::from)
                        })?;
                        wish = Wish::Nothing;
                    }
                    Wish::End => {
                        append(&mut self.unsent, OVERHEAD_BYTES, |room| {
                            traffic.queue_close_notify(room).map_err(Refusal::from)
                        })?;
                        wish = Wish::Nothing;
                    }
                },
                // The handshake wants more, or both have ended, or it is broken; early data is never
                // accepted.
                Ok(_) => is_done = true,
                // There may be an alert yet to be sent. What came behind it would be a second one.
                Err(error) => {
                    is_done = broken.replace(error).is_some();
                    self.is_broken = true;
                    discard = self.received.len();
                }
            }
            self.received.drain(..discard);
            if is_done {
                break;
            }
        }
        match broken {
            Some(error) => Err(invalid(error)),
            None if wish == Wish::Nothing => Ok(()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys and plaintext are nobody's business.
        f.debug_struct("TlsSession").finish_non_exhaustive()
    }
}

/// What fits into one record: borrowed, where it lies in one piece.
fn first_bytes<'a>(slices: &'a [IoSlice<'_>]) -> Cow<'a, [u8]> {
    let mut slices = slices.iter().filter(|slice| !slice.is_empty());
    let Some(first) = slices.next() else { return Cow::Borrowed(&[]) };
    let first = part_of(first, PLAIN_BYTES_MAX);
    let mut plain = Cow::Borrowed(first);
    for slice in slices {
        let room = PLAIN_BYTES_MAX - plain.len();
        if room == 0 {
            break;
        }
        plain.to_mut().extend_from_slice(part_of(slice, room));
    }
    plain
}

fn part_of<'a>(slice: &'a IoSlice<'_>, bytes_max: usize) -> &'a [u8] {
    &slice[..slice.len().min(bytes_max)]
}

/// Why nothing was encoded.
enum Refusal {
    /// It takes so much room.
    Room(usize),
    Final,
}

impl From<EncodeError> for Refusal {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Self::Room(required_size)
            }
            EncodeError::AlreadyEncoded => Self::Final,
        }
    }
}

impl From<EncryptError> for Refusal {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Self::Room(required_size)
            }
            EncryptError::EncryptExhausted => Self::Final,
        }
    }
}

/// Appends what `encode` writes, in as much room as it wants.
fn append(
    bytes: &mut BytesMut,
    mut room: usize,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, Refusal>,
) -> io::Result<()> {
    let begin = bytes.len();
    loop {
        bytes.resize(begin + room, 0);
        let encoded = encode(&mut bytes[begin..]);
        bytes.truncate(begin + *encoded.as_ref().unwrap_or(&0));
        match encoded {
            Ok(_) => return Ok(()),
            Err(Refusal::Room(required)) if required > room => room = required,
            Err(_) => return Err(io::Error::other("the session's keys are used up")),
        }
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
