//! The way to the evaluator: samples, and what else is asked of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwire_model::Sample;
use bellwire_model::limits::{
    LOOKS_QUEUED_MAX, SAMPLE_BATCHES_QUEUED_MAX, SAMPLES_QUEUED_BYTES_MAX, SAMPLES_QUEUED_MAX,
};
use bellwire_process::clock::{self, Slewed};
use bellwire_rules::{Engine, Excerpt, Reading, RefusedSamples, RuleSet};
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::looks::{Look, Progress};

/// How long a publisher of samples waits for its turn before it is told to come back.
const INTAKE_PATIENCE: Duration = Duration::from_secs(5);

/// What is asked of the evaluator, and when that came.
pub(super) struct Asked {
    pub(super) arrived: Slewed,
    pub(super) work: Work,
}

/// What the evaluator does next.
pub(super) enum Work {
    Samples(Arc<Claim>),
    /// Looks at the engine between its steps.
    Look(Look, OwnedSemaphorePermit),
    /// Goes on with these rules, and says so.
    Replace(Box<RuleSet>, oneshot::Sender<()>),
}

/// Samples of one request, and their places in the queue.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) samples: Vec<Sample>,
    /// Told once the rules have seen them, and what they know of them is written down or cannot be.
    pub(super) taken: Option<oneshot::Sender<Result<RefusedSamples, Unkept>>>,
    _places: OwnedSemaphorePermit,
}

/// What the rules know cannot be written down now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unkept {
    /// The disk is full.
    Full,
    /// It fails.
    Failed,
}

/// A batch that goes to one of two: the evaluator, or whoever has waited for it for too long and
/// has it sent again. What is refused is never applied.
#[derive(Debug)]
pub(super) struct Claim(Mutex<Option<Batch>>);

impl Claim {
    fn new(batch: Batch) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(batch))))
    }

    /// The batch, where nobody has it yet.
    pub(super) fn take(&self) -> Option<Batch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How it goes with the evaluator, for whoever asks.
#[derive(Debug, Default)]
pub(super) struct Condition {
    /// Whether the journal does not take what comes of the samples.
    pub(super) is_blocked: AtomicBool,
    /// Whether samples were refused because too many waited.
    pub(super) has_refused: AtomicBool,
}

/// Where samples enter.
#[derive(Debug)]
pub struct SampleIntake {
    places: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    work: SyncSender<Asked>,
    condition: Arc<Condition>,
}

impl SampleIntake {
    /// The way in, its other end, and how it goes there.
    pub(super) fn new() -> (Self, Receiver<Asked>, Arc<Condition>) {
        // There is room for whatever holds a place, and for one new set of rules.
        let (work, queue) = sync_channel(SAMPLE_BATCHES_QUEUED_MAX + LOOKS_QUEUED_MAX + 1);
        let condition = Arc::new(Condition::default());
        let intake = Self {
            places: Arc::new(Semaphore::new(SAMPLES_QUEUED_MAX)),
            looks: Arc::new(Semaphore::new(LOOKS_QUEUED_MAX)),
            work,
            condition: Arc::clone(&condition),
        };
        (intake, queue, condition)
    }

    /// Queues samples for the rules, and waits until a kill of the process no longer undoes what
    /// the rules make of them. Whoever has waited for long is told to send them again, and those
    /// that waited are gone; once the rules look at them, they are waited for. Says for which there
    /// was no room.
    pub async fn take(&self, samples: Vec<Sample>) -> Result<RefusedSamples, Problem> {
        if samples.is_empty() {
            return Ok(RefusedSamples::default());
        }
        let arrived = clock::slewed();
        let patience = tokio::time::sleep(INTAKE_PATIENCE);
        tokio::pin!(patience);
        let places = Arc::clone(&self.places).acquire_many_owned(places(&samples));
        let places = tokio::select! {
            places = places => places.expect("the semaphore is never closed"),
            () = &mut patience => return Err(self.refuse()),
        };
        let (taken, mut is_taken) = oneshot::channel();
        let claim = Claim::new(Batch { samples, taken: Some(taken), _places: places });
        self.send(Asked { arrived, work: Work::Samples(Arc::clone(&claim)) })?;
        let result = tokio::select! {
            result = &mut is_taken => result,
            () = &mut patience => {
                if claim.take().is_some() {
                    return Err(self.refuse());
                }
                is_taken.await
            }
        };
        result.map_err(|_| has_ended())?.map_err(Problem::from)
    }

    /// Queues samples for the rules, or refuses them where there is no room now.
    pub fn take_now(&self, samples: Vec<Sample>) -> Result<(), Problem> {
        if samples.is_empty() {
            return Ok(());
        }
        let arrived = clock::slewed();
        let places = Arc::clone(&self.places).try_acquire_many_owned(places(&samples));
        let places = places.map_err(|_| self.refuse())?;
        let claim = Claim::new(Batch { samples, taken: None, _places: places });
        self.send(Asked { arrived, work: Work::Samples(claim) })
    }

    /// Looks at the engine between its steps, after the samples that came before, again and again
    /// until there is something to say. Each time must be short.
    pub async fn look<T: Send + 'static>(
        &self,
        mut look: impl FnMut(&Engine) -> Option<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let looked = self.ask(move |engine| look(engine));
        tokio::time::timeout(INTAKE_PATIENCE, looked).await.map_err(|_| is_full())?
    }

    /// Copies what a query looks at, after the samples that came before. That may take as long as
    /// the query may.
    pub async fn excerpt(&self, mut excerpt: Excerpt) -> Result<Reading, Problem> {
        self.ask(move |engine| engine.excerpt(&mut excerpt)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        mut look: impl FnMut(&mut Engine) -> Option<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = Arc::clone(&self.looks).acquire_owned();
        let place = place.await.expect("the semaphore is never closed");
        let (reply, replied) = oneshot::channel();
        let mut reply = Some(reply);
        let look = move |engine: &mut Engine| {
            let Some(said) = look(engine) else { return Progress::GoesOn };
            let reply = reply.take();
            // Whoever asked may be gone.
            let _ = reply.map(|reply| reply.send(said));
            Progress::Complete
        };
        self.send(Asked { arrived: clock::slewed(), work: Work::Look(Box::new(look), place) })?;
        replied.await.map_err(|_| has_ended())
    }

    /// Has the evaluator go on with other rules; those that did not change keep their state.
    pub async fn replace(&self, rules: RuleSet) -> Result<(), Problem> {
        let (reply, replied) = oneshot::channel();
        let work = Work::Replace(Box::new(rules), reply);
        self.send(Asked { arrived: clock::slewed(), work })?;
        replied.await.map_err(|_| has_ended())
    }

    fn send(&self, asked: Asked) -> Result<(), Problem> {
        self.work.try_send(asked).map_err(|error| match error {
            // Those that were refused have their place in the queue until it is their turn.
            TrySendError::Full(_) => self.refuse(),
            TrySendError::Disconnected(_) => has_ended(),
        })
    }

    fn refuse(&self) -> Problem {
        self.condition.has_refused.store(true, Ordering::Relaxed);
        is_full()
    }

    /// Whether the journal does not take the evaluator's transitions at the moment.
    pub fn is_blocked(&self) -> bool {
        self.condition.is_blocked.load(Ordering::Relaxed)
    }
}

/// What a batch takes of the queue. A small one counts for more than it has, so that one bound
/// holds for samples and for batches.
fn places(samples: &[Sample]) -> u32 {
    let bytes = |sample: &Sample| size_of::<Sample>() + sample.series.size_bytes();
    let bytes: usize = samples.iter().map(bytes).sum();
    let least = SAMPLES_QUEUED_MAX / SAMPLE_BATCHES_QUEUED_MAX;
    let large = bytes / (SAMPLES_QUEUED_BYTES_MAX / SAMPLES_QUEUED_MAX);
    samples.len().max(least).max(large).min(SAMPLES_QUEUED_MAX) as u32
}

impl From<Unkept> for Problem {
    fn from(unkept: Unkept) -> Self {
        let detail = "the rules have seen the samples, but what they make of them cannot be \
                      written down now: send them again";
        match unkept {
            Unkept::Full => Self::new(Code::JournalFull, detail).retry_after(30),
            Unkept::Failed => Self::new(Code::JournalUnavailable, detail).retry_after(5),
        }
    }
}

fn has_ended() -> Problem {
    Problem::new(Code::Draining, "the evaluator has ended")
}

fn is_full() -> Problem {
    let detail = "the rules have more to look at than they get to: send it again later";
    Problem::new(Code::PublishersBusy, detail).retry_after(1)
}
