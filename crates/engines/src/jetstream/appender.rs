//! Appends in a row: each is sent behind the one before, and most are sent before that is answered.

use std::sync::Arc;

use async_nats::jetstream::context::PublishAckFuture;
use bellwire_shared_log::{Error, Fence, Position, Stored, check_append};
use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::failure::Failure;
use super::log::{BUSY_ATTEMPTS_MAX, BUSY_PAUSE, Log};
use crate::answer::Answer;
use crate::runtime::Runtime;

/// How much may be queued or under way, in bytes: whoever appends is to look after that himself, with
/// less.
const PENDING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Each batch counts as many of these, rounded up, so that their number is bounded as well.
const UNIT_BYTES: usize = 1024;

/// How many batches may be queued, which are all of [`PENDING_BYTES_MAX`] at their smallest.
const QUEUE_LENGTH: usize = PENDING_BYTES_MAX / UNIT_BYTES;

/// Where appends are queued.
#[derive(Debug)]
pub(super) struct Appender {
    queue: Sender<Append>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct Append {
    batch: Bytes,
    fence: Option<Fence>,
    answer: Answer,
    _room: OwnedSemaphorePermit,
}

impl Appender {
    /// One for this log, at work until it is dropped.
    pub(super) fn start(runtime: &Runtime, log: Arc<Log>) -> Self {
        let (queue, queued) = channel(QUEUE_LENGTH);
        runtime.spawn(work(log, queued));
        Self { queue, room: Arc::new(Semaphore::new(QUEUE_LENGTH)) }
    }

    /// Queues a batch, or says why it is not.
    pub(super) fn append(
        &self,
        batch: Bytes,
        fence: Option<Fence>,
        stored: Stored,
    ) -> Result<(), (Answer, Error)> {
        let answer = Answer::new(stored);
        if let Err(error) = check_append(&batch, fence.as_ref()) {
            return Err((answer, error));
        }
        let units = batch.len().div_ceil(UNIT_BYTES).max(1) as u32;
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(units) else {
            return Err((answer, Error::Away("too many batches wait for the server".to_owned())));
        };
        let append = Append { batch, fence, answer, _room: room };
        self.queue.try_send(append).map_err(|refused| {
            let answer = refused.into_inner().answer;
            (answer, Error::Away("what appends has ended".to_owned()))
        })
    }
}

async fn work(log: Arc<Log>, mut queued: Receiver<Append>) {
    while let Some(append) = queued.recv().await {
        // What is sent without a connection would be kept, and stored by surprise.
        if let Err(error) = log.connection.present() {
            append.answer.give(Err(error));
            continue;
        }
        match log.send(append.batch.clone(), append.fence.as_ref()).await {
            // Several servers judge but one append at a time by a register, and refuse others
            // meanwhile. What comes behind has to wait, so that it stays behind.
            Ok(sent) if append.fence.is_some() && log.is_replicated() => {
                settle(&log, append, sent).await;
            }
            Ok(sent) => {
                let log = Arc::clone(&log);
                tokio::spawn(async move { settle(&log, append, sent).await });
            }
            Err(failure) => append.answer.give(Err(failure.into_error())),
        }
    }
}

/// Waits until the server has answered, and tells whoever appended.
async fn settle(log: &Log, append: Append, sent: PublishAckFuture) {
    let mut listener = log.connection.listen();
    let stored = tokio::select! {
        stored = acknowledged(log, &append.batch, append.fence.as_ref(), sent) => stored,
        why = listener.interruption(&log.names.log) => Err(why),
    };
    append.answer.give(stored);
}

async fn acknowledged(
    log: &Log,
    batch: &Bytes,
    fence: Option<&Fence>,
    mut sent: PublishAckFuture,
) -> Result<Position, Error> {
    for _ in 0..BUSY_ATTEMPTS_MAX {
        match (sent.await.map_err(Failure::from), fence) {
            (Ok(stored), _) => return Ok(Position::new(stored.sequence)),
            (Err(Failure::Generation), Some(fence)) => {
                return Err(Error::Fenced(fence.register.clone()));
            }
            (Err(Failure::Busy), _) => sleep(BUSY_PAUSE).await,
            (Err(failure), _) => return Err(failure.into_error()),
        }
        sent = log.send(batch.clone(), fence).await.map_err(Failure::into_error)?;
    }
    Err(Failure::Busy.into_error())
}
