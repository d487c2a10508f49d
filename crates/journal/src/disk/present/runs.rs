//! Offsets that come in stretches, with holes of any length in between.

use bellwire_model::Offset;

/// The first of each stretch, and what follows its last one, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::disk) struct Runs {
    runs: Vec<(u64, u64)>,
    count: u64,
}

/// What is stored begins with it.
const MARK: u8 = 1;
/// The same where a byte more is stored, so that it is not as long as another kind.
const PADDED: u8 = 2;

impl Runs {
    /// One more, behind all.
    pub(super) fn push(&mut self, offset: Offset) {
        let offset = offset.get();
        self.count += 1;
        match self.runs.last_mut() {
            Some((_, end)) if *end == offset => *end += 1,
            _ => self.runs.push((offset, offset + 1)),
        }
    }

    /// All of both.
    pub(super) fn add(&mut self, other: &Self) {
        let mut both = [self.runs.as_slice(), other.runs.as_slice()].concat();
        both.sort_unstable();
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (first, end) in both {
            match runs.last_mut() {
                Some((_, last)) if *last >= first => *last = end.max(*last),
                _ => runs.push((first, end)),
            }
        }
        *self = Self::of(runs);
    }

    fn of(runs: Vec<(u64, u64)>) -> Self {
        let count = runs.iter().map(|(first, end)| end - first).sum();
        Self { runs, count }
    }

    /// How many there are.
    pub(in crate::disk) fn count(&self) -> u64 {
        self.count
    }

    /// The newest.
    pub(in crate::disk) fn last(&self) -> Option<Offset> {
        self.runs.last().map(|(_, end)| Offset::new(end - 1))
    }

    /// The first from one on, and before another.
    pub(super) fn first_in(&self, from: Offset, end: u64) -> Option<Offset> {
        let at = self.runs.partition_point(|(_, end)| *end <= from.get());
        let first = self.runs.get(at)?.0.max(from.get());
        (first < end).then_some(Offset::new(first))
    }

    /// As they are stored, in another length than `length`: of each stretch how far it is from the one
    /// before, and how long it is.
    pub(super) fn to_bytes(&self, length: usize) -> Vec<u8> {
        let (mut bytes, mut before) = (vec![MARK], 0);
        for (first, end) in &self.runs {
            write_number(&mut bytes, first - before);
            write_number(&mut bytes, end - first);
            before = *end;
        }
        if bytes.len() == length {
            bytes[0] = PADDED;
            bytes.push(0);
        }
        bytes
    }

    /// The counterpart of [`to_bytes`](Self::to_bytes).
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut bytes = match bytes.split_first()? {
            (&MARK, bytes) => bytes,
            (&PADDED, bytes) => bytes.split_last()?.1,
            _ => return None,
        };
        let (mut runs, mut before) = (Vec::new(), 0_u64);
        while !bytes.is_empty() {
            let first = before.checked_add(read_number(&mut bytes)?)?;
            before = first.checked_add(read_number(&mut bytes)?)?;
            runs.push((first, before));
        }
        Some(Self::of(runs))
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn runs(offsets: &BTreeSet<u64>) -> Runs {
        let mut runs = Runs::default();
        for offset in offsets {
            runs.push(Offset::new(*offset));
        }
        runs
    }

    proptest! {
        #[test]
        fn stretches_are_a_set(
            offsets in prop::collection::btree_set(0..200_u64, 0..80),
            others in prop::collection::btree_set(0..200_u64, 0..80),
            length in 0..40_usize,
        ) {
            let mut both = runs(&offsets);
            both.add(&runs(&others));
            let all = &offsets | &others;
            prop_assert_eq!(&both, &runs(&all));
            prop_assert_eq!(both.count(), all.len() as u64);
            prop_assert_eq!(both.last(), all.last().copied().map(Offset::new));
            for from in 0..=200 {
                let next = all.range(from..).next().copied().map(Offset::new);
                prop_assert_eq!(both.first_in(Offset::new(from), u64::MAX), next);
                let near = next.filter(|offset| offset.get() < from + 3);
                prop_assert_eq!(both.first_in(Offset::new(from), from + 3), near);
            }
            let bytes = both.to_bytes(length);
            prop_assert!(bytes.len() != length);
            prop_assert_eq!(Runs::from_bytes(&bytes), Some(both));
        }

        #[test]
        fn other_bytes_are_none_or_some_and_never_a_panic(bytes: Vec<u8>) {
            let _ = Runs::from_bytes(&bytes);
        }
    }

    #[test]
    fn the_largest_offset_is_stored() {
        let mut runs = Runs::default();
        runs.push(Offset::new(u64::MAX >> 1));
        assert_eq!(Runs::from_bytes(&runs.to_bytes(0)), Some(runs));
    }
}
