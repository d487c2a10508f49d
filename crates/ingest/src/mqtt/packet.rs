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

pub use connect::{Connect, Will};
pub use incoming::{Accepted, Incoming, Sender};
pub use outgoing::{Login, Outgoing, Subscription};
pub use publish::{Publish, Quality};

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1, which calls itself 4.
    V311,
    /// 5.
    V5,
}

/// Why a packet is refused or a connection ends, as MQTT 5 numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Nothing is wrong.
    Success = 0x00,
    /// The connection ends, and the will message is to be published.
    DisconnectWithWill = 0x04,
    /// It is not said what is wrong.
    Unspecified = 0x80,
    /// The bytes are no packet.
    Malformed = 0x81,
    /// The packet may not come here.
    Protocol = 0x82,
    /// It may come, but not to this server.
    ImplementationSpecific = 0x83,
    /// The version is not spoken here.
    UnsupportedVersion = 0x84,
    /// The client's name cannot be taken.
    ClientIdentifier = 0x85,
    /// Name or password are wrong.
    BadCredentials = 0x86,
    /// Whoever it is may not do that.
    NotAuthorized = 0x87,
    /// The server cannot now.
    Unavailable = 0x88,
    /// The server has too much to do.
    Busy = 0x89,
    /// The method of authentication is not known here.
    BadAuthentication = 0x8c,
    /// The server ends.
    ShuttingDown = 0x8b,
    /// Nothing came for one and a half times the agreed interval.
    KeepAlive = 0x8d,
    /// Another connection has come with the client's name.
    TakenOver = 0x8e,
    /// The topic means nothing here.
    TopicName = 0x90,
    /// More messages wait for their acknowledgement than was agreed.
    ReceiveMaximum = 0x93,
    /// A topic alias that was not agreed.
    TopicAlias = 0x94,
    /// A packet larger than was agreed.
    PacketTooLarge = 0x95,
    /// More than the server allows.
    QuotaExceeded = 0x97,
    /// The payload is not what it should be.
    PayloadFormat = 0x99,
    /// The quality of service is not supported.
    Quality = 0x9b,
    /// Connections come too fast.
    ConnectionRate = 0x9f,
    /// What was shown counts no more.
    MaximumConnectTime = 0xa0,
}

impl Reason {
    /// As 3.1.1 answers a `CONNECT`, which knows five reasons.
    pub const fn connect_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::UnsupportedVersion => 1,
            Self::ClientIdentifier => 2,
            Self::BadCredentials | Self::BadAuthentication => 4,
            Self::NotAuthorized => 5,
            _ => 3,
        }
    }

    /// In one word, for figures.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Success | Self::DisconnectWithWill => "success",
            Self::Unspecified => "unspecified",
            Self::Malformed => "malformed",
            Self::Protocol => "protocol",
            Self::ImplementationSpecific => "implementation_specific",
            Self::UnsupportedVersion => "version",
            Self::ClientIdentifier => "client_id",
            Self::BadCredentials => "credentials",
            Self::NotAuthorized => "not_authorized",
            Self::Unavailable => "unavailable",
            Self::Busy => "busy",
            Self::BadAuthentication => "authentication_method",
            Self::ShuttingDown => "shutting_down",
            Self::KeepAlive => "keep_alive",
            Self::TakenOver => "taken_over",
            Self::TopicName => "topic",
            Self::ReceiveMaximum => "receive_maximum",
            Self::TopicAlias => "topic_alias",
            Self::PacketTooLarge => "packet_too_large",
            Self::QuotaExceeded => "quota",
            Self::PayloadFormat => "payload",
            Self::Quality => "qos",
            Self::ConnectionRate => "connection_rate",
            Self::MaximumConnectTime => "expired",
        }
    }
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

    /// Its type, as the protocol numbers them.
    pub const fn kind(&self) -> u8 {
        self.first >> 4
    }
}
