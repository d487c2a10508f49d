//! The way to the evaluator: samples, and what else is asked of it.

mod inbox;
mod sources;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_model::Sample;
use bellwire_model::limits::{
    LIVE_QUERIES_MAX, LOOKS_QUEUED_MAX, SAMPLE_BATCHES_QUEUED_MAX, SAMPLES_QUEUED_BYTES_MAX,
    SAMPLES_QUEUED_MAX,
};
use bellwire_process::clock::{self, Slewed, Ticker};
use bellwire_rules::{
    Engine, Excerpt, QueryBeginning, Reading, RefusedSamples, RuleSet, StandingQuery,
};
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

pub(super) use self::inbox::Inbox;
pub use self::sources::Source;
use self::sources::{Share, Sources};
use super::looks::{Look, Progress};
use crate::standby::handed_over;

/// How long a publisher of samples waits for its turn before it is told to come back.
const INTAKE_PATIENCE: Duration = Duration::from_secs(5);

/// Seconds after which samples are sent again where what the rules make of them is not kept. Senders
/// that send in order send nothing newer before, so that the rules see nothing newer either.
const UNKEPT_RETRY_S: u32 = 5;

/// What waits for the evaluator: there is room for whatever holds a place, for all queries that may
/// stand, and for one new set of rules.
const QUEUED_MAX: usize = SAMPLE_BATCHES_QUEUED_MAX + LOOKS_QUEUED_MAX + LIVE_QUERIES_MAX + 1;

/// What is asked of the evaluator, and when that came.
pub(super) struct Asked {
    pub(super) arrived: Slewed,
    pub(super) work: Work,
}

/// What the evaluator does next.
pub(super) enum Work {
    Samples(Arc<Claim>),
    /// Answers in its turn a request of which the rules get no sample.
    Answer(Result<RefusedSamples, Problem>, Taken),
    /// Looks at the engine between its steps.
    Look(Look, OwnedSemaphorePermit),
    /// Has a query stand.
    Begin(Box<QueryBeginning>),
    /// Has queries look at samples that came before they began, and says once that is shown.
    Seed(Vec<Sample>, oneshot::Sender<()>),
    /// Goes on with these rules, and says so.
    Replace(Box<RuleSet>, oneshot::Sender<()>),
    /// Looks whether it is [over](SampleIntake::end).
    End,
}

/// Told what became of samples, on the evaluator's thread: it must not block.
pub(super) type Taken = Box<dyn FnOnce(Result<RefusedSamples, Problem>) + Send>;

/// Samples of one request, and their places in the queue.
pub(super) struct Batch {
    pub(super) samples: Vec<Sample>,
    /// Told once the rules have seen them, and what they know of them is written down or cannot be.
    pub(super) taken: Option<Taken>,
    _places: Places,
}

/// What samples take of the room for all, and of that of their source.
#[derive(Debug)]
struct Places {
    _of_all: OwnedSemaphorePermit,
    _of_source: Share,
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
pub(super) struct Claim {
    batch: Mutex<Option<Batch>>,
    since: Ticker,
}

impl Claim {
    fn new(batch: Batch) -> Arc<Self> {
        Arc::new(Self { batch: Mutex::new(Some(batch)), since: Ticker::start() })
    }

    /// The batch, where nobody has it yet.
    pub(super) fn take(&self) -> Option<Batch> {
        self.batch().take()
    }

    fn is_taken(&self) -> bool {
        self.batch().is_none()
    }

    /// Whether it has waited for so long that it is to be sent again.
    pub(super) fn is_late(&self) -> bool {
        self.since.elapsed() >= INTAKE_PATIENCE
    }

    fn batch(&self) -> MutexGuard<'_, Option<Batch>> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How it goes with the evaluator, for whoever asks.
#[derive(Debug, Default)]
pub(super) struct Condition {
    /// Whether the journal does not take what comes of the samples.
    pub(super) is_blocked: AtomicBool,
    /// Whether samples were refused because too many waited.
    has_refused: AtomicBool,
    /// Whether another node evaluates the rules from now on.
    is_over: AtomicBool,
}

impl Condition {
    /// Has a batch sent again, where nobody has it yet.
    pub(super) fn refuse(&self, claim: &Claim) {
        if let Some(taken) = claim.take().and_then(|batch| batch.taken) {
            taken(Err(self.refusal()));
        }
    }

    /// Says so, and notes it.
    pub(super) fn refusal(&self) -> Problem {
        self.has_refused.store(true, Ordering::Relaxed);
        is_full()
    }

    /// Whether another node evaluates the rules from now on.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Nobody looks at what was sent, or will be.
    fn has_ended(&self) -> Problem {
        if self.is_over() {
            return handed_over();
        }
        Problem::new(Code::Draining, "the evaluator has ended")
    }
}

/// Where samples enter.
#[derive(Debug)]
pub struct SampleIntake {
    places: Arc<Semaphore>,
    sources: Arc<Sources>,
    looks: Arc<Semaphore>,
    work: SyncSender<Asked>,
    condition: Arc<Condition>,
}

impl SampleIntake {
    /// The way in, and its other end.
    pub(super) fn new() -> (Self, Inbox) {
        let (work, queue) = sync_channel(QUEUED_MAX);
        let condition = Arc::new(Condition::default());
        let intake = Self {
            places: Arc::new(Semaphore::new(SAMPLES_QUEUED_MAX)),
            sources: Arc::default(),
            looks: Arc::new(Semaphore::new(LOOKS_QUEUED_MAX)),
            work,
            condition: Arc::clone(&condition),
        };
        (intake, Inbox::new(queue, condition))
    }

    /// Queues samples for the rules, and waits until a kill of the process no longer undoes what
    /// the rules make of them. Whoever has waited for long is told to send them again, and those
    /// that waited are gone; once the rules look at them, they are waited for. Says for which there
    /// was no room.
    pub async fn take(
        &self,
        source: Source,
        samples: Vec<Sample>,
    ) -> Result<RefusedSamples, Problem> {
        if samples.is_empty() {
            return Ok(RefusedSamples::default());
        }
        let arrived = clock::slewed();
        let patience = tokio::time::sleep(INTAKE_PATIENCE);
        tokio::pin!(patience);
        let places = tokio::select! {
            places = self.places(source, places(&samples)) => places,
            () = &mut patience => return Err(self.condition.refusal()),
        };
        let (reply, mut is_taken) = oneshot::channel();
        // A publisher that is gone does not wait for it.
        let taken: Taken = Box::new(move |result| _ = reply.send(result));
        let claim = Claim::new(Batch { samples, taken: Some(taken), _places: places });
        self.send(Asked { arrived, work: Work::Samples(Arc::clone(&claim)) })?;
        let result = tokio::select! {
            result = &mut is_taken => result,
            () = &mut patience => {
                if claim.take().is_some() {
                    return Err(self.condition.refusal());
                }
                is_taken.await
            }
        };
        result.map_err(|_| self.condition.has_ended().may_be_taken())?
    }

    /// Queues samples for the rules without blocking, or why there are none, and calls `done` with
    /// what becomes of them: in the order of these calls, on the evaluator's thread. An error says
    /// that `done` is not called.
    pub fn take_then(
        &self,
        source: Source,
        samples: Result<Vec<Sample>, Problem>,
        done: impl FnOnce(Result<RefusedSamples, Problem>) + Send + 'static,
    ) -> Result<(), Problem> {
        let (arrived, done) = (clock::slewed(), Box::new(done));
        let room = match samples {
            Ok(samples) if samples.is_empty() => Err(Ok(RefusedSamples::default())),
            Ok(samples) => match self.places_now(source, places(&samples)) {
                Some(places) => Ok((samples, places)),
                None => Err(Err(self.condition.refusal())),
            },
            Err(problem) => Err(Err(problem)),
        };
        let work = match room {
            Ok((samples, places)) => {
                Work::Samples(Claim::new(Batch { samples, taken: Some(done), _places: places }))
            }
            Err(answer) => Work::Answer(answer, done),
        };
        self.send(Asked { arrived, work })
    }

    /// Places in the queue. Those of the source come first: who floods waits for itself alone.
    async fn places(&self, source: Source, places: u32) -> Places {
        let of_source = self.sources.share(source, places).await;
        let of_all = Arc::clone(&self.places).acquire_many_owned(places).await;
        let of_all = of_all.expect("the semaphore is never closed");
        Places { _of_all: of_all, _of_source: of_source }
    }

    fn places_now(&self, source: Source, places: u32) -> Option<Places> {
        let of_source = self.sources.share_now(source, places)?;
        let of_all = Arc::clone(&self.places).try_acquire_many_owned(places).ok()?;
        Some(Places { _of_all: of_all, _of_source: of_source })
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

    /// Has queries look at samples that came before they began, of series that nobody has looked at.
    /// Returns once what they come to is shown.
    pub(crate) async fn seed(&self, samples: Vec<Sample>) -> Result<(), Problem> {
        let (shown, is_shown) = oneshot::channel();
        self.send(Asked { arrived: clock::slewed(), work: Work::Seed(samples, shown) })?;
        is_shown.await.map_err(|_| self.condition.has_ended())
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
        replied.await.map_err(|_| self.condition.has_ended())
    }

    /// Has the evaluator go on with other rules; those that did not change keep their state.
    pub async fn replace(&self, rules: RuleSet) -> Result<(), Problem> {
        let (reply, replied) = oneshot::channel();
        let work = Work::Replace(Box::new(rules), reply);
        self.send(Asked { arrived: clock::slewed(), work })?;
        replied.await.map_err(|_| self.condition.has_ended())
    }

    /// Has a query stand, after the samples that came before.
    pub(crate) fn begin_query(&self, query: StandingQuery) -> Result<(), Problem> {
        let work = Work::Begin(Box::new(QueryBeginning::new(query)));
        self.send(Asked { arrived: clock::slewed(), work })
    }

    fn send(&self, asked: Asked) -> Result<(), Problem> {
        self.work.try_send(asked).map_err(|error| match error {
            // Those that were refused have their place in the queue until it is their turn.
            TrySendError::Full(_) => self.condition.refusal(),
            TrySendError::Disconnected(_) => self.condition.has_ended(),
        })
    }

    /// Another node evaluates the rules from now on: the evaluator ends once it has done what it is at, however
    /// many may still turn to it. They are told to send again.
    pub fn end(&self) {
        self.condition.is_over.store(true, Ordering::Relaxed);
        // Where there is no room it is about to look anyway.
        let _ = self.work.try_send(Asked { arrived: clock::slewed(), work: Work::End });
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
        let code = match unkept {
            Unkept::Full => Code::JournalFull,
            Unkept::Failed => Code::JournalUnavailable,
        };
        Self::new(code, detail).retry_after(UNKEPT_RETRY_S).may_be_taken()
    }
}

/// The journal does not say whether it takes what the rules make of samples.
pub(super) fn untold() -> Problem {
    let detail = "the rules have seen the samples, but what they make of them cannot be told now: \
                  send them again";
    Problem::new(Code::JournalUnavailable, detail).retry_after(UNKEPT_RETRY_S).may_be_taken()
}

fn is_full() -> Problem {
    let detail = "the rules have more to look at than they get to: send it again later";
    Problem::new(Code::PublishersBusy, detail).retry_after(1)
}

#[cfg(test)]
mod tests {
    use bellwire_model::limits::SAMPLES_OF_SOURCE_QUEUED_MAX;
    use bellwire_model::{Labels, METRIC_NAME, Timestamp};

    use super::*;

    fn samples(count: usize) -> Vec<Sample> {
        let series = Labels::from_pairs([(METRIC_NAME, "t")]).expect("labels");
        vec![Sample { series, value: 1.0, time: Timestamp::from_ms(0) }; count]
    }

    /// What a publisher is told, in the order in which it is.
    type Told = Arc<Mutex<Vec<(u32, &'static str)>>>;

    fn ask(
        intake: &SampleIntake,
        samples: Result<Vec<Sample>, Problem>,
        (number, told): (u32, &Told),
    ) {
        let told = Arc::clone(told);
        let done = move |result: Result<RefusedSamples, Problem>| {
            let word = result.map_or_else(|problem| problem.code.as_str(), |_| "taken");
            told.lock().expect("whole").push((number, word));
        };
        intake.take_then(Source::of(None), samples, done).expect("room");
    }

    #[test]
    fn answers_come_in_the_order_of_what_they_answer() {
        let (intake, mut inbox) = SampleIntake::new();
        let told = Told::default();
        let wrong = || Err(Problem::new(Code::JsonInvalid, "no JSON"));
        ask(&intake, wrong(), (1, &told));
        ask(&intake, Ok(samples(1)), (2, &told));
        ask(&intake, Ok(Vec::new()), (3, &told));
        let many = SAMPLES_OF_SOURCE_QUEUED_MAX;
        ask(&intake, Ok(samples(many)), (4, &told));
        // The evaluator waits for the journal: only what waits for nobody is answered.
        inbox.refuse_late();
        inbox.refuse_late();
        assert_eq!(*told.lock().expect("whole"), [(1, "json_invalid")]);
        while let Ok(asked) = inbox.next_now() {
            match asked.work {
                Work::Samples(claim) => {
                    let taken = claim.take().expect("nobody else has it").taken;
                    taken.expect("somebody waits")(Ok(RefusedSamples::default()));
                }
                Work::Answer(answer, taken) => taken(answer),
                Work::Look(..)
                | Work::Begin(_)
                | Work::Seed(..)
                | Work::Replace(..)
                | Work::End => {
                    unreachable!("nobody asks for that")
                }
            }
        }
        let expected = [(1, "json_invalid"), (2, "taken"), (3, "taken"), (4, "publishers_busy")];
        assert_eq!(*told.lock().expect("whole"), expected);
        assert!(inbox.take_has_refused() && !inbox.take_has_refused());
    }

    #[tokio::test(start_paused = true)]
    async fn who_floods_waits_for_itself_and_nobody_else() {
        let (intake, mut inbox) = SampleIntake::new();
        let intake = Arc::new(intake);
        let [flood, other] = [1, 2].map(|host| Source::of(Some([10, 0, 0, host].into())));
        let take = |source| {
            let intake = Arc::clone(&intake);
            let batch = samples(SAMPLES_OF_SOURCE_QUEUED_MAX / 4);
            tokio::spawn(async move { intake.take(source, batch).await })
        };
        let flood: Vec<_> = (0..40).map(|_| take(flood)).collect();
        // One task runs at a time here: all of them have come as far as they can.
        tokio::task::yield_now().await;
        let queued: Vec<Asked> = std::iter::from_fn(|| inbox.next_now().ok()).collect();
        assert_eq!(queued.len(), 4, "the room of one source");
        let other = take(other);
        tokio::task::yield_now().await;
        let asked = inbox.next_now().expect("it does not wait for the others");
        let Work::Samples(claim) = asked.work else { unreachable!("samples were sent") };
        let taken = claim.take().expect("it waits").taken.expect("somebody waits");
        taken(Ok(RefusedSamples::default()));
        other.await.expect("no panic").expect("taken");
        // Nobody takes the others: all are told to come back.
        for refused in flood {
            let problem = refused.await.expect("no panic").expect_err("nobody takes them");
            assert_eq!(problem.code, Code::PublishersBusy);
        }
    }
}
