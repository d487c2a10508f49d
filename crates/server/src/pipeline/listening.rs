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

/// The socket of a server that may begin anew: it stays, so that whoever comes in between waits for the
/// next one. Refused, a proxy would take the node for dead.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptDoor(Arc<Mutex<Option<TcpListener>>>);

impl KeptDoor {
    fn kept(&self) -> MutexGuard<'_, Option<TcpListener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket that was kept, or the one that `listen` makes, which is kept from now on.
    pub(super) fn open(
        &self,
        listen: impl FnOnce() -> Result<TcpListener, StartError>,
    ) -> Result<TcpListener, StartError> {
        let mut kept = self.kept();
        let socket = match kept.take() {
            Some(socket) => socket,
            None => listen()?,
        };
        Ok(kept.insert(socket).try_clone()?)
    }

    /// Whoever comes is refused once the server has let go of it, too.
    pub(super) fn close(&self) {
        self.kept().take();
    }
}

/// A socket that listens there.
pub(super) fn listen(address: SocketAddr, config: &Config) -> Result<TcpListener, StartError> {
    let listen = || {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        // A restart must not wait for the old connections to time out.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
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
        Ok(TcpListener::from(socket))
    };
    listen().map_err(|source| StartError::Listen { address, source })
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

    /// Whoever comes while one server has ended and the next has not begun is that one's.
    #[test]
    fn a_door_that_is_kept_refuses_nobody() {
        let listen_at = |address: &str| {
            let address = address.parse().expect("an address");
            listen(address, &Config::default())
        };
        let door = KeptDoor::default();
        let before = door.open(|| listen_at("127.0.0.1:0")).expect("it listens");
        let address = before.local_addr().expect("it is bound");
        drop(before);
        let client = TcpStream::connect(address).expect("nobody is refused");
        let after = door.open(|| unreachable!("it is kept")).expect("it is there");
        let (_, from) = after.accept().expect("who waits is accepted");
        assert_eq!(from, client.local_addr().expect("it is connected"));
        door.close();
        drop(after);
        TcpStream::connect(address).expect_err("nobody listens");
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
