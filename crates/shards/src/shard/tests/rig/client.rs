//! The other end of a connection.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use super::super::super::Socket;

/// A client, and a shard's end of its connection.
pub(super) fn pair() -> (Client, Socket) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    for end in [&ours, &theirs] {
        end.set_nonblocking(true).expect("an option");
    }
    (Client { socket: ours, unsent: Vec::new(), taken: Vec::new() }, Socket::Pair(theirs))
}

/// The other end of a connection.
pub(in super::super) struct Client {
    socket: UnixStream,
    unsent: Vec<u8>,
    taken: Vec<u8>,
}

impl Client {
    /// Sends more of what the socket had no room for.
    pub(in super::super) fn send_on(clients: &mut [Self]) {
        for client in clients {
            client.send(b"");
        }
    }

    /// Sends as much as the socket takes; the rest with the next bytes.
    pub(in super::super) fn send(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Whether all was sent.
    pub(in super::super) fn has_sent(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Takes no more than so many bytes.
    pub(in super::super) fn take_some(&mut self, bytes: usize) {
        let mut buffer = vec![0; bytes];
        match self.socket.read(&mut buffer) {
            Ok(read) => self.taken.extend_from_slice(&buffer[..read]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }

    /// Takes what has come, of so many bytes. Returns whether more may come.
    pub(in super::super) fn take_into(&mut self, taken: &mut Vec<u8>, bytes_max: usize) -> bool {
        let mut buffer = vec![0; bytes_max.min(65_536)];
        let upto = taken.len() + bytes_max;
        while taken.len() < upto {
            let bytes = buffer.len().min(upto - taken.len());
            match self.socket.read(&mut buffer[..bytes]) {
                Ok(0) => return false,
                Ok(read) => taken.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("{error}"),
            }
        }
        true
    }

    /// All that has come so far.
    pub(in super::super) fn take(&mut self) -> String {
        let mut buffer = vec![0; 65_536];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => self.taken.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        String::from_utf8_lossy(&self.taken).into_owned()
    }

    /// How often a text has come so far.
    pub(in super::super) fn count(&mut self, text: &str) -> usize {
        self.take().matches(text).count()
    }
}
