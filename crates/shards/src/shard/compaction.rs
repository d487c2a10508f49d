//! Compaction: lanes of state topics let go of what nobody needs any more.

use bellwire_hub::{Arrival, Delivery, LaneId};
use bellwire_model::limits::DELETIONS_KEPT_MAX;

use super::Token;
use super::turn::Shard;

/// A connection that has seen no more of a lane than this, and so holds up all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldUp {
    token: Token,
    lane: LaneId,
    seen: Arrival,
}

impl Shard {
    /// Frees stale state values of the lanes that hold many.
    pub(super) fn compact(&mut self, lane: LaneId) {
        let arrival = |token: Token| {
            let deliveries = self.connections[token].subscriptions().map(|it| &it.delivery);
            deliveries.filter(|it| it.lane() == lane).map(Delivery::arrival).min()
        };
        let Some(seen) = self.members.tokens(lane).filter_map(arrival).min() else { return };
        let deletions = self.hub.compact(lane, seen);
        if deletions <= DELETIONS_KEPT_MAX {
            return;
        }
        // The slowest hold up what everybody else has got rid of: they start with a new snapshot.
        // Not at once, since whoever pushes may be busy with one of them.
        let slowest = self.members.tokens(lane).filter(|token| arrival(*token) == Some(seen));
        self.held_up_by.extend(slowest.map(|token| HeldUp { token, lane, seen }));
    }

    /// Ends the connections that held up others, unless they have moved on.
    pub(super) fn close_who_hold_up(&mut self) {
        for HeldUp { token, lane, seen } in std::mem::take(&mut self.held_up_by) {
            let Some(connection) = self.connections.get(token) else { continue };
            let mut deliveries = connection.subscriptions().map(|it| &it.delivery);
            let holds_up = deliveries.any(|it| it.lane() == lane && it.arrival() == seen);
            drop(deliveries);
            if holds_up {
                self.surroundings.figures.streams_stalled.add(1);
                self.close(token);
            }
        }
    }
}
