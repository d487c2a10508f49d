//! `CONNECT`: who comes, and what is to be said once they are gone.

use super::properties::{self, Properties};
use super::publish::Quality;
use super::reader::Reader;
use super::{Frame, PacketError, Reason, Version};

/// Who comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// In which version.
    pub version: Version,
    /// Whether nothing is to be left of earlier connections.
    pub clean_start: bool,
    /// Seconds within which the client says something; 0: it need not.
    pub keep_alive_s: u16,
    /// The client's name for itself; empty where the server is to name it.
    pub client_id: &'a str,
    /// What is to be said once it is gone.
    pub will: Option<Will<'a>>,
    /// The user.
    pub username: Option<&'a str>,
    /// The secret.
    pub password: Option<&'a [u8]>,
    /// How long the session outlives the connection.
    pub session_expiry_s: u32,
    /// The largest packet that the client takes.
    pub packet_bytes_max: Option<u32>,
    /// A way to authenticate that goes back and forth.
    pub method: Option<&'a str>,
}

/// Says nothing of the secret.
impl std::fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// A message of the client that the server publishes once the connection has broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// Where.
    pub topic: &'a str,
    /// What.
    pub payload: &'a [u8],
    /// How surely.
    pub quality: Quality,
    /// Whether it is to be kept for those who come later.
    pub is_retained: bool,
}

impl<'a> Connect<'a> {
    /// The first packet of a connection, as [`Frame::first`] has it. What is none is refused at its
    /// first byte: what speaks another protocol may never send as much as it seems to announce.
    pub fn frame(bytes: &'a [u8], bytes_max: usize) -> Result<Option<Frame<'a>>, PacketError> {
        bytes.first().map_or(Ok(()), |first| check_first(*first))?;
        Frame::first(bytes, bytes_max)
    }

    /// Reads the first packet of a connection. The second part of an error is the version in which it
    /// can be told.
    pub fn read(frame: Frame<'a>) -> Result<Self, (PacketError, Version)> {
        let mut reader = Reader::new(frame.body);
        let version = version(frame, &mut reader).map_err(|error| (error, Version::V311))?;
        Self::rest(version, reader).map_err(|error| (error, version))
    }

    fn rest(version: Version, mut reader: Reader<'a>) -> Result<Self, PacketError> {
        let flags = reader.u8()?;
        let quality = flags >> 3 & 3;
        let has_will = flags & 4 != 0;
        if flags & 1 != 0 || quality > 2 || !has_will && flags & 0b0011_1000 != 0 {
            return Err(PacketError::malformed("flags of CONNECT that contradict each other"));
        }
        if version == Version::V311 && flags >> 6 == 1 {
            return Err(PacketError::malformed("a password without a user"));
        }
        let keep_alive_s = reader.u16()?;
        let properties = of_version(version, &mut reader, properties::CONNECT)?;
        let client_id = reader.text()?;
        let mut will = None;
        if has_will {
            of_version(version, &mut reader, properties::WILL)?;
            will = Some(Will {
                topic: reader.topic()?,
                payload: reader.binary()?,
                quality: Quality::of(quality)?,
                is_retained: flags & 0x20 != 0,
            });
        }
        if will.is_some_and(|will| will.topic.is_empty()) {
            return Err(PacketError::protocol("a will without a topic"));
        }
        let username = (flags & 0x80 != 0).then(|| reader.text()).transpose()?;
        let password = (flags & 0x40 != 0).then(|| reader.binary()).transpose()?;
        reader.end()?;
        Ok(Self {
            version,
            clean_start: flags & 2 != 0,
            keep_alive_s,
            client_id,
            will,
            username,
            password,
            session_expiry_s: properties.session_expiry_s.unwrap_or(0),
            packet_bytes_max: properties.packet_bytes_max,
            method: properties.method,
        })
    }
}

fn version(frame: Frame<'_>, reader: &mut Reader<'_>) -> Result<Version, PacketError> {
    check_first(frame.first)?;
    let name = reader.binary()?;
    match (name, reader.u8()?) {
        (b"MQTT", 4) => Ok(Version::V311),
        (b"MQTT", 5) => Ok(Version::V5),
        (b"MQTT", _) | (b"MQIsdp", 3) => Err(PacketError {
            reason: Reason::UnsupportedVersion,
            detail: "MQTT 3.1.1 and 5 are spoken here",
        }),
        _ => Err(PacketError::protocol("the protocol's name is MQTT")),
    }
}

fn check_first(first: u8) -> Result<(), PacketError> {
    let error = PacketError::protocol("a connection begins with CONNECT");
    if first == 0x10 { Ok(()) } else { Err(error) }
}

/// The properties of a packet: only MQTT 5 has some.
fn of_version<'a>(
    version: Version,
    reader: &mut Reader<'a>,
    place: u16,
) -> Result<Properties<'a>, PacketError> {
    match version {
        Version::V311 => Ok(Properties::default()),
        Version::V5 => Properties::read(reader, place),
    }
}
