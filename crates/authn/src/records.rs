//! Records of access in the journal, below `access/`: keys, what was taken back, and what a process leaves
//! to the next.
//!
//! With a journal in memory they live as long as the process.

use std::sync::{Arc, OnceLock};

use bellwire_journal::{Error, Journal, Record, RecordChange};
use tokio::sync::oneshot;

/// The journal, once it is open.
#[derive(Debug, Default)]
pub(crate) struct Records(OnceLock<Arc<dyn Journal>>);

impl Records {
    /// Keeps them in this journal. It is said once.
    pub(crate) fn keep_in(&self, journal: Arc<dyn Journal>) {
        self.0.set(journal).expect("a server has one journal");
    }

    /// Those whose keys begin so. Blocks on the disk.
    pub(crate) fn read(&self, prefix: &str) -> Result<Vec<Record>, Error> {
        self.0.get().map_or(Ok(Vec::new()), |journal| journal.records(prefix))
    }

    /// Has changes made, which nobody waits for.
    pub(crate) fn queue(&self, changes: Vec<RecordChange>) -> Result<(), Error> {
        let journal = self.0.get().ok_or(Error::Closed)?;
        let done = |result| {
            if let Err(error) = result {
                tracing::warn!(%error, "Records of access are not changed as they should be.");
            }
        };
        journal.write_records(changes, Box::new(done))
    }

    /// Makes changes, all or none, and waits until they are synced. `taken` is called before that is
    /// known here, and whether or not anybody still waits: whoever asked may have left.
    pub(crate) async fn write(
        &self,
        changes: Vec<RecordChange>,
        taken: impl FnOnce(&Result<(), Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let (reply, replied) = oneshot::channel();
        let journal = self.0.get().ok_or(Error::Closed)?;
        let done = move |result| {
            taken(&result);
            let _ = reply.send(result);
        };
        journal.write_records(changes, Box::new(done))?;
        replied.await.unwrap_or(Err(Error::Closed))
    }
}
