//! How far behind a subscriber is.

use super::Hub;
use crate::delivery::Delivery;
use crate::entry::{Entry, Payload};

/// What a subscriber is yet to be given.
#[derive(Debug)]
pub struct Lag<'a, P> {
    /// Events of streams. Of what lies behind the lane all events of the journal count, matching
    /// or not: only reading them would tell.
    pub events: u64,
    /// The first of them, where the lane has it.
    pub first: Option<&'a Entry<P>>,
}

impl<P: Payload> Hub<P> {
    /// How far behind a subscriber is.
    pub fn lag(&self, delivery: &Delivery) -> Lag<'_, P> {
        let lane = self.lanes.get(delivery.lane);
        if delivery.offset < lane.since {
            let events = self.tail.get() - delivery.offset.get();
            return Lag { events, first: None };
        }
        let start = lane.first_after(delivery.offset);
        let events = (lane.entries.len() - start) as u64;
        Lag { events, first: lane.entries.get(start).map(AsRef::as_ref) }
    }
}
