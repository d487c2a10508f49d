//! All jobs, as the configuration has them by now.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_access::Identity;
use bellwire_model::Networks;
use tokio::sync::watch;

use super::client::{Capacity, Reach};
use super::job::Job;
use super::pool::{Listing, Pool, Surroundings};
use super::status::JobTargets;
use crate::intake::Intake;

/// Scrapes the targets of all jobs.
#[derive(Debug)]
pub struct Scraper {
    surroundings: Surroundings,
    jobs: Mutex<BTreeMap<String, Running>>,
}

/// A job that runs.
#[derive(Debug)]
struct Running {
    versions: watch::Sender<Option<Arc<Job>>>,
    listing: Arc<Listing>,
}

impl Scraper {
    /// A scraper of nothing yet. The seed tells its moments from those of other servers. Where
    /// `guarded` is something, servers that are asked for targets may not lead to loopback and
    /// link-local addresses and a cloud's metadata but for those networks.
    pub fn new(intake: Arc<dyn Intake>, seed: u64, guarded: Option<Networks>) -> Self {
        // Who configures targets may have the rules see whatever they say.
        let identity = Arc::new(Identity::open());
        let surroundings = Surroundings {
            intake,
            identity,
            room: Arc::<Capacity>::default(),
            reach_of_told: guarded.map_or(Reach::All, Reach::Others),
            seed,
        };
        Self { surroundings, jobs: Mutex::default() }
    }

    /// From now on scrapes these jobs; to be called within a runtime. Targets of jobs that are as they were go on as if nothing had
    /// been said; those of others keep what is known of their series.
    pub fn set(&self, jobs: Vec<Job>) {
        let mut running = self.running();
        let wanted: BTreeMap<String, Job> =
            jobs.into_iter().map(|job| (job.name.clone(), job)).collect();
        running.retain(|name, job| {
            let stays = wanted.contains_key(name);
            if !stays {
                job.versions.send_replace(None);
            }
            stays
        });
        for (name, job) in wanted {
            match running.get(&name) {
                Some(known) => {
                    known.versions.send_if_modified(|current| {
                        let is_new = current.as_deref() != Some(&job);
                        if is_new {
                            *current = Some(Arc::new(job));
                        }
                        is_new
                    });
                }
                None => _ = running.insert(name, self.begin(job)),
            }
        }
    }

    /// The targets of each job, by its name.
    pub fn targets(&self) -> BTreeMap<String, JobTargets> {
        let running = self.running();
        running.iter().map(|(name, job)| (name.clone(), job.listing.targets())).collect()
    }

    fn begin(&self, job: Job) -> Running {
        let (versions, seen) = watch::channel(Some(Arc::new(job)));
        let listing = Arc::<Listing>::default();
        tokio::spawn(Pool::run(self.surroundings.clone(), seen, Arc::clone(&listing)));
        Running { versions, listing }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
