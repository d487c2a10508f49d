//! Reconsidering: connections of those of whom something has changed are looked at anew.

use bellwire_model::limits::{RECONSIDERED_PER_TURN_MAX, VISITS_PER_TURN};

use super::parts::Shard;

impl Shard {
    /// Looks at some of the connections for whose they are.
    pub(super) fn reconsider_some(&mut self) {
        let places = self.connections.capacity();
        let Some(mut round) = self.reconsideration.take_round(places) else { return };
        let mut found = 0;
        for _ in 0..RECONSIDERED_PER_TURN_MAX {
            if found >= VISITS_PER_TURN {
                break;
            }
            let Some(token) = round.next() else { break };
            let connection = self.connections.get(token);
            if connection.is_some_and(|connection| round.is_of(connection.principal)) {
                found += 1;
                self.reconsider(token);
            }
        }
        self.reconsideration.give_back(round);
    }
}
