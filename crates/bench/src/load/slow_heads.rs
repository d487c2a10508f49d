//! Connections whose requests never end: a byte now and then, as an attacker sends them who wants to
//! hold as much of a server as possible with as little as possible.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::dial::{self, Origin};
use super::subscribers::AT_ONCE;

const EVENTS_PER_POLL: usize = 1_024;
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// What each sends, byte by byte; then more of its last header.
const HEAD: &[u8] = b"GET /v1/events?topic=bench HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
const MORE: u8 = b'a';

/// What they saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slowness {
    /// How often the server ended one of them, which then came again.
    pub(crate) ended: u64,
    pub(crate) sent_bytes: u64,
}

#[derive(Debug)]
struct Slow {
    socket: TcpStream,
    sent: usize,
}

/// All of them, on one thread.
#[derive(Debug)]
pub(crate) struct SlowHeads {
    address: SocketAddr,
    poll: Poll,
    events: Events,
    members: Vec<Slow>,
    /// Whose turn it is to send a byte.
    next: usize,
    slowness: Slowness,
}

impl SlowHeads {
    pub(crate) fn new(address: SocketAddr) -> Result<Self> {
        Ok(Self {
            address,
            poll: Poll::new().context("the system gives no poll")?,
            events: Events::with_capacity(EVENTS_PER_POLL),
            members: Vec::new(),
            next: 0,
            slowness: Slowness::default(),
        })
    }

    /// Opens so many, and keeps all of them open until `stop` is set: each sends a byte in each
    /// `interval`. Sets `are_there` once the last of them has connected.
    pub(crate) fn run(
        mut self,
        (count, interval): (usize, Duration),
        are_there: &AtomicBool,
        stop: &AtomicBool,
    ) -> Result<Slowness> {
        let begin = Instant::now();
        let rate = count as f64 / interval.as_secs_f64();
        let mut turns = 0;
        while !stop.load(Ordering::Acquire) {
            let at_once = (count - self.members.len()).min(AT_ONCE);
            for number in self.members.len()..self.members.len() + at_once {
                let socket = self.connect(number)?;
                self.members.push(Slow { socket, sent: 0 });
            }
            self.look()?;
            if self.members.len() == count {
                are_there.store(true, Ordering::Release);
            }
            let due = (begin.elapsed().as_secs_f64() * rate) as u64;
            // Who has fallen behind does not make up for it at once.
            turns = turns.max(due.saturating_sub(self.members.len() as u64));
            while turns < due {
                turns += 1;
                self.drip()?;
            }
        }
        Ok(self.slowness)
    }

    fn connect(&self, number: usize) -> Result<TcpStream> {
        let address = self.address;
        let mut socket = dial::begin(address, Origin::OneHost)
            .with_context(|| format!("cannot connect to {address}"))?;
        self.poll.registry().register(&mut socket, Token(number), Interest::READABLE)?;
        Ok(socket)
    }

    /// Waits a moment. Those that were ended come again.
    fn look(&mut self) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(LOOK_INTERVAL)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result.context("the poll failed")?,
        }
        let readable: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        for number in readable {
            match self.members[number].socket.read(&mut [0; 1024]) {
                // The server says why; its end comes behind that.
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => self.begin_again(number)?,
            }
        }
        Ok(())
    }

    fn begin_again(&mut self, number: usize) -> Result<()> {
        let socket = self.connect(number)?;
        self.members[number] = Slow { socket, sent: 0 };
        self.slowness.ended += 1;
        Ok(())
    }

    /// The next of them sends a byte.
    fn drip(&mut self) -> Result<()> {
        let number = self.next % self.members.len().max(1);
        self.next = number + 1;
        let Some(slow) = self.members.get_mut(number) else { return Ok(()) };
        let byte = HEAD.get(slow.sent).copied().unwrap_or(MORE);
        match slow.socket.write(&[byte]) {
            Ok(sent) => {
                slow.sent += sent;
                self.slowness.sent_bytes += sent as u64;
                Ok(())
            }
            // It has yet to connect.
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) =>
            {
                Ok(())
            }
            Err(_) => self.begin_again(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn who_is_ended_comes_again_and_begins_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let address = listener.local_addr().expect("has an address");
        let (are_there, stop) = (AtomicBool::new(false), AtomicBool::new(false));
        let slowness = thread::scope(|scope| {
            let slow = SlowHeads::new(address).expect("a poll");
            let pace = (1, Duration::from_millis(1));
            let (are_there, stop) = (&are_there, &stop);
            let slow = scope.spawn(move || slow.run(pace, are_there, stop));
            for _ in 0..3 {
                let (mut socket, _) = listener.accept().expect("comes");
                let mut head = [0; 6];
                for byte in &mut head {
                    socket.read_exact(std::slice::from_mut(byte)).expect("goes on");
                }
                assert_eq!(&head, b"GET /v");
            }
            let _last = listener.accept().expect("comes once more");
            stop.store(true, Ordering::Release);
            slow.join().expect("does not panic")
        });
        let Slowness { ended, sent_bytes } = slowness.expect("runs");
        assert!(ended == 3 && sent_bytes >= 18, "{ended} {sent_bytes}");
        assert!(are_there.into_inner());
    }
}
