//! What lies between the handles and the server: a network that can be cut without anybody being told.
//!
//! What is sent meanwhile waits, and arrives when it is mended, as TCP has it: also what nobody waits
//! for any more.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// How many bytes are carried at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A proxy that runs for as long as it is there.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    network: Arc<Network>,
}

#[derive(Debug)]
struct Network {
    /// Where new connections lead.
    port: AtomicU16,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Whole,
    Cut,
    Ended,
}

impl Proxy {
    /// Begins to lead to what listens at `port`.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let (state, changed) = (Mutex::default(), Condvar::new());
        let network = Arc::new(Network { port: AtomicU16::new(port), state, changed });
        let shared = Arc::clone(&network);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let network = Arc::clone(&shared);
                if network.is(State::Ended) {
                    return;
                }
                thread::spawn(move || network.carry(client));
            }
        });
        Self { port: own, network }
    }

    /// Leads new connections to what listens at another port. Those that there are stay.
    pub(crate) fn lead_to(&self, port: u16) {
        self.network.port.store(port, Ordering::Relaxed);
    }

    pub(crate) fn cut(&self) {
        self.network.set(State::Cut);
    }

    pub(crate) fn mend(&self) {
        self.network.set(State::Whole);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.set(State::Ended);
        // So that it looks.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Network {
    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    fn is(&self, state: State) -> bool {
        *self.state.lock().unwrap() == state
    }

    fn wait_until_whole(&self) {
        let mut state = self.state.lock().unwrap();
        while *state == State::Cut {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn carry(self: Arc<Self>, client: TcpStream) {
        self.wait_until_whole();
        let port = self.port.load(Ordering::Relaxed);
        // Where nobody listens the client is let go of.
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let network = Arc::clone(&self);
        thread::spawn(move || network.pump(from, to));
        self.pump(client, server);
    }

    /// Carries what comes, and that nothing more comes.
    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let count = from.read(&mut piece).unwrap_or(0);
            self.wait_until_whole();
            if count == 0 || to.write_all(&piece[..count]).is_err() {
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}
