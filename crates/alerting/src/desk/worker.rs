//! What the desk's thread does: one thing after the other, each made durable, taken and shown.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bellwire_alerts::Desk;
use bellwire_alerts::config::Config;
use bellwire_alerts::desk::{Announcement, Audience, Outcome, Plan, RuleChange, Shown};
use bellwire_alerts::notification::Update;
use bellwire_alerts::record;
use bellwire_journal::{Append, Error, Journal, RecordChange};
use bellwire_model::{Alert, AlertState, Body, Event, Fingerprint, Timestamp, TransitionKind};
use bellwire_process::clock;
use bellwire_wire::json;
use tokio::sync::watch;

use super::{AlertingParts, Work};
use crate::events::{ACKNOWLEDGED, ALERTS_ACTIVE, UNACKNOWLEDGED, event_topic};
use crate::figures::Figures;
use crate::notifier::Notifier;
use crate::states::StateTopics;

/// The longest wait for a deadline: a wall clock that jumps is noticed after this long.
const CLOCK_CHECK: Duration = Duration::from_secs(1);

/// Pause before what time has done is offered to the journal again.
const WRITE_PAUSE: Duration = Duration::from_millis(500);

/// The desk, and what its changes go to.
#[derive(Debug)]
pub(super) struct Worker {
    desk: Mutex<Desk>,
    journal: Arc<dyn Journal>,
    states: Arc<dyn StateTopics>,
    notifier: Arc<Notifier>,
    figures: Arc<Figures>,
    draining: watch::Receiver<bool>,
}

impl Worker {
    /// The desk as the journal has it.
    pub(super) fn open(parts: AlertingParts) -> Result<Self, Error> {
        let AlertingParts { journal, states, notifier, figures, draining } = parts;
        let mut desk = Desk::new(&notifier.config().inhibition);
        let records = journal.records(record::PREFIX)?;
        let records = records.iter().map(|record| (&*record.key, &*record.value));
        for key in desk.restore(clock::now(), records) {
            tracing::warn!(key, "A record of the alerts' desk cannot be read; it is passed over.");
        }
        Ok(Self { desk: Mutex::new(desk), journal, states, notifier, figures, draining })
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
            outcome.records.extend(desk.settle(now).records);
            // Those that records had brought back are shown, too.
            outcome.shown = desk.cases().map(|case| case.shown(None)).collect();
            outcome
        });
    }

    pub(super) fn run(&self, queue: &Receiver<Work>) {
        loop {
            let deadline = self.desk().next_deadline();
            let wait = deadline.map_or(CLOCK_CHECK, |due| due.saturating_since(clock::now()));
            match queue.recv_timeout(wait.min(CLOCK_CHECK)) {
                Ok(work) => self.work(work),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.advance();
        }
    }

    fn work(&self, work: Work) {
        match work {
            Work::Replace(config) => {
                self.show_after(|desk, _| desk.replace_inhibition(&config.inhibition));
                self.notifier.replace(*config);
            }
            Work::Request(request) => {
                let (plan, answer) = request(&self.desk(), clock::now());
                let written = self.write(&plan);
                if written.is_ok() {
                    self.take(plan);
                } else {
                    self.figures.journal_failures.add(1);
                }
                answer(written);
            }
        }
    }

    /// Does what is due. What it announces is offered until the journal takes it: requests and
    /// rules wait meanwhile, as they do where the journal takes nothing else either.
    fn advance(&self) {
        let plan = self.desk().plan_due(clock::now());
        if plan.is_empty() {
            return;
        }
        while let Err(error) = self.write(&plan) {
            if *self.draining.borrow() {
                // What is due is found again at the next start.
                tracing::error!(%error, "The server ends before what has become of alerts is written.");
                return;
            }
            self.figures.journal_failures.add(1);
            tracing::error!(%error, "The journal does not take what has become of alerts; trying again.");
            clock::pause(WRITE_PAUSE);
        }
        self.take(plan);
    }

    fn take(&self, plan: Plan) {
        let is_transition = |announced: &&Announcement| {
            !matches!(announced.event_type, ACKNOWLEDGED | UNACKNOWLEDGED)
        };
        let transitions = plan.announcements.iter().filter(is_transition).count();
        self.figures.alert_transitions.add(transitions as u64);
        self.show_after(|desk, now| desk.take(now, plan));
    }

    /// Makes a plan durable: its events, then its records.
    fn write(&self, plan: &Plan) -> Result<(), Error> {
        if !plan.announcements.is_empty() {
            let batch = plan.announcements.iter().map(append_of).collect();
            let (reply, replied) = sync_channel(1);
            let reply = Box::new(move |result: Result<_, Error>| {
                let _ = reply.send(result.map(|_: Vec<_>| ()));
            });
            self.journal.append(batch, reply)?;
            replied.recv().unwrap_or(Err(Error::Closed))?;
        }
        if !plan.records.is_empty() {
            let (reply, replied) = sync_channel(1);
            let reply = Box::new(move |result| {
                let _ = reply.send(result);
            });
            self.journal.write_records(record_changes(&plan.records), reply)?;
            replied.recv().unwrap_or(Err(Error::Closed))?;
        }
        Ok(())
    }

    /// Changes the desk, shows what became of it, and keeps what follows from it.
    pub(super) fn show_after(&self, change: impl FnOnce(&mut Desk, Timestamp) -> Outcome) {
        // Waited for before the lock is taken: who only looks at the desk must not wait for it.
        self.states.wait_for_room();
        let mut desk = self.desk();
        let now = clock::now();
        let Outcome { shown, removed, records } = change(&mut desk, now);
        let concerns_all = |shown: &&Shown| shown.audience == Audience::All;
        self.notifier.take(shown.iter().filter(concerns_all).map(update_of));
        let shown = shown.into_iter().map(|shown| board_event(now, &shown));
        let removed = removed.into_iter().map(|fingerprint| removal(now, fingerprint));
        let results = self.states.apply_now(shown.chain(removed).collect());
        // Queued under the lock, too: records must follow each other as what they tell of did.
        self.keep(&records);
        drop(desk);
        for error in results.into_iter().filter_map(Result::err) {
            tracing::error!(%error, "An alert cannot be shown.");
        }
    }

    /// Queues records that nobody waits for.
    fn keep(&self, records: &[record::RecordChange]) {
        if records.is_empty() {
            return;
        }
        let failed = |error: Error| {
            tracing::error!(%error, "What follows for silences and acknowledgements is not kept; a restart will find it again.");
        };
        let reply = Box::new(move |result: Result<(), Error>| result.unwrap_or_else(failed));
        if let Err(error) = self.journal.write_records(record_changes(records), reply) {
            failed(error);
        }
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

fn record_changes(changes: &[record::RecordChange]) -> Vec<RecordChange> {
    let change = |change: &record::RecordChange| RecordChange {
        key: change.key.as_str().into(),
        value: change.value.clone().map(Into::into),
    };
    changes.iter().map(change).collect()
}

fn append_of(announcement: &Announcement) -> Append {
    let Announcement { event_type, id, time, alert, status } = announcement;
    let event = Event {
        topic: event_topic(alert),
        key: Some(alert.fingerprint.to_string().into()),
        event_type: Some((*event_type).into()),
        time: *time,
        body: Some(Body::Json(json::shown_alert(alert, status).into())),
    };
    Append { event, idempotency_key: Some(id.as_str().into()) }
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
