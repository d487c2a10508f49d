//! What the server decides of clients.

use std::any::Any;
use std::fmt;
use std::io;
use std::net::{IpAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;

use bellwire_access::Identity;
use bellwire_ingest::mqtt::packet::Reason;

/// What a client shows of who it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credential {
    /// The user.
    pub username: Option<Box<str>>,
    /// The password: a user's, an API key, or a token.
    pub password: Option<Box<[u8]>>,
}

/// Says nothing of the secret.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

/// Somebody who may come in.
pub struct Admitted {
    /// Who it is, and what they may.
    pub identity: Arc<Identity>,
    /// Their place, until this is dropped.
    pub place: Option<Box<dyn Any + Send>>,
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted")
            .field("subject", &self.identity.subject())
            .finish_non_exhaustive()
    }
}

/// Who it is, waited for.
pub type Identified = Pin<Box<dyn Future<Output = Result<Admitted, Reason>> + Send>>;

/// Who may come in.
pub trait Gate: Send + Sync + fmt::Debug {
    /// Who shows this, and may send samples.
    fn identify(&self, credential: Credential, address: IpAddr) -> Identified;

    /// Whether what somebody has shown counts still.
    fn counts(&self, identity: &Identity) -> bool;

    /// So many connections there are now.
    fn has_clients(&self, count: u64);
}

/// A connection that is accepted, and encrypted where that is configured.
pub struct Arrival {
    /// The socket, which does not block.
    pub socket: TcpStream,
    /// The session above it.
    pub session: Option<Box<dyn SecureSession>>,
    /// Where it comes from.
    pub address: IpAddr,
    /// Its place among all connections, until this is dropped.
    pub place: Box<dyn Any + Send>,
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A TLS session whose handshake is done, over a socket that does not block.
pub trait SecureSession: Send {
    /// Reads what the peer says; zero says that it has ended in order.
    fn read(&mut self, socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize>;

    /// Takes bytes for the peer, as many as it says.
    fn write(&mut self, socket: &TcpStream, bytes: &[u8]) -> io::Result<usize>;

    /// Writes what is held back.
    fn flush(&mut self, socket: &TcpStream) -> io::Result<()>;
}
