//! What a peer can do wrong, and the code under which the connection is closed for it.

use bellwire_model::limits::WEBSOCKET_FRAGMENTS_MAX;
use thiserror::Error;

use super::CONTROL_BYTES_MAX;

/// Why a connection is closed. Only codes that may stand in a close frame can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// All was said.
    pub const NORMAL: Self = Self(1000);
    /// The server shuts down, or the client leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// A frame breaks the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// Text where binary is spoken, or the other way round.
    pub const UNSUPPORTED: Self = Self(1003);
    /// Text that is not UTF-8, or bytes that do not inflate.
    pub const INVALID_DATA: Self = Self(1007);
    /// A rule that no other code stands for.
    pub const POLICY: Self = Self(1008);
    /// More bytes than allowed.
    pub const TOO_LARGE: Self = Self(1009);
    /// The server has no room now.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// The code with this number; `None` where no close frame may carry it: 1004 to 1006 and
    /// 1015 are reserved, those from 1016 to 2999 not given out, and from 5000 on there are none.
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(number)),
            _ => None,
        }
    }

    /// The code's number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// What a peer did wrong. The connection must be closed with [`Violation::close_code`] and the
/// text of this as the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Violation {
    /// An opcode that RFC 6455 does not define.
    #[error("opcode {opcode:#x} is not defined")]
    OpcodeUnknown {
        /// Which.
        opcode: u8,
    },
    /// A reserved bit that no extension of the connection gives a meaning.
    #[error("reserved bits {bits:#05b} are set; no extension in use means them here")]
    ReservedBits {
        /// RSV1, RSV2 and RSV3, the first as the highest bit.
        bits: u8,
    },
    /// A client's frame without a mask.
    #[error("a frame from the client is not masked")]
    Unmasked,
    /// A server's frame with a mask.
    #[error("a frame from the server is masked")]
    Masked,
    /// A length in more bytes than it needs.
    #[error("a length of {length} is not written in as few bytes as it takes")]
    LengthNotMinimal {
        /// The length.
        length: u64,
    },
    /// A length with its highest bit set.
    #[error("a length has its highest bit set")]
    LengthNegative,
    /// A control frame that is not whole.
    #[error("a control frame is fragmented")]
    ControlFragmented,
    /// A control frame that is too long.
    #[error("a control frame has at most {CONTROL_BYTES_MAX} bytes, not {bytes}")]
    ControlTooLong {
        /// The length found.
        bytes: u64,
    },
    /// A continuation of nothing.
    #[error("a continuation frame, but nothing to continue")]
    ContinuationOfNothing,
    /// New text or binary before the last has ended.
    #[error("a new message begins before the fragmented one before it has ended")]
    Interleaved,
    /// A message that is too large, compressed or not.
    #[error("a message has at most {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: u32,
    },
    /// A message in too many frames.
    #[error("a message has at most {WEBSOCKET_FRAGMENTS_MAX} fragments")]
    TooManyFragments,
    /// Text that is not UTF-8.
    #[error("a text message is not UTF-8")]
    Utf8,
    /// Compressed bytes that do not inflate.
    #[error("a compressed message does not inflate")]
    Deflate,
    /// A close frame with half a code.
    #[error("a close frame has one byte; its code has two")]
    CloseCodeCut,
    /// A close frame with a code that must not be sent.
    #[error("a close frame has code {code}, which must not be sent")]
    CloseCodeInvalid {
        /// Which.
        code: u16,
    },
    /// A close frame whose reason is not UTF-8.
    #[error("the reason of a close frame is not UTF-8")]
    CloseReasonUtf8,
}

impl Violation {
    /// The code to close the connection with.
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::TooLarge { .. } | Self::TooManyFragments => CloseCode::TOO_LARGE,
            Self::Utf8 | Self::Deflate | Self::CloseReasonUtf8 => CloseCode::INVALID_DATA,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}
