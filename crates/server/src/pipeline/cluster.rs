//! A node among others: its journal is a replica of the log that they share.
//!
//! ```text
//! connect ─▶ catch up, with nobody who looks ─▶ who keeps the desk? ─▶ open again, for the hubs ─▶ begin
//!               │ ▲                                │ this node: once more
//!               │ ├────────────────────────────────┘
//!               └─┴─ what comes next is gone: a snapshot of another node
//! ```
//!
//! What others have written while this node was away is applied before any hub begins, so that it
//! begins at the newest event, and with the epoch of the cluster. The lease for the desk is asked for by who
//! has caught up: until then others keep it better. Whoever gets it catches up once more: what the last
//! keeper has appended is before that, and nothing of it comes after. A server that begins anew as the one
//! that holds the lease keeps it meanwhile, for as long as that is short.

mod catching;
mod error;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_alerting::{LastRead, Standby, StandbyMode};
use bellwire_cluster::{
    Clock, ClusterJournal, Error, LeaseTiming, Node, NodeOptions, SECRET_BYTES, Secret, Standing,
    Tenure, Wanted, Watcher,
};
use bellwire_engines::Options;
use bellwire_journal::{DiskJournal, DiskOptions, Observer, Owner, StateLoader};
use bellwire_model::limits::{CLUSTER_CONNECT_PATIENCE, CLUSTER_ROLE_PATIENCE};
use bellwire_model::{Entry, Epoch, Offset};
use bellwire_process::clock;
use bellwire_shared_log::{Assurance, SharedLog};
use tokio::sync::watch;

use self::catching::{Caught, Tries, catch_up};
pub use self::error::ClusterError;
use super::kept_file;
use super::listening::KeptDoor;
use crate::config::{Config, Durability, Engine};
use crate::membership::{Membership, Role};
use crate::peers::{Peers, address};
use crate::relay::Relay;
use crate::snapshots::Snapshots;
use crate::standby::InLog;

/// What a node is called, in its data directory.
const NAME_FILE: &str = "node";

/// How long it waits before it tries to reach the engine again.
const CONNECT_INTERVAL: Duration = Duration::from_millis(500);

/// The lease of who evaluates the rules.
const DESK: &str = "desk";

/// For how long a node catches up that begins anew as the one that keeps the desk, before it gives that up:
/// another may have caught up.
pub(super) const DESK_CATCH_UP_MAX: Duration = Duration::from_secs(3);

/// A node that has caught up, and of which nothing happens yet.
#[derive(Debug)]
pub(super) struct Joined {
    node: Node,
    name: Box<str>,
    /// What the engine may lose, as it said at the start.
    losses: Vec<String>,
    tenure: Arc<Tenure>,
    role: Role,
    peers: Arc<Peers>,
    secret: Secret,
    replica: Arc<DiskJournal>,
    /// Becomes true where the log is not the one that was followed, so that all that was shown is void.
    anew: watch::Sender<bool>,
}

/// What a server that begins anew hands on to the next one: that of several nodes it is the one that
/// evaluates the rules, say, and by which rules.
#[derive(Clone, Debug, Default)]
pub struct Succession {
    tenure: Arc<Mutex<Option<Arc<Tenure>>>>,
    /// What nodes have shown each other: a log that has lost it gets it back.
    secret: Arc<Mutex<Option<Secret>>>,
    /// What its files said when they were right.
    pub(super) last_read: LastRead,
    /// Where clients come to.
    pub(super) door: KeptDoor,
}

impl Succession {
    fn tenure(&self) -> MutexGuard<'_, Option<Arc<Tenure>>> {
        self.tenure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What nodes show each other: that of the log, else what it was, else a new one.
    fn secret(&self, log: &dyn SharedLog) -> Result<Secret, ClusterError> {
        let mut secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = [0; SECRET_BYTES];
        match &*secret {
            Some(secret) => fresh = *secret.bytes(),
            None => getrandom::fill(&mut fresh).map_err(no_entropy)?,
        }
        Ok(secret.insert(secret_of(log, fresh)?).clone())
    }

    /// Whether there is one that asks for the lease, or holds it.
    fn is_handed_on(&self) -> bool {
        self.tenure().is_some()
    }

    /// Nobody comes after it, or not now: another node takes over at once, and clients go there.
    pub fn give_up(&self) {
        self.turn_away();
        self.give_up_desk();
    }

    /// Whoever comes is refused until the next server has started, and goes to another node.
    pub fn turn_away(&self) {
        self.door.close();
    }

    /// The desk alone: another node takes that over at once.
    pub(super) fn give_up_desk(&self) {
        if let Some(tenure) = self.tenure().take() {
            tenure.end();
        }
    }

    /// What it was handed, or what begins now, and leaves the desk to a standby first.
    fn begin(
        &self,
        log: &Arc<dyn SharedLog>,
        (node, deference): (&str, Duration),
    ) -> Result<Arc<Tenure>, Error> {
        let mut tenure = self.tenure();
        if let Some(tenure) = &*tenure {
            // Where the log is another one the lease may have gone with it.
            tenure.doubt();
            tenure.want(Wanted::Yes);
            return Ok(Arc::clone(tenure));
        }
        let how = (LeaseTiming::default(), deference);
        let begun = Tenure::begin(Arc::clone(log), (DESK, node), Clock::of_process(), how)?;
        Ok(Arc::clone(tenure.insert(Arc::new(begun))))
    }
}

impl Joined {
    /// Catches up with the log, and opens the replica for whoever observes it.
    pub(super) fn open(
        (config, engine, succession): (&Config, &str, &Succession),
        address: SocketAddr,
        options: impl Fn() -> DiskOptions,
        (observer, states): (impl Observer + 'static, &mut dyn StateLoader),
    ) -> Result<Self, super::StartError> {
        refuse_what_is_not_yet(config)?;
        let shared = Options { cluster: config.cluster.name.clone(), ..Options::default() };
        let log = connect(engine, &shared)?;
        let losses = losses(&*log, config)?;
        let name = name(config)?;
        let secret = succession.secret(&*log)?;
        let life = getrandom::u64().map_err(no_entropy)?;
        let peers = Arc::new(Peers::new(&name, &secret, life));
        let own_address = address::own(config, address);
        let (anew, _) = watch::channel(false);
        let mut tries = Tries::new();
        let vigil = tries.vigil.clone();
        let of = |replica: Arc<DiskJournal>, watcher: Watcher| -> Result<Node, ClusterError> {
            let options = NodeOptions {
                id: name.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                address: own_address.clone(),
                clock: Clock::of_process(),
                lease: LeaseTiming::default(),
                watcher,
                vigil: vigil.clone(),
            };
            Ok(Node::new(Arc::clone(&log), replica, options)?)
        };
        let ask = |deference| -> Result<(Arc<Tenure>, Role), ClusterError> {
            let tenure = succession.begin(&log, (&name, deference))?;
            let role = Role::of(&tenure.decided(CLUSTER_ROLE_PATIENCE));
            Ok((tenure, role))
        };
        let mut asked = if succession.is_handed_on() { Some(ask(Duration::ZERO)?) } else { None };
        let mut limit = asked.is_some().then_some(DESK_CATCH_UP_MAX);
        let give_up = || succession.give_up_desk();
        let (tenure, role) = loop {
            let replica = DiskJournal::open_replica(options(), Box::new(Unseen), &mut ())?;
            let node = of(Arc::new(replica), Box::new(|_| ()))?;
            let limit = limit.take().map(|limit| (limit, &give_up as &dyn Fn()));
            let standby = match catch_up(node, (config, limit))? {
                Caught::Up(standby) => standby,
                Caught::Behind(behind) => {
                    // That may take long, and another node may have all that the desk needs.
                    succession.give_up_desk();
                    asked = None;
                    tries.get((&*log, &peers, config), behind)?;
                    continue;
                }
            };
            if let Some(asked) = asked.take().filter(|_| succession.is_handed_on()) {
                break asked;
            }
            let is_standby_wanted = config.cluster.standby != StandbyMode::Off;
            let deference = InLog::deference(standby.as_ref(), &name);
            let deference = if is_standby_wanted { deference } else { Duration::ZERO };
            let (tenure, role) = ask(deference)?;
            if role == Role::Other {
                break (tenure, role);
            }
            asked = Some((tenure, role));
        };
        tracing::info!(name = config.cluster.name, "The node has caught up with its cluster.");
        let void = AtomicBool::new(false);
        let observer = Box::new(UntilAnew { observer, void, anew: anew.clone() });
        let replica = Arc::new(DiskJournal::open_replica(options(), observer, states)?);
        let node = of(Arc::clone(&replica), keeps_while_it_can(&tenure))?;
        Ok(Self { node, name: name.into(), losses, tenure, role, peers, secret, replica, anew })
    }

    /// Its journal, which takes in nothing before it [begins](Self::begin).
    pub(super) fn journal(&self) -> Arc<ClusterJournal> {
        Arc::clone(self.node.journal())
    }

    /// Follows and appends from here on.
    pub(super) fn begin(
        self,
        config: &Config,
        of_rules: OfRules<'_>,
    ) -> Result<(Arc<Membership>, watch::Receiver<bool>), ClusterError> {
        let Self { node, name: id, losses, tenure, role, peers, secret, replica, anew } = self;
        let (journal, name) = (node.spawn()?, config.cluster.name.clone());
        let begins_anew = anew.subscribe();
        let snapshots = Arc::new(Snapshots::new(Arc::clone(&journal), replica));
        let relay = Arc::new(Relay::new(Arc::clone(&peers)));
        let standby = begin_role((&tenure, role), config, of_rules)?;
        let membership = Membership {
            journal,
            node: id,
            name,
            losses,
            tenure,
            role,
            over: watch::channel(false).0,
            peers,
            secret,
            snapshots,
            anew,
            standby,
            relay,
        };
        Ok((Arc::new(membership), begins_anew))
    }
}

/// Where the rules' state is, and where what becomes of it is counted.
pub(super) type OfRules<'a> = (PathBuf, &'a Arc<bellwire_alerting::Figures>);

/// The same node in another role.
pub(super) fn turned(
    cluster: &Membership,
    role: Role,
    (config, of_rules): (&Config, OfRules<'_>),
) -> Result<Arc<Membership>, ClusterError> {
    let standby = begin_role((&cluster.tenure, role), config, of_rules)?;
    Ok(Arc::new(cluster.turned(role, standby)))
}

/// The node has this role from now on. Returns its end of the standby, where one is wanted.
fn begin_role(
    (tenure, role): (&Tenure, Role),
    config: &Config,
    (folder, figures): OfRules<'_>,
) -> Result<Option<Arc<Standby>>, ClusterError> {
    tracing::info!(?role, "The node has a role among the others.");
    let mode = config.cluster.standby;
    if role != Role::Other || mode == StandbyMode::Off {
        // Whoever was the standby's second is so no more.
        tenure.defer(Duration::ZERO);
    }
    let of_rules = (folder, getrandom::u64().map_err(no_entropy)?);
    let standby = || Arc::new(Standby::new(mode, of_rules, Arc::clone(figures)));
    Ok((mode != StandbyMode::Off).then(standby))
}

/// Has a node that can append nothing, for what is wrong with itself, leave the desk to others. Without the
/// engine nobody keeps it, and who has it goes on once that is back.
fn keeps_while_it_can(tenure: &Arc<Tenure>) -> Watcher {
    let tenure = Arc::clone(tenure);
    Box::new(move |standing| {
        tenure.want(match standing {
            Standing::Stuck { .. } | Standing::TooOld { .. } | Standing::Unfit { .. } => Wanted::No,
            Standing::Starting | Standing::Following { .. } | Standing::Away { .. } => Wanted::Yes,
        });
    })
}

/// Waits for an engine that is away: nodes and it may be started at once.
pub(super) fn connect(engine: &str, options: &Options) -> Result<Arc<dyn SharedLog>, ClusterError> {
    let until = clock::uptime() + CLUSTER_CONNECT_PATIENCE;
    let mut is_told = false;
    loop {
        match bellwire_engines::connect(engine, options) {
            Err(error @ bellwire_shared_log::Error::Away(_)) if clock::uptime() < until => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(%error, "The engine of the cluster is waited for.");
                }
                clock::pause(CONNECT_INTERVAL);
            }
            connected => return Ok(connected?),
        }
    }
}

fn no_entropy(error: getrandom::Error) -> ClusterError {
    ClusterError::Entropy(io::Error::other(error.to_string()))
}

/// The cluster's secret, which the first of its nodes makes.
fn secret_of(log: &dyn SharedLog, fresh: [u8; SECRET_BYTES]) -> Result<Secret, ClusterError> {
    let until = clock::uptime() + CLUSTER_CONNECT_PATIENCE;
    loop {
        match Secret::of(log, fresh) {
            Err(Error::Log(bellwire_shared_log::Error::Away(_))) if clock::uptime() < until => {
                clock::pause(CONNECT_INTERVAL);
            }
            found => return Ok(found?),
        }
    }
}

/// What needs that nodes say more to each other than there is in the log.
pub(super) fn refuse_what_is_not_yet(config: &Config) -> Result<(), ClusterError> {
    let beside = [
        ("journal = \"memory\"", config.journal == Engine::Memory),
        // Nodes speak to each other as clients without a proxy do, and would be refused.
        ("proxy_protocol", config.proxy_protocol),
    ];
    match beside.into_iter().find(|(_, is_there)| *is_there) {
        Some((what, _)) => Err(ClusterError::NotYet(what)),
        None => Ok(()),
    }
}

/// What the engine may lose of what it has acknowledged, which is no secret. It may be nothing that the
/// engine tells of where all is to survive the loss of power.
pub(super) fn losses(log: &dyn SharedLog, config: &Config) -> Result<Vec<String>, ClusterError> {
    let Assurance { engine, losses, doubts } = match log.assurance() {
        Ok(assurance) => assurance,
        Err(error) => {
            tracing::warn!(%error, "The engine of the cluster does not say what it keeps.");
            return Ok(Vec::new());
        }
    };
    if config.durability == Durability::Sync && !losses.is_empty() {
        return Err(ClusterError::Untrue { engine, losses });
    }
    tracing::info!(engine, "The engine of the cluster is there.");
    let losses = [losses, doubts].concat();
    for loss in &losses {
        tracing::warn!("What the engine of the cluster acknowledges may be lost: {loss}.");
    }
    Ok(losses)
}

/// What this node is called: the same at each start.
fn name(config: &Config) -> Result<String, ClusterError> {
    let path = config.data.join(NAME_FILE);
    let failed = |source| ClusterError::Name { path: path.clone(), source };
    // As a replica it would begin anew, and all that it has would be gone.
    if let Ok(Owner::Alone) = Owner::of(&config.data) {
        return Err(ClusterError::StoodAlone { path: config.data.clone() });
    }
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        // A machine lost its power before the name was on its disk: any other will do.
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let number = getrandom::u64().map_err(|error| failed(io::Error::other(error.to_string())))?;
    let name = format!("{number:016x}");
    let kept = std::fs::create_dir_all(&config.data);
    kept.and_then(|()| kept_file::write(&path, &format!("{name}\n"))).map_err(failed)?;
    Ok(name)
}

/// Nobody looks while a node catches up.
struct Unseen;

impl Observer for Unseen {
    fn on_commit(&mut self, _: Vec<Entry>) {}
}

/// Shows what comes until the log begins anew: what was shown then is of another epoch, and so is
/// everybody who has seen it.
struct UntilAnew<O> {
    observer: O,
    void: AtomicBool,
    anew: watch::Sender<bool>,
}

impl<O> UntilAnew<O> {
    fn end(&self) {
        self.void.store(true, Ordering::Relaxed);
        self.anew.send_replace(true);
    }
}

impl<O: Observer> Observer for UntilAnew<O> {
    fn on_commit(&mut self, entries: Vec<Entry>) {
        if !self.void.load(Ordering::Relaxed) {
            self.observer.on_commit(entries);
        }
    }

    fn on_reach(&mut self, tail: Offset) {
        if !self.void.load(Ordering::Relaxed) {
            self.observer.on_reach(tail);
        }
    }

    fn on_begin_anew(&mut self, epoch: Epoch, _: Offset) {
        tracing::warn!(%epoch, "The log of the cluster is not what it was: all clients begin anew.");
        self.end();
    }

    fn on_enter_epoch(&mut self, epoch: Epoch, _: Offset) {
        tracing::warn!(%epoch, "The log of the cluster has lost something, and goes on with what there is here: all clients begin anew.");
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_and_one_that_was_cut_off_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let config = Config { data: data.clone(), ..Config::default() };
        let first = name(&config).unwrap();
        assert_eq!(name(&config).unwrap(), first);
        std::fs::write(data.join(NAME_FILE), "").unwrap();
        let second = name(&config).unwrap();
        assert_eq!((second.len(), name(&config).unwrap()), (first.len(), second));
    }
}
