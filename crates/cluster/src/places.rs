//! Places in the log and offsets: which event of an entry it is, in the lowest bits of the entry's place.
//!
//! ```text
//! offset   place + shift                     │ which event
//!          50 bits                           │ 14 bits
//! ```

use bellwire_model::Offset;
use bellwire_shared_log::Position;

/// So many bits of an offset say which event of an entry it is.
pub(crate) const EVENT_BITS: u32 = 14;

/// How many places the offsets of an epoch are ahead of the log: what its base has comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shift(u64);

impl Shift {
    /// They are the log's.
    pub(crate) const NONE: Self = Self(0);

    /// So many.
    pub(crate) const fn new(places: u64) -> Self {
        Self(places)
    }

    /// The least with which all that is in the log comes behind an offset.
    pub(crate) fn behind(tail: Offset) -> Self {
        Self(tail.get() >> EVENT_BITS)
    }

    /// How many.
    pub(crate) const fn get(self) -> u64 {
        self.0
    }

    /// The offset of the first event of the entry at a place.
    pub(crate) fn offset_of(self, place: Position) -> Offset {
        Offset::new((place.get() + self.0) << EVENT_BITS)
    }

    /// The place in the log of what is at an offset: before all entries where it is of the base.
    pub(crate) fn place_of(self, offset: Offset) -> Position {
        Position::new((offset.get() >> EVENT_BITS).saturating_sub(self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_in_the_log_comes_behind_the_base_and_is_found_again(
            tail in 0..1_u64 << 40,
            place in 1..1_u64 << 40,
            event in 0..1_u64 << EVENT_BITS,
        ) {
            let (tail, place) = (Offset::new(tail), Position::new(place));
            let shift = Shift::behind(tail);
            let offset = shift.offset_of(place);
            prop_assert!(offset > tail);
            prop_assert_eq!(shift.place_of(Offset::new(offset.get() + event)), place);
            prop_assert_eq!(shift.place_of(tail), Position::START);
        }
    }
}
