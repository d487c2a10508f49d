//! What a server is among other nodes.
//!
//! One of them at a time evaluates the rules, and has samples, alerts and what people make of them: the
//! *keeper* of the desk. It is so for a *term*. Others pass on to it what is asked of these.

use std::sync::Arc;
use std::time::Duration;

use bellwire_alerting::Standby;
use bellwire_cluster::{ClusterJournal, Seat, Tenure};
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::watch;

use crate::peers::Peers;
use crate::relay::Relay;
use crate::snapshots::{Snapshots, fetch};

/// How often it is looked whether this node has lost the log.
const BEHIND_LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// What a server has of its cluster.
#[derive(Debug)]
pub(crate) struct Membership {
    /// Its journal.
    pub(crate) journal: Arc<ClusterJournal>,
    /// What this node is called.
    pub(crate) node: Box<str>,
    /// What the cluster is called.
    pub(crate) name: String,
    /// What its engine may lose of what it has acknowledged, as of the start.
    pub(crate) losses: Vec<String>,
    /// Who keeps the desk.
    pub(crate) tenure: Arc<Tenure>,
    /// What this server does of that, for as long as it runs.
    pub(crate) role: Role,
    /// Speaks to the other nodes.
    pub(crate) peers: Arc<Peers>,
    /// Copies of its replica, for them.
    pub(crate) snapshots: Snapshots,
    /// Becomes true where all has to begin anew: the role is over, or the log another one.
    pub(crate) anew: watch::Sender<bool>,
    /// Another node that takes over with what the rules know; nothing where none is wanted.
    pub(crate) standby: Option<Arc<Standby>>,
    /// The way to the keeper.
    pub(crate) relay: Relay,
}

/// Whether a server keeps the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It does, in this term.
    Keeper(u64),
    /// Another does, or nobody.
    Other,
}

impl Role {
    /// What a server is to begin as.
    pub(crate) fn of(seat: &Seat) -> Self {
        seat.term.filter(|_| seat.is_held).map_or(Self::Other, Self::Keeper)
    }

    /// Whether a server that has begun so has to begin anew.
    pub(crate) fn is_over(self, seat: &Seat) -> bool {
        match self {
            Self::Keeper(term) => seat.term != Some(term),
            Self::Other => seat.is_held,
        }
    }
}

impl Membership {
    /// Waits until the server is about to begin anew.
    pub(crate) async fn begins_anew(&self) {
        if self.anew.subscribe().wait_for(|anew| *anew).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Where the log goes on behind what this node has applied: has the server begin anew, which gets a
    /// snapshot, once another node has one. Until then it shows what it has.
    pub(crate) fn rejoins(&self) -> impl Future<Output = ()> + Send + use<> {
        let (journal, peers) = (Arc::clone(&self.journal), Arc::clone(&self.peers));
        let anew = self.anew.clone();
        async move {
            let mut interval = tokio::time::interval(BEHIND_LOOK_INTERVAL);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                if journal.needs_snapshot().is_none() {
                    continue;
                }
                let asked = Arc::clone(&journal);
                let nodes = tokio::task::spawn_blocking(move || asked.nodes()).await;
                for peer in nodes.into_iter().flatten().flatten().filter(|it| !peers.is_own(it)) {
                    if fetch::is_there(&peers, &peer).await && journal.needs_snapshot().is_some() {
                        tracing::warn!(
                            "The log was trimmed before this node has applied it: it begins with a snapshot."
                        );
                        anew.send_replace(true);
                        return;
                    }
                }
            }
        }
    }

    /// The server is about to end: the standby gets the rest, where this node is the keeper. Blocks for a
    /// moment.
    pub(crate) fn hand_over(&self) {
        if let Some(standby) = &self.standby {
            if self.is_in_charge() {
                standby.drain();
            } else {
                standby.leave();
            }
        }
    }

    /// Whether this node is the keeper, by its own clock: no other is then.
    pub(crate) fn is_in_charge(&self) -> bool {
        matches!(self.role, Role::Keeper(term) if self.tenure.holds(term))
    }
}

/// Refuses what only the keeper of the desk does, where that is another node.
pub(crate) fn check_evaluates(cluster: Option<&Membership>) -> Result<(), Problem> {
    match cluster {
        Some(Membership { role: Role::Other, .. }) => {
            let detail = "another node of the cluster has the samples and alerts, and this is not passed \
                          on to it: ask for it by a request of its own, or ask that node";
            Err(Problem::new(Code::StandsInCluster, detail))
        }
        _ => Ok(()),
    }
}

/// Refuses what only a server does that stands alone.
pub(crate) fn stands_in_cluster() -> Problem {
    let detail = "a node of a cluster has no keys, logins and streams of its own: have a server that \
                  stands alone do this";
    Problem::new(Code::StandsInCluster, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_begins_anew_where_its_role_is_over() {
        let seat = |term, is_held| Seat { term, is_held, other: None };
        for (role, seat, is_over) in [
            (Role::Other, seat(None, false), false),
            (Role::Other, seat(Some(1), true), true),
            // Its own and not held by the clock: nobody else has taken it, and it may again.
            (Role::Keeper(1), seat(Some(1), false), false),
            (Role::Keeper(1), seat(Some(1), true), false),
            (Role::Keeper(1), seat(None, false), true),
            (Role::Keeper(1), seat(Some(2), true), true),
        ] {
            assert_eq!(role.is_over(&seat), is_over, "{role:?} {seat:?}");
        }
        assert_eq!(Role::of(&seat(Some(3), true)), Role::Keeper(3));
        assert_eq!(Role::of(&seat(Some(3), false)), Role::Other);
        assert_eq!(Role::of(&seat(None, false)), Role::Other);
    }
}
