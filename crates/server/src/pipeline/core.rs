//! From the journal to the hubs: what all else is built on, whatever the server does of the alerting.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;

use bellwire_alerting::History;
use bellwire_journal::Journal;
use bellwire_model::limits::PASTS_SHARE;
use bellwire_model::{Life, NameHasher, Offset, Progress};
use bellwire_rules::Externals;
use bellwire_shards::{
    Committer, Destination, Feed, Onward, PastRules, ShardParts, SharedTable, StateDurability,
    States, TableFill, TopicRates, TopicRules,
};
use tokio::sync::watch;

use super::StartError;
use super::cluster::Succession;
use super::journal::{Opened, open_journal};
use super::keeping::rule_state_folder;
use super::parts::memory_bytes;
use crate::config::Config;
use crate::loaded;
use crate::membership::Membership;
use crate::observe::Figures;

/// From the journal to the hubs: what all else is built on.
pub(super) struct Core {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) history: Arc<History>,
    pub(super) table: SharedTable,
    pub(super) states: Arc<States>,
    pub(super) topics: TopicRules,
    pub(super) rates: Arc<TopicRates>,
    pub(super) parts: Vec<ShardParts>,
    /// Of a node among others: what it is there, and whether all begins anew.
    pub(super) cluster: Option<(Arc<Membership>, watch::Receiver<bool>)>,
}

impl Core {
    pub(super) fn open(
        config: &Config,
        figures: &Arc<Figures>,
        address: SocketAddr,
        succession: &Succession,
    ) -> Result<Self, StartError> {
        let topics = topics(config);
        let rates = Arc::new(TopicRates::default());
        let onward = Arc::new(OnceLock::new());
        let (to, rating, rules) = (Arc::clone(&onward), Arc::clone(&rates), topics.clone());
        let committer = Committer { onward: to, rates: rating, topics: rules };
        let name_hasher = NameHasher::default();
        // Nobody has heard of it: what cursors of another process say of state topics is void.
        let life =
            Life::new(getrandom::u32().map_err(|error| io::Error::other(error.to_string()))?);
        let table = bellwire_shards::new_table(life, name_hasher);
        let mut fill = TableFill::new(&table, &topics);
        let opened = open_journal(config, &topics, committer, &mut fill, (address, succession))?;
        let journal = opened.journal();
        loaded::tell(config, journal.as_ref());
        super::parts::warn_of_exposure(config, address);
        let state = fill.end(journal.as_ref())?;
        let tail = journal.bounds().tail;
        let parts = shard_parts(config.shards, ((tail, state), name_hasher))?;
        let feed = feed(&parts, (tail, life, state));
        let states = Arc::new(States::new(
            journal.epoch(),
            (Arc::clone(&table), bellwire_shards::state_bytes_max(memory_bytes(config))),
            Arc::clone(&feed),
            past_rules(config),
        ));
        let (epoch, passed_to) = (journal.epoch(), Arc::clone(&states));
        onward.set(Onward { epoch, feed, states: passed_to }).expect("set once");
        // From here on there is who is shown what others write.
        let cluster = match opened {
            Opened::Alone(_) => None,
            Opened::Among(joined) => {
                let of_rules = rule_state_folder(&config.data);
                Some(joined.begin(config, (of_rules, &figures.alerting))?)
            }
        };
        let history = Arc::new(History::new(Arc::clone(&journal)));
        Ok(Self { journal, history, table, states, topics, rates, parts, cluster })
    }

    /// What nodes have in common that nobody else has.
    pub(super) fn secret(&self) -> Option<&[u8]> {
        self.cluster.as_ref().map(|(cluster, _)| &cluster.secret.bytes()[..])
    }
}

/// What the configuration says of topics. What all nodes are to have is in the log.
pub(super) fn topics(config: &Config) -> TopicRules {
    let mut topics = config.topics.clone();
    if config.cluster.engine.is_none() {
        return TopicRules::new(topics, config.retention_age);
    }
    for topic in &mut topics {
        topic.durability = StateDurability::Disk;
    }
    TopicRules::new(topics, config.retention_age).with_board_on_disk()
}

/// What is remembered of series, within a part of the memory.
fn past_rules(config: &Config) -> PastRules {
    let share = usize::try_from(memory_bytes(config) / PASTS_SHARE).unwrap_or(usize::MAX);
    PastRules::new(config.sample_history.clone(), config.history_bytes_max.min(share))
}

/// What an engine of a server works by.
pub fn rule_settings(config: &Config) -> bellwire_rules::Settings {
    let labels = config.external_labels.clone();
    let externals = Externals { labels, url: config.external_url.as_str().into() };
    bellwire_rules::Settings { externals, ..bellwire_rules::Settings::default() }
}

/// The way to all hubs.
fn feed(parts: &[ShardParts], begin: (Offset, Life, Progress)) -> Arc<Feed> {
    let shard = |parts: &ShardParts| Arc::new(parts.handle.clone()) as Arc<dyn Destination>;
    Arc::new(Feed::new(parts.iter().map(shard).collect(), begin))
}

/// One for each core where the configuration does not say.
fn shard_parts(
    configured: usize,
    (begin, name_hasher): ((Offset, Progress), NameHasher),
) -> io::Result<Vec<ShardParts>> {
    let cores = || available_parallelism().map_or(1, Into::into);
    let count = if configured > 0 { configured } else { cores() };
    (0..count).map(|_| ShardParts::new(begin, name_hasher)).collect()
}
