//! Publishers in a closed loop on one thread: each sends its request again once it is answered.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use memchr::memmem::Finder;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::dial::{self, Origin};
use super::peer::SILENCE_MAX;
use super::response::Response;
use crate::histogram::Histogram;

const EVENTS_PER_POLL: usize = 256;
const PIECE_BYTES: usize = 64 * 1024;
const BUSY: u16 = 503;

/// What became of the requests.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) acknowledged_events: u64,
    pub(crate) refused_requests: u64,
    /// From the first byte sent to the last one received.
    pub(crate) request: Histogram,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { acknowledged_events: 0, refused_requests: 0, request: Histogram::new() }
    }
}

#[derive(Debug)]
struct Publisher {
    socket: TcpStream,
    request: Vec<u8>,
    /// Bytes of the request that the socket has taken.
    sent: usize,
    sent_at: Instant,
    received: Vec<u8>,
}

/// Publishers, each with a connection of its own.
#[derive(Debug)]
pub(crate) struct Publishers {
    poll: Poll,
    events: Events,
    members: Vec<Publisher>,
    piece: Vec<u8>,
    /// Stands once in an answer for every event that was taken.
    acknowledgement: Finder<'static>,
}

impl Publishers {
    /// Connects; nothing is sent yet.
    pub(crate) fn open(address: SocketAddr, requests: Vec<Vec<u8>>) -> Result<Self> {
        let poll = Poll::new().context("the system gives no poll")?;
        let mut members = Vec::with_capacity(requests.len());
        for request in requests {
            let mut socket = dial::begin(address, Origin::OneHost)
                .with_context(|| format!("cannot connect to {address}"))?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut socket, Token(members.len()), interest)?;
            let sent_at = Instant::now();
            members.push(Publisher { socket, request, sent: 0, sent_at, received: Vec::new() });
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_POLL),
            members,
            piece: vec![0; PIECE_BYTES],
            acknowledgement: Finder::new("\"cursor\""),
        })
    }

    /// Publishes for a while; requests under way at its end are left to the next call.
    pub(crate) fn run(&mut self, duration: Duration, tally: &mut Tally) -> Result<()> {
        let end = Instant::now() + duration;
        let mut heard_at = Instant::now();
        while Instant::now() < end {
            match self.poll.poll(&mut self.events, Some(end - Instant::now().min(end))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result.context("the poll failed")?,
            }
            for event in &self.events {
                heard_at = Instant::now();
                let publisher = &mut self.members[event.token().0];
                if event.is_readable() {
                    publisher.receive(&mut self.piece, &self.acknowledgement, tally)?;
                }
                publisher.send()?;
            }
            if heard_at.elapsed() > SILENCE_MAX {
                bail!("the server has not answered for {} s", SILENCE_MAX.as_secs());
            }
        }
        // A server that has fallen silent answers these late, or never.
        let under_way = self.members.iter().filter(|publisher| publisher.sent > 0);
        let oldest = under_way.map(|publisher| publisher.sent_at.elapsed()).max();
        tally.request.reach(oldest.unwrap_or_default());
        Ok(())
    }
}

impl Publisher {
    /// Sends what the socket takes of the request that is under way.
    fn send(&mut self) -> Result<()> {
        if self.sent == 0 {
            self.sent_at = Instant::now();
        }
        while self.sent < self.request.len() {
            match self.socket.write(&self.request[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot send a request"),
            }
        }
        Ok(())
    }

    /// Reads what has come. After a whole answer the next request is to be sent.
    fn receive(
        &mut self,
        piece: &mut [u8],
        acknowledgement: &Finder<'_>,
        tally: &mut Tally,
    ) -> Result<()> {
        loop {
            let read = match self.socket.read(piece) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("a connection broke"),
            };
            self.received.extend_from_slice(&piece[..read]);
            if let Some(response) = Response::parse(&self.received)? {
                let body = response.body(&self.received);
                match response.status {
                    200..300 => {
                        let events = acknowledgement.find_iter(body).count();
                        tally.acknowledged_events += events as u64;
                        tally.request.record(self.sent_at.elapsed());
                    }
                    BUSY => tally.refused_requests += 1,
                    status => bail!("answer {status}: {}", String::from_utf8_lossy(body)),
                }
                self.received.drain(..response.bytes());
                self.sent = 0;
            }
            if read < piece.len() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_that_answers_nobody_is_slow() {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = silent.local_addr().expect("bound");
        let mut publishers = Publishers::open(address, vec![b"x".to_vec()]).expect("a connection");
        let mut tally = Tally::new();
        publishers.run(Duration::from_secs(1), &mut tally).expect("it is short");
        assert_eq!(tally.request.count(), 0);
        assert!(tally.request.max_ms() > 0.0);
    }
}
