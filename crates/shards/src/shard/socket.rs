//! What a shard writes to: a TCP socket, TLS over one, or one end of a socket pair whose other end
//! is carried elsewhere. A long poll has a collector in its place.
//!
//! What [TLS](crate::tls) holds back is written before anything else.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use bellwire_wire::problem::Problem;
use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::collector::Collector;
use super::speech;
use crate::stream_request::StreamRequest;
use crate::tls::TlsSession;

/// A connection's bytes, both ways. Never blocks.
#[derive(Debug)]
pub enum Socket {
    /// Plain TCP.
    Tcp(TcpStream),
    /// One end of a pair. Whoever has the other end has written the response's head.
    Pair(UnixStream),
    /// TLS over TCP. Boxed: most connections should not pay for its size.
    Tls(Box<TlsSocket>),
    /// None: what a long poll is answered with. Nothing is written to it, nor read.
    Collector(Box<Collector>),
}

// It is part of every connection.
const _: () = assert!(size_of::<Socket>() <= 16);

impl Socket {
    /// TLS over a socket, whose handshake is done. The socket does not block.
    pub fn tls(socket: TcpStream, session: TlsSession) -> Self {
        Self::Tls(Box::new(TlsSocket { socket, session }))
    }

    pub(super) fn is_pair(&self) -> bool {
        matches!(self, Self::Pair(_))
    }

    pub(super) fn collector(&self) -> Option<&Collector> {
        match self {
            Self::Collector(collector) => Some(collector),
            Self::Tcp(_) | Self::Pair(_) | Self::Tls(_) => None,
        }
    }

    pub(super) fn collector_mut(&mut self) -> Option<&mut Collector> {
        match self {
            Self::Collector(collector) => Some(collector),
            Self::Tcp(_) | Self::Pair(_) | Self::Tls(_) => None,
        }
    }

    pub(super) fn register(&self, registry: &Registry, token: mio::Token) -> io::Result<()> {
        let Some(descriptor) = self.descriptor() else { return Ok(()) };
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut SourceFd(&descriptor), token, interest)
    }

    /// The address of the peer, where it has one of its own.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.peer_addr().ok(),
            Self::Tls(tls) => tls.socket.peer_addr().ok(),
            Self::Pair(_) | Self::Collector(_) => None,
        }
    }

    fn descriptor(&self) -> Option<RawFd> {
        Some(match self {
            Self::Tcp(socket) => socket.as_raw_fd(),
            Self::Pair(socket) => socket.as_raw_fd(),
            Self::Tls(tls) => tls.socket.as_raw_fd(),
            Self::Collector(_) => return None,
        })
    }

    /// Bytes that it has taken and holds back: it wants to be flushed when it is writable.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Tcp(_) | Self::Pair(_) | Self::Collector(_) => 0,
            Self::Tls(tls) => tls.session.held_bytes(),
        }
    }

    pub(super) fn holds_bytes(&self) -> bool {
        self.held_bytes() > 0
    }

    /// Whether it has taken in what nobody has read, of which the descriptor shows nothing.
    pub(super) fn has_read_ahead(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Pair(_) | Self::Collector(_) => false,
            Self::Tls(tls) => tls.session.has_read_ahead(),
        }
    }

    /// Tells the peer that nothing follows.
    pub(super) fn end(&mut self) {
        // Where that fails the connection has ended already.
        let _ = match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Self::Pair(socket) => socket.shutdown(Shutdown::Write),
            Self::Tls(tls) => {
                tls.session.end();
                // Who does not take it sees the connection end.
                let _ = tls.session.flush(&mut tls.socket);
                tls.socket.shutdown(Shutdown::Write)
            }
            Self::Collector(_) => Ok(()),
        };
    }

    /// Answers a request that no shard can take. The end of a pair stays silent: its other end
    /// answers.
    pub fn refuse(&mut self, request: &StreamRequest, problem: &Problem) {
        match self {
            Self::Pair(_) => {}
            Self::Collector(collector) => collector.refuse(problem),
            Self::Tcp(_) | Self::Tls(_) => {
                // A new socket's buffer takes so little at once; who does not read it is told
                // nothing.
                let _ = self.write(&speech::refusal_response(request, problem));
                self.end();
            }
        }
    }
}

impl From<TcpStream> for Socket {
    /// The socket does not block.
    fn from(socket: TcpStream) -> Self {
        Self::Tcp(socket)
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Pair(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.session.read(&mut tls.socket, buffer),
            Self::Collector(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Pair(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.session.write_vectored(&mut tls.socket, &[IoSlice::new(bytes)]),
            Self::Collector(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write_vectored(slices),
            Self::Pair(socket) => socket.write_vectored(slices),
            Self::Tls(tls) => tls.session.write_vectored(&mut tls.socket, slices),
            Self::Collector(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Writes what is held back; [`io::ErrorKind::WouldBlock`] says that some of it still is.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(_) | Self::Pair(_) | Self::Collector(_) => Ok(()),
            Self::Tls(tls) => tls.session.flush(&mut tls.socket),
        }
    }
}

/// A TLS session and the socket below it.
#[derive(Debug)]
pub struct TlsSocket {
    socket: TcpStream,
    session: TlsSession,
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

    use super::*;

    pub(in crate::shard) type Client = StreamOwned<ClientConnection, TcpStream>;

    /// A session whose handshake is done, and its client, which blocks.
    pub(in crate::shard) fn tls_pair() -> (Socket, Client) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let certificate = made.cert.der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let client_config =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let name = "localhost".try_into().unwrap();
        let session = ClientConnection::new(Arc::new(client_config), name).unwrap();
        let mut client = StreamOwned::new(session, client);
        let greeting = std::thread::spawn(move || {
            client.conn.complete_io(&mut client.sock).unwrap();
            client
        });
        let mut session = TlsSession::new(Arc::new(config)).unwrap();
        session.shake_hands(&mut server).unwrap();
        server.set_nonblocking(true).unwrap();
        (Socket::tls(server, session), greeting.join().unwrap())
    }

    fn would_block<T: std::fmt::Debug>(result: &io::Result<T>) -> bool {
        result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    #[test]
    fn a_full_tls_socket_takes_nothing_until_what_it_holds_is_out() {
        let (mut socket, mut client) = tls_pair();
        let block = vec![7; 50_000];
        let slices = [IoSlice::new(&block), IoSlice::new(&block[..1])];
        let mut taken = 0;
        let blocked = loop {
            match socket.write_vectored(&slices) {
                Ok(count) => taken += count,
                Err(error) => break Err::<usize, _>(error),
            }
        };
        assert!(would_block(&blocked), "{blocked:?}");
        assert!(socket.holds_bytes());
        assert!(would_block(&socket.flush()));

        let mut read = 0;
        let mut buffer = vec![0; 65_536];
        while read < taken {
            read += client.read(&mut buffer).unwrap();
            let flushed = socket.flush();
            assert!(flushed.is_ok() || would_block(&flushed), "{flushed:?}");
        }
        assert_eq!(read, taken, "what was taken arrives, and nothing else");
        assert!(!socket.holds_bytes());
        assert_eq!(socket.write(b"on").unwrap(), 2);
    }

    #[test]
    fn both_ends_of_a_session_can_end_it_in_order() {
        let (mut socket, mut client) = tls_pair();
        let mut buffer = [0; 16];
        assert!(would_block(&socket.read(&mut buffer)));
        client.write_all(b"hello").unwrap();
        client.conn.send_close_notify();
        client.flush().unwrap();
        let mut input = Vec::new();
        loop {
            match socket.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => input.extend_from_slice(&buffer[..count]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert_eq!(input, b"hello");
        socket.end();
        assert_eq!(client.read(&mut buffer).unwrap(), 0, "an end in order is no error");
    }
}
