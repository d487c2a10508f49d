//! One subscriber of one thread: reads a stream event by event.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;

use super::peer::{Duplex, Peer};
use super::request;

/// More without the end of an event is no stream of events.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// A stream that is live.
pub(crate) struct EventStream {
    stream: Box<dyn Duplex>,
    received: Vec<u8>,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EventStream").finish_non_exhaustive()
    }
}

impl EventStream {
    /// Opens a stream and waits until it is live.
    pub(crate) fn open(peer: &Peer, filter: &str) -> Result<Self> {
        let (opened, _) = Self::begin(peer, &request::stream(filter))?;
        Ok(opened)
    }

    /// Asks for a stream and waits until it is live; returns what came before.
    pub(crate) fn begin(peer: &Peer, request: &[u8]) -> Result<(Self, Vec<String>)> {
        let mut opened = Self { stream: peer.connect()?, received: Vec::new() };
        opened.stream.write_all(request).context("cannot ask for a stream")?;
        let mut before = Vec::new();
        loop {
            let event = opened.next()?;
            if event.contains("event: ready\n") {
                return Ok((opened, before));
            }
            before.push(event);
        }
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
            match self.stream.read(&mut piece).context("the stream is silent")? {
                0 => bail!("the stream ended: {}", String::from_utf8_lossy(&self.received)),
                bytes => self.received.extend_from_slice(&piece[..bytes]),
            }
        }
    }
}
