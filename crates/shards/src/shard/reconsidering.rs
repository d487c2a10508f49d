//! Reconsidering: connections of those of whom something has changed are looked at anew.

use bellwire_model::limits::{LOOKS_PER_TURN_MAX, RECONSIDERED_PER_TURN_MAX, VISITS_PER_TURN};

use super::parts::Shard;

impl Shard {
    /// Looks at some of the connections for whose they are.
    pub(super) fn reconsider_some(&mut self) {
        let places = self.connections.capacity();
        let now = self.agenda.now();
        let Some(mut round) = self.reconsideration.take_round(places, now) else { return };
        let mut found = 0;
        let looked_before = self.work_of_turn().looks;
        for _ in 0..RECONSIDERED_PER_TURN_MAX {
            let Some(token) = round.next() else { break };
            let connection = self.connections.get(token);
            if !connection.is_some_and(|connection| round.is_of(connection.principal)) {
                continue;
            }
            found += 1;
            self.reconsider(token);
            // What new rights leave of many filters takes long to find out.
            let looks = self.work_of_turn().looks - looked_before;
            if found == VISITS_PER_TURN || looks >= LOOKS_PER_TURN_MAX as u64 {
                break;
            }
        }
        self.reconsideration.give_back(round);
    }
}
