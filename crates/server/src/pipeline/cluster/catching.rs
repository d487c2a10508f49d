//! How a node gets to where its cluster is, before anybody looks: by the log, or with a snapshot of another one.
//!
//! Whoever lacks what the epoch goes on with waits until it is given up, in [`bellwire_cluster`]: the same
//! minutes for all, which would never be over if each try to get a snapshot was a start of its own.

use std::sync::Arc;
use std::time::Duration;

use bellwire_cluster::{ClusterJournal, Error, Node, Standing, Vigil};
use bellwire_journal::Journal as _;
use bellwire_model::limits::{CLUSTER_BASE_PATIENCE, CLUSTER_START_PATIENCE};
use bellwire_model::{Epoch, with_causes};
use bellwire_process::clock;
use bellwire_shared_log::{Position, SharedLog};

use super::error::ClusterError;
use crate::config::Config;
use crate::peers::Peers;
use crate::snapshots::fetch;
use crate::standby::InLog;

/// How often it catches up at a start: each time but the last a snapshot is got where that helps.
const SNAPSHOTS_TRIED_MAX: usize = 4;

/// How long it waits before it asks once more for a snapshot, while it waits for one that gives it any.
const VIGIL_PAUSE: Duration = Duration::from_secs(3);

/// How long it waits for entries at a time while it catches up.
const TURN: Duration = Duration::from_millis(100);

/// How long something may take, and what is told again and again from then on.
pub(super) type Limit<'a> = (Duration, &'a dyn Fn());

/// The snapshots of a start.
#[derive(Debug)]
pub(super) struct Tries {
    left: usize,
    waits_until: Duration,
    /// Of each node that begins in this start.
    pub(super) vigil: Vigil,
}

impl Tries {
    pub(super) fn new() -> Self {
        let waits_until = clock::uptime() + CLUSTER_BASE_PATIENCE;
        Self { left: SNAPSHOTS_TRIED_MAX, waits_until, vigil: Vigil::default() }
    }

    /// Gets a snapshot for whoever is behind, or waits for a while where nobody gives one. Fails where it was
    /// tried often enough.
    pub(super) fn get(
        &mut self,
        (log, peers, config): (&dyn SharedLog, &Peers, &Config),
        behind: Behind,
    ) -> Result<(), ClusterError> {
        let Behind { epoch, why, keeps_vigil } = behind;
        if self.left <= 1 {
            return Err(ClusterError::Behind { epoch, why });
        }
        tracing::warn!("{why}");
        match fetch::fetch(log, peers, (&config.data, epoch)) {
            Ok(()) => self.left -= 1,
            Err(error) if keeps_vigil && clock::uptime() < self.waits_until => {
                let error = with_causes(&error);
                tracing::warn!(
                    error,
                    "The node waits for another one that gives it a snapshot. Where for five minutes none is there that has what the cluster goes on with, it goes on with what a node has that waits."
                );
                clock::pause(VIGIL_PAUSE);
            }
            Err(error) => return Err(ClusterError::NoSnapshot { why, source: error.into() }),
        }
        Ok(())
    }
}

/// How far a node has got.
#[derive(Debug)]
pub(super) enum Caught {
    /// It has all that there was, and this is who the standby is by then.
    Up(Option<InLog>),
    /// It needs a snapshot.
    Behind(Behind),
}

/// What comes next of the log is gone, or never was there.
#[derive(Debug)]
pub(super) struct Behind {
    epoch: Epoch,
    why: String,
    /// It goes on with what it has in the end, where nobody gives it a snapshot.
    keeps_vigil: bool,
}

/// Applies all that there is, and says who the standby is by then. Where it takes longer than so that is
/// told, again and again.
pub(super) fn catch_up(
    mut node: Node,
    (config, limit): (&Config, Option<Limit<'_>>),
) -> Result<Caught, ClusterError> {
    let began = clock::uptime();
    let journal = Arc::clone(node.journal());
    let is_in_vain =
        |standing| matches!(standing, Standing::Unfit { .. } | Standing::TooOld { .. });
    let mut patience = Patience { reached: reached(&journal), since: began };
    let has_all = node.catch_up(TURN, || {
        if let Some((limit, give_up)) = limit
            && clock::uptime() >= began + limit
        {
            give_up();
        }
        patience.lasts(reached(&journal), clock::uptime()) && !is_in_vain(journal.standing())
    });
    let (standing, behind) = (journal.standing(), journal.needs_snapshot());
    let keeps_vigil = journal.keeps_vigil();
    drop(node);
    // One that cannot be read is none, as for whoever follows.
    let named = InLog::read(&*journal).ok().flatten();
    if !has_all {
        journal.give_up();
    }
    journal.close().map_err(Error::from)?;
    if has_all {
        return Ok(Caught::Up(named));
    }
    Err(match (behind, standing) {
        (Some(epoch), standing) => {
            let why = why_not(standing);
            return Ok(Caught::Behind(Behind { epoch, why, keeps_vigil }));
        }
        (None, Standing::Unfit { why } | Standing::TooOld { why }) => {
            let (path, name) = (config.data.clone(), config.cluster.name.clone());
            ClusterError::Unfit { path, name, why: why.into() }
        }
        (None, standing) => ClusterError::NotReached { why: why_not(standing) },
    })
}

fn why_not(standing: Standing) -> String {
    match standing {
        Standing::Away { why }
        | Standing::Unfit { why }
        | Standing::Stuck { why }
        | Standing::TooOld { why } => why.into(),
        Standing::Starting | Standing::Following { .. } => "it says nothing".to_owned(),
    }
}

/// In which epoch, and up to where, the log was read.
fn reached(journal: &ClusterJournal) -> (Epoch, Position) {
    (journal.epoch(), journal.followed())
}

/// How far it was read, and since when no further: what was applied before is read again, and may be much.
#[derive(Debug)]
struct Patience {
    reached: (Epoch, Position),
    since: Duration,
}

impl Patience {
    /// Whether it is waited on, now that it is read up to here.
    fn lasts(&mut self, (epoch, position): (Epoch, Position), now: Duration) -> bool {
        // Where it is followed again and again it goes back each time.
        if epoch != self.reached.0 || position > self.reached.1 {
            (self.reached, self.since) = ((epoch, position), now);
        }
        now.saturating_sub(self.since) < CLUSTER_START_PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gets_further_is_waited_for_however_long_it_takes() {
        let at = Duration::from_secs;
        let place = |epoch, position| (Epoch::new(epoch), Position::new(position));
        let mut patience = Patience { reached: place(1, 0), since: at(1_000) };
        for step in 1..10 {
            assert!(patience.lasts(place(1, step), at(1_000 + 100 * step)), "{step}");
        }
        // Whether it stands still, or begins again and again.
        assert!(patience.lasts(place(1, 9), at(2_010)) && patience.lasts(place(1, 3), at(2_019)));
        assert!(!patience.lasts(place(1, 9), at(2_020)));
        assert!(patience.lasts(place(2, 1), at(2_021)) && patience.lasts(place(2, 1), at(2_140)));
        assert!(!patience.lasts(place(2, 1), at(2_141)));
    }
}
