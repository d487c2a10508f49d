//! Where a server listens, and whether it speaks TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// A server that is silent for longer has failed.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The name that certificates are made for.
const NAME: &str = "localhost";

/// A server as clients see it.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// What to trust; `None`: no TLS.
    pub(crate) trust: Option<Arc<ClientConfig>>,
}

/// A connection that blocks.
pub(super) trait Duplex: Read + Write + Send {}

impl<T: Read + Write + Send> Duplex for T {}

impl Peer {
    /// A connection that blocks, for as long as [`SILENCE_MAX`].
    pub(super) fn connect(&self) -> Result<Box<dyn Duplex>> {
        let socket = TcpStream::connect_timeout(&self.address, SILENCE_MAX)
            .with_context(|| format!("cannot connect to {}", self.address))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE_MAX))?;
        socket.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(match self.session()? {
            Some(session) => Box::new(StreamOwned::new(session, socket)),
            None => Box::new(socket),
        })
    }

    /// The client's side of a TLS session that has yet to begin.
    pub(super) fn session(&self) -> Result<Option<ClientConnection>> {
        let begin = |trust: &Arc<ClientConfig>| {
            let name = ServerName::try_from(NAME).expect("a name");
            ClientConnection::new(Arc::clone(trust), name).context("cannot begin a TLS session")
        };
        self.trust.as_ref().map(begin).transpose()
    }
}
