//! Bytes of `MessagePack` to its values, one after the other.

use bellwire_model::limits::NESTING_MAX;
use thiserror::Error;

/// Bytes are not the `MessagePack` of something that JSON can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("at byte {offset}: {fault}")]
pub struct MsgpackError {
    /// How many bytes were read before it showed.
    pub offset: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The end is missing.
    #[error("the value breaks off")]
    Cut,
    /// More than one value.
    #[error("more follows the value")]
    Trailing,
    /// The one byte that begins no value.
    #[error("no value begins with 0xc1")]
    Marker,
    /// An extension type.
    #[error("extension types have no meaning here")]
    Extension,
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A key that is no string.
    #[error("the keys of a map are strings")]
    Key,
    /// Binary within other data.
    #[error("binary stands only as the whole of `data`")]
    Binary,
    /// More than [`NESTING_MAX`] arrays and maps in one another.
    #[error("arrays and maps are nested more than {NESTING_MAX} times")]
    Nesting,
}

/// A value, or the head of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Nil,
    Boolean(bool),
    Unsigned(u64),
    Integer(i64),
    Float32(f32),
    Float64(f64),
    Text(&'a str),
    Binary(&'a [u8]),
    /// As many values follow.
    Array(usize),
    /// As many pairs of key and value follow.
    Map(usize),
}

/// What was not read yet.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn next(&mut self) -> Result<Value<'a>, Fault> {
        let [marker] = self.array()?;
        let low = |mask: u8| usize::from(marker & mask);
        Ok(match marker {
            0x00..=0x7F => Value::Unsigned(marker.into()),
            0xE0..=0xFF => Value::Integer((marker as i8).into()),
            0x80..=0x8F => Value::Map(low(0x0F)),
            0x90..=0x9F => Value::Array(low(0x0F)),
            0xA0..=0xBF => Value::Text(self.text(low(0x1F))?),
            0xC0 => Value::Nil,
            0xC2 | 0xC3 => Value::Boolean(marker == 0xC3),
            0xC4..=0xC6 => {
                let length = self.length(marker - 0xC4)?;
                Value::Binary(self.bytes(length)?)
            }
            0xCA => Value::Float32(f32::from_be_bytes(self.array()?)),
            0xCB => Value::Float64(f64::from_be_bytes(self.array()?)),
            0xCC => Value::Unsigned(u8::from_be_bytes(self.array()?).into()),
            0xCD => Value::Unsigned(u16::from_be_bytes(self.array()?).into()),
            0xCE => Value::Unsigned(u32::from_be_bytes(self.array()?).into()),
            0xCF => Value::Unsigned(u64::from_be_bytes(self.array()?)),
            0xD0 => Value::Integer(i8::from_be_bytes(self.array()?).into()),
            0xD1 => Value::Integer(i16::from_be_bytes(self.array()?).into()),
            0xD2 => Value::Integer(i32::from_be_bytes(self.array()?).into()),
            0xD3 => Value::Integer(i64::from_be_bytes(self.array()?)),
            0xD9..=0xDB => {
                let length = self.length(marker - 0xD9)?;
                Value::Text(self.text(length)?)
            }
            0xDC | 0xDD => Value::Array(self.length(marker - 0xDC + 1)?),
            0xDE | 0xDF => Value::Map(self.length(marker - 0xDE + 1)?),
            0xC7..=0xC9 | 0xD4..=0xD8 => return Err(Fault::Extension),
            0xC1 => return Err(Fault::Marker),
        })
    }

    /// A length of one, two or four bytes.
    fn length(&mut self, size: u8) -> Result<usize, Fault> {
        Ok(match size {
            0 => u8::from_be_bytes(self.array()?).into(),
            1 => u16::from_be_bytes(self.array()?).into(),
            _ => u32::from_be_bytes(self.array()?) as usize,
        })
    }

    fn text(&mut self, length: usize) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Fault::Utf8)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        self.0.split_off(..length).ok_or(Fault::Cut)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Fault::Cut)?;
        self.0 = rest;
        Ok(*array)
    }
}
