//! The alerts' desk in the server: what becomes of alerts, made durable and then shown.
//!
//! ```text
//! evaluator ── transitions, values ──────────────┐       ┌─▶ alerts/active   (state)
//!                                                ├▶ Desk ┴─▶ the notifier, browsers
//! API ── silences, posts, … ─┐                   │
//! time ─ ends, resolutions ──┴▶ the desk's thread┘
//!                                  │ first
//!                                  └─▶ alerts/events/…, records   (journal)
//! ```
//!
//! What waits for the journal is done by one thread, one thing after the other. The evaluator has
//! written what it brings already, and goes straight to the desk. Whoever changes the desk has the
//! turn until the change is shown, so that all is shown in the order in which it happened; nothing
//! is waited for meanwhile, and the desk can be looked at. A request is looked at once the desk has what the evaluator
//! was announcing: who asks may have seen it.

mod announcing;
mod filtering;
mod following;
mod queue;
mod worker;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use bellwire_alerts::config::Config;
use bellwire_alerts::desk::{Case, Plan, RuleChange};
use bellwire_alerts::{Desk, Matchers};
use bellwire_journal::{Error, Journal};
use bellwire_model::limits::{DESK_QUEUED_MAX, FILTERING_STEPS_MAX};
use bellwire_model::{Alert, Fingerprint, Scope, SilenceId, Timestamp};
use bellwire_process::clock;
use bellwire_process::crash;
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::figures::Figures;
use crate::notifier::Notifier;
use crate::push::Push;
use crate::standby::handed_over;
use crate::states::StateTopics;

use queue::{Answer, QUEUED_MAX, Queue, Request, Turn, Work};
use worker::Worker;

/// How long somebody waits for a place in the queue before being told to come back.
const DESK_PATIENCE: Duration = Duration::from_secs(5);

/// Where alerts are, and where everybody turns to who wants something of them.
#[derive(Debug)]
pub struct Alerting {
    worker: Arc<Worker>,
    /// Of the queue, for requests.
    places: Arc<Semaphore>,
    work: SyncSender<Work>,
    /// Whether another node has the desk from now on.
    is_over: Arc<AtomicBool>,
    started_at: Timestamp,
}

/// A place in the queue of the desk's thread.
#[derive(Debug)]
pub(crate) struct Place(OwnedSemaphorePermit);

/// What the desk's thread needs of the rest of the server.
#[derive(Debug)]
pub struct AlertingParts {
    pub journal: Arc<dyn Journal>,
    pub states: Arc<dyn StateTopics>,
    pub notifier: Arc<Notifier>,
    pub push: Arc<Push>,
    pub figures: Arc<Figures>,
}

impl Alerting {
    /// The desk as the journal has it, and what is to run at it. The rules' alerts are yet to
    /// [`begin`](Self::begin).
    pub fn open(parts: AlertingParts) -> Result<(Arc<Self>, Run), Error> {
        let (work, queue) = sync_channel(QUEUED_MAX);
        let places = Arc::new(Semaphore::new(DESK_QUEUED_MAX));
        let worker = Arc::new(Worker::open(parts)?);
        let is_over = Arc::<AtomicBool>::default();
        let queue = Queue::new(queue);
        let run = Run { worker: Arc::clone(&worker), queue, is_over: Arc::clone(&is_over) };
        let started_at = clock::now();
        Ok((Arc::new(Self { worker, places, work, is_over, started_at }), run))
    }

    /// Takes the rules' alerts as they are at the start, and shows all alerts.
    pub fn begin(&self, alerts: impl Iterator<Item = Arc<Alert>>) {
        self.worker.begin(alerts);
    }

    /// The evaluator is about to append what rules say of alerts: requests wait until that has
    /// been [told](Self::told), since whoever asks may have seen it.
    pub fn tell(&self) {
        self.worker.announcing.begin();
    }

    /// The desk has what was appended, or the journal did not take it.
    pub fn told(&self) {
        self.worker.announcing.end();
    }

    /// Takes what rules say of alerts, and shows it. It is durable already.
    pub fn on_rules(&self, changes: Vec<RuleChange>) {
        self.worker.show_after(|desk, now| desk.on_rules(now, changes));
    }

    /// Takes the newest values of the rules' alerts that go on, and shows them.
    pub fn refresh(&self, alerts: Vec<Arc<Alert>>) {
        self.worker.show_after(|desk, _| desk.refresh(alerts));
    }

    /// A place in the queue. Whoever has waited for long is told to come back.
    pub(crate) async fn place(&self) -> Result<Place, Problem> {
        let place = Arc::clone(&self.places).acquire_owned();
        let place = tokio::time::timeout(DESK_PATIENCE, place).await;
        Ok(Place(place.map_err(|_| is_full())?.expect("the semaphore is never closed")))
    }

    /// Puts another configuration in force, however long that takes: whoever has a place is not
    /// refused. One at a time.
    pub(crate) async fn replace(&self, place: Place, config: Config) -> Result<(), Problem> {
        self.offer(Work::Replace(Box::new(config)))?;
        // Its turn has come when that of a request behind it has.
        self.request_at(place, |_, _| (Plan::default(), ())).await
    }

    /// Queues what somebody asks for, who can come again.
    fn offer(&self, work: Work) -> Result<(), Problem> {
        self.work.try_send(work).map_err(|error| match error {
            TrySendError::Full(_) => is_full(),
            TrySendError::Disconnected(_) => self.has_ended(),
        })
    }

    /// Asks for something: `plan` looks at the desk when its turn comes, and says what to do and
    /// what to answer once that is durable and done. Whoever has waited for long is told to come
    /// back.
    pub async fn request<T: Send + 'static>(
        &self,
        plan: impl FnOnce(&Desk, Timestamp) -> (Plan, T) + Send + 'static,
    ) -> Result<T, Problem> {
        let place = self.place().await?;
        self.request_at(place, plan).await
    }

    async fn request_at<T: Send + 'static>(
        &self,
        Place(place): Place,
        plan: impl FnOnce(&Desk, Timestamp) -> (Plan, T) + Send + 'static,
    ) -> Result<T, Problem> {
        let (reply, replied) = oneshot::channel();
        let done = move |answer| {
            // Who has left does not need the answer.
            let _ = reply.send(answer);
        };
        self.queue(place, plan, done)?;
        replied.await.unwrap_or_else(|_| Err(self.has_ended()))
    }

    /// Asks without blocking, and calls `done` with the answer on the desk's thread. An error says
    /// that nothing was asked and that `done` is not called.
    pub fn request_then<T: Send + 'static>(
        &self,
        plan: impl FnOnce(&Desk, Timestamp) -> (Plan, T) + Send + 'static,
        done: impl FnOnce(Result<T, Problem>) + Send + 'static,
    ) -> Result<(), Problem> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| is_full())?;
        self.queue(place, plan, done)
    }

    fn queue<T: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        plan: impl FnOnce(&Desk, Timestamp) -> (Plan, T) + Send + 'static,
        done: impl FnOnce(Result<T, Problem>) + Send + 'static,
    ) -> Result<(), Problem> {
        self.offer(Work::Request(Request::new(move |turn| {
            drop(place);
            match turn {
                Turn::Comes(desk, now) => {
                    let (plan, answer) = plan(desk, now);
                    let answer: Answer = Box::new(move |result| done(result.map(|()| answer)));
                    Some((plan, answer))
                }
                Turn::Passes(problem) => {
                    done(Err(problem));
                    None
                }
            }
        })))
    }

    /// Another node has the desk from now on: its thread ends once it has done what it is at, however many may
    /// still turn to it. They are told to ask again.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Where there is no room it is about to look anyway.
        let _ = self.work.try_send(Work::End);
    }

    /// Nobody does what is asked for.
    fn has_ended(&self) -> Problem {
        if self.is_over.load(Ordering::Relaxed) { handed_over() } else { Error::Closed.into() }
    }

    /// The desk, to look at it for a moment.
    pub fn desk(&self) -> MutexGuard<'_, Desk> {
        self.worker.desk()
    }

    /// The alerts that are wanted, within a scope and pass matchers, in order. The desk is free
    /// meanwhile. An error says that the matchers take too long.
    pub fn matching(
        &self,
        (scope, matchers): (&Scope, &Matchers),
        is_wanted: impl Fn(&Case) -> bool,
    ) -> Result<Vec<Fingerprint>, Problem> {
        let wanted = |desk: &Desk| -> Vec<Arc<Alert>> {
            let cases = desk.cases().filter(|case| is_wanted(case));
            cases.map(|case| Arc::clone(case.alert())).collect()
        };
        let alerts = wanted(&self.desk());
        filtering::passing(&alerts, (scope, matchers), FILTERING_STEPS_MAX)
    }

    /// Those of these alerts that are still there.
    pub fn cases(&self, alerts: &[Fingerprint]) -> Vec<Case> {
        let desk = self.desk();
        alerts.iter().filter_map(|alert| desk.case(*alert)).cloned().collect()
    }

    /// Whether the journal does not say what becomes of what the desk has brought it.
    pub(crate) fn is_blocked(&self) -> bool {
        self.worker.is_blocked.load(Ordering::Relaxed)
    }

    /// Whom to notify of what.
    pub fn config(&self) -> Arc<Config> {
        self.worker.config()
    }

    /// When the server started.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }
}

fn is_full() -> Problem {
    let detail = "as many changes of alerts as there may be wait for the journal";
    Problem::new(Code::PublishersBusy, detail).retry_after(1)
}

/// What is yet to run at the desk.
#[derive(Debug)]
pub struct Run {
    worker: Arc<Worker>,
    queue: Queue,
    is_over: Arc<AtomicBool>,
}

impl Run {
    /// Starts the desk's thread. It ends when nobody is left who could ask for anything.
    pub fn spawn(self) -> io::Result<JoinHandle<()>> {
        let Self { worker, queue, is_over } = self;
        crash::spawn_essential("alerts".to_owned(), move || worker.run(queue, &is_over))
    }
}

/// The identity of a new silence.
pub fn new_silence_id() -> SilenceId {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).expect("the system has given random numbers at the start");
    SilenceId::from_random(u128::from_ne_bytes(bits))
}
