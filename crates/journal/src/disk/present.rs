//! Which offsets of a block have events, so that one that is missing is noticed.

mod runs;

use bellwire_model::Offset;

use super::block_number::BLOCK_OFFSETS;

pub(super) use runs::Runs;

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

/// How the offsets of a journal lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Layout {
    /// One follows the other: a block is as many offsets.
    #[default]
    Dense,
    /// With holes of any length between commits, as in a replica: a block is as many events.
    Sparse,
}

/// Offsets of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Offsets {
    Dense(Box<Bits>),
    Sparse(Runs),
}

impl Offsets {
    /// All that a block has.
    pub(super) fn all() -> Self {
        Self::Dense(Box::new(Bits::ALL))
    }

    /// None.
    pub(super) fn none(layout: Layout) -> Self {
        match layout {
            Layout::Dense => Self::Dense(Box::default()),
            Layout::Sparse => Self::Sparse(Runs::default()),
        }
    }

    pub(super) fn layout(&self) -> Layout {
        match self {
            Self::Dense(_) => Layout::Dense,
            Self::Sparse(_) => Layout::Sparse,
        }
    }

    /// One more, which is the newest of them.
    pub(super) fn push(&mut self, offset: Offset) {
        match self {
            Self::Dense(bits) => bits.set(offset),
            Self::Sparse(runs) => runs.push(offset),
        }
    }

    /// All of both, which are of one layout.
    pub(super) fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Dense(bits), Self::Dense(other)) => bits.add(**other),
            (Self::Sparse(runs), Self::Sparse(other)) => runs.add(other),
            _ => {}
        }
    }

    fn has(&self, offset: Offset) -> bool {
        match self {
            Self::Dense(bits) => bits.has(offset),
            Self::Sparse(runs) => runs.first_in(offset, offset.get() + 1).is_some(),
        }
    }

    /// As they are stored.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Dense(bits) => bits.to_bytes().to_vec(),
            Self::Sparse(runs) => runs.to_bytes(WORDS * 8),
        }
    }

    /// The counterpart of [`to_bytes`](Self::to_bytes).
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() == WORDS * 8 {
            Bits::from_bytes(bytes).map(Box::new).map(Self::Dense)
        } else {
            Runs::from_bytes(bytes).map(Self::Sparse)
        }
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
    Some(Box<Offsets>),
    /// The same, in the table only: it would take too much.
    Stored,
}

impl Present {
    /// Whether there may be an event.
    pub(super) fn may_have(&self, offset: Offset) -> bool {
        match self {
            Self::Unknown | Self::All | Self::Stored => true,
            Self::Some(offsets) => offsets.has(offset),
        }
    }

    /// The first offset from one on, and before another, at which there must be an event.
    pub(super) fn first_missing(&self, from: Offset, end: u64) -> Option<Offset> {
        if from.get() >= end {
            return None;
        }
        match self {
            Self::Unknown | Self::Stored => None,
            Self::All => Some(from),
            Self::Some(offsets) => match &**offsets {
                Offsets::Dense(bits) => {
                    (from.get()..end).map(Offset::new).find(|offset| bits.has(*offset))
                }
                Offsets::Sparse(runs) => runs.first_in(from, end),
            },
        }
    }

    /// The same at which there may be one.
    pub(super) fn first_possible(&self, from: Offset, end: u64) -> Option<Offset> {
        match self {
            Self::Unknown | Self::Stored => (from.get() < end).then_some(from),
            Self::All | Self::Some(_) => self.first_missing(from, end),
        }
    }

    /// Whether there must be an event.
    pub(super) fn must_have(&self, offset: Offset) -> bool {
        self.first_missing(offset, offset.get() + 1).is_some()
    }
}

impl From<Offsets> for Present {
    fn from(offsets: Offsets) -> Self {
        match offsets {
            Offsets::Dense(bits) if *bits == Bits::ALL => Self::All,
            offsets => Self::Some(Box::new(offsets)),
        }
    }
}

/// Offsets of a block that must have events and were not found.
pub(super) struct Missing {
    present: Present,
    next: Offset,
    last: Offset,
    offsets: Offsets,
}

impl Missing {
    /// Nothing was looked at yet of a block that is from the first to the last.
    pub(super) fn of(
        (first, last): (Offset, Offset),
        (present, layout): (Present, Layout),
    ) -> Self {
        Self { present, next: first, last, offsets: Offsets::none(layout) }
    }

    /// The next event is here: what must lie between is missing.
    pub(super) fn found(&mut self, offset: Offset) {
        self.pass_to(offset.get());
        self.next = Offset::new(offset.get() + 1);
    }

    /// All that is missing.
    pub(super) fn offsets(mut self) -> Offsets {
        self.pass_to(self.last.get() + 1);
        self.offsets
    }

    fn pass_to(&mut self, end: u64) {
        while let Some(offset) = self.present.first_missing(self.next, end) {
            self.offsets.push(offset);
            self.next = Offset::new(offset.get() + 1);
        }
    }
}
