//! Protobuf's wire format, as far as decoders need it: the fields of a message one after the other,
//! as they stand in its bytes. Nothing is copied, and nothing takes memory.

use thiserror::Error;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Error {
    /// It ends within a field.
    #[error("it ends within a field")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("a number has more than 64 bits")]
    Overlong,
    /// A field's type is none that is in use.
    #[error("a field is of no known type")]
    WireType,
    /// A field has the number 0, or one that is too large.
    #[error("a field has no valid number")]
    FieldNumber,
    /// A field is of another type than its message says.
    #[error("a field is of another type than its message says")]
    Mismatch,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// `int32`, `int64`, `uint32`, `uint64`, `bool`, `enum`, or as a zigzag `sint32`, `sint64`.
    Varint(u64),
    /// `fixed64`, `sfixed64`, `double`.
    Fixed64(u64),
    /// `fixed32`, `sfixed32`, `float`.
    Fixed32(u32),
    /// `string`, `bytes`, a message, or packed numbers.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(crate) fn bytes(self) -> Result<&'a [u8], Error> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Error::Mismatch),
        }
    }

    pub(crate) fn double(self) -> Result<f64, Error> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(Error::Mismatch),
        }
    }

    pub(crate) fn int64(self) -> Result<i64, Error> {
        match self {
            Self::Varint(number) => Ok(number.cast_signed()),
            _ => Err(Error::Mismatch),
        }
    }
}

/// The fields of a message, in the order in which they stand there. After an error there are none.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// What becomes of it is mostly looked at where it is read, so that only that is made of it.
    #[expect(clippy::inline_always, reason = "half of the time it takes to read a request")]
    #[inline(always)]
    fn read(&mut self) -> Result<(u32, Value<'a>), Error> {
        let key = varint(&mut self.0)?;
        let number = u32::try_from(key >> 3).map_err(|_| Error::FieldNumber)?;
        if number == 0 || number >> 29 != 0 {
            return Err(Error::FieldNumber);
        }
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.0)?),
            1 => Value::Fixed64(u64::from_le_bytes(take(&mut self.0)?)),
            2 => {
                let length = varint(&mut self.0)?;
                let length = usize::try_from(length).map_err(|_| Error::Truncated)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Error::Truncated)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(take(&mut self.0)?)),
            // Groups, which nobody writes any more, and what is not given out.
            _ => return Err(Error::WireType),
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Error>;

    #[expect(clippy::inline_always, reason = "as above")]
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.0 = &[];
        }
        Some(read)
    }
}

/// Packed varints.
#[derive(Clone, Debug)]
pub(crate) struct Varints<'a>(&'a [u8]);

impl<'a> Varints<'a> {
    pub(crate) fn of(packed: &'a [u8]) -> Self {
        Self(packed)
    }
}

impl Iterator for Varints<'_> {
    type Item = Result<u64, Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let number = varint(&mut self.0);
        if number.is_err() {
            self.0 = &[];
        }
        Some(number)
    }
}

#[inline]
fn varint(bytes: &mut &[u8]) -> Result<u64, Error> {
    // Most are of one byte.
    match *bytes {
        [first, rest @ ..] if *first < 0x80 => {
            *bytes = rest;
            Ok(u64::from(*first))
        }
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &mut &[u8]) -> Result<u64, Error> {
    let mut number = 0;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if place == 9 && bits > 1 {
            return Err(Error::Overlong);
        }
        number |= bits << (7 * place);
        if byte & 0x80 == 0 {
            *bytes = &bytes[place + 1..];
            return Ok(number);
        }
    }
    Err(if bytes.len() < 10 { Error::Truncated } else { Error::Overlong })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Error> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or(Error::Truncated)?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_all_types_are_read_and_what_is_none_is_an_error() {
        type Read<'a> = Vec<Result<(u32, Value<'a>), Error>>;
        let cases: Vec<(&[u8], Read<'_>)> = vec![
            (b"", vec![]),
            (b"\x08\x96\x01", vec![Ok((1, Value::Varint(150)))]),
            (b"\x12\x02hi\x18\x00", vec![Ok((2, Value::Bytes(b"hi"))), Ok((3, Value::Varint(0)))]),
            (b"\x09\0\0\0\0\0\0\xf0\x3f", vec![Ok((1, Value::Fixed64(1f64.to_bits())))]),
            (b"\x0d\x01\0\0\0", vec![Ok((1, Value::Fixed32(1)))]),
            (
                b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                vec![Ok((1, Value::Varint(u64::MAX)))],
            ),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", vec![Err(Error::Overlong)]),
            (b"\x08\x80", vec![Err(Error::Truncated)]),
            (b"\x12\x03hi", vec![Err(Error::Truncated)]),
            (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", vec![Err(Error::Truncated)]),
            (b"\x09\0\0", vec![Err(Error::Truncated)]),
            (b"\x0b", vec![Err(Error::WireType)]),
            (b"\x0f\x00", vec![Err(Error::WireType)]),
            (b"\x00\x01", vec![Err(Error::FieldNumber)]),
            (b"\xf8\xff\xff\xff\x1f\x01", vec![Err(Error::FieldNumber)]),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Fields::of(bytes).collect::<Vec<_>>(), expected, "{bytes:?}");
        }
        let packed: Vec<_> = Varints::of(b"\x01\x80\x02\x80").collect();
        assert_eq!(packed, [Ok(1), Ok(256), Err(Error::Truncated)]);
    }
}
