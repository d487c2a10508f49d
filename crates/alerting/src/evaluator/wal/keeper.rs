//! What takes the disk a while: syncs, and putting checkpoints in their places. The evaluator must
//! not wait for it.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::files;
use crate::figures::Figures;

/// Chores that may wait. One that finds no room is left out: the next sync stands for it, and a
/// checkpoint that is not put in its place is replaced by the next.
const CHORES_MAX: usize = 4;

/// Something to do.
#[derive(Debug)]
pub(super) enum Chore {
    /// Makes what was written durable.
    Sync(Arc<File>),
    /// A checkpoint is complete.
    Finish { file: File, number: u64 },
}

/// A thread for chores; it ends with this.
#[derive(Debug)]
pub(super) struct Keeper {
    chores: SyncSender<Chore>,
}

impl Keeper {
    pub(super) fn start(folder: PathBuf, figures: Arc<Figures>) -> io::Result<Self> {
        let (chores, queue) = sync_channel(CHORES_MAX);
        let run = move || keep(&folder, &queue, &figures);
        std::thread::Builder::new().name("rule-state".to_owned()).spawn(run)?;
        Ok(Self { chores })
    }

    pub(super) fn do_later(&self, chore: Chore) {
        if let Err(TrySendError::Full(chore)) = self.chores.try_send(chore) {
            tracing::warn!(?chore, "The disk is slow; the rules' state is synced later.");
        }
    }
}

fn keep(folder: &std::path::Path, queue: &Receiver<Chore>, figures: &Figures) {
    for chore in queue {
        let result = match chore {
            Chore::Sync(file) => file.sync_data(),
            Chore::Finish { file, number } => files::finish(folder, &file, number),
        };
        if let Err(error) = result {
            figures.rule_state_failures.add(1);
            tracing::error!(%error, "The rules' state cannot be synced.");
        }
    }
}
