//! The numbers by which an engine knows rules, their parts, and groups.

/// The place of a rule among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RuleId(u32);

impl RuleId {
    /// The rule at a place.
    pub(super) fn at(place: usize) -> Self {
        Self(place as u32)
    }

    /// As an index.
    pub(super) fn place(self) -> usize {
        self.0 as usize
    }
}

/// A part among those of its rule; the number is used again once the part is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PartNumber(u32);

impl PartNumber {
    /// The part at a place.
    pub(super) fn at(place: usize) -> Self {
        Self(place as u32)
    }

    /// As an index.
    pub(super) fn place(self) -> usize {
        self.0 as usize
    }
}

/// A part of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PartId {
    pub(super) rule: RuleId,
    pub(super) number: PartNumber,
}

/// The place of a group among those that tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupId(u32);

impl GroupId {
    /// The group at a place.
    pub(super) fn at(place: usize) -> Self {
        Self(place as u32)
    }

    /// As an index.
    pub(super) fn place(self) -> usize {
        self.0 as usize
    }
}
