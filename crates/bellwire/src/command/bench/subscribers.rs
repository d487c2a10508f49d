//! Very many subscribers on one thread: a poll, and for each a socket and a few carried bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::connection::{SILENCE_MAX, connect};
use super::marker::{CARRY_BYTES_MAX, Marker};
use super::request;

/// Subscribers that connect before the first of them must be live: fewer than any backlog.
const WAVE: usize = 256;
const EVENTS_PER_POLL: usize = 1024;
const PIECE_BYTES: usize = 64 * 1024;

#[derive(Debug)]
struct Subscriber {
    socket: TcpStream,
    carry: [u8; CARRY_BYTES_MAX],
    carried: u8,
}

/// Subscribers of one filter.
#[derive(Debug)]
pub(super) struct Subscribers {
    poll: Poll,
    events: Events,
    members: Vec<Subscriber>,
    /// Room for what is carried, then for what a read brings.
    piece: Vec<u8>,
}

impl Subscribers {
    /// Opens `count` streams and waits until all are live.
    pub(super) fn open(address: SocketAddr, filter: &str, count: usize) -> Result<Self> {
        let mut subscribers = Self {
            poll: Poll::new().context("the system gives no poll")?,
            events: Events::with_capacity(EVENTS_PER_POLL),
            members: Vec::with_capacity(count),
            piece: vec![0; CARRY_BYTES_MAX + PIECE_BYTES],
        };
        let (request, ready) = (request::stream(filter), Marker::new("event: ready\n", 0));
        let mut live = 0;
        while subscribers.members.len() < count {
            let wave = WAVE.min(count - subscribers.members.len());
            for _ in 0..wave {
                subscribers.add(address, &request)?;
            }
            let deadline = Instant::now() + SILENCE_MAX;
            while live < subscribers.members.len() {
                let late = Instant::now() > deadline;
                ensure!(!late, "only {live} of {count} streams became live");
                subscribers.receive(&ready, SILENCE_MAX, |_, _| live += 1)?;
            }
        }
        Ok(subscribers)
    }

    fn add(&mut self, address: SocketAddr, request: &[u8]) -> Result<()> {
        let mut socket = connect(address)?;
        socket.write_all(request).context("cannot ask for a stream")?;
        socket.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(socket);
        let token = Token(self.members.len());
        self.poll.registry().register(&mut socket, token, Interest::READABLE)?;
        self.members.push(Subscriber { socket, carry: [0; CARRY_BYTES_MAX], carried: 0 });
        Ok(())
    }

    /// Waits once, and reads all that has come. Calls `on_value` with the time of the read and
    /// the value of each mark.
    pub(super) fn receive(
        &mut self,
        marker: &Marker,
        wait: Duration,
        mut on_value: impl FnMut(Instant, &[u8]),
    ) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result.context("the poll failed")?,
        }
        for event in &self.events {
            let subscriber = &mut self.members[event.token().0];
            while subscriber.read(marker, &mut self.piece, &mut on_value)? {}
        }
        Ok(())
    }
}

impl Subscriber {
    /// Reads once. Returns whether there may be more.
    fn read(
        &mut self,
        marker: &Marker,
        piece: &mut [u8],
        on_value: &mut impl FnMut(Instant, &[u8]),
    ) -> Result<bool> {
        let read = match self.socket.read(&mut piece[CARRY_BYTES_MAX..]) {
            Ok(0) => bail!("the server closed a stream"),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error).context("a stream broke"),
        };
        let now = Instant::now();
        // What was carried goes right in front of what was read.
        let carried = usize::from(self.carried);
        let start = CARRY_BYTES_MAX - carried;
        piece[start..CARRY_BYTES_MAX].copy_from_slice(&self.carry[..carried]);
        let bytes = &piece[start..CARRY_BYTES_MAX + read];
        let rest = &bytes[marker.scan(bytes, |value| on_value(now, value))..];
        self.carry[..rest.len()].copy_from_slice(rest);
        self.carried = rest.len() as u8;
        // A read that did not fill the buffer has emptied the socket.
        Ok(read == piece.len() - CARRY_BYTES_MAX)
    }
}
