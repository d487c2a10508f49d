//! Very many subscribers on one thread, around one poll.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mio::{Events, Interest, Poll, Token};

use super::dial::{self, Origin};
use super::opening::Opening;
use super::peer::{Peer, SILENCE_MAX};
use super::stream::Stream;
use super::subscriber::{Heard, Script, Subscriber};
use crate::histogram::Histogram;

/// Connections that are on their way at once: fewer than any backlog.
pub(crate) const AT_ONCE: usize = 128;
const EVENTS_PER_POLL: usize = 1024;

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
    /// Where they go, in turns.
    peers: Vec<Peer>,
    origin: Origin,
    script: Script,
    poll: Poll,
    events: Events,
    members: Vec<Subscriber>,
    received_bytes: u64,
}

impl Subscribers {
    /// Nobody yet.
    pub(crate) fn new(peer: &Peer, opening: Opening) -> Result<Self> {
        Ok(Self {
            peers: vec![peer.clone()],
            origin: Origin::default(),
            script: Script::new(opening),
            poll: Poll::new().context("the system gives no poll")?,
            events: Events::with_capacity(EVENTS_PER_POLL),
            members: Vec::new(),
            received_bytes: 0,
        })
    }

    /// The same from elsewhere.
    pub(crate) fn from(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// The same, spread over these in turns.
    pub(crate) fn spread_over(self, peers: Vec<Peer>) -> Self {
        Self { peers, ..self }
    }

    /// Opens `count` more, `at_once` at a time, and waits until all are live.
    pub(crate) fn open(&mut self, count: usize, at_once: usize) -> Result<Opened> {
        let began = Instant::now();
        let (mut latency, mut heard_at) = (Histogram::new(), began);
        let (mut asked, mut live) = (0, 0);
        while live < count {
            while asked < count.min(live + at_once) {
                self.begin()?;
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

    /// All that came so far, without what TLS adds.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// All that was sent since each was live.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.members.iter().map(Subscriber::sent_bytes).sum()
    }

    /// Every other subscriber reads one byte, which is lost. From now on nobody can read events.
    pub(crate) fn drip(&mut self) {
        for subscriber in self.members.iter_mut().step_by(2) {
            subscriber.drip();
        }
    }

    /// Begins to connect one more.
    pub(crate) fn begin(&mut self) -> Result<()> {
        let began = Instant::now();
        let peer = &self.peers[self.members.len() % self.peers.len()];
        let address = peer.address;
        let socket = dial::begin(address, self.origin)
            .with_context(|| format!("cannot connect to {address}"))?;
        let mut stream = Stream::new(socket, peer.session()?);
        let token = Token(self.members.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(stream.source(), token, interest)?;
        self.members.push(Subscriber::new(stream, began));
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
            if event.is_writable() {
                subscriber.on_writable(&self.script)?;
            }
            if event.is_readable() {
                let mut on = |heard| on(number, heard);
                self.received_bytes += subscriber.on_readable(&mut self.script, &mut on)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use bellwire_wire::ws::{self, Opcode};

    use super::super::{request, stamp};
    use super::*;

    /// A frame with an event, and its request as the generator would send it.
    fn event() -> Vec<u8> {
        let mut stamped = stamp::Stamped::new(stamp::body(64).expect("long enough").into_bytes());
        let body = stamped.as_mut().expect("has a place").now().to_vec();
        ws::frame(Opcode::Text, &body).to_vec()
    }

    #[test]
    fn a_web_socket_is_opened_read_and_kept_alive() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let address = listener.local_addr().expect("has an address");
        let opening = Opening::web_socket(request::upgrade("/", None)).then("hello", "welcome");
        let peer = Peer { address, trust: None };
        let mut subscribers = Subscribers::new(&peer, opening).expect("a poll");
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("comes");
            let mut received = [0; 1024];
            let bytes = socket.read(&mut received).expect("asks");
            assert!(received[..bytes].ends_with(b"\r\n\r\n"));
            let mut first = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
            first.extend_from_slice(&ws::frame(Opcode::Text, b"not yet"));
            socket.write_all(&first).expect("reads");
            let bytes = socket.read(&mut received).expect("says hello");
            assert_eq!(received[1], 0x80 | 5, "a masked text: {:?}", &received[..bytes]);
            // Frames are cut anywhere.
            let mut rest = ws::frame(Opcode::Text, b"welcome").to_vec();
            rest.extend([event(), ws::ping(b"there?").to_vec(), event()].concat());
            for piece in rest.chunks(7) {
                socket.write_all(piece).expect("reads");
            }
            let bytes = socket.read(&mut received).expect("answers");
            assert_eq!((received[0], bytes), (0x8a, 2 + 4 + 6), "a pong");
            socket
        });
        subscribers.begin().expect("connects");
        let (mut live, mut events) = (0, 0);
        while (live, events) != (1, 2) {
            let count = |_, heard| match heard {
                Heard::Live { .. } => live += 1,
                Heard::Event { .. } => events += 1,
            };
            subscribers.receive(SILENCE_MAX, count).expect("goes on");
        }
        server.join().expect("the server saw what it expected");
    }

    #[test]
    fn who_is_spread_over_several_servers_goes_to_each_in_turn() {
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("listens"));
        let peer = |listener: &TcpListener| Peer {
            address: listener.local_addr().expect("has an address"),
            trust: None,
        };
        let peers: Vec<Peer> = listeners.iter().map(peer).collect();
        // Each takes two, and nobody more.
        for listener in listeners {
            thread::spawn(move || {
                let serve = |()| {
                    let (mut socket, _) = listener.accept().expect("comes");
                    socket.read_exact(&mut [0; 16]).expect("asks");
                    socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("reads");
                    socket
                };
                let sockets = [(); 2].map(serve);
                drop(listener);
                // They stay open.
                thread::park();
                drop(sockets);
            });
        }
        let opening = Opening::until_answered(request::get("/"));
        let subscribers = Subscribers::new(&peers[0], opening).expect("a poll");
        let mut subscribers = subscribers.spread_over(peers);
        let opened = subscribers.open(6, 1).expect("each is taken");
        assert_eq!(opened.latency.count(), 6);
    }

    #[test]
    fn a_refusal_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let address = listener.local_addr().expect("has an address");
        let peer = Peer { address, trust: None };
        let opening = Opening::new(request::get("/"), "ready");
        let mut subscribers = Subscribers::new(&peer, opening).expect("a poll");
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("comes");
            socket.read_exact(&mut [0; 16]).expect("asks");
            socket.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").expect("reads");
        });
        let error = subscribers.open(1, AT_ONCE).expect_err("is refused").to_string();
        assert!(error.contains("404 Not Found"), "{error}");
    }

    #[test]
    fn who_polls_asks_again_behind_what_it_got() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let address = listener.local_addr().expect("has an address");
        let peer = Peer { address, trust: None };
        let opening = Opening::poll("/v1/events?topic=a".into());
        let mut subscribers = Subscribers::new(&peer, opening).expect("a poll");
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("comes");
            let mut received = [0; 1024];
            let mut stamped =
                stamp::Stamped::new(stamp::body(64).expect("long enough").into_bytes());
            for (cursor, has_event) in [("e1-1", false), ("e1-2", true)] {
                let bytes = socket.read(&mut received).expect("asks");
                let asked = String::from_utf8_lossy(&received[..bytes]).into_owned();
                assert_eq!(asked.contains("&after=e1-1&wait=60s"), has_event, "{asked}");
                let data = stamped.as_mut().expect("has a place").now();
                let event = format!(
                    r#"{{"topic":"a","cursor":"e1-0","data":{}}}"#,
                    String::from_utf8_lossy(data)
                );
                let events = if has_event { event } else { String::new() };
                let body = format!(r#"{{"events":[{events}],"cursor":"{cursor}"}}"#);
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                // Answers are cut anywhere.
                for piece in answer.as_bytes().chunks(50) {
                    socket.write_all(piece).expect("reads");
                }
            }
            let bytes = socket.read(&mut received).expect("asks again");
            assert!(String::from_utf8_lossy(&received[..bytes]).contains("&after=e1-2&"));
            socket
        });
        subscribers.begin().expect("connects");
        let (mut live, mut events) = (0, 0);
        while (live, events) != (1, 1) {
            let count = |_, heard| match heard {
                Heard::Live { .. } => live += 1,
                Heard::Event { .. } => events += 1,
            };
            subscribers.receive(SILENCE_MAX, count).expect("goes on");
        }
        server.join().expect("the server saw what it expected");
        assert!(subscribers.sent_bytes() > 0);
    }
}
