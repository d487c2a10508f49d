//! What the messages of OTLP have in common on the wire.

use std::borrow::Cow;

use super::fault::Fault;
pub(super) use crate::protobuf::{Error, Fields, Value as Wire};

/// Reads each of the messages or texts that a message has under a number.
pub(super) fn parts<'a>(
    message: &'a [u8],
    number: u32,
    mut read: impl FnMut(&'a [u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for field in Fields::of(message) {
        let (other, part) = field?;
        if other == number {
            read(part.bytes()?)?;
        }
    }
    Ok(())
}

/// The text of a field.
pub(super) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, Fault> {
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Fault::utf8())
}

/// The numbers of a repeated field of eight bytes each: one, or several packed.
pub(super) fn repeated(wire: Wire<'_>, mut each: impl FnMut(u64)) -> Result<(), Error> {
    match wire {
        Wire::Fixed64(number) => each(number),
        Wire::Bytes(packed) => {
            let (numbers, []) = packed.as_chunks() else { return Err(Error::Truncated) };
            for number in numbers {
                each(u64::from_le_bytes(*number));
            }
        }
        Wire::Varint(_) | Wire::Fixed32(_) => return Err(Error::Mismatch),
    }
    Ok(())
}
