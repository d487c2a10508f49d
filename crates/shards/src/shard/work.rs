//! What a shard does, counted in the units of its budgets.
//!
//! A visit to a connection has a budget for what its client says, and a turn has one for all that
//! can wait: those who come, talk or catch up. Whoever meets an end of it goes on in the next turn,
//! so that whatever a client sends, live events have their place soon. What is counted is work, not
//! time: the same work is the same number on every machine.

use bellwire_model::limits::{
    LOOKS_PER_TURN_MAX, LOOKS_PER_VISIT_MAX, TURN_BYTES_MAX, TURN_DEFLATED_BYTES_MAX,
    TURN_INFLATED_BYTES_MAX, TURN_READ_BYTES_MAX, VISIT_INFLATED_BYTES_MAX,
};

/// Work, or a budget of it. Counts of what was done only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Events written, once for each subscriber.
    pub(super) events: u64,
    /// Bytes that sockets took.
    pub(super) written_bytes: u64,
    /// Bytes that were compressed for them, as they were before.
    pub(super) deflated_bytes: u64,
    /// Bytes that clients sent.
    pub(super) read_bytes: u64,
    /// Bytes that their messages came to when they were inflated.
    pub(super) inflated_bytes: u64,
    /// Things looked at in the hub and the state table, and pointers taken for polls.
    pub(super) looks: u64,
}

/// No limit at all.
const WITHOUT_END: Work = Work {
    events: u64::MAX,
    written_bytes: u64::MAX,
    deflated_bytes: u64::MAX,
    read_bytes: u64::MAX,
    inflated_bytes: u64::MAX,
    looks: u64::MAX,
};

/// What a client may cause by what it says in one visit. Of what is written, each of its
/// subscriptions has a share.
pub(super) const VISIT: Work = Work {
    inflated_bytes: VISIT_INFLATED_BYTES_MAX,
    looks: LOOKS_PER_VISIT_MAX as u64,
    ..WITHOUT_END
};

/// What those may cause in one turn who come, talk or catch up.
pub(super) const TURN: Work = Work {
    events: u64::MAX,
    written_bytes: TURN_BYTES_MAX,
    deflated_bytes: TURN_DEFLATED_BYTES_MAX,
    read_bytes: TURN_READ_BYTES_MAX,
    inflated_bytes: TURN_INFLATED_BYTES_MAX,
    looks: LOOKS_PER_TURN_MAX as u64,
};

impl Work {
    /// What was done since there was no more than `mark`.
    pub(super) fn since(&self, mark: &Self) -> Self {
        Self {
            events: self.events - mark.events,
            written_bytes: self.written_bytes - mark.written_bytes,
            deflated_bytes: self.deflated_bytes - mark.deflated_bytes,
            read_bytes: self.read_bytes - mark.read_bytes,
            inflated_bytes: self.inflated_bytes - mark.inflated_bytes,
            looks: self.looks - mark.looks,
        }
    }

    /// Whether anything of a budget is used up.
    pub(super) fn uses_up(&self, budget: &Self) -> bool {
        self.events >= budget.events
            || self.written_bytes >= budget.written_bytes
            || self.deflated_bytes >= budget.deflated_bytes
            || self.read_bytes >= budget.read_bytes
            || self.inflated_bytes >= budget.inflated_bytes
            || self.looks >= budget.looks
    }

    /// Half of a budget.
    pub(super) fn half(&self) -> Self {
        Self {
            events: self.events / 2,
            written_bytes: self.written_bytes / 2,
            deflated_bytes: self.deflated_bytes / 2,
            read_bytes: self.read_bytes / 2,
            inflated_bytes: self.inflated_bytes / 2,
            looks: self.looks / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_used_up_by_any_of_its_units() {
        let done = Work { looks: 10, ..Work::default() };
        for more in [
            Work { written_bytes: TURN.written_bytes, ..done },
            Work { deflated_bytes: TURN.deflated_bytes, ..done },
            Work { read_bytes: TURN.read_bytes, ..done },
            Work { inflated_bytes: TURN.inflated_bytes, ..done },
            Work { looks: TURN.looks + 10, ..done },
        ] {
            let since = more.since(&done);
            assert!(since.uses_up(&TURN), "{since:?}");
            assert!(since.uses_up(&TURN.half()), "{since:?}");
        }
        let all_but_one = Work {
            events: 1_000_000,
            written_bytes: TURN.written_bytes - 1,
            deflated_bytes: TURN.deflated_bytes - 1,
            read_bytes: TURN.read_bytes - 1,
            inflated_bytes: TURN.inflated_bytes - 1,
            looks: TURN.looks - 1,
        };
        assert!(!all_but_one.uses_up(&TURN));
    }
}
