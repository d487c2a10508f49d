//! What comes next for a subscriber.

use std::collections::vec_deque;
use std::sync::Arc;

use bellwire_model::{Cursor, Offset, Version};

use crate::delivery::{Delivery, Gap};
use crate::entry::{Arrival, Entry, Value};
use crate::lane::{Arrived, Lane};

/// What comes next for a subscriber. Tell its [`Delivery`] of each thing that was taken.
#[derive(Debug)]
pub enum Next<'a, P> {
    /// These entries, in order. Taken by [`Delivery::took_entry`].
    Entries(Entries<'a, P>),
    /// These values, in order. Taken by [`Delivery::took_value`].
    Values(Values<'a, P>),
    /// A page of history is to be read from here and given to
    /// [`Hub::push_history`](crate::Hub::push_history).
    History(Offset),
    /// A gap is to be told. Taken by [`Delivery::took_gap`].
    Gap(Gap),
    /// The subscriber is to be told that it is live as of this cursor. Taken by
    /// [`Delivery::took_ready`].
    Ready(Cursor),
    /// It takes another call to find out: others may want their turn before it.
    Later,
    /// Nothing until its lane is touched.
    Nothing,
}

/// A run of entries: of a lane, or of a page of history.
#[derive(Debug)]
pub enum Entries<'a, P> {
    /// From the lane.
    Lane(vec_deque::Iter<'a, Arc<Entry<P>>>),
    /// From a page of history, which ends here: when all are taken the subscriber has everything
    /// up to this offset.
    Page(std::slice::Iter<'a, Arc<Entry<P>>>, Offset),
}

impl<'a, P> Iterator for Entries<'a, P> {
    type Item = &'a Arc<Entry<P>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Lane(entries) => entries.next(),
            Self::Page(entries, _) => entries.next(),
        }
    }
}

/// A run of values of a lane, each with its arrival. It leaves out what the subscriber has no use
/// for: values that a newer one follows, and keys that were gone before its snapshot.
#[derive(Debug)]
pub struct Values<'a, P> {
    lane: &'a Lane<P>,
    rest: vec_deque::Iter<'a, Arrived<P>>,
    /// The newest change that was pushed to the hub.
    as_of: Version,
    snapshot: Arrival,
    end: Arrival,
}

impl<'a, P> Values<'a, P> {
    /// What `delivery` lacks of `lane`, which has everything up to `end`.
    pub(crate) fn new(
        lane: &'a Lane<P>,
        delivery: &Delivery,
        (as_of, end): (Version, Arrival),
    ) -> Self {
        let start = lane.values.partition_point(|arrived| arrived.arrival <= delivery.arrival);
        let rest = lane.values.range(start..);
        Self { lane, rest, as_of, snapshot: delivery.snapshot, end }
    }

    /// A value that arrives after this is in the order of versions, and comes when all older ones
    /// have: who takes it has every change up to it. `None` where none is.
    pub fn in_order_after(&self) -> Option<Arrival> {
        let is_ordered = !self.lane.is_screened() && !self.lane.is_paced();
        is_ordered.then(|| self.snapshot.max(self.lane.ordered_after))
    }

    /// How many values there are at most.
    pub fn count_max(&self) -> usize {
        self.rest.len()
    }

    /// When all are taken the subscriber has everything up to here. Taken by
    /// [`Delivery::took_values`], be there any values or none.
    pub fn end(&self) -> Arrival {
        self.end
    }
}

impl<'a, P> Iterator for Values<'a, P> {
    type Item = (Arrival, &'a Arc<Value<P>>);

    fn next(&mut self) -> Option<Self::Item> {
        let Self { lane, as_of, snapshot, .. } = *self;
        let is_of_use = |arrived: &&Arrived<P>| {
            let is_old_deletion = arrived.value.is_deletion && arrived.arrival <= snapshot;
            !is_old_deletion && !lane.is_stale(&arrived.value, as_of)
        };
        let arrived = self.rest.by_ref().find(is_of_use)?;
        Some((arrived.arrival, &arrived.value))
    }
}
