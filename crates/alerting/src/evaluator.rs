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

mod answering;
mod complaints;
mod course;
mod crossings;
mod forwarding;
mod intake;
mod lead;
mod looks;
mod repeats;
pub(crate) mod wal;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bellwire_alerts::desk::RuleChange;
use bellwire_journal::{Append, Error, Journal, ReadLimit};
use bellwire_model::limits::{ALERT_SERIES_PER_STEP_MAX, SAMPLE_VALUE_AGE};
use bellwire_model::{
    Alert, AlertState, Event, Filter, Fingerprint, Sample, Timestamp, Topic, Transition,
};
use bellwire_process::clock;
use bellwire_process::crash;
use bellwire_rules::{Change, Engine, RuleSet, Settings, State};
use bellwire_wire::json;
use bellwire_wire::problem::Problem;
use tokio::sync::{oneshot, watch};

use self::answering::Sender;
use self::complaints::Complaints;
use self::course::Course;
use self::crossings::Crossings;
use self::forwarding::Forwarding;
use self::intake::{Asked, Claim, Inbox, Work};
pub use self::intake::{SampleIntake, Source};
use self::looks::Looks;
use self::repeats::Repeats;
pub use self::wal::RecordKept;
use self::wal::RuleWal;
use crate::charge::Charge;
use crate::desk::Alerting;
use crate::events::{ALERTS_EVENTS, announcement, is_transition, recorded_event};
use crate::figures::Figures;
use crate::live::{Answers, Register};
use crate::rehousing::rehoused;
use crate::standby::{Standby, handed_over};
use crate::states::StateTopics;

/// Pause before a transition that the journal did not take is appended again: samples and alerts
/// wait for it, so it is short at first, and each later one twice as long.
const APPEND_PAUSE_MIN: Duration = Duration::from_millis(5);

/// The longest such pause.
const APPEND_PAUSE_MAX: Duration = Duration::from_millis(500);

/// The longest wait for anything: a wall clock that jumps is noticed after this long.
const CLOCK_CHECK: Duration = Duration::from_secs(1);

/// How often values of samples that no longer come are looked for.
const VALUE_SWEEP: Duration = Duration::from_mins(1);

/// How far time may be ahead of a wall clock that has stepped back before the log says so.
const AHEAD_TOLD: Duration = Duration::from_secs(1);

/// How often the board gets the values of alerts that neither fire nor resolve just now.
const BOARD_REFRESH: Duration = Duration::from_secs(1);

/// What the evaluator needs of the rest of the server.
#[derive(Debug)]
pub struct EvaluatorParts {
    pub rules: RuleSet,
    pub settings: Settings,
    /// Where the rules' state is kept; nowhere where the journal is not kept either.
    pub state_folder: Option<PathBuf>,
    /// Whether what is there is what the journal goes on from.
    pub beginning: Beginning,
    /// Another node that takes over, where there may be one.
    pub standby: Option<Arc<Standby>>,
    /// Whether it is this server whose word counts.
    pub charge: Charge,
    /// How much of what has happened is kept there.
    pub record: RecordKept,
    pub forward: Vec<Filter>,
    pub journal: Arc<dyn Journal>,
    pub states: Arc<dyn StateTopics>,
    /// Queries that are followed.
    pub register: Arc<Register>,
    pub alerting: Arc<Alerting>,
    pub figures: Arc<Figures>,
    pub draining: watch::Receiver<bool>,
}

/// What rules begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// With what they had when the last process ended, where that is kept.
    WhereItEnded,
    /// With what they had at another node, of which the files in this folder are a copy.
    WhereAnotherEnded(PathBuf),
    /// With what the journal tells of alerts: others have evaluated them since.
    Afresh,
}

/// How many rules there are from now on.
fn note_loaded(figures: &Figures, rules: &RuleSet) {
    let all = rules.groups().iter().flat_map(|group| &group.rules);
    figures.rules_alerting.set(all.filter(|rule| rule.alert().is_some()).count() as u64);
    figures.rules_loaded.set(rules.len() as u64);
}

/// Starts the evaluator. It ends when the intake is dropped and its queue is empty.
pub fn spawn(
    parts: EvaluatorParts,
    mut restored: Vec<Alert>,
) -> io::Result<(Arc<SampleIntake>, JoinHandle<()>)> {
    let (intake, inbox) = SampleIntake::new();
    let EvaluatorParts { rules, settings, state_folder, .. } = parts;
    let EvaluatorParts { forward, journal, states, alerting, figures, draining, .. } = parts;
    let register = parts.register;
    note_loaded(&figures, &rules);
    let standby = parts.standby;
    let mut state = match (&parts.beginning, &state_folder) {
        (Beginning::WhereItEnded, Some(folder)) | (Beginning::WhereAnotherEnded(folder), _) => {
            wal::read(folder)?
        }
        _ => State::default(),
    };
    lead::correct(&mut state, &mut restored, clock::now());
    clock::go_on_from(state.ended_at());
    let now = clock::slewed().now;
    let unannounced = state.untold();
    // What the journal has of these is not the newest.
    let newest: HashSet<Fingerprint> =
        unannounced.iter().map(|untold| untold.alert.fingerprint).collect();
    let restored = restored.into_iter().filter(|alert| !newest.contains(&alert.fingerprint));
    let (mut engine, changes) = Engine::resume(rules, settings, state, now);
    engine.restore(now, restored);
    let start =
        |folder| RuleWal::start((folder, parts.record), &mut engine, &figures, standby.clone());
    let wal = state_folder.map(start).transpose()?;
    let mut evaluator = Evaluator {
        engine,
        wal,
        standby,
        charge: parts.charge,
        sender: None,
        forwarding: Forwarding::new(forward),
        looks: Looks::default(),
        repeats: Repeats::default(),
        answers: Answers::default(),
        register,
        journal,
        states,
        alerting,
        figures,
        complaints: Complaints::default(),
        course: Course::new(clock::slewed().now),
        crossings: Crossings::new(),
        has_untold: false,
        is_ahead: false,
        began: clock::Ticker::start(),
        inbox,
        draining,
    };
    // Before anybody can look: the board must not be empty for a moment after a restart.
    evaluator.alerting.begin(evaluator.engine.active());
    let run = move || {
        // The desk has these already.
        let _ = evaluator.append(unannounced.iter().map(announcement).collect());
        evaluator.alerting.told();
        evaluator.run(changes);
    };
    let thread = crash::spawn_essential("evaluator".to_owned(), run)?;
    Ok((Arc::new(intake), thread))
}

struct Evaluator {
    engine: Engine,
    wal: Option<RuleWal>,
    standby: Option<Arc<Standby>>,
    charge: Charge,
    /// Who waits for the step that is under way.
    sender: Option<Sender>,
    forwarding: Forwarding,
    looks: Looks,
    repeats: Repeats,
    answers: Answers,
    register: Arc<Register>,
    journal: Arc<dyn Journal>,
    states: Arc<dyn StateTopics>,
    alerting: Arc<Alerting>,
    figures: Arc<Figures>,
    complaints: Complaints,
    course: Course,
    crossings: Crossings,
    /// Whether the server ends before all transitions are in the journal. What follows them is not
    /// announced either: the next start tells all of it, in its order.
    has_untold: bool,
    /// Whether the log has said that time is ahead of the wall clock.
    is_ahead: bool,
    /// When it began, for what goes by time that passes.
    began: clock::Ticker,
    inbox: Inbox,
    draining: watch::Receiver<bool>,
}

impl Evaluator {
    fn run(mut self, changes: Vec<Change>) {
        self.settle(changes);
        // Rules are evaluated once without any sample.
        let now = clock::slewed().now;
        let changes = self.course.apply(&mut self.engine, (now, Duration::ZERO), &mut []);
        self.settle(changes);
        // How often something is done goes by time that passes, whatever the wall clock says.
        let (mut refreshed_at, mut swept_at) = (self.passed(), self.passed());
        loop {
            if self.inbox.condition().is_over() {
                return self.leave();
            }
            let deadline = self.engine.next_deadline();
            let left = |due: Timestamp| due.saturating_since(clock::slewed().now);
            let wait = deadline.map_or(CLOCK_CHECK, left);
            let wait = if self.is_idle() { wait } else { Duration::ZERO };
            let asked = self.inbox.next_within(wait.min(CLOCK_CHECK));
            // What is not there now arrives later than this.
            let now = clock::slewed().now;
            self.course.awake(now);
            let asked = match asked {
                Err(RecvTimeoutError::Timeout) => self.inbox.next_now(),
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(asked) => Ok(asked),
            };
            match asked {
                Ok(asked) => {
                    self.work(asked);
                    if self.forwarding.is_behind() {
                        self.forwarding.turn(&*self.states, &self.figures);
                    }
                    if self.looks.is_their_turn(self.passed()) {
                        self.let_look();
                    }
                    if self.answers.is_their_turn(self.passed()) {
                        self.answer_queries();
                    }
                }
                Err(TryRecvError::Empty) => {
                    self.advance(now);
                    self.forwarding.turn(&*self.states, &self.figures);
                    self.let_look();
                    self.answer_queries();
                }
                Err(TryRecvError::Disconnected) => return,
            }
            let passed = self.passed();
            if passed.saturating_sub(refreshed_at) >= BOARD_REFRESH {
                refreshed_at = passed;
                self.refresh_board();
                self.report(passed);
                let topics = (&*self.register, &*self.states);
                self.answers.look_after(&mut self.engine, topics, now);
            }
            if passed.saturating_sub(swept_at) >= VALUE_SWEEP {
                swept_at = passed;
                self.states.expire_samples(now.saturating_sub(SAMPLE_VALUE_AGE));
            }
        }
    }

    fn passed(&self) -> Duration {
        self.began.elapsed()
    }

    fn work(&mut self, Asked { arrived, work }: Asked) {
        match work {
            // Who has waited for too long is told to send them again.
            Work::Samples(claim) if claim.is_late() => {
                let refusal = self.inbox.condition().refusal();
                self.refuse(&claim, refusal);
            }
            Work::Samples(claim) if self.is_closing() => self.refuse(&claim, handed_over()),
            Work::Samples(claim) => self.take_samples((arrived.now, arrived.ahead), &claim),
            Work::Answer(answer, taken) => self.answer(answer, taken),
            Work::Look(look, place) => {
                // What is due must not wait for those who look, however many they are.
                let changes = self.course.advance(&mut self.engine, arrived.now);
                self.settle(changes);
                self.looks.push(look, place);
            }
            Work::Begin(beginning) => self.answers.begin(beginning),
            Work::End => {}
            Work::Seed(samples, shown) => self.seed(arrived.now, samples, shown),
            Work::Replace(rules, reply) => {
                note_loaded(&self.figures, &rules);
                let changes = self.course.replace(&mut self.engine, arrived.now, *rules);
                self.settle(changes);
                let _ = reply.send(());
            }
        }
    }

    fn take_samples(&mut self, arrived: (Timestamp, Duration), claim: &Arc<Claim>) {
        // Who has waited for too long may have been told already.
        let Some(mut batch) = claim.take() else { return };
        let known = repeats::Batch::of(&batch.samples);
        let changes = self.course.apply(&mut self.engine, arrived, &mut batch.samples);
        let mut refused = self.engine.take_refused();
        self.repeats.settle(known, &mut refused);
        self.sender = batch.taken.take().map(|taken| Sender::new(taken, claim));
        self.settle(changes);
        let accepted = batch.samples.len() - refused.without_room();
        if let Some(Sender { taken, .. }) = self.sender.take() {
            let kept = self.wal.as_ref().map_or(Ok(()), RuleWal::kept);
            self.answer(kept.map(|()| refused).map_err(Problem::from), taken);
        }
        self.figures.samples_accepted.add(accepted as u64);
        self.forwarding.push(batch);
    }

    /// Takes in what was shown before queries began, for their sake alone: it is not shown again.
    fn seed(&mut self, now: Timestamp, mut samples: Vec<Sample>, shown: oneshot::Sender<()>) {
        samples.retain(|sample| self.engine.queries_lack(&sample.series));
        let changes = self.course.apply(&mut self.engine, (now, Duration::ZERO), &mut samples);
        let _ = self.engine.take_refused();
        self.settle(changes);
        self.answers.tell_once_shown(shown);
    }

    /// Nothing waits: the rules' time is that of the clock.
    fn advance(&mut self, now: Timestamp) {
        if self.inbox.take_has_refused() {
            self.course.refused(now);
        }
        let changes = self.course.advance(&mut self.engine, now);
        self.settle(changes);
    }

    /// Writes down what changed, then tells it: what was written down and not told is told at the
    /// next start. Ids keep it from being told twice.
    fn settle(&mut self, changes: Vec<Change>) {
        let passed = self.passed();
        if let Some(wal) = &mut self.wal {
            wal.write(&mut self.engine, passed);
        }
        if self.publish(changes) {
            self.engine.mark_announced();
        }
        let passed = self.passed();
        if let Some(wal) = &mut self.wal {
            wal.turn(&mut self.engine, passed);
        }
        self.answers.take(&mut self.engine);
    }

    /// Whether there is nothing to do but to wait.
    fn is_idle(&self) -> bool {
        let is_in_checkpoint = self.wal.as_ref().is_some_and(RuleWal::is_in_checkpoint);
        let nobody_waits = self.looks.is_empty() && self.answers.is_empty();
        self.forwarding.is_empty() && nobody_waits && !is_in_checkpoint
    }

    fn answer_queries(&mut self) {
        let began = self.began;
        let to = (&*self.register, &*self.states);
        self.answers.turn(&mut self.engine, to, || began.elapsed());
    }

    fn let_look(&mut self) {
        let began = self.began;
        self.looks.turn(&mut self.engine, || began.elapsed());
    }

    /// Hands on the newest values of alerts that go on. No transition: the board alone has them.
    fn refresh_board(&mut self) {
        let mut read = self.engine.take_read();
        read.retain(|alert| alert.state != AlertState::Resolved);
        if !read.is_empty() {
            self.alerting.refresh(read);
        }
    }

    /// Says whether everything has been announced.
    fn publish(&mut self, changes: Vec<Change>) -> bool {
        if changes.is_empty() {
            return !self.has_untold;
        }
        let mut announcements = Vec::new();
        let mut told = Vec::with_capacity(changes.len());
        let (mut recordings, mut turned) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                Change::Transition(transition) => {
                    if transition.kind.is_announced() {
                        announcements.push(announcement(&transition));
                    }
                    let Transition { kind, alert, .. } = &transition;
                    told.push(RuleChange::Transition(*kind, Arc::clone(alert)));
                    if transition.sample.is_some() && turned.len() < ALERT_SERIES_PER_STEP_MAX {
                        turned.push(transition);
                    }
                }
                Change::Removed(fingerprint) => told.push(RuleChange::Removed(fingerprint)),
                Change::Recorded(recorded) => recordings.extend(recorded_event(recorded)),
            }
        }
        self.figures.alert_transitions.add(announcements.len() as u64);
        let is_announced = self.append(announcements);
        if !told.is_empty() {
            self.alerting.on_rules(told);
        }
        self.alerting.told();
        self.put(recordings);
        if is_announced && !turned.is_empty() {
            self.crossings.choose(&mut turned, self.began.elapsed());
            crossings::keep(&turned, &*self.states, &*self.journal);
        }
        is_announced
    }

    /// Appends until the journal takes it; says whether it has.
    fn append(&mut self, announcements: Vec<Append>) -> bool {
        if announcements.is_empty() || self.has_untold {
            return !self.has_untold;
        }
        self.await_standby();
        if self.is_closing() {
            self.has_untold = true;
            return false;
        }
        let mut pause = APPEND_PAUSE_MIN;
        let mut has_shed = false;
        loop {
            let (reply, replied) = sync_channel(1);
            let reply = Box::new(move |result: Result<_, Error>| {
                let _ = reply.send(result.map(|_: Vec<_>| ()));
            });
            self.alerting.tell();
            let queued = self.journal.append(announcements.clone(), reply);
            let result = queued.and_then(|()| self.wait_for(&replied));
            if result.is_err() {
                // Requests do not wait for a journal that takes nothing.
                self.alerting.told();
            }
            self.inbox.condition().is_blocked.store(result.is_err(), Ordering::Relaxed);
            match result {
                Ok(()) => return true,
                Err(Error::Closed) if !self.is_ending() => {
                    // Its writer has died. What is shown would no longer be what is kept.
                    unreachable!("the journal is open until the server drains");
                }
                Err(error) if self.is_ending() => {
                    // That must end. Whoever goes on tells it.
                    self.has_untold = true;
                    tracing::error!(%error, "The rules end here before alert transitions are written.");
                    return false;
                }
                Err(Error::TooManyTopics) => {
                    if let [announcement] = &announcements[..] {
                        self.figures.alerts_without_topic.add(1);
                        tracing::error!(topic = %announcement.event.topic, "There are as many topics as there may be: an alert is told on {}.", Topic::OF_ALERTS_WITHOUT);
                    }
                    return rehoused(announcements, Topic::OF_ALERTS_WITHOUT)
                        .into_iter()
                        .all(|batch| self.append(batch));
                }
                Err(error) => {
                    self.figures.journal_failures.add(1);
                    tracing::error!(%error, "The journal does not take alert transitions; trying again.");
                    self.refuse_late();
                    if let Some(wal) = &self.wal
                        && matches!(error, Error::Full { .. })
                        && !std::mem::replace(&mut has_shed, true)
                    {
                        wal.shed();
                    }
                    clock::pause(pause);
                    pause = (pause * 2).min(APPEND_PAUSE_MAX);
                }
            }
        }
    }

    /// The journal's answer, for as long as that takes: one that is closed answers. Who waits for it is
    /// awake.
    fn wait_for(&mut self, replied: &Receiver<Result<(), Error>>) -> Result<(), Error> {
        let since = clock::Ticker::start();
        loop {
            let reply = replied.recv_timeout(CLOCK_CHECK);
            self.course.awake(clock::slewed().now);
            match reply {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) => self.attend_since(since),
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Closed),
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

    fn report(&mut self, passed: Duration) {
        let figures = self.engine.figures();
        self.complaints.mind(&figures, passed);
        self.report_clock();
        self.figures.rules_failing.set(figures.rules_failing as u64);
        self.figures.rules_without_series.set(figures.rules_without_series as u64);
        let sampled_at = figures.sampled_at.map_or(0, |at| u64::try_from(at.as_ms()).unwrap_or(0));
        self.figures.last_sample_ms.set(sampled_at);
        self.figures.last_sample.set(sampled_at / 1_000);
        self.figures.rule_series.set(figures.series as u64);
        self.figures.rule_samples_kept_bytes.set(figures.samples_kept_bytes as u64);
        self.figures.rule_samples_cut.set(figures.cut.samples);
        self.figures.rule_evaluations_spaced.set(figures.evaluations_spaced);
        self.figures.alerts_pending.set(figures.alerts.pending as u64);
        self.figures.alerts_firing.set(figures.alerts.firing as u64);
        self.figures.alerts_data_lost.set(figures.alerts.data_lost as u64);
        self.figures.samples_dropped_late.set(figures.dropped.late);
        self.figures.samples_dropped_ahead.set(figures.dropped.ahead);
        self.figures.series_refused.set(figures.dropped.series);
        self.figures.alerts_refused.set(figures.alerts_refused);
        self.figures.rule_failures.set(figures.failures.count);
        let (queries, followers) = self.register.counts();
        self.figures.live_queries.set(queries as u64);
        self.figures.live_followers.set(followers as u64);
    }
}

impl Evaluator {
    /// Says where the wall clock has stepped back.
    fn report_clock(&mut self) {
        let ahead = clock::slewed().ahead;
        self.figures.clock_ahead_ms.set(ahead.as_millis() as u64);
        let ahead_s = ahead.as_secs();
        if ahead >= AHEAD_TOLD && !std::mem::replace(&mut self.is_ahead, true) {
            tracing::warn!(
                ahead_s,
                "The wall clock has stepped back, or the rules' state is from ahead of it. Times go on from where they were, a fiftieth slower, until the clock has caught up; where that is far, a restart goes on at the time of now."
            );
        } else if ahead.is_zero() && std::mem::take(&mut self.is_ahead) {
            tracing::info!("The wall clock has caught up.");
        }
    }
}

/// The alerts that were firing, or had resolved lately, when the journal was last written: the
/// newest transition of each. Where that is gone, because the alert has fired for longer than events are
/// kept, it is as it was `shown`: no transition is older than what is shown of it.
pub fn restore(journal: &dyn Journal, shown: Vec<Alert>) -> Result<Vec<Alert>, Error> {
    let filter: Filter = format!("{ALERTS_EVENTS}/**").parse().expect("a filter");
    let filters = filter.into();
    let shown = shown.into_iter().map(|alert| (alert.fingerprint, alert));
    let mut newest: std::collections::BTreeMap<_, _> = shown.collect();
    let mut after = bellwire_model::Offset::ZERO;
    let tail = journal.bounds().tail;
    while after < tail {
        let page = journal.read(after, &filters, ReadLimit::PAGE)?;
        for entry in page.entries {
            // What people say of an alert is kept elsewhere, and shows it as it was to them.
            if !entry.event.event_type.as_deref().is_some_and(is_transition) {
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
