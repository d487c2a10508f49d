//! The shards, and what they reach.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use bellwire_journal::Journal;
use bellwire_shards::{
    HistoryReaders, Presence, Requests, ShardParts, SharedTable, Spread, Subscriptions,
    Surroundings, Timing, TopicRules,
};

use super::parts::memory_bytes;
use crate::access::Access;
use crate::config::Config;
use crate::sys::SysTopics;

/// What shards show, and to whom.
type Events<'a> = (&'a Arc<dyn Journal>, SharedTable, &'a Arc<Subscriptions>, &'a TopicRules);

/// What shards ask, and by whose leave.
type Asked<'a> = (&'a Arc<dyn Requests>, &'a Arc<Access>, &'a SysTopics);

/// What shards reach of all else.
fn surroundings(
    (config, shards): (&Config, usize),
    (journal, table, subscriptions, topics): Events<'_>,
    (errands, access, sys): Asked<'_>,
    presence: Option<&Arc<Presence>>,
) -> io::Result<Arc<Surroundings>> {
    Ok(Arc::new(Surroundings {
        journal: Arc::clone(journal),
        table,
        history: HistoryReaders::start(journal)?,
        subscriptions: Arc::clone(subscriptions),
        topics: topics.clone(),
        requests: Arc::clone(errands),
        authority: Arc::<Access>::clone(access),
        figures: Arc::clone(&sys.figures().shards),
        lags: Arc::clone(&sys.figures().lags),
        closed: Arc::clone(&sys.figures().closed),
        transports: Arc::clone(&sys.figures().transports),
        traffic: Arc::clone(&sys.traffic),
        timing: timing(config),
        presence: presence.cloned(),
        held_bytes_max: bellwire_shards::held_bytes_max(memory_bytes(config), shards),
    }))
}

fn timing(config: &Config) -> Timing {
    let Config { heartbeat_interval, stall_timeout, .. } = *config;
    Timing { heartbeat_interval, stall_timeout }
}

/// Starts them.
pub(super) fn spawn_shards(
    config: &Config,
    parts: Vec<ShardParts>,
    events: Events<'_>,
    (asked, presence): (Asked<'_>, Option<&Arc<Presence>>),
) -> io::Result<(Vec<JoinHandle<()>>, Arc<Spread>)> {
    let surroundings = surroundings((config, parts.len()), events, asked, presence)?;
    let spread = Spread::new(parts.iter().map(|parts| parts.handle.clone()).collect());
    let spawn = |(index, parts)| bellwire_shards::spawn(index, parts, Arc::clone(&surroundings));
    let shards = parts.into_iter().enumerate().map(spawn).collect::<io::Result<_>>()?;
    Ok((shards, Arc::new(spread)))
}
