//! What a run has come to so far.

use std::collections::BTreeMap;

use super::fault::FaultKind;
use super::feed::Transport;
use super::ledger::Tally;
use crate::process::Memory;

/// All followers of one transport.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) transport: Transport,
    pub(crate) tally: Tally,
}

/// Resident memory of the server, and of this process with network, followers and publisher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memories {
    pub(crate) server: Memory,
    pub(crate) generator: Memory,
}

#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) sides: Vec<Side>,
    pub(crate) published: u64,
    pub(crate) faults: BTreeMap<FaultKind, u64>,
    /// After a tenth of the run, where it has got so far.
    pub(crate) memory_at_begin: Option<Memories>,
    pub(crate) memory_at_end: Option<Memories>,
}

impl Outcome {
    /// What is wrong: an event that is not there once and in order is, on any transport, and so is a gap,
    /// since the server has all of them.
    pub(crate) fn faults_of_delivery(&self) -> Vec<String> {
        let wrong = |Side { transport, tally }: &Side| {
            let Tally { missed, doubled, reordered, gaps, last_end, .. } = tally;
            (missed + doubled + reordered + gaps > 0).then(|| {
                let name = transport.as_str();
                let why = last_end.as_deref().unwrap_or("no connection has ended");
                format!(
                    "{name}: {missed} missed, {doubled} doubled, {reordered} reordered, {gaps} gaps ({why})"
                )
            })
        };
        self.sides.iter().filter_map(wrong).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_once_and_in_order_is_wrong() {
        let with = |change: fn(&mut Tally)| {
            let mut tally = Tally::new();
            change(&mut tally);
            let sides = vec![Side { transport: Transport::Poll, tally }];
            let (memory_at_begin, memory_at_end) = (None, None);
            let faults = BTreeMap::new();
            Outcome { sides, published: 1, faults, memory_at_begin, memory_at_end }
                .faults_of_delivery()
        };
        assert!(with(|_| ()).is_empty());
        assert_eq!(
            with(|tally| tally.missed = 2),
            ["poll: 2 missed, 0 doubled, 0 reordered, 0 gaps (no connection has ended)"]
        );
        assert_eq!(with(|tally| tally.doubled = 1).len(), 1);
        assert_eq!(with(|tally| tally.reordered = 1).len(), 1);
        assert_eq!(with(|tally| tally.gaps = 1).len(), 1);
    }
}
