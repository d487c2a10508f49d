//! Publishers in a closed loop on one thread: each has so many requests under way, and sends its request
//! again whenever one is answered.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bellwire_wire::ws::{Compression, Decoder, Inflater, Input, Received, Role};
use memchr::memmem::{self, Finder};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::dial::{self, Origin};
use super::numbers::Numbers;
use super::peer::SILENCE_MAX;
use super::response::Response;
use crate::histogram::Histogram;

const EVENTS_PER_POLL: usize = 256;
const PIECE_BYTES: usize = 64 * 1024;
/// Of a problem over HTTP, and of a WebSocket's reply: nothing of the request was taken.
const BUSY_CODE: &str = "publishers_busy";
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What became of the requests.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) acknowledged_events: u64,
    pub(crate) refused_requests: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) received_bytes: u64,
    /// From the first byte sent to the last one received.
    pub(crate) request: Histogram,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            acknowledged_events: 0,
            refused_requests: 0,
            sent_bytes: 0,
            received_bytes: 0,
            request: Histogram::new(),
        }
    }
}

/// What a publisher says.
#[derive(Debug)]
pub(crate) struct Publication {
    /// What it asks for a WebSocket with, where it speaks over one.
    upgrade: Option<Vec<u8>>,
    /// What it sends again and again.
    request: Vec<u8>,
    numbers: Option<Numbers>,
    /// Requests that it has under way at once.
    in_flight: usize,
}

impl Publication {
    /// Requests of HTTP, each once the one before is answered.
    pub(crate) fn http(request: Vec<u8>) -> Self {
        Self { upgrade: None, request, numbers: None, in_flight: 1 }
    }

    /// Frames of a WebSocket that this asks for, so many without an answer at once.
    pub(crate) fn web_socket(upgrade: Vec<u8>, frame: Vec<u8>, in_flight: usize) -> Self {
        Self { upgrade: Some(upgrade), request: frame, numbers: None, in_flight }
    }

    /// Has each event with a [member](super::numbers::MEMBER) for it say its number, from 1 on. What it
    /// sends ends with this payload, masked with these bytes; an event that is refused is sent again.
    pub(crate) fn numbered(self, payload: &[u8], mask: [u8; 4]) -> Self {
        Self { numbers: Some(Numbers::of(&self.request, payload, mask)), ..self }
    }
}

#[derive(Debug)]
struct Publisher {
    socket: TcpStream,
    /// It has asked for a WebSocket, and has none yet.
    is_upgrading: bool,
    /// What reads the frames of a WebSocket.
    decoder: Option<Decoder>,
    request: Vec<u8>,
    numbers: Option<Numbers>,
    in_flight: usize,
    /// When each request that is under way was, in their order.
    asked: VecDeque<Instant>,
    /// Of these, what the socket has not taken yet.
    unsent: Vec<u8>,
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
    pub(crate) fn open(address: SocketAddr, publications: Vec<Publication>) -> Result<Self> {
        let poll = Poll::new().context("the system gives no poll")?;
        let mut members = Vec::with_capacity(publications.len());
        for Publication { upgrade, request, numbers, in_flight } in publications {
            let mut socket = dial::begin(address, Origin::OneHost)
                .with_context(|| format!("cannot connect to {address}"))?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut socket, Token(members.len()), interest)?;
            let decoder = upgrade.as_ref().map(|_| Decoder::new(Role::Client, Compression::Off));
            // The handshake is what is sent first, and no request.
            let unsent = upgrade.clone().unwrap_or_default();
            members.push(Publisher {
                socket,
                is_upgrading: upgrade.is_some(),
                decoder,
                request,
                numbers,
                in_flight,
                asked: VecDeque::new(),
                unsent,
                received: Vec::new(),
            });
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
            let patience = end - Instant::now().min(end);
            self.turn((patience, true), &mut heard_at, tally)?;
        }
        // A server that has fallen silent answers these late, or never.
        let under_way = self.members.iter().filter_map(|publisher| publisher.asked.front());
        let oldest = under_way.map(Instant::elapsed).max();
        tally.request.reach(oldest.unwrap_or_default());
        Ok(())
    }

    /// Sends nothing new, and waits for the answers that are under way.
    pub(crate) fn finish(&mut self, tally: &mut Tally) -> Result<()> {
        let mut heard_at = Instant::now();
        while self.members.iter().any(|publisher| !publisher.asked.is_empty()) {
            self.turn((SILENCE_MAX, false), &mut heard_at, tally)?;
        }
        Ok(())
    }

    /// The number of the newest event of each that was acknowledged, where they are numbered.
    pub(crate) fn last_numbers(&self) -> Vec<u64> {
        let numbers = self.members.iter().filter_map(|publisher| publisher.numbers.as_ref());
        numbers.map(Numbers::last).collect()
    }

    /// Waits so long for what happens: takes what has come, and has more asked where that is to be.
    fn turn(
        &mut self,
        (patience, asks): (Duration, bool),
        heard_at: &mut Instant,
        tally: &mut Tally,
    ) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result.context("the poll failed")?,
        }
        for event in &self.events {
            *heard_at = Instant::now();
            let publisher = &mut self.members[event.token().0];
            if event.is_readable() {
                publisher.receive(&mut self.piece, &self.acknowledgement, tally)?;
            }
            if asks {
                publisher.ask();
            }
            // The socket may have had no room for the rest of it.
            publisher.send(tally)?;
        }
        if heard_at.elapsed() > SILENCE_MAX {
            bail!("the server has not answered for {} s", SILENCE_MAX.as_secs());
        }
        Ok(())
    }
}

impl Publisher {
    /// Asks for as much as may be under way.
    fn ask(&mut self) {
        if self.is_upgrading {
            return;
        }
        while self.asked.len() < self.in_flight {
            if let Some(numbers) = &self.numbers {
                numbers.write(&mut self.request, self.asked.len());
            }
            self.asked.push_back(Instant::now());
            self.unsent.extend_from_slice(&self.request);
        }
    }

    /// Sends what the socket takes of what was asked.
    fn send(&mut self, tally: &mut Tally) -> Result<()> {
        let mut sent = 0;
        while sent < self.unsent.len() {
            match self.socket.write(&self.unsent[sent..]) {
                Ok(bytes) => sent += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot send a request"),
            }
        }
        tally.sent_bytes += sent as u64;
        self.unsent.drain(..sent);
        Ok(())
    }

    /// Reads what has come.
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
            tally.received_bytes += read as u64;
            self.received.extend_from_slice(&piece[..read]);
            if self.decoder.is_some() {
                self.receive_frames(acknowledgement, tally)?;
            } else if let Some(response) = Response::parse(&self.received)? {
                let body = response.body(&self.received);
                match response.status {
                    200..300 => {
                        let events = acknowledgement.find_iter(body).count();
                        self.acknowledged(events, tally)?;
                    }
                    _ if memmem::find(body, BUSY_CODE.as_bytes()).is_some() => {
                        self.refused(tally)?;
                    }
                    status => bail!("answer {status}: {}", String::from_utf8_lossy(body)),
                }
                self.received.drain(..response.bytes());
            }
            if read < piece.len() {
                return Ok(());
            }
        }
    }

    /// The same over a WebSocket. Its pings need no answer: each request is a sign of life.
    fn receive_frames(&mut self, acknowledgement: &Finder<'_>, tally: &mut Tally) -> Result<()> {
        if self.is_upgrading {
            let Some(end) = memmem::find(&self.received, HEAD_END) else { return Ok(()) };
            let is_taken = self.received.starts_with(b"HTTP/1.1 101 ");
            ensure!(is_taken, "no WebSocket: {}", String::from_utf8_lossy(&self.received));
            self.received.drain(..end + HEAD_END.len());
            self.is_upgrading = false;
        }
        let Some(mut decoder) = self.decoder.take() else { return Ok(()) };
        let mut received = std::mem::take(&mut self.received);
        let (mut input, mut inflater) = (Input::new(&mut received), Inflater::default());
        while let Some(said) = decoder.next(&mut input, &mut inflater)? {
            let Received::Text(text) = said else { continue };
            // It follows nothing, and is told now and then where that goes on: no reply, but a cursor.
            if text.contains("\"control\"") {
                continue;
            }
            match acknowledgement.find(text.as_bytes()) {
                Some(_) => self.acknowledged(1, tally)?,
                None if text.contains(BUSY_CODE) => self.refused(tally)?,
                None => bail!("the reply is {text}"),
            }
        }
        self.decoder = Some(decoder);
        Ok(())
    }

    /// The request that was made first, of those under way, was acknowledged with so many events.
    fn acknowledged(&mut self, events: usize, tally: &mut Tally) -> Result<()> {
        let asked =
            self.asked.pop_front().context("there is an answer that nobody has asked for")?;
        if let Some(numbers) = &mut self.numbers {
            let sent = numbers.count();
            ensure!(events == sent, "{events} of the {sent} events of a request were acknowledged");
            numbers.advance();
        }
        tally.acknowledged_events += events as u64;
        tally.request.record(asked.elapsed());
        Ok(())
    }

    /// The same was refused, as there was no room for it.
    fn refused(&mut self, tally: &mut Tally) -> Result<()> {
        // What was asked behind it may be taken, with the numbers that come next.
        let is_known = self.in_flight == 1 || self.numbers.is_none();
        ensure!(is_known, "there is no room for so many events under way: have fewer of them");
        self.asked.pop_front().context("there is an answer that nobody has asked for")?;
        tally.refused_requests += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use bellwire_wire::ws::{self, Opcode};

    use super::super::numbers;
    use super::*;

    #[test]
    fn a_server_that_answers_nobody_is_slow() {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = silent.local_addr().expect("bound");
        let publications = vec![Publication::http(b"x".to_vec())];
        let mut publishers = Publishers::open(address, publications).expect("a connection");
        let mut tally = Tally::new();
        publishers.run(Duration::from_secs(1), &mut tally).expect("it is short");
        assert_eq!(tally.request.count(), 0);
        assert!(tally.request.max_ms() > 0.0);
    }

    #[test]
    fn what_is_under_way_at_the_end_is_waited_for_and_nothing_more_is_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (ended, end) = std::sync::mpsc::sync_channel(0);
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("comes");
            let mut request = [0; 1];
            socket.read_exact(&mut request).expect("asks");
            end.recv().expect("the run ends");
            let body = r#"[{"cursor":"e1-1"},{"cursor":"e1-2"}]"#;
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
            socket.write_all(answer.as_bytes()).expect("reads");
            socket.read(&mut request).expect("reads to its end")
        });
        let publications = vec![Publication::http(b"x".to_vec())];
        let mut publishers = Publishers::open(address, publications).expect("a connection");
        let mut tally = Tally::new();
        while publishers.members[0].asked.is_empty() {
            publishers.run(Duration::from_millis(10), &mut tally).expect("it goes on");
        }
        assert_eq!(tally.acknowledged_events, 0);
        ended.send(()).expect("the server waits");
        publishers.finish(&mut tally).expect("it is answered");
        assert_eq!(tally.acknowledged_events, 2);
        drop(publishers);
        assert_eq!(server.join().expect("the server saw what it expected"), 0, "one request");
    }

    #[test]
    fn what_is_refused_for_a_full_queue_is_counted_and_sent_again_with_its_number() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let body = format!("{{{}\"pad\":\"\"}}", numbers::MEMBER);
        let bytes = body.len();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("comes");
            let busy = r#"{"status":429,"code":"publishers_busy"}"#;
            let taken = r#"{"cursor":"e1-1"}"#;
            let answers =
                [("429 Too Many Requests", busy), ("201 Created", taken), ("200 OK", taken)];
            let sent = answers.map(|(status, answer)| {
                let mut request = vec![0; bytes];
                socket.read_exact(&mut request).expect("publishes");
                let length = answer.len();
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{answer}");
                socket.write_all(answer.as_bytes()).expect("reads");
                String::from_utf8(request).expect("text")
            });
            (socket, sent)
        });
        let publication = Publication::http(body.clone().into_bytes());
        let publication = publication.numbered(body.as_bytes(), [0; 4]);
        let mut publishers = Publishers::open(address, vec![publication]).expect("a connection");
        let mut tally = Tally::new();
        while tally.acknowledged_events < 2 {
            publishers.run(Duration::from_millis(10), &mut tally).expect("it goes on");
        }
        assert_eq!((tally.acknowledged_events, tally.refused_requests), (2, 1));
        assert_eq!(publishers.last_numbers(), [2]);
        let (_socket, sent) = server.join().expect("the server saw what it expected");
        let with = |number: u64| body.replace("0000000000000000", &format!("{number:016}"));
        assert_eq!(sent, [1, 1, 2].map(with));
    }

    #[test]
    fn a_web_socket_is_asked_for_once_and_published_over_again_and_again() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("comes");
            let mut received = [0; 1024];
            let bytes = socket.read(&mut received).expect("asks");
            assert_eq!(&received[..bytes], b"upgrade");
            socket.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").expect("reads");
            for reply in [
                r#"{"reply":1,"cursor":"e1-1"}"#,
                r#"{"reply":1,"error":{"code":"publishers_busy"}}"#,
            ] {
                let bytes = socket.read(&mut received).expect("publishes");
                assert_eq!(&received[..bytes], b"frame");
                for control in ["ready", "heartbeat"] {
                    let control = format!(r#"{{"control":"{control}","cursor":"e1-0"}}"#);
                    socket.write_all(&ws::frame(Opcode::Text, control.as_bytes())).expect("reads");
                }
                socket.write_all(&ws::frame(Opcode::Text, reply.as_bytes())).expect("reads");
            }
            socket
        });
        let publication = Publication::web_socket(b"upgrade".to_vec(), b"frame".to_vec(), 1);
        let mut publishers = Publishers::open(address, vec![publication]).expect("a connection");
        let mut tally = Tally::new();
        while tally.acknowledged_events + tally.refused_requests < 2 {
            publishers.run(Duration::from_millis(10), &mut tally).expect("it goes on");
        }
        assert_eq!((tally.acknowledged_events, tally.refused_requests), (1, 1));
        server.join().expect("the server saw what it expected");
    }

    #[test]
    fn so_many_are_under_way_each_with_its_number_and_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let body = format!("{{{}\"pad\":\"\"}}", numbers::MEMBER);
        let bytes = body.len();
        let (ended, end) = std::sync::mpsc::sync_channel(0);
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("comes");
            let mut received = vec![0; bytes];
            socket.read_exact(&mut received[..7]).expect("asks");
            socket.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").expect("reads");
            let mut publish = |socket: &mut std::net::TcpStream| {
                socket.read_exact(&mut received).expect("publishes");
                String::from_utf8(received.clone()).expect("text")
            };
            let mut sent: Vec<String> = (0..3).map(|_| publish(&mut socket)).collect();
            socket.set_nonblocking(true).expect("a socket");
            let more = socket.read(&mut [0]).expect_err("nothing is asked before an answer");
            assert_eq!(more.kind(), ErrorKind::WouldBlock);
            socket.set_nonblocking(false).expect("a socket");
            let reply = br#"{"reply":1,"cursor":"e1-1"}"#;
            socket.write_all(&ws::frame(Opcode::Text, reply)).expect("reads");
            sent.push(publish(&mut socket));
            end.recv().expect("the run ends");
            socket.write_all(&ws::frame(Opcode::Text, reply).repeat(3)).expect("reads");
            (socket, sent)
        });
        let publication =
            Publication::web_socket(b"upgrade".to_vec(), body.clone().into_bytes(), 3);
        let publication = publication.numbered(body.as_bytes(), [0; 4]);
        let mut publishers = Publishers::open(address, vec![publication]).expect("a connection");
        let mut tally = Tally::new();
        while tally.acknowledged_events < 1 {
            publishers.run(Duration::from_millis(10), &mut tally).expect("it goes on");
        }
        ended.send(()).expect("the server waits");
        publishers.finish(&mut tally).expect("all are answered");
        assert_eq!((tally.acknowledged_events, publishers.last_numbers()), (4, vec![4]));
        let (_socket, sent) = server.join().expect("the server saw what it expected");
        let with = |number: u64| body.replace("0000000000000000", &format!("{number:016}"));
        assert_eq!(sent, [1, 2, 3, 4].map(with));
    }
}
