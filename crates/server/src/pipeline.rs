//! Wires the parts together, and ends them in order.

mod cluster;
mod core;
mod house;
mod joining;
mod journal;
mod keeping;
mod listening;
mod push;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bellwire_alerting::{
    Alerting, AlertmanagerConfigError, Courier, Hangups, History, InForce, LastRead, NotifierRun,
    Reload, ReloadParts, RuleFilesError, SampleIntake, load_alertmanager_config,
};
use bellwire_authn::config::{AccessConfig, Wider};
use bellwire_authn::{AccessError, Authenticator, NOBODY_COMES_IN, SecretPlace};
use bellwire_journal::Journal;
use bellwire_model::FilterSet;
use bellwire_model::limits::DRAIN_TIMEOUT;
use bellwire_rules::RuleSet;
use bellwire_shards::{
    HistoryReaders, Presence, Publisher, Requests, ShardParts, SharedTable, Spread, States,
    Subscriptions, Surroundings, Timing, TopicRules,
};
use bellwire_sources::scrape::{Job, Scraper};
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::sync::watch;

pub use self::cluster::{ClusterError, Succession};
pub use self::core::rule_settings;
use self::core::{Core, Evaluators};
use self::house::keep_house;
pub use self::joining::{BroughtIn, bring_in};
pub use self::keeping::rule_state_folder;
use self::keeping::{Keeping, kept_state_folder};
use self::listening::{Entrance, listen, open, url};
pub use self::push::PushKeyError;
use crate::access::{Access, AccessRules};
use crate::admission::{self, Admission, AdmissionLimits};
use crate::api::{self, App, LargeReads, Records, StreamsApi};
use crate::config::{Config, Engine, Exposed, MqttConfig};
use crate::durable_streams::DurableStreams;
use crate::envoy::Envoy;
use crate::front_door::Door;
use crate::hosts::KnownHosts;
use crate::live::QueryPasts;
use crate::membership::{Membership, Role};
use crate::mirror::{Follower, Ground, Mirror};
use crate::mqtt::MqttDoor;
use crate::neighbours;
use crate::observe::Figures;
use crate::open_files;
use crate::outages::Outages;
use crate::page::{Callers, Elsewhere};
use crate::proxies::Proxies;
use crate::queries::Queries;
use crate::receiver::Receiver;
use crate::requests::Errands;
use crate::scraping::Scraping;
use crate::standby;
use crate::sys::SysTopics;
use crate::tls::{self, Tls, TlsError};

/// What runs until it ends.
trait Task: Future<Output = ()> + Send + 'static {}

impl<F: Future<Output = ()> + Send + 'static> Task for F {}

/// Heartbeats of another node that are missed before it is given up.
const SILENT_HEARTBEATS: u32 = 3;

/// Why a server does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// It would let everybody in.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// Rule files are wrong.
    #[error(transparent)]
    Rules(#[from] RuleFilesError),
    /// Alertmanager's configuration is wrong.
    #[error(transparent)]
    Alertmanager(#[from] AlertmanagerConfigError),
    /// The certificate and its key are wrong.
    #[error("the TLS certificate")]
    Tls(#[from] TlsError),
    /// What `[access]` names cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] bellwire_journal::Error),
    /// It does not start among other nodes.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}{}", remedy(*address, source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The key for push messages cannot be used.
    #[error("the key for push messages, {}", path.display())]
    PushKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PushKeyError,
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
    /// Whose last words the journal takes before it is closed, and what the next one is handed.
    kept: (Arc<Access>, Arc<dyn Journal>, Succession),
    /// Of a node among others, whether all begins anew.
    anew: Option<watch::Receiver<bool>>,
    /// What it is among them.
    cluster: Option<Arc<Membership>>,
}

/// What a drain waits for.
#[derive(Debug)]
struct Threads {
    sensors: Option<crate::mqtt::Running>,
    evaluator: JoinHandle<()>,
    alerts: JoinHandle<()>,
    shards: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts everything; returns once connections are accepted. It is called within a runtime,
    /// which hears signals for it, and takes long where there is much to read.
    pub fn start(config: Config) -> Result<Self, StartError> {
        Self::start_after(config, Succession::default())
    }

    /// The same of one that begins anew, where another has ended.
    #[expect(
        clippy::too_many_lines,
        reason = "a list of all parts, each behind those that it needs"
    )]
    pub fn start_after(config: Config, succession: Succession) -> Result<Self, StartError> {
        let hangups = Hangups::listen()?;
        // What can be wrong comes first: nothing has been touched yet.
        let ((rules, alertmanager), files) = check(&config, &succession)?;
        let (figures, hosts) = (Arc::<Figures>::default(), Arc::new(KnownHosts::new(&config)));
        let (tls, access) = (start_tls(&config, &figures, &hosts)?, access(&config, &figures)?);
        let entrance = entrance(&config, &succession)?;
        let address = entrance.address()?;
        let (core, url) =
            (Core::open(&config, &figures, address, &succession)?, url(address, tls.as_deref()));
        let sensors = listen_to_sensors(&config, &core)?;
        access.begin(&core.journal, core.secret())?;
        let (draining, drains) = watch::channel(false);
        let ((notifying, courier), (push, alerting), begun) =
            core.begin_alerting(&config, (rules, (&access, alertmanager, &*url)), drains.clone())?;
        let (Evaluators { intake, live, thread: evaluator }, alerts) = begun;
        let subscriptions = Arc::new(Subscriptions::default());
        let Core {
            journal, history, table, states, topics, rates, parts, keeping, cluster, ..
        } = core;
        let ((cluster, anew), sys) = (cluster.unzip(), sys_topics(&figures, &states));
        let (presence, pasts) =
            (presence(&config, cluster.as_deref()), query_pasts(&config, &states));
        let mirror = mirror(cluster.as_deref(), &subscriptions);
        let publisher = publisher(&journal, (states, topics), &figures);
        let admission = admission(&config, &figures, drains.clone());
        let envoy = envoy((cluster.as_ref(), mirror.as_ref()), &publisher.states);
        let (house, around) = ((&figures, &admission, &access), (&pasts, envoy.clone()));
        let errands = Errands::new(&publisher, (&intake, &alerting, &live), house, around);
        let errands: Arc<dyn Requests> = Arc::new(errands);
        let (events, of) =
            ((&journal, table, &subscriptions, &publisher.topics), presence.as_ref());
        let (shards, spread) =
            spawn_shards(&config, parts, events, ((&errands, &access, &sys), of))?;
        let receiver = Receiver::new(&intake, &access, (&figures, &admission), &publisher);
        let (reload, scraper) =
            reload(&config, (&keeping, &intake, &alerting), (&receiver, &figures), files);
        let decides = keeping.evaluates().then(|| keeping.charge.clone());
        let streams = DurableStreams::open(&publisher, (&keeping.journal, decides))?;
        let outages = Outages::new(&spread, &admission, cluster.as_deref());
        let app = App {
            streams: StreamsApi::new(Arc::clone(&streams)),
            callers: callers(&config, hosts, (Arc::clone(&publisher), mirror.clone())),
            publisher,
            admission: Arc::clone(&admission),
            receiver,
            access: Arc::clone(&access),
            spread: Arc::clone(&spread),
            intake,
            live,
            ingest: config.ingest.clone(),
            alerting,
            push,
            history: Arc::clone(&history),
            address,
            scraper: Arc::clone(&scraper),
            reload: Arc::clone(&reload),
            queries: Arc::clone(&pasts.queries),
            pasts,
            records: Records::new(kept_state_folder(&config)),
            large_reads: LargeReads::default(),
            subscriptions,
            rates,
            figures: Arc::clone(&figures),
            traffic: sys.watch(),
            webhooks: config.webhooks.clone(),
            presence: FilterSet::gathered(config.presence.topics.clone()),
            present: presence.clone(),
            shows_examples: config.examples,
            cluster,
            errands,
            envoy: envoy.clone(),
            mirror,
        };
        let member = app.cluster.clone();
        let (rejoins, neighbours, followers) = among_others(&app, &config);
        let doors = doors(app, tls, config.stall_timeout);
        let listener = entrance.open(&config)?;
        let (runtime, accepting, sensors) = open_all(doors, (listener, sensors), drains)?;
        rejoins.map(|rejoins| runtime.spawn(rejoins));
        if let Some(cluster) = &member {
            standby::begin(&runtime, (cluster, &keeping.journal), &config.data);
        }
        neighbours.map(|neighbours| runtime.spawn(neighbours));
        for follower in followers {
            runtime.spawn(follower.run());
        }
        envoy.map(|envoy| runtime.spawn(envoy.keep_standing()));
        keep_house(
            &runtime,
            (&access, &spread),
            (&journal, outages),
            (admission, sys, presence),
            (reload, hangups),
        );
        begin(
            &runtime,
            (notifying, courier, history),
            (&scraper, config.scrape),
            (streams, keeping),
        );
        let threads = Threads { sensors, evaluator, alerts, shards };
        let kept = (access, journal, succession);
        Ok(Self {
            address,
            url,
            runtime,
            draining,
            accepting,
            threads,
            spread,
            kept,
            anew,
            cluster: member,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to reach it by.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the log of its cluster is not what it was: what is shown is void, and the server has
    /// to be drained and started again.
    pub async fn begins_anew(&self) {
        let Some(mut anew) = self.anew.clone() else { return std::future::pending().await };
        if anew.wait_for(|anew| *anew).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What becomes of it, where it [ends and another begins](Self::hand_over) in its place.
    pub fn succession(&self) -> Succession {
        let (_, _, succession) = &self.kept;
        succession.clone()
    }

    /// Ends it in order: no more connections, requests under way finish, transitions are written,
    /// the journal is synced, subscribers are told good-bye. Blocks, for
    /// [`DRAIN_TIMEOUT`](bellwire_model::limits::DRAIN_TIMEOUT) at most where clients hang.
    pub fn drain(self) {
        self.succession().turn_away();
        // Behind the last word: who takes over finds all of it.
        self.hand_over().give_up();
    }

    /// The same, and hands on what is held to whoever [comes after](Self::start_after) it.
    pub fn hand_over(self) -> Succession {
        // While it is still asked: what is taken from here on is taken by another.
        if let Some(cluster) = self.cluster {
            cluster.hand_over();
        }
        self.draining.send_replace(true);
        let accepting = self.accepting;
        let finish = async { tokio::time::timeout(DRAIN_TIMEOUT, accepting).await };
        if self.runtime.block_on(finish).is_err() {
            tracing::warn!("Some requests did not finish in time; they are cut off.");
        }
        if let Some(sensors) = self.threads.sensors {
            sensors.drain();
        }
        let (access, journal, succession) = self.kept;
        let finish = async { tokio::time::timeout(DRAIN_TIMEOUT, access.finish()).await };
        if self.runtime.block_on(finish).is_err() {
            tracing::warn!("The journal has not taken in time what is known of the use of keys.");
        }
        // With the last handler goes the intake, with the intake the evaluator, and then the desk.
        self.runtime.shutdown_timeout(DRAIN_TIMEOUT);
        if self.threads.evaluator.join().is_err() {
            tracing::error!("The evaluator had failed.");
        }
        if self.threads.alerts.join().is_err() {
            tracing::error!("The alerts' desk had failed.");
        }
        if let Err(error) = journal.close() {
            tracing::error!(%error, "The journal was not closed cleanly; the next start recovers it.");
        }
        self.spread.drain();
        for shard in self.threads.shards {
            if shard.join().is_err() {
                tracing::error!("A shard had failed.");
            }
        }
        succession
    }
}

/// Where clients come to.
fn entrance(config: &Config, succession: &Succession) -> Result<Entrance, StartError> {
    match config.cluster.engine {
        Some(_) => Entrance::shut(config, &succession.door),
        None => Entrance::ajar(config),
    }
}

/// What rule files and Alertmanager's configuration say.
type Files = (RuleSet, bellwire_alerts::config::Config);

/// Where what files said is kept for whoever begins anew, and what is wrong with them where this one goes
/// on with what was kept.
type Kept = (Option<LastRead>, Option<String>);

/// Whether it may be reached as it is to be, and what its files say.
fn check(config: &Config, succession: &Succession) -> Result<(Files, Kept), StartError> {
    config.check_exposure()?;
    let kept = config.cluster.engine.is_some().then(|| succession.last_read.clone());
    match (read_files(config), kept.as_ref().and_then(LastRead::get)) {
        (Ok((rules, alertmanager)), _) => {
            if let Some(kept) = &kept {
                kept.set(rules.clone(), alertmanager.clone());
            }
            Ok(((rules, alertmanager), (kept, None)))
        }
        // It has served, and is not to end because of what a reload would have refused.
        (Err(error), Some(files)) => {
            let reason = error.to_string();
            tracing::error!(reason, "Rules and notifications stay as they were.");
            Ok((files, (kept, Some(reason))))
        }
        (Err(error), None) => Err(error),
    }
}

fn read_files(config: &Config) -> Result<Files, StartError> {
    let rules = bellwire_alerting::load_rules(&config.rules, config.rule_mode)?;
    Ok((rules, load_alertmanager_config(config.alertmanager_config.as_deref())?))
}

/// Who may come in, with the keys that the configuration names.
fn access(config: &Config, figures: &Arc<Figures>) -> Result<Arc<Access>, AccessError> {
    if config.access.as_ref().is_some_and(AccessConfig::lets_in_nobody) {
        tracing::warn!("{NOBODY_COMES_IN}.");
    }
    let place = match (&config.cluster.engine, config.journal) {
        (Some(_), _) => SecretPlace::Nodes,
        (None, Engine::Disk) => SecretPlace::Data(&config.data),
        (None, Engine::Memory) => SecretPlace::Process,
    };
    let told = Arc::clone(&figures.authn);
    let authenticator = Authenticator::new(config.access.as_ref(), place, told)?;
    let access = config.access.as_ref();
    let rules = AccessRules {
        wider: access.map_or(Wider::default(), |access| access.wider),
        expiry_grace: access.map_or(Duration::ZERO, |access| access.expiry_grace),
    };
    Ok(Arc::new(Access::new(authenticator, figures, rules)))
}

/// Who may ask, as far as a head tells.
fn callers(
    config: &Config,
    hosts: Arc<KnownHosts>,
    (publisher, mirror): (Arc<Publisher>, Option<Arc<Mirror>>),
) -> Callers {
    let proxies = Arc::new(Proxies::new(config));
    let proxy = config.access.as_ref().and_then(|access| access.proxy.as_ref());
    let named_in = proxy.map(|proxy| proxy.subject_header.clone());
    let (origins, speaks_tls) = (config.allowed_origins.clone(), config.tls_certificate.is_some());
    let (publisher, elsewhere) = (Some(publisher), mirror.map(|it| it as Arc<dyn Elsewhere>));
    Callers { origins, hosts, proxies, named_in, speaks_tls, publisher, elsewhere }
}

/// Who shows themselves, where any topic has presence.
fn presence(config: &Config, cluster: Option<&Membership>) -> Option<Arc<Presence>> {
    match cluster {
        Some(cluster) => Presence::among_others(config.presence.clone(), &cluster.node),
        None => Presence::new(config.presence.clone()),
    }
}

/// What another node shows that has the samples and alerts, where one does.
fn mirror(cluster: Option<&Membership>, subscriptions: &Arc<Subscriptions>) -> Option<Arc<Mirror>> {
    cluster.filter(|cluster| cluster.role == Role::Other).map(|_| Mirror::new(subscriptions))
}

/// What has that node do something.
fn envoy(
    (cluster, mirror): (Option<&Arc<Membership>>, Option<&Arc<Mirror>>),
    states: &Arc<States>,
) -> Option<Arc<Envoy>> {
    Some(Envoy::new(cluster?, mirror?, states))
}

/// What a node does again and again because there are others.
fn among_others(
    app: &App,
    config: &Config,
) -> (Option<impl Task>, Option<impl Task>, Vec<Follower>) {
    let Some(cluster) = &app.cluster else { return (None, None, Vec::new()) };
    let ground = Ground {
        cluster: Arc::clone(cluster),
        states: Arc::clone(&app.publisher.states),
        figures: Arc::clone(&app.figures.mirror),
        silence_max: config.heartbeat_interval * SILENT_HEARTBEATS,
    };
    let followers = app.mirror.iter().flat_map(|mirror| Follower::of(mirror, &ground)).collect();
    let present = app.present.clone();
    let neighbours = present.map(|it| neighbours::follow_all(Arc::clone(cluster), it));
    (Some(cluster.rejoins()), neighbours, followers)
}

/// Reads certificate and key, where they are configured.
fn start_tls(
    config: &Config,
    figures: &Arc<Figures>,
    hosts: &Arc<KnownHosts>,
) -> Result<Option<Arc<Tls>>, TlsError> {
    let Some(files) = tls::Files::of(config)? else { return Ok(None) };
    Ok(Some(Arc::new(Tls::load(files, Arc::clone(figures), Arc::clone(hosts))?)))
}

fn sys_topics(figures: &Arc<Figures>, states: &Arc<States>) -> SysTopics {
    SysTopics::new(Arc::clone(figures), Arc::clone(states))
}

/// What queries may take, and what makes their pasts of it.
fn query_pasts(config: &Config, states: &Arc<States>) -> Arc<QueryPasts> {
    let queries = Arc::new(Queries::new(config, memory_bytes(config)));
    Arc::new(QueryPasts { queries, states: Arc::clone(states) })
}

fn publisher(
    journal: &Arc<dyn Journal>,
    (states, topics): (Arc<States>, TopicRules),
    figures: &Figures,
) -> Arc<Publisher> {
    let (journal, figures) = (Arc::clone(journal), Arc::clone(&figures.shards));
    Arc::new(Publisher { journal, states, topics, figures })
}

/// What is read again at a reload; the scraper is among whom it concerns.
fn reload(
    config: &Config,
    (keeping, intake, alerting): (&Keeping, &Arc<SampleIntake>, &Arc<Alerting>),
    (receiver, figures): (&Receiver, &Figures),
    (last_read, failure): Kept,
) -> (Arc<Reload>, Arc<Scraper>) {
    let scraping = Scraping::new(config, receiver.clone());
    let scraper = Arc::clone(&scraping.scraper);
    let in_force = InForce { intake: Arc::clone(intake), alerting: Arc::clone(alerting) };
    let reload = Reload::new(ReloadParts {
        rules: config.rules.clone(),
        mode: config.rule_mode,
        alertmanager_config: config.alertmanager_config.clone(),
        in_force: keeping.evaluates().then_some(in_force),
        last_read,
        failure,
        also: Arc::new(scraping),
        figures: Arc::clone(&figures.alerting),
    });
    (Arc::new(reload), scraper)
}

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

/// The budget of memory.
fn memory_bytes(config: &Config) -> u64 {
    match config.memory_bytes_max {
        0 => admission::default_memory_bytes_max(),
        configured => configured,
    }
}

fn admission(
    config: &Config,
    figures: &Arc<Figures>,
    draining: watch::Receiver<bool>,
) -> Arc<Admission> {
    let limits = AdmissionLimits {
        connections: open_files::raise(config.connections_max),
        connections_per_address: config.connections_per_address_max,
        connects_per_second_per_address: config.connects_per_second_per_address_max,
        memory_bytes: memory_bytes(config),
    };
    Arc::new(Admission::new(limits, Arc::clone(figures), draining))
}

/// What is configured of MQTT, and the socket that sensors come to.
type Sensors<'a> = Option<(&'a MqttConfig, Option<TcpListener>)>;

/// Sensors are for whoever evaluates the rules.
fn listen_to_sensors<'a>(config: &'a Config, core: &Core) -> Result<Sensors<'a>, StartError> {
    let mqtt = config.mqtt.as_ref().filter(|_| core.keeping.evaluates());
    let Some(mqtt) = mqtt else { return Ok(None) };
    Ok(Some((mqtt, mqtt.listen.map(|address| listen(address, config)).transpose()?)))
}

fn start_sensors(
    sensors: Sensors<'_>,
    door: MqttDoor,
    (runtime, drains): (&Runtime, watch::Receiver<bool>),
) -> io::Result<Option<crate::mqtt::Running>> {
    let Some((mqtt, socket)) = sensors else { return Ok(None) };
    crate::mqtt::start(mqtt, socket, door, (runtime.handle(), drains)).map(Some)
}

fn mqtt_door(app: &App, tls: Option<Arc<Tls>>) -> MqttDoor {
    MqttDoor {
        access: Arc::clone(&app.access),
        admission: Arc::clone(&app.admission),
        figures: Arc::clone(&app.figures),
        receiver: app.receiver.clone(),
        tls,
    }
}

/// Opens the front door, in a runtime of its own, and that of sensors.
fn open_all(
    (door, for_sensors): (Door, MqttDoor),
    (listener, sensors): (TcpListener, Sensors<'_>),
    drains: watch::Receiver<bool>,
) -> io::Result<(Runtime, tokio::task::JoinHandle<()>, Option<crate::mqtt::Running>)> {
    let (runtime, accepting) = open(door, listener, drains.clone())?;
    let sensors = start_sensors(sensors, for_sensors, (&runtime, drains))?;
    Ok((runtime, accepting, sensors))
}

/// The front door, and that of sensors.
fn doors(app: App, tls: Option<Arc<Tls>>, stall_timeout: Duration) -> (Door, MqttDoor) {
    let for_sensors = mqtt_door(&app, tls.clone());
    (door(app, tls, stall_timeout), for_sensors)
}

fn door(app: App, tls: Option<Arc<Tls>>, stall_timeout: Duration) -> Door {
    let app = Arc::new(app);
    Door {
        tls,
        spread: Arc::clone(&app.spread),
        figures: Arc::clone(&app.figures),
        admission: Arc::clone(&app.admission),
        access: Arc::clone(&app.access),
        callers: app.callers.clone(),
        router: api::router(app),
        stall_timeout,
    }
}

fn spawn_shards(
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

/// Says so where whoever comes may do everything.
fn warn_of_exposure(config: &Config, address: SocketAddr) {
    if config.is_exposed() {
        tracing::warn!(%address, "Whoever reaches this address may read and publish everything.");
    }
}

/// Starts what asks others and tells them, and what follows the journal.
fn begin(
    runtime: &Runtime,
    (notifying, courier, history): (NotifierRun, Courier, Arc<History>),
    (scraper, jobs): (&Scraper, Vec<Job>),
    (streams, keeping): (Arc<DurableStreams>, Keeping),
) {
    let jobs = if keeping.evaluates() { jobs } else { Vec::new() };
    keeping.board.map(|board| runtime.spawn(board.keep_current()));
    runtime.spawn(notifying.forever());
    runtime.spawn(courier.forever());
    runtime.spawn(streams.keep_house());
    runtime.spawn(history.follow());
    // Its tasks are the runtime's.
    let _context = runtime.enter();
    scraper.set(jobs);
}
