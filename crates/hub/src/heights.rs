//! Heights: where in a lane that is out of order somebody goes on who has everything up to a version.
//!
//! ```text
//! versions in the order of arrival   3  1  7  5  9  8
//! heights, each above all before     3     7     9       who has 6 lacks what comes from 7 on
//! ```
//!
//! The first change that somebody lacks is a height: all before it are older. So it is found without a
//! look at each.

use bellwire_model::Version;

use crate::entry::Arrival;

/// The changes of a lane that are newer than all that arrived before them. Some may be in the lane no
/// more: who goes on from there gets more than it lacks.
#[derive(Debug, Default)]
pub(crate) struct Heights(Vec<(Arrival, Version)>);

impl Heights {
    /// Bytes that each takes.
    pub(crate) const HEIGHT_BYTES: usize = size_of::<(Arrival, Version)>();

    /// Takes note of what arrives after all others.
    pub(crate) fn note(&mut self, arrival: Arrival, version: Version) {
        if self.0.last().is_none_or(|(_, highest)| *highest < version) {
            self.0.push((arrival, version));
        }
    }

    /// When the first arrived that is newer than `version`.
    pub(crate) fn first_above(&self, version: Version) -> Option<Arrival> {
        let first = self.0.partition_point(|(_, height)| *height <= version);
        self.0.get(first).map(|(arrival, _)| *arrival)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<(Arrival, Version)> for Heights {
    fn from_iter<T: IntoIterator<Item = (Arrival, Version)>>(arrived: T) -> Self {
        let mut heights = Self::default();
        arrived.into_iter().for_each(|(arrival, version)| heights.note(arrival, version));
        heights
    }
}
