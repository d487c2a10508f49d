//! `PUBLISH`: a message.

use super::properties::{self, Properties};
use super::reader::Reader;
use super::{PacketError, Reason, Version};

/// How surely a message arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// quality 0: not surely.
    AtMostOnce,
    /// quality 1: once or more.
    AtLeastOnce,
    /// quality 2: once.
    ExactlyOnce,
}

impl Quality {
    pub(super) const fn of(bits: u8) -> Result<Self, PacketError> {
        match bits {
            0 => Ok(Self::AtMostOnce),
            1 => Ok(Self::AtLeastOnce),
            2 => Ok(Self::ExactlyOnce),
            _ => Err(PacketError::malformed("a quality of service of 3")),
        }
    }
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Where it was published.
    pub topic: &'a str,
    /// What.
    pub payload: &'a [u8],
    /// How surely it is to arrive.
    pub quality: Quality,
    /// By what it is acknowledged; 0 for quality 0.
    pub packet_id: u16,
    /// From a client: it is to be kept. From a broker: it was kept, nobody knows for how long.
    pub is_retained: bool,
    /// Whether it was sent before, perhaps.
    pub is_repeated: bool,
    /// Whether the MQTT 5 subscription that it belongs to says so: only a broker's messages do.
    pub(super) has_subscription_id: bool,
}

impl<'a> Publish<'a> {
    /// A message of quality 0.
    pub const fn plain(topic: &'a str, payload: &'a [u8]) -> Self {
        Self {
            topic,
            payload,
            quality: Quality::AtMostOnce,
            packet_id: 0,
            is_retained: false,
            is_repeated: false,
            has_subscription_id: false,
        }
    }

    /// Reads the body of a packet with these flags. A topic may not be said by a number: that was
    /// agreed on with nobody.
    pub(super) fn read(flags: u8, body: &'a [u8], version: Version) -> Result<Self, PacketError> {
        let mut reader = Reader::new(body);
        let quality = Quality::of(flags >> 1 & 3)?;
        if quality == Quality::AtMostOnce && flags & 8 != 0 {
            return Err(PacketError::malformed("a message of quality 0 that is sent again"));
        }
        let topic = reader.topic()?;
        let packet_id = match quality {
            Quality::AtMostOnce => 0,
            _ => reader.packet_id()?,
        };
        let mut has_subscription_id = false;
        if version == Version::V5 {
            let properties = Properties::read(&mut reader, properties::PUBLISH)?;
            if properties.topic_alias.is_some() {
                let detail = "no topic aliases are taken here, as CONNACK says";
                return Err(PacketError { reason: Reason::TopicAlias, detail });
            }
            has_subscription_id = properties.has_subscription_id;
        }
        if topic.is_empty() {
            return Err(PacketError::protocol("a message without a topic"));
        }
        let (payload, is_retained, is_repeated) = (reader.rest(), flags & 1 != 0, flags & 8 != 0);
        Ok(Self {
            topic,
            payload,
            quality,
            packet_id,
            is_retained,
            is_repeated,
            has_subscription_id,
        })
    }
}
