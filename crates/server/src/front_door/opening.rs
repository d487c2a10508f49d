//! What a handler wants opened, on its way to a shard.

use std::sync::Arc;

use bellwire_shards::{Held, Place};

use crate::access::Permitted;
use crate::admission::Visitor;
use crate::allowances::Counted;

/// A stream that is to be opened.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) permitted: Permitted,
    /// Whose it is, where that is not whose the connection is.
    pub(crate) visitor: Option<Arc<Visitor>>,
    /// Queries that it follows.
    pub(crate) followed: Vec<Held>,
}

impl Opening {
    /// What its connection holds for it.
    pub(super) fn place(visitor: Option<Arc<Visitor>>) -> Option<Box<Place>> {
        visitor.map(|visitor| Place::new(Some(visitor.address), visitor))
    }
}

/// What a connection holds, with the queries that it follows.
pub(super) fn following(place: Option<Box<Place>>, followed: Vec<Held>) -> Option<Box<Place>> {
    if followed.is_empty() { place } else { Some(Place::with(place, followed)) }
}

/// What a connection holds, with where it is counted among those of its subject.
pub(super) fn counted(
    place: Option<Box<Place>>,
    counted: Option<Arc<Counted>>,
) -> Option<Box<Place>> {
    match counted {
        Some(counted) => Some(Place::counted(place, counted)),
        None => place,
    }
}
