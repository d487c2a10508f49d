//! What lies between the handles and the server: a network that can be cut without anybody being told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// A proxy that runs for as long as it is there.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    network: Arc<Network>,
}

#[derive(Debug, Default)]
struct Network {
    /// How often it was cut. Connections of before never come back.
    cuts: AtomicUsize,
    is_cut: AtomicBool,
    has_ended: AtomicBool,
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
                if shared.has_ended.load(Ordering::SeqCst) {
                    return;
                }
                let network = Arc::clone(&shared);
                thread::spawn(move || network.carry(client, port));
            }
        });
        Self { port: own, network }
    }

    pub(crate) fn cut(&self) {
        self.network.is_cut.store(true, Ordering::SeqCst);
        self.network.cuts.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.network.is_cut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.has_ended.store(true, Ordering::SeqCst);
        // So that it looks.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Network {
    fn carry(self: Arc<Self>, client: TcpStream, port: u16) {
        let cuts = self.cuts.load(Ordering::SeqCst);
        if self.is_cut.load(Ordering::SeqCst) {
            swallow(client);
            return;
        }
        // Where nobody listens the client is let go of.
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let network = Arc::clone(&self);
        thread::spawn(move || network.pump(from, to, cuts));
        self.pump(client, server, cuts);
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, cuts: usize) {
        let mut buffer = [0; 16 * 1024];
        loop {
            let count = from.read(&mut buffer).unwrap_or(0);
            if self.cuts.load(Ordering::SeqCst) != cuts {
                // Neither what came nor that it has ended is told.
                return swallow(from);
            }
            if count == 0 || to.write_all(&buffer[..count]).is_err() {
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

/// Reads what comes, until its end.
fn swallow(mut from: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while matches!(from.read(&mut buffer), Ok(1..)) {}
}
