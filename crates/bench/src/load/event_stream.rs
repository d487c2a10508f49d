//! One subscriber of one thread: reads a stream event by event.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;

use super::connection::connect;
use super::request;

/// More without the end of an event is no stream of events.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// A stream that is live.
#[derive(Debug)]
pub(crate) struct EventStream {
    socket: TcpStream,
    received: Vec<u8>,
}

impl EventStream {
    /// Opens a stream and waits until it is live.
    pub(crate) fn open(address: SocketAddr, filter: &str) -> Result<Self> {
        let mut socket = connect(address)?;
        socket.write_all(&request::stream(filter)).context("cannot ask for a stream")?;
        let mut stream = Self { socket, received: Vec::new() };
        while !stream.next()?.contains("event: ready\n") {}
        Ok(stream)
    }

    /// The text of the next event, with what frames it.
    pub(crate) fn next(&mut self) -> Result<String> {
        let mut piece = [0; 16 * 1024];
        loop {
            if let Some(at) = memmem::find(&self.received, b"\n\n") {
                let event = String::from_utf8_lossy(&self.received[..=at]).into_owned();
                self.received.drain(..at + 2);
                return Ok(event);
            }
            ensure!(self.received.len() < EVENT_BYTES_MAX, "this is no stream of events");
            match self.socket.read(&mut piece).context("the stream is silent")? {
                0 => bail!("the stream ended: {}", String::from_utf8_lossy(&self.received)),
                bytes => self.received.extend_from_slice(&piece[..bytes]),
            }
        }
    }
}
