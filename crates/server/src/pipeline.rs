//! Wires the parts together, and ends them in order.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, available_parallelism};

use bellwire_alerting::{
    Alerting, AlertingParts, AlertmanagerConfigError, DeskRun, EvaluatorParts, Notifier,
    NotifierParts, NotifierRun, Reload, ReloadParts, RuleFilesError, SampleIntake, StateTopics,
};
use bellwire_journal::{ClockReading, DiskJournal, DiskOptions, Journal, MemoryJournal};
use bellwire_model::limits::{DRAIN_TIMEOUT, MEMORY_LOOK_INTERVAL, RETENTION_INTERVAL};
use bellwire_model::{Epoch, NameHasher, Offset};
use bellwire_process::clock;
use bellwire_rules::{Externals, RuleSet};
use bellwire_shards::{
    Committer, Destination, Feed, HistoryReaders, Publisher, ShardParts, SharedTable, Spread,
    States, Subscriptions, Surroundings, Timing, TopicRates, TopicRules,
};
use thiserror::Error;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::admission::{self, Admission, AdmissionLimits};
use crate::api::{self, App, LargeReads, Queries};
use crate::config::{Config, Durability, Engine};
use crate::front_door::{self, Door};
use crate::journal_watch;
use crate::loaded;
use crate::observe::Figures;
use crate::open_files;
use crate::requests::{Board, Errands};
use crate::sys::SysTopics;
use crate::tls::{self, Tls, TlsError};

/// Why a server does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Rule files are wrong.
    #[error(transparent)]
    Rules(#[from] RuleFilesError),
    /// Alertmanager's configuration is wrong.
    #[error(transparent)]
    Alertmanager(#[from] AlertmanagerConfigError),
    /// The certificate and its key are wrong.
    #[error("the TLS certificate")]
    Tls(#[from] TlsError),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] bellwire_journal::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}{}", remedy(*address, source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no threads, entropy or descriptors.
    #[error("the system refuses what a server needs")]
    System(#[from] io::Error),
}

/// What to do where an address cannot be listened on.
fn remedy(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            ": another program listens there, perhaps another Bellwire. End it (`ss -ltnp sport = \
             :{port}` names it), or choose another port with `--listen`"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!(": this machine has no address {}; 0.0.0.0 stands for all it has", address.ip())
        }
        io::ErrorKind::PermissionDenied => {
            ": ports below 1024 are for root; choose another with `--listen`".to_owned()
        }
        _ => String::new(),
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    url: String,
    runtime: Runtime,
    draining: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
    threads: Threads,
    spread: Arc<Spread>,
    journal: Arc<dyn Journal>,
}

/// What a drain waits for.
#[derive(Debug)]
struct Threads {
    evaluator: JoinHandle<()>,
    alerts: JoinHandle<()>,
    shards: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts everything; returns once connections are accepted.
    pub fn start(config: Config) -> Result<Self, StartError> {
        // What can be wrong comes first: nothing has been touched yet.
        let rules = bellwire_alerting::load_rules(&config.rules, config.rule_mode)?;
        let alertmanager =
            bellwire_alerting::load_alertmanager_config(config.alertmanager_config.as_deref())?;
        let figures = Arc::new(Figures::default());
        let tls = start_tls(&config, &figures)?;
        let listener = listen(&config)?;
        let address = listener.local_addr()?;
        let url = url(address, tls.as_deref());
        let core = Core::open(&config, &figures)?;
        let (notifier, notifying) = core.notify(&config, alertmanager, &url)?;
        let (draining, drains) = watch::channel(false);
        let (alerting, desk) = core.attend(notifier, drains.clone())?;
        let (intake, evaluator) = core.evaluate(&config, (rules, &alerting), drains.clone())?;
        let alerts = desk.spawn()?;
        let Core { journal, table, states, topics, rates, shard_parts, .. } = core;
        let subscriptions = Arc::new(Subscriptions::default());
        let sys = SysTopics::new(Arc::clone(&figures), Arc::clone(&states));
        let publisher = Arc::new(Publisher {
            journal: Arc::clone(&journal),
            states,
            topics,
            figures: Arc::clone(&figures.shards),
        });
        let admission = Arc::new(Admission::new(admission_limits(&config), Arc::clone(&figures)));
        let errands = Errands::new(&publisher, (&intake, &alerting), (&figures, &admission));
        let surroundings = Arc::new(Surroundings {
            journal: Arc::clone(&journal),
            table,
            history: HistoryReaders::start(&journal)?,
            subscriptions: Arc::clone(&subscriptions),
            requests: Arc::new(errands),
            figures: Arc::clone(&figures.shards),
            lags: Arc::clone(&sys.lags),
            timing: timing(&config),
            held_bytes_max: bellwire_shards::held_bytes_max(
                memory_bytes(&config),
                shard_parts.len(),
            ),
        });
        let (shards, spread) = spawn_shards(shard_parts, &surroundings)?;
        let reload = Arc::new(reload(&config, (&intake, &alerting), &figures));
        let app = App {
            publisher,
            admission: Arc::clone(&admission),
            spread: Arc::clone(&spread),
            intake,
            alerting,
            address,
            reload: Arc::clone(&reload),
            queries: Queries::new(&config, memory_bytes(&config)),
            large_reads: LargeReads::default(),
            subscriptions,
            rates,
            figures: Arc::clone(&figures),
            allowed_origins: config.allowed_origins.clone(),
        };
        let router = api::router(Arc::new(app));
        let door = Door {
            router,
            tls,
            spread: Arc::clone(&spread),
            figures,
            admission: Arc::clone(&admission),
            allowed_origins: config.allowed_origins,
        };
        let (runtime, accepting) = open(door, listener, drains)?;
        keep_house(&runtime, Arc::clone(&journal), (admission, sys));
        runtime.spawn(reload.at_hangups());
        runtime.spawn(notifying.forever());
        let threads = Threads { evaluator, alerts, shards };
        Ok(Self { address, url, runtime, draining, accepting, threads, spread, journal })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to reach it by.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it in order: no more connections, requests under way finish, transitions are written,
    /// the journal is synced, subscribers are told good-bye. Blocks, for
    /// [`DRAIN_TIMEOUT`](bellwire_model::limits::DRAIN_TIMEOUT) at most where clients hang.
    pub fn drain(self) {
        self.draining.send_replace(true);
        let accepting = self.accepting;
        let finish = async { tokio::time::timeout(DRAIN_TIMEOUT, accepting).await };
        if self.runtime.block_on(finish).is_err() {
            tracing::warn!("Some requests did not finish in time; they are cut off.");
        }
        // With the last handler goes the intake, with the intake the evaluator, and then the desk.
        self.runtime.shutdown_timeout(DRAIN_TIMEOUT);
        if self.threads.evaluator.join().is_err() {
            tracing::error!("The evaluator had failed.");
        }
        if self.threads.alerts.join().is_err() {
            tracing::error!("The alerts' desk had failed.");
        }
        if let Err(error) = self.journal.close() {
            tracing::error!(%error, "The journal was not closed cleanly; the next start recovers it.");
        }
        self.spread.drain();
        for shard in self.threads.shards {
            if shard.join().is_err() {
                tracing::error!("A shard had failed.");
            }
        }
    }
}

/// From the journal to the hubs: what all else is built on.
struct Core {
    journal: Arc<dyn Journal>,
    table: SharedTable,
    states: Arc<States>,
    topics: TopicRules,
    rates: Arc<TopicRates>,
    shard_parts: Vec<ShardParts>,
    figures: Arc<Figures>,
}

impl Core {
    fn open(config: &Config, figures: &Arc<Figures>) -> Result<Self, StartError> {
        let topics = TopicRules::new(config.topics.clone(), config.retention_age);
        let rates = Arc::new(TopicRates::default());
        let feed_cell = Arc::new(OnceLock::new());
        let committer = Committer { feed: Arc::clone(&feed_cell), rates: Arc::clone(&rates) };
        let journal = open_journal(config, &topics, committer)?;
        loaded::tell(config, journal.as_ref());
        let name_hasher = name_hasher()?;
        let shard_parts = shard_parts(config.shards, (journal.bounds().tail, name_hasher))?;
        let (table, feed) = (bellwire_shards::new_table(name_hasher), feed(&shard_parts));
        feed_cell.set((journal.epoch(), Arc::clone(&feed))).expect("set once");
        let states = Arc::new(States::new(
            journal.epoch(),
            (Arc::clone(&table), bellwire_shards::state_bytes_max(memory_bytes(config))),
            feed,
        ));
        let figures = Arc::clone(figures);
        Ok(Self { journal, table, states, topics, rates, shard_parts, figures })
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
            journal: Arc::clone(&self.journal),
            figures: Arc::clone(&self.figures.alerting),
            external_url: external_url.into(),
            start_delay: config.notification_start_delay,
        };
        Ok(Notifier::open(parts)?)
    }

    /// The alerts' desk as the last one ended, and what runs at it.
    fn attend(
        &self,
        notifier: Arc<Notifier>,
        draining: watch::Receiver<bool>,
    ) -> Result<(Arc<Alerting>, DeskRun), StartError> {
        let parts = AlertingParts {
            journal: Arc::clone(&self.journal),
            states: self.board(),
            notifier,
            figures: Arc::clone(&self.figures.alerting),
            draining,
        };
        Ok(Alerting::open(parts)?)
    }

    /// Starts the evaluator where the last one ended.
    fn evaluate(
        &self,
        config: &Config,
        (rules, alerting): (RuleSet, &Arc<Alerting>),
        draining: watch::Receiver<bool>,
    ) -> Result<(Arc<SampleIntake>, JoinHandle<()>), StartError> {
        let restored = bellwire_alerting::restore(self.journal.as_ref())?;
        let parts = EvaluatorParts {
            rules,
            settings: rule_settings(config),
            state_folder: match config.journal {
                Engine::Disk => Some(config.data.join(RULE_STATE)),
                Engine::Memory => None,
            },
            forward: config.forward.clone(),
            journal: Arc::clone(&self.journal),
            states: self.board(),
            alerting: Arc::clone(alerting),
            figures: Arc::clone(&self.figures.alerting),
            draining,
        };
        Ok(bellwire_alerting::spawn(parts, restored)?)
    }

    fn board(&self) -> Arc<dyn StateTopics> {
        Arc::new(Board(Arc::clone(&self.states)))
    }
}

/// Reads certificate and key, where they are configured.
fn start_tls(config: &Config, figures: &Arc<Figures>) -> Result<Option<Arc<Tls>>, TlsError> {
    let Some(files) = tls::Files::of(config)? else { return Ok(None) };
    Ok(Some(Arc::new(Tls::load(files, Arc::clone(figures))?)))
}

/// Opens the front door, in a runtime of its own.
fn open(
    door: Door,
    listener: TcpListener,
    draining: watch::Receiver<bool>,
) -> io::Result<(Runtime, tokio::task::JoinHandle<()>)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(tls) = &door.tls {
        runtime.spawn(Arc::clone(tls).keep_current());
    }
    #[expect(deprecated, reason = "sound for a listener: its descriptor stays the same")]
    let listener = {
        let _context = runtime.enter();
        AsyncFd::new(listener)?
    };
    let accepting = runtime.spawn(front_door::serve(listener, door, draining));
    Ok((runtime, accepting))
}

fn url(address: SocketAddr, tls: Option<&Tls>) -> String {
    format!("{}://{address}", if tls.is_some() { "https" } else { "http" })
}

fn reload(
    config: &Config,
    (intake, alerting): (&Arc<SampleIntake>, &Arc<Alerting>),
    figures: &Figures,
) -> Reload {
    Reload::new(ReloadParts {
        rules: config.rules.clone(),
        mode: config.rule_mode,
        alertmanager_config: config.alertmanager_config.clone(),
        intake: Arc::clone(intake),
        alerting: Arc::clone(alerting),
        figures: Arc::clone(&figures.alerting),
    })
}

/// The folder of the rules' state, in the data directory.
const RULE_STATE: &str = "rules";

fn rule_settings(config: &Config) -> bellwire_rules::Settings {
    let labels = config.external_labels.clone();
    let externals = Externals { labels, url: config.external_url.as_str().into() };
    bellwire_rules::Settings { externals, ..bellwire_rules::Settings::default() }
}

fn timing(config: &Config) -> Timing {
    let Config { heartbeat_interval, stall_timeout, .. } = *config;
    Timing { heartbeat_interval, stall_timeout }
}

/// The budget of memory.
fn memory_bytes(config: &Config) -> u64 {
    match config.memory_bytes_max {
        0 => admission::default_memory_bytes_max(),
        configured => configured,
    }
}

fn admission_limits(config: &Config) -> AdmissionLimits {
    AdmissionLimits {
        connections: open_files::raise(config.connections_max),
        connections_per_address: config.connections_per_address_max,
        memory_bytes: memory_bytes(config),
    }
}

/// The way to all hubs.
fn feed(parts: &[ShardParts]) -> Arc<Feed> {
    let shard = |parts: &ShardParts| Arc::new(parts.handle.clone()) as Arc<dyn Destination>;
    Arc::new(Feed::new(parts.iter().map(shard).collect()))
}

fn spawn_shards(
    parts: Vec<ShardParts>,
    surroundings: &Arc<Surroundings>,
) -> io::Result<(Vec<JoinHandle<()>>, Arc<Spread>)> {
    let spread = Spread::new(parts.iter().map(|parts| parts.handle.clone()).collect());
    let spawn = |(index, parts)| bellwire_shards::spawn(index, parts, Arc::clone(surroundings));
    let shards = parts.into_iter().enumerate().map(spawn).collect::<io::Result<_>>()?;
    Ok((shards, Arc::new(spread)))
}

/// The secret of the tables whose keys are names that strangers choose.
fn name_hasher() -> io::Result<NameHasher> {
    let secret = || getrandom::u64().map_err(|error| io::Error::other(error.to_string()));
    Ok(NameHasher::new([secret()?, secret()?]))
}

/// One for each core where the configuration does not say.
fn shard_parts(
    configured: usize,
    (tail, name_hasher): (Offset, NameHasher),
) -> io::Result<Vec<ShardParts>> {
    let cores = || available_parallelism().map_or(1, Into::into);
    let count = if configured > 0 { configured } else { cores() };
    (0..count).map(|_| ShardParts::new(tail, name_hasher)).collect()
}

/// Connections that the kernel keeps ready for the front door.
const BACKLOG: i32 = 4096;

fn listen(config: &Config) -> Result<TcpListener, StartError> {
    let address = config.listen;
    let listen = || {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        // A restart must not wait for the old connections to time out.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        // Small events must not wait for the acknowledgement of earlier ones. What the listener
        // has, the connections that it accepts have, too.
        socket.set_tcp_nodelay(true)?;
        // Who has vanished without a word acknowledges nothing, and the kernel would try to reach
        // him for a quarter of an hour. Who is there and takes nothing is the shards' to tell, who
        // say so: they come first.
        #[cfg(target_os = "linux")]
        rustix::net::sockopt::set_tcp_user_timeout(
            &socket,
            u32::try_from((config.stall_timeout * 3 / 2).as_millis()).unwrap_or(u32::MAX),
        )?;
        Ok(TcpListener::from(socket))
    };
    listen().map_err(|source| StartError::Listen { address, source })
}

fn open_journal(
    config: &Config,
    topics: &TopicRules,
    committer: Committer,
) -> Result<Arc<dyn Journal>, StartError> {
    let epoch = getrandom::u32().map_err(|error| io::Error::other(error.to_string()))?;
    let epoch = Epoch::new(epoch);
    let observer = Box::new(committer);
    Ok(match config.journal {
        Engine::Memory => Arc::new(MemoryJournal::new(epoch, topics.retention(), observer)),
        Engine::Disk => {
            let options = DiskOptions {
                path: config.data.clone(),
                durability: match config.durability {
                    Durability::Sync => bellwire_journal::Durability::Sync,
                    Durability::Interval => bellwire_journal::Durability::Interval,
                },
                retention: topics.retention(),
                fresh_epoch: epoch,
                boot_id: boot_id(),
                now: clock_reading(),
            };
            Arc::new(DiskJournal::open(options, observer)?)
        }
    })
}

/// What the journal ages by.
fn clock_reading() -> ClockReading {
    ClockReading { wall: clock::now(), uptime: clock::uptime() }
}

/// Tells one boot of the system from another, where it says so.
fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Starts what is done again and again while the server runs.
fn keep_house(
    runtime: &Runtime,
    journal: Arc<dyn Journal>,
    (admission, sys): (Arc<Admission>, SysTopics),
) {
    runtime.spawn(journal_watch::watch(Arc::clone(&journal), sys.figures()));
    runtime.spawn(apply_retention(journal));
    runtime.spawn(look_at_memory(admission));
    runtime.spawn(sys.keep_current());
}

/// Looks at the process's memory again and again.
async fn look_at_memory(admission: Arc<Admission>) {
    let mut interval = tokio::time::interval(MEMORY_LOOK_INTERVAL);
    loop {
        interval.tick().await;
        admission.look_at_memory();
    }
}

/// Applies retention again and again. A failure is told; the next round tries again.
async fn apply_retention(journal: Arc<dyn Journal>) {
    let mut interval = tokio::time::interval(RETENTION_INTERVAL);
    loop {
        interval.tick().await;
        let journal = Arc::clone(&journal);
        let applied =
            tokio::task::spawn_blocking(move || journal.apply_retention(clock_reading())).await;
        match applied {
            Ok(Ok(None) | Err(bellwire_journal::Error::Closed)) => {}
            Ok(Ok(Some(step))) => {
                let by_s = step.by_ms / 1000;
                tracing::warn!(
                    by_s,
                    "The clock was set. Events and keys age by the time that passes, not by it."
                );
            }
            Ok(Err(error)) => tracing::warn!(%error, "Retention could not be applied."),
            Err(error) => tracing::error!(%error, "Retention failed."),
        }
    }
}
