//! Wires the parts together, and ends them in order.

mod cluster;
mod core;
mod desk;
mod ending;
mod files;
mod house;
mod joining;
mod journal;
mod keeping;
mod kept_file;
mod listening;
mod parts;
mod push;
mod shards;
mod turns;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use bellwire_alerting::{AlertmanagerConfigError, Hangups, Reload, ReloadParts, RuleFilesError};
use bellwire_authn::AccessError;
use bellwire_journal::Journal;
use bellwire_model::FilterSet;
use bellwire_model::limits::DRAIN_TIMEOUT;
use bellwire_shards::{Requests, Spread, Subscriptions};
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::sync::watch;

pub use self::cluster::{ClusterError, Succession};
use self::core::Core;
pub use self::core::rule_settings;
use self::desk::{Among, Desk, Ground, Running};
use self::ending::LastWords;
use self::house::keep_house;
pub use self::joining::{BroughtIn, bring_in};
use self::keeping::kept_state_folder;
pub use self::keeping::rule_state_folder;
use self::listening::{open, url};
use self::parts::{
    access, admission, callers, entrance, presence, publisher, query_pasts, start_tls, sys_topics,
};
pub use self::push::PushKeyError;
use self::shards::spawn_shards;
use self::turns::{Asked, AtDesk};
use crate::access::Access;
use crate::api::{self, App, LargeReads, Records, StreamsApi};
use crate::config::{Config, Exposed};
use crate::durable_streams::DurableStreams;
use crate::front_door::{Door, Routes};
use crate::hosts::KnownHosts;
use crate::neighbours;
use crate::observe::Figures;
use crate::outages::Outages;
use crate::requests::Errands;
use crate::tls::TlsError;

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
    /// Before the runtime, which it uses.
    desk: AtDesk,
    runtime: Runtime,
    draining: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
    shards: Vec<JoinHandle<()>>,
    spread: Arc<Spread>,
    /// Whose last words the journal takes before it is closed, and what the next one is handed.
    kept: (Arc<Access>, Arc<dyn Journal>, Succession),
    /// Of a node among others, whether all begins anew.
    anew: Option<watch::Receiver<bool>>,
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
        config.check_exposure()?;
        let (files, failure) = files::read_again(&config, &succession)?;
        let (figures, hosts) = (Arc::<Figures>::default(), Arc::new(KnownHosts::new(&config)));
        let (tls, access) = (start_tls(&config, &figures, &hosts)?, access(&config, &figures)?);
        let entrance = entrance(&config, &succession)?;
        let address = entrance.address()?;
        let core = Core::open(&config, &figures, address, &succession)?;
        access.begin(&core.journal, core.secret())?;
        let (draining, drains) = watch::channel(false);
        let subscriptions = Arc::new(Subscriptions::default());
        let Core { journal, history, table, states, topics, rates, parts, cluster, .. } = core;
        let ((cluster, anew), sys) = (cluster.unzip(), sys_topics(&figures, &states));
        let pasts = query_pasts(&config, &states);
        let presence = presence(&config, cluster.as_deref());
        let admission = admission(&config, &figures, drains.clone());
        let ground = Ground {
            url: url(address, tls.as_deref()),
            journal: Arc::clone(&journal),
            publisher: publisher(&journal, (Arc::clone(&states), topics), &figures),
            states,
            figures: Arc::clone(&figures),
            admission: Arc::clone(&admission),
            access: Arc::clone(&access),
            tls,
            among: cluster.as_ref().map(|_| Among::new(&subscriptions)),
            config,
        };
        let (config, publisher) = (&ground.config, &ground.publisher);
        let desk = Desk::open(&ground, cluster.clone(), files)?;
        ground.among.iter().for_each(|among| desk.show(among));
        let house = (&figures, &admission, &access);
        let errands = Arc::new(Errands::new(publisher, desk.keeper(), house, &pasts));
        let asked: Arc<dyn Requests> = Arc::<Errands>::clone(&errands);
        let events = (&journal, table, &subscriptions, &publisher.topics);
        let asked_by_shards = ((&asked, &access, &sys), presence.as_ref());
        let (shards, spread) = spawn_shards(config, parts, events, asked_by_shards)?;
        let reload = reload((config, &succession), &figures, (&desk, failure));
        let streams = DurableStreams::open(publisher, desk.decides())?;
        let outages = Outages::new(&spread, &admission, cluster.as_deref());
        let (mirror, followings) = ground.among.clone().map(Among::apart).unzip();
        let app = App {
            streams: StreamsApi::new(Arc::clone(&streams)),
            callers: callers(config, hosts, (Arc::clone(publisher), mirror.clone())),
            publisher: Arc::clone(publisher),
            admission: Arc::clone(&admission),
            receiver: desk.ways.receiver.clone(),
            access: Arc::clone(&access),
            spread: Arc::clone(&spread),
            intake: Arc::clone(&desk.ways.intake),
            live: Arc::clone(&desk.ways.live),
            ingest: config.ingest.clone(),
            alerting: Arc::clone(&desk.ways.alerting),
            push: Arc::clone(&desk.ways.push),
            history: Arc::clone(&history),
            address,
            scraper: Arc::clone(&desk.ways.scraping.scraper),
            reload: Arc::clone(&reload),
            queries: Arc::clone(&pasts.queries),
            pasts,
            records: Records::new(kept_state_folder(config)),
            large_reads: LargeReads::default(),
            subscriptions,
            rates,
            figures,
            traffic: sys.watch(),
            webhooks: config.webhooks.clone(),
            presence: FilterSet::gathered(config.presence.topics.clone()),
            present: presence.clone(),
            shows_examples: config.examples,
            cluster: cluster.clone(),
            errands: asked,
            envoy: desk.ways.envoy.clone(),
            mirror,
            followings,
        };
        let app = Arc::new(app);
        let routes = Routes::new(api::router(Arc::clone(&app)));
        let listener = entrance.open(config)?;
        let (runtime, accepting) = open(door(&ground, &app, &routes), listener, drains)?;
        if let Some(cluster) = cluster {
            runtime.spawn(cluster.rejoins());
            presence.clone().map(|it| runtime.spawn(neighbours::follow_all(cluster, it)));
        }
        keep_house(
            &runtime,
            (&access, &spread),
            (&journal, outages),
            (admission, sys, presence),
            (Arc::clone(&reload), hangups),
        );
        runtime.spawn(Arc::clone(&streams).keep_house());
        runtime.spawn(history.follow());
        let url = ground.url.clone();
        let running = desk.run(&ground, (runtime.handle(), &app))?;
        let asked = Asked { app, routes, errands, reload, streams };
        let desk = turns::begin((ground, running), asked, (runtime.handle(), &succession))?;
        let kept = (access, journal, succession);
        Ok(Self { address, url, desk, runtime, draining, accepting, shards, spread, kept, anew })
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
        let mut desk = self.desk.settle();
        // While it is still asked: what is taken from here on is taken by another.
        if let Some(cluster) = desk.as_ref().and_then(|desk| desk.cluster.as_ref()) {
            cluster.hand_over();
        }
        self.draining.send_replace(true);
        desk.iter().for_each(Running::drain);
        let accepting = self.accepting;
        let finish = async { tokio::time::timeout(DRAIN_TIMEOUT, accepting).await };
        if self.runtime.block_on(finish).is_err() {
            tracing::warn!("Some requests did not finish in time; they are cut off.");
        }
        desk.iter_mut().for_each(Running::drain_sensors);
        let (access, journal, succession) = self.kept;
        let finish = async { tokio::time::timeout(DRAIN_TIMEOUT, access.finish()).await };
        if self.runtime.block_on(finish).is_err() {
            tracing::warn!("The journal has not taken in time what is known of the use of keys.");
        }
        // With its handlers goes the desk.
        self.runtime.shutdown_timeout(DRAIN_TIMEOUT);
        if desk.map(Running::join) == Some(LastWords::GivenUp) {
            // What comes to be in the log yet must not count behind what the next one begins with.
            succession.give_up_desk();
        }
        if let Err(error) = journal.close() {
            tracing::error!(%error, "The journal was not closed cleanly; the next start recovers it.");
        }
        self.spread.drain();
        for shard in self.shards {
            if shard.join().is_err() {
                tracing::error!("A shard had failed.");
            }
        }
        succession
    }
}

/// What is read again at a reload.
fn reload(
    (config, succession): (&Config, &Succession),
    figures: &Figures,
    (desk, failure): (&Desk, Option<String>),
) -> Arc<Reload> {
    Arc::new(Reload::new(ReloadParts {
        rules: config.rules.clone(),
        mode: config.rule_mode,
        alertmanager_config: config.alertmanager_config.clone(),
        concerned: desk.concerned(),
        last_read: files::kept(config, succession),
        failure,
        figures: Arc::clone(&figures.alerting),
    }))
}

/// The front door.
fn door(ground: &Ground, app: &App, routes: &Arc<Routes>) -> Door {
    Door {
        tls: ground.tls.clone(),
        spread: Arc::clone(&app.spread),
        figures: Arc::clone(&app.figures),
        admission: Arc::clone(&app.admission),
        access: Arc::clone(&app.access),
        callers: app.callers.clone(),
        routes: Arc::clone(routes),
        stall_timeout: ground.config.stall_timeout,
    }
}
