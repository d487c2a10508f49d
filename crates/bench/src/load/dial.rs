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

/// Begins to connect to a server on the loopback interface.
pub(super) fn begin(address: SocketAddr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if address.is_ipv4() {
        bind(&socket)?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        result => result?,
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Gives a socket the next address and port that are free.
fn bind(socket: &Socket) -> Result<()> {
    // The run before may have left connections that wait for their end.
    socket.set_reuse_address(true)?;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let ports = PORTS.end - PORTS.start;
        let port = (PORTS.start + number % ports) as u16;
        let host = Ipv4Addr::new(127, 0, 0, 2 + (number / ports % HOSTS) as u8);
        match socket.bind(&SocketAddr::from((host, port)).into()) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            result => return result,
        }
    }
}
