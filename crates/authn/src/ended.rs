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
use bellwire_process::clock::{self, Ticker};
use bellwire_wire::problem::{Code, Problem};
use serde::{Deserialize, Serialize};

use crate::issued::Issued;
use crate::records::{self, Records};

/// What their records begin with. The subject follows, in letters that keys of records may have, and what
/// has ended of its sessions: the name of one, or until when. What a record says does not change, so that
/// nodes that end sessions of one subject at once take nothing away from each other.
pub(crate) const PREFIX: &str = "access/ended/";

/// What stands before the time until which all sessions of a subject have ended.
const UNTIL: &str = "until-";

/// The sessions that have ended early.
#[derive(Debug)]
pub(crate) struct EndedSessions {
    /// Strangers choose the subjects: the hashes are keyed.
    by_subject: RwLock<HashMap<Box<str>, Ended>>,
    records: Arc<Records>,
    /// Held until the journal has answered: records are written in the order of what they say.
    turn: Arc<tokio::sync::Mutex<()>>,
    issued: Arc<Issued>,
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
    /// Whether the journal has all of it.
    is_kept: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    id: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun_at: Option<i64>,
    ends_at: i64,
}

/// Whose sessions a record ends.
pub(crate) fn subject(record: &[u8]) -> Option<Box<str>> {
    serde_json::from_slice(record).ok().map(|EndedText { subject, .. }| subject)
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
    pub(crate) begun_at: Timestamp,
    pub(crate) ends_at: Timestamp,
}

impl Named {
    fn new(ending: Ending<'_>) -> Self {
        let Ending { id, begun_at, ends_at, .. } = ending;
        Self { id: id.into(), begun_at: Some(begun_at.as_ms()), ends_at: ends_at.as_ms() }
    }

    fn begun_at(&self) -> Option<Timestamp> {
        self.begun_at.map(Timestamp::from_ms)
    }

    fn ends_at(&self) -> Timestamp {
        Timestamp::from_ms(self.ends_at)
    }

    /// How long it would have lasted: what is left of that only the clock knows, which may be set. One
    /// may be begun, by what it says, later than the clock by which it ends.
    fn lasts(&self) -> Duration {
        let lasts = self.begun_at().map(|begun_at| self.ends_at().saturating_since(begun_at));
        lasts.filter(|lasts| !lasts.is_zero()).unwrap_or(SESSION_MAX).min(SESSION_MAX)
    }
}

impl Ended {
    /// What the journal has of a subject of which nothing has ended.
    fn kept() -> Self {
        Self { is_kept: true, ..Self::default() }
    }

    /// Takes in what a record says. Whether that is anything new.
    fn take_in(&mut self, until: Option<i64>, named: Vec<Named>) -> bool {
        let until = until.map(Timestamp::from_ms);
        let is_later = until > self.until;
        if is_later {
            self.until = until;
            self.matters_for(SESSION_MAX);
        }
        let before = self.named.len();
        for named in named {
            if !self.has(&named.id, named.begun_at().or(Some(Timestamp::MAX))) {
                self.matters_for(named.lasts());
                self.named.push(named);
            }
        }
        is_later || self.named.len() > before
    }

    /// Its records, by what follows the subject in their keys.
    fn records(&self, subject: &str) -> Vec<(String, EndedText)> {
        let of_named = self.named.iter().map(|named| {
            let text =
                EndedText { subject: subject.into(), until: None, named: vec![named.clone()] };
            (named.id.to_string(), text)
        });
        let of_until = self.until.map(|until| {
            let until = until.as_ms();
            let text = EndedText { subject: subject.into(), until: Some(until), named: Vec::new() };
            (format!("{UNTIL}{until}"), text)
        });
        of_named.chain(of_until).collect()
    }

    fn matters_for(&mut self, lasts: Duration) {
        let left = self.left().max(lasts);
        self.matters = Some((Ticker::start(), left));
    }

    fn left(&self) -> Duration {
        self.matters.map_or(Duration::ZERO, |(since, lasts)| lasts.saturating_sub(since.elapsed()))
    }

    /// Whether all of them have ended by themselves. By both clocks: one that was ahead when they were
    /// begun has them last until then.
    fn is_over(&self, now: Timestamp) -> bool {
        self.left().is_zero() && self.ends_at().is_none_or(|ends_at| ends_at <= now)
    }

    /// When the last of them ends by itself.
    fn ends_at(&self) -> Option<Timestamp> {
        let named = self.named.iter().map(Named::ends_at).max();
        named.max(self.until.map(|until| until.saturating_add(SESSION_MAX)))
    }

    /// Whether a session of this name has ended, or one that was begun then.
    fn has(&self, id: &str, begun_at: Option<Timestamp>) -> bool {
        let is_before = |until: Timestamp| begun_at.is_none_or(|begun_at| begun_at <= until);
        self.until.is_some_and(is_before) || self.named.iter().any(|named| *named.id == *id)
    }

    /// Ends one, or all that were begun until then. Whether it is another than before.
    fn end(&mut self, ending: Ending<'_>, until: Timestamp) -> bool {
        if self.has(ending.id, Some(ending.begun_at)) {
            return false;
        }
        if self.named.len() >= SESSIONS_ENDED_OF_SUBJECT_MAX {
            // A clock may have been ahead when they were begun.
            let begun =
                self.named.drain(..).map(|named| named.begun_at().unwrap_or(named.ends_at()));
            self.until = self.until.max(begun.max()).max(Some(until)).max(Some(ending.begun_at));
            self.matters_for(SESSION_MAX);
        } else {
            let named = Named::new(ending);
            self.matters_for(named.lasts());
            self.named.push(named);
        }
        true
    }
}

impl EndedSessions {
    pub(crate) fn new(records: Arc<Records>, issued: Arc<Issued>) -> Self {
        Self { by_subject: RwLock::default(), records, turn: Arc::default(), issued }
    }

    /// Takes in what the journal has. Blocks on the disk.
    pub(crate) fn restore(&self) -> Result<(), Error> {
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
            by_subject.entry(subject).or_insert_with(Ended::kept).take_in(until, named);
        }
        Ok(())
    }

    /// A record was made, maybe by another node. Whether more sessions have ended.
    pub(crate) fn on_change(&self, value: Option<&[u8]>) -> bool {
        // One that goes says nothing any more: all of it is over.
        let Some(Ok(text)) = value.map(serde_json::from_slice::<EndedText>) else { return false };
        let EndedText { subject, until, named } = text;
        let mut by_subject = self.by_subject_mut();
        by_subject.entry(subject).or_insert_with(Ended::kept).take_in(until, named)
    }

    /// Whether a session has not been ended early.
    pub(crate) fn counts(&self, subject: &str, id: &str, begun_at: Option<Timestamp>) -> bool {
        self.by_subject().get(subject).is_none_or(|ended| !ended.has(id, begun_at))
    }

    /// Until when sessions of a subject have ended, whatever their names: one that begins now begins
    /// later.
    pub(crate) fn until(&self, subject: &str) -> Option<Timestamp> {
        self.by_subject().get(subject)?.until
    }

    /// Ends a session. It counts no more from the moment on at which `on_ended` is called, which
    /// nobody's disk delays; an error says that it would again after a restart, or that there is no room
    /// for another subject. Whether it was not known to have ended.
    pub(crate) async fn end(
        self: &Arc<Self>,
        ending: Ending<'_>,
        on_ended: impl FnOnce(),
    ) -> Result<bool, Problem> {
        let Some(gone) = self.end_now(ending)? else { return Ok(false) };
        on_ended();
        let turn = records::turn(&self.turn).await.map_err(not_kept)?;
        let (changes, written) = self.unkept(ending.subject, gone);
        if changes.is_empty() {
            return Ok(true);
        }
        let (all, subject): (_, Box<str>) = (Arc::clone(self), ending.subject.into());
        let taken = move |result: &Result<(), Error>| {
            if result.is_ok() {
                all.keep(&subject, written.as_ref());
            }
            drop(turn);
        };
        self.records.write(changes, taken).await.map_err(not_kept)?;
        Ok(true)
    }

    /// What the journal is to have: that of some subjects all is over, and what has ended of one. Nothing,
    /// where another has written that down meanwhile.
    fn unkept(&self, subject: &str, gone: Vec<Gone>) -> (Vec<RecordChange>, Option<Ended>) {
        let mut changes: Vec<RecordChange> = gone
            .iter()
            .flat_map(|(subject, ended)| {
                let said = ended.records(subject).into_iter().map(|(name, _)| key(subject, &name));
                said.chain([key_of_all(subject)])
            })
            .map(|key| RecordChange { key, value: None })
            .collect();
        let by_subject = self.by_subject();
        let ended = by_subject.get(subject).filter(|ended| !ended.is_kept).cloned();
        if let Some(ended) = &ended {
            // In one until all that this has was in records of its own.
            changes.push(RecordChange { key: key_of_all(subject), value: None });
            changes.extend(ended.records(subject).into_iter().map(|(name, text)| {
                let value = serde_json::to_vec(&text).expect("texts and numbers are JSON");
                RecordChange { key: key(subject, &name), value: Some(value.into()) }
            }));
        }
        (changes, ended)
    }

    /// The journal has what was written of a subject: all, unless more has ended since.
    fn keep(&self, subject: &str, written: Option<&Ended>) {
        let mut by_subject = self.by_subject_mut();
        if let (Some(ended), Some(written)) = (by_subject.get_mut(subject), written) {
            ended.is_kept = (ended.until, &ended.named) == (written.until, &written.named);
        }
    }

    /// The part that counts at once, with the subjects that are forgotten for it. `None`: it had ended,
    /// and the journal has that.
    fn end_now(&self, ending: Ending<'_>) -> Result<Option<Vec<Gone>>, Problem> {
        let (mut gone, now) = (Vec::new(), clock::now());
        let mut by_subject = self.by_subject_mut();
        if by_subject.len() >= SUBJECTS_ENDED_MAX && !by_subject.contains_key(ending.subject) {
            gone = forget_what_is_over(&mut by_subject, now);
            if by_subject.len() >= SUBJECTS_ENDED_MAX {
                let detail = "as many subjects have ended sessions as the server remembers";
                return Err(Problem::new(Code::SessionUnavailable, detail));
            }
        }
        let ended = by_subject.entry(ending.subject.into()).or_default();
        let before = ended.clone();
        if ended.is_over(now) {
            *ended = Ended::default();
        }
        if !ended.end(ending, self.issued.until(now)) && ended.is_kept {
            return Ok(None);
        }
        ended.is_kept = false;
        // What is said no more: it is over, or among all that have ended until a later time.
        let said = |name: &str| ended.records(ending.subject).iter().any(|(it, _)| *it == *name);
        let mut old = before;
        old.named.retain(|named| !said(&named.id));
        old.until = old.until.filter(|until| !said(&format!("{UNTIL}{}", until.as_ms())));
        gone.push((ending.subject.into(), old));
        Ok(Some(gone))
    }

    fn by_subject(&self) -> RwLockReadGuard<'_, HashMap<Box<str>, Ended>> {
        self.by_subject.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn by_subject_mut(&self) -> RwLockWriteGuard<'_, HashMap<Box<str>, Ended>> {
        self.by_subject.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was said of a subject, and is no more.
type Gone = (Box<str>, Ended);

fn forget_what_is_over(by_subject: &mut HashMap<Box<str>, Ended>, now: Timestamp) -> Vec<Gone> {
    by_subject.extract_if(|_, ended| ended.is_over(now)).collect()
}

fn key(subject: &str, name: &str) -> Box<str> {
    format!("{}/{name}", key_of_all(subject)).into()
}

/// The record of all that has ended of a subject, as versions before have written it.
fn key_of_all(subject: &str) -> Box<str> {
    format!("{PREFIX}{}", BASE64_URL.encode(subject)).into()
}

fn not_kept(error: Error) -> Problem {
    let detail = "the session counts no more, but the journal does not take that now, and after a \
                  restart it would count again: ask once more";
    records::not_kept(error, detail)
}

#[cfg(test)]
mod tests {
    use bellwire_journal::{Journal, MemoryJournal, Observer};
    use bellwire_model::{Entry, Epoch};

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn ending<'a>(subject: &'a str, id: &'a str) -> Ending<'a> {
        Ending {
            subject,
            id,
            begun_at: NOW.saturating_sub(HOUR),
            ends_at: NOW.saturating_add(HOUR),
        }
    }

    fn ended(subject: &str, id: &str) -> EndedSessions {
        let all = EndedSessions::new(Arc::default(), Arc::default());
        let mut ended = Ended::default();
        ended.end(ending(subject, id), NOW);
        all.by_subject_mut().insert(subject.into(), ended);
        all
    }

    #[test]
    fn an_ended_session_is_its_own_alone() {
        let all = ended("ada", "1");
        let begun = Some(NOW.saturating_sub(HOUR));
        assert!(!all.counts("ada", "1", begun));
        assert!(all.counts("ada", "2", begun) && all.counts("bob", "1", begun));
    }

    #[test]
    fn of_very_many_of_one_subject_all_that_were_begun_have_ended() {
        let all = ended("ada", "0");
        let begun = Some(NOW.saturating_sub(HOUR));
        {
            let mut by_subject = all.by_subject_mut();
            let ended = by_subject.get_mut("ada").expect("it is there");
            for id in 1..=SESSIONS_ENDED_OF_SUBJECT_MAX {
                ended.end(ending("ada", &id.to_string()), NOW);
            }
            assert!(ended.named.len() <= SESSIONS_ENDED_OF_SUBJECT_MAX);
        }
        assert!(!all.counts("ada", "never ended", begun) && !all.counts("ada", "0", begun));
        assert!(all.counts("ada", "later", Some(NOW.saturating_add(HOUR))));
        assert!(all.counts("bob", "0", begun));
        assert_eq!(all.until("ada"), Some(NOW), "one that begins now begins later");
    }

    #[test]
    fn no_clock_says_how_long_an_ended_session_matters() {
        let mut ended = Ended::default();
        ended.end(ending("ada", "1"), NOW);
        assert!(ended.left() > HOUR, "{:?}: all of its two hours", ended.left());
        // One that was begun while the clock was ahead is among all that were begun.
        for id in 0..SESSIONS_ENDED_OF_SUBJECT_MAX {
            let (id, begun_at) = (format!("n{id}"), NOW.saturating_add(HOUR));
            ended.end(Ending { begun_at, ..ending("ada", &id) }, NOW);
        }
        assert!(ended.has("another", Some(NOW.saturating_add(HOUR))));
    }

    #[test]
    fn a_session_of_a_clock_that_was_ahead_stays_ended_for_as_long_as_it_would_last() {
        let ahead = Duration::from_hours(24 * 365);
        let [begun_at, ends_at] = [ahead, ahead + HOUR].map(|it| NOW.saturating_add(it));
        let mut ended = Ended::default();
        ended.end(Ending { begun_at, ends_at, ..ending("ada", "1") }, NOW);
        // One that was ended by its name alone is among all that were begun.
        for id in 0..SESSIONS_ENDED_OF_SUBJECT_MAX {
            ended.end(ending("ada", &format!("n{id}")), NOW);
        }
        assert!(ended.has("1", Some(begun_at)));
        assert!(!ended.has("later", Some(begun_at.saturating_add(HOUR))));
    }

    struct Nobody;

    impl Observer for Nobody {
        fn on_commit(&mut self, _: Vec<Entry>) {}
    }

    fn journal() -> Arc<dyn Journal> {
        Arc::new(MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody)))
    }

    #[tokio::test]
    async fn a_logout_that_the_journal_refuses_counts_and_can_be_asked_for_again() {
        let open = journal();
        let records = Arc::new(Records::default());
        let all = Arc::new(EndedSessions::new(Arc::clone(&records), Arc::default()));
        let told = all.end(ending("ada", "1"), || ()).await.expect_err("there is no journal yet");
        assert!(told.detail().contains("ask once more"), "{told:?}");
        let begun = Some(NOW.saturating_sub(HOUR));
        assert!(!all.counts("ada", "1", begun), "it has ended all the same");
        records.keep_in(Arc::clone(&open));
        assert!(all.end(ending("ada", "1"), || ()).await.expect("asked once more"));
        assert!(!all.end(ending("ada", "1"), || ()).await.expect("the journal has it"));
        let records = Arc::new(Records::default());
        records.keep_in(open);
        let restored = EndedSessions::new(records, Arc::default());
        restored.restore().expect("records");
        assert!(!restored.counts("ada", "1", begun));
    }

    #[tokio::test]
    async fn a_logout_counts_while_the_journal_is_still_busy_with_another() {
        let all = EndedSessions::new(Arc::default(), Arc::default());
        let all = Arc::new(all);
        let turn = Arc::clone(&all.turn).lock_owned().await;
        let mut logout = std::pin::pin!(all.end(ending("ada", "1"), || ()));
        let waits = std::future::poll_fn(|context| {
            std::task::Poll::Ready(logout.as_mut().poll(context).is_pending())
        });
        assert!(waits.await);
        assert!(!all.counts("ada", "1", Some(NOW.saturating_sub(HOUR))));
        drop(turn);
        logout.await.expect_err("there is no journal yet");
    }
}
