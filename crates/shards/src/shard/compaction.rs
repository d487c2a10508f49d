//! Compaction: lanes of state topics let go of what nobody needs any more.

use bellwire_hub::{Delivery, LaneId};
use bellwire_model::limits::{DELETIONS_HELD_UP_MAX, DELETIONS_KEPT_MAX, HOLD_UP_TIMEOUT};
use bellwire_process::clock::{Tick, ticks};

use super::Token;
use super::connection::Connection;
use super::lanes::HeldUp;
use super::parts::Shard;
use crate::closed::CloseReason;

/// Whether it is for the client that a connection has not moved on. Whoever can be written to has a
/// visit coming: that so much is to be told is no fault of its own.
fn is_stuck(held_up: &HeldUp, connection: &Connection, now: Tick) -> bool {
    let mut deliveries = connection.subscriptions().map(|it| &it.delivery);
    let has_moved_on =
        !deliveries.any(|it| it.lane() == held_up.lane && it.deletions_seen() == held_up.seen);
    let silent = now.saturating_sub(connection.outlet.written_at);
    !has_moved_on && connection.outlet.is_full() && silent >= held_up.silent
}

impl Shard {
    /// Frees stale state values of the lanes that hold many.
    pub(super) fn compact(&mut self, lane: LaneId) {
        let arrival = |token: Token| {
            let deliveries = self.connections[token].subscriptions().map(|it| &it.delivery);
            deliveries.filter(|it| it.lane() == lane).map(Delivery::deletions_seen).min()
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
        let slowest: Vec<_> = slowest.map(|token| HeldUp { token, lane, seen, silent }).collect();
        self.members.note_held_up(slowest);
    }

    /// Ends the connections that hold up others, unless they have moved on or are about to.
    pub(super) fn close_who_hold_up(&mut self) {
        let now = self.agenda.now();
        for held_up in self.members.take_held_up() {
            let connection = self.connections.get(held_up.token);
            if connection.is_some_and(|connection| is_stuck(&held_up, connection, now)) {
                self.surroundings.figures.streams_stalled.add(1);
                self.close(held_up.token, CloseReason::HeldUpOthers);
            }
        }
    }
}
