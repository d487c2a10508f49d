//! A connection that does not block, with or without TLS.

use std::io::{Error, ErrorKind, Read, Result, Write};

use mio::event::Source;
use mio::net::TcpStream;
use rustls::ClientConnection;

/// Bytes in both directions.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<Session>),
}

/// A socket, and what turns its bytes into others.
#[derive(Debug)]
pub(super) struct Session {
    socket: TcpStream,
    session: ClientConnection,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, session: Option<ClientConnection>) -> Self {
        match session {
            Some(session) => Self::Tls(Box::new(Session { socket, session })),
            None => Self::Plain(socket),
        }
    }

    /// What a poll watches.
    pub(super) fn source(&mut self) -> &mut impl Source {
        self.socket()
    }

    /// What went wrong without anybody asking, such as a connect.
    pub(super) fn error(&mut self) -> Result<Option<Error>> {
        self.socket().take_error()
    }

    fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(session) => &mut session.socket,
        }
    }

    /// Sends all; before the handshake is done, as soon as it is.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Plain(socket) => {
                let sent = socket.write(bytes)?;
                // A socket that is new, or whose peer waits for us, has room for a request.
                if sent < bytes.len() {
                    return Err(Error::other("a socket had no room for a request"));
                }
                Ok(())
            }
            Self::Tls(session) => {
                session.session.writer().write_all(bytes)?;
                session.flush()
            }
        }
    }

    /// Goes on with what could not be sent yet.
    pub(super) fn flush(&mut self) -> Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(session) => session.flush(),
        }
    }

    /// Reads what has come, if anything. 0: the stream has ended.
    pub(super) fn read(&mut self, piece: &mut [u8]) -> Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(piece),
            Self::Tls(session) => session.read(piece),
        }
    }

    /// Whether a read of fewer bytes than it had room for has left nothing to read.
    pub(super) fn is_emptied_by_short_reads(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

impl Session {
    fn read(&mut self, piece: &mut [u8]) -> Result<usize> {
        loop {
            match self.session.reader().read(piece) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            if self.session.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            self.session.process_new_packets().map_err(Error::other)?;
            self.flush()?;
        }
    }

    fn flush(&mut self) -> Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                result => result?,
            };
        }
        Ok(())
    }
}
