//! Numbers of blocks, which are stretches of offsets.

use bellwire_model::Offset;

/// Offsets of one block. Part of the file format.
pub(super) const BLOCK_OFFSETS: u64 = 1024;

/// A block: the offsets from `n * 1024` on. Those of a replica may go on beyond the next numbers, until
/// they have as many events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BlockNumber(pub(super) u64);

impl BlockNumber {
    /// The block that `offset` is in.
    pub(super) fn of(offset: Offset) -> Self {
        Self(offset.get() / BLOCK_OFFSETS)
    }

    /// The block's first offset.
    pub(super) fn first(self) -> Offset {
        Offset::new(self.0 * BLOCK_OFFSETS)
    }

    /// The block's last offset.
    pub(super) fn last(self) -> Offset {
        Offset::new(self.0 * BLOCK_OFFSETS + BLOCK_OFFSETS - 1)
    }
}
