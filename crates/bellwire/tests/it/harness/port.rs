//! Ports that stay a test's own: between the end of a server and its next start nobody else gets
//! its port from the system.

use std::net::SocketAddr;

use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};

/// An address of this machine, held for as long as this is there. Nobody listens at it but who is
/// told of it; until then connections are refused.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    _holder: OwnedFd,
}

impl Port {
    pub(crate) fn new() -> Self {
        let holder = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        // So may a listener that says the same bind beside it.
        sockopt::set_socket_reuseaddr(&holder, true).expect("an option");
        bind(&holder, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let address = getsockname(&holder).expect("an address").try_into();
        Self { address: address.expect("of the internet"), _holder: holder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
