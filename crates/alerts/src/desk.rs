//! The desk: every alert as people see it, of rules and of those who post, with who silences,
//! inhibits or has acknowledged it.
//!
//! What people ask for is planned first, then made durable by the caller, and only then taken, so
//! that nobody sees what a crash could take back:
//!
//! ```text
//!  request ──▶ plan_… ──▶ Plan ── announcements to the journal, records synced ──▶ take ─┐
//!  rules ──────────────────▶ on_rules, refresh (durable already) ────────────────────────┼─▶ Outcome
//!  time ──▶ next_deadline ─▶ plan_due ──▶ Plan ─────────────────────────────────── take ─┘
//! ```
//!
//! Plans are taken in the order in which they are made, each before the next one is made. Rules may
//! say something between the two: then what they say counts. Time is a parameter of everything.

mod attending;
mod case;
mod lasting;
mod plan;
mod vacancy;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwire_model::limits::{ACKNOWLEDGEMENTS_BYTES_MAX, POSTED_GRACE, POSTED_RECORDS_BYTES_MAX};
use bellwire_model::{
    Alert, AlertState, AlertStatus, Fingerprint, Labels, SilenceId, Timestamp, TransitionKind,
};

use crate::inhibition::{InhibitionRule, Inhibitors};
use crate::posted::Posted;
use crate::record::{self, DeskRecordChange, Record};
use crate::silence::{Ending, Silence, Silences};

pub use attending::{Action, AttendError};
pub use case::Case;
pub use plan::{Announcement, Plan};

use lasting::Waiting;
use plan::Change;

/// What became of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Alerts that are shown anew, in order.
    pub shown: Vec<Shown>,
    /// Alerts that are no longer shown.
    pub removed: Vec<Fingerprint>,
    /// Records that follow from it. Nobody waits for them: a restart finds out by itself what a
    /// lost one would have said.
    pub records: Vec<DeskRecordChange>,
}

/// What was not put back as records say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Restored<'a> {
    /// Keys of the records that cannot be read.
    pub unreadable: Vec<&'a str>,
    /// Silences that are forgotten since there is no room for them: they have ended.
    pub silences_without_room: usize,
    /// Bytes that silences which are or come into force take beyond what may be.
    pub silences_excess_bytes: usize,
}

/// An alert as it is to be shown from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The alert.
    pub alert: Arc<Alert>,
    /// What has been made of it.
    pub status: AlertStatus,
    /// The type of the event that shows it; none where only values are new.
    pub event_type: Option<&'static str>,
    /// Whom it concerns.
    pub audience: Audience,
}

/// Whom it concerns that an alert has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The board, and those who notify.
    All,
    /// The board alone: nothing is new but the value, which no notification has.
    Board,
}

/// What rules say of an alert.
#[derive(Clone, Debug)]
pub enum RuleChange {
    /// It changed.
    Transition(TransitionKind, Arc<Alert>),
    /// It is over, and no longer kept.
    Removed(Fingerprint),
}

/// See the module.
#[derive(Debug)]
pub struct Desk {
    cases: BTreeMap<Fingerprint, Case>,
    silences: Silences,
    inhibitors: Inhibitors,
    /// What people did before a restart of alerts that have not come yet.
    waiting: BTreeMap<Fingerprint, Waiting>,
    /// Bytes of the records of all acknowledgements, assignments and comments.
    attended_bytes: usize,
    attended_bytes_max: usize,
    /// Silences of before a restart for which there was no room: their records are to go.
    without_room: Vec<SilenceId>,
    /// Keys of records of posted alerts that have another one now: an earlier build knew them by
    /// another kind of fingerprint.
    misplaced: Vec<(String, Fingerprint)>,
    /// When posted alerts change by themselves.
    deadlines: BTreeSet<(Timestamp, Fingerprint)>,
    posted: usize,
    /// Bytes of their records.
    posted_bytes: usize,
    posted_bytes_max: usize,
}

impl Desk {
    /// An empty desk at which alerts inhibit each other by these rules.
    pub fn new(inhibition: &[InhibitionRule]) -> Self {
        Self {
            cases: BTreeMap::new(),
            silences: Silences::default(),
            inhibitors: Inhibitors::new(inhibition),
            waiting: BTreeMap::new(),
            attended_bytes: 0,
            attended_bytes_max: ACKNOWLEDGEMENTS_BYTES_MAX,
            without_room: Vec::new(),
            misplaced: Vec::new(),
            deadlines: BTreeSet::new(),
            posted: 0,
            posted_bytes: 0,
            posted_bytes_max: POSTED_RECORDS_BYTES_MAX,
        }
    }

    /// The same, whose posted alerts have so many bytes of records at most.
    #[must_use]
    pub fn with_posted_bytes_max(self, posted_bytes_max: usize) -> Self {
        Self { posted_bytes_max, ..self }
    }

    /// The same, whose silences take so many bytes at most.
    #[must_use]
    pub fn with_silences_bytes_max(mut self, bytes_max: usize) -> Self {
        self.silences.set_bytes_max(bytes_max);
        self
    }

    /// Puts back what records say. The rules' alerts follow by [`on_rules`](Self::on_rules), then
    /// [`settle`](Self::settle).
    pub fn restore<'a>(
        &mut self,
        now: Timestamp,
        records: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Restored<'a> {
        let mut restored = Restored::default();
        let (mut silences, mut posted) = (Vec::new(), Vec::new());
        for (key, value) in records {
            match record::read(key, value) {
                Some(Record::Silence(silence)) => silences.push(silence),
                Some(Record::Acknowledged(of, acknowledged)) => {
                    self.wait_for(of, |waiting| waiting.acknowledged = Some(acknowledged));
                }
                Some(Record::Attended(of, attended)) => {
                    self.wait_for(of, |waiting| waiting.attended = Some(attended));
                }
                Some(Record::Posted(alert)) => {
                    let fingerprint = alert.alert.fingerprint;
                    if key != record::posted_key(fingerprint) {
                        self.misplaced.push((key.to_owned(), fingerprint));
                    }
                    posted.push(alert);
                }
                None => restored.unreadable.push(key),
            }
        }
        self.without_room = self.silences.restore(now, silences);
        restored.silences_without_room = self.without_room.len();
        restored.silences_excess_bytes = self.silences.excess_bytes();
        // Silences are all there, so that each alert is seen as it is at once.
        for mut posted in posted {
            // Who posts it could not reach anybody, and may be about to say that it goes on.
            posted = posted.read_at(now);
            if posted.alert.state == AlertState::Firing && posted.ends_at <= now {
                posted.ends_at = now.saturating_add(POSTED_GRACE);
            }
            self.put_posted(now, posted, None, &mut Outcome::default());
        }
        self.look_for_inhibition(&mut Outcome::default());
        restored
    }

    /// Of how many alerts that have not come back records have brought back what people did.
    pub fn attended_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// After a restart, with all alerts there: ends what waited for alerts that are gone.
    pub fn settle(&mut self, now: Timestamp) -> Outcome {
        let mut outcome = Outcome::default();
        self.end_waiting(&mut outcome);
        let without_room = std::mem::take(&mut self.without_room);
        outcome.records.extend(without_room.into_iter().map(record::forget_silence));
        for (key, fingerprint) in std::mem::take(&mut self.misplaced) {
            outcome.records.push(record::DeskRecordChange { key, value: None });
            let case = self.cases.get_mut(&fingerprint);
            let posted = case.and_then(|case| case.posted.as_mut());
            outcome.records.extend(posted.map(record::put_posted));
        }
        self.silences.doubt_all();
        self.end_resolved(now, &mut outcome);
        outcome
    }

    /// Every alert, by fingerprint.
    pub fn cases(&self) -> impl Iterator<Item = &Case> {
        self.cases.values()
    }

    /// An alert.
    pub fn case(&self, fingerprint: Fingerprint) -> Option<&Case> {
        self.cases.get(&fingerprint)
    }

    /// Every silence, by id.
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences.iter()
    }

    /// A silence.
    pub fn silence(&self, id: SilenceId) -> Option<&Silence> {
        self.silences.get(id)
    }

    /// When [`plan_due`](Self::plan_due) has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let posted = self.deadlines.first().map(|(time, _)| *time);
        posted.into_iter().chain(self.silences.next_deadline()).min()
    }

    /// Takes what rules say. It is durable already.
    pub fn on_rules(
        &mut self,
        now: Timestamp,
        changes: impl IntoIterator<Item = RuleChange>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        for change in changes {
            match change {
                // A pending alert that ends is not shown as anything: its removal follows.
                RuleChange::Transition(TransitionKind::Inactive, _) => {}
                // What somebody posts as firing is not taken back by a rule that only waits.
                RuleChange::Transition(_, alert)
                    if !is_raised(alert.state) && self.is_posted_firing(alert.fingerprint) => {}
                RuleChange::Transition(kind, alert) => {
                    self.drop_posted(alert.fingerprint, &mut outcome);
                    let event_type = Some(kind.event_type());
                    self.put(now, Case::of_rule(alert, now), event_type, &mut outcome);
                }
                RuleChange::Removed(fingerprint) => {
                    let is_of_rule = |case: &Case| case.posted.is_none();
                    if self.cases.get(&fingerprint).is_some_and(is_of_rule) {
                        self.remove(fingerprint, &mut outcome);
                    }
                }
            }
        }
        self.look_for_inhibition(&mut outcome);
        self.end_resolved(now, &mut outcome);
        outcome
    }

    /// Takes the newest values of the rules' alerts that go on.
    pub fn refresh(&mut self, alerts: impl IntoIterator<Item = Arc<Alert>>) -> Outcome {
        let mut outcome = Outcome::default();
        for alert in alerts {
            let Some(case) = self.cases.get_mut(&alert.fingerprint) else { continue };
            let is_newer = case.alert.state == alert.state && !is_same(&case.alert, &alert);
            if case.posted.is_none() && is_newer {
                let is_value_alone = is_told_alike(&case.alert, &alert);
                let audience = if is_value_alone { Audience::Board } else { Audience::All };
                case.alert = alert;
                outcome.shown.push(Shown { audience, ..case.shown(None) });
            }
        }
        outcome
    }

    /// From now on alerts inhibit each other by these rules.
    pub fn replace_inhibition(&mut self, rules: &[InhibitionRule]) -> Outcome {
        self.inhibitors = Inhibitors::new(rules);
        for case in self.cases.values() {
            let (fingerprint, labels) = (case.alert.fingerprint, &case.alert.labels);
            self.inhibitors.on_known(fingerprint, labels);
            if case.is_raised() {
                self.inhibitors.on_firing(fingerprint, labels);
            }
        }
        self.inhibitors.take_touched();
        let mut outcome = Outcome::default();
        for case in self.cases.values_mut() {
            case.look_for_inhibition(&self.inhibitors, &mut outcome);
        }
        outcome
    }

    /// Takes a plan whose announcements and records are durable.
    pub fn take(&mut self, now: Timestamp, plan: Plan) -> Outcome {
        let mut outcome = Outcome::default();
        for change in plan.changes {
            match change {
                Change::Silence(silence) => self.take_silence(now, silence, &mut outcome),
                Change::Advance => {
                    let forgotten = self.silences.advance(now).into_iter();
                    outcome.records.extend(forgotten.map(record::forget_silence));
                }
                Change::Acknowledged(fingerprint, acknowledged) => {
                    let acknowledged = (fingerprint, acknowledged);
                    self.put_acknowledged(acknowledged, plan.event_type, &mut outcome);
                }
                Change::Attended(fingerprint, attended) => {
                    self.put_attended((fingerprint, attended), plan.event_type, &mut outcome);
                }
                Change::Posted(posted, _) if self.is_of_rule(posted.alert.fingerprint) => {
                    let fingerprint = posted.alert.fingerprint;
                    outcome.records.push(record::forget_posted(fingerprint));
                }
                Change::Posted(posted, event_type) => {
                    self.put_posted(now, posted, event_type, &mut outcome);
                }
                Change::Forgotten(fingerprint) if self.is_of_rule(fingerprint) => {}
                Change::Forgotten(fingerprint) => {
                    self.remove(fingerprint, &mut outcome);
                }
            }
        }
        self.look_for_inhibition(&mut outcome);
        self.end_resolved(now, &mut outcome);
        outcome
    }

    /// Whether a rule has raised such an alert, and it has not resolved.
    fn is_of_rule(&self, fingerprint: Fingerprint) -> bool {
        let case = self.cases.get(&fingerprint);
        case.is_some_and(|case| case.posted.is_none() && case.is_raised())
    }

    /// Whether somebody has posted such an alert, and it has not resolved.
    fn is_posted_firing(&self, fingerprint: Fingerprint) -> bool {
        let case = self.cases.get(&fingerprint);
        case.is_some_and(|case| case.posted.is_some() && case.is_raised())
    }

    fn put_posted(
        &mut self,
        now: Timestamp,
        posted: Posted,
        event_type: Option<&'static str>,
        outcome: &mut Outcome,
    ) {
        if let Some(old) =
            self.cases.get(&posted.alert.fingerprint).and_then(|old| old.posted.as_ref())
        {
            self.deadlines.remove(&(old.deadline(), posted.alert.fingerprint));
            self.posted_bytes -= old.record_bytes;
        } else {
            self.posted += 1;
        }
        self.posted_bytes += posted.record_bytes;
        self.deadlines.insert((posted.deadline(), posted.alert.fingerprint));
        self.put(now, Case::of_posted(posted), event_type, outcome);
    }

    /// A rule has an alert that was posted, too: from now on it is the rule's.
    fn drop_posted(&mut self, fingerprint: Fingerprint, outcome: &mut Outcome) {
        let Some(case) = self.cases.get(&fingerprint) else { return };
        if let Some(posted) = &case.posted {
            self.posted -= 1;
            self.posted_bytes -= posted.record_bytes;
            self.deadlines.remove(&(posted.deadline(), fingerprint));
            outcome.records.push(record::forget_posted(fingerprint));
        }
    }

    /// Puts an alert in the place of what was known of it.
    fn put(
        &mut self,
        now: Timestamp,
        mut case: Case,
        event_type: Option<&'static str>,
        outcome: &mut Outcome,
    ) {
        self.look_for_silences(outcome);
        let fingerprint = case.alert.fingerprint;
        let labels = case.alert.labels.clone();
        let old = self.cases.remove(&fingerprint);
        let is_new = old.is_none();
        let (was_raised, is_raised) = (old.as_ref().is_some_and(Case::is_raised), case.is_raised());
        // Its labels are the same as before, and so are the silences that match.
        let known = old.as_ref().map(Case::silencers);
        case.put_silencers(known.unwrap_or_else(|| self.silences.matching(&labels)));
        case.status.inhibited_by = self.inhibitors.inhibited_by(&labels);
        self.attend(&mut case, old.as_ref(), outcome);
        if event_type.is_some() || old.is_none_or(|old| !case.looks_like(&old)) {
            outcome.shown.push(case.shown(event_type));
        }
        self.cases.insert(fingerprint, case);
        if is_new {
            self.inhibitors.on_known(fingerprint, &labels);
        }
        match (was_raised, is_raised) {
            (false, true) => self.on_raised(now, fingerprint, &labels, outcome),
            (true, false) => self.on_ended(fingerprint, &labels),
            _ => {}
        }
    }

    fn on_raised(
        &mut self,
        now: Timestamp,
        fingerprint: Fingerprint,
        labels: &Labels,
        outcome: &mut Outcome,
    ) {
        self.inhibitors.on_firing(fingerprint, labels);
        self.silences.on_raised(labels);
        self.note_matched(now, outcome);
    }

    fn on_ended(&mut self, fingerprint: Fingerprint, labels: &Labels) {
        self.inhibitors.on_ended(fingerprint, labels);
        self.silences.on_ended(labels);
    }

    fn remove(&mut self, fingerprint: Fingerprint, outcome: &mut Outcome) {
        let Some(case) = self.cases.remove(&fingerprint) else { return };
        outcome.removed.push(fingerprint);
        if let Some(posted) = &case.posted {
            self.posted -= 1;
            self.posted_bytes -= posted.record_bytes;
            self.deadlines.remove(&(posted.deadline(), fingerprint));
        }
        self.unattend(&case);
        lasting::forget_lost(fingerprint, (&case.status, &AlertStatus::default()), outcome);
        let labels = &case.alert.labels;
        self.inhibitors.on_forgotten(fingerprint, labels);
        if case.is_raised() {
            self.on_ended(fingerprint, labels);
        }
    }

    /// Looks at the alerts that sources of inhibition have touched: once for all that has happened
    /// together.
    fn look_for_inhibition(&mut self, outcome: &mut Outcome) {
        for fingerprint in self.inhibitors.take_touched() {
            if let Some(case) = self.cases.get_mut(&fingerprint) {
                case.look_for_inhibition(&self.inhibitors, outcome);
            }
        }
    }

    /// A silence that was planned. What alerts have written since of the one in its place, that it
    /// has matched or has ended, does not count any more.
    fn take_silence(&mut self, now: Timestamp, silence: Silence, outcome: &mut Outcome) {
        let old = self.silences.get(silence.id);
        if old.is_some_and(|old| old.ending != Ending::Time) {
            outcome.records.push(record::put_silence(&silence));
        }
        self.silences.put(now, silence);
    }

    /// Looks at alerts again, once for all silences that have come or gone together.
    fn look_for_silences(&mut self, outcome: &mut Outcome) {
        let Some(shifts) = self.silences.take_shifts() else { return };
        for case in self.cases.values_mut() {
            let labels = &case.alert.labels;
            if case.is_raised() {
                self.silences.count(labels);
            }
            let silencers = self.silences.shifted(&shifts, labels, &case.silencers());
            if silencers.is_some_and(|silencers| case.put_silencers(silencers)) {
                outcome.shown.push(case.shown(None));
            }
        }
        self.silences.counted();
    }

    /// Silences that wait for a resolution have matched a firing alert.
    fn note_matched(&mut self, now: Timestamp, outcome: &mut Outcome) {
        for silence in self.silences.take_matched(now) {
            outcome.records.push(record::put_silence(&silence));
            self.silences.put(now, silence);
        }
    }

    /// Ends those of the silences that wait for a resolution and match no firing alert any more.
    fn end_resolved(&mut self, now: Timestamp, outcome: &mut Outcome) {
        self.look_for_silences(outcome);
        self.note_matched(now, outcome);
        for ended in self.silences.take_unattended(now) {
            outcome.records.push(record::put_silence(&ended));
            self.silences.put(now, ended);
        }
        self.look_for_silences(outcome);
    }
}

/// Whether two alerts look the same. A value that is no number is the same as another such.
fn is_same(one: &Alert, other: &Alert) -> bool {
    one.value.to_bits() == other.value.to_bits()
        && one.sample_time == other.sample_time
        && is_told_alike(one, other)
}

/// Whether a notification would say the same of both.
fn is_told_alike(one: &Alert, other: &Alert) -> bool {
    one.annotations == other.annotations
        && one.source == other.source
        && (one.fired_at, one.resolved_at) == (other.fired_at, other.resolved_at)
}

/// Whether an alert has begun to fire and not resolved.
fn is_raised(state: AlertState) -> bool {
    !matches!(state, AlertState::Pending | AlertState::Resolved)
}
