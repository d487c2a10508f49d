//! Connecting very often from one machine.

use std::io::{ErrorKind, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use mio::net::TcpStream;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

/// Ports that connections come from: the kernel gives none of them by itself. Left to itself it
/// looks ever longer for a free one, a millisecond each beyond half of its range.
const PORTS: Range<u32> = 10_000..32_000;

/// Addresses of the loopback interface, from `127.0.0.2` on: each has all ports.
const HOSTS: u32 = 200;

/// Counts all connections of this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where connections come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// One address, until it has no more ports.
    #[default]
    OneHost,
    /// All addresses in turns, as very many clients would.
    AllHosts,
}

impl Origin {
    /// The address and port of the connection with this number.
    fn place(self, number: u32) -> SocketAddr {
        let ports = PORTS.end - PORTS.start;
        let (port, host) = match self {
            Self::OneHost => (number % ports, number / ports % HOSTS),
            Self::AllHosts => (number / HOSTS % ports, number % HOSTS),
        };
        let host = Ipv4Addr::new(127, 0, 0, 2 + host as u8);
        SocketAddr::from((host, (PORTS.start + port) as u16))
    }
}

/// Begins to connect to a server on the loopback interface.
pub(crate) fn begin(address: SocketAddr, origin: Origin) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if address.is_ipv4() {
        bind(&socket, origin)?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        result => result?,
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Gives a socket the next address and port that are free.
fn bind(socket: &Socket, origin: Origin) -> Result<()> {
    // The run before may have left connections that wait for their end.
    socket.set_reuse_address(true)?;
    loop {
        let place = origin.place(NEXT.fetch_add(1, Ordering::Relaxed));
        match socket.bind(&place.into()) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_connections_come_from_one_place() {
        for (origin, hosts) in [(Origin::OneHost, 1), (Origin::AllHosts, HOSTS as usize)] {
            let places: BTreeSet<_> = (0..10_000).map(|number| origin.place(number)).collect();
            assert_eq!(places.len(), 10_000);
            let addresses: BTreeSet<_> = places.iter().map(SocketAddr::ip).collect();
            assert_eq!(addresses.len(), hosts);
        }
    }
}
