//! The head of a frame: what stands before its payload.

use super::{CONTROL_BYTES_MAX, Violation};

/// Two bytes, eight of a longer length, four of a mask key.
pub(super) const HEAD_BYTES_MAX: usize = 14;

pub(super) const FIN: u8 = 0b1000_0000;
pub(super) const RSV1: u8 = 0b0100_0000;
pub(super) const MASKED: u8 = 0b1000_0000;
/// In place of a length: two bytes of length follow.
pub(super) const LENGTH_16: u8 = 126;
/// In place of a length: eight bytes of length follow.
pub(super) const LENGTH_64: u8 = 127;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// Goes on with fragmented text or binary.
    Continuation,
    /// UTF-8 text, or the beginning of it.
    Text,
    /// Bytes, or the beginning of them.
    Binary,
    /// Ends the connection.
    Close,
    /// Asks for a pong with the same payload.
    Ping,
    /// Answers a ping, or is a sign of life.
    Pong,
}

impl Opcode {
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        match number {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The head of a frame, with everything checked that does not depend on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) opcode: Opcode,
    pub(super) is_last: bool,
    /// RSV1, RSV2 and RSV3, the first as the highest bit.
    pub(super) reserved: u8,
    pub(super) mask: Option<[u8; 4]>,
    pub(super) payload_bytes: u64,
}

impl Head {
    /// The head that `bytes` begin with, and its length. `None`: it is not whole yet.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        let is_masked = second & MASKED != 0;
        let Some((payload_bytes, rest)) = read_length(second & !MASKED, rest)? else {
            return Ok(None);
        };
        let (mask, rest) = match rest.split_first_chunk::<4>() {
            Some((mask, rest)) if is_masked => (Some(*mask), rest),
            None if is_masked => return Ok(None),
            _ => (None, rest),
        };
        let number = first & 0b1111;
        let opcode = Opcode::of(number).ok_or(Violation::OpcodeUnknown { opcode: number })?;
        let is_last = first & FIN != 0;
        if opcode.is_control() && !is_last {
            return Err(Violation::ControlFragmented);
        }
        if opcode.is_control() && payload_bytes > CONTROL_BYTES_MAX as u64 {
            return Err(Violation::ControlTooLong { bytes: payload_bytes });
        }
        let reserved = (first >> 4) & 0b111;
        let head = Self { opcode, is_last, reserved, mask, payload_bytes };
        Ok(Some((head, bytes.len() - rest.len())))
    }
}

/// The length of the payload and what is behind it. `None`: it is not whole yet.
fn read_length(short: u8, bytes: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    let (length, least, rest) = match short {
        LENGTH_16 => match bytes.split_first_chunk() {
            Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), 126, rest),
            None => return Ok(None),
        },
        LENGTH_64 => match bytes.split_first_chunk() {
            Some((length, rest)) => (u64::from_be_bytes(*length), 1 << 16, rest),
            None => return Ok(None),
        },
        _ => (u64::from(short), 0, bytes),
    };
    if length < least {
        return Err(Violation::LengthNotMinimal { length });
    }
    if length >> 63 != 0 {
        return Err(Violation::LengthNegative);
    }
    Ok(Some((length, rest)))
}
