//! A publisher of one topic: the same event again and again, each with its time.

use anyhow::Result;

use super::connection::Connection;
use super::peer::Peer;
use super::stamp::{self, Stamped};

/// A connection, and what it sends.
#[derive(Debug)]
pub(crate) struct Publisher {
    peer: Peer,
    /// Opened with the first event: servers close connections that ask for nothing.
    connection: Option<Connection>,
    publication: Stamped,
}

impl Publisher {
    /// `publication` makes the request that publishes a body.
    pub(crate) fn new(
        peer: &Peer,
        body_bytes: usize,
        publication: impl FnOnce(&str) -> Vec<u8>,
    ) -> Result<Self> {
        let publication = Stamped::new(publication(&stamp::body(body_bytes)?))?;
        Ok(Self { peer: peer.clone(), connection: None, publication })
    }

    /// Publishes one event, and waits until the server has taken it. Returns the answer's body.
    pub(crate) fn publish(&mut self) -> Result<Vec<u8>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::open(&self.peer)?),
        };
        connection.ask(self.publication.now())
    }
}
