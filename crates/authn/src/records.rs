//! Records of access in the journal, below `access/`: keys, what was taken back, and what a process leaves
//! to the next.
//!
//! With a journal in memory they live as long as the process.
//!
//! The journal may be away for long. Nobody who asks for a change waits for all of that: it stays queued, and
//! has its effect when the journal takes it.

use std::io;
use std::sync::{Arc, OnceLock};

use bellwire_journal::{Error, Journal, Record, RecordChange};
use bellwire_model::limits::ACCESS_WRITE_TIMEOUT;
use bellwire_wire::problem::Problem;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};
use tokio::time::timeout;

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

    /// Makes changes, all or none, and waits until they are synced, but not for ever. `taken` is called
    /// before that is known here, and whether or not anybody still waits: whoever asked may have left, or
    /// have been told that nobody knows yet.
    pub(crate) async fn write(
        &self,
        changes: Vec<RecordChange>,
        taken: impl FnOnce(&Result<(), Error>) + Send + 'static,
    ) -> Result<(), Error> {
        bounded(self.write_however_long(changes, taken)).await
    }

    /// The same for whoever has all the time.
    pub(crate) async fn write_however_long(
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

/// Waits for the turn of who changes something, but not for ever: those before wait for the journal.
pub(crate) async fn turn(of: &Arc<Mutex<()>>) -> Result<OwnedMutexGuard<()>, Error> {
    let turn = timeout(ACCESS_WRITE_TIMEOUT, Arc::clone(of).lock_owned()).await;
    turn.map_err(|_| {
        let error = "the journal has not answered to changes of access before this one";
        Error::Refused(Arc::new(io::Error::new(io::ErrorKind::TimedOut, error)))
    })
}

/// Does work to its end, whoever waits for it, and waits for it, but not for ever.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let work = tokio::spawn(work);
    bounded(async { work.await.unwrap_or(Err(Error::Unanswered)) }).await
}

/// Waits for work that goes on without whoever waits, but not for ever.
pub(crate) async fn bounded<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(ACCESS_WRITE_TIMEOUT, work).await.unwrap_or_else(|_| {
        let error =
            "the journal has not answered yet: the change is queued, and made once it can be";
        Err(Error::Away(Arc::new(io::Error::new(io::ErrorKind::TimedOut, error))))
    })
}

/// What counts here already could not be written down.
pub(crate) fn not_kept(error: Error, detail: &str) -> Problem {
    let problem = Problem::from(error);
    let told = Problem::new(problem.code, detail).retry_after(1);
    if problem.is_maybe_taken() == Some(true) { told.may_be_taken() } else { told }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use bellwire_journal::{MemoryJournal, Observer};
    use bellwire_model::{Entry, Epoch};
    use bellwire_wire::problem::Code;

    use super::*;

    struct Nobody;

    impl Observer for Nobody {
        fn on_commit(&mut self, _: Vec<Entry>) {}
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_and_what_is_queued_has_its_effect_when_it_comes() {
        let (go_on, busy) = mpsc::sync_channel(1);
        let journal = MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody));
        let records = Records::default();
        let change =
            |key: &str| vec![RecordChange { key: key.into(), value: Some(b"1".as_slice().into()) }];
        let keep_busy = Box::new(move |_| {
            let _ = busy.recv();
        });
        journal.write_records(change("busy"), keep_busy).expect("queued");
        records.keep_in(Arc::new(journal));
        let (sender, taken) = mpsc::sync_channel(1);
        let error = records
            .write(change("access/a"), move |result| {
                let _ = sender.send(result.is_ok());
            })
            .await;
        let problem = not_kept(error.expect_err("it is busy"), "ask once more");
        assert_eq!(
            (problem.code, problem.is_maybe_taken()),
            (Code::JournalUnavailable, Some(true))
        );
        assert!(taken.try_recv().is_err(), "it is not there yet");
        go_on.send(()).expect("it waits");
        assert_eq!(taken.recv(), Ok(true), "it has its effect");
        assert_eq!(records.read("access/a").expect("records").len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_does_not_come_is_said_so_and_work_goes_on_that_nobody_waits_for() {
        let turns = Arc::new(Mutex::new(()));
        let held = turn(&turns).await.expect("the first");
        let problem = Problem::from(turn(&turns).await.expect_err("it is held"));
        assert_eq!(
            (problem.code, problem.is_maybe_taken()),
            (Code::JournalUnavailable, Some(false))
        );
        let (sender, done) = oneshot::channel();
        let (turns, work) = (Arc::clone(&turns), async move |turns: Arc<Mutex<()>>| {
            let _turn = turns.lock_owned().await;
            sender.send(()).map_err(|()| Error::Closed)
        });
        let error = to_its_end(work(turns)).await.expect_err("it waits");
        assert_eq!(Problem::from(error).is_maybe_taken(), Some(true));
        drop(held);
        done.await.expect("it was done all the same");
    }
}
