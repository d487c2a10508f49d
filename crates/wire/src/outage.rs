//! Outages: why a server takes no events in, as its clients are told.

/// Why nothing new comes, or is taken. What else there is to say of it, addresses and what the system
/// has said, is for whoever runs the server: clients are told these words alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outage {
    /// The engine of the cluster does not answer, or takes nothing.
    EngineAway,
    /// What the engine has is not what this node could go on with.
    EngineUnfit,
    /// The node cannot write what comes from the engine.
    NodeStuck,
    /// A newer Bellwire has written what the node does not know.
    NodeTooOld,
    /// A server that stands alone cannot write its journal.
    JournalFailing,
}

impl Outage {
    /// All that there are.
    pub const ALL: [Self; 5] = [
        Self::EngineAway,
        Self::EngineUnfit,
        Self::NodeStuck,
        Self::NodeTooOld,
        Self::JournalFailing,
    ];

    /// The reason as text for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EngineAway => "engine_away",
            Self::EngineUnfit => "engine_unfit",
            Self::NodeStuck => "node_stuck",
            Self::NodeTooOld => "node_too_old",
            Self::JournalFailing => "journal_failing",
        }
    }

    /// The same for people.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::EngineAway => {
                "the engine of the cluster is away: live events wait until it is back, and what is \
                 published is refused; history and state can be read"
            }
            Self::EngineUnfit => {
                "the engine of the cluster cannot be used: no live events come, and what is published \
                 is refused; history and state can be read"
            }
            Self::NodeStuck => {
                "this node cannot write what comes: live events wait, and what is published is \
                 refused; history and state can be read"
            }
            Self::NodeTooOld => {
                "this node has to be updated before live events go on: what is published is refused; \
                 history and state can be read"
            }
            Self::JournalFailing => {
                "the server cannot write its journal: what is published is refused; history and state \
                 can be read"
            }
        }
    }

    /// What goes on.
    pub const fn works(self) -> &'static [&'static str] {
        &["history", "state"]
    }

    /// What does not.
    pub const fn fails(self) -> &'static [&'static str] {
        match self {
            Self::EngineAway | Self::EngineUnfit | Self::NodeStuck | Self::NodeTooOld => {
                &["live", "publish"]
            }
            // Samples and values that are in memory alone go on.
            Self::JournalFailing => &["publish"],
        }
    }
}
