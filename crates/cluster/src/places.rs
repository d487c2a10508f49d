//! Where in the log what is at an offset is.

use bellwire_model::Offset;
use bellwire_shared_log::Position;

/// So many bits of an offset say which event of an entry it is.
pub(crate) const EVENT_BITS: u32 = 14;

/// The place of what is at an offset: where it is in the log, unless places of its epoch are beyond those.
pub fn place_of(offset: Offset) -> Position {
    Position::new(offset.get() >> EVENT_BITS)
}
