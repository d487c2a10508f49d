//! What the engine in memory holds: batches and registers in one order, without any fault.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use bytes::Bytes;

use crate::{Entry, Error, Fence, Generation, Position, Register, Span};

/// What a following is handed at once, in bytes.
pub(super) const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Each so many batches a place stays free, so that nobody counts on there being no holes.
const BATCHES_PER_HOLE: u64 = 5;

/// Whether it takes more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Space {
    /// It does.
    #[default]
    Enough,
    /// It does not.
    None,
}

/// One order of batches and of what registers were set to; the latter leave holes.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    batches: BTreeMap<Position, Bytes>,
    registers: BTreeMap<String, Register>,
    /// The newest place that was taken.
    last: u64,
    /// How many batches were ever stored.
    count: u64,
    /// The newest batch that was removed.
    trimmed: Position,
    pub(super) space: Space,
}

impl Store {
    pub(super) fn append(
        &mut self,
        batch: Bytes,
        fence: Option<&Fence>,
    ) -> Result<Position, Error> {
        if let Some(fence) = fence
            && self.register(&fence.register).generation != fence.generation
        {
            return Err(Error::Fenced(fence.register.clone()));
        }
        self.check_space()?;
        self.count += 1;
        self.last += if self.count.is_multiple_of(BATCHES_PER_HOLE) { 2 } else { 1 };
        let position = Position::new(self.last);
        self.batches.insert(position, batch);
        Ok(position)
    }

    pub(super) fn set_register(
        &mut self,
        name: &str,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, Error> {
        let found = self.register(name);
        if found.generation != expected {
            return Err(Error::Changed(found));
        }
        self.check_space()?;
        self.last += 1;
        let generation = Generation::new(self.last);
        self.registers.insert(name.to_owned(), Register { generation, value });
        Ok(generation)
    }

    pub(super) fn register(&self, name: &str) -> Register {
        self.registers.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn registers(&self, prefix: &str) -> Vec<String> {
        let begins_so = |name: &&String| name.starts_with(prefix);
        self.registers.keys().filter(begins_so).cloned().collect()
    }

    pub(super) fn entry(&self, at: Position) -> Option<Entry> {
        self.batches.get(&at).map(|batch| Entry { position: at, batch: batch.clone() })
    }

    pub(super) fn span(&self) -> Span {
        Span { trimmed: self.trimmed, tail: Position::new(self.last) }
    }

    pub(super) fn trim(&mut self, until: Position) {
        let Some((&newest, _)) = self.batches.range(..=until).next_back() else { return };
        self.trimmed = newest;
        self.batches.retain(|&position, _| position > until);
    }

    /// Fails where batches behind this place are gone.
    pub(super) fn check_kept(&self, after: Position) -> Result<(), Error> {
        if self.trimmed > after { Err(Error::Trimmed(self.trimmed)) } else { Ok(()) }
    }

    pub(super) fn has_more(&self, after: Position) -> bool {
        self.behind(after).next().is_some()
    }

    /// What is behind this place, up to so many and to [`PAGE_BYTES_MAX`].
    pub(super) fn page(&self, after: Position, entries_max: usize) -> Vec<Entry> {
        let mut bytes = 0;
        let fits = |entry: &Entry| {
            bytes += entry.batch.len();
            bytes <= PAGE_BYTES_MAX
        };
        self.behind(after).take(entries_max).take_while(fits).collect()
    }

    fn behind(&self, after: Position) -> impl Iterator<Item = Entry> {
        let of = |(&position, batch): (&Position, &Bytes)| Entry { position, batch: batch.clone() };
        self.batches.range((Excluded(after), Unbounded)).map(of)
    }

    fn check_space(&self) -> Result<(), Error> {
        match self.space {
            Space::Enough => Ok(()),
            Space::None => Err(Error::Full("it was filled".into())),
        }
    }
}
