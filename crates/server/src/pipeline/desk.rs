//! A desk, from when it begins until it has ended: who evaluates the rules, has the alerts and tells of them; or, at
//! a node that is not the keeper, who has that do it.
//!
//! ```text
//! Ground ─▶ Desk::open: threads of evaluator and alerts ─▶ App, Errands, Reload: asked from now on
//!                └─▶ run: tasks, targets, sensors ─▶ Running ─▶ end, where another node is the keeper
//!                                                        └───▶ join, where the server ends
//! ```

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use bellwire_alerting::{
    Alerting, AlertingParts, Concerned, Courier, DeskRun, EvaluatorParts, InForce, LiveQueries,
    Notifier, NotifierParts, NotifierRun, Push, PushParts, Reach, RecordKept, Register,
    SampleIntake,
};
use bellwire_journal::Journal;
use bellwire_rules::RuleSet;
use bellwire_shards::{Publisher, States, Subscriptions};
use bellwire_sources::scrape::{Job, Scraper};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::core::rule_settings;
use super::ending::{self, LastWords};
use super::files::Files;
use super::keeping::Keeping;
use super::listening::listen;
use super::{StartError, push};
use crate::access::{Access, Mandates};
use crate::admission::Admission;
use crate::api::{self, App};
use crate::config::Config;
use crate::durable_streams::Decides;
use crate::envoy::{Envoy, Followings};
use crate::membership::Membership;
use crate::mirror::{self, Follower, Mirror};
use crate::mqtt::{self, MqttDoor};
use crate::observe::Figures;
use crate::receiver::Receiver;
use crate::requests::{Here, Keeper};
use crate::scraping::Scraping;
use crate::standby;
use crate::tls::Tls;

/// Heartbeats of another node that are missed before it is given up.
const SILENT_HEARTBEATS: u32 = 3;

/// What each desk of a server stands on.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) config: Config,
    /// Where people find the server.
    pub(super) url: String,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) states: Arc<States>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) figures: Arc<Figures>,
    pub(super) admission: Arc<Admission>,
    pub(super) access: Arc<Access>,
    pub(super) tls: Option<Arc<Tls>>,
    /// Of a node among others.
    pub(super) among: Option<Among>,
}

/// What a node has of others, whichever is the keeper.
#[derive(Clone, Debug)]
pub(super) struct Among {
    pub(super) mirror: Arc<Mirror>,
    pub(super) followings: Arc<Followings>,
}

impl Among {
    /// With what is followed by these.
    pub(super) fn new(subscriptions: &Arc<Subscriptions>) -> Self {
        let mirror = Mirror::new(subscriptions);
        let followings = Followings::new(&mirror);
        Self { mirror, followings }
    }

    pub(super) fn apart(self) -> (Arc<Mirror>, Arc<Followings>) {
        (self.mirror, self.followings)
    }
}

/// A desk that may be asked, and does nothing by itself yet.
#[derive(Debug)]
pub(super) struct Desk {
    cluster: Option<Arc<Membership>>,
    keeping: Keeping,
    pub(super) ways: Ways,
    notifying: NotifierRun,
    courier: Courier,
    /// Where sensors come to, if they do.
    sensors: Option<TcpListener>,
    threads: Threads,
    drains: watch::Sender<bool>,
}

/// The ways to it.
#[derive(Debug)]
pub(super) struct Ways {
    pub(super) intake: Arc<SampleIntake>,
    pub(super) live: Arc<LiveQueries>,
    pub(super) alerting: Arc<Alerting>,
    pub(super) push: Arc<Push>,
    pub(super) receiver: Receiver,
    pub(super) scraping: Arc<Scraping>,
    pub(super) envoy: Option<Arc<Envoy>>,
    pub(super) followings: Option<Arc<Followings>>,
}

#[derive(Debug)]
struct Threads {
    evaluator: JoinHandle<()>,
    alerts: JoinHandle<()>,
}

/// A desk at work.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) cluster: Option<Arc<Membership>>,
    intake: Weak<SampleIntake>,
    alerting: Weak<Alerting>,
    scraper: Arc<Scraper>,
    tasks: JoinSet<()>,
    /// What is copied for a take-over: it ends by itself.
    copying: Option<tokio::task::JoinHandle<()>>,
    sensors: Option<mqtt::Running>,
    threads: Threads,
    drains: watch::Sender<bool>,
}

impl Desk {
    /// The desk as the last one ended, wherever that was. Blocks on disk and log.
    pub(super) fn open(
        ground: &Ground,
        cluster: Option<Arc<Membership>>,
        (rules, alertmanager): Files,
    ) -> Result<Self, StartError> {
        let keeping = Keeping::new(&ground.journal, &ground.states, cluster.as_ref());
        // What can be wrong comes first.
        let sensors = listen_to_sensors(&ground.config, &keeping)?;
        let (drains, draining) = watch::channel(false);
        let (notifier, notifying) = notify(ground, &keeping, alertmanager)?;
        let (push, courier) = tell(ground, &keeping)?;
        let (alerting, desk) = attend(ground, &keeping, (notifier, &push))?;
        let evaluating = (&keeping, cluster.as_ref());
        let begun = evaluate(ground, evaluating, (rules, &alerting), draining)?;
        let (intake, live, evaluator) = begun;
        let threads = Threads { evaluator, alerts: desk.spawn()? };
        let around = (&ground.figures, &ground.admission);
        let receiver = Receiver::new(&intake, &ground.access, around, &ground.publisher);
        let scraping = Arc::new(Scraping::new(&ground.config, receiver.clone()));
        let (among, has_it) = (ground.among.as_ref(), keeping.evaluates());
        let elsewhere = among.zip(cluster.as_ref()).filter(|_| !has_it);
        let envoy = elsewhere.map(|(among, cluster)| {
            Envoy::new(cluster, (&among.mirror, &among.followings), &ground.states)
        });
        let followings = among.map(|among| Arc::clone(&among.followings));
        let ways = Ways { intake, live, alerting, push, receiver, scraping, envoy, followings };
        Ok(Self { cluster, keeping, ways, notifying, courier, sensors, threads, drains })
    }

    /// Who does what clients of WebSockets ask of it.
    pub(super) fn keeper(&self) -> Keeper {
        let Ways { intake, live, alerting, envoy, followings, .. } = &self.ways;
        match envoy {
            Some(envoy) => Keeper::Elsewhere(Arc::clone(envoy)),
            None => Keeper::Here(Here::new(intake, (alerting, live), followings.as_ref())),
        }
    }

    /// Whom it concerns what is read again.
    pub(super) fn concerned(&self) -> Concerned {
        let (intake, alerting) = (Arc::clone(&self.ways.intake), Arc::clone(&self.ways.alerting));
        let in_force = self.keeping.evaluates().then_some(InForce { intake, alerting });
        Concerned { in_force, also: Arc::<Scraping>::clone(&self.ways.scraping) }
    }

    /// How streams are created and deleted from here, where they are.
    pub(super) fn decides(&self) -> Option<Decides> {
        self.keeping.decides()
    }

    /// What handlers reach from now on, where they have reached this of another desk.
    pub(super) fn after(&self, app: &App) -> App {
        let ways = &self.ways;
        App {
            cluster: self.cluster.clone(),
            intake: Arc::clone(&ways.intake),
            live: Arc::clone(&ways.live),
            alerting: Arc::clone(&ways.alerting),
            push: Arc::clone(&ways.push),
            receiver: ways.receiver.clone(),
            scraper: Arc::clone(&ways.scraping.scraper),
            envoy: ways.envoy.clone(),
            ..app.clone()
        }
    }

    /// What is shown of samples is of this node from now on, or of another one.
    pub(super) fn show(&self, among: &Among) {
        if self.keeping.evaluates() {
            among.mirror.be_keeper();
        } else {
            among.mirror.be_other();
        }
    }

    /// Begins with what it does by itself.
    pub(super) fn run(
        self,
        ground: &Ground,
        (handle, app): (&Handle, &Arc<App>),
    ) -> io::Result<Running> {
        let Self { cluster, keeping, ways, notifying, courier, sensors, threads, drains } = self;
        let mut tasks = JoinSet::new();
        tasks.spawn_on(notifying.forever(), handle);
        tasks.spawn_on(courier.forever(), handle);
        let jobs = if keeping.evaluates() { targets(&ground.config) } else { Vec::new() };
        let scraper = Arc::clone(&ways.scraping.scraper);
        {
            // Its tasks are the runtime's.
            let _context = handle.enter();
            scraper.set(jobs);
        }
        let mut copying = None;
        if let Some((cluster, among)) = cluster.as_ref().zip(ground.among.as_ref()) {
            if keeping.evaluates() {
                keep(&mut tasks, &keeping, (among, app), handle);
            } else {
                copying = follow(&mut tasks, (cluster, ways.envoy), ground, (among, handle));
            }
        }
        let (intake, alerting) = (Arc::downgrade(&ways.intake), Arc::downgrade(&ways.alerting));
        let mut running = Running {
            cluster,
            intake,
            alerting,
            scraper,
            tasks,
            copying,
            sensors: None,
            threads,
            drains,
        };
        if keeping.evaluates() {
            let sensors = (sensors, &ways.receiver);
            match start_sensors(ground, sensors, (handle, &running.drains)) {
                Ok(sensors) => running.sensors = sensors,
                Err(error) => {
                    // It may be asked by now, and nobody else would end it.
                    let cluster = running.cluster.clone();
                    if running.end(handle) == LastWords::GivenUp
                        && let Some(cluster) = cluster
                    {
                        // Nothing more is appended through this journal.
                        cluster.anew.send_replace(true);
                    }
                    return Err(error);
                }
            }
        }
        Ok(running)
    }
}

impl Running {
    /// Another node has the desk from now on: nothing of this one is told any more, and whoever waits for it is
    /// told to ask again. Nothing of it is left when this returns.
    pub(super) fn end(mut self, handle: &Handle) -> LastWords {
        if let Some(standby) = self.cluster.as_ref().and_then(|cluster| cluster.standby.as_ref()) {
            standby.leave();
        }
        self.drains.send_replace(true);
        // Whoever has the way to them may have it for long.
        self.intake.upgrade().iter().for_each(|intake| intake.end());
        self.alerting.upgrade().iter().for_each(|alerting| alerting.end());
        {
            let _context = handle.enter();
            self.scraper.set(Vec::new());
        }
        handle.block_on(self.tasks.shutdown());
        if let Some(copying) = self.copying.take()
            && handle.block_on(copying).is_err()
        {
            tracing::error!("What copies the rules' state had failed.");
        }
        self.drain_sensors();
        self.join()
    }

    /// The server ends: what waits for the journal waits no longer.
    pub(super) fn drain(&self) {
        self.drains.send_replace(true);
    }

    /// Tells sensors good-bye, once what they have sent is with the rules.
    pub(super) fn drain_sensors(&mut self) {
        if let Some(sensors) = self.sensors.take() {
            sensors.drain();
        }
    }

    /// Waits until nobody is left who could ask for anything: with the last of them goes the intake, with the intake
    /// the evaluator, and then the desk.
    pub(super) fn join(self) -> LastWords {
        let Self { threads: Threads { evaluator, alerts }, tasks, scraper, .. } = self;
        drop((tasks, scraper));
        let log = self.cluster.as_deref().map(|cluster| &*cluster.journal);
        ending::join((evaluator, alerts), log)
    }
}

/// What a keeper does among others.
fn keep(
    tasks: &mut JoinSet<()>,
    keeping: &Keeping,
    (among, app): (&Among, &Arc<App>),
    handle: &Handle,
) {
    if let Some(board) = &keeping.board {
        tasks.spawn_on(Arc::clone(board).keep_current(), handle);
    }
    if let Some(leftovers) = &keeping.leftovers {
        tasks.spawn_on(Arc::clone(leftovers).clear(), handle);
    }
    if let Some(standby) = &keeping.standby {
        let noting = standby::keep_note(Arc::clone(standby), Arc::clone(&keeping.journal));
        tasks.spawn_on(noting, handle);
    }
    let standing = api::keep_standing(Arc::clone(app), Arc::clone(&among.followings));
    tasks.spawn_on(standing, handle);
}

/// What another node does: it follows the keeper. Returns what ends by itself.
fn follow(
    tasks: &mut JoinSet<()>,
    (cluster, envoy): (&Arc<Membership>, Option<Arc<Envoy>>),
    ground: &Ground,
    (among, handle): (&Among, &Handle),
) -> Option<tokio::task::JoinHandle<()>> {
    let footing = mirror::Ground {
        cluster: Arc::clone(cluster),
        states: Arc::clone(&ground.states),
        figures: Arc::clone(&ground.figures.mirror),
        silence_max: ground.config.heartbeat_interval * SILENT_HEARTBEATS,
    };
    for follower in Follower::of(&among.mirror, &footing) {
        tasks.spawn_on(follower.run(), handle);
    }
    if let Some(envoy) = envoy {
        tasks.spawn_on(envoy.keep_standing(), handle);
    }
    let (cluster, data) = (Arc::clone(cluster), ground.config.data.clone());
    let copies = cluster.standby.is_some();
    copies.then(|| handle.spawn(async move { standby::copy(cluster, &data).await }))
}

/// The notifier as the last one ended, and what runs it.
fn notify(
    ground: &Ground,
    keeping: &Keeping,
    config: bellwire_alerts::config::Config,
) -> Result<(Arc<Notifier>, NotifierRun), StartError> {
    let Ground { config: server, url, figures, .. } = ground;
    let external_url = if server.external_url.is_empty() { url } else { &server.external_url };
    let parts = NotifierParts {
        config,
        journal: Arc::clone(&keeping.journal),
        figures: Arc::clone(&figures.alerting),
        external_url: (&**external_url).into(),
        start_delay: server.notification_start_delay,
        reach: Reach::of_webhooks(server.webhook_networks()),
        charge: keeping.charge.clone(),
    };
    Ok(Notifier::open(parts)?)
}

/// Who is told of alerts through push services, and what tells them.
fn tell(ground: &Ground, keeping: &Keeping) -> Result<(Arc<Push>, Courier), StartError> {
    let config = &ground.config;
    let parts = PushParts {
        journal: Arc::clone(&keeping.journal),
        figures: Arc::clone(&ground.figures.alerting),
        standing: Arc::new(Mandates(Arc::clone(&ground.access))),
        key: push::key(config)?,
        contact: push::contact(config, &ground.url),
        lasts: config.push.lifetime,
        start_delay: config.notification_start_delay,
        reach: Reach::of_push_services(config.push_networks()),
        charge: keeping.charge.clone(),
    };
    Ok(Push::open(parts)?)
}

/// The alerts' desk as the last one ended, and what runs at it.
fn attend(
    ground: &Ground,
    keeping: &Keeping,
    (notifier, push): (Arc<Notifier>, &Arc<Push>),
) -> Result<(Arc<Alerting>, DeskRun), StartError> {
    let parts = AlertingParts {
        journal: Arc::clone(&keeping.journal),
        states: Arc::clone(&keeping.states),
        notifier,
        push: Arc::clone(push),
        figures: Arc::clone(&ground.figures.alerting),
    };
    Ok(Alerting::open(parts)?)
}

/// The ways to the evaluator, and its thread.
type Evaluating = (Arc<SampleIntake>, Arc<LiveQueries>, JoinHandle<()>);

/// Starts the evaluator where the last one ended.
fn evaluate(
    ground: &Ground,
    (keeping, cluster): (&Keeping, Option<&Arc<Membership>>),
    (rules, alerting): (RuleSet, &Arc<Alerting>),
    draining: watch::Receiver<bool>,
) -> Result<Evaluating, StartError> {
    let config = &ground.config;
    let state = keeping.state(config, cluster)?;
    let rules = if keeping.evaluates() { rules } else { RuleSet::default() };
    let restored = bellwire_alerting::restore(keeping.journal.as_ref(), keeping.shown())?;
    let register = Arc::<Register>::default();
    let parts = EvaluatorParts {
        rules,
        settings: rule_settings(config),
        state_folder: state.folder.clone(),
        beginning: state.beginning.clone(),
        standby: keeping.standby.clone(),
        record: RecordKept { age: config.record_age, bytes: config.record_bytes_max },
        forward: config.forward.clone(),
        journal: Arc::clone(&keeping.journal),
        states: Arc::clone(&keeping.states),
        register: Arc::clone(&register),
        alerting: Arc::clone(alerting),
        figures: Arc::clone(&ground.figures.alerting),
        draining,
        charge: keeping.charge.clone(),
    };
    let (intake, thread) = bellwire_alerting::spawn(parts, restored)?;
    let opened = keeping.begun(&state).map_err(StartError::from).and_then(|()| {
        let journal = Arc::clone(&keeping.journal);
        Ok(Arc::new(LiveQueries::open(register, Arc::clone(&intake), journal)?))
    });
    match opened {
        Ok(live) => Ok((intake, live, thread)),
        Err(error) => {
            // What begins in its place has the folder alone.
            intake.end();
            drop(thread.join());
            Err(error)
        }
    }
}

/// What the configuration says by now of what is scraped: where another node did that a reload has not been
/// of force here.
fn targets(config: &Config) -> Vec<Job> {
    if config.file.is_none() {
        return config.scrape.clone();
    }
    Config::read_scrape(config.file.as_deref()).unwrap_or_else(|errors| {
        let error = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        tracing::error!(error, "What is scraped stays as it was at the start.");
        config.scrape.clone()
    })
}

/// Sensors are for whoever evaluates the rules.
fn listen_to_sensors(
    config: &Config,
    keeping: &Keeping,
) -> Result<Option<TcpListener>, StartError> {
    let mqtt = config.mqtt.as_ref().filter(|_| keeping.evaluates());
    let address = mqtt.and_then(|mqtt| mqtt.listen);
    address.map(|address| listen(address, config)).transpose()
}

fn start_sensors(
    ground: &Ground,
    (socket, receiver): (Option<TcpListener>, &Receiver),
    (handle, drains): (&Handle, &watch::Sender<bool>),
) -> io::Result<Option<mqtt::Running>> {
    let Some(config) = &ground.config.mqtt else { return Ok(None) };
    let door = MqttDoor {
        access: Arc::clone(&ground.access),
        admission: Arc::clone(&ground.admission),
        figures: Arc::clone(&ground.figures),
        receiver: receiver.clone(),
        tls: ground.tls.clone(),
    };
    mqtt::start(config, socket, door, (handle, drains.subscribe())).map(Some)
}
