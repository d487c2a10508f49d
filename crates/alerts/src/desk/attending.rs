//! What people do with alerts: take them up, say who is to see to them, say something of them.

use std::sync::Arc;

use bellwire_model::limits::{
    ACKNOWLEDGEMENTS_BYTES_MAX, ALERTS_OF_ONE_SHARE, ATTENTION_BYTES_MAX, COMMENTS_MAX,
    NOTE_BYTES_MAX, PERSON_BYTES_MAX,
};
use bellwire_model::{
    Acknowledgement, AlertState, AlertStatus, Assignment, Attention, Coded, Comment, Fingerprint,
    IdentityHash, NewAcknowledgement, NewAssignment, NewComment, Timestamp,
};
use thiserror::Error;

use super::lasting::{Waiting, acknowledgement_bytes, attention_bytes};
use super::plan::{Announcement, Change, Plan};
use super::{Case, Desk};
use crate::record::{self, Acknowledged, Attended};

/// Something that somebody does with an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Takes it up.
    Acknowledge(NewAcknowledgement),
    /// Nobody attends to it any more.
    Unacknowledge,
    /// Says who is to see to it.
    Assign(NewAssignment),
    /// Nobody is to any more.
    Unassign,
    /// Says something of it.
    Comment(NewComment),
}

/// Why what somebody does with an alert is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AttendError {
    /// There is no such alert.
    #[error("there is no alert of this fingerprint")]
    NotFound,
    /// It does not fire.
    #[error("the alert does not fire: only a firing alert can be acknowledged or assigned")]
    NotFiring,
    /// It has not fired yet.
    #[error("the alert is pending: what has not fired yet cannot be commented on")]
    Pending,
    /// Nobody says who acknowledges, or too much is said.
    #[error("`by` has 1 to {PERSON_BYTES_MAX} bytes, `note` at most {NOTE_BYTES_MAX}")]
    Text,
    /// Nobody says who is to see to it, or who says so.
    #[error("`to` and `by` have 1 to {PERSON_BYTES_MAX} bytes each")]
    AssignmentText,
    /// Nobody says who comments, or nothing is said, or too much.
    #[error("`by` has 1 to {PERSON_BYTES_MAX} bytes, `text` 1 to {NOTE_BYTES_MAX}")]
    CommentText,
    /// As much was said of the alert as may be.
    #[error(
        "no room for more: an alert has at most {COMMENTS_MAX} comments while it fires, and they have \
         at most {ATTENTION_BYTES_MAX} bytes as they are stored"
    )]
    TooMuchSaid,
    /// All of them would take more than [`ACKNOWLEDGEMENTS_BYTES_MAX`].
    #[error(
        "no room for {bytes} bytes of that: all acknowledgements, assignments and comments take at \
         most {ACKNOWLEDGEMENTS_BYTES_MAX} bytes; write less, or take others back"
    )]
    NoRoom {
        /// What it would take.
        bytes: usize,
    },
    /// Whoever does that has as much of it as leaves room for others.
    #[error(
        "your acknowledgements, assignments and comments take as much as leaves room for those of \
         others: take some back, or write less"
    )]
    NoRoomOfOne,
}

impl Coded for AttendError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "alert_not_found",
            Self::NotFiring | Self::Pending => "alert_not_firing",
            Self::Text | Self::AssignmentText | Self::CommentText => "body_invalid",
            Self::TooMuchSaid | Self::NoRoom { .. } | Self::NoRoomOfOne => "records_exhausted",
        }
    }
}

/// What is planned together takes of the room that there is.
#[derive(Debug, Default)]
struct Planned {
    bytes: usize,
    /// What whoever does it has, once somebody has looked.
    own: Option<usize>,
}

impl Desk {
    /// The same, where what people do takes so many bytes at most.
    #[must_use]
    pub fn with_acknowledgements_bytes_max(self, attended_bytes_max: usize) -> Self {
        Self { attended_bytes_max, ..self }
    }

    /// Somebody does something with an alert. Who says the same again changes nothing.
    pub fn plan_action(
        &self,
        now: Timestamp,
        fingerprint: Fingerprint,
        action: &Action,
    ) -> Result<Plan, AttendError> {
        self.plan_within(&mut Planned::default(), now, (fingerprint, action))
    }

    /// Somebody does the same with several alerts, each of which is asked for once. What may not be
    /// done with one of them keeps it from no other.
    pub fn plan_actions(
        &self,
        now: Timestamp,
        fingerprints: impl IntoIterator<Item = Result<Fingerprint, AttendError>>,
        action: &Action,
    ) -> (Plan, Vec<Result<(), AttendError>>) {
        let (mut all, mut planned) = (Plan::default(), Planned::default());
        let plan = |asked: Result<Fingerprint, AttendError>| {
            all.with(self.plan_within(&mut planned, now, (asked?, action))?);
            Ok(())
        };
        let results = fingerprints.into_iter().map(plan).collect();
        (all, results)
    }

    /// Somebody takes an alert up.
    pub fn plan_acknowledgement(
        &self,
        now: Timestamp,
        fingerprint: Fingerprint,
        new: NewAcknowledgement,
    ) -> Result<Plan, AttendError> {
        self.plan_action(now, fingerprint, &Action::Acknowledge(new))
    }

    /// Nobody attends to an alert any more.
    pub fn plan_unacknowledgement(
        &self,
        now: Timestamp,
        fingerprint: Fingerprint,
    ) -> Result<Plan, AttendError> {
        self.plan_action(now, fingerprint, &Action::Unacknowledge)
    }

    fn plan_within(
        &self,
        planned: &mut Planned,
        now: Timestamp,
        (fingerprint, action): (Fingerprint, &Action),
    ) -> Result<Plan, AttendError> {
        let case = self.cases.get(&fingerprint).ok_or(AttendError::NotFound)?;
        match action {
            Action::Acknowledge(new) => self.acknowledging(planned, now, (case, new)),
            Action::Unacknowledge => Ok(match case.status.acknowledged {
                Some(_) => acknowledged(now, case, None),
                None => Plan::default(),
            }),
            Action::Assign(new) => self.assigning(planned, now, (case, new)),
            Action::Unassign => Ok(unassigned(now, case)),
            Action::Comment(new) => self.commenting(planned, now, (case, new)),
        }
    }

    fn acknowledging(
        &self,
        planned: &mut Planned,
        now: Timestamp,
        (case, new): (&Case, &NewAcknowledgement),
    ) -> Result<Plan, AttendError> {
        let NewAcknowledgement { by, note } = new.clone();
        if !case.is_raised() {
            return Err(AttendError::NotFiring);
        }
        if !is_person(&by) || note.len() > NOTE_BYTES_MAX {
            return Err(AttendError::Text);
        }
        let old = case.status.acknowledged.as_ref();
        if old.is_some_and(|old| (&old.by, &old.note) == (&by, &note)) {
            return Ok(Plan::default());
        }
        let acknowledgement = Arc::new(Acknowledgement { by, note, at: now });
        let bytes = acknowledgement_bytes(Some(&acknowledgement));
        let before = acknowledgement_bytes(old);
        self.check_room(planned, &acknowledgement.by, (before, bytes))?;
        let episode = case.episode();
        Ok(acknowledged(now, case, Some(Acknowledged { episode, acknowledgement })))
    }

    fn assigning(
        &self,
        planned: &mut Planned,
        now: Timestamp,
        (case, new): (&Case, &NewAssignment),
    ) -> Result<Plan, AttendError> {
        let NewAssignment { to, by } = new.clone();
        if !case.is_raised() {
            return Err(AttendError::NotFiring);
        }
        if !is_person(&to) || !is_person(&by) {
            return Err(AttendError::AssignmentText);
        }
        let mut attention = case.status.attention.as_deref().cloned().unwrap_or_default();
        let old = attention.assigned.as_ref();
        if old.is_some_and(|old| (&old.to, &old.by) == (&to, &by)) {
            return Ok(Plan::default());
        }
        attention.assigned = Some(Assignment { to, by: by.clone(), at: now });
        let attention = Arc::new(attention);
        self.check_attention(planned, &by, (case, &attention))?;
        Ok(attended(now, (case, "alert.assigned"), Some(attention)))
    }

    /// Of an alert that has resolved nothing is kept but the event that tells of it.
    fn commenting(
        &self,
        planned: &mut Planned,
        now: Timestamp,
        (case, new): (&Case, &NewComment),
    ) -> Result<Plan, AttendError> {
        let NewComment { by, text } = new.clone();
        if case.alert.state == AlertState::Pending {
            return Err(AttendError::Pending);
        }
        if !is_person(&by) || text.is_empty() || text.len() > NOTE_BYTES_MAX {
            return Err(AttendError::CommentText);
        }
        let mut attention = case.status.attention.as_deref().cloned().unwrap_or_default();
        let newest = attention.comments.last();
        if newest.is_some_and(|newest| (&newest.by, &newest.text) == (&by, &text)) {
            return Ok(Plan::default());
        }
        let comment = Arc::new(Comment { by, text, at: now });
        if !case.is_raised() {
            let announcement = commented(now, (case, case.status.clone()), comment);
            return Ok(Plan { announcements: vec![announcement], ..Plan::default() });
        }
        attention.comments.push(Arc::clone(&comment));
        let attention = Arc::new(attention);
        if attention.comments.len() > COMMENTS_MAX {
            return Err(AttendError::TooMuchSaid);
        }
        self.check_attention(planned, &comment.by, (case, &attention))?;
        let mut plan = attended(now, (case, COMMENTED), Some(attention));
        let status = plan.announcements.pop().expect("one is planned").status;
        plan.announcements.push(commented(now, (case, status), comment));
        Ok(plan)
    }

    /// Whether there is room for what is to be known of an alert from now on.
    fn check_attention(
        &self,
        planned: &mut Planned,
        by: &str,
        (case, attention): (&Case, &Arc<Attention>),
    ) -> Result<(), AttendError> {
        let before = attention_bytes(case.status.attention.as_ref());
        let bytes = attention_bytes(Some(attention));
        if bytes > before && bytes > ATTENTION_BYTES_MAX {
            return Err(AttendError::TooMuchSaid);
        }
        self.check_room(planned, by, (before, bytes))
    }

    /// Whether there is room for a record in place of another one. What becomes no longer always has it.
    fn check_room(
        &self,
        planned: &mut Planned,
        by: &str,
        (before, bytes): (usize, usize),
    ) -> Result<(), AttendError> {
        let Some(more) = bytes.checked_sub(before).filter(|more| *more > 0) else { return Ok(()) };
        let with = self.attended_bytes + planned.bytes + more;
        if with > self.attended_bytes_max {
            return Err(AttendError::NoRoom { bytes });
        }
        let free = self.attended_bytes_max.saturating_sub(self.attended_bytes + planned.bytes);
        let share = free * ALERTS_OF_ONE_SHARE;
        // Mostly there is that much room for all together.
        if with > share {
            let own = *planned.own.get_or_insert_with(|| self.attended_by(by));
            if own + planned.bytes + more > share {
                return Err(AttendError::NoRoomOfOne);
            }
        }
        planned.bytes += more;
        Ok(())
    }

    /// Bytes of what somebody has done.
    fn attended_by(&self, name: &str) -> usize {
        let there = self.cases.values().map(|case| {
            let AlertStatus { acknowledged, attention, .. } = &case.status;
            (acknowledged.as_ref(), attention.as_ref())
        });
        let waiting = self.waiting.values();
        let waiting = waiting.map(|it: &Waiting| (it.acknowledgement(), it.attention()));
        let own = there.chain(waiting).map(|(acknowledgement, attention)| {
            acknowledgement_bytes(acknowledgement.filter(|it| &*it.by == name))
                + attention.and_then(|it| of(it, name)).map_or(0, |own| attention_bytes(Some(&own)))
        });
        own.sum()
    }
}

const COMMENTED: &str = "alert.commented";

fn is_person(name: &str) -> bool {
    (1..=PERSON_BYTES_MAX).contains(&name.len())
}

/// What of it somebody has said; nothing where that is nothing.
fn of(attention: &Attention, name: &str) -> Option<Arc<Attention>> {
    let assigned = attention.assigned.clone().filter(|it| &*it.by == name);
    let comments = attention.comments.iter().filter(|comment| &*comment.by == name);
    let own = Attention { assigned, comments: comments.cloned().collect() };
    (own != Attention::default()).then(|| Arc::new(own))
}

/// The acknowledgement of an alert, or its end.
fn acknowledged(now: Timestamp, case: &Case, acknowledged: Option<Acknowledged>) -> Plan {
    let event_type =
        if acknowledged.is_some() { "alert.acknowledged" } else { "alert.unacknowledged" };
    let fingerprint = case.alert.fingerprint;
    let mut status = case.status.clone();
    status.acknowledged =
        acknowledged.as_ref().map(|acknowledged| Arc::clone(&acknowledged.acknowledgement));
    Plan {
        announcements: vec![announcement(now, (case, status), event_type)],
        records: vec![record::set_acknowledged(fingerprint, acknowledged.as_ref())],
        changes: vec![Change::Acknowledged(fingerprint, acknowledged)],
        event_type: Some(event_type),
    }
}

/// Nobody is to see to an alert any more; what was said of it stays.
fn unassigned(now: Timestamp, case: &Case) -> Plan {
    let attention = case.status.attention.as_deref().filter(|it| it.assigned.is_some());
    let Some(attention) = attention else { return Plan::default() };
    let left = Attention { assigned: None, comments: attention.comments.clone() };
    let left = (!left.comments.is_empty()).then(|| Arc::new(left));
    attended(now, (case, "alert.unassigned"), left)
}

/// What is known of an alert from now on.
fn attended(
    now: Timestamp,
    (case, event_type): (&Case, &'static str),
    attention: Option<Arc<Attention>>,
) -> Plan {
    let fingerprint = case.alert.fingerprint;
    let mut status = case.status.clone();
    status.attention.clone_from(&attention);
    let episode = case.episode();
    let attended = attention.map(|attention| Attended { episode, attention });
    Plan {
        announcements: vec![announcement(now, (case, status), event_type)],
        records: vec![record::set_attended(fingerprint, attended.as_ref())],
        changes: vec![Change::Attended(fingerprint, attended)],
        event_type: Some(event_type),
    }
}

fn announcement(
    now: Timestamp,
    (case, status): (&Case, AlertStatus),
    event_type: &'static str,
) -> Announcement {
    Announcement {
        event_type,
        id: format!("{}-{now}-{event_type}", case.alert.fingerprint),
        time: now,
        alert: Arc::clone(&case.alert),
        status,
        comment: None,
    }
}

/// What somebody says of an alert. Two may do so within the same millisecond, and neither is to be
/// taken for the other.
fn commented(
    now: Timestamp,
    (case, status): (&Case, AlertStatus),
    comment: Arc<Comment>,
) -> Announcement {
    let mut announcement = announcement(now, (case, status), COMMENTED);
    let mut hash = IdentityHash::new("comment");
    hash.write_text(&comment.by);
    hash.write_text(&comment.text);
    announcement.id = format!("{}-{:016x}", announcement.id, hash.finish());
    announcement.comment = Some(comment);
    announcement
}
