//! A connection that one thread uses, one request after the other.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::response::Response;

/// A server that is silent for longer has failed.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A socket that blocks, for as long as [`SILENCE_MAX`].
pub(super) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, SILENCE_MAX)
        .with_context(|| format!("cannot connect to {address}"))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(SILENCE_MAX))?;
    socket.set_write_timeout(Some(SILENCE_MAX))?;
    Ok(socket)
}

/// A connection that is kept alive.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        Ok(Self { socket: connect(address)?, received: Vec::new() })
    }

    /// Sends a request without waiting for its answer.
    pub(super) fn send(&mut self, request: &[u8]) -> Result<()> {
        self.socket.write_all(request).context("cannot send a request")
    }

    /// Waits for the answer; an error unless it is one of success.
    pub(super) fn answer(&mut self) -> Result<()> {
        let mut piece = [0; 4096];
        loop {
            if let Some(response) = Response::parse(&self.received)? {
                let body = String::from_utf8_lossy(response.body(&self.received)).into_owned();
                self.received.drain(..response.bytes());
                let status = response.status;
                ensure!((200..300).contains(&status), "the server answers {status}: {body}");
                return Ok(());
            }
            match self.socket.read(&mut piece).context("no answer")? {
                0 => bail!("the server closed the connection"),
                bytes => self.received.extend_from_slice(&piece[..bytes]),
            }
        }
    }

    /// Sends a request and waits for its success.
    pub(super) fn ask(&mut self, request: &[u8]) -> Result<()> {
        self.send(request)?;
        self.answer()
    }
}
