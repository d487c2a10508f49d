//! Connecting very often from one machine.

use std::io::Result;
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::TcpStream;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections from one address. The kernel looks for a free port ever longer once half of an
/// address's ports, some 14,000, are taken.
const PER_ADDRESS: usize = 8000;

/// Begins to connect to a server on the loopback interface. `number` counts the connections of
/// this process: they come from as many addresses of the interface as they need.
pub(super) fn begin(address: SocketAddr, number: usize) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if address.is_ipv4() {
        let host = 2 + (number / PER_ADDRESS % 250) as u8;
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0)).into())?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
            return Err(error);
        }
        _ => {}
    }
    Ok(TcpStream::from_std(socket.into()))
}
