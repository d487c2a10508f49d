//! Which connections follow which lane, and which of them are yet to be visited.

use bellwire_hub::{Arrival, LaneId};
use bellwire_model::limits::VISITS_PER_TURN;
use bellwire_process::clock::Tick;

use super::Token;

#[derive(Debug, Default)]
struct Members {
    tokens: Vec<u32>,
    /// The connections at the front that are yet to be visited. Visits run from the back: whoever
    /// leaves is replaced by the last one, who has been visited already.
    unvisited: usize,
}

/// A member that was given another place in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) token: Token,
    /// Its place before.
    pub(super) from: u32,
}

/// A connection that has seen no more of a lane than this, and so holds up all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldUp {
    pub(super) token: Token,
    pub(super) lane: LaneId,
    pub(super) seen: Arrival,
    /// How long its socket has to have taken nothing.
    pub(super) silent: Tick,
}

/// The members of each lane, the lanes that have been touched, and who holds them up.
#[derive(Debug, Default)]
pub(super) struct LaneMembers {
    lanes: Vec<Members>,
    touched: Vec<LaneId>,
    held_up_by: Vec<HeldUp>,
}

impl LaneMembers {
    /// Adds a connection; returns its place in the lane.
    pub(super) fn join(&mut self, lane: LaneId, token: Token) -> u32 {
        if self.lanes.len() <= lane.index() {
            self.lanes.resize_with(lane.index() + 1, Members::default);
        }
        let tokens = &mut self.lanes[lane.index()].tokens;
        tokens.push(token as u32);
        (tokens.len() - 1) as u32
    }

    /// Removes the connection at `place`; returns the one that takes its place.
    pub(super) fn leave(&mut self, lane: LaneId, place: u32) -> Option<Moved> {
        let members = &mut self.lanes[lane.index()];
        members.tokens.swap_remove(place as usize);
        members.unvisited = members.unvisited.min(members.tokens.len());
        if members.tokens.is_empty() {
            members.tokens = Vec::new();
        }
        let from = members.tokens.len() as u32;
        members.tokens.get(place as usize).map(|token| Moved { token: *token as Token, from })
    }

    /// All connections of the lane are to be visited.
    pub(super) fn touch(&mut self, lane: LaneId) {
        let Some(members) = self.lanes.get_mut(lane.index()) else { return };
        if members.unvisited == 0 && !members.tokens.is_empty() {
            self.touched.push(lane);
        }
        members.unvisited = members.tokens.len();
    }

    pub(super) fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// The connections to visit in this turn: some of every touched lane, small lanes first.
    pub(super) fn next_visits(&mut self, visits: &mut Vec<Token>) {
        let lanes = &mut self.lanes;
        self.touched.sort_unstable_by_key(|lane| lanes[lane.index()].unvisited);
        self.touched.retain(|lane| {
            let Members { tokens, unvisited } = &mut lanes[lane.index()];
            let rest = unvisited.saturating_sub(VISITS_PER_TURN);
            visits.extend(tokens[rest..*unvisited].iter().rev().map(|token| *token as Token));
            *unvisited = rest;
            rest > 0
        });
    }

    /// These hold up a lane, it seems.
    pub(super) fn note_held_up(&mut self, held_up_by: Vec<HeldUp>) {
        self.held_up_by.extend(held_up_by);
    }

    pub(super) fn is_held_up(&self) -> bool {
        !self.held_up_by.is_empty()
    }

    /// Those who seemed to hold something up.
    pub(super) fn take_held_up(&mut self) -> Vec<HeldUp> {
        std::mem::take(&mut self.held_up_by)
    }

    pub(super) fn tokens(&self, lane: LaneId) -> impl Iterator<Item = Token> {
        self.lanes[lane.index()].tokens.iter().map(|token| *token as Token)
    }
}

#[cfg(test)]
mod tests {
    use bellwire_hub::{Begin, Hub, HubLimits, Start, StateTable};
    use bellwire_model::{
        Cursor, EffectiveFilter, Epoch, Filter, FilterSet, Life, NameHasher, Offset,
    };

    use super::*;

    fn lane(hub: &mut Hub<()>, filter: &str) -> LaneId {
        let filters = FilterSet::from(filter.parse::<Filter>().expect("a filter"));
        let follows = EffectiveFilter::from(filters.clone());
        let begin = Begin { start: Start::Latest, tail: Offset::ZERO, trimmed: Offset::ZERO };
        let mut nothing = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
        hub.join(&follows, begin, |_| nothing.snapshot(&filters)).expect("room").delivery.lane()
    }

    #[test]
    fn everyone_is_visited_though_others_leave_between_turns() {
        let tail = Cursor::new(Epoch::new(1), Offset::ZERO);
        let mut hub = Hub::new(tail, HubLimits::default(), NameHasher::new([1, 2]));
        let (big, small) = (lane(&mut hub, "big"), lane(&mut hub, "small"));
        let mut members = LaneMembers::default();
        for token in 0..1_000 {
            members.join(big, token);
        }
        members.join(small, 5_000);
        members.touch(big);
        members.touch(small);

        let mut visits = Vec::new();
        members.next_visits(&mut visits);
        assert_eq!(visits[0], 5_000, "the small lane first");
        assert_eq!(visits.len(), 1 + VISITS_PER_TURN);
        // One that has not been visited leaves, and one that has takes its place.
        assert_eq!(members.leave(big, 3), Some(Moved { token: 999, from: 999 }));
        while members.has_touched() {
            members.next_visits(&mut visits);
        }
        for token in (0..1_000).filter(|token| *token != 3) {
            assert!(visits.contains(&token), "{token}");
        }
    }
}
