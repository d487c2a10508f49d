//! The properties of MQTT 5's packets: all are checked, those that somebody here asks for are kept.

use super::{PacketError, reader::Reader};

/// Where a property stands; each is a bit.
pub(super) const CONNECT: u16 = 1;
pub(super) const WILL: u16 = 1 << 1;
pub(super) const ACCEPTED: u16 = 1 << 2;
pub(super) const PUBLISH: u16 = 1 << 3;
pub(super) const ACKNOWLEDGED: u16 = 1 << 4;
pub(super) const SUBSCRIBE: u16 = 1 << 5;
pub(super) const SUBSCRIBED: u16 = 1 << 6;
pub(super) const UNSUBSCRIBE: u16 = 1 << 7;
pub(super) const DISCONNECT: u16 = 1 << 8;
const AUTHENTICATE: u16 = 1 << 9;
const ANY: u16 = u16::MAX;

/// How a value is written.
#[derive(Clone, Copy)]
enum Kind {
    /// 0 or 1.
    Flag,
    U16,
    /// Not 0.
    U16Positive,
    U32,
    /// Not 0.
    U32Positive,
    Variable,
    Text,
    Binary,
    Pair,
}

/// How each property is written, and where it may stand.
const fn form(id: u8) -> Option<(Kind, u16)> {
    Some(match id {
        0x01 => (Kind::Flag, PUBLISH | WILL),
        0x02 => (Kind::U32, PUBLISH | WILL),
        0x03 | 0x08 => (Kind::Text, PUBLISH | WILL),
        0x09 => (Kind::Binary, PUBLISH | WILL),
        0x0b => (Kind::Variable, PUBLISH | SUBSCRIBE),
        SESSION_EXPIRY => (Kind::U32, CONNECT | ACCEPTED | DISCONNECT),
        CLIENT_ID | 0x1a => (Kind::Text, ACCEPTED),
        KEEP_ALIVE => (Kind::U16, ACCEPTED),
        METHOD => (Kind::Text, CONNECT | ACCEPTED | AUTHENTICATE),
        0x16 => (Kind::Binary, CONNECT | ACCEPTED | AUTHENTICATE),
        0x17 | 0x19 => (Kind::Flag, CONNECT),
        0x18 => (Kind::U32, WILL),
        SERVER => (Kind::Text, ACCEPTED | DISCONNECT),
        REASON_TEXT => {
            (Kind::Text, ACCEPTED | ACKNOWLEDGED | SUBSCRIBED | DISCONNECT | AUTHENTICATE)
        }
        RECEIVE_MAXIMUM => (Kind::U16Positive, CONNECT | ACCEPTED),
        0x22 => (Kind::U16, CONNECT | ACCEPTED),
        TOPIC_ALIAS => (Kind::U16, PUBLISH),
        QUALITY_MAXIMUM | 0x25 | 0x28 | 0x29 | 0x2a => (Kind::Flag, ACCEPTED),
        PAIR => (Kind::Pair, ANY),
        PACKET_MAXIMUM => (Kind::U32Positive, CONNECT | ACCEPTED),
        _ => return None,
    })
}

pub(super) const SESSION_EXPIRY: u8 = 0x11;
pub(super) const CLIENT_ID: u8 = 0x12;
pub(super) const KEEP_ALIVE: u8 = 0x13;
const METHOD: u8 = 0x15;
const SERVER: u8 = 0x1c;
pub(super) const REASON_TEXT: u8 = 0x1f;
pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
const TOPIC_ALIAS: u8 = 0x23;
pub(super) const QUALITY_MAXIMUM: u8 = 0x24;
pub(super) const RETAIN_AVAILABLE: u8 = 0x25;
const PAIR: u8 = 0x26;
pub(super) const PACKET_MAXIMUM: u8 = 0x27;
pub(super) const WILDCARD_AVAILABLE: u8 = 0x28;
pub(super) const SUBSCRIPTION_ID_AVAILABLE: u8 = 0x29;
pub(super) const SHARED_AVAILABLE: u8 = 0x2a;
/// A property of each message of a subscription, and of the subscription itself.
const SUBSCRIPTION_ID: u8 = 0x0b;

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Properties<'a> {
    pub(super) session_expiry_s: Option<u32>,
    pub(super) receive_maximum: Option<u16>,
    pub(super) packet_bytes_max: Option<u32>,
    pub(super) topic_alias: Option<u16>,
    pub(super) keep_alive_s: Option<u16>,
    pub(super) quality_max: Option<u8>,
    pub(super) client_id: Option<&'a str>,
    pub(super) method: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
    pub(super) server: Option<&'a str>,
    pub(super) has_subscription_id: bool,
}

impl<'a> Properties<'a> {
    /// Reads the properties of the packet that `place` says.
    pub(super) fn read(reader: &mut Reader<'a>, place: u16) -> Result<Self, PacketError> {
        let length = reader.variable_integer()?;
        let mut rest = Reader::new(reader.bytes(length as usize)?);
        let mut properties = Self::default();
        let mut seen = 0_u64;
        while !rest.is_empty() {
            let id = rest.u8()?;
            let Some((kind, places)) = form(id) else {
                return Err(PacketError::malformed("a property that there is not"));
            };
            if places & place == 0 {
                return Err(PacketError::protocol("a property that this packet does not have"));
            }
            let is_many = id == PAIR || id == SUBSCRIPTION_ID && place == PUBLISH;
            if seen & 1 << id != 0 && !is_many {
                return Err(PacketError::protocol("a property stands twice"));
            }
            seen |= 1 << id;
            properties.take(id, kind, &mut rest)?;
        }
        Ok(properties)
    }

    fn take(&mut self, id: u8, kind: Kind, rest: &mut Reader<'a>) -> Result<(), PacketError> {
        match kind {
            Kind::Flag => {
                let value = rest.u8()?;
                if value > 1 {
                    return Err(PacketError::protocol("a property is neither 0 nor 1"));
                }
                if id == QUALITY_MAXIMUM {
                    self.quality_max = Some(value);
                }
            }
            Kind::U16 | Kind::U16Positive => {
                let value = rest.u16()?;
                match id {
                    RECEIVE_MAXIMUM => self.receive_maximum = Some(value),
                    TOPIC_ALIAS => self.topic_alias = Some(value),
                    KEEP_ALIVE => self.keep_alive_s = Some(value),
                    _ => {}
                }
                if matches!(kind, Kind::U16Positive) {
                    positive(value.into())?;
                }
            }
            Kind::U32 | Kind::U32Positive => {
                let value = rest.u32()?;
                match id {
                    SESSION_EXPIRY => self.session_expiry_s = Some(value),
                    PACKET_MAXIMUM => self.packet_bytes_max = Some(value),
                    _ => {}
                }
                if matches!(kind, Kind::U32Positive) {
                    positive(value)?;
                }
            }
            Kind::Variable => {
                positive(rest.variable_integer()?)?;
                self.has_subscription_id = true;
            }
            Kind::Text => {
                let text = rest.text()?;
                match id {
                    CLIENT_ID => self.client_id = Some(text),
                    METHOD => self.method = Some(text),
                    REASON_TEXT => self.reason = Some(text),
                    SERVER => self.server = Some(text),
                    _ => {}
                }
            }
            Kind::Binary => _ = rest.binary()?,
            Kind::Pair => _ = (rest.text()?, rest.text()?),
        }
        Ok(())
    }
}

/// Refuses 0, where it may not be.
fn positive(value: u32) -> Result<(), PacketError> {
    if value > 0 { Ok(()) } else { Err(PacketError::protocol("a property is 0 that may not be")) }
}
