//! The pieces that packets are made of.

use memchr::{memchr, memchr2};

use super::PacketError;

type Result<T> = std::result::Result<T, PacketError>;

/// What is left of a packet's body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub(super) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Refuses a body that has more than its packet.
    pub(super) fn end(self) -> Result<()> {
        if self.is_empty() { Ok(()) } else { Err(PacketError::malformed("bytes after the packet")) }
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(PacketError::malformed("the packet ends before what it announces"))?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const COUNT: usize>(&mut self) -> Result<[u8; COUNT]> {
        let mut array = [0; COUNT];
        array.copy_from_slice(self.bytes(COUNT)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// The number of a packet, which is never 0.
    pub(super) fn packet_id(&mut self) -> Result<u16> {
        match self.u16()? {
            0 => Err(PacketError::malformed("a packet identifier of 0")),
            id => Ok(id),
        }
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8]> {
        let count = self.u16()?;
        self.bytes(count.into())
    }

    pub(super) fn text(&mut self) -> Result<&'a str> {
        let text = std::str::from_utf8(self.binary()?)
            .map_err(|_| PacketError::malformed("a text that is not UTF-8"))?;
        if memchr(0, text.as_bytes()).is_some() {
            return Err(PacketError::malformed("a text with a null character"));
        }
        Ok(text)
    }

    /// The name of a topic, without wildcards.
    pub(super) fn topic(&mut self) -> Result<&'a str> {
        let topic = self.text()?;
        if memchr2(b'+', b'#', topic.as_bytes()).is_some() {
            return Err(PacketError {
                reason: super::Reason::TopicName,
                detail: "a message's topic has no wildcards",
            });
        }
        Ok(topic)
    }

    pub(super) fn variable_integer(&mut self) -> Result<u32> {
        let found = variable_integer(self.rest)?;
        let (value, digits) = found.ok_or(PacketError::malformed("a length without an end"))?;
        self.rest = &self.rest[digits..];
        Ok(value)
    }
}

/// An integer of one to four bytes, and how many it has; `None` where it does not end here.
pub(super) fn variable_integer(bytes: &[u8]) -> Result<Option<(u32, usize)>> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            if place > 0 && *byte == 0 {
                return Err(PacketError::malformed("a length with digits that say nothing"));
            }
            return Ok(Some((value, place + 1)));
        }
    }
    match bytes.len() {
        4.. => Err(PacketError::malformed("a length of more than four digits")),
        _ => Ok(None),
    }
}
