//! The floor: a server that writes each event to all subscribers of its topic, one after the
//! other, and does nothing else. No journal, no resume, no filters, no slow readers; one thread.
//!
//! What any server must at least spend on a delivery is one write; this one spends little more.
//! It speaks as much of Bellwire's protocol as the load generator uses.

mod request;

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use self::request::{Flaw, Request};
use crate::Print;
use crate::load::provide_for;

const LISTENER: Token = Token(usize::MAX);
const EVENTS_PER_POLL: usize = 1024;
const PIECE_BYTES: usize = 64 * 1024;
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n\
    16\r\nevent: ready\ndata: {}\n\n\r\n";
const ACKNOWLEDGEMENT: &[u8] = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

/// Serves until the process is ended.
pub(crate) fn run(print: Print) -> Result<()> {
    provide_for(0)?;
    let mut floor = Floor::listen()?;
    print(&format!("listening on http://{}", floor.address()?))?;
    floor.serve()
}

/// All that is served.
#[derive(Debug)]
pub(crate) struct Floor {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<TcpStream>,
    /// Who subscribes to what.
    topics: HashMap<String, Vec<usize>>,
    /// Requests that are not whole yet.
    partial: HashMap<usize, Vec<u8>>,
    piece: Vec<u8>,
}

impl Floor {
    pub(crate) fn listen() -> Result<Self> {
        let poll = Poll::new().context("the system gives no poll")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut listener = TcpListener::bind(address).context("cannot listen")?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            connections: Slab::new(),
            topics: HashMap::new(),
            partial: HashMap::new(),
            piece: vec![0; PIECE_BYTES],
        })
    }

    pub(crate) fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves for as long as the system lets it.
    pub(crate) fn serve(&mut self) -> Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result.context("the poll failed")?,
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                } else {
                    self.read(event.token().0);
                }
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut socket, _)) => {
                    socket.set_nodelay(true)?;
                    let entry = self.connections.vacant_entry();
                    let token = Token(entry.key());
                    self.poll.registry().register(&mut socket, token, Interest::READABLE)?;
                    entry.insert(socket);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot accept"),
            }
        }
    }

    /// Reads what a client sends, and serves each whole request.
    fn read(&mut self, key: usize) {
        // An event of a connection that was closed in the same turn is for nobody.
        while let Some(socket) = self.connections.get_mut(key) {
            let read = match socket.read(&mut self.piece) {
                Ok(0) => return self.close(key),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return self.close(key),
            };
            let mut received = self.partial.remove(&key).unwrap_or_default();
            received.extend_from_slice(&self.piece[..read]);
            let done = self.serve_all(key, &received);
            received.drain(..done);
            if received.len() > REQUEST_BYTES_MAX {
                return self.close(key);
            }
            if !received.is_empty() {
                self.partial.insert(key, received);
            }
            // A read that did not fill the buffer has emptied the socket.
            if read < self.piece.len() {
                return;
            }
        }
    }

    /// Serves the whole requests that were received. Returns how many bytes they have.
    fn serve_all(&mut self, key: usize, received: &[u8]) -> usize {
        let mut done = 0;
        loop {
            match Request::parse(&received[done..]) {
                Ok(Request::Subscribe { topic }) => {
                    self.topics.entry(topic.to_owned()).or_default().push(key);
                    self.write(key, STREAM_HEAD);
                    return received.len();
                }
                Ok(Request::Publish { topic, body }) => {
                    let event = &received[done..][body.clone()];
                    self.publish(topic, event);
                    self.write(key, ACKNOWLEDGEMENT);
                    done += body.end;
                }
                Err(Flaw::Incomplete) => return done,
                Err(Flaw::Unknown) => {
                    self.write(key, REFUSAL);
                    self.close(key);
                    return received.len();
                }
            }
        }
    }

    /// Writes an event to all who follow its topic.
    fn publish(&mut self, topic: &str, body: &[u8]) {
        let Some(mut subscribers) = self.topics.remove(topic) else { return };
        let frame_bytes = "data: \n\n".len() + body.len();
        let mut chunk = format!("{frame_bytes:x}\r\ndata: ").into_bytes();
        chunk.extend_from_slice(body);
        chunk.extend_from_slice(b"\n\n\r\n");
        subscribers.retain(|key| self.write(*key, &chunk));
        self.topics.insert(topic.to_owned(), subscribers);
    }

    /// Writes all or closes: who reads too slowly is not waited for. Returns whether it was all.
    fn write(&mut self, key: usize, bytes: &[u8]) -> bool {
        let Some(socket) = self.connections.get_mut(key) else { return false };
        let is_written = socket.write(bytes).is_ok_and(|written| written == bytes.len());
        if !is_written {
            self.close(key);
        }
        is_written
    }

    fn close(&mut self, key: usize) {
        self.partial.remove(&key);
        drop(self.connections.try_remove(key));
        for subscribers in self.topics.values_mut() {
            if let Some(at) = subscribers.iter().position(|subscriber| *subscriber == key) {
                subscribers.swap_remove(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;
    use crate::load::{AT_ONCE, Flow, Opening, Pace, Peer, Publisher, Subscribers, request};

    #[test]
    fn every_subscriber_gets_every_event_of_its_topic() {
        let mut floor = Floor::listen().expect("listens");
        let address = floor.address().expect("has an address");
        let peer = Peer { address, trust: None };
        // Serves until the test's process ends.
        thread::spawn(move || floor.serve());
        let flow = |topic: &str, count, publishers| {
            let opening =
                Opening::new(request::get(&format!("/v1/events?topic={topic}")), "event: ready\n");
            let mut subscribers = Subscribers::new(&peer, opening).expect("a poll");
            let opened = subscribers.open(count, AT_ONCE).expect("all are live");
            assert_eq!(opened.latency.count(), count as u64);
            let publication = |body: &str| {
                let path = format!("/v1/topics/{topic}");
                request::post(&path, "application/json", body.as_bytes())
            };
            let publisher = |_| Publisher::new(&peer, 128, publication).expect("connects");
            Flow { publishers: (0..publishers).map(publisher).collect(), subscribers }
        };
        let mut flows = [flow("a", 200, 1), flow("b", 3, 4)];
        for (flow, events, rate) in [(0, 20, 0.0), (1, 50, 1000.0), (0, 1, 0.0)] {
            let flow = &mut flows[flow];
            let expected = events * flow.subscribers.count() as u64;
            let delivered = flow.run(Pace { events, rate }, &AtomicBool::new(false));
            let delivered = delivered.expect("all comes");
            assert_eq!((delivered.latency.count(), delivered.events), (expected, events));
        }
    }
}
