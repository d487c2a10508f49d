//! A topic by its number.

/// Stands for a topic within one journal: small, and faster to compare than the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TopicId(pub(crate) u32);
