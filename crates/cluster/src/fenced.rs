//! The journal of whoever holds a lease: what is appended counts only while that goes on.

use std::sync::Arc;
use std::time::Duration;

use bellwire_journal::{
    Append, Bounds, ClockReading, ClockStep, Ended, Error as JournalError, Journal, Page,
    ReadLimit, Record, RecordChange, RecordReply, RecordWatcher, Reply, StateHorizons, StatePage,
    TopicFigures,
};
use bellwire_model::{Epoch, FilterSet, Offset};
use bellwire_shared_log::Fence;

use crate::Error;
use crate::journal::ClusterJournal;
use crate::outbox::as_refused;
use crate::tenure::Tenure;

/// A node's journal in one term of a [`Tenure`]: appends and changes of records are stored only where nobody
/// else has taken the lease before. What is read is what any node reads.
#[derive(Debug)]
pub struct FencedJournal {
    journal: Arc<ClusterJournal>,
    tenure: Arc<Tenure>,
    term: u64,
}

impl FencedJournal {
    /// In this term.
    pub fn new(journal: Arc<ClusterJournal>, tenure: Arc<Tenure>, term: u64) -> Self {
        Self { journal, tenure, term }
    }

    fn fence(&self) -> Result<Fence, JournalError> {
        let fence = self.tenure.fence(self.term);
        fence.ok_or_else(|| as_refused(&Error::Fenced("the lease".into())))
    }

    /// Has it looked whose the lease is, where something was kept out.
    fn minding<T: 'static>(
        &self,
        reply: Box<dyn FnOnce(Result<T, JournalError>) + Send>,
    ) -> Box<dyn FnOnce(Result<T, JournalError>) + Send> {
        let tenure = Arc::downgrade(&self.tenure);
        Box::new(move |answer| {
            if answer.as_ref().is_err_and(is_fenced)
                && let Some(tenure) = tenure.upgrade()
            {
                tenure.doubt();
            }
            reply(answer);
        })
    }
}

/// Whether somebody else holds by now what this was to be done under.
pub(crate) fn is_fenced(error: &JournalError) -> bool {
    use JournalError::{Away, Refused, Storage};

    let (Away(source) | Refused(source) | Storage { source, .. }) = error else { return false };
    matches!(source.downcast_ref::<Error>(), Some(Error::Fenced(_)))
}

impl Journal for FencedJournal {
    fn epoch(&self) -> Epoch {
        self.journal.epoch()
    }

    fn append(&self, batch: Vec<Append>, reply: Reply) -> Result<(), JournalError> {
        self.journal.append_fenced(batch, self.fence()?, self.minding(reply))
    }

    fn bounds(&self) -> Bounds {
        self.journal.bounds()
    }

    fn known(&self) -> Offset {
        self.journal.known()
    }

    fn trimmed(&self, filters: &FilterSet) -> Offset {
        self.journal.trimmed(filters)
    }

    fn read(
        &self,
        after: Offset,
        filters: &FilterSet,
        limit: ReadLimit,
    ) -> Result<Page, JournalError> {
        self.journal.read(after, filters, limit)
    }

    fn state(&self, after: Offset, limit: ReadLimit) -> Result<StatePage, JournalError> {
        self.journal.state(after, limit)
    }

    fn state_horizons(&self) -> Result<StateHorizons, JournalError> {
        self.journal.state_horizons()
    }

    fn ended(&self, topic: &str) -> Option<Ended> {
        self.journal.ended(topic)
    }

    fn list_topics(&self, prefix: &str, after: &str, limit: usize) -> Vec<TopicFigures> {
        self.journal.list_topics(prefix, after, limit)
    }

    fn write_records(
        &self,
        changes: Vec<RecordChange>,
        reply: RecordReply,
    ) -> Result<(), JournalError> {
        self.journal.write_records_fenced(changes, self.fence()?, self.minding(reply))
    }

    fn watch_records(&self, prefix: &'static str, watcher: RecordWatcher) {
        self.journal.watch_records(prefix, watcher);
    }

    fn records(&self, prefix: &str) -> Result<Vec<Record>, JournalError> {
        self.journal.records(prefix)
    }

    fn health(&self) -> Result<(), JournalError> {
        self.journal.health()
    }

    fn damaged(&self) -> u64 {
        self.journal.damaged()
    }

    fn damaged_blocks(&self) -> u64 {
        self.journal.damaged_blocks()
    }

    fn apply_retention(&self, now: ClockReading) -> Result<Option<ClockStep>, JournalError> {
        self.journal.apply_retention(now)
    }

    fn expire(&self, now: ClockReading) -> Result<Option<Duration>, JournalError> {
        self.journal.expire(now)
    }

    fn close(&self) -> Result<(), JournalError> {
        self.journal.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_fence_keeps_out_is_known_as_that() {
        assert!(is_fenced(&crate::outbox::as_journal(&Error::Fenced("lease-desk".into()))));
        assert!(!is_fenced(&crate::outbox::as_journal(&Error::Away("nobody answers".into()))));
        assert!(!is_fenced(&JournalError::Closed));
    }
}
