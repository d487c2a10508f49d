//! Who asks.

/// Who asks for something, as a number that whoever grants gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal(pub u32);

impl Principal {
    /// Somebody who has not said who they are.
    pub const ANONYMOUS: Self = Self(0);
}
