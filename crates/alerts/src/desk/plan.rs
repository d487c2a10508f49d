//! Planning: what a request or the time would change, before anything is changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::{
    Alert, AlertState, AlertStatus, Comment, Fingerprint, SilenceId, Timestamp, TransitionKind,
};

use super::vacancy::{Growth, Vacancy};
use super::{Case, Desk};
use crate::posted::{Made, Post, PostError, Posted};
use crate::record::{self, Acknowledged, Attended, DeskRecordChange};
use crate::silence::{NewSilence, Silence, SilenceError, SilenceState};

/// Alerts whose time is over that one plan has: nobody waits for more of them at a time.
const DUE_AT_ONCE_MAX: usize = 1_000;

/// What is to be made durable, in this order, and then taken.
#[derive(Debug, Default)]
pub struct Plan {
    /// Events to be appended.
    pub announcements: Vec<Announcement>,
    /// Records to be changed, together.
    pub records: Vec<DeskRecordChange>,
    pub(super) changes: Vec<Change>,
    /// The type of the event that shows what changes.
    pub(super) event_type: Option<&'static str>,
}

/// An event that every subscriber of an alert must see.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    /// Its type.
    pub event_type: &'static str,
    /// The same whenever the same is announced.
    pub id: String,
    /// When it happened.
    pub time: Timestamp,
    /// The alert afterwards.
    pub alert: Arc<Alert>,
    /// What has been made of it.
    pub status: AlertStatus,
    /// What somebody has said of it, where that is what is announced.
    pub comment: Option<Arc<Comment>>,
}

/// One thing that changes at the desk.
#[derive(Debug)]
pub(super) enum Change {
    Silence(Silence),
    /// What time does to silences.
    Advance,
    Acknowledged(Fingerprint, Option<Acknowledged>),
    Attended(Fingerprint, Option<Attended>),
    Posted(Posted, Option<&'static str>),
    Forgotten(Fingerprint),
}

impl Desk {
    /// A silence, or a change of one. `id` is for a new one; the id that counts is returned.
    pub fn plan_silence(
        &self,
        now: Timestamp,
        new: NewSilence,
        id: SilenceId,
    ) -> Result<(SilenceId, Plan), SilenceError> {
        let silences = self.silences.planned(now, new, id)?;
        let id = silences.first().expect("something is planned").id;
        Ok((id, silence_plan(silences)))
    }

    /// The end of a silence. Of one that has ended, nothing.
    pub fn plan_expiry(&self, now: Timestamp, id: SilenceId) -> Result<Plan, SilenceError> {
        let silence = self.silences.get(id).ok_or(SilenceError::NotFound)?;
        let is_left = silence.state(now) != SilenceState::Expired;
        Ok(silence_plan(is_left.then(|| silence.ended(now)).into_iter().collect()))
    }

    /// What a client says of alerts, which has that name where it is asked for one. Those that are none
    /// are told of and keep no other from being taken; an alert that a rule has raised is the rule's.
    pub fn plan_posts(
        &self,
        now: Timestamp,
        (sender, posts): (Option<Arc<str>>, Vec<Post>),
        resolve_timeout: Duration,
    ) -> (Plan, Vec<PostError>) {
        let mut errors = Vec::new();
        // The same alert may come twice in one request.
        let mut planned: BTreeMap<Fingerprint, Posted> = BTreeMap::new();
        let mut plan = Plan::default();
        let mut room = Vacancy::of(self, sender);
        for post in posts {
            if let Err(error) = post.check() {
                errors.push(error);
                continue;
            }
            let fingerprint = Fingerprint::of(&post.labels);
            let known = self.cases.get(&fingerprint);
            let old = planned.get(&fingerprint);
            // Labels can be made so that they have the fingerprint of others.
            let there = old.map(|old| &old.alert).or_else(|| known.map(Case::alert));
            if there.is_some_and(|alert| alert.labels != post.labels) {
                errors.push(PostError::Collides);
                continue;
            }
            if self.is_of_rule(fingerprint) {
                continue;
            }
            let old = old.or_else(|| known.and_then(|case| case.posted.as_ref()));
            let is_new = old.is_none();
            if is_new && let Err(error) = room.check_new() {
                errors.push(error);
                continue;
            }
            let old_bytes = old.map_or(0, |old| old.record_bytes);
            let (kind, mut posted) = match Posted::after(old, post, now, resolve_timeout) {
                Made::Fires(posted) => (Some(TransitionKind::Firing), posted),
                Made::Resolves(posted) => (Some(TransitionKind::Resolved), posted),
                Made::GoesOn(posted) => (None, posted),
                Made::Nothing => continue,
            };
            if is_new {
                posted.by.clone_from(&room.poster);
            }
            let mut record = record::put_posted(&mut posted);
            let mut growth = Growth::from(old_bytes, &posted);
            if growth.bytes > 0 && room.is_of_another(&posted) {
                posted.by.clone_from(&room.poster);
                record = record::put_posted(&mut posted);
                growth = Growth::taken_over(old_bytes, &posted);
            }
            if let Err(error) = room.check_growth(growth) {
                if kind != Some(TransitionKind::Resolved) {
                    errors.push(error);
                }
                // That one goes on, or has ended, is always taken, with what it said before.
                let Some(old) = old.filter(|_| kind != Some(TransitionKind::Firing)) else {
                    continue;
                };
                posted = posted.worded_as(old);
                record = record::put_posted(&mut posted);
                growth = Growth::from(old_bytes, &posted);
            }
            room.take(usize::from(is_new), (old_bytes, posted.record_bytes), growth);
            plan.post(now, (posted.clone(), record), kind);
            planned.insert(fingerprint, posted);
        }
        (plan, errors)
    }

    /// What follows of a wall clock that was set by so many milliseconds, and says `now`. Silences
    /// begin and end by the wall clock, but what has begun has begun and what has ended stays ended.
    /// A posted alert without an end waits for the next post as long as it would have.
    pub fn plan_step(&self, now: Timestamp, step_ms: i64) -> Plan {
        let mut plan = silence_plan(self.silences.set_back(now));
        for case in self.cases.values() {
            let Some(posted) = &case.posted else { continue };
            if posted.is_waiting() {
                let mut posted = posted.stepped(step_ms);
                let record = record::put_posted(&mut posted);
                plan.post(now, (posted, record), None);
            }
        }
        plan
    }

    /// What time does: posted alerts resolve or are forgotten, silences begin, end, are forgotten.
    /// Where very much is due, some of it.
    pub fn plan_due(&self, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let due = self.deadlines.iter().take_while(|(time, _)| *time <= now);
        for (_, fingerprint) in due.take(DUE_AT_ONCE_MAX) {
            let case = self.cases.get(fingerprint).expect("a deadline is of an alert");
            let posted = case.posted.as_ref().expect("a deadline is of a posted alert");
            if posted.alert.state == AlertState::Resolved {
                plan.records.push(record::forget_posted(*fingerprint));
                plan.changes.push(Change::Forgotten(*fingerprint));
            } else {
                let mut ended = posted.timed_out();
                let record = record::put_posted(&mut ended);
                plan.post(posted.ends_at, (ended, record), Some(TransitionKind::Resolved));
            }
        }
        if self.silences.next_deadline().is_some_and(|due| due <= now) {
            plan.changes.push(Change::Advance);
        }
        plan
    }
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// This, and behind it another one that is shown in the same way.
    pub(super) fn with(&mut self, other: Self) {
        self.announcements.extend(other.announcements);
        self.records.extend(other.records);
        self.changes.extend(other.changes);
        self.event_type = self.event_type.or(other.event_type);
    }

    fn post(
        &mut self,
        time: Timestamp,
        (posted, record): (Posted, DeskRecordChange),
        kind: Option<TransitionKind>,
    ) {
        let event_type = kind.map(TransitionKind::event_type);
        self.announcements.extend(event_type.map(|event_type| Announcement {
            event_type,
            id: format!("{}-{}-{event_type}", posted.alert.fingerprint, posted.since),
            time,
            alert: Arc::clone(&posted.alert),
            status: AlertStatus::default(),
            comment: None,
        }));
        self.records.push(record);
        self.changes.push(Change::Posted(posted, event_type));
    }
}

fn silence_plan(silences: Vec<Silence>) -> Plan {
    let records = silences.iter().map(record::put_silence).collect();
    let changes = silences.into_iter().map(Change::Silence).collect();
    Plan { records, changes, ..Plan::default() }
}
