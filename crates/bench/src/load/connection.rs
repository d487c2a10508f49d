//! A connection that one thread uses, one request after the other.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::response::Response;

/// A server that is silent for longer has failed.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A socket that blocks, for as long as [`SILENCE_MAX`].
pub(crate) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, SILENCE_MAX)
        .with_context(|| format!("cannot connect to {address}"))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(SILENCE_MAX))?;
    socket.set_write_timeout(Some(SILENCE_MAX))?;
    Ok(socket)
}

/// A connection that is kept alive.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        Ok(Self { socket: connect(address)?, received: Vec::new() })
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<()> {
        self.socket.write_all(request).context("cannot send a request")
    }

    /// Waits for the answer, and returns its body; an error unless it is one of success.
    pub(crate) fn answer(&mut self) -> Result<Vec<u8>> {
        let mut piece = [0; 4096];
        loop {
            if let Some(response) = Response::parse(&self.received)? {
                let body = response.body(&self.received).to_vec();
                self.received.drain(..response.bytes());
                let status = response.status;
                ensure!(
                    (200..300).contains(&status),
                    "the server answers {status}: {}",
                    String::from_utf8_lossy(&body)
                );
                return Ok(body);
            }
            match self.socket.read(&mut piece).context("no answer")? {
                0 => bail!("the server closed the connection"),
                bytes => self.received.extend_from_slice(&piece[..bytes]),
            }
        }
    }

    /// Sends a request and waits for its success.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        self.send(request)?;
        self.answer()
    }
}
