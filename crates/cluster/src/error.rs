//! What can go wrong with a node of a cluster.

use std::io;

use bellwire_model::Epoch;
use bellwire_shared_log::Position;

/// Why something was not done.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes in the log are not what this makes of batches.
    #[error("what is in the log cannot be read: {0}")]
    Malformed(&'static str),
    /// A newer Bellwire has written it.
    #[error("this node is too old for what is in the log at {position}: it has {what}")]
    TooOld {
        /// Where it is.
        position: Position,
        /// What this node does not know.
        what: Box<str>,
    },
    /// The engine was away for longer than a publisher is kept waiting.
    #[error("the engine of the cluster is away: {0}")]
    Away(Box<str>),
    /// Somebody else holds by now what this was to be done under.
    #[error("another node holds `{0}` by now")]
    Fenced(Box<str>),
    /// One append, or changes of records that belong together, have more bytes than a commit may have.
    #[error("{bytes} bytes are more than the {max} that are appended at once")]
    TooLarge {
        /// Bytes.
        bytes: usize,
        /// How many there may be.
        max: usize,
    },
    /// One append has more events than a commit may have.
    #[error("{events} events are more than the {max} that are appended at once")]
    TooMany {
        /// Events.
        events: usize,
        /// How many there may be.
        max: usize,
    },
    /// A register of the cluster holds something else.
    #[error("the register `{register}` is not what Bellwire writes: {what}")]
    Register {
        /// Its name.
        register: Box<str>,
        /// What is wrong with it.
        what: &'static str,
    },
    /// What comes next of the log is gone, and what counts is a function of all of it.
    #[error(
        "the log is trimmed up to {trimmed}, which this node has not applied: it cannot know what counted, \
         and needs a snapshot of another node that has. Start one, and see to it that it is reached at the \
         address that it tells (`cluster_address`); without any, begin another cluster (`cluster_name`)"
    )]
    Behind {
        /// The epoch of the log.
        epoch: Epoch,
        /// Up to where it is gone.
        trimmed: Position,
    },
    /// The epoch goes on with what another node has, which is not in the log.
    #[error(
        "the cluster goes on with what another node has and this one has not, since its log has lost a \
         part, or since it began with the data of a server that had stood alone: this node needs a snapshot \
         of one that has it. Start one, and see to it that it is reached at the address that it tells \
         (`cluster_address`); after five minutes without any, nodes that have something else go on with \
         what the one of them has that has most"
    )]
    LacksBase {
        /// The epoch of the log.
        epoch: Epoch,
    },
    /// Nodes live in an epoch that is not that of this node's data, and not a later one.
    #[error(
        "the data of this node are of another cluster, or of a time that the engine has gone back before: other \
         nodes live in epoch {epoch}, which it does not know, and it leaves all as it is. Start it with \
         the engine and the name of its own cluster (`cluster_name`), or as a new node with an empty directory \
         (`--data`). Where its engine has lost everything, and others have begun it anew with less, stop all, empty the engine, \
         and start this node first"
    )]
    Foreign {
        /// The epoch of the log.
        epoch: Epoch,
    },
    /// The log is of another cluster than the node's data.
    #[error(
        "the data of this node are of {}, and the log that it is led to is of cluster {log:016x}: it leaves all as it is. \
         Start it with the engine and the name of its own cluster (`cluster`, `cluster_name`), or as a \
         new node with an empty directory (`--data`). Where its own engine has lost everything, and others have begun it \
         anew with less, stop all, empty the engine, and start this node first", of_cluster(*own)
    )]
    OtherCluster {
        /// The cluster of what the node has, where it says so.
        own: Option<u64>,
        /// That of the log.
        log: u64,
    },
    /// A journal is to be what a cluster begins with, and that has begun with something else.
    #[error(
        "the cluster has begun already, and what a server has that stood alone cannot be added to it: name \
         another cluster (`cluster_name`)"
    )]
    Taken,
    /// There are as many nodes as there may be.
    #[error("the cluster knows {0} nodes already: forget those that are gone")]
    TooManyNodes(usize),
    /// The shared log.
    #[error(transparent)]
    Log(#[from] bellwire_shared_log::Error),
    /// The replica.
    #[error("the replica")]
    Replica(#[from] bellwire_journal::Error),
    /// The system gives no threads.
    #[error("the system starts no thread: {0}")]
    System(io::ErrorKind),
}

fn of_cluster(cluster: Option<u64>) -> String {
    let unknown = "no cluster that they name, and of no epoch that the log knows";
    cluster.map_or_else(|| unknown.to_owned(), |cluster| format!("cluster {cluster:016x}"))
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::System(error.kind())
    }
}
