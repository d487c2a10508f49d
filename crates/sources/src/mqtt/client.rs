//! One client: its socket, what of it is not whole yet, and who it is. It is small while it is idle.

use std::any::Any;
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;

use bellwire_access::Identity;
use bellwire_ingest::mqtt::packet::{Connect, Version};
use bellwire_model::limits::MQTT_UNSENT_BYTES_MAX;
use mio::event::Event;

use super::gate::{Arrival, SecureSession};

/// A connection.
pub(super) struct Client {
    pub(super) socket: TcpStream,
    session: Option<Box<dyn SecureSession>>,
    pub(super) address: IpAddr,
    _place: Box<dyn Any + Send>,
    pub(super) stage: Stage,
    /// Bytes that have come and are not looked at yet: a packet that is not whole, or all that comes
    /// while the client has to wait.
    pub(super) input: Vec<u8>,
    /// What the client is to be told and has not taken.
    output: Vec<u8>,
    /// Whom of all connections it is, of which places are used again.
    pub(super) number: u64,
    /// The second in which its last packet was whole.
    pub(super) heard_s: u32,
    /// Where its messages of this turn gather, and what of them waits.
    pub(super) waits: Waits,
    /// Whether to read: a socket that has nothing is not asked for it.
    pub(super) unread: Unread,
}

/// What of a client waits for the rules.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waits {
    /// The place of its part in the batch that gathers.
    pub(super) part: Option<u32>,
    pub(super) messages: u16,
    pub(super) bytes: u32,
}

/// How far a connection is.
pub(super) enum Stage {
    /// Its first packet is to come.
    Arriving,
    /// It is being found out who it is.
    Asking(Box<Known>),
    /// It is in.
    In { known: Box<Known>, identity: Arc<Identity>, _place: Option<Box<dyn Any + Send>> },
}

/// What a client has said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) version: Version,
    /// Empty until it is let in, where the server is to name it.
    pub(super) client_id: Box<str>,
    /// Whether it is.
    pub(super) is_named_here: bool,
    pub(super) keep_alive_s: u16,
    pub(super) will: Option<Box<Will>>,
}

/// What a socket may have that was not read. The poll tells of it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    Nothing,
    Something,
    /// The client has closed its side: behind whatever there is comes the end.
    End,
}

impl Unread {
    /// The poll tells of the socket.
    pub(super) fn note(&mut self, event: &Event) {
        let is_readable = event.is_readable() || event.is_error();
        if event.is_read_closed() {
            *self = Self::End;
        } else if is_readable && *self == Self::Nothing {
            *self = Self::Something;
        }
    }

    /// All that there was is read. The end is read by asking once more.
    fn note_read(&mut self) {
        if *self == Self::Something {
            *self = Self::Nothing;
        }
    }
}

/// What is to be taken as published once the client is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Will {
    pub(super) topic: Box<str>,
    pub(super) payload: Box<[u8]>,
}

impl Known {
    pub(super) fn of(connect: &Connect<'_>, keep_alive_s: u16) -> Self {
        let client_id = connect.client_id;
        let is_named_here = client_id.is_empty();
        let will = connect
            .will
            .map(|will| Box::new(Will { topic: will.topic.into(), payload: will.payload.into() }));
        Self {
            version: connect.version,
            client_id: client_id.into(),
            is_named_here,
            keep_alive_s,
            will,
        }
    }
}

impl Client {
    pub(super) fn new(arrival: Arrival, number: u64, now_s: u32) -> Self {
        let Arrival { socket, session, address, place } = arrival;
        Self {
            socket,
            session,
            address,
            _place: place,
            stage: Stage::Arriving,
            input: Vec::new(),
            output: Vec::new(),
            number,
            heard_s: now_s,
            waits: Waits::default(),
            unread: Unread::Something,
        }
    }

    /// What it has said of itself.
    pub(super) fn known(&self) -> Option<&Known> {
        match &self.stage {
            Stage::Arriving => None,
            Stage::Asking(known) | Stage::In { known, .. } => Some(known),
        }
    }

    pub(super) fn version(&self) -> Version {
        self.known().map_or(Version::V311, |known| known.version)
    }

    /// Who it is.
    pub(super) fn identity(&self) -> Option<&Arc<Identity>> {
        match &self.stage {
            Stage::In { identity, .. } => Some(identity),
            _ => None,
        }
    }

    /// Reads what has come; zero says that nothing follows.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.session {
            Some(session) => session.read(&self.socket, buffer),
            None => (&self.socket).read(buffer),
        };
        let is_all = match &read {
            // What a socket gives less of than it could is all that there is. A session may hold
            // some back.
            Ok(count) => self.session.is_none() && *count < buffer.len(),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if is_all {
            self.unread.note_read();
        }
        read
    }

    /// Where packets for it are written; [`flush`](Self::flush) sends them.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Whether it takes too little of what it is told.
    pub(super) fn is_behind(&self) -> bool {
        self.output.len() > MQTT_UNSENT_BYTES_MAX
    }

    /// Whether it holds something that is not whole, or not taken.
    pub(super) fn is_midway(&self) -> bool {
        !self.input.is_empty() || !self.output.is_empty()
    }

    /// Sends what its socket takes now.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let sent = self.send();
        if self.output.is_empty() {
            self.output = Vec::new();
        }
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            sent => sent,
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            let sent = match &mut self.session {
                Some(session) => session.write(&self.socket, &self.output),
                None => (&self.socket).write(&self.output),
            };
            match sent {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match &mut self.session {
            Some(session) => session.flush(&self.socket),
            None => Ok(()),
        }
    }
}
