//! What comes on a connection that has begun.

use super::properties::{self, Properties};
use super::publish::Publish;
use super::reader::Reader;
use super::{Frame, PacketError, Version};

/// Which side a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A client.
    Client,
    /// A broker.
    Broker,
}

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A message.
    Publish(Publish<'a>),
    /// A client asks for messages; there are so many filters.
    Subscribe {
        /// By what it is answered.
        packet_id: u16,
        /// How many filters it names.
        filters: u16,
    },
    /// A client asks for some no longer.
    Unsubscribe {
        /// By what it is answered.
        packet_id: u16,
        /// How many filters it names.
        filters: u16,
    },
    /// A broker answers what was asked for.
    Subscribed {
        /// What it answers.
        packet_id: u16,
        /// A reason for each filter; below 0x80 it is granted.
        reasons: &'a [u8],
    },
    /// A client says that it is there, and wants to hear it, too.
    PingRequest,
    /// A broker says that it is there.
    PingResponse,
    /// A broker answers `CONNECT`.
    Accepted(Accepted<'a>),
    /// The other side goes.
    Disconnect(Departure<'a>),
}

/// How the other side goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Departure<'a> {
    /// Why, as MQTT 5 numbers it.
    pub reason: u8,
    /// Why, for people.
    pub reason_text: Option<&'a str>,
    /// The server that is to be used instead.
    pub server: Option<&'a str>,
}

/// How a broker answers `CONNECT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// Whether it knows the session still.
    pub is_session_present: bool,
    /// 0, or why not; in the numbers of its version.
    pub reason: u8,
    /// Why, for people.
    pub reason_text: Option<&'a str>,
    /// The server that is to be used instead.
    pub server: Option<&'a str>,
    /// How long it keeps the session, where that is not what the client wants.
    pub session_expiry_s: Option<u32>,
    /// The interval that it wants in place of the client's.
    pub keep_alive_s: Option<u16>,
    /// How surely it takes and gives messages at most.
    pub quality_max: u8,
}

impl<'a> Incoming<'a> {
    /// Reads what comes from that side once a connection has begun, and for a client its beginning.
    pub fn read(frame: Frame<'a>, version: Version, sender: Sender) -> Result<Self, PacketError> {
        let Frame { first, body, .. } = frame;
        match (sender, frame.kind()) {
            (_, 3) => {
                let publish = Publish::read(first & 0xf, body, version)?;
                if sender == Sender::Client && publish.has_subscription_id {
                    return Err(PacketError::protocol("a subscription in a client's message"));
                }
                Ok(Self::Publish(publish))
            }
            (Sender::Client, 8 | 10) => subscription(frame, version),
            (Sender::Client, 12) => empty(frame, Self::PingRequest),
            (Sender::Broker, 13) => empty(frame, Self::PingResponse),
            (Sender::Broker, 2) => accepted(frame, version).map(Self::Accepted),
            (Sender::Broker, 9) => subscribed(frame, version),
            (Sender::Client, 14) => disconnect(frame, version),
            (Sender::Broker, 14) if version == Version::V5 => disconnect(frame, version),
            (Sender::Client, 1) => Err(PacketError::protocol("a second CONNECT")),
            (_, 4..=7) => Err(PacketError::protocol("an acknowledgement of nothing")),
            (_, 15) if version == Version::V5 => {
                Err(PacketError::protocol("authentication without a method"))
            }
            _ => Err(PacketError::malformed("a packet that does not come from this side")),
        }
    }
}

fn flags(frame: Frame<'_>, expected: u8) -> Result<Reader<'_>, PacketError> {
    if frame.first & 0xf == expected {
        return Ok(Reader::new(frame.body));
    }
    Err(PacketError::malformed("flags that this packet does not have"))
}

fn empty<'a>(frame: Frame<'a>, packet: Incoming<'a>) -> Result<Incoming<'a>, PacketError> {
    flags(frame, 0)?.end()?;
    Ok(packet)
}

fn subscription(frame: Frame<'_>, version: Version) -> Result<Incoming<'_>, PacketError> {
    let is_asked_for = frame.kind() == 8;
    let mut reader = flags(frame, 2)?;
    let packet_id = reader.packet_id()?;
    if version == Version::V5 {
        let place = if is_asked_for { properties::SUBSCRIBE } else { properties::UNSUBSCRIBE };
        Properties::read(&mut reader, place)?;
    }
    let mut filters = 0_u16;
    while !reader.is_empty() {
        if reader.text()?.is_empty() {
            return Err(PacketError::malformed("an empty filter"));
        }
        if is_asked_for {
            let options = reader.u8()?;
            let known = if version == Version::V5 { 0b0011_1111 } else { 0b11 };
            if options & 3 == 3 || options >> 4 & 3 == 3 || options & !known != 0 {
                return Err(PacketError::malformed("options of a subscription that there are not"));
            }
        }
        // A packet is too small for more.
        filters = filters.saturating_add(1);
    }
    match (filters, is_asked_for) {
        (0, _) => Err(PacketError::protocol("no filter")),
        (_, true) => Ok(Incoming::Subscribe { packet_id, filters }),
        (_, false) => Ok(Incoming::Unsubscribe { packet_id, filters }),
    }
}

fn accepted(frame: Frame<'_>, version: Version) -> Result<Accepted<'_>, PacketError> {
    let mut reader = flags(frame, 0)?;
    let session = reader.u8()?;
    if session > 1 {
        return Err(PacketError::malformed("flags of CONNACK that there are not"));
    }
    let reason = reader.u8()?;
    // Some brokers that speak an older version only answer without properties.
    let properties = match version {
        Version::V5 if !reader.is_empty() => Properties::read(&mut reader, properties::ACCEPTED)?,
        _ => Properties::default(),
    };
    reader.end()?;
    Ok(Accepted {
        is_session_present: session == 1,
        reason,
        reason_text: properties.reason,
        server: properties.server,
        session_expiry_s: properties.session_expiry_s,
        keep_alive_s: properties.keep_alive_s,
        quality_max: properties.quality_max.unwrap_or(2),
    })
}

fn subscribed(frame: Frame<'_>, version: Version) -> Result<Incoming<'_>, PacketError> {
    let mut reader = flags(frame, 0)?;
    let packet_id = reader.packet_id()?;
    if version == Version::V5 {
        Properties::read(&mut reader, properties::SUBSCRIBED)?;
    }
    Ok(Incoming::Subscribed { packet_id, reasons: reader.rest() })
}

fn disconnect(frame: Frame<'_>, version: Version) -> Result<Incoming<'_>, PacketError> {
    let mut reader = flags(frame, 0)?;
    let mut departure = Departure::default();
    if version == Version::V5 && !reader.is_empty() {
        departure.reason = reader.u8()?;
        if !reader.is_empty() {
            let properties = Properties::read(&mut reader, properties::DISCONNECT)?;
            (departure.reason_text, departure.server) = (properties.reason, properties.server);
        }
    }
    reader.end()?;
    Ok(Incoming::Disconnect(departure))
}
