//! What a server says of itself as it starts: what it keeps where, and what it was told of topics.
//!
//! What rules there are is said where they are read, which a reload does again.

use bellwire_journal::Journal;
use bellwire_shards::Kind;

use crate::config::{Config, Durability, Engine};

/// Tells those who read the log.
pub(crate) fn tell(config: &Config, journal: &dyn Journal) {
    let newest = journal.bounds().tail.get();
    match config.journal {
        Engine::Disk => {
            // Where it is from here is of no use to somebody who looks for it from elsewhere.
            let path = std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
            let acknowledged = match config.durability {
                Durability::Sync => "when synced",
                Durability::Interval => "when written",
            };
            let data = path.display();
            tracing::info!(%data, newest, acknowledged, "The journal is open.");
        }
        Engine::Memory => {
            tracing::info!("The journal is in memory: nothing outlives this process.");
        }
    }
    let states = config.topics.iter().filter(|topic| topic.kind == Kind::State).count();
    let streams = config.topics.len() - states;
    tracing::info!(streams, states, "Topics are as `[[topic]]` says; all others are streams.");
    if let Some(file) = &config.alertmanager_config {
        tracing::info!(file = %file.display(), "Notifications are configured.");
    } else {
        tracing::info!("Nobody is notified: there is no `--alertmanager-config`.");
    }
}
