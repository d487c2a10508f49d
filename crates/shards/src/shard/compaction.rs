//! Compaction: lanes of state topics let go of what nobody needs any more.

use bellwire_hub::{Arrival, Delivery, LaneId};
use bellwire_model::limits::{DELETIONS_HELD_UP_MAX, DELETIONS_KEPT_MAX, HOLD_UP_TIMEOUT};
use bellwire_process::clock::{Tick, ticks};

use super::Token;
use super::connection::Connection;
use super::turn::Shard;

/// A connection that has seen no more of a lane than this, and so holds up all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldUp {
    token: Token,
    lane: LaneId,
    seen: Arrival,
    /// How long its socket has to have taken nothing.
    silent: Tick,
}

impl HeldUp {
    /// Whether it is for the client that the connection has not moved on. Whoever can be written
    /// to has a visit coming: that so much is to be told is no fault of its own.
    fn is_stuck(&self, connection: &Connection, now: Tick) -> bool {
        let mut deliveries = connection.subscriptions().map(|it| &it.delivery);
        let has_moved_on =
            !deliveries.any(|it| it.lane() == self.lane && it.arrival() == self.seen);
        let silent = now.saturating_sub(connection.outlet.written_at);
        !has_moved_on && connection.outlet.is_full() && silent >= self.silent
    }
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
        let silent = if deletions > DELETIONS_HELD_UP_MAX { 0 } else { ticks(HOLD_UP_TIMEOUT) };
        // The slowest hold up what everybody else has got rid of: they start with a new snapshot.
        // Not at once, since whoever pushes may be busy with one of them.
        let slowest = self.members.tokens(lane).filter(|token| arrival(*token) == Some(seen));
        self.held_up_by.extend(slowest.map(|token| HeldUp { token, lane, seen, silent }));
    }

    /// Ends the connections that hold up others, unless they have moved on or are about to.
    pub(super) fn close_who_hold_up(&mut self) {
        let now = self.ticker.now();
        for held_up in std::mem::take(&mut self.held_up_by) {
            let connection = self.connections.get(held_up.token);
            if connection.is_some_and(|connection| held_up.is_stuck(connection, now)) {
                self.surroundings.figures.streams_stalled.add(1);
                self.close(held_up.token);
            }
        }
    }
}
