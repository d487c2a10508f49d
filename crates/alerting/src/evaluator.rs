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

mod complaints;
mod forwarding;
mod intake;
mod wal;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bellwire_alerts::desk::RuleChange;
use bellwire_journal::{Append, Error, Journal, ReadLimit};
use bellwire_model::limits::SAMPLE_VALUE_AGE;
use bellwire_model::{Alert, AlertState, Event, Filter, Timestamp, Transition};
use bellwire_process::clock;
use bellwire_process::crash;
use bellwire_rules::{Change, Engine, RuleSet, Settings, State};
use bellwire_wire::json;
use tokio::sync::watch;

use self::complaints::Complaints;
use self::forwarding::Forwarding;
pub use self::intake::SampleIntake;
use self::intake::Work;
use self::wal::RuleWal;
use crate::desk::Alerting;
use crate::events::{ACKNOWLEDGED, ALERTS_EVENTS, UNACKNOWLEDGED, announcement, recorded_event};
use crate::figures::Figures;
use crate::states::StateTopics;

/// How old a transition may be, at the end of a process, that it may not have told: it tells them
/// before the next step, so this is how far the times within a step may lie apart.
const UNANNOUNCED_AGE: Duration = Duration::from_mins(1);

/// Pause before a transition that the journal did not take is appended again.
const APPEND_PAUSE: Duration = Duration::from_millis(500);

/// The longest wait for a timer: a wall clock that jumps is noticed after this long.
const CLOCK_CHECK: Duration = Duration::from_secs(1);

/// How often values of samples that no longer come are looked for.
const VALUE_SWEEP: Duration = Duration::from_mins(1);

/// How often the board gets the values of alerts that neither fire nor resolve just now.
const BOARD_REFRESH: Duration = Duration::from_secs(1);

/// What the evaluator needs of the rest of the server.
#[derive(Debug)]
pub struct EvaluatorParts {
    pub rules: RuleSet,
    pub settings: Settings,
    /// Where the rules' state is kept; nowhere where the journal is not kept either.
    pub state_folder: Option<PathBuf>,
    pub forward: Vec<Filter>,
    pub journal: Arc<dyn Journal>,
    pub states: Arc<dyn StateTopics>,
    pub alerting: Arc<Alerting>,
    pub figures: Arc<Figures>,
    pub draining: watch::Receiver<bool>,
}

/// Starts the evaluator. It ends when the intake is dropped and its queue is empty.
pub fn spawn(
    parts: EvaluatorParts,
    restored: Vec<Alert>,
) -> io::Result<(Arc<SampleIntake>, JoinHandle<()>)> {
    let (intake, queue, is_blocked) = SampleIntake::new();
    let EvaluatorParts { rules, settings, state_folder, .. } = parts;
    let EvaluatorParts { forward, journal, states, alerting, figures, draining, .. } = parts;
    figures.rules_loaded.set(rules.len() as u64);
    let state = match &state_folder {
        Some(folder) => wal::read(folder)?,
        None => State::default(),
    };
    let now = clock::now();
    let since = state.ended_at().saturating_sub(UNANNOUNCED_AGE);
    let (mut engine, changes) = Engine::resume(rules, settings, state, now);
    engine.restore(now, restored);
    let wal = state_folder.map(|folder| RuleWal::start(folder, &mut engine, &figures));
    let wal = wal.transpose()?;
    let evaluator = Evaluator {
        engine,
        wal,
        forwarding: Forwarding::new(forward),
        journal,
        states,
        alerting,
        figures,
        complaints: Complaints::default(),
        is_blocked,
        draining,
    };
    // Before anybody can look: the board must not be empty for a moment after a restart.
    evaluator.alerting.begin(evaluator.engine.active());
    let unannounced = evaluator.engine.announced_since(since);
    let run = move || {
        evaluator.append(unannounced.iter().map(announcement).collect());
        evaluator.run(&queue, changes);
    };
    let thread = crash::spawn_essential("evaluator".to_owned(), run)?;
    Ok((Arc::new(intake), thread))
}

struct Evaluator {
    engine: Engine,
    wal: Option<RuleWal>,
    forwarding: Forwarding,
    journal: Arc<dyn Journal>,
    states: Arc<dyn StateTopics>,
    alerting: Arc<Alerting>,
    figures: Arc<Figures>,
    complaints: Complaints,
    is_blocked: Arc<AtomicBool>,
    draining: watch::Receiver<bool>,
}

impl Evaluator {
    fn run(mut self, queue: &Receiver<Work>, changes: Vec<Change>) {
        self.settle(changes);
        // Rules are evaluated once without any sample.
        let changes = self.engine.apply(clock::now(), &[]);
        self.settle(changes);
        let (mut refreshed_at, mut swept_at) = (clock::now(), clock::now());
        loop {
            let deadline = self.engine.next_deadline();
            let wait = deadline.map_or(CLOCK_CHECK, |due| due.saturating_since(clock::now()));
            let is_idle = self.forwarding.is_empty() && !self.is_in_checkpoint();
            let wait = if is_idle { wait } else { Duration::ZERO };
            match queue.recv_timeout(wait.min(CLOCK_CHECK)) {
                Ok(work) => {
                    self.work(work);
                    if self.forwarding.is_behind() {
                        self.forwarding.turn(&*self.states, &self.figures);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let changes = self.engine.advance(clock::now());
                    self.settle(changes);
                    self.forwarding.turn(&*self.states, &self.figures);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = clock::now();
            if now.saturating_since(refreshed_at) >= BOARD_REFRESH {
                refreshed_at = now;
                self.refresh_board();
                self.report(now);
            }
            if now.saturating_since(swept_at) >= VALUE_SWEEP {
                swept_at = now;
                self.states.expire_samples(now.saturating_sub(SAMPLE_VALUE_AGE));
            }
        }
    }

    fn work(&mut self, work: Work) {
        match work {
            Work::Samples(mut batch) => {
                let changes = self.engine.apply(clock::now(), &batch.samples);
                self.settle(changes);
                if let Some(taken) = batch.taken.take() {
                    // A publisher that is gone does not wait for it.
                    let _ = taken.send(());
                }
                self.figures.samples_accepted.add(batch.samples.len() as u64);
                self.forwarding.push(batch);
            }
            Work::Look(look, _place) => {
                // What is due must not wait for those who look, however many they are.
                let changes = self.engine.advance(clock::now());
                self.settle(changes);
                look(&self.engine);
            }
            Work::Replace(rules, reply) => {
                self.figures.rules_loaded.set(rules.len() as u64);
                let changes = self.engine.replace(clock::now(), *rules);
                self.settle(changes);
                let _ = reply.send(());
            }
        }
    }

    /// Writes down what changed, then tells it: what was written down and not told is told at the
    /// next start. Ids keep it from being told twice.
    fn settle(&mut self, changes: Vec<Change>) {
        if let Some(wal) = &mut self.wal {
            wal.turn(&mut self.engine, clock::now());
        }
        self.publish(changes);
    }

    fn is_in_checkpoint(&self) -> bool {
        self.wal.as_ref().is_some_and(RuleWal::is_in_checkpoint)
    }

    /// Hands on the newest values of alerts that go on. No transition: the board alone has them.
    fn refresh_board(&self) {
        let ongoing = self.engine.active().filter(|alert| alert.state != AlertState::Resolved);
        self.alerting.refresh(ongoing);
    }

    fn publish(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut announcements = Vec::new();
        let mut told = Vec::with_capacity(changes.len());
        let mut recordings = Vec::new();
        for change in changes {
            match change {
                Change::Transition(transition) => {
                    if transition.kind.is_announced() {
                        announcements.push(announcement(&transition));
                    }
                    let Transition { kind, alert, .. } = transition;
                    told.push(RuleChange::Transition(kind, alert));
                }
                Change::Removed(fingerprint) => told.push(RuleChange::Removed(fingerprint)),
                Change::Recorded(recorded) => recordings.extend(recorded_event(recorded)),
            }
        }
        self.figures.alert_transitions.add(announcements.len() as u64);
        self.append(announcements);
        if !told.is_empty() {
            self.alerting.on_rules(told);
        }
        self.put(recordings);
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

    fn report(&mut self, now: Timestamp) {
        let figures = self.engine.figures();
        self.complaints.mind(&figures, now);
        self.figures.rule_series.set(figures.series as u64);
        self.figures.alerts_pending.set(figures.alerts.pending as u64);
        self.figures.alerts_firing.set(figures.alerts.firing as u64);
        self.figures.alerts_data_lost.set(figures.alerts.data_lost as u64);
        self.figures.samples_dropped_late.set(figures.dropped.late);
        self.figures.samples_dropped_ahead.set(figures.dropped.ahead);
        self.figures.series_refused.set(figures.dropped.series);
        self.figures.alerts_refused.set(figures.alerts_refused);
        self.figures.rule_failures.set(figures.failures.count);
    }
}

/// The alerts that were firing, or had resolved lately, when the journal was last written: the
/// newest transition of each.
pub fn restore(journal: &dyn Journal) -> Result<Vec<Alert>, Error> {
    let filter: Filter = format!("{ALERTS_EVENTS}/**").parse().expect("a filter");
    let filters = filter.into();
    let mut newest = std::collections::BTreeMap::new();
    let mut after = bellwire_model::Offset::ZERO;
    let tail = journal.bounds().tail;
    while after < tail {
        let page = journal.read(after, &filters, ReadLimit::PAGE)?;
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
