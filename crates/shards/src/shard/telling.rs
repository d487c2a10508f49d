//! Has clients told of outages, some in each turn.

use bellwire_model::limits::{RECONSIDERED_PER_TURN_MAX, VISITS_PER_TURN};
use bellwire_wire::Control;
use bytes::Bytes;

use super::Token;
use super::connection::Connection;
use super::notices::Owed;
use super::parts::Shard;
use super::speech::Speech;

impl Shard {
    /// Looks at some of the connections for who is yet to be told.
    pub(super) fn tell_outage_to_some(&mut self) {
        let Some(first) = self.outages.next.take() else { return };
        let (end, mut told) = (self.connections.capacity(), 0);
        for token in first..end.min(first + RECONSIDERED_PER_TURN_MAX) {
            if told == VISITS_PER_TURN {
                self.outages.next = Some(token);
                return;
            }
            if self.owe_outage(token) {
                told += 1;
                self.queue(token);
            }
        }
        self.outages.next = Some(first + RECONSIDERED_PER_TURN_MAX).filter(|next| *next < end);
    }

    /// Notes that a connection is to be told how it is now; returns whether it is. A poll's answer says
    /// it itself, and readers of Durable Streams know no word for it.
    pub(super) fn owe_outage(&mut self, token: Token) -> bool {
        let service = self.outages.service();
        let Some(connection) = self.connections.get_mut(token) else { return false };
        let Connection { outlet, notices, .. } = connection;
        let is_told = outlet.socket.collector().is_none() && outlet.form.durable().is_none();
        is_told && notices.owe_outage(service)
    }

    /// What tells a client how it is, where it is owed that and does not know.
    pub(super) fn outage_told(&mut self, token: Token, owed: Owed) -> Bytes {
        let service = self.outages.service();
        let Connection { outlet, notices, .. } = &mut self.connections[token];
        if !owed.outage || !notices.tell_outage(service) {
            return Bytes::new();
        }
        let told =
            self.outages.now.map_or(Control::Restored, |outage| Control::Degraded { outage });
        outlet.form.control(&told, None)
    }
}
