//! What lies between the handles and the server: a network that can be cut without anybody being told.
//!
//! What is sent meanwhile waits, and arrives when it is mended, as TCP has it: also what nobody waits
//! for any more.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
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

#[derive(Debug, Default)]
struct Network {
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
        let network = Arc::new(Network::default());
        let shared = Arc::clone(&network);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let network = Arc::clone(&shared);
                if network.is(State::Ended) {
                    return;
                }
                thread::spawn(move || network.carry(client, port));
            }
        });
        Self { port: own, network }
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

    fn carry(self: Arc<Self>, client: TcpStream, port: u16) {
        self.wait_until_whole();
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
