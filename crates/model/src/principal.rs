//! Who asks, and what they may see.

/// Who asks for something, as a number that whoever grants gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Principal(pub u32);

impl Principal {
    /// Somebody who has not said who they are.
    pub const ANONYMOUS: Self = Self(0);
}

/// What a principal may see, as a number: who have the same see the same, and may share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grants(pub u32);

impl Grants {
    /// Everything that there is to see.
    pub const ALL: Self = Self(0);

    /// What a principal may see: there are no restrictions yet.
    pub fn of(Principal(_): Principal) -> Self {
        Self::ALL
    }
}
