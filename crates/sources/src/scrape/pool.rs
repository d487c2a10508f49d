//! The targets of one job: those that are found are scraped, those that are gone are ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_access::Identity;
use bellwire_ingest::relabel::{self, Rule};
use bellwire_model::limits::{SCRAPE_TARGETS_DROPPED_LISTED_MAX, SCRAPE_TARGETS_MAX};
use bellwire_process::crash;
use tokio::sync::watch;

use super::client::{Capacity, Client, Fetch, Reach};
use super::discovery::Finders;
use super::group::Group;
use super::job::Job;
use super::rounds::{BROKEN, Order, Plan, Rounds};
use super::status::{ActiveTarget, JobTargets, Status};
use super::target::{self, Discovered, Found, Target};
use super::wall::Wall;
use crate::intake::{Intake, ScrapedTarget, Sender};
use crate::kind::Kind;

/// What all jobs share.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) intake: Arc<dyn Intake>,
    pub(super) identity: Arc<Identity>,
    pub(super) room: Arc<Capacity>,
    /// What lists of others may lead to.
    pub(super) reach_of_told: Reach,
    /// What tells this server's moments from those of others that scrape the same targets.
    pub(super) seed: u64,
}

/// What is shown of a job.
#[derive(Debug, Default)]
pub(super) struct Listing(Mutex<Listed>);

#[derive(Debug, Default)]
struct Listed {
    active: Vec<(Target, Arc<Status>)>,
    dropped: Vec<Discovered>,
    dropped_count: usize,
}

impl Listing {
    pub(super) fn targets(&self) -> JobTargets {
        let listed = self.lock();
        let active = listed.active.iter().map(|(target, status)| ActiveTarget {
            labels: target.labels.clone(),
            discovered: target.discovered.clone(),
            url: target.url.to_string(),
            interval: target.pace.interval,
            timeout: target.pace.timeout,
            last: status.get(),
        });
        JobTargets {
            active: active.collect(),
            dropped: listed.dropped.clone(),
            dropped_count: listed.dropped_count,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that runs.
#[derive(Debug)]
pub(super) struct Pool {
    surroundings: Surroundings,
    listing: Arc<Listing>,
    job: Arc<Job>,
    rules: Vec<Rule>,
    plan: Arc<Plan>,
    running: BTreeMap<String, Running>,
    /// Those that ran when it was begun to look for targets in another way, and that nobody has named
    /// since.
    held: BTreeSet<String>,
}

/// A target on its rounds.
#[derive(Debug)]
struct Running {
    target: Target,
    orders: watch::Sender<Order>,
    status: Arc<Status>,
}

impl Running {
    /// Gives it an order, if that says something new.
    fn go_on(&self, order: Order) {
        self.orders.send_if_modified(|current| {
            let is_new = !current.is_same(&order);
            if is_new {
                *current = order;
            }
            is_new
        });
    }
}

/// What is to be scraped.
#[derive(Debug, Default)]
struct Wanted {
    targets: BTreeMap<String, Target>,
    dropped: Vec<Discovered>,
    dropped_count: usize,
}

impl Pool {
    /// Runs a job until there is none of it any more; each new version of it is taken when it comes.
    pub(super) async fn run(
        surroundings: Surroundings,
        mut jobs: watch::Receiver<Option<Arc<Job>>>,
        listing: Arc<Listing>,
    ) {
        let Some(job) = jobs.borrow_and_update().clone() else { return };
        let mut finders = Finders::start(&job.discovery, &surroundings.room);
        let mut pool = Self {
            plan: Arc::new(plan(&job, &surroundings)),
            rules: rules(&job.relabel),
            running: BTreeMap::new(),
            held: BTreeSet::new(),
            surroundings,
            listing,
            job,
        };
        loop {
            // What breaks at one version of what was found leaves in force what runs.
            if crash::contain(|| pool.synchronize(&finders)).is_none() {
                let job = &pool.job.name;
                tracing::error!(job, "What was found cannot be taken; what is scraped goes on.");
                pool.surroundings.intake.note_unread(Kind::Scrape, BROKEN);
            }
            // Both can be dropped at any point: neither loses a change.
            tokio::select! {
                changed = jobs.changed() => {
                    if changed.is_err() {
                        // The server ends.
                        return std::future::pending().await;
                    }
                    let Some(job) = jobs.borrow_and_update().clone() else { break };
                    // Where the same is looked for, what was found stays known.
                    if job.discovery != pool.job.discovery {
                        finders = Finders::start(&job.discovery, &pool.surroundings.room);
                        pool.held = pool.running.keys().cloned().collect();
                    }
                    pool.plan = pool.plan_of(&job);
                    pool.rules = rules(&job.relabel);
                    pool.job = job;
                }
                () = finders.changed() => {}
            }
        }
        pool.end_others(&BTreeMap::new());
    }

    /// The plan of another version of the job. Connections are kept where they are made alike, and so
    /// is the plan where all of it is the same.
    fn plan_of(&self, job: &Job) -> Arc<Plan> {
        let before = &self.job;
        if job.http != before.http {
            return Arc::new(plan(job, &self.surroundings));
        }
        let is_same = (&job.series, job.body_bytes_max, job.fallback)
            == (&before.series, before.body_bytes_max, before.fallback);
        if is_same {
            return Arc::clone(&self.plan);
        }
        Arc::new(plan_with(job, self.plan.clients()))
    }

    /// Scrapes what is to be scraped, and nothing else.
    fn synchronize(&mut self, finders: &Finders) {
        let mut wanted = self.wanted(&finders.groups());
        // Who has yet to say what they know may know what runs. What somebody has named is theirs: it
        // goes when they leave it out.
        self.held.retain(|key| !wanted.targets.contains_key(key));
        if finders.have_all_answered() {
            self.held.clear();
        }
        for key in &self.held {
            if let Some(running) = self.running.get(key) {
                wanted.targets.insert(key.clone(), running.target.clone());
            }
        }
        self.end_others(&wanted.targets);
        let plan = self.limited_plan(wanted.targets.len());
        for (key, target) in wanted.targets {
            let order = Order::Scrape(Arc::clone(&plan), target.pace);
            if let Some(running) = self.running.get_mut(&key) {
                running.target = target;
                running.go_on(order);
            } else {
                let running = self.begin(target, order);
                self.running.insert(key, running);
            }
        }
        let active = self.running.values();
        let active = active.map(|running| (running.target.clone(), Arc::clone(&running.status)));
        *self.listing.lock() = Listed {
            active: active.collect(),
            dropped: wanted.dropped,
            dropped_count: wanted.dropped_count,
        };
    }

    /// What the groups come to, each target once.
    fn wanted(&self, groups: &[Group]) -> Wanted {
        let mut wanted = Wanted::default();
        let found = groups.iter().flat_map(|group| target::of_group(group, &self.job, &self.rules));
        let mut beyond = 0_usize;
        for found in found {
            match found {
                Ok(Found::Target(target)) => {
                    if wanted.targets.len() < SCRAPE_TARGETS_MAX {
                        wanted.targets.insert(target.key(), *target);
                    } else {
                        beyond += 1;
                    }
                }
                Ok(Found::Dropped(discovered)) => {
                    wanted.dropped_count += 1;
                    if wanted.dropped.len() < SCRAPE_TARGETS_DROPPED_LISTED_MAX {
                        wanted.dropped.push(discovered);
                    }
                }
                Err(error) => {
                    tracing::warn!(job = self.job.name, %error, "A target cannot be scraped.");
                }
            }
        }
        if beyond > 0 {
            let job = &self.job.name;
            tracing::error!(job, beyond, "Targets beyond {SCRAPE_TARGETS_MAX} are not scraped.");
        }
        wanted
    }

    /// The plan, which is to fail where there are more targets than the configuration allows.
    fn limited_plan(&self, targets: usize) -> Arc<Plan> {
        let max = self.job.targets_max;
        if max == 0 || targets <= max {
            return Arc::clone(&self.plan);
        }
        let failure = format!("target_limit exceeded (number of targets: {targets}, limit: {max})");
        let plan = plan_with(&self.job, self.plan.clients());
        Arc::new(Plan { failure: Some(failure), ..plan })
    }

    fn begin(&self, target: Target, order: Order) -> Running {
        let (orders, ordered) = watch::channel(order);
        let status = Arc::<Status>::default();
        let rounds = Rounds {
            hash: target.hash(self.surroundings.seed),
            target: target.clone(),
            orders: ordered,
            status: Arc::clone(&status),
            intake: Arc::clone(&self.surroundings.intake),
            sender: self.sender(&target),
            wall: Wall::default(),
        };
        tokio::spawn(rounds.run());
        Running { target, orders, status }
    }

    fn sender(&self, target: &Target) -> Sender {
        let (job, url) = (self.job.name.clone(), target.url.to_string());
        let sender = Sender::new(Arc::clone(&self.surroundings.identity), None);
        Sender { target: Some(Arc::new(ScrapedTarget { job, url })), ..sender }
    }

    /// Ends what is not among these.
    fn end_others(&mut self, wanted: &BTreeMap<String, Target>) {
        self.running.retain(|key, running| {
            let stays = wanted.contains_key(key);
            if !stays {
                running.orders.send_replace(Order::End);
            }
            stays
        });
    }
}

/// The rules of a job. They were checked when the configuration was read.
fn rules(configs: &[relabel::Config]) -> Vec<Rule> {
    configs.iter().filter_map(|config| Rule::new(config.clone()).ok()).collect()
}

fn plan(job: &Job, surroundings: &Surroundings) -> Plan {
    let client = |reach: Reach| Arc::new(Client::new(&job.http, reach, &surroundings.room));
    let clients = [client(Reach::All), client(surroundings.reach_of_told.clone())];
    plan_with(job, clients.map(|client| client as _))
}

fn plan_with(job: &Job, [client, client_of_told]: [Arc<dyn Fetch>; 2]) -> Plan {
    Plan {
        client,
        client_of_told,
        relabel: rules(&job.series.relabel).into(),
        series: job.series.clone(),
        body_bytes_max: job.body_bytes_max,
        fallback: job.fallback,
        failure: None,
    }
}

impl Plan {
    fn clients(&self) -> [Arc<dyn Fetch>; 2] {
        [Arc::clone(&self.client), Arc::clone(&self.client_of_told)]
    }
}
