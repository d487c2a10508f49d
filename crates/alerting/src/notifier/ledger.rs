//! What webhooks know and are owed, on its way to the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bellwire_alerts::dispatch::RecordChange;
use bellwire_journal::{Error, Journal};
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::figures::Figures;

/// A disk that is full or slow makes no alert late by more than this: it is told without a record.
const RECORD_PATIENCE: Duration = Duration::from_secs(1);

/// Changes of records by key; of several of one record the last counts.
type Changes = BTreeMap<Box<str>, Option<Bytes>>;

/// What the journal has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    unsaved: Changes,
    /// What is no longer owed, since a dead letter says it: saved once the journal has the letter.
    behind_letters: Changes,
    /// Notifications that were delivered and are not counted yet: their records are unsaved.
    uncounted: u64,
    /// The journal has failed to keep records: all are to be offered again.
    has_lost: Arc<AtomicBool>,
}

/// Ends when the journal has kept records, or has failed to.
#[derive(Clone, Debug)]
pub(super) struct Kept(watch::Receiver<()>);

impl Kept {
    /// Waits for that, but not for long.
    pub(super) async fn settled(mut self) {
        // Nothing is ever sent: the other side goes once there is an answer.
        let _ = timeout(RECORD_PATIENCE, self.0.changed()).await;
    }
}

fn by_key(changes: Vec<RecordChange>) -> impl Iterator<Item = (Box<str>, Option<Bytes>)> {
    let changes = changes.into_iter();
    changes.map(|RecordChange { address, bytes }| (address.to_key().into(), bytes.map(Bytes::from)))
}

impl Ledger {
    /// Notes what has to be saved.
    pub(super) fn note(&mut self, changes: Vec<RecordChange>) {
        for (key, value) in by_key(changes) {
            self.behind_letters.remove(&key);
            self.unsaved.insert(key, value);
        }
    }

    /// Notes what may be saved once the journal has every dead letter of now.
    pub(super) fn note_behind_letters(&mut self, changes: Vec<RecordChange>) {
        self.behind_letters.extend(by_key(changes));
    }

    /// The journal has them.
    pub(super) fn on_letters_appended(&mut self) {
        self.unsaved.append(&mut self.behind_letters);
    }

    /// A notification was delivered; it counts when its record is saved.
    pub(super) fn on_delivered(&mut self) {
        self.uncounted += 1;
    }

    /// Whether the journal has lost records since this was last asked.
    pub(super) fn take_has_lost(&self) -> bool {
        self.has_lost.swap(false, Ordering::Relaxed)
    }

    /// Queues what has to be saved; it stays noted where the journal does not take it now.
    pub(super) fn save(&mut self, journal: &dyn Journal, figures: &Arc<Figures>) -> Kept {
        let (pending, kept) = watch::channel(());
        let kept = Kept(kept);
        if self.unsaved.is_empty() {
            return kept;
        }
        let changes = self.unsaved.iter().map(|(key, value)| bellwire_journal::RecordChange {
            key: key.clone(),
            value: value.clone(),
        });
        let (has_lost, figures) = (Arc::clone(&self.has_lost), Arc::clone(figures));
        let delivered = self.uncounted;
        let reply = move |result: Result<(), Error>| {
            figures.notifications.add(delivered);
            if let Err(error) = result {
                figures.journal_failures.add(1);
                has_lost.store(true, Ordering::Relaxed);
                tracing::error!(%error, "What webhooks were told is not kept yet; trying again.");
            }
            drop(pending);
        };
        if journal.write_records(changes.collect(), Box::new(reply)).is_ok() {
            self.unsaved.clear();
            self.uncounted = 0;
        }
        kept
    }
}
