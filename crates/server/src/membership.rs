//! What a server is among other nodes.

use std::sync::Arc;

use bellwire_cluster::ClusterJournal;
use bellwire_wire::problem::{Code, Problem};

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
}

/// Refuses what only a server does that stands alone.
pub(crate) fn stands_in_cluster() -> Problem {
    let detail = "a node of a cluster passes events on, and has no samples, alerts, keys and streams of \
                  its own: have a server that stands alone do this";
    Problem::new(Code::StandsInCluster, detail)
}
