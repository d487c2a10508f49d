//! Outages: while the server takes no events in, its clients are told so; and while a node is far behind
//! its cluster, nobody new is let in.
//!
//! ```text
//! health of the journal, standing to the engine ─▶ look ─▶ settled for long enough ─▶ Spread::tell
//! ```
//!
//! What comes and goes is told to nobody until it stays: a node that loses its engine for a moment
//! does not send two control events to everybody.

use std::sync::Arc;
use std::time::Duration;

use bellwire_cluster::{ClusterJournal, Standing};
use bellwire_journal::Journal;
use bellwire_model::limits::OUTAGE_SETTLED_AFTER;
use bellwire_shards::Spread;
use bellwire_wire::Outage;

use crate::admission::Admission;
use crate::membership::Membership;

/// Tells clients of outages.
#[derive(Debug)]
pub(crate) struct Outages {
    spread: Arc<Spread>,
    admission: Arc<Admission>,
    /// Of a node among others.
    cluster: Option<Arc<ClusterJournal>>,
    settling: Settling,
}

impl Outages {
    pub(crate) fn new(
        spread: &Arc<Spread>,
        admission: &Arc<Admission>,
        cluster: Option<&Membership>,
    ) -> Self {
        let cluster = cluster.map(|it| Arc::clone(&it.journal));
        let (spread, admission) = (Arc::clone(spread), Arc::clone(admission));
        Self { spread, admission, cluster, settling: Settling::default() }
    }

    /// Looks whether there is something to tell, at this time of some clock that goes on.
    pub(crate) fn look(&mut self, journal: &dyn Journal, now: Duration) {
        // While it does not follow it knows nothing new of how far it is behind.
        if let Some(cluster) = self.cluster.as_ref().filter(|it| it.standing().is_well()) {
            self.admission.note_behind(cluster.behind());
        }
        let outage = outage(journal, self.cluster.as_ref().map(|it| it.standing()));
        if self.settling.look(outage, now) == Settled::Anew {
            self.spread.tell(outage);
        }
    }
}

/// Why no events are taken in, where that is so. Whoever starts has no clients yet.
fn outage(journal: &dyn Journal, standing: Option<Standing>) -> Option<Outage> {
    match standing {
        Some(Standing::Starting) => None,
        Some(Standing::Away { .. }) => Some(Outage::EngineAway),
        Some(Standing::Unfit { .. }) => Some(Outage::EngineUnfit),
        Some(Standing::TooOld { .. }) => Some(Outage::NodeTooOld),
        Some(Standing::Stuck { .. }) => Some(Outage::NodeStuck),
        Some(Standing::Following { .. }) => journal.health().err().map(|_| Outage::NodeStuck),
        None => journal.health().err().map(|_| Outage::JournalFailing),
    }
}

/// What was told, and since when something else is so.
#[derive(Debug, Default)]
struct Settling {
    told: Option<Outage>,
    other_since: Option<Duration>,
}

impl Settling {
    /// Whether this is to be told now.
    fn look(&mut self, outage: Option<Outage>, now: Duration) -> Settled {
        if outage == self.told {
            self.other_since = None;
            return Settled::AsTold;
        }
        let since = *self.other_since.get_or_insert(now);
        // Another reason is no event of its own: whoever comes is told it.
        let is_same = outage.is_some() == self.told.is_some();
        if !is_same && now.saturating_sub(since) < OUTAGE_SETTLED_AFTER {
            return Settled::AsTold;
        }
        self.other_since = None;
        self.told = outage;
        Settled::Anew
    }
}

/// Whether something has come to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    /// Nothing else than what was told.
    AsTold,
    /// It is to be told.
    Anew,
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWAY: Option<Outage> = Some(Outage::EngineAway);
    const STUCK: Option<Outage> = Some(Outage::NodeStuck);
    const SECOND: Duration = Duration::from_secs(1);

    /// What is told where this is so, second by second.
    fn told(looks: &[Option<Outage>]) -> Vec<(usize, Option<Outage>)> {
        let mut settling = Settling::default();
        let mut is_told = |(second, outage): &(usize, Option<Outage>)| {
            settling.look(*outage, SECOND * *second as u32) == Settled::Anew
        };
        looks.iter().copied().enumerate().filter(&mut is_told).collect()
    }

    #[test]
    fn what_stays_is_told_once_and_so_is_its_end() {
        let mut looks = vec![None; 2];
        looks.extend([AWAY; 9]);
        looks.extend([None; 9]);
        assert_eq!(told(&looks), [(5, AWAY), (14, None)]);
    }

    #[test]
    fn what_comes_and_goes_is_told_when_it_stays() {
        let flapping = [None, AWAY, AWAY, None].repeat(50);
        assert_eq!(told(&flapping), []);
        let mut while_away = vec![AWAY; 4];
        while_away.extend([AWAY, None, None].repeat(50));
        assert_eq!(told(&while_away), [(3, AWAY)]);
        // Whatever it does, one is told in that time at most.
        let slowly: Vec<_> = [[AWAY; 4], [None; 4]].concat().repeat(20);
        let seconds: Vec<usize> = told(&slowly).iter().map(|(second, _)| *second).collect();
        assert_eq!(seconds.len(), 40);
        let apart = OUTAGE_SETTLED_AFTER.as_secs() as usize;
        assert!(seconds.windows(2).all(|pair| pair[1] - pair[0] >= apart), "{seconds:?}");
    }

    #[test]
    fn another_reason_is_for_whoever_comes() {
        let looks = [[AWAY; 4], [STUCK; 4], [None; 4]].concat();
        assert_eq!(told(&looks), [(3, AWAY), (4, STUCK), (11, None)]);
        // Reasons that take turns are an outage all the same.
        assert_eq!(told(&[AWAY, STUCK, AWAY, STUCK]), [(3, STUCK)]);
    }
}
