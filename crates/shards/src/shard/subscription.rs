//! A subscription of a connection.

use bellwire_hub::Delivery;

/// Where a subscriber is, and its place among the members of its lane.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) delivery: Delivery,
    pub(super) place: u32,
}
