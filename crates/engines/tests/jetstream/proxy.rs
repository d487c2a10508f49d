//! A network between handles and a server, which can be cut without a word.
//!
//! What was sent before it is mended arrives then, as it does in networks that send again what was lost.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// How much is carried at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// The network.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    is_cut: bool,
    target: u16,
    has_ended: bool,
    sockets: Vec<TcpStream>,
}

impl Proxy {
    pub(crate) fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { target, ..State::default() };
        let proxy = Self { port, state: Arc::new((Mutex::new(state), Condvar::new())) };
        let accepting = proxy.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if accepting.state.0.lock().unwrap().has_ended {
                    return;
                }
                let proxy = accepting.clone();
                thread::spawn(move || proxy.carry(socket));
            }
        });
        proxy
    }

    pub(crate) fn address(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where new connections go.
    pub(crate) fn lead_to(&self, target: u16) {
        self.state.0.lock().unwrap().target = target;
    }

    /// Lets nothing through from now on.
    pub(crate) fn cut(&self) {
        self.state.0.lock().unwrap().is_cut = true;
    }

    /// Lets through what has been held back, and everything else.
    pub(crate) fn mend(&self) {
        self.state.0.lock().unwrap().is_cut = false;
        self.state.1.notify_all();
    }

    /// Ends all connections; no more come through.
    pub(crate) fn end(&self) {
        let mut state = self.state.0.lock().unwrap();
        state.has_ended = true;
        for socket in state.sockets.drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.state.1.notify_all();
        drop(state);
        // The listener looks once more.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }

    /// Waits until the network is whole; returns where new connections go.
    fn passed(&self) -> u16 {
        let mut state = self.state.0.lock().unwrap();
        while state.is_cut && !state.has_ended {
            state = self.state.1.wait(state).unwrap();
        }
        state.target
    }

    fn carry(&self, client: TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.passed())) else { return };
        for socket in [&client, &server] {
            socket.set_nodelay(true).unwrap();
            self.state.0.lock().unwrap().sockets.push(socket.try_clone().unwrap());
        }
        let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let proxy = self.clone();
        thread::spawn(move || proxy.pump(back.0, back.1));
        self.pump(client, server);
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = from.read(&mut chunk).unwrap_or(0);
            self.passed();
            if read == 0 || to.write_all(&chunk[..read]).is_err() {
                // An end is news as well, which the other side gets when the network is whole.
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}
