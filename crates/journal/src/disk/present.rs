//! Which offsets of a block have events, so that one that is missing is noticed.

use bellwire_model::Offset;

use super::block_number::{BLOCK_OFFSETS, BlockNumber};

const WORDS: usize = BLOCK_OFFSETS as usize / 64;

/// One bit for each offset of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits([u64; WORDS]);

impl Bits {
    /// Every offset has an event.
    pub(super) const ALL: Self = Self([u64::MAX; WORDS]);

    pub(super) fn set(&mut self, offset: Offset) {
        let bit = offset.get() % BLOCK_OFFSETS;
        self.0[(bit / 64) as usize] |= 1 << (bit % 64);
    }

    /// All of both.
    pub(super) fn add(&mut self, other: Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word |= other;
        }
    }

    fn has(&self, offset: Offset) -> bool {
        let bit = offset.get() % BLOCK_OFFSETS;
        self.0[(bit / 64) as usize] >> (bit % 64) & 1 == 1
    }

    /// As it is stored.
    pub(super) fn to_bytes(self) -> [u8; WORDS * 8] {
        let mut bytes = [0; WORDS * 8];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The counterpart of [`to_bytes`](Self::to_bytes).
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks() else { return None };
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        words.try_into().ok().map(Self)
    }
}

/// What is known of a block's offsets.
#[derive(Clone, Debug, Default)]
pub(super) enum Present {
    /// Nothing: the block is from before this was stored.
    #[default]
    Unknown,
    /// Each has an event.
    All,
    /// Those that have one.
    Some(Box<Bits>),
}

impl Present {
    /// Whether there may be an event.
    pub(super) fn may_have(&self, offset: Offset) -> bool {
        match self {
            Self::Unknown | Self::All => true,
            Self::Some(bits) => bits.has(offset),
        }
    }

    /// Whether there must be an event.
    pub(super) fn must_have(&self, offset: Offset) -> bool {
        !matches!(self, Self::Unknown) && self.may_have(offset)
    }
}

impl From<Bits> for Present {
    fn from(bits: Bits) -> Self {
        if bits == Bits::ALL { Self::All } else { Self::Some(Box::new(bits)) }
    }
}

/// Offsets of a block that must have events and were not found.
pub(super) struct Missing {
    present: Present,
    next: Offset,
    last: Offset,
    bits: Bits,
}

impl Missing {
    /// Nothing was looked at yet.
    pub(super) fn of(number: BlockNumber, present: Present) -> Self {
        Self { present, next: number.first(), last: number.last(), bits: Bits::default() }
    }

    /// The next event is here: what must lie between is missing.
    pub(super) fn found(&mut self, offset: Offset) {
        self.pass_to(offset.get());
        self.next = Offset::new(offset.get() + 1);
    }

    /// All that is missing.
    pub(super) fn bits(mut self) -> Bits {
        self.pass_to(self.last.get() + 1);
        self.bits
    }

    fn pass_to(&mut self, end: u64) {
        let between = (self.next.get()..end).map(Offset::new);
        for offset in between.filter(|offset| self.present.must_have(*offset)) {
            self.bits.set(offset);
        }
    }
}
