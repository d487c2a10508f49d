//! A WebSocket that one thread writes to, and reads only where it wants to be sure.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use bellwire_wire::ws::{self, Opcode};
use memchr::memmem;

use super::peer::{Duplex, Peer};
use super::request;

/// It keeps caches from reading along, of which there are none.
const MASK: [u8; 4] = [0x17, 0x2b, 0x5c, 0x61];

/// More without an answer is something else.
const RECEIVED_BYTES_MAX: usize = 1024 * 1024;

/// A WebSocket that is open.
pub(crate) struct Talker {
    stream: Box<dyn Duplex>,
    received: Vec<u8>,
}

impl fmt::Debug for Talker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Talker").finish_non_exhaustive()
    }
}

impl Talker {
    /// Opens a WebSocket at a path, and waits for the server's consent.
    pub(crate) fn open(peer: &Peer, path: &str) -> Result<Self> {
        let mut opened = Self { stream: peer.connect()?, received: Vec::new() };
        opened.stream.write_all(&request::upgrade(path, None)).context("cannot ask")?;
        opened.wait_for(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&opened.received).into_owned();
        ensure!(head.starts_with("HTTP/1.1 101 "), "no WebSocket, but: {head}");
        opened.received.clear();
        Ok(opened)
    }

    /// Sends a text. What the server says to it is read with the next question.
    pub(crate) fn say(&mut self, text: &str) -> Result<()> {
        let frame = ws::masked_frame(Opcode::Text, text.as_bytes(), MASK);
        self.stream.write_all(&frame).context("cannot send over the WebSocket")
    }

    /// Sends a request whose `id` is this number, and waits for its reply. Returns how often the server
    /// has said, to it or anything before it, that it is too busy; another refusal is an error.
    pub(crate) fn ask(&mut self, text: &str, id: u32) -> Result<u64> {
        self.say(text)?;
        self.wait_for(format!("\"reply\":{id}").as_bytes())?;
        let count = |text: &str| memmem::find_iter(&self.received, text).count();
        let (refused, busy) = (count("\"error\":"), count("\"publishers_busy\""));
        let said = String::from_utf8_lossy(&self.received);
        ensure!(refused == busy, "the server refuses something: {said}");
        Ok(busy as u64)
    }

    fn wait_for(&mut self, awaited: &[u8]) -> Result<()> {
        let mut piece = [0; 4096];
        while memmem::find(&self.received, awaited).is_none() {
            ensure!(self.received.len() < RECEIVED_BYTES_MAX, "what is awaited does not come");
            match self.stream.read(&mut piece).context("the WebSocket is silent")? {
                0 => bail!("the WebSocket ended: {}", String::from_utf8_lossy(&self.received)),
                bytes => self.received.extend_from_slice(&piece[..bytes]),
            }
        }
        Ok(())
    }
}
