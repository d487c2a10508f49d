//! Who follows what: a subscriber joins a lane, leaves it, and moves from one to another when it
//! follows more or less than before.
//!
//! ```text
//!            join ──▶ lane a ─┐ both complete
//! subscriber                  ├─ unite ──▶ lane a ∪ b ── narrow ──▶ lane b
//!            join ──▶ lane b ─┘
//! ```
//!
//! A lane has every change of its state topics that was pushed and is not stale, whoever it was
//! made for. So lanes can be made from lanes, and only the first needs the state table.

use std::sync::Arc;

use bellwire_model::{FilterSet, Version};

use super::Hub;
use crate::delivery::{Begin, Delivery, Gap};
use crate::entry::Value;
use crate::lane::LaneId;
use crate::state::Snapshot;

/// Whether a lane ended with its last subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneEnd {
    /// Others follow it.
    Stays,
    /// Nobody does; its number may be given out again.
    Ended,
}

/// What became of the two lanes that subscribers left when they were united.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneEnds {
    /// The lane of the one that goes on.
    pub main: LaneEnd,
    /// The lane of the one that was added to it.
    pub added: LaneEnd,
}

impl<P> Hub<P> {
    /// Adds a subscriber. Where there is no lane for its filters yet, `snapshot` is what the new one
    /// starts from, as of the newest change that has been pushed: a change more or less would be
    /// lost or come twice. Returns the gap to tell the subscriber before all else, if any.
    pub fn join(
        &mut self,
        filters: &FilterSet,
        begin: Begin,
        snapshot: Option<Snapshot<P>>,
    ) -> (Delivery, Option<Gap>) {
        let lane = self.lanes.find(filters).unwrap_or_else(|| {
            let Snapshot { version, values } = snapshot.expect("a new lane starts from a snapshot");
            assert_eq!(version, self.version, "a snapshot is as of the newest push");
            self.lanes.create(filters.clone(), (self.tail, values))
        });
        self.lanes.get_mut(lane).subscribers += 1;
        Delivery::new(lane, begin, self.tail(), self.version)
    }

    /// Removes a subscriber.
    pub fn leave(&mut self, delivery: &Delivery) -> LaneEnd {
        self.part(delivery.lane)
    }

    /// Lets `main` follow what `added` follows, too, as one subscriber with one order. Both must be
    /// [complete](Self::is_complete).
    pub fn unite(&mut self, main: &mut Delivery, added: Delivery) -> LaneEnds {
        assert!(self.is_complete(main) && self.is_complete(&added), "both have all there is");
        let (one, other) = (self.lanes.get(main.lane), self.lanes.get(added.lane));
        let union = one.filters.union(&other.filters);
        let lane = if let Some(lane) = self.lanes.find(&union) {
            lane
        } else {
            let both = one.values.iter().chain(&other.values);
            // Nobody but `main` begins here, and it knows what is gone.
            let is_live =
                |value: &&Arc<Value<P>>| !value.is_deletion && !value.is_stale(self.version);
            let values = both.filter(is_live).cloned().collect();
            self.lanes.create(union, (self.tail, values))
        };
        main.offset = self.tail;
        main.version = self.version;
        LaneEnds { main: self.change_lane(main, lane), added: self.part(added.lane) }
    }

    /// Lets a subscriber follow only a part of what it followed, wherever it is. What it lacks of
    /// that part still comes.
    pub fn narrow(&mut self, delivery: &mut Delivery, filters: &FilterSet) -> LaneEnd {
        let old = self.lanes.get(delivery.lane);
        debug_assert!(old.filters.covers(filters), "a part of what it followed");
        let found = self.lanes.find(filters);
        // A lane that is there has it all but the deletions that its own subscribers have seen.
        let since = if found.is_some() { delivery.version } else { Version::ZERO };
        let is_needed =
            |value: &&Arc<Value<P>>| value.version > since && filters.matches(&value.topic);
        let values: Vec<_> = old.values.iter().filter(is_needed).cloned().collect();
        let lane = if let Some(lane) = found {
            self.lanes.get_mut(lane).merge(values);
            lane
        } else {
            self.lanes.create(filters.clone(), (self.tail, values))
        };
        self.change_lane(delivery, lane)
    }

    fn change_lane(&mut self, delivery: &mut Delivery, lane: LaneId) -> LaneEnd {
        self.lanes.get_mut(lane).subscribers += 1;
        self.part(std::mem::replace(&mut delivery.lane, lane))
    }

    fn part(&mut self, id: LaneId) -> LaneEnd {
        let lane = self.lanes.get_mut(id);
        lane.subscribers -= 1;
        if lane.subscribers > 0 {
            return LaneEnd::Stays;
        }
        self.lanes.remove(id);
        self.history.forget(id);
        LaneEnd::Ended
    }
}
