//! Clients of MQTT 3.1.1 on one thread: each publishes messages of quality 1 again and again, so
//! many unanswered at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{self, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bellwire_ingest::mqtt::packet::Frame;
use bellwire_model::limits::MQTT_PACKET_BYTES_MAX;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::peer::SILENCE_MAX;

const EVENTS_PER_POLL: usize = 256;
const PIECE_BYTES: usize = 64 * 1024;
/// A `CONNACK` that says yes.
const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];
/// How a `PUBACK` begins; the number of the message follows.
const ACKNOWLEDGED: [u8; 2] = [0x40, 2];
const ACKNOWLEDGEMENT_BYTES: usize = 4;

/// All clients.
#[derive(Debug)]
pub(crate) struct MqttClients {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    piece: Vec<u8>,
}

#[derive(Debug)]
struct Client {
    socket: TcpStream,
    /// Its messages, one behind the other, and where each ends.
    messages: Vec<u8>,
    ends: Vec<usize>,
    /// The message that is to be sent next, and how much of all was sent.
    next: usize,
    sent_bytes: usize,
    /// Messages that may be unanswered, and that are.
    in_flight_max: usize,
    in_flight: usize,
    /// The beginning of an acknowledgement that is not whole.
    partial: Vec<u8>,
}

impl MqttClients {
    /// Connects clients; each has its own messages, of quality 1.
    pub(crate) fn open(
        address: SocketAddr,
        messages: Vec<Vec<u8>>,
        in_flight_max: usize,
    ) -> Result<Self> {
        let poll = Poll::new().context("the system gives no poll")?;
        let mut clients = Vec::with_capacity(messages.len());
        for messages in messages {
            let mut client = Client::connect((address, clients.len()), messages, in_flight_max)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut client.socket, Token(clients.len()), interest)?;
            clients.push(client);
        }
        let events = Events::with_capacity(EVENTS_PER_POLL);
        Ok(Self { poll, events, clients, piece: vec![0; PIECE_BYTES] })
    }

    /// Publishes for a while; says how many messages were acknowledged meanwhile.
    pub(crate) fn run(&mut self, duration: Duration) -> Result<u64> {
        let end = Instant::now() + duration;
        let (mut heard_at, mut acknowledged) = (Instant::now(), 0);
        for client in &mut self.clients {
            client.send()?;
        }
        while Instant::now() < end {
            match self.poll.poll(&mut self.events, Some(end - Instant::now().min(end))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result.context("the poll failed")?,
            }
            for event in &self.events {
                let client = &mut self.clients[event.token().0];
                if event.is_readable() {
                    acknowledged += client.receive(&mut self.piece)?;
                    heard_at = Instant::now();
                }
                client.send()?;
            }
            if heard_at.elapsed() > SILENCE_MAX {
                bail!("the server has not answered for {} s", SILENCE_MAX.as_secs());
            }
        }
        Ok(acknowledged)
    }
}

impl Client {
    fn connect(
        (address, number): (SocketAddr, usize),
        messages: Vec<u8>,
        in_flight_max: usize,
    ) -> Result<Self> {
        let mut socket = net::TcpStream::connect(address)
            .with_context(|| format!("cannot connect to {address}"))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE_MAX))?;
        socket.write_all(&greeting(&format!("bench-{number}")))?;
        let mut answer = [0; ACCEPTED.len()];
        socket.read_exact(&mut answer)?;
        ensure!(answer == ACCEPTED, "the server does not let a client in: {answer:?}");
        socket.set_nonblocking(true)?;
        let mut ends = Vec::new();
        let mut end = 0;
        while let Some(frame) = Frame::first(&messages[end..], MQTT_PACKET_BYTES_MAX)? {
            end += frame.length;
            ends.push(end);
        }
        ensure!(ends.len() >= in_flight_max, "a client has fewer messages than are in flight");
        let socket = TcpStream::from_std(socket);
        let (next, sent_bytes, in_flight, partial) = (0, 0, 0, Vec::new());
        Ok(Self { socket, messages, ends, next, sent_bytes, in_flight_max, in_flight, partial })
    }

    /// Sends as many messages as may be in flight, as far as the socket takes them.
    fn send(&mut self) -> Result<()> {
        while self.in_flight < self.in_flight_max {
            let last = (self.next + self.in_flight_max - self.in_flight).min(self.ends.len()) - 1;
            match self.socket.write(&self.messages[self.sent_bytes..self.ends[last]]) {
                Ok(sent) => self.sent_bytes += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot send a message"),
            }
            while self.ends.get(self.next).is_some_and(|end| *end <= self.sent_bytes) {
                self.next += 1;
                self.in_flight += 1;
            }
            if self.next == self.ends.len() {
                (self.next, self.sent_bytes) = (0, 0);
            }
        }
        Ok(())
    }

    /// Reads what has come; says how many messages are acknowledged.
    fn receive(&mut self, piece: &mut [u8]) -> Result<u64> {
        let before = self.in_flight;
        loop {
            let read = match self.socket.read(piece) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("a connection broke"),
            };
            self.partial.extend_from_slice(&piece[..read]);
            let (whole, rest) = self.partial.as_chunks::<ACKNOWLEDGEMENT_BYTES>();
            let are_acknowledgements = whole.iter().all(|one| one[..2] == ACKNOWLEDGED);
            ensure!(are_acknowledgements, "the server says something else: {whole:?}");
            ensure!(whole.len() <= self.in_flight, "the server acknowledges what was not sent");
            self.in_flight -= whole.len();
            self.partial = rest.to_vec();
            if read < piece.len() {
                break;
            }
        }
        Ok((before - self.in_flight) as u64)
    }
}

/// A `CONNECT` of MQTT 3.1.1, with nothing but a name.
fn greeting(client_id: &str) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT\x04\x02\x00\x00".to_vec();
    body.extend((client_id.len() as u16).to_be_bytes());
    body.extend(client_id.as_bytes());
    let mut packet = vec![0x10, body.len() as u8];
    packet.extend(body);
    packet
}
