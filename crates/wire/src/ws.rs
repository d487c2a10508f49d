//! WebSocket (RFC 6455, RFC 7692): frames out, frames in, and the headers of the handshake.
//!
//! ```text
//!  0               1               2 … 9          0, or 4
//! ┌─┬───┬───────┬─┬─────────────┬───────────────┬──────────┬─────────┐
//! │F│RSV│ opcode│M│   length    │ longer length │ mask key │ payload │
//! └─┴───┴───────┴─┴─────────────┴───────────────┴──────────┴─────────┘
//! ```
//!
//! A server's frames have no mask, so a whole frame is the same bytes for all connections: it is
//! made once and shared. A client's frames are masked, and unmasked where they lie.

mod decoder;
mod deflate;
mod frame;
mod handshake;
mod head;
mod offer;
mod utf8;
mod violation;

pub use crate::deflate::{Deflater, Inflater};
pub use decoder::{Close, Decoder, Input, Received, Role};
pub use frame::{build, close, close_payload, frame, masked_frame, ping, pong};
pub use handshake::{
    HandshakeError, Subprotocol, VERSION, accept_key, check_key, check_version, choose_subprotocol,
};
pub use head::Opcode;
pub use offer::{Compression, answer_offers};
pub use violation::{CloseCode, Violation};

/// Bytes of a control frame's payload, as RFC 6455 bounds it.
pub const CONTROL_BYTES_MAX: usize = 125;
