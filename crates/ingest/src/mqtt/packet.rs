//! The packets of MQTT 3.1.1 and 5, read in place: nothing of a packet is copied, and nothing is
//! set aside for bytes that are only announced.
//!
//! A packet that breaks a rule of the protocol is an error with the reason that the protocol has
//! for it. What is read is read as either side: a listener gets what clients send, a client what a
//! broker sends.

use thiserror::Error;

mod connect;
mod incoming;
mod outgoing;
mod properties;
mod publish;
mod reader;
mod reason;

pub use connect::{Connect, Will};
pub use incoming::{Accepted, Departure, Incoming, Sender};
pub use outgoing::{Login, Outgoing, Subscription};
pub use publish::{Publish, Quality};
pub use reason::Reason;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1, which calls itself 4.
    V311,
    /// 5.
    V5,
}

/// What is wrong with a packet. Nothing that follows it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct PacketError {
    /// As the protocol says it.
    pub reason: Reason,
    /// As people do.
    pub detail: &'static str,
}

impl PacketError {
    const fn malformed(detail: &'static str) -> Self {
        Self { reason: Reason::Malformed, detail }
    }

    const fn protocol(detail: &'static str) -> Self {
        Self { reason: Reason::Protocol, detail }
    }
}

/// A packet whose bytes are all here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its type and flags.
    pub first: u8,
    /// What follows its length.
    pub body: &'a [u8],
    /// Bytes of the whole.
    pub length: usize,
}

impl<'a> Frame<'a> {
    /// The first packet of these bytes; `None` where more of them have to come. One that is larger
    /// than `packet_bytes_max` is refused as soon as it says so.
    pub fn first(bytes: &'a [u8], packet_bytes_max: usize) -> Result<Option<Self>, PacketError> {
        let [first, rest @ ..] = bytes else { return Ok(None) };
        if first >> 4 == 0 {
            return Err(PacketError::malformed("a packet of type 0"));
        }
        let Some((announced, digits)) = reader::variable_integer(rest)? else { return Ok(None) };
        let length = 1 + digits + announced as usize;
        if length > packet_bytes_max {
            let detail = "the packet is larger than the server takes";
            return Err(PacketError { reason: Reason::PacketTooLarge, detail });
        }
        let body = bytes.get(1 + digits..length);
        Ok(body.map(|body| Self { first: *first, body, length }))
    }

    /// Whether it is a message (PUBLISH).
    pub const fn is_message(&self) -> bool {
        self.kind() == 3
    }

    /// Its type, as the protocol numbers them.
    pub const fn kind(&self) -> u8 {
        self.first >> 4
    }
}
