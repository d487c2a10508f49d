//! A proxy between followers and a server, which does to connections what it is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::time::{Instant, sleep_until};

use super::fault::{Fault, FaultKind};

const PIECE_BYTES: usize = 16 * 1024;

/// What is held of a follower while nothing gets through, at most; it says little.
const HELD_BYTES_MAX: usize = 4 * PIECE_BYTES;

/// Faults that a connection has not seen yet, at most: they come seconds apart.
const FAULTS_WAITING_MAX: usize = 64;

/// It ends with this value.
#[derive(Debug)]
pub(super) struct Network {
    address: SocketAddr,
    faults: Option<Sender<Fault>>,
    thread: Option<JoinHandle<()>>,
}

impl Network {
    /// One that leads to the server at this address.
    pub(super) fn start(server: SocketAddr) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .context("the network has no port")?;
        let address = listener.local_addr()?;
        let (faults, told) = broadcast::channel(FAULTS_WAITING_MAX);
        let serve = move || runtime.block_on(serve(&listener, server, told));
        let thread = thread::Builder::new().name("network".into()).spawn(serve)?;
        Ok(Self { address, faults: Some(faults), thread: Some(thread) })
    }

    /// Where followers connect to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins a fault; it ends by itself.
    pub(super) fn suffer(&self, fault: Fault) {
        // Nobody hears it where it ends just now.
        let _ = self.faults.as_ref().map(|faults| faults.send(fault));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.faults = None;
        // What goes wrong in it has shown in what followers got.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Until nobody can tell of faults any more.
async fn serve(listener: &TcpListener, server: SocketAddr, mut told: Receiver<Fault>) {
    let mut away_until = Instant::now();
    let mut stalled_until = away_until;
    loop {
        tokio::select! {
            // Faults first: who connects behind one finds the network as it is then.
            biased;
            fault = told.recv() => match fault {
                Ok(Fault { kind: FaultKind::Away, lasts }) => away_until = Instant::now() + lasts,
                Ok(Fault { kind: FaultKind::Stall, lasts }) => stalled_until = Instant::now() + lasts,
                Err(broadcast::error::RecvError::Closed) => return,
                _ => {}
            },
            accepted = listener.accept() => match accepted {
                Ok((near, _)) if Instant::now() < away_until => abort(&near),
                Ok((near, _)) => {
                    tokio::spawn(carry(near, server, told.resubscribe(), stalled_until));
                }
                // Such as too many open files: the follower tries again.
                Err(_) => sleep_until(Instant::now() + Duration::from_millis(10)).await,
            },
        }
    }
}

/// Carries bytes both ways, until either end or a fault ends it.
async fn carry(
    mut near: TcpStream,
    server: SocketAddr,
    mut told: Receiver<Fault>,
    stalled_until: Instant,
) {
    let Some(held) = hold(&mut near, stalled_until).await else { return };
    let Ok(mut far) = TcpStream::connect(server).await else { return };
    for end in [&near, &far] {
        let _ = end.set_nodelay(true);
    }
    if far.write_all(&held).await.is_err() {
        return;
    }
    let (mut up, mut down) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    let mut is_mute = false;
    loop {
        let written = tokio::select! {
            biased;
            fault = told.recv() => match fault {
                Ok(Fault { kind: FaultKind::Mute, .. }) => {
                    is_mute = true;
                    Ok(())
                }
                Ok(Fault { kind: FaultKind::Stall, lasts }) => {
                    let held = hold(&mut near, Instant::now() + lasts).await;
                    let Some(held) = held else { return };
                    if is_mute { Ok(()) } else { far.write_all(&held).await }
                }
                Ok(Fault { kind: FaultKind::Reset | FaultKind::Away, .. }) => {
                    abort(&near);
                    abort(&far);
                    return;
                }
                Ok(Fault { kind: FaultKind::Cut, .. }) | Err(_) => return,
            },
            read = near.read(&mut up) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) if is_mute => Ok(()),
                Ok(bytes) => far.write_all(&up[..bytes]).await,
            },
            read = far.read(&mut down) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) if is_mute => Ok(()),
                Ok(bytes) => near.write_all(&down[..bytes]).await,
            },
        };
        if written.is_err() {
            return;
        }
    }
}

/// Lets nothing through until then, and returns what came; nothing where the follower has gone. One that
/// is stalled for long comes again and again, and each of these connections would stay.
async fn hold(near: &mut TcpStream, until: Instant) -> Option<Vec<u8>> {
    let (mut held, mut piece) = (Vec::new(), vec![0; PIECE_BYTES]);
    loop {
        tokio::select! {
            () = sleep_until(until) => return Some(held),
            read = near.read(&mut piece), if held.len() < HELD_BYTES_MAX => match read {
                Ok(0) | Err(_) => return None,
                Ok(bytes) => held.extend_from_slice(&piece[..bytes]),
            },
        }
    }
}

/// Has the connection end with a reset once it is dropped.
fn abort(end: &TcpStream) {
    // One that has ended already needs no reset.
    let _ = SockRef::from(end).set_linger(Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net;
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);
    /// For what is not to come.
    const MOMENT: Duration = Duration::from_millis(50);

    /// A server that says what it hears, and a network that leads to it.
    fn echo() -> Network {
        echo_and_ends().0
    }

    /// The same, and whose connections have ended.
    fn echo_and_ends() -> (Network, mpsc::Receiver<()>) {
        let (ended, ends) = mpsc::channel();
        let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let ended = ended.clone();
                thread::spawn(move || {
                    let (mut from, mut to) = (&stream, &stream);
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = ended.send(());
                });
            }
        });
        (Network::start(address).expect("a network"), ends)
    }

    fn connect(network: &Network) -> net::TcpStream {
        let stream = net::TcpStream::connect(network.address()).expect("the network listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// What comes back of a byte: nothing where the connection has ended.
    fn ask(stream: &mut net::TcpStream) -> std::io::Result<usize> {
        stream.write_all(b"x")?;
        stream.read(&mut [0])
    }

    fn lasting(kind: FaultKind, ms: u64) -> Fault {
        Fault { kind, lasts: Duration::from_millis(ms) }
    }

    #[test]
    fn connections_end_as_faults_say_and_new_ones_work() {
        let network = echo();
        for (kind, ends_with) in
            [(FaultKind::Cut, None), (FaultKind::Reset, Some(ErrorKind::ConnectionReset))]
        {
            let mut stream = connect(&network);
            assert_eq!(ask(&mut stream).expect("peace"), 1, "{kind:?}");
            network.suffer(lasting(kind, 0));
            let end = stream.read(&mut [0]);
            assert_eq!(end.as_ref().err().map(std::io::Error::kind), ends_with, "{kind:?}");
            assert_eq!(end.unwrap_or(0), 0, "{kind:?}");
            assert_eq!(ask(&mut connect(&network)).expect("a new one"), 1, "{kind:?}");
        }
    }

    #[test]
    fn a_mute_connection_stays_open_and_a_stalled_one_goes_on() {
        let network = echo();
        let mut mute = connect(&network);
        assert_eq!(ask(&mut mute).expect("peace"), 1);
        network.suffer(lasting(FaultKind::Mute, 0));
        // The one that connects behind the fault is told of nothing.
        let mut new = connect(&network);
        assert_eq!(ask(&mut new).expect("a new one"), 1);
        mute.set_read_timeout(Some(MOMENT)).expect("a timeout");
        assert_eq!(ask(&mut mute).expect_err("mute").kind(), ErrorKind::WouldBlock);
        network.suffer(lasting(FaultKind::Stall, 100));
        assert_eq!(ask(&mut new).expect("it goes on"), 1);
        assert_eq!(ask(&mut connect(&network)).expect("and so do new ones"), 1);
    }

    #[test]
    fn a_connection_that_is_given_up_while_it_is_stalled_does_not_stay() {
        let (network, ends) = echo_and_ends();
        let mut stream = connect(&network);
        assert_eq!(ask(&mut stream).expect("peace"), 1);
        network.suffer(lasting(FaultKind::Stall, 3_600_000));
        // One that finds the network so knows that the fault is there.
        let mut new = connect(&network);
        new.set_read_timeout(Some(MOMENT)).expect("a timeout");
        assert!(ask(&mut new).is_err());
        drop(stream);
        ends.recv_timeout(PATIENCE).expect("the server's side has ended");
    }

    #[test]
    fn nobody_connects_while_it_is_away() {
        let network = echo();
        let mut stream = connect(&network);
        assert_eq!(ask(&mut stream).expect("peace"), 1);
        network.suffer(lasting(FaultKind::Away, 200));
        assert!(stream.read(&mut [0]).is_err());
        let mut refused = 0;
        // Each is a connection that was taken and aborted, until one is not.
        while ask(&mut connect(&network)).unwrap_or(0) == 0 {
            refused += 1;
        }
        assert!(refused > 0);
    }
}
