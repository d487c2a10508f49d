//! The way to the evaluator: samples, and what else is asked of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use bellwire_model::Sample;
use bellwire_model::limits::{LOOKS_QUEUED_MAX, SAMPLE_BATCHES_QUEUED_MAX, SAMPLES_QUEUED_MAX};
use bellwire_rules::{Engine, RuleSet};
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

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
    /// Told once the rules have seen them, and what they know of them is written down.
    pub(super) taken: Option<oneshot::Sender<()>>,
    _places: OwnedSemaphorePermit,
}

/// Where samples enter.
#[derive(Debug)]
pub struct SampleIntake {
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

    /// Queues samples for the rules, and waits until a kill of the process no longer undoes what
    /// the rules make of them. Whoever has waited for long is told to send them again; of two
    /// samples with one time the last counts, so that this does no harm.
    pub async fn take(&self, samples: Vec<Sample>) -> Result<(), Problem> {
        if samples.is_empty() {
            return Ok(());
        }
        let take = async {
            let places = Arc::clone(&self.places).acquire_many_owned(places(&samples)).await;
            let places = places.expect("the semaphore is never closed");
            let (taken, is_taken) = oneshot::channel();
            self.send(Work::Samples(Batch { samples, taken: Some(taken), _places: places }))?;
            is_taken.await.map_err(|_| has_ended())
        };
        tokio::time::timeout(INTAKE_PATIENCE, take).await.map_err(|_| is_full())?
    }

    /// Queues samples for the rules, or refuses them where there is no room now.
    pub fn take_now(&self, samples: Vec<Sample>) -> Result<(), Problem> {
        if samples.is_empty() {
            return Ok(());
        }
        let places = Arc::clone(&self.places).try_acquire_many_owned(places(&samples));
        let places = places.map_err(|_| is_full())?;
        self.send(Work::Samples(Batch { samples, taken: None, _places: places }))
    }

    /// Looks at the engine between two steps, after the samples that came before.
    pub async fn look<T: Send + 'static>(
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
    pub async fn replace(&self, rules: RuleSet) -> Result<(), Problem> {
        let (reply, replied) = oneshot::channel();
        self.send(Work::Replace(Box::new(rules), reply))?;
        replied.await.map_err(|_| has_ended())
    }

    fn send(&self, work: Work) -> Result<(), Problem> {
        self.work.send(work).map_err(|_| has_ended())
    }

    /// Whether the journal does not take the evaluator's transitions at the moment.
    pub fn is_blocked(&self) -> bool {
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
    let detail = "the rules have more to look at than they get to: send it again later";
    Problem::new(Code::PublishersBusy, detail).retry_after(1)
}
