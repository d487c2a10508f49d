//! A connection as the front door has it: plain, or TLS whose handshake is done.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bellwire_shards::Socket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::secure::Secure;
use crate::tls::Tls;

/// The first byte of a TLS handshake; no request begins with it.
pub(super) const TLS_HANDSHAKE: u8 = 0x16;

/// Whose request it is, as far as its address tells: where the connection comes from, or behind a
/// trusted proxy the client. Found among the extensions of each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<Secure>),
}

impl Stream {
    /// Shakes hands.
    pub(super) async fn secure(stream: TcpStream, tls: &Tls) -> io::Result<Self> {
        Ok(Self::Tls(Box::new(Secure::accept(stream, tls.config()).await?)))
    }

    /// Whether the client has chosen HTTP/2 in its handshake.
    pub(super) fn has_chosen_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.alpn_protocol() == Some(b"h2"),
        }
    }

    /// For a shard.
    pub(super) fn into_socket(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Plain(stream) => stream.into_std()?.into(),
            Self::Tls(stream) => {
                let (stream, session) = stream.into_parts();
                Socket::tls(stream.into_std()?, session)
            }
        })
    }

    fn io(&mut self) -> Pin<&mut dyn ReadWrite> {
        match self {
            Self::Plain(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(&mut **stream),
        }
    }
}

/// Both directions in one trait, to be named behind a pointer.
trait ReadWrite: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> ReadWrite for T {}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io().poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(context)
    }
}
