//! What a server is among other nodes.
//!
//! One of them at a time evaluates the rules, and has samples, alerts and what people make of them: the
//! *keeper* of the desk. It is so for a *term*. Others pass on to it what is asked of these.

use std::sync::Arc;
use std::time::Duration;

use bellwire_alerting::Standby;
use bellwire_cluster::{ClusterJournal, NodeMark, Seat, Secret, Tenure};
use bellwire_journal::Journal as _;
use bellwire_model::limits::RELAY_LOOK_INTERVAL;
use bellwire_wire::problem::Problem;
use tokio::sync::{oneshot, watch};

use crate::peers::Peers;
use crate::relay::Relay;
use crate::snapshots::{Snapshots, fetch};

/// How often it is looked whether this node has lost the log.
const BEHIND_LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// What a server has of its cluster, in one role: in the next one it has another of these.
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
    /// What this server does of that, until that is [over](Self::end_role).
    pub(crate) role: Role,
    pub(crate) over: watch::Sender<bool>,
    /// Speaks to the other nodes.
    pub(crate) peers: Arc<Peers>,
    /// What all of them have.
    pub(crate) secret: Secret,
    /// Copies of its replica, for them.
    pub(crate) snapshots: Arc<Snapshots>,
    /// Becomes true where all has to begin anew: the log is another one, say.
    pub(crate) anew: watch::Sender<bool>,
    /// Another node that takes over with what the rules know; nothing where none is wanted.
    pub(crate) standby: Option<Arc<Standby>>,
    /// The way to the keeper.
    pub(crate) relay: Arc<Relay>,
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

    /// Whether a server that has begun so is something else by now.
    pub(crate) fn is_over(self, seat: &Seat) -> bool {
        match self {
            // Where it has given it up, and nobody has it, it shows what it has.
            Self::Keeper(term) => {
                seat.term != Some(term) && (seat.term.is_some() || seat.other.is_some())
            }
            Self::Other => seat.is_held,
        }
    }
}

impl Membership {
    /// Of the same node in another role.
    pub(crate) fn turned(&self, role: Role, standby: Option<Arc<Standby>>) -> Self {
        Self {
            journal: Arc::clone(&self.journal),
            node: self.node.clone(),
            name: self.name.clone(),
            losses: self.losses.clone(),
            tenure: Arc::clone(&self.tenure),
            role,
            over: watch::channel(false).0,
            peers: Arc::clone(&self.peers),
            secret: self.secret.clone(),
            snapshots: Arc::clone(&self.snapshots),
            anew: self.anew.clone(),
            standby,
            relay: Arc::clone(&self.relay),
        }
    }

    /// The node is about to be something else: whoever waits for the keeper waits no longer.
    pub(crate) fn end_role(&self) {
        self.over.send_replace(true);
    }

    /// Whether it is, or all begins anew.
    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow() || *self.anew.borrow()
    }

    /// Waits until that is so.
    pub(crate) async fn role_ends(&self) {
        let mut over = self.over.subscribe();
        tokio::select! {
            // Its sender is here.
            _ = over.wait_for(|over| *over) => {}
            () = self.begins_anew() => {}
        }
    }

    /// Waits until the server is about to begin anew.
    pub(crate) async fn begins_anew(&self) {
        if self.anew.subscribe().wait_for(|anew| *anew).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Where the log goes on behind what this node has applied, or with what another has: has the server
    /// begin anew, which gets a snapshot, once another node has one. Until then it shows what it has.
    pub(crate) fn rejoins(&self) -> impl Future<Output = ()> + Send + use<> {
        let (journal, peers) = (Arc::clone(&self.journal), Arc::clone(&self.peers));
        let (anew, secret) = (self.anew.clone(), self.secret.clone());
        async move {
            let mut interval = tokio::time::interval(BEHIND_LOOK_INTERVAL);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                let Some(epoch) = journal.needs_snapshot() else { continue };
                let (asked, shown) = (Arc::clone(&journal), secret.clone());
                let ask = move || (asked.nodes(), asked.is_known_by(&shown));
                let Ok((nodes, is_known)) = tokio::task::spawn_blocking(ask).await else {
                    continue;
                };
                if matches!(is_known, Ok(false)) {
                    tracing::warn!(
                        "The log has got another secret of its nodes, by which none knows this one: it begins anew."
                    );
                    anew.send_replace(true);
                    return;
                }
                let has_it = |peer: &NodeMark| {
                    let applied = peer.applied.is_some_and(|applied| applied.epoch == epoch);
                    applied && !peers.is_own(peer)
                };
                for peer in nodes.into_iter().flatten().filter(has_it) {
                    if fetch::is_there(&peers, &peer).await && journal.needs_snapshot().is_some() {
                        tracing::warn!(
                            "This node has not applied what the log goes on with: it begins with a snapshot."
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

    /// Waits until another node than the one of this seat is the keeper.
    pub(crate) async fn is_succeeded(&self, seat: &Seat) {
        let keeper = |seat: &Seat| seat.other.as_ref().map(|other| other.node.clone());
        let asked = keeper(seat);
        loop {
            tokio::time::sleep(RELAY_LOOK_INTERVAL).await;
            let now = keeper(&self.tenure.seat());
            if now.is_some() && now != asked {
                return;
            }
        }
    }

    /// Waits until this node has all that was in the log when this was called.
    pub(crate) async fn catches_up(&self) -> Result<(), Problem> {
        let (reply, replied) = oneshot::channel();
        let met = Box::new(move |answer| drop(reply.send(answer)));
        // Something without content: once it was met, what stands before it was.
        self.journal.append(Vec::new(), met)?;
        replied.await.unwrap_or(Err(bellwire_journal::Error::Closed))?;
        Ok(())
    }

    /// Whether this node is the keeper, by its own clock: no other is then.
    pub(crate) fn is_in_charge(&self) -> bool {
        matches!(self.role, Role::Keeper(term) if self.tenure.holds(term))
    }
}

#[cfg(test)]
mod tests {
    use bellwire_cluster::Other;

    use super::*;

    #[test]
    fn a_server_is_something_else_where_its_role_is_over() {
        let seat = |term, is_held| Seat { term, is_held, other: None };
        let others = Seat {
            other: Some(Other { node: "b".into(), address: None, is_alive: false }),
            ..seat(None, false)
        };
        for (role, seat, is_over) in [
            (Role::Other, seat(None, false), false),
            (Role::Other, seat(Some(1), true), true),
            // Its own and not held by the clock: nobody else has taken it, and it may again.
            (Role::Keeper(1), seat(Some(1), false), false),
            (Role::Keeper(1), seat(Some(1), true), false),
            // It cannot work, and nobody else does.
            (Role::Keeper(1), seat(None, false), false),
            (Role::Keeper(1), others.clone(), true),
            (Role::Other, others, false),
            (Role::Keeper(1), seat(Some(2), true), true),
        ] {
            assert_eq!(role.is_over(&seat), is_over, "{role:?} {seat:?}");
        }
        assert_eq!(Role::of(&seat(Some(3), true)), Role::Keeper(3));
        assert_eq!(Role::of(&seat(Some(3), false)), Role::Other);
        assert_eq!(Role::of(&seat(None, false)), Role::Other);
    }
}
