//! From the journal to the hubs, and what is built on both: the notifier, the desk, the evaluator.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, available_parallelism};

use bellwire_alerting::{
    Alerting, AlertingParts, Courier, DeskRun, EvaluatorParts, History, LiveQueries, Notifier,
    NotifierParts, NotifierRun, Push, PushParts, Reach, RecordKept, Register, SampleIntake,
};
use bellwire_journal::Journal;
use bellwire_model::limits::PASTS_SHARE;
use bellwire_model::{Life, NameHasher, Offset, Progress};
use bellwire_rules::{Externals, RuleSet};
use bellwire_shards::{
    Committer, Destination, Feed, Onward, PastRules, ShardParts, SharedTable, StateDurability,
    States, TableFill, TopicRates, TopicRules,
};
use tokio::sync::watch;

use super::StartError;
use super::cluster::Succession;
use super::journal::{Opened, open_journal};
use super::keeping::{Keeping, rule_state_folder};
use super::{memory_bytes, push};
use crate::access::{Access, Mandates};
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
    pub(super) figures: Arc<Figures>,
    /// What the alerting stands on.
    pub(super) keeping: Keeping,
    /// Of a node among others: what it is there, and whether all begins anew.
    pub(super) cluster: Option<(Arc<Membership>, watch::Receiver<bool>)>,
}

/// The evaluator's thread, and the ways to it.
pub(super) struct Evaluators {
    pub(super) intake: Arc<SampleIntake>,
    pub(super) live: Arc<LiveQueries>,
    pub(super) thread: JoinHandle<()>,
}

/// Who may be told of alerts, how, and where people find this server.
type Told<'a> = (&'a Arc<Access>, bellwire_alerts::config::Config, &'a str);

/// What tells of alerts, where they are, and the threads behind that.
type Begun = ((NotifierRun, Courier), (Arc<Push>, Arc<Alerting>), (Evaluators, JoinHandle<()>));

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
        super::warn_of_exposure(config, address);
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
        let membership = cluster.as_ref().map(|(membership, _)| membership);
        let keeping = Keeping::new(&journal, &states, membership);
        let figures = Arc::clone(figures);
        let history = Arc::new(History::new(Arc::clone(&journal)));
        Ok(Self {
            journal,
            history,
            table,
            states,
            topics,
            rates,
            parts,
            figures,
            keeping,
            cluster,
        })
    }

    /// What nodes have in common that nobody else has.
    pub(super) fn secret(&self) -> Option<&[u8]> {
        self.cluster.as_ref().map(|(cluster, _)| &cluster.secret.bytes()[..])
    }

    /// Begins with alerts: who tells of them, the desk, and the evaluator behind them.
    pub(super) fn begin_alerting(
        &self,
        config: &Config,
        (rules, (access, alertmanager, url)): (RuleSet, Told<'_>),
        draining: watch::Receiver<bool>,
    ) -> Result<Begun, StartError> {
        let (notifier, notifying) = self.notify(config, alertmanager, url)?;
        let (push, courier, alerting, desk) = self.attend(config, (notifier, access), url)?;
        let evaluators = self.evaluate(config, (rules, &alerting), draining)?;
        Ok(((notifying, courier), (push, alerting), (evaluators, desk.spawn()?)))
    }

    /// The notifier as the last one ended, and what runs it.
    fn notify(
        &self,
        config: &Config,
        alertmanager: bellwire_alerts::config::Config,
        url: &str,
    ) -> Result<(Arc<Notifier>, NotifierRun), StartError> {
        let external_url = if config.external_url.is_empty() { url } else { &config.external_url };
        let parts = NotifierParts {
            config: alertmanager,
            journal: Arc::clone(&self.keeping.journal),
            figures: Arc::clone(&self.figures.alerting),
            external_url: external_url.into(),
            start_delay: config.notification_start_delay,
            reach: Reach::of_webhooks(config.webhook_networks()),
            charge: self.keeping.charge.clone(),
        };
        Ok(Notifier::open(parts)?)
    }

    /// Who is told of alerts through push services, and what tells them.
    fn push(
        &self,
        config: &Config,
        access: &Arc<Access>,
        url: &str,
    ) -> Result<(Arc<Push>, Courier), StartError> {
        let parts = PushParts {
            journal: Arc::clone(&self.keeping.journal),
            figures: Arc::clone(&self.figures.alerting),
            standing: Arc::new(Mandates(Arc::clone(access))),
            key: push::key(config)?,
            contact: push::contact(config, url),
            lasts: config.push.lifetime,
            start_delay: config.notification_start_delay,
            reach: Reach::of_push_services(config.push_networks()),
            charge: self.keeping.charge.clone(),
        };
        Ok(Push::open(parts)?)
    }

    /// The alerts' desk as the last one ended, and what runs at it; and who is told through push
    /// services.
    fn attend(
        &self,
        config: &Config,
        (notifier, access): (Arc<Notifier>, &Arc<Access>),
        url: &str,
    ) -> Result<(Arc<Push>, Courier, Arc<Alerting>, DeskRun), StartError> {
        let (push, courier) = self.push(config, access, url)?;
        let parts = AlertingParts {
            journal: Arc::clone(&self.keeping.journal),
            states: Arc::clone(&self.keeping.states),
            notifier,
            push: Arc::clone(&push),
            figures: Arc::clone(&self.figures.alerting),
        };
        let (alerting, desk) = Alerting::open(parts)?;
        Ok((push, courier, alerting, desk))
    }

    /// Starts the evaluator where the last one ended.
    fn evaluate(
        &self,
        config: &Config,
        (rules, alerting): (RuleSet, &Arc<Alerting>),
        draining: watch::Receiver<bool>,
    ) -> Result<Evaluators, StartError> {
        let membership = self.cluster.as_ref().map(|(membership, _)| membership);
        let state = self.keeping.state(config, membership)?;
        let rules = if self.keeping.evaluates() { rules } else { RuleSet::default() };
        let restored =
            bellwire_alerting::restore(self.keeping.journal.as_ref(), self.keeping.shown())?;
        let register = Arc::<Register>::default();
        let parts = EvaluatorParts {
            rules,
            settings: rule_settings(config),
            state_folder: state.folder.clone(),
            beginning: state.beginning.clone(),
            standby: self.keeping.standby.clone(),
            charge: self.keeping.charge.clone(),
            record: RecordKept { age: config.record_age, bytes: config.record_bytes_max },
            forward: config.forward.clone(),
            journal: Arc::clone(&self.keeping.journal),
            states: Arc::clone(&self.keeping.states),
            register: Arc::clone(&register),
            alerting: Arc::clone(alerting),
            figures: Arc::clone(&self.figures.alerting),
            draining,
        };
        let (intake, thread) = bellwire_alerting::spawn(parts, restored)?;
        self.keeping.begun(&state)?;
        let journal = Arc::clone(&self.keeping.journal);
        let live = Arc::new(LiveQueries::open(register, Arc::clone(&intake), journal)?);
        Ok(Evaluators { intake, live, thread })
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
