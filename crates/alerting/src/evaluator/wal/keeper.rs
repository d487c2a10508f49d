//! What takes the disk a while: syncs, and putting checkpoints in their places. The evaluator must
//! not wait for it.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::files;
use super::keeping::RecordKept;

/// Chores that may wait. One that finds no room is left out: the next sync of the log stands for it,
/// and a checkpoint that is not put in its place is replaced by the next.
const CHORES_MAX: usize = 4;

/// Something to do.
#[derive(Debug)]
pub(super) enum Chore {
    /// Makes what was written durable.
    Sync(Arc<File>),
    /// A checkpoint is complete.
    Finish { file: File, number: u64 },
    /// The disk is full.
    Shed,
}

/// A thread for chores; it ends with this.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Until it ends.
    chores: Option<SyncSender<Chore>>,
    thread: Option<JoinHandle<()>>,
    /// What has failed since somebody asked.
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl Keeper {
    pub(super) fn start(folder: PathBuf, kept: RecordKept) -> io::Result<Self> {
        let (chores, queue) = sync_channel(CHORES_MAX);
        let failure = Arc::default();
        let failed = Arc::clone(&failure);
        let run = move || keep((&folder, kept), &queue, &failed);
        let thread = std::thread::Builder::new().name("rule-state".to_owned()).spawn(run)?;
        Ok(Self { chores: Some(chores), thread: Some(thread), failure })
    }

    /// Says whether there was room for it.
    pub(super) fn do_later(&self, chore: Chore) -> bool {
        let Some(chores) = &self.chores else { return false };
        let result = chores.try_send(chore);
        if let Err(TrySendError::Full(chore)) = &result {
            tracing::warn!(?chore, "The disk is slow; the rules' state is synced later.");
        }
        result.is_ok()
    }

    /// What has failed since the last call: what was written may be lost.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// One that has so much to do that nothing more has room.
    #[cfg(test)]
    pub(super) fn without_room() -> Self {
        let (chores, _) = sync_channel(0);
        Self { chores: Some(chores), thread: None, failure: Arc::default() }
    }

    #[cfg(test)]
    pub(super) fn note(&self, error: io::Error) {
        note(&self.failure, error);
    }
}

/// Whoever writes to the folder next, in this process, has it alone.
impl Drop for Keeper {
    fn drop(&mut self) {
        self.chores = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("What syncs the rules' state had failed.");
        }
    }
}

fn keep(
    (folder, kept): (&std::path::Path, RecordKept),
    queue: &Receiver<Chore>,
    failure: &Mutex<Option<io::Error>>,
) {
    for chore in queue {
        let result = match chore {
            Chore::Sync(file) => file.sync_data(),
            Chore::Finish { file, number } => files::finish(folder, (&file, number), kept),
            Chore::Shed => files::shed(folder),
        };
        if let Err(error) = result {
            note(failure, error);
        }
    }
}

fn note(failure: &Mutex<Option<io::Error>>, error: io::Error) {
    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
}
