//! Sessions that were ended before their time, by subject: a logout lasts, across restarts.
//!
//! Whose sessions they are choose how many they end. So of each subject some are known by their names;
//! with one more, all that were begun until then have ended. Nobody's logout has to make room for
//! another's.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_journal::{Error, RecordChange};
use bellwire_model::Timestamp;
use bellwire_model::limits::{SESSION_MAX, SESSIONS_ENDED_OF_SUBJECT_MAX, SUBJECTS_ENDED_MAX};
use bellwire_process::clock::Ticker;
use bellwire_wire::problem::{Code, Problem};
use serde::{Deserialize, Serialize};

use crate::records::Records;

/// What their records begin with. The subject follows, in letters that keys of records may have.
const PREFIX: &str = "access/ended/";

/// The sessions that have ended early.
#[derive(Debug)]
pub(crate) struct EndedSessions {
    /// Strangers choose the subjects: the hashes are keyed.
    by_subject: RwLock<HashMap<Box<str>, Ended>>,
    records: Arc<Records>,
    /// Held until the journal has answered: records are written in the order of what they say.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Those of one subject.
#[derive(Clone, Debug, Default)]
struct Ended {
    /// All that were begun until then have ended.
    until: Option<Timestamp>,
    /// By their names.
    named: Vec<Named>,
    /// Since when it is as it is, and for how long it matters: by steady time, since a clock that is
    /// set ahead and back must revive nothing.
    matters: Option<(Ticker, Duration)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    id: Box<str>,
    ends_at: i64,
}

/// As records have it.
#[derive(Debug, Serialize, Deserialize)]
struct EndedText {
    subject: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    named: Vec<Named>,
}

/// A session that ends early.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending<'a> {
    pub(crate) subject: &'a str,
    pub(crate) id: &'a str,
    pub(crate) ends_at: Timestamp,
}

impl Ended {
    fn matters_for(&mut self, lasts: Duration) {
        let left = self.left().max(lasts);
        self.matters = Some((Ticker::start(), left));
    }

    fn left(&self) -> Duration {
        self.matters.map_or(Duration::ZERO, |(since, lasts)| lasts.saturating_sub(since.elapsed()))
    }

    fn end(&mut self, ending: Ending<'_>, now: Timestamp) {
        let Ending { id, ends_at, .. } = ending;
        if self.named.iter().any(|named| *named.id == *id) {
            return;
        }
        if self.named.len() >= SESSIONS_ENDED_OF_SUBJECT_MAX {
            self.named.clear();
            self.until = self.until.max(Some(now));
            return self.matters_for(SESSION_MAX);
        }
        self.named.push(Named { id: id.into(), ends_at: ends_at.as_ms() });
        self.matters_for(ends_at.saturating_since(now));
    }
}

impl EndedSessions {
    pub(crate) fn new(records: Arc<Records>) -> Self {
        Self { by_subject: RwLock::default(), records, turn: Arc::default() }
    }

    /// Takes in what the journal has. Blocks on the disk.
    pub(crate) fn restore(&self, now: Timestamp) -> Result<(), Error> {
        let mut by_subject = self.by_subject_mut();
        for record in self.records.read(PREFIX)? {
            let Ok(EndedText { subject, until, named }) = serde_json::from_slice(&record.value)
            else {
                tracing::error!(
                    key = &*record.key,
                    "A record of ended sessions cannot be read: they count again until they end."
                );
                continue;
            };
            let until = until.map(Timestamp::from_ms);
            let ends = named.iter().map(|named| Timestamp::from_ms(named.ends_at));
            let mut lasts = ends.map(|end| end.saturating_since(now)).max().unwrap_or_default();
            if until.is_some() {
                lasts = SESSION_MAX;
            }
            let mut ended = Ended { until, named, matters: None };
            ended.matters_for(lasts);
            by_subject.insert(subject, ended);
        }
        Ok(())
    }

    /// Whether a session has not been ended early.
    pub(crate) fn counts(&self, subject: &str, id: &str, begun_at: Option<Timestamp>) -> bool {
        let by_subject = self.by_subject();
        let Some(ended) = by_subject.get(subject) else { return true };
        let is_before = |until: Timestamp| begun_at.is_none_or(|begun_at| begun_at <= until);
        !ended.until.is_some_and(is_before) && !ended.named.iter().any(|named| *named.id == *id)
    }

    /// Ends a session. It counts no more from the call on; an error says that it would again after a
    /// restart, or that there is no room for another subject.
    pub(crate) async fn end(&self, ending: Ending<'_>, now: Timestamp) -> Result<(), Problem> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let mut changes = Vec::new();
        {
            let mut by_subject = self.by_subject_mut();
            if by_subject.len() >= SUBJECTS_ENDED_MAX && !by_subject.contains_key(ending.subject) {
                changes.extend(forget_what_is_over(&mut by_subject));
                if by_subject.len() >= SUBJECTS_ENDED_MAX {
                    let detail = "as many subjects have ended sessions as the server remembers";
                    return Err(Problem::new(Code::SessionUnavailable, detail));
                }
            }
            let ended = by_subject.entry(ending.subject.into()).or_default();
            if ended.left().is_zero() {
                *ended = Ended::default();
            }
            ended.end(ending, now);
            changes.push(change(ending.subject, Some(ended)));
        }
        Ok(self.records.write(changes, move |_| drop(turn)).await?)
    }

    fn by_subject(&self) -> RwLockReadGuard<'_, HashMap<Box<str>, Ended>> {
        self.by_subject.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn by_subject_mut(&self) -> RwLockWriteGuard<'_, HashMap<Box<str>, Ended>> {
        self.by_subject.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_what_is_over(by_subject: &mut HashMap<Box<str>, Ended>) -> Vec<RecordChange> {
    let is_over = |ended: &Ended| ended.left().is_zero();
    let over = by_subject.extract_if(|_, ended| is_over(ended));
    over.map(|(subject, _)| change(&subject, None)).collect()
}

fn change(subject: &str, ended: Option<&Ended>) -> RecordChange {
    let key = format!("{PREFIX}{}", BASE64_URL.encode(subject)).into();
    let value = ended.map(|ended| {
        let until = ended.until.map(Timestamp::as_ms);
        let text = EndedText { subject: subject.into(), until, named: ended.named.clone() };
        serde_json::to_vec(&text).expect("texts and numbers are JSON").into()
    });
    RecordChange { key, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn ended(subject: &str, id: usize) -> (EndedSessions, String) {
        let all = EndedSessions::new(Arc::default());
        let id = id.to_string();
        let mut ended = Ended::default();
        ended.end(Ending { subject, id: &id, ends_at: NOW.saturating_add(HOUR) }, NOW);
        all.by_subject_mut().insert(subject.into(), ended);
        (all, id)
    }

    #[test]
    fn an_ended_session_is_its_own_alone() {
        let (all, id) = ended("ada", 1);
        let begun = Some(NOW.saturating_sub(HOUR));
        assert!(!all.counts("ada", &id, begun));
        assert!(all.counts("ada", "2", begun) && all.counts("bob", &id, begun));
    }

    #[test]
    fn of_very_many_of_one_subject_all_that_were_begun_have_ended() {
        let (all, _) = ended("ada", 0);
        let begun = Some(NOW.saturating_sub(HOUR));
        {
            let mut by_subject = all.by_subject_mut();
            let ended = by_subject.get_mut("ada").expect("it is there");
            for id in 1..=SESSIONS_ENDED_OF_SUBJECT_MAX {
                let id = id.to_string();
                ended.end(Ending { subject: "ada", id: &id, ends_at: NOW }, NOW);
            }
            assert!(ended.named.len() <= SESSIONS_ENDED_OF_SUBJECT_MAX);
        }
        assert!(!all.counts("ada", "never ended", begun) && !all.counts("ada", "0", begun));
        assert!(all.counts("ada", "later", Some(NOW.saturating_add(HOUR))));
        assert!(all.counts("bob", "0", begun));
    }
}
