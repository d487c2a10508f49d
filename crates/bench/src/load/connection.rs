//! A connection that one thread uses, one request after the other.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};

use super::peer::{Duplex, Peer};
use super::response::Response;

/// A connection that is kept alive.
pub(crate) struct Connection {
    stream: Box<dyn Duplex>,
    received: Vec<u8>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn open(peer: &Peer) -> Result<Self> {
        Ok(Self { stream: peer.connect()?, received: Vec::new() })
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).context("cannot send a request")
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
            match self.stream.read(&mut piece).context("no answer")? {
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
