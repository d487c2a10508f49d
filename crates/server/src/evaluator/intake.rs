//! The way to the evaluator: samples, and what else is asked of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use bellwire_model::Sample;
use bellwire_model::limits::{LOOKS_QUEUED_MAX, SAMPLE_BATCHES_QUEUED_MAX, SAMPLES_QUEUED_MAX};
use bellwire_rules::{Engine, RuleSet};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::problem::{Code, Problem};

/// How long a publisher of samples waits for its turn before it is told to come back.
const INTAKE_PATIENCE: Duration = Duration::from_secs(5);

/// What the evaluator does next.
pub(super) enum Work {
    Samples(Batch),
    /// Looks at the engine between two steps.
    Look(Box<dyn FnOnce(&Engine) + Send>, OwnedSemaphorePermit),
    /// Goes on with these rules, and says so.
    Replace(Box<RuleSet>, oneshot::Sender<()>),
}

/// Samples of one request, and their places in the queue.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) samples: Vec<Sample>,
    _places: OwnedSemaphorePermit,
}

/// Where samples enter.
#[derive(Debug)]
pub(crate) struct SampleIntake {
    places: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    work: SyncSender<Work>,
    is_blocked: Arc<AtomicBool>,
}

impl SampleIntake {
    /// The way in, its other end, and whether the journal does not take what comes of it.
    pub(super) fn new() -> (Self, Receiver<Work>, Arc<AtomicBool>) {
        // There is room for whatever holds a place, and for one new set of rules.
        let (work, queue) = sync_channel(SAMPLE_BATCHES_QUEUED_MAX + LOOKS_QUEUED_MAX + 1);
        let is_blocked = Arc::new(AtomicBool::new(false));
        let intake = Self {
            places: Arc::new(Semaphore::new(SAMPLES_QUEUED_MAX)),
            looks: Arc::new(Semaphore::new(LOOKS_QUEUED_MAX)),
            work,
            is_blocked: Arc::clone(&is_blocked),
        };
        (intake, queue, is_blocked)
    }

    /// Queues samples for the rules; waits for room, within patience.
    pub(crate) async fn take(&self, samples: Vec<Sample>) -> Result<(), Problem> {
        let places = Arc::clone(&self.places).acquire_many_owned(places(&samples));
        let places = tokio::time::timeout(INTAKE_PATIENCE, places).await;
        let places = places.map_err(|_| is_full())?.expect("the semaphore is never closed");
        self.queue(samples, places)
    }

    /// Queues samples for the rules, or refuses them where there is no room now.
    pub(crate) fn take_now(&self, samples: Vec<Sample>) -> Result<(), Problem> {
        let places = Arc::clone(&self.places).try_acquire_many_owned(places(&samples));
        self.queue(samples, places.map_err(|_| is_full())?)
    }

    /// There are places, so this does not block.
    fn queue(&self, samples: Vec<Sample>, places: OwnedSemaphorePermit) -> Result<(), Problem> {
        if samples.is_empty() {
            return Ok(());
        }
        self.send(Work::Samples(Batch { samples, _places: places }))
    }

    /// Looks at the engine between two steps, after the samples that came before.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let place = Arc::clone(&self.looks).acquire_owned();
        let place = tokio::time::timeout(INTAKE_PATIENCE, place).await;
        let place = place.map_err(|_| is_full())?.expect("the semaphore is never closed");
        let (reply, replied) = oneshot::channel();
        let look = move |engine: &Engine| _ = reply.send(look(engine));
        self.send(Work::Look(Box::new(look), place))?;
        let replied = tokio::time::timeout(INTAKE_PATIENCE, replied).await;
        replied.map_err(|_| is_full())?.map_err(|_| has_ended())
    }

    /// Has the evaluator go on with other rules; those that did not change keep their state.
    pub(crate) async fn replace(&self, rules: RuleSet) -> Result<(), Problem> {
        let (reply, replied) = oneshot::channel();
        self.send(Work::Replace(Box::new(rules), reply))?;
        replied.await.map_err(|_| has_ended())
    }

    fn send(&self, work: Work) -> Result<(), Problem> {
        self.work.send(work).map_err(|_| has_ended())
    }

    /// Whether the journal does not take the evaluator's transitions at the moment.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Ordering::Relaxed)
    }
}

/// What a batch takes of the queue. A small one counts for more than it has, so that one bound
/// holds for samples and for batches.
fn places(samples: &[Sample]) -> u32 {
    samples.len().max(SAMPLES_QUEUED_MAX / SAMPLE_BATCHES_QUEUED_MAX) as u32
}

fn has_ended() -> Problem {
    Problem::new(Code::Draining, "the evaluator has ended")
}

fn is_full() -> Problem {
    let detail = "the rules have as many samples to look at as they may: send them again later";
    Problem::new(Code::PublishersBusy, detail).retry_after(1)
}
