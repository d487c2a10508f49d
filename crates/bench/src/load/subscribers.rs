//! Very many subscribers on one thread: a poll, and for each a socket and a few carried bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::connection::SILENCE_MAX;
use super::dial;
use super::marker::{CARRY_BYTES_MAX, Marker};
use super::opening::Opening;
use super::stamp;
use crate::histogram::Histogram;

/// Connections that are on their way at once: fewer than any backlog.
pub(crate) const AT_ONCE: usize = 128;
const EVENTS_PER_POLL: usize = 1024;
const PIECE_BYTES: usize = 64 * 1024;

/// What a subscriber notices.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Heard {
    /// It is live, so long after it began to connect.
    Live { after: Duration },
    /// An event came, so long after it was sent.
    Event { after: Duration },
}

/// What opening subscribers showed.
#[derive(Debug)]
pub(crate) struct Opened {
    /// From the first connect until the last one was live.
    pub(crate) duration: Duration,
    /// From connect to live.
    pub(crate) latency: Histogram,
}

/// Subscribers that begin alike.
#[derive(Debug)]
pub(crate) struct Subscribers {
    poll: Poll,
    events: Events,
    members: Vec<Subscriber>,
    /// Room for what is carried, then for what a read brings.
    piece: Vec<u8>,
    script: Script,
    received_bytes: u64,
}

/// What all of them send and look for.
#[derive(Debug)]
struct Script {
    opening: Opening,
    stamp: Marker,
}

#[derive(Debug)]
struct Subscriber {
    socket: TcpStream,
    began: Instant,
    /// Of the opening; past its last one the subscriber is live.
    step: u8,
    /// Whether what the step sends is still to be sent.
    is_unsent: bool,
    carried: u8,
    carry: [u8; CARRY_BYTES_MAX],
}

impl Subscribers {
    /// Nobody yet.
    pub(crate) fn new(opening: Opening) -> Result<Self> {
        Ok(Self {
            poll: Poll::new().context("the system gives no poll")?,
            events: Events::with_capacity(EVENTS_PER_POLL),
            members: Vec::new(),
            piece: vec![0; CARRY_BYTES_MAX + PIECE_BYTES],
            script: Script { opening, stamp: stamp::marker() },
            received_bytes: 0,
        })
    }

    /// Opens `count` more, `at_once` at a time, and waits until all are live.
    pub(crate) fn open(
        &mut self,
        address: SocketAddr,
        count: usize,
        at_once: usize,
    ) -> Result<Opened> {
        let began = Instant::now();
        let (mut latency, mut heard_at) = (Histogram::new(), began);
        let (mut asked, mut live) = (0, 0);
        while live < count {
            while asked < count.min(live + at_once) {
                self.begin(address)?;
                asked += 1;
            }
            let before = live;
            self.receive(SILENCE_MAX, |_, heard| {
                if let Heard::Live { after } = heard {
                    latency.record(after);
                    live += 1;
                }
            })?;
            if live > before {
                heard_at = Instant::now();
            }
            let is_late = heard_at.elapsed() > SILENCE_MAX;
            ensure!(!is_late, "only {live} of {count} subscribers became live");
        }
        Ok(Opened { duration: began.elapsed(), latency })
    }

    pub(crate) fn count(&self) -> usize {
        self.members.len()
    }

    /// All that came so far.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Every other subscriber reads one byte, which is lost. From now on nobody can read events.
    pub(crate) fn drip(&mut self) {
        for subscriber in self.members.iter_mut().step_by(2) {
            // There may be nothing; and who is this slow may have been cut off.
            let _ = subscriber.socket.read(&mut [0]);
        }
    }

    /// Begins to connect one more.
    pub(crate) fn begin(&mut self, address: SocketAddr) -> Result<()> {
        let began = Instant::now();
        let mut socket =
            dial::begin(address).with_context(|| format!("cannot connect to {address}"))?;
        let token = Token(self.members.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut socket, token, interest)?;
        self.members.push(Subscriber {
            socket,
            began,
            step: 0,
            is_unsent: true,
            carried: 0,
            carry: [0; CARRY_BYTES_MAX],
        });
        Ok(())
    }

    /// Waits once, and reads all that has come. Calls `on` with the number of each subscriber that
    /// notices something.
    pub(crate) fn receive(
        &mut self,
        wait: Duration,
        mut on: impl FnMut(usize, Heard),
    ) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result.context("the poll failed")?,
        }
        for event in &self.events {
            let number = event.token().0;
            let subscriber = &mut self.members[number];
            if subscriber.is_unsent && event.is_writable() {
                subscriber.send(&self.script)?;
            }
            if event.is_readable() {
                let mut on = |heard| on(number, heard);
                while let Some(bytes) = subscriber.read(&self.script, &mut self.piece, &mut on)? {
                    self.received_bytes += bytes as u64;
                    // A read that did not fill the buffer has emptied the socket.
                    if bytes < PIECE_BYTES {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Subscriber {
    /// Sends what the step it is at begins with.
    fn send(&mut self, script: &Script) -> Result<()> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error).context("cannot connect");
        }
        let bytes = script.opening.sent(usize::from(self.step));
        let sent = self.socket.write(bytes).context("cannot ask for a stream")?;
        // A socket that is new, or whose peer waits for us, has room for a request.
        ensure!(sent == bytes.len(), "a socket took {sent} of {} bytes", bytes.len());
        self.is_unsent = false;
        Ok(())
    }

    /// Reads once. Returns how much came; `None` where there is nothing.
    fn read(
        &mut self,
        script: &Script,
        piece: &mut [u8],
        on: &mut impl FnMut(Heard),
    ) -> Result<Option<usize>> {
        let read = match self.socket.read(&mut piece[CARRY_BYTES_MAX..]) {
            Ok(0) => bail!("the server closed a stream"),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error).context("a stream broke"),
        };
        let now = Instant::now();
        // What was carried goes right in front of what was read.
        let start = CARRY_BYTES_MAX - usize::from(self.carried);
        piece[start..CARRY_BYTES_MAX].copy_from_slice(&self.carry[..usize::from(self.carried)]);
        let bytes = &piece[start..CARRY_BYTES_MAX + read];
        let rest = &bytes[self.take(script, bytes, (now, on))?..];
        self.carry[..rest.len()].copy_from_slice(rest);
        self.carried = rest.len() as u8;
        Ok(Some(read))
    }

    /// Looks through what came. Returns how many bytes are done with.
    fn take(
        &mut self,
        script: &Script,
        bytes: &[u8],
        (now, on): (Instant, &mut impl FnMut(Heard)),
    ) -> Result<usize> {
        let mut done = 0;
        while let Some(awaited) = script.opening.awaited(usize::from(self.step)) {
            let Some(end) = awaited.find_end(&bytes[done..]) else {
                return Ok(done + awaited.done_without(&bytes[done..]));
            };
            done += end;
            self.step += 1;
            if script.opening.awaited(usize::from(self.step)).is_some() {
                self.send(script)?;
            } else {
                on(Heard::Live { after: now - self.began });
            }
        }
        let mut is_wrong = false;
        done += script.stamp.scan(&bytes[done..], |digits| match stamp::parse(digits) {
            Some(sent_ns) => on(Heard::Event { after: stamp::since(sent_ns, now) }),
            None => is_wrong = true,
        });
        ensure!(!is_wrong, "an event came back changed");
        Ok(done)
    }
}
