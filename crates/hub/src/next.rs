//! What comes next for a subscriber.

use std::cell::Cell;
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
/// for: values that a newer one follows, and keys that were gone before its snapshot. Where that is
/// very many the run ends behind some of them, so that others get their turn.
#[derive(Debug)]
pub struct Values<'a, P> {
    lane: &'a Lane<P>,
    rest: vec_deque::Iter<'a, Arrived<P>>,
    /// The newest change that was pushed to the hub.
    as_of: Version,
    snapshot: Arrival,
    is_ahead: bool,
    end: Arrival,
    looks: Looks<'a>,
}

/// What may be left out of a run, and where that is counted.
#[derive(Debug)]
pub(crate) struct Looks<'a> {
    pub(crate) left: usize,
    pub(crate) counted: &'a Cell<u64>,
}

impl<'a, P> Values<'a, P> {
    /// What `delivery` lacks of `lane`, which has everything up to `end`.
    pub(crate) fn new(
        lane: &'a Lane<P>,
        delivery: &Delivery,
        (as_of, end): (Version, Arrival),
        looks: Looks<'a>,
    ) -> Self {
        let start = lane.values.partition_point(|arrived| arrived.arrival <= delivery.arrival);
        let rest = lane.values.range(start..);
        let Delivery { snapshot, is_ahead, .. } = *delivery;
        Self { lane, rest, as_of, snapshot, is_ahead, end, looks }
    }

    /// A value that arrives after this is in the order of versions, and comes when all older ones
    /// have: who takes it has every change up to it. `None` where none is.
    pub fn in_order_after(&self) -> Option<Arrival> {
        self.ordered_after().map(|after| self.snapshot.max(after))
    }

    /// Values that arrive after this are in the order of versions. `None` where none is.
    pub fn ordered_after(&self) -> Option<Arrival> {
        let is_ordered = !self.lane.is_screened() && !self.lane.is_paced();
        is_ordered.then_some(self.lane.ordered_after)
    }

    /// How many values there are at most.
    pub fn count_max(&self) -> usize {
        self.rest.len()
    }

    /// Whoever has taken all of it has everything up to here. Taken by
    /// [`Delivery::took_values`], be there any values or none.
    pub fn end(&self) -> Arrival {
        self.end
    }
}

impl<'a, P> Iterator for Values<'a, P> {
    type Item = (Arrival, &'a Arc<Value<P>>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Arrived { arrival, value } = self.rest.next()?;
            let is_old_deletion = value.is_deletion && *arrival <= self.snapshot;
            let is_old = self.lane.is_stale(value, self.as_of)
                || (self.is_ahead && self.lane.is_superseded(value, self.as_of));
            if !is_old_deletion && !is_old {
                return Some((*arrival, value));
            }
            let Looks { left, counted } = &mut self.looks;
            counted.set(counted.get() + 1);
            *left = left.saturating_sub(1);
            if *left == 0 && self.rest.len() > 0 {
                self.end = *arrival;
                self.rest = vec_deque::Iter::default();
            }
        }
    }
}
