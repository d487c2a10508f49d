//! Requests at a steady rate, each on a connection of its own: who attacks does not wait for what is
//! answered.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::dial::{self, Origin};

/// Requests that are under way at once. Who has as many waits: a server that answers none of them is
/// not to take all ports.
pub(crate) const UNDER_WAY_MAX: usize = 2_048;

const EVENTS_PER_POLL: usize = 1_024;
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// A request without an answer for so long is given up.
const PATIENCE: Duration = Duration::from_secs(10);
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What an answer begins with, in front of its status.
const BEFORE_STATUS: &[u8] = b"HTTP/1.1 ";
const STATUS_DIGITS: usize = 3;
const PIECE_BYTES: usize = 4 * 1024;

/// What became of the requests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) sent: u64,
    /// How often each status came.
    pub(crate) by_status: BTreeMap<u16, u64>,
    /// Closed, reset or given up without an answer.
    pub(crate) unanswered: u64,
}

impl Answers {
    /// Of how many requests the server said that they are wrong.
    pub(crate) fn refused(&self) -> u64 {
        self.by_status.range(400..500).map(|(_, count)| count).sum()
    }

    /// How many were answered with success, which none should be.
    pub(crate) fn successes(&self) -> u64 {
        self.by_status.range(200..300).map(|(_, count)| count).sum()
    }
}

/// A request that is under way.
#[derive(Debug)]
struct Shot {
    socket: TcpStream,
    /// `None` once it is sent.
    request: Option<Vec<u8>>,
    began: Instant,
}

/// Connections that each send one request.
#[derive(Debug)]
pub(crate) struct Volley {
    address: SocketAddr,
    poll: Poll,
    events: Events,
    shots: Slab<Shot>,
    answers: Answers,
}

impl Volley {
    pub(crate) fn new(address: SocketAddr) -> Result<Self> {
        Ok(Self {
            address,
            poll: Poll::new().context("the system gives no poll")?,
            events: Events::with_capacity(EVENTS_PER_POLL),
            shots: Slab::new(),
            answers: Answers::default(),
        })
    }

    /// Sends what `next` gives, so many a second, until `stop` is set.
    pub(crate) fn run(
        mut self,
        rate: f64,
        stop: &AtomicBool,
        mut next: impl FnMut() -> Vec<u8>,
    ) -> Result<Answers> {
        let begin = Instant::now();
        let mut swept = begin;
        while !stop.load(Ordering::Acquire) {
            let due = (begin.elapsed().as_secs_f64() * rate) as u64;
            while self.answers.sent < due && self.shots.len() < UNDER_WAY_MAX {
                self.begin(next())?;
            }
            self.look()?;
            if swept.elapsed() > SWEEP_INTERVAL {
                swept = Instant::now();
                self.give_up();
            }
        }
        Ok(self.answers)
    }

    fn begin(&mut self, request: Vec<u8>) -> Result<()> {
        let address = self.address;
        let mut socket = dial::begin(address, Origin::OneHost)
            .with_context(|| format!("cannot connect to {address}"))?;
        let place = self.shots.vacant_entry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut socket, Token(place.key()), interest)?;
        place.insert(Shot { socket, request: Some(request), began: Instant::now() });
        self.answers.sent += 1;
        Ok(())
    }

    /// Waits a moment, sends what can be sent, and notes what came.
    fn look(&mut self) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(LOOK_INTERVAL)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result.context("the poll failed")?,
        }
        for event in &self.events {
            let number = event.token().0;
            // It may have ended with an event before this one.
            let Some(shot) = self.shots.get_mut(number) else { continue };
            let end = if event.is_writable() { shot.send() } else { None };
            let end = end.or_else(|| event.is_readable().then(|| shot.receive()).flatten());
            if let Some(end) = end {
                self.shots.remove(number);
                self.answers.note(end);
            }
        }
        Ok(())
    }

    fn give_up(&mut self) {
        let before = self.shots.len();
        self.shots.retain(|_, shot| shot.began.elapsed() < PATIENCE);
        self.answers.unanswered += (before - self.shots.len()) as u64;
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Answered(u16),
    Unanswered,
}

impl Answers {
    fn note(&mut self, end: End) {
        match end {
            End::Answered(status) => *self.by_status.entry(status).or_default() += 1,
            End::Unanswered => self.unanswered += 1,
        }
    }
}

impl Shot {
    /// The socket takes bytes; all of a request fits into one that is new.
    fn send(&mut self) -> Option<End> {
        let request = self.request.take()?;
        let is_sent = matches!(self.socket.write(&request), Ok(sent) if sent == request.len());
        (!is_sent).then_some(End::Unanswered)
    }

    /// Something has come, or nothing more will. The beginning of an answer comes in one piece.
    fn receive(&mut self) -> Option<End> {
        let mut piece = [0; PIECE_BYTES];
        let read = match self.socket.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == ErrorKind::Interrupted => return None,
            Err(_) => 0,
            Ok(read) => read,
        };
        let status = piece[..read].strip_prefix(BEFORE_STATUS).and_then(|rest| {
            let digits = std::str::from_utf8(rest.get(..STATUS_DIGITS)?).ok()?;
            digits.parse().ok()
        });
        Some(status.map_or(End::Unanswered, End::Answered))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn every_request_is_accounted_for() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let address = listener.local_addr().expect("has an address");
        let stop = AtomicBool::new(false);
        let answers = thread::scope(|scope| {
            scope.spawn(|| {
                for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 401 No\r\n\r\n", ""] {
                    let (mut socket, _) = listener.accept().expect("comes");
                    let mut request = [0; 5];
                    socket.read_exact(&mut request).expect("asks");
                    assert_eq!(&request, b"wrong");
                    socket.write_all(answer.as_bytes()).expect("listens");
                }
            });
            let (mut volley, mut sent) = (Volley::new(address).expect("a poll"), 0);
            while volley.answers.by_status.len() < 2 || volley.answers.unanswered == 0 {
                if sent < 3 {
                    volley.begin(b"wrong".to_vec()).expect("connects");
                    sent += 1;
                }
                volley.look().expect("goes on");
            }
            // With nothing to send it ends as soon as it is told to.
            stop.store(true, Ordering::Release);
            volley.run(1.0, &stop, || unreachable!("it is over")).expect("ends")
        });
        let by_status = BTreeMap::from([(400, 1), (401, 1)]);
        assert_eq!((answers.refused(), answers.successes()), (2, 0));
        assert_eq!(answers, Answers { sent: 3, by_status, unanswered: 1 });
    }
}
