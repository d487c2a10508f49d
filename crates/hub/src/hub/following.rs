//! Who follows what: a subscriber joins a lane, leaves it, and moves from one to another when it
//! follows more or less than before.
//!
//! ```text
//!            join ──▶ lane a ─┐ both complete
//! subscriber                  ├─ unite ──▶ lane a ∪ b ── narrow ──▶ lane b
//!            join ──▶ lane b ─┘
//! ```
//!
//! A lane has every change of its state topics that was pushed, may be seen there and is not stale,
//! whoever it was made for. So lanes can be made from lanes, and only the first needs the state table.

use bellwire_model::{Cursor, EffectiveFilter, Epoch, Progress, StateMark, Version};
use thiserror::Error;

use super::{Hub, HubLimits, has_values};
use crate::delivery::{Begin, Delivery, Gap, Phase, Start};
use crate::entry::{Arrival, Payload};
use crate::lane::{Arrived, Lane, LaneId};
use crate::pacer::Held;
use crate::state::Snapshot;

/// Whether a lane ended with its last subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneEnd {
    /// Others follow it.
    Stays,
    /// Nobody does; its number may be given out again.
    Ended,
}

/// A subscriber that has joined, and what to tell it before all else.
#[derive(Debug)]
pub struct Joined {
    /// Where it is.
    pub delivery: Delivery,
    /// What it knows to be missing of streams.
    pub gap: Option<Gap>,
    /// What it had of state topics, if anything, is void: all there is comes anew. With what is left
    /// of its cursor.
    pub reset: Option<Cursor>,
}

/// There are as many lanes as there may be, or they hold as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("as many different filters are followed as may be: follow one of a broader kind")]
pub struct LanesExhausted;

/// What became of the two lanes that subscribers left when they were united.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneEnds {
    /// The lane of the one that goes on.
    pub main: LaneEnd,
    /// The lane of the one that was added to it.
    pub added: LaneEnd,
}

impl<P: Payload> Hub<P> {
    /// Whether somebody follows this already.
    pub fn has_lane(&self, follows: &EffectiveFilter) -> bool {
        self.lanes.find(follows).is_some()
    }

    /// Adds a subscriber. Where there is no lane for what it follows yet, and room for one,
    /// `snapshot` is called for what the new one starts from. It pushes the changes that the
    /// snapshot has and the hub has not: a change more or less would be lost or come twice. A cursor
    /// whose state part is ahead of the hub is taken for one that nobody gave out: push what waits
    /// before.
    pub fn join(
        &mut self,
        follows: &EffectiveFilter,
        begin: Begin,
        snapshot: impl FnOnce(&mut Self) -> Snapshot<P>,
    ) -> Result<Joined, LanesExhausted> {
        let lane = match self.lanes.find(follows) {
            Some(lane) => lane,
            None if !self.has_room_for_lane() => return Err(LanesExhausted),
            None => {
                let snapshot = snapshot(self);
                self.begin_lane(follows, snapshot)
            }
        };
        self.looks += 1;
        self.lanes.get_mut(lane).subscribers += 1;
        let (mut delivery, gap) = Delivery::new(lane, begin, self.tail(), self.arrivals);
        let Start::After(cursor) = begin.start else {
            return Ok(Joined { delivery, gap, reset: None });
        };
        let has_resumed =
            cursor.state.is_some_and(|mark| self.resume(&mut delivery, cursor.epoch, mark));
        let reset = (!has_resumed).then_some(Cursor { state: None, ..cursor });
        Ok(Joined { delivery, gap, reset })
    }

    /// Lets a subscriber that joins go on from a mark; returns whether it can.
    fn resume(&mut self, delivery: &mut Delivery, epoch: Epoch, mark: StateMark) -> bool {
        let lane = self.lanes.get(delivery.lane);
        if lane.is_screened() {
            return false;
        }
        let is_known = self.life == Some(mark.life) && mark.since <= self.version;
        if is_known && mark.since >= lane.horizon.version {
            let arrival = lane.has_upto(mark.version, self.arrivals);
            let snapshot = if mark.since > mark.version {
                lane.has_upto(mark.since, self.arrivals)
            } else {
                arrival
            };
            delivery.resume(arrival, snapshot);
            return true;
        }
        // Of another life of the table. What is on the disk has its places in the journal, too.
        let Some((upto, since)) = mark.durable.filter(|_| epoch == self.epoch) else {
            return false;
        };
        if since > self.durable || since < lane.horizon.durable {
            return false;
        }
        let has_upto = |offset| lane.has_upto_durable(offset, self.arrivals);
        let (Some(arrival), Some(snapshot)) = (has_upto(upto), has_upto(since)) else {
            return false;
        };
        delivery.resume(arrival, snapshot);
        true
    }

    fn has_room_for_lane(&self) -> bool {
        let HubLimits { lanes_max, lanes_bytes_max, .. } = self.limits;
        self.lanes.len() < lanes_max && self.size().lane_bytes < lanes_bytes_max
    }

    fn begin_lane(&mut self, follows: &EffectiveFilter, snapshot: Snapshot<P>) -> LaneId {
        assert_eq!(snapshot.version, self.version, "a snapshot is as of the newest push");
        self.looks += snapshot.looks as u64;
        let lane = self.create_lane(follows.clone());
        self.life = Some(snapshot.life);
        let (sight, mut horizon) = (follows.sight(), snapshot.horizon);
        let mut changes = snapshot.into_changes();
        if !sight.is_all() {
            self.looks += changes.len() as u64;
            changes.retain(|change| {
                if !change.is_deletion {
                    return sight.shows(&change.topic, || change.payload.labels());
                }
                // Nobody resumes here, but a lane that is made of this one may have no screen.
                if sight.on(&change.topic).is_none() {
                    horizon = horizon.max(change.horizon());
                }
                false
            });
        }
        let arrivals = &mut self.arrivals;
        let arrive = |value| Arrived { arrival: arrivals.advance(), value };
        let changes = changes.into_iter().map(arrive);
        self.lanes.change(lane, |lane| {
            lane.horizon = horizon;
            lane.fill(changes);
        });
        lane
    }

    /// A new lane, whose filters are looked at once to be taken in and once to be forgotten.
    fn create_lane(&mut self, follows: EffectiveFilter) -> LaneId {
        self.looks += 2 * follows.filters().iter().count() as u64;
        self.lanes.create(follows, self.tail)
    }

    /// Removes a subscriber.
    pub fn leave(&mut self, delivery: &Delivery) -> LaneEnd {
        self.part(delivery.lane)
    }

    /// Lets `main` follow what `added` follows, too, as one subscriber with one order. Both must be
    /// [complete](Self::is_complete), and see the same.
    pub fn unite(&mut self, main: &mut Delivery, added: Delivery) -> LaneEnds {
        assert!(self.is_complete(main) && self.is_complete(&added), "both have all there is");
        let (one, other) = (self.lanes.get(main.lane), self.lanes.get(added.lane));
        let union = one.follows.union(&other.follows);
        // What one holds back comes again though the other has shown it: an older value may have
        // come from the one after that.
        let held_by_one = one.held().map(|held| unless_shown_by(other, held));
        let held_by_other = other.held().map(|held| unless_shown_by(one, held));
        let held = held_by_one.chain(held_by_other).collect();
        self.looks += 1 + (one.holding().values + other.holding().values) as u64;
        let found = self.lanes.find(&union);
        let lane = if let Some(lane) = found {
            lane
        } else {
            // Nobody but `main` begins here, and it knows what is gone.
            let (version, reach) = (self.version, self.reach());
            let horizon = one.horizon.max(other.horizon);
            if !one.is_screened() && !other.is_screened() && !union.is_paced() {
                let changes = one.remembered(version).chain(other.remembered(version));
                let changes: Vec<_> = changes.cloned().collect();
                let (lane, arrivals) = (self.create_lane(union), &mut self.arrivals);
                self.lanes.change(lane, |lane| {
                    lane.horizon = horizon;
                    lane.fill_anew(changes, arrivals);
                });
                lane
            } else {
                let live = one.live(version).chain(other.live(version));
                let values: Vec<_> = live.cloned().collect();
                let lane = self.create_lane(union);
                self.lanes.change(lane, |lane| {
                    lane.horizon = reach;
                    lane.merge(values);
                });
                lane
            }
        };
        if main.begins() && !added.begins() {
            // What is gone matters to one of them.
            main.phase = Phase::CatchingUp;
        }
        main.offset = self.tail;
        // The hub may be behind what one of them has been told of.
        main.gap_known_to = main.gap_known_to.min(added.gap_known_to);
        main.arrival = self.arrivals;
        self.take_along(held, lane, found);
        LaneEnds { main: self.change_lane(main, lane), added: self.part(added.lane) }
    }

    /// Lets a subscriber follow only a part of what it followed, wherever it is. What it lacks of
    /// that part still comes.
    pub fn narrow(&mut self, delivery: &mut Delivery, follows: &EffectiveFilter) -> LaneEnd {
        let old = self.lanes.get(delivery.lane);
        assert!(old.follows.sees_like(follows), "nobody sees more or less by following less");
        debug_assert!(old.follows.covers(follows), "a part of what it followed");
        let found = self.lanes.find(follows);
        let filters = follows.filters();
        self.looks += 1 + old.holding().values as u64;
        let held = old.held().filter(|held| filters.matches(&held.value.topic)).collect();
        let lane = if let Some(id) = found {
            self.change_over(delivery, id);
            id
        } else {
            let rest = old.values.iter().filter(|arrived| filters.matches(&arrived.value.topic));
            let values: Vec<_> = rest.cloned().collect();
            let horizon = old.horizon;
            let lane = self.create_lane(follows.clone());
            self.lanes.change(lane, |lane| {
                lane.horizon = horizon;
                lane.fill(values.into_iter());
            });
            lane
        };
        self.take_along(held, lane, found);
        self.change_lane(delivery, lane)
    }

    /// Lets a subscriber go on in a lane that others are on already, for a part of what it followed. They
    /// may have values, and the lane be rid of deletions, that it has not come to: it goes back as far
    /// as it must, and nothing comes to them that they have.
    fn change_over(&mut self, delivery: &mut Delivery, id: LaneId) {
        let (old, lane) = (self.lanes.get(delivery.lane), self.lanes.get(id));
        if !has_values(old, delivery) {
            return;
        }
        let claim = old.claim((delivery.arrival, delivery.snapshot), self.reach());
        let is_known = |since: Version| since >= lane.horizon.version;
        if let Some((upto, since)) = claim.filter(|(_, since)| is_known(since.version)) {
            let has_upto = |reach: Progress| lane.has_upto(reach.version, self.arrivals);
            return delivery.resume(has_upto(upto), has_upto(since));
        }
        // All that the lane has comes, and of what it has no more the ends of keys.
        let filters = lane.follows.filters();
        let seen = delivery.deletions_seen();
        self.looks += lane.holding().values as u64;
        let there = lane.values.iter().filter(|arrived| arrived.value.is_deletion);
        let mut there: Vec<Version> = there.map(|arrived| arrived.value.version).collect();
        there.sort_unstable();
        let is_lacking = |arrived: &&Arrived<P>| {
            let Arrived { arrival, value } = arrived;
            value.is_deletion
                && *arrival > seen
                && there.binary_search(&value.version).is_err()
                && filters.matches(&value.topic)
                && !lane.holds(value)
        };
        let deletions: Vec<_> = old.values.iter().filter(is_lacking).cloned().collect();
        delivery.resume(Arrival::ZERO, Arrival::ZERO);
        // What it followed before may have had a higher rate.
        delivery.is_ahead = true;
        if !deletions.is_empty() {
            self.lanes.change(id, |lane| lane.merge(deletions));
        }
    }

    /// Passes on what the old lanes hold back.
    fn take_along(&mut self, mut held: Vec<Held<P>>, id: LaneId, found: Option<LaneId>) {
        if found.is_some() {
            // The lane was there when these came: it has shown them, or holds them, too.
            for held in &mut held {
                held.shown = held.value.version;
            }
        }
        self.lanes.change(id, |lane| lane.hold(held, &mut self.arrivals, self.now_ms));
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
        // Its number may be another's soon.
        self.ring_page.take_if(|page| page.lane == id);
        LaneEnd::Ended
    }
}

/// What one lane holds back, for a lane that is made of it and another.
fn unless_shown_by<P>(other: &Lane<P>, held: Held<P>) -> Held<P> {
    if other.shows_newest_of(&held.value) { held.shown() } else { held }
}
