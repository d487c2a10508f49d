//! What the desk's thread does: one thing after the other, each made durable, taken and shown.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bellwire_alerts::config::Config;
use bellwire_alerts::desk::{Announcement, Audience, Outcome, Plan, Restored, RuleChange, Shown};
use bellwire_alerts::notification::Update;
use bellwire_alerts::record;
use bellwire_alerts::{Desk, Now};
use bellwire_journal::{Append, Error, Journal, RecordChange};
use bellwire_model::limits::{CLOCK_STEP_MIN, DESK_ANSWER_PATIENCE};
use bellwire_model::{
    Alert, AlertState, Body, Event, Fingerprint, Timestamp, Topic, TransitionKind,
};
use bellwire_process::clock;
use bellwire_wire::json;

use super::AlertingParts;
use super::announcing::Announcing;
use super::following::Following;
use super::queue::{Queue, Work};
use crate::events::{ALERTS_ACTIVE, event_topic, is_of_people};
use crate::figures::Figures;
use crate::notifier::Notifier;
use crate::push::Push;
use crate::rehousing::rehoused;
use crate::states::StateTopics;

/// The longest wait for a deadline: a wall clock that jumps is noticed after this long.
const CLOCK_CHECK: Duration = Duration::from_secs(1);

/// Pause before what time has done is offered to the journal again; each later one is twice as long.
const WRITE_PAUSE_MIN: Duration = Duration::from_millis(10);
const WRITE_PAUSE_MAX: Duration = Duration::from_millis(500);

/// How far the desk has come with the clocks.
#[derive(Debug)]
struct Pace {
    /// How far the wall clock was ahead of steady time.
    ahead_ms: i64,
    /// When what the journal did not take is offered again, in steady time, and the pause before.
    rests: Option<(Timestamp, Duration)>,
    /// When what follows from what became of alerts is offered again, in steady time.
    follows_at: Timestamp,
}

impl Pace {
    /// How long the journal is left alone.
    fn rest(&self, now: Now) -> Duration {
        self.rests.map_or(Duration::ZERO, |(until, _)| until.saturating_since(now.steady))
    }

    /// The journal has not taken something.
    fn on_refused(&mut self) {
        let pause = self.rests.map_or(WRITE_PAUSE_MIN, |(_, pause)| pause * 2);
        let pause = pause.min(WRITE_PAUSE_MAX);
        self.rests = Some((clock::steady().saturating_add(pause), pause));
    }
}

fn now() -> Now {
    Now { steady: clock::steady(), wall: clock::now() }
}

/// The desk, and what its changes go to.
#[derive(Debug)]
pub(super) struct Worker {
    desk: Mutex<Desk>,
    /// Held by who changes the desk until that is shown; taken before the desk.
    turn: Mutex<()>,
    /// What the evaluator is announcing.
    pub(super) announcing: Announcing,
    following: Arc<Following>,
    journal: Arc<dyn Journal>,
    states: Arc<dyn StateTopics>,
    notifier: Arc<Notifier>,
    push: Arc<Push>,
    figures: Arc<Figures>,
    /// Whether the journal does not say what becomes of what it was brought.
    pub(super) is_blocked: AtomicBool,
}

impl Worker {
    /// The desk as the journal has it.
    pub(super) fn open(parts: AlertingParts) -> Result<Self, Error> {
        let AlertingParts { journal, states, notifier, push, figures } = parts;
        let mut desk = Desk::new(&notifier.config().inhibition);
        let records = journal.records(record::PREFIX)?;
        let records = records.iter().map(|record| (&*record.key, &*record.value));
        tell_of(&desk.restore(clock::now(), records));
        let (desk, turn, announcing) = (Mutex::new(desk), Mutex::default(), Announcing::default());
        let (following, is_blocked) = (Arc::default(), AtomicBool::new(false));
        Ok(Self {
            desk,
            turn,
            announcing,
            following,
            journal,
            states,
            notifier,
            push,
            figures,
            is_blocked,
        })
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().expect("a panic at the desk ends the process")
    }

    pub(super) fn config(&self) -> Arc<Config> {
        self.notifier.config()
    }

    pub(super) fn begin(&self, alerts: impl Iterator<Item = Arc<Alert>>) {
        let changes = alerts.map(|alert| RuleChange::Transition(kind_of(&alert), alert));
        self.show_after(|desk, now| {
            let mut outcome = desk.on_rules(now, changes);
            let alerts = desk.attended_waiting();
            if alerts > 0 {
                tracing::warn!(
                    alerts,
                    "Acknowledgements, assignments and comments are forgotten: their alerts have not come back, or an earlier build called them otherwise."
                );
            }
            outcome.records.extend(desk.settle(now).records);
            // Those that records had brought back are shown, too.
            outcome.shown = desk.cases().map(|case| case.shown(None)).collect();
            outcome
        });
        self.notifier.begin();
        self.push.begin();
    }

    pub(super) fn run(&self, mut queue: Queue, is_over: &AtomicBool) {
        let follows_at = Timestamp::MIN;
        let mut pace = Pace { ahead_ms: now().ahead_ms(), rests: None, follows_at };
        while !is_over.load(Ordering::Relaxed) {
            let (deadline, before) = (self.desk().next_deadline(), now());
            let wait = deadline.map_or(CLOCK_CHECK, |due| due.saturating_since(before.wall));
            match queue.next_within(wait.max(pace.rest(before)).min(CLOCK_CHECK)) {
                Ok(Work::End) => continue,
                Ok(work) => self.work(work, &mut pace, &mut queue),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if pace.rest(now()).is_zero() {
                self.advance(&mut pace, &mut queue);
            }
            self.follow(&mut pace);
        }
    }

    fn work(&self, work: Work, pace: &mut Pace, queue: &mut Queue) {
        match work {
            Work::End => {}
            Work::Replace(config) => {
                self.show_after(|desk, _| desk.replace_inhibition(&config.inhibition));
                self.notifier.replace(*config);
            }
            Work::Request(request) => {
                self.announcing.wait();
                let now = now();
                if pace.rest(now).is_zero() {
                    // What is asked for by a clock that was set must not count as from before.
                    self.mind_clock(now, pace, queue);
                }
                let (plan, mut asker) = request.plan(&self.desk(), now.wall);
                let written = self.write(&plan, &mut || {
                    asker.answer_late(DESK_ANSWER_PATIENCE);
                    queue.refuse_late(DESK_ANSWER_PATIENCE);
                });
                if written.is_ok() {
                    self.take(plan);
                } else {
                    self.figures.journal_failures.add(1);
                }
                asker.answer(written);
            }
        }
    }

    /// Does what is due, or what the wall clock does that was set. Where the journal does not take
    /// it, it is planned and offered again after a pause: who asks for something does not wait for
    /// that, and a start finds again what is due.
    fn advance(&self, pace: &mut Pace, queue: &mut Queue) {
        let now = now();
        if self.mind_clock(now, pace, queue) {
            let plan = self.desk().plan_due(now.wall);
            self.carry_out(plan, pace, queue);
        }
    }

    /// Does what a wall clock does that was set. Says whether the journal has taken it.
    fn mind_clock(&self, now: Now, pace: &mut Pace, queue: &mut Queue) -> bool {
        let step_ms = now.ahead_ms().saturating_sub(pace.ahead_ms);
        if u128::from(step_ms.unsigned_abs()) < CLOCK_STEP_MIN.as_millis() {
            return true;
        }
        let plan = self.desk().plan_step(now.wall, step_ms);
        if !self.carry_out(plan, pace, queue) {
            return false;
        }
        pace.ahead_ms = now.ahead_ms();
        tracing::warn!(
            step_s = step_ms / 1000,
            "The wall clock was set. Silences go by it; what has begun has begun, and what has ended stays ended."
        );
        true
    }

    /// Says whether the journal has taken it.
    fn carry_out(&self, plan: Plan, pace: &mut Pace, queue: &mut Queue) -> bool {
        if plan.is_empty() {
            return true;
        }
        if let Err(error) = self.write(&plan, &mut || queue.refuse_late(DESK_ANSWER_PATIENCE)) {
            pace.on_refused();
            self.figures.journal_failures.add(1);
            tracing::error!(%error, "The journal does not take what has become of alerts; trying again.");
            return false;
        }
        pace.rests = None;
        self.take(plan);
        true
    }

    fn take(&self, plan: Plan) {
        let is_transition = |announced: &&Announcement| !is_of_people(announced.event_type);
        let transitions = plan.announcements.iter().filter(is_transition).count();
        self.figures.alert_transitions.add(transitions as u64);
        self.show_after(|desk, now| desk.take(now, plan));
    }

    /// Makes a plan durable: its events, then its records. While the journal says nothing it does
    /// something else again and again.
    fn write(&self, plan: &Plan, meanwhile: &mut dyn FnMut()) -> Result<(), Error> {
        self.append(plan.announcements.iter().map(append_of).collect(), meanwhile)?;
        if !plan.records.is_empty() {
            let (reply, replied) = sync_channel(1);
            let reply = Box::new(move |result| {
                let _ = reply.send(result);
            });
            let write = self.following.next();
            self.journal.write_records(record_changes(&plan.records), reply)?;
            self.wait_for(&replied, meanwhile)?;
            self.following.on_kept(write, &plan.records);
        }
        Ok(())
    }

    /// Appends all of these. Those for whose topics there is no room go where there always is.
    fn append(&self, announcements: Vec<Append>, meanwhile: &mut dyn FnMut()) -> Result<(), Error> {
        let mut left = vec![announcements];
        while let Some(batch) = left.pop().filter(|batch| !batch.is_empty()) {
            let (reply, replied) = sync_channel(1);
            let reply = Box::new(move |result: Result<_, Error>| {
                let _ = reply.send(result.map(|_: Vec<_>| ()));
            });
            self.journal.append(batch.clone(), reply)?;
            match self.wait_for(&replied, meanwhile) {
                Err(Error::TooManyTopics) => {
                    if let [announcement] = &batch[..] {
                        self.figures.alerts_without_topic.add(1);
                        tracing::error!(topic = %announcement.event.topic, "There are as many topics as there may be: an alert is told on {}.", Topic::OF_ALERTS_WITHOUT);
                    }
                    left.extend(rehoused(batch, Topic::OF_ALERTS_WITHOUT).into_iter().rev());
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// The journal's answer, for as long as that takes: what it takes yet must not be unknown here. A
    /// journal that is closed answers.
    fn wait_for(
        &self,
        replied: &Receiver<Result<(), Error>>,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<(), Error> {
        loop {
            let reply = replied.recv_timeout(CLOCK_CHECK);
            let is_blocked = matches!(reply, Err(RecvTimeoutError::Timeout));
            self.is_blocked.store(is_blocked, Ordering::Relaxed);
            match reply {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) => meanwhile(),
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Closed),
            }
        }
    }

    /// Changes the desk, shows what became of it, and keeps what follows from it. Whoever does that
    /// has the turn until it is shown, so that all is shown in the order in which it happened; the
    /// desk itself is free for those who look at it as soon as it is changed.
    pub(super) fn show_after(&self, change: impl FnOnce(&mut Desk, Timestamp) -> Outcome) {
        // Waited for before the turn is taken: who only changes the desk must not wait for it.
        self.states.wait_for_room();
        let turn = self.turn.lock().expect("a panic at the desk ends the process");
        let now = clock::now();
        let Outcome { shown, removed, records } = change(&mut self.desk(), now);
        let concerns_all = |shown: &&Shown| shown.audience == Audience::All;
        self.notifier.take(shown.iter().filter(concerns_all).map(update_of));
        self.push.take(shown.iter().filter(concerns_all).map(update_of));
        self.push.forget(removed.iter().copied());
        let (shown, values): (Vec<_>, Vec<_>) = shown.into_iter().partition(|it| concerns_all(&it));
        let shown = shown.iter().map(|shown| board_event(now, shown));
        let removed = removed.into_iter().map(|fingerprint| removal(now, fingerprint));
        let mut results = self.states.apply_now(shown.chain(removed).collect());
        if !values.is_empty() {
            let values = values.iter().map(|shown| board_event(now, shown));
            results.extend(self.states.apply_soon(values.collect()));
        }
        // Queued in the same turn: records must follow each other as what they tell of did.
        self.keep(records);
        drop(turn);
        for error in results.into_iter().filter_map(Result::err) {
            tracing::error!(%error, "An alert cannot be shown.");
        }
    }

    /// Queues records that nobody waits for. Called by who has the turn.
    fn keep(&self, records: Vec<record::DeskRecordChange>) {
        if records.is_empty() {
            return;
        }
        let (following, write) = (Arc::clone(&self.following), self.following.next());
        let changes = record_changes(&records);
        let (records, rejected) = (Arc::new(records), Arc::clone(&following));
        let refused = move |error: Error, records: &[record::DeskRecordChange]| {
            tracing::error!(%error, "What follows for silences, posted alerts and what people did with alerts is not kept yet; trying again.");
            rejected.on_refused(write, records.to_vec());
        };
        let (answer, own) = (refused.clone(), Arc::clone(&records));
        let reply = Box::new(move |result: Result<(), Error>| match result {
            Ok(()) => following.on_kept(write, &own),
            Err(error) => answer(error, &own),
        });
        if let Err(error) = self.journal.write_records(changes, reply) {
            refused(error, &records);
        }
    }

    /// Offers once more what the journal has not taken of that.
    fn follow(&self, pace: &mut Pace) {
        let now = clock::steady();
        if now >= pace.follows_at {
            pace.follows_at = now.saturating_add(CLOCK_CHECK);
            let _turn = self.turn.lock().expect("a panic at the desk ends the process");
            self.keep(self.following.take());
        }
    }
}

/// Tells of what the desk does not have as its records say.
fn tell_of(restored: &Restored<'_>) {
    for key in &restored.unreadable {
        tracing::warn!(key, "A record of the alerts' desk cannot be read; it is passed over.");
    }
    let (silences, bytes) = (restored.silences_without_room, restored.silences_excess_bytes);
    if silences > 0 {
        tracing::warn!(
            silences,
            "Silences that have ended are forgotten early: all silences take as much room as they may."
        );
    }
    if bytes > 0 {
        tracing::warn!(
            bytes,
            "Silences in force and to come take so many bytes more than all may; they are kept, and new ones are refused until there is room."
        );
    }
}

/// How an alert of the rules comes to the desk at the start.
fn kind_of(alert: &Alert) -> TransitionKind {
    match alert.state {
        AlertState::Pending => TransitionKind::Pending,
        AlertState::Firing => TransitionKind::Firing,
        AlertState::DataLost => TransitionKind::DataLost,
        AlertState::Resolved => TransitionKind::Resolved,
    }
}

fn record_changes(changes: &[record::DeskRecordChange]) -> Vec<RecordChange> {
    let change = |change: &record::DeskRecordChange| RecordChange {
        key: change.key.as_str().into(),
        value: change.value.clone().map(Into::into),
    };
    changes.iter().map(change).collect()
}

fn append_of(announcement: &Announcement) -> Append {
    let Announcement { event_type, id, time, alert, status, comment } = announcement;
    let json = match comment {
        Some(comment) => json::commented_alert(alert, status, comment),
        None => json::shown_alert(alert, status),
    };
    let event = Event {
        topic: event_topic(alert),
        key: Some(alert.fingerprint.to_string().into()),
        event_type: Some((*event_type).into()),
        time: *time,
        body: Some(Body::Json(json.into())),
    };
    Append::new(event, Some(id.as_str().into()))
}

/// What those who notify are told of an alert.
fn update_of(shown: &Shown) -> Update {
    Update { alert: Arc::clone(&shown.alert), status: shown.status.clone() }
}

fn board_event(now: Timestamp, shown: &Shown) -> Event {
    let Shown { alert, status, event_type, .. } = shown;
    Event {
        topic: ALERTS_ACTIVE.parse().expect("a topic"),
        key: Some(alert.fingerprint.to_string().into()),
        event_type: event_type.map(Into::into),
        time: now,
        body: Some(Body::Json(json::shown_alert(alert, status).into())),
    }
}

fn removal(now: Timestamp, fingerprint: Fingerprint) -> Event {
    Event {
        topic: ALERTS_ACTIVE.parse().expect("a topic"),
        key: Some(fingerprint.to_string().into()),
        event_type: None,
        time: now,
        body: None,
    }
}
