//! The evaluator: one thread that feeds samples and time to the rules, and their transitions to
//! the journal and the board.
//!
//! ```text
//! POST /v1/samples ─▶ SampleIntake ─▶ Engine::apply ─┬─▶ alerts/events/… (journal, then all hubs)
//!                     timers ─▶ Engine::advance ─────┤
//!                                                    ├─▶ alerts/active   (state)
//!                                                    ├─▶ rules/…         (state)
//!                                                    └─▶ samples/…       (state, where forwarded)
//! ```
//!
//! A transition is appended before the next batch is looked at, and again until the journal takes
//! it: none is lost, and samples wait meanwhile. Its id makes the append idempotent.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bellwire_journal::{Append, Error, Journal};
use bellwire_model::limits::{
    SAMPLE_BATCHES_QUEUED_MAX, SAMPLE_VALUE_AGE, SAMPLES_QUEUED_MAX, STATE_VALUE_BYTES_MAX,
    TOPIC_BYTES_MAX,
};
use bellwire_model::{
    Alert, AlertState, Body, Event, Filter, Fingerprint, Sample, Timestamp, Topic, Transition,
    TransitionKind,
};
use bellwire_rules::{Change, Engine, Recorded, RuleSet};
use bellwire_wire::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::clock;
use crate::crash;
use crate::observe::Figures;
use crate::problem::{Code, Problem};
use crate::state::States;

/// The state topic of alerts as they are now, keyed by fingerprint.
pub(crate) const ALERTS_ACTIVE: &str = "alerts/active";

/// Transitions of all alerts.
const ALERTS_EVENTS: &str = "alerts/events";

/// The type of the event that tells that somebody has taken an alert up.
pub(crate) const ACKNOWLEDGED: &str = "alert.acknowledged";

/// The type of the event that tells that nobody has any more, though the alert still fires.
pub(crate) const UNACKNOWLEDGED: &str = "alert.unacknowledged";

/// How long a publisher of samples waits for its turn before it is told to come back.
const INTAKE_PATIENCE: Duration = Duration::from_secs(5);

/// Pause before a transition that the journal did not take is appended again.
const APPEND_PAUSE: Duration = Duration::from_millis(500);

/// The longest wait for a timer: a wall clock that jumps is noticed after this long.
const CLOCK_CHECK: Duration = Duration::from_secs(1);

/// How often values of samples that no longer come are looked for.
const VALUE_SWEEP: Duration = Duration::from_mins(1);

/// How often the board gets the values of alerts that neither fire nor resolve just now.
const BOARD_REFRESH: Duration = Duration::from_secs(1);

/// Samples of one request, and their places in the queue.
#[derive(Debug)]
struct Batch {
    samples: Vec<Sample>,
    _places: OwnedSemaphorePermit,
}

/// Where samples enter.
#[derive(Debug)]
pub(crate) struct SampleIntake {
    places: Arc<Semaphore>,
    batches: SyncSender<Batch>,
    is_blocked: Arc<AtomicBool>,
}

impl SampleIntake {
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
        let batch = Batch { samples, _places: places };
        let ended = |_| Problem::new(Code::Draining, "the evaluator has ended");
        self.batches.send(batch).map_err(ended)
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

fn is_full() -> Problem {
    let detail = "the rules have as many samples to look at as they may: send them again later";
    Problem::new(Code::PublishersBusy, detail).retry_after(1)
}

/// What the evaluator needs of the rest of the server.
#[derive(Debug)]
pub(crate) struct EvaluatorParts {
    pub(crate) rules: RuleSet,
    pub(crate) forward: Vec<Filter>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) states: Arc<States>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) draining: watch::Receiver<bool>,
}

/// Starts the evaluator. It ends when the intake is dropped and its queue is empty.
pub(crate) fn spawn(
    parts: EvaluatorParts,
    restored: Vec<Alert>,
) -> io::Result<(Arc<SampleIntake>, JoinHandle<()>)> {
    let (batches, queue) = sync_channel(SAMPLE_BATCHES_QUEUED_MAX);
    let is_blocked = Arc::new(AtomicBool::new(false));
    let intake = SampleIntake {
        places: Arc::new(Semaphore::new(SAMPLES_QUEUED_MAX)),
        batches,
        is_blocked: Arc::clone(&is_blocked),
    };
    let EvaluatorParts { rules, forward, journal, states, figures, draining } = parts;
    figures.rules_loaded.set(rules.len() as u64);
    let mut engine = Engine::new(rules);
    engine.restore(clock::now(), restored);
    let evaluator = Evaluator { engine, forward, journal, states, figures, is_blocked, draining };
    // Before anybody can look: the board must not be empty for a moment after a restart.
    evaluator.show_all();
    let run = move || evaluator.run(&queue);
    let thread = crash::spawn_essential("evaluator".to_owned(), run)?;
    Ok((Arc::new(intake), thread))
}

struct Evaluator {
    engine: Engine,
    forward: Vec<Filter>,
    journal: Arc<dyn Journal>,
    states: Arc<States>,
    figures: Arc<Figures>,
    is_blocked: Arc<AtomicBool>,
    draining: watch::Receiver<bool>,
}

impl Evaluator {
    fn run(mut self, queue: &Receiver<Batch>) {
        // Rules are evaluated once without any sample.
        let changes = self.engine.apply(clock::now(), &[]);
        self.publish(changes);
        let (mut refreshed_at, mut swept_at) = (clock::now(), clock::now());
        loop {
            let deadline = self.engine.next_deadline();
            let wait = deadline.map_or(CLOCK_CHECK, |due| due.saturating_since(clock::now()));
            match queue.recv_timeout(wait.min(CLOCK_CHECK)) {
                Ok(batch) => {
                    let changes = self.engine.apply(clock::now(), &batch.samples);
                    self.publish(changes);
                    self.figures.samples_accepted.add(batch.samples.len() as u64);
                    self.forward(batch.samples);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let changes = self.engine.advance(clock::now());
                    self.publish(changes);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = clock::now();
            if now.saturating_since(refreshed_at) >= BOARD_REFRESH {
                refreshed_at = now;
                self.refresh_board(now);
                self.report();
            }
            if now.saturating_since(swept_at) >= VALUE_SWEEP {
                swept_at = now;
                self.states.expire_samples(now.saturating_sub(SAMPLE_VALUE_AGE));
            }
        }
    }

    /// Shows every alert that there is.
    fn show_all(&self) {
        let active = self.engine.active().map(|alert| board_event(&alert, None, clock::now()));
        self.put(active.collect());
    }

    /// Shows the newest values of alerts that go on. No transition: the board alone has them.
    fn refresh_board(&self, now: Timestamp) {
        let ongoing = self.engine.active().filter(|alert| alert.state != AlertState::Resolved);
        let events = ongoing.map(|alert| board_event(&alert, None, now));
        let has_changed = |event: &Event| {
            let key = event.key.as_deref().unwrap_or_default();
            self.states.body(&event.topic, key) != event.body
        };
        let changed: Vec<Event> = events.filter(has_changed).collect();
        if !changed.is_empty() {
            self.put(changed);
        }
    }

    fn publish(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut announcements = Vec::new();
        let mut board = Vec::with_capacity(changes.len());
        for change in changes {
            match change {
                Change::Transition(transition) => {
                    if transition.kind.is_announced() {
                        announcements.push(announcement(&transition));
                    }
                    let Transition { kind, time, alert } = transition;
                    // A pending alert that ends is not shown as anything: its removal follows.
                    if kind != TransitionKind::Inactive {
                        board.push(board_event(&alert, Some(kind.event_type()), time));
                    }
                }
                Change::Removed(fingerprint) => board.push(removal(fingerprint)),
                Change::Recorded(recorded) => board.extend(recorded_event(recorded)),
            }
        }
        self.figures.alert_transitions.add(announcements.len() as u64);
        self.append(announcements);
        self.put(board);
    }

    /// Appends until the journal takes it.
    fn append(&self, announcements: Vec<Append>) {
        if announcements.is_empty() {
            return;
        }
        loop {
            let (reply, replied) = sync_channel(1);
            let reply = Box::new(move |result: Result<_, Error>| {
                let _ = reply.send(result.map(|_: Vec<_>| ()));
            });
            let queued = self.journal.append(announcements.clone(), reply);
            let result = queued.and_then(|()| replied.recv().unwrap_or(Err(Error::Closed)));
            self.is_blocked.store(result.is_err(), Ordering::Relaxed);
            match result {
                Ok(()) => return,
                Err(Error::Closed) if !*self.draining.borrow() => {
                    // Its writer has died. What is shown would no longer be what is kept.
                    unreachable!("the journal is open until the server drains");
                }
                Err(error) if *self.draining.borrow() => {
                    // A drain must end. The condition is found again at the next start.
                    tracing::error!(%error, "The server ends before alert transitions are written.");
                    return;
                }
                Err(error) => {
                    self.figures.journal_failures.add(1);
                    tracing::error!(%error, "The journal does not take alert transitions; trying again.");
                    clock::pause(APPEND_PAUSE);
                }
            }
        }
    }

    fn put(&self, events: Vec<Event>) {
        for result in self.states.apply(events) {
            if let Err(error) = result {
                tracing::error!(%error, "A value of the rules cannot be shown.");
            }
        }
    }

    /// Shows the newest samples on their topics.
    fn forward(&self, samples: Vec<Sample>) {
        if self.forward.is_empty() {
            return;
        }
        let events = samples.into_iter().filter_map(|sample| self.sample_event(&sample));
        let results = self.states.apply(events.collect());
        let refused = results.iter().filter(|result| result.is_err()).count();
        self.figures.values_refused.add(refused as u64);
    }

    fn sample_event(&self, sample: &Sample) -> Option<Event> {
        let name = sample.series.metric_name()?;
        let topic: Topic = format!("samples/{name}").parse().ok()?;
        if !self.forward.iter().any(|filter| filter.matches(&topic)) {
            return None;
        }
        let key = json::state_key(&sample.series);
        // A late sample must not hide a newer one.
        if self.states.time(&topic, &key).is_some_and(|shown| shown > sample.time) {
            return None;
        }
        let body = json::sample(sample);
        if body.len() > STATE_VALUE_BYTES_MAX {
            return None;
        }
        let key = Some(key.into());
        Some(Event {
            topic,
            key,
            event_type: None,
            time: sample.time,
            body: Some(Body::Json(body.into())),
        })
    }

    fn report(&self) {
        let figures = self.engine.figures();
        self.figures.rule_series.set(figures.series as u64);
        self.figures.alerts_pending.set(figures.alerts.pending as u64);
        self.figures.alerts_firing.set(figures.alerts.firing as u64);
        self.figures.samples_dropped_late.set(figures.dropped.late);
        self.figures.samples_dropped_ahead.set(figures.dropped.ahead);
        self.figures.series_refused.set(figures.dropped.series);
    }
}

/// The event of a transition that every subscriber of the alert must see.
fn announcement(transition: &Transition) -> Append {
    let alert = &transition.alert;
    let topic = event_topic(alert);
    let event = Event {
        topic,
        key: Some(alert.fingerprint.to_string().into()),
        event_type: Some(transition.kind.event_type().into()),
        time: transition.time,
        body: Some(Body::Json(json::alert(alert).into())),
    };
    Append { event, idempotency_key: Some(transition.id().into()) }
}

/// `alerts/events/<severity>/<alertname>`; what a topic cannot hold becomes `_`.
fn event_topic(alert: &Alert) -> Topic {
    let segment = |text: &str| -> String {
        let share = TOPIC_BYTES_MAX / 2 - ALERTS_EVENTS.len();
        let mut segment = String::new();
        for character in text.chars() {
            let fits = !(character.is_control() || matches!(character, '/' | '*'));
            segment.push(if fits { character } else { '_' });
            if segment.len() > share {
                segment.pop();
                break;
            }
        }
        if segment.is_empty() { "_".to_owned() } else { segment }
    };
    let topic = format!("{ALERTS_EVENTS}/{}/{}", segment(alert.severity()), segment(alert.name()));
    topic.parse().expect("the segments are valid and short")
}

fn board_event(alert: &Alert, event_type: Option<&str>, time: Timestamp) -> Event {
    Event {
        topic: ALERTS_ACTIVE.parse().expect("a topic"),
        key: Some(alert.fingerprint.to_string().into()),
        event_type: event_type.map(Into::into),
        time,
        body: Some(Body::Json(json::alert(alert).into())),
    }
}

/// `rules/<recorded name>`: the newest value of a series; none where the series has ended.
fn recorded_event(recorded: Recorded) -> Option<Event> {
    let Recorded { series, value, time, .. } = recorded;
    let topic: Topic = format!("rules/{}", series.metric_name()?).parse().ok()?;
    let key = Some(json::state_key(&series).into());
    let body = value.map(|value| json::sample(&Sample { series, value, time }));
    if body.as_ref().is_some_and(|body| body.len() > STATE_VALUE_BYTES_MAX) {
        return None;
    }
    let body = body.map(|body| Body::Json(body.into()));
    Some(Event { topic, key, event_type: None, time, body })
}

fn removal(fingerprint: Fingerprint) -> Event {
    Event {
        topic: ALERTS_ACTIVE.parse().expect("a topic"),
        key: Some(fingerprint.to_string().into()),
        event_type: None,
        time: clock::now(),
        body: None,
    }
}

/// The alerts that were firing, or had resolved lately, when the journal was last written: the
/// newest transition of each.
pub(crate) fn restore(journal: &dyn Journal) -> Result<Vec<Alert>, Error> {
    let filter: Filter = format!("{ALERTS_EVENTS}/**").parse().expect("a filter");
    let filters = filter.into();
    let mut newest = std::collections::BTreeMap::new();
    let mut after = bellwire_model::Offset::ZERO;
    let tail = journal.bounds().tail;
    while after < tail {
        let page = journal.read(after, &filters, crate::history::PAGE)?;
        for entry in page.entries {
            // What people say of an alert is kept elsewhere, and is not the rule's.
            if matches!(entry.event.event_type.as_deref(), Some(ACKNOWLEDGED | UNACKNOWLEDGED)) {
                continue;
            }
            let body = entry.event.body.as_ref().map(|body| body.bytes().clone());
            match body.map(|body| json::read_alert(&body)) {
                Some(Ok(alert)) => {
                    newest.insert(alert.fingerprint, alert);
                }
                _ => {
                    tracing::warn!(offset = %entry.offset, "A transition in the journal is not an alert; it is passed over.");
                }
            }
        }
        after = page.end;
    }
    let is_of_rule = |alert: &Alert| alert.rule().is_some() && alert.state != AlertState::Pending;
    Ok(newest.into_values().filter(is_of_rule).collect())
}
