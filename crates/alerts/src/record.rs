//! What of the desk outlives the process, as records: silences, acknowledgements, who is to see to
//! which alert and what was said of it, posted alerts.
//!
//! A record is JSON with times in milliseconds. Members that a later version adds are passed over.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_model::{
    Acknowledgement, Alert, AlertSource, AlertState, Assignment, Attention, Comment, Fingerprint,
    Labels, SilenceId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::posted::{End, Posted};
use crate::silence::{Ending, Silence};
use crate::{Matcher, Matchers};

/// What the keys of all of the desk's records begin with.
pub const PREFIX: &str = "desk/";
const SILENCE: &str = "desk/silence/";
const ACKNOWLEDGEMENT: &str = "desk/acknowledgement/";
const ATTENTION: &str = "desk/attention/";
const POSTED: &str = "desk/posted/";

/// A change of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskRecordChange {
    /// Which.
    pub key: String,
    /// What it says from now on; nothing where it goes.
    pub value: Option<Vec<u8>>,
}

/// An acknowledgement, and which time of firing it is of: not of a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) episode: Episode,
    pub(crate) acknowledgement: Arc<Acknowledgement>,
}

/// Who is to see to an alert and what was said of it, and which time of firing that is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attended {
    pub(crate) episode: Episode,
    pub(crate) attention: Arc<Attention>,
}

/// What tells one time of firing from others of the same alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Episode {
    /// When a rule's alert began to fire.
    FiredAt(Timestamp),
    /// What a posted alert is known by, whatever is said later of when it began.
    Since(Timestamp),
}

/// A record as it is read.
#[derive(Debug, PartialEq)]
pub(crate) enum Record {
    Silence(Silence),
    Acknowledged(Fingerprint, Acknowledged),
    Attended(Fingerprint, Attended),
    Posted(Posted),
}

#[derive(Serialize, Deserialize)]
struct SilenceText {
    matchers: Vec<String>,
    starts_at: i64,
    ends_at: i64,
    created_by: Box<str>,
    comment: Box<str>,
    annotations: BTreeMap<String, String>,
    until_resolved: bool,
    has_matched: bool,
    updated_at: i64,
}

#[derive(Serialize, Deserialize)]
struct AcknowledgedText {
    by: Box<str>,
    note: Box<str>,
    at: i64,
    fired_at: i64,
    /// Whether the time above is [`Episode::Since`]. Earlier versions did not know that.
    #[serde(default)]
    is_posted: bool,
}

#[derive(Serialize, Deserialize)]
struct AttentionText {
    fired_at: i64,
    /// Whether that is [`Episode::Since`].
    is_posted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assigned: Option<AssignmentText>,
    #[serde(default)]
    comments: Vec<CommentText>,
}

#[derive(Serialize, Deserialize)]
struct AssignmentText {
    to: Box<str>,
    by: Box<str>,
    at: i64,
}

#[derive(Serialize, Deserialize)]
struct CommentText {
    by: Box<str>,
    text: Box<str>,
    at: i64,
}

#[derive(Serialize, Deserialize)]
struct PostedText {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    generator_url: Option<String>,
    starts_at: i64,
    ends_at: i64,
    is_timeout: bool,
    is_resolved: bool,
    since: i64,
    updated_at: i64,
    /// Earlier versions did not know that, and pass it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<Box<str>>,
}

fn put(key: String, text: &impl Serialize) -> DeskRecordChange {
    let value = serde_json::to_vec(text).expect("texts and numbers are JSON");
    DeskRecordChange { key, value: Some(value) }
}

fn pairs(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn labels(pairs: &BTreeMap<String, String>) -> Option<Labels> {
    Labels::from_pairs(pairs.iter().map(|(name, value)| (&**name, &**value))).ok()
}

/// Keeps a silence.
pub(crate) fn put_silence(silence: &Silence) -> DeskRecordChange {
    let (until_resolved, has_matched) = match silence.ending {
        Ending::Time => (false, false),
        Ending::Resolution { has_matched } => (true, has_matched),
    };
    let text = SilenceText {
        matchers: silence.matchers.iter().map(ToString::to_string).collect(),
        starts_at: silence.starts_at.as_ms(),
        ends_at: silence.ends_at.as_ms(),
        created_by: silence.created_by.clone(),
        comment: silence.comment.clone(),
        annotations: pairs(&silence.annotations),
        until_resolved,
        has_matched,
        updated_at: silence.updated_at.as_ms(),
    };
    put(format!("{SILENCE}{}", silence.id), &text)
}

/// Forgets a silence.
pub(crate) fn forget_silence(id: SilenceId) -> DeskRecordChange {
    DeskRecordChange { key: format!("{SILENCE}{id}"), value: None }
}

/// Keeps an acknowledgement, or forgets it.
pub(crate) fn set_acknowledged(
    fingerprint: Fingerprint,
    acknowledged: Option<&Acknowledged>,
) -> DeskRecordChange {
    let key = format!("{ACKNOWLEDGEMENT}{fingerprint}");
    match acknowledged {
        Some(acknowledged) => put(key, &acknowledged_text(acknowledged)),
        None => DeskRecordChange { key, value: None },
    }
}

impl Episode {
    /// Its time, and whether it is of a posted alert.
    fn told(self) -> (i64, bool) {
        match self {
            Self::FiredAt(time) => (time.as_ms(), false),
            Self::Since(time) => (time.as_ms(), true),
        }
    }

    fn read((time, is_posted): (i64, bool)) -> Self {
        let time = Timestamp::from_ms(time);
        if is_posted { Self::Since(time) } else { Self::FiredAt(time) }
    }
}

fn acknowledged_text(Acknowledged { episode, acknowledgement }: &Acknowledged) -> AcknowledgedText {
    let (fired_at, is_posted) = episode.told();
    let Acknowledgement { by, note, at } = (**acknowledgement).clone();
    AcknowledgedText { by, note, at: at.as_ms(), fired_at, is_posted }
}

/// How long the record of an acknowledgement is, but for some digits of its times.
pub(crate) fn acknowledgement_bytes(acknowledgement: &Arc<Acknowledgement>) -> usize {
    let (at, acknowledgement) = (acknowledgement.at, Arc::clone(acknowledgement));
    let acknowledged = Acknowledged { episode: Episode::FiredAt(at), acknowledgement };
    let change = set_acknowledged(Fingerprint::from_u64(0), Some(&acknowledged));
    change.key.len() + change.value.map_or(0, |value| value.len())
}

/// Keeps who is to see to an alert and what was said of it, or forgets it.
pub(crate) fn set_attended(
    fingerprint: Fingerprint,
    attended: Option<&Attended>,
) -> DeskRecordChange {
    let key = format!("{ATTENTION}{fingerprint}");
    match attended {
        Some(attended) => put(key, &attention_text(attended)),
        None => DeskRecordChange { key, value: None },
    }
}

fn attention_text(Attended { episode, attention }: &Attended) -> AttentionText {
    let (fired_at, is_posted) = episode.told();
    let assigned = attention.assigned.clone();
    let assigned =
        assigned.map(|Assignment { to, by, at }| AssignmentText { to, by, at: at.as_ms() });
    let comments = attention.comments.iter().map(|comment| {
        let Comment { by, text, at } = (**comment).clone();
        CommentText { by, text, at: at.as_ms() }
    });
    AttentionText { fired_at, is_posted, assigned, comments: comments.collect() }
}

/// How long the record of that is, but for some digits of its times.
pub(crate) fn attention_bytes(attention: &Arc<Attention>) -> usize {
    let (episode, attention) = (Episode::FiredAt(Timestamp::from_ms(0)), Arc::clone(attention));
    let attended = Attended { episode, attention };
    let change = set_attended(Fingerprint::from_u64(0), Some(&attended));
    change.key.len() + change.value.map_or(0, |value| value.len())
}

fn read_attention(text: AttentionText) -> Attended {
    let time = Timestamp::from_ms;
    let AttentionText { fired_at, is_posted, assigned, comments } = text;
    let assigned =
        assigned.map(|AssignmentText { to, by, at }| Assignment { to, by, at: time(at) });
    let comments = comments.into_iter();
    let comments = comments
        .map(|CommentText { by, text, at }| Arc::new(Comment { by, text, at: time(at) }))
        .collect();
    let attention = Arc::new(Attention { assigned, comments });
    Attended { episode: Episode::read((fired_at, is_posted)), attention }
}

/// Keeps a posted alert, and notes how long its record is.
pub(crate) fn put_posted(posted: &mut Posted) -> DeskRecordChange {
    let alert = &posted.alert;
    let text = PostedText {
        labels: pairs(&alert.labels),
        annotations: pairs(&alert.annotations),
        generator_url: match &alert.source {
            AlertSource::Posted { generator_url } => generator_url.as_deref().map(Into::into),
            AlertSource::Rule(_) => None,
        },
        starts_at: alert.active_at.as_ms(),
        ends_at: posted.ends_at.as_ms(),
        is_timeout: posted.end == End::Timeout,
        is_resolved: alert.state == AlertState::Resolved,
        since: posted.since.as_ms(),
        updated_at: alert.sample_time.as_ms(),
        by: posted.by.as_deref().map(Into::into),
    };
    let change = put(posted_key(alert.fingerprint), &text);
    posted.record_bytes = change.key.len() + change.value.as_ref().map_or(0, Vec::len);
    change
}

/// Forgets a posted alert.
pub(crate) fn forget_posted(fingerprint: Fingerprint) -> DeskRecordChange {
    DeskRecordChange { key: posted_key(fingerprint), value: None }
}

/// The key of a posted alert's record.
pub(crate) fn posted_key(fingerprint: Fingerprint) -> String {
    format!("{POSTED}{fingerprint}")
}

/// Reads a record; nothing where it is none of the desk's.
pub(crate) fn read(key: &str, value: &[u8]) -> Option<Record> {
    let time = Timestamp::from_ms;
    if let Some(id) = key.strip_prefix(SILENCE) {
        let text: SilenceText = serde_json::from_slice(value).ok()?;
        let matchers =
            text.matchers.iter().map(|text| text.parse()).collect::<Result<Vec<Matcher>, _>>();
        let has_matched = text.has_matched;
        let ending =
            if text.until_resolved { Ending::Resolution { has_matched } } else { Ending::Time };
        return Some(Record::Silence(Silence {
            id: id.parse().ok()?,
            matchers: Matchers::new(matchers.ok()?).ok()?,
            starts_at: time(text.starts_at),
            ends_at: time(text.ends_at),
            created_by: text.created_by,
            comment: text.comment,
            annotations: labels(&text.annotations)?,
            ending,
            updated_at: time(text.updated_at),
        }));
    }
    if let Some(fingerprint) = key.strip_prefix(ACKNOWLEDGEMENT) {
        let text: AcknowledgedText = serde_json::from_slice(value).ok()?;
        let AcknowledgedText { by, note, at, fired_at, is_posted } = text;
        let acknowledgement = Arc::new(Acknowledgement { by, note, at: time(at) });
        let episode = Episode::read((fired_at, is_posted));
        let acknowledged = Acknowledged { episode, acknowledgement };
        return Some(Record::Acknowledged(fingerprint.parse().ok()?, acknowledged));
    }
    if let Some(fingerprint) = key.strip_prefix(ATTENTION) {
        let attended = read_attention(serde_json::from_slice(value).ok()?);
        return Some(Record::Attended(fingerprint.parse().ok()?, attended));
    }
    key.strip_prefix(POSTED)?;
    let text: PostedText = serde_json::from_slice(value).ok()?;
    let record_bytes = key.len() + value.len();
    read_posted(text).map(|posted| Record::Posted(Posted { record_bytes, ..posted }))
}

fn read_posted(text: PostedText) -> Option<Posted> {
    let time = Timestamp::from_ms;
    let own = labels(&text.labels)?;
    let alert = Alert {
        fingerprint: Fingerprint::of(&own),
        source: AlertSource::Posted { generator_url: text.generator_url.map(Into::into) },
        state: if text.is_resolved { AlertState::Resolved } else { AlertState::Firing },
        labels: own,
        annotations: labels(&text.annotations)?,
        value: 0.0,
        active_at: time(text.starts_at),
        fired_at: Some(time(text.starts_at)),
        resolved_at: text.is_resolved.then(|| time(text.ends_at)),
        sample_time: time(text.updated_at),
    };
    let end = if text.is_timeout { End::Timeout } else { End::Said };
    let (ends_at, since) = (time(text.ends_at), time(text.since));
    let by = text.by.map(Into::into);
    Some(Posted { alert: Arc::new(alert), ends_at, end, since, by, record_bytes: 0 })
}
