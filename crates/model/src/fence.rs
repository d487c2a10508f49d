//! What a writer says of what it writes, so that it counts exactly once.

use crate::shares::Holder;

/// Which writer this is, in which of its lives, and which of its events.
///
/// A writer begins each life with an epoch above all before it, and counts its events on a topic from 0
/// in each. So what is sent twice is known, what is missing is missed, and a life that is over writes
/// nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The writer's name, which stays the same. Whose it is may stand before it, up to a line's end.
    pub producer: Box<str>,
    /// The life, up to [`Self::NUMBER_MAX`].
    pub epoch: u64,
    /// The event, up to [`Self::NUMBER_MAX`].
    pub sequence: u64,
}

impl Fence {
    /// What a number of JSON can be without losing digits, in any language.
    pub const NUMBER_MAX: u64 = (1 << 53) - 1;

    /// Who has a share of what is remembered of writers, for the one of this name.
    pub fn holder(producer: &str) -> Holder {
        Holder::named(producer.rsplit_once('\n').map_or("", |(whose, _)| whose))
    }
}
