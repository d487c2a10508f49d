//! The socket that connections come to, and the front door behind it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(target_os = "linux")]
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::StartError;
use crate::config::Config;
use crate::front_door::{self, Door};
use crate::tls::Tls;

/// Connections that the kernel keeps ready for the front door.
const BACKLOG: i32 = 4096;

/// How late a shard may be on a machine that is busy: the kernel, which says nothing, waits for at
/// least so much longer.
#[cfg(target_os = "linux")]
const SHARD_LATE_MAX: Duration = Duration::from_secs(5);

/// Where clients will come to: nobody is let in before it is [opened](Entrance::open).
#[derive(Debug)]
pub(super) struct Entrance {
    socket: Socket,
    kept: KeptDoor,
}

#[derive(Debug)]
enum Socket {
    /// It has its address: whoever comes is refused, as a proxy expects of a node that is not there yet.
    Bound(socket2::Socket, SocketAddr),
    /// It listens: whoever comes waits.
    Listens(TcpListener),
    /// The last server has left it open, at this address.
    Kept(SocketAddr),
}

impl Entrance {
    /// Of a server that stands alone: whoever comes waits until it has started.
    pub(super) fn ajar(config: &Config) -> Result<Self, StartError> {
        let socket = Socket::Listens(listen(config.listen, config)?);
        Ok(Self { socket, kept: KeptDoor::default() })
    }

    /// Of a node among others: there are others to go to until it has started, unless the last server of
    /// this process has just ended.
    pub(super) fn shut(config: &Config, kept: &KeptDoor) -> Result<Self, StartError> {
        let socket = if let Some(socket) = &*kept.socket() {
            Socket::Kept(socket.local_addr()?)
        } else {
            let (socket, address) = bind(config.listen, config)?;
            Socket::Bound(socket, address)
        };
        Ok(Self { socket, kept: kept.clone() })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Bound(_, address) | Socket::Kept(address) => Ok(*address),
            Socket::Listens(socket) => socket.local_addr(),
        }
    }

    pub(super) fn open(self, config: &Config) -> Result<TcpListener, StartError> {
        let Self { socket, kept } = self;
        let mut kept = match &socket {
            Socket::Listens(_) => None,
            Socket::Bound(..) | Socket::Kept(_) => Some(kept.socket()),
        };
        let listener = match socket {
            Socket::Listens(listener) => listener,
            Socket::Bound(socket, address) => begin((socket, address))?,
            // It was closed where this has taken too long.
            Socket::Kept(address) => match kept.as_mut().and_then(|kept| kept.take()) {
                Some(listener) => listener,
                None => listen(address, config)?,
            },
        };
        if let Some(kept) = &mut kept {
            **kept = Some(listener.try_clone()?);
        }
        Ok(listener)
    }
}

/// The socket of a node, for the server that begins anew in its process: while it is kept, whoever comes
/// waits for that. Refused, a proxy would take the node for dead.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptDoor(Arc<Mutex<Option<TcpListener>>>);

impl KeptDoor {
    fn socket(&self) -> MutexGuard<'_, Option<TcpListener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever comes is refused once the server has let go of it, too.
    pub(super) fn close(&self) {
        self.socket().take();
    }
}

/// A socket that listens there.
pub(super) fn listen(address: SocketAddr, config: &Config) -> Result<TcpListener, StartError> {
    begin(bind(address, config)?)
}

fn begin((socket, address): (socket2::Socket, SocketAddr)) -> Result<TcpListener, StartError> {
    socket.listen(BACKLOG).map_err(|source| StartError::Listen { address, source })?;
    Ok(TcpListener::from(socket))
}

/// A socket that has this address.
fn bind(address: SocketAddr, config: &Config) -> Result<(socket2::Socket, SocketAddr), StartError> {
    let bind = || {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        // A restart must not wait for the old connections to time out.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        // Small events must not wait for the acknowledgement of earlier ones. What the listener
        // has, the connections that it accepts have, too.
        socket.set_tcp_nodelay(true)?;
        // Who has vanished without a word acknowledges nothing, and the kernel would try to reach
        // him for a quarter of an hour. Who is there and takes nothing is the shards' to tell, who
        // say so: they come first.
        #[cfg(target_os = "linux")]
        rustix::net::sockopt::set_tcp_user_timeout(
            &socket,
            u32::try_from(vanished_after(config.stall_timeout).as_millis()).unwrap_or(u32::MAX),
        )?;
        let address = socket.local_addr()?.as_socket().unwrap_or(address);
        Ok((socket, address))
    };
    bind().map_err(|source| StartError::Listen { address, source })
}

/// After how long without a word the kernel gives a client up.
#[cfg(target_os = "linux")]
fn vanished_after(stall_timeout: Duration) -> Duration {
    stall_timeout + (stall_timeout / 2).max(SHARD_LATE_MAX)
}

/// Opens the front door, in a runtime of its own.
pub(super) fn open(
    door: Door,
    listener: TcpListener,
    draining: watch::Receiver<bool>,
) -> io::Result<(Runtime, tokio::task::JoinHandle<()>)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(tls) = &door.tls {
        runtime.spawn(Arc::clone(tls).keep_current());
    }
    #[expect(deprecated, reason = "sound for a listener: its descriptor stays the same")]
    let listener = {
        let _context = runtime.enter();
        AsyncFd::new(listener)?
    };
    let accepting = runtime.spawn(front_door::serve(listener, door, draining));
    Ok((runtime, accepting))
}

/// The URL to reach it by.
pub(super) fn url(address: SocketAddr, tls: Option<&Tls>) -> String {
    format!("{}://{address}", if tls.is_some() { "https" } else { "http" })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn config(listen: SocketAddr) -> Config {
        Config { listen, ..Config::default() }
    }

    fn at_any_port() -> Config {
        config("127.0.0.1:0".parse().expect("an address"))
    }

    /// Whoever comes while one server has ended and the next has not begun is that one's.
    #[test]
    fn a_door_that_is_kept_refuses_nobody_until_it_is_closed() {
        let kept = KeptDoor::default();
        let first = Entrance::shut(&at_any_port(), &kept).expect("it has an address");
        let address = first.address().expect("it has one");
        TcpStream::connect(address).expect_err("it has not started");
        let config = config(address);
        drop(first.open(&config).expect("it listens"));

        let client = TcpStream::connect(address).expect("nobody is refused");
        let next = Entrance::shut(&config, &kept).expect("it is there");
        assert_eq!(next.address().expect("the same"), address);
        let (_, from) = next.open(&config).expect("it listens").accept().expect("who waits");
        assert_eq!(from, client.local_addr().expect("it is connected"));

        // It takes too long.
        let last = Entrance::shut(&config, &kept).expect("it is there");
        kept.close();
        TcpStream::connect(address).expect_err("nobody listens");
        let _listener = last.open(&config).expect("it listens again");
        TcpStream::connect(address).expect("nobody is refused");
    }

    #[test]
    fn whoever_comes_early_to_the_only_server_waits() {
        let door = Entrance::ajar(&at_any_port()).expect("it listens");
        let client = TcpStream::connect(door.address().expect("it has one")).expect("it waits");
        let (_, from) = door.open(&at_any_port()).expect("it listens").accept().expect("who waits");
        assert_eq!(from, client.local_addr().expect("it is connected"));
    }

    /// A client that takes nothing is one to the kernel, too: who is first says why it ends.
    #[test]
    fn the_kernel_gives_up_well_after_the_shards() {
        let seconds = Duration::from_secs;
        for (stall, vanished) in [(1, 6), (10, 15), (60, 90), (3_600, 5_400)] {
            assert_eq!(vanished_after(seconds(stall)), seconds(vanished));
        }
    }
}
