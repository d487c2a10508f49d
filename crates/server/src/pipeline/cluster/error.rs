//! Why a node does not start.

use std::io;
use std::path::PathBuf;

use bellwire_cluster::Error;
use bellwire_model::Epoch;
use bellwire_model::limits::CLUSTER_START_PATIENCE;
use thiserror::Error;

/// Why a node does not start among others.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// The engine is away, refuses, or has something else.
    #[error("the engine of the cluster")]
    Engine(#[from] bellwire_shared_log::Error),
    /// The log cannot be followed.
    #[error("the log of the cluster")]
    Log(#[from] Error),
    /// It is not caught up with.
    #[error("it goes no further with the log of the cluster for {} s: {why}", CLUSTER_START_PATIENCE.as_secs())]
    NotReached {
        /// How the node stands to it.
        why: String,
    },
    /// What the node has and what the log has do not go together.
    #[error("the node with the data in {} cannot follow the log of the cluster `{name}`: {why}", path.display())]
    Unfit {
        /// The directory.
        path: PathBuf,
        /// What the cluster is called in its engine.
        name: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The system gives nothing random.
    #[error("the system gives no random numbers")]
    Entropy(#[source] io::Error),
    /// The node cannot get there by the log, as often as a snapshot was got.
    #[error("{why}")]
    Behind {
        /// The epoch of the log.
        epoch: Epoch,
        /// What that means, and what to do.
        why: String,
    },
    /// The same, and nobody has given a snapshot.
    #[error("{why}")]
    NoSnapshot {
        /// What that means, and what to do.
        why: String,
        /// What others have said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The node's name cannot be read or kept.
    #[error("the name of this node, {}", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The data directory has the journal of a server that stood alone.
    #[error(
        "{} has the journal of a server that stands alone, which the cluster does not have: start the \
         node with an empty directory (`--data`), or have `bellwire join` make it what an empty cluster \
         begins with", path.display()
    )]
    StoodAlone {
        /// The directory.
        path: PathBuf,
    },
    /// There is nothing that a cluster could begin with.
    #[error(
        "there is no journal in {}: a node that has nothing needs no `join`, and just starts",
        path.display()
    )]
    NothingThere {
        /// The directory.
        path: PathBuf,
    },
    /// The data directory is of a node, of this cluster or another one.
    #[error(
        "{} is the data directory of a node already: start it, with the cluster that it is of",
        path.display()
    )]
    NodeAlready {
        /// The directory.
        path: PathBuf,
    },
    /// Nobody has said which cluster it is.
    #[error("no cluster is named: `--cluster nats://…` or `redis://…` says where it is")]
    NoEngine,
    /// What is acknowledged may be lost, though it is to survive the loss of power.
    #[error(
        "`durability = \"sync\"` would be untrue: {engine} may lose {}. Set the engine up so that it does \
         not, or say that events may be lost: `durability = \"interval\"`", losses.join("; and ")
    )]
    Untrue {
        /// What the engine is.
        engine: String,
        /// What it may lose.
        losses: Vec<String>,
    },
    /// What is configured beside it is not for nodes of a cluster yet.
    #[error("`{0}` is for a server that stands alone: leave it out, or `cluster`")]
    NotYet(&'static str),
}
