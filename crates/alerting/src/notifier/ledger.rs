//! What webhooks know and are owed, on its way to the journal: one batch at a time.
//!
//! What the journal does not take waits for it, the newest of each record. It is bounded by the
//! records that there may be: a record that goes before the journal has had it leaves no trace.

mod behind;

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwire_alerts::dispatch::{NotificationRecordChange, Turn};
use bellwire_journal::{Error, Journal};
use bellwire_model::NameHasher;
use bytes::Bytes;
use rustc_hash::FxHashSet;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use self::behind::Behind;
use super::dead_letter::LetterCourse;
use crate::figures::Figures;

/// A disk that is full or slow makes no alert late by more than this: it is told without a record.
const RECORD_PATIENCE: Duration = Duration::from_secs(1);

/// Pause before what the journal did not take is offered again; each later one is twice as long.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(10);

/// Changes of records by key; of several of one record the last counts.
type Changes = BTreeMap<Box<str>, Option<Bytes>>;

/// What the journal has not taken yet.
#[derive(Debug)]
pub(super) struct Ledger {
    unsaved: Changes,
    /// What is no longer owed, since a dead letter says it: saved once the journal has the letter.
    behind: Behind,
    /// Notifications that were delivered and are not counted yet: their records are unsaved.
    uncounted: u64,
    on_its_way: Option<Changes>,
    /// What has become of it, once that is known.
    answer: Arc<Mutex<Option<Result<(), Error>>>>,
    /// Hashes of the keys that the journal may have: what it does not have need not be forgotten.
    stored: FxHashSet<u64>,
    retry: Option<Retry>,
    /// How many batches there have been.
    batches: u64,
    answered: watch::Sender<Answered>,
    /// Told when there is an answer.
    has_news: Arc<Notify>,
}

/// The journal did not take a batch.
#[derive(Clone, Copy, Debug)]
struct Retry {
    /// Time that has passed since some beginning.
    at: Duration,
    pause: Duration,
    /// What is to go always finds room, and is offered alone each second time.
    what: Offer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    All,
    Deletions,
}

/// What the journal has answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Answered {
    batches: u64,
    /// Of how many releases of what waited behind dead letters.
    released: u64,
}

/// Ends when the journal has kept records, or has failed to.
#[derive(Clone, Debug)]
pub(super) struct Kept(Answered, watch::Receiver<Answered>);

impl Kept {
    /// Waits for that, but not for long.
    pub(super) async fn settled(mut self) {
        let Answered { batches, released } = self.0;
        let has_all =
            |answered: &Answered| answered.batches >= batches && answered.released >= released;
        let _ = timeout(RECORD_PATIENCE, self.1.wait_for(has_all)).await;
    }
}

fn hash(key: &str) -> u64 {
    NameHasher::default().hash_one(key)
}

impl Ledger {
    /// Of a journal that has records with these keys.
    pub(super) fn new<'a>(keys: impl IntoIterator<Item = &'a str>, has_news: Arc<Notify>) -> Self {
        Self {
            unsaved: Changes::new(),
            behind: Behind::default(),
            uncounted: 0,
            on_its_way: None,
            answer: Arc::default(),
            stored: keys.into_iter().map(hash).collect(),
            retry: None,
            batches: 0,
            answered: watch::Sender::new(Answered::default()),
            has_news,
        }
    }

    /// Notes what has to be saved: at once, or once the journal has every dead letter of now.
    pub(super) fn note(&mut self, changes: Vec<NotificationRecordChange>) {
        for NotificationRecordChange { key, value, turn } in changes {
            let (key, value) = (key.into(), value.map(Bytes::from));
            match turn {
                Turn::BehindLetters => self.behind.note(key, value),
                Turn::Next => {
                    if let Some((key, value)) = self.behind.supersede(key, value) {
                        self.note_unsaved(key, value);
                    }
                }
            }
        }
    }

    /// The journal has so many dead letters.
    pub(super) fn on_letters(&mut self, course: LetterCourse) {
        for (key, value) in self.behind.release(course) {
            self.note_unsaved(key, value);
        }
    }

    /// A notification was delivered; it counts when its record is saved.
    pub(super) fn on_delivered(&mut self) {
        self.uncounted += 1;
    }

    fn note_unsaved(&mut self, key: Box<str>, value: Option<Bytes>) {
        let on_its_way = self.on_its_way.as_ref().is_some_and(|sent| sent.contains_key(&key));
        if value.is_some() || on_its_way || self.stored.contains(&hash(&key)) {
            self.unsaved.insert(key, value);
        } else {
            self.unsaved.remove(&key);
        }
    }

    /// Queues what has to be saved, unless the journal has yet to answer or is left alone for a
    /// while; `passed` is the time since some beginning.
    pub(super) fn save(
        &mut self,
        journal: &dyn Journal,
        figures: &Arc<Figures>,
        passed: Duration,
    ) -> Kept {
        self.take_answer(figures, passed);
        if self.retry.is_some_and(|retry| passed < retry.at) {
            // Where the journal takes nothing nobody waits for it.
            return Kept(Answered::default(), self.answered.subscribe());
        }
        if self.on_its_way.is_some() {
            return self.kept(self.batches + u64::from(!self.unsaved.is_empty()));
        }
        if self.unsaved.is_empty() {
            let released = self.behind.released();
            self.answered.send_if_modified(|answered| {
                std::mem::replace(&mut answered.released, released) != released
            });
            return self.kept(self.batches);
        }
        let what = self.retry.map_or(Offer::All, |retry| retry.what);
        let mut batch = std::mem::take(&mut self.unsaved);
        if what == Offer::Deletions {
            let deletions: Changes = batch.extract_if(.., |_, value| value.is_none()).collect();
            self.unsaved = std::mem::replace(&mut batch, deletions);
        }
        let changes = batch.clone().into_iter();
        let changes = changes.map(|(key, value)| bellwire_journal::RecordChange { key, value });
        let changes = changes.collect();
        self.on_its_way = Some(batch);
        self.batches += 1;
        let (answer, has_news) = (Arc::clone(&self.answer), Arc::clone(&self.has_news));
        // Where some are left for later, so is what was let go last.
        let released = match what {
            Offer::All => self.behind.released(),
            Offer::Deletions => self.answered.borrow().released,
        };
        let (number, answered) = (self.batches, self.answered.clone());
        let settled = Answered { batches: number, released };
        let (figures, delivered) = (Arc::clone(figures), std::mem::take(&mut self.uncounted));
        let reply = move |result: Result<(), Error>| {
            figures.notifications.add(delivered);
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            answered.send_replace(settled);
            has_news.notify_one();
        };
        if let Err(error) = journal.write_records(changes, Box::new(reply)) {
            self.answered.send_replace(settled);
            self.uncounted = delivered;
            *self.answer() = Some(Err(error));
        }
        self.kept(number)
    }

    /// With so many batches, and all that waits behind dead letters.
    fn kept(&self, batches: u64) -> Kept {
        let released = self.behind.released_with_all();
        Kept(Answered { batches, released }, self.answered.subscribe())
    }

    fn answer(&self) -> std::sync::MutexGuard<'_, Option<Result<(), Error>>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the journal says of the batch that was on its way.
    fn take_answer(&mut self, figures: &Figures, passed: Duration) {
        let Some(result) = self.answer().take() else { return };
        let sent = self.on_its_way.take().unwrap_or_default();
        match result {
            Ok(()) => {
                for (key, value) in sent {
                    match value {
                        Some(_) => self.stored.insert(hash(&key)),
                        None => self.stored.remove(&hash(&key)),
                    };
                }
                self.retry = self.retry.take_if(|retry| retry.what == Offer::Deletions).map(
                    // Now there may be room for the others.
                    |retry| Retry { at: passed, what: Offer::All, ..retry },
                );
            }
            Err(error) => {
                figures.journal_failures.add(1);
                tracing::error!(%error, "What webhooks were told is not kept yet; trying again.");
                // What is newer by now counts.
                for (key, value) in sent {
                    if !self.unsaved.contains_key(&key) {
                        self.note_unsaved(key, value);
                    }
                }
                let before = self.retry.map_or(RETRY_PAUSE_MIN / 2, |retry| retry.pause);
                let pause = (before * 2).min(RETRY_PAUSE_MAX);
                let has_offered_all = self.retry.is_none_or(|retry| retry.what == Offer::All);
                let has_deletions = self.unsaved.values().any(Option::is_none);
                let what =
                    if has_offered_all && has_deletions { Offer::Deletions } else { Offer::All };
                self.retry = Some(Retry { at: passed + pause, pause, what });
            }
        }
    }
}

#[cfg(test)]
mod tests;
