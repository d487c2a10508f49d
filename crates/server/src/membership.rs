//! What a server is among other nodes.

use std::sync::Arc;
use std::time::Duration;

use bellwire_cluster::ClusterJournal;
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::watch;

use crate::peers::Peers;
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
    /// Speaks to the other nodes.
    pub(crate) peers: Arc<Peers>,
    /// Copies of its replica, for them.
    pub(crate) snapshots: Snapshots,
    /// Becomes true where all has to begin anew.
    pub(crate) void: watch::Sender<bool>,
}

impl Membership {
    /// Where the log goes on behind what this node has applied: has the server begin anew, which gets a
    /// snapshot, once another node has one. Until then it shows what it has.
    pub(crate) fn rejoins(&self) -> impl Future<Output = ()> + Send + use<> {
        let (journal, peers) = (Arc::clone(&self.journal), Arc::clone(&self.peers));
        let void = self.void.clone();
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
                        void.send_replace(true);
                        return;
                    }
                }
            }
        }
    }
}

/// Refuses what only a server does that stands alone.
pub(crate) fn stands_in_cluster() -> Problem {
    let detail = "a node of a cluster passes events on, and has no samples, alerts, keys and streams of \
                  its own: have a server that stands alone do this";
    Problem::new(Code::StandsInCluster, detail)
}
