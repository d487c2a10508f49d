//! What a handler wants opened, on its way to a shard.

use std::sync::Arc;

use bellwire_shards::Place;

use crate::access::Permitted;
use crate::admission::Visitor;

/// A stream that is to be opened.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) permitted: Permitted,
    /// Whose it is, where that is not whose the connection is.
    pub(crate) visitor: Option<Arc<Visitor>>,
}

impl Opening {
    /// What its connection holds for it.
    pub(super) fn place(visitor: Option<Arc<Visitor>>) -> Option<Box<Place>> {
        visitor.map(|visitor| Place::new(Some(visitor.address), visitor))
    }
}
