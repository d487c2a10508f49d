//! Sessions that were ended before their time, by subject: a logout lasts, across restarts.
//!
//! ```text
//! logouts ─▶ count at once ─▶ wait ─▶ one writes down all that wait, batch after batch ─▶ all are told
//!                              ▲                        │
//!                              └── what was not taken ◀─┘
//! ```
//!
//! Whose sessions they are choose how many they end. So of each subject some are known by their names;
//! with one more, all that were begun until then have ended. Nobody's logout has to make room for
//! another's, nor waits for all others.

mod of_one;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bellwire_journal::{Error, RecordChange};
use bellwire_model::Timestamp;
use bellwire_model::limits::{ENDED_BATCH_CHANGES_MAX, ENDED_RECORDS_GONE_MAX, SUBJECTS_ENDED_MAX};
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use self::of_one::{Ended, EndedText, Heard, Written, key_of_all};
pub(crate) use self::of_one::{Ending, PREFIX};
use crate::issued::Issued;
use crate::lived::Lived;
use crate::records::{self, Records};

/// The sessions that have ended early.
#[derive(Debug)]
pub(crate) struct EndedSessions {
    known: RwLock<Known>,
    records: Arc<Records>,
    /// Held by who writes them down. It is let go of under the lock of what is known, where nothing waits
    /// there: whoever has something wait and finds it held is written down by its holder.
    writing: Arc<Mutex<()>>,
    /// How the last batch went.
    last: watch::Sender<Result<(), Error>>,
    issued: Arc<Issued>,
    lived: Arc<Lived>,
}

#[derive(Debug, Default)]
struct Known {
    /// Strangers choose the subjects: the hashes are keyed.
    by_subject: HashMap<Box<str>, Ended>,
    /// Keys of records that say nothing any more. They go before anything else is written.
    gone: Vec<Box<str>>,
    /// Subjects of which something [waits](Written::Waits). Some may be there twice.
    waiting: VecDeque<Box<str>>,
}

/// What is written at once.
#[derive(Debug)]
struct Batch {
    gone: Vec<Box<str>>,
    subjects: Vec<Box<str>>,
    changes: Vec<RecordChange>,
}

/// Whose sessions a record ends.
pub(crate) fn subject(record: &[u8]) -> Option<Box<str>> {
    serde_json::from_slice(record).ok().map(|EndedText { subject, .. }| subject)
}

impl Known {
    /// Has what there is of a subject be written.
    fn wait(&mut self, subject: &str) {
        if let Some(ended) = self.by_subject.get_mut(subject)
            && ended.written != Written::Waits
        {
            ended.written = Written::Waits;
            self.waiting.push_back(subject.into());
        }
    }

    /// Takes in what a record says. Whether more sessions have ended.
    fn take_in(&mut self, text: EndedText, lived: Duration) -> bool {
        let subject = text.subject.clone();
        let ended = self.by_subject.entry(subject.clone()).or_default();
        let before = ended.clone();
        let heard = ended.take_in(text, lived);
        if heard == Heard::Many {
            self.say_no_more(&subject, &before);
            self.wait(&subject);
        }
        heard != Heard::Nothing
    }

    /// What was said of a subject, and is not any more, goes.
    fn say_no_more(&mut self, subject: &str, before: &Ended) {
        let said =
            self.by_subject.get(subject).map(|ended| ended.keys(subject)).unwrap_or_default();
        self.let_go(before.told(subject).into_iter().filter(|key| !said.contains(key)));
    }

    /// Has records go. Where nothing can be written for very long some stay, until the next start.
    fn let_go(&mut self, keys: impl IntoIterator<Item = Box<str>>) {
        self.gone.extend(keys);
        self.gone.truncate(ENDED_RECORDS_GONE_MAX);
    }

    /// Forgets subjects of which all is over.
    fn forget_what_is_over(&mut self, now: Timestamp, lived: Duration) {
        let over =
            self.by_subject.extract_if(|_, ended| ended.is_over(now, lived)).collect::<Vec<_>>();
        for (subject, ended) in over {
            self.let_go(ended.told(&subject).into_iter().chain([key_of_all(&subject)]));
        }
    }

    /// The part of a logout that counts at once. Whether the journal is to have it yet.
    fn end(
        &mut self,
        ending: Ending<'_>,
        (now, until, lived): (Timestamp, Timestamp, Duration),
    ) -> bool {
        let ended = self.by_subject.entry(ending.subject.into()).or_default();
        let before = ended.clone();
        if ended.is_over(now, lived) {
            *ended = Ended::default();
        }
        if !ended.end(ending, (until, lived)) {
            return ended.written != Written::Kept;
        }
        self.say_no_more(ending.subject, &before);
        self.wait(ending.subject);
        true
    }

    /// What is to be written next.
    fn batch(&mut self) -> Option<Batch> {
        let gone: Vec<_> =
            self.gone.drain(..self.gone.len().min(ENDED_BATCH_CHANGES_MAX)).collect();
        let removals = gone.iter().map(|key| RecordChange { key: key.clone(), value: None });
        let mut changes: Vec<RecordChange> = removals.collect();
        let mut subjects = Vec::new();
        while self.gone.is_empty()
            && changes.len() < ENDED_BATCH_CHANGES_MAX
            && let Some(subject) = self.waiting.pop_front()
        {
            let ended = self.by_subject.get_mut(&subject);
            let Some(ended) = ended.filter(|ended| ended.written == Written::Waits) else {
                continue;
            };
            ended.written = Written::UnderWay;
            changes.extend(ended.tell(&subject));
            subjects.push(subject);
        }
        (!changes.is_empty()).then_some(Batch { gone, subjects, changes })
    }

    /// The journal has this of these subjects, all but what has ended since.
    fn keep(&mut self, subjects: &[Box<str>]) {
        for subject in subjects {
            if let Some(ended) = self.by_subject.get_mut(subject)
                && ended.written == Written::UnderWay
            {
                ended.written = Written::Kept;
            }
        }
    }

    /// It does not: they wait anew.
    fn put_back(&mut self, mut gone: Vec<Box<str>>, subjects: &[Box<str>]) {
        gone.append(&mut self.gone);
        self.gone.clear();
        self.let_go(gone);
        for subject in subjects {
            if self.by_subject.get(subject).is_some_and(|it| it.written == Written::UnderWay) {
                self.wait(subject);
            }
        }
    }
}

impl EndedSessions {
    pub(crate) fn new((records, issued, lived): (Arc<Records>, Arc<Issued>, Arc<Lived>)) -> Self {
        let last = watch::Sender::new(Ok(()));
        Self { known: RwLock::default(), records, writing: Arc::default(), last, issued, lived }
    }

    /// Takes in what the journal has. Blocks on the disk.
    pub(crate) fn restore(&self) -> Result<(), Error> {
        let mut known = self.known_mut();
        let mut read = Vec::new();
        for record in self.records.read(PREFIX)? {
            let Ok(text) = serde_json::from_slice::<EndedText>(&record.value) else {
                tracing::error!(
                    key = &*record.key,
                    "A record of ended sessions cannot be read: they count again until they end."
                );
                continue;
            };
            let (subject, says_how_long) = (text.subject.clone(), text.says_how_long());
            known.take_in(text, self.lived.now());
            if !says_how_long {
                // It matters for as long from now on, and not from each start.
                known.wait(&subject);
            }
            read.push((record.key, subject));
        }
        // Of nodes that wrote at once one may have said what is among all that have ended by now.
        for (key, subject) in read {
            let said = known.by_subject.get(&subject).map(|ended| ended.keys(&subject));
            if said.is_some_and(|said| !said.contains(&key)) && key != key_of_all(&subject) {
                known.let_go([key]);
            }
        }
        Ok(())
    }

    /// A record was made, maybe by another node. Whether more sessions have ended.
    pub(crate) fn on_change(&self, value: Option<&[u8]>) -> bool {
        // One that goes says nothing any more: all of it is over.
        let Some(Ok(text)) = value.map(serde_json::from_slice::<EndedText>) else { return false };
        self.known_mut().take_in(text, self.lived.now())
    }

    /// Whether a session has not been ended early.
    pub(crate) fn counts(&self, subject: &str, id: &str, begun_at: Option<Timestamp>) -> bool {
        self.known().by_subject.get(subject).is_none_or(|ended| !ended.has(id, begun_at))
    }

    /// Until when sessions of a subject have ended, whatever their names: one that begins now begins
    /// later.
    pub(crate) fn until(&self, subject: &str) -> Option<Timestamp> {
        self.known().by_subject.get(subject)?.until
    }

    /// Ends a session. It counts no more from the moment on at which `on_ended` is called, which
    /// nobody's disk delays; an error says that it may again after a restart, as it is not written down yet,
    /// or that there is no room for another subject. Whether it was not known to have ended.
    pub(crate) async fn end(
        self: &Arc<Self>,
        ending: Ending<'_>,
        on_ended: impl FnOnce(),
    ) -> Result<bool, Problem> {
        let Some(mut last) = self.end_now(ending)? else { return Ok(false) };
        on_ended();
        self.write_on();
        let kept = async {
            while !self.is_kept(ending.subject) {
                last.changed().await.map_err(|_| Error::Closed)?;
                let answer = last.borrow_and_update().clone();
                if !self.is_kept(ending.subject) {
                    answer?;
                }
            }
            Ok(())
        };
        records::bounded(kept).await.map_err(not_kept)?;
        Ok(true)
    }

    /// Has somebody write down what waits.
    pub(crate) fn write_on(self: &Arc<Self>) {
        // Whoever holds it does.
        let Ok(turn) = Arc::clone(&self.writing).try_lock_owned() else { return };
        let all = Arc::clone(self);
        tokio::spawn(async move { all.write_all(turn).await });
    }

    /// The same, and waits until it is done, but not for ever.
    pub(crate) async fn keep_all(self: &Arc<Self>) -> Result<(), Error> {
        self.write_on();
        records::bounded(async {
            drop(self.writing.lock().await);
            self.last.borrow().clone()
        })
        .await
    }

    /// Writes batch after batch, until nothing waits or one is not taken: that is tried again by whoever has
    /// the next one be written.
    async fn write_all(&self, mut turn: OwnedMutexGuard<()>) {
        while let Some((held, batch)) = self.batch(turn) {
            turn = held;
            let Batch { gone, subjects, changes } = batch;
            let answer = self.records.write_however_long(changes, |_| ()).await;
            let mut known = self.known_mut();
            if let Err(error) = answer {
                known.put_back(gone, &subjects);
                drop(turn);
                let _before = self.last.send_replace(Err(error));
                return;
            }
            known.keep(&subjects);
            let _before = self.last.send_replace(Ok(()));
        }
    }

    /// What is to be written next, for whoever has the turn; nobody has, where nothing is.
    fn batch(&self, turn: OwnedMutexGuard<()>) -> Option<(OwnedMutexGuard<()>, Batch)> {
        let mut known = self.known_mut();
        let batch = known.batch();
        // Under the lock, in any case.
        let next = batch.map(move |batch| (turn, batch));
        drop(known);
        next
    }

    /// The part that counts at once. `None`: it had ended, and the journal has that. It is told of all
    /// batches that are written from now on.
    fn end_now(
        &self,
        ending: Ending<'_>,
    ) -> Result<Option<watch::Receiver<Result<(), Error>>>, Problem> {
        let (now, mut known) = (clock::now(), self.known_mut());
        let is_full = |known: &Known| known.by_subject.len() >= SUBJECTS_ENDED_MAX;
        if is_full(&known) && !known.by_subject.contains_key(ending.subject) {
            known.forget_what_is_over(now, self.lived.now());
            if is_full(&known) {
                let detail = "as many subjects have ended sessions as the server remembers";
                return Err(Problem::new(Code::SessionUnavailable, detail));
            }
        }
        let is_awaited = known.end(ending, (now, self.issued.until(now), self.lived.now()));
        Ok(is_awaited.then(|| self.last.subscribe()))
    }

    fn is_kept(&self, subject: &str) -> bool {
        let known = self.known();
        known.by_subject.get(subject).is_none_or(|ended| ended.written == Written::Kept)
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_kept(error: Error) -> Problem {
    let is_tried_again = !matches!(error, Error::Closed);
    let detail = "the session counts no more, but the journal does not take that now, and after a \
                  restart it would count again: ask once more";
    let told = records::not_kept(error, detail);
    if is_tried_again && told.is_maybe_taken() != Some(true) { told.may_be_taken() } else { told }
}

#[cfg(test)]
mod tests;
