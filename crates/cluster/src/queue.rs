//! What waits to be appended, and what of it goes into one group commit.

use std::collections::VecDeque;
use std::time::Duration;

use bellwire_journal::{Append, ClockReading, Error as JournalError, RecordChange};
use bellwire_model::Fence as ProducerFence;
use bellwire_model::limits::{APPENDS_QUEUED_BYTES_MAX, APPENDS_QUEUED_MAX, EVENTS_PER_COMMIT_MAX};
use bellwire_shared_log::Fence;
use bytes::Bytes;

use crate::Error;
use crate::batch::Draft;
use crate::envelope::{PAYLOAD_BYTES_MAX, PIECE_BYTES_MAX, pieces};
use crate::window::{Commit, Lane, Waiter};

/// What is to be appended.
pub(crate) enum Content {
    Appends(Vec<Append>),
    Records(Vec<RecordChange>),
}

impl Content {
    /// The server's own topics, records, and what is fenced, never wait behind publishers.
    pub(crate) fn lane(&self, fence: Option<&Fence>) -> Lane {
        let is_own = match self {
            Self::Appends(appends) => appends.iter().all(|it| it.event.topic.is_reserved()),
            Self::Records(_) => true,
        };
        if is_own || fence.is_some() { Lane::Own } else { Lane::Publishers }
    }

    /// What it takes at most, in memory and in the log.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Appends(appends) => appends.iter().map(bytes_of).sum(),
            Self::Records(changes) => changes.iter().map(bytes_of_change).sum(),
        }
    }

    /// How many events it is.
    fn events(&self) -> usize {
        match self {
            Self::Appends(appends) => appends.len(),
            Self::Records(_) => 0,
        }
    }

    /// Fails where it is more than one commit may have.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (events, bytes) = (self.events(), self.bytes());
        if events > EVENTS_PER_COMMIT_MAX {
            return Err(Error::TooMany { events, max: EVENTS_PER_COMMIT_MAX });
        }
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(Error::TooLarge { bytes, max: PAYLOAD_BYTES_MAX });
        }
        Ok(())
    }
}

fn bytes_of(append: &Append) -> usize {
    let key_bytes = append.idempotency_key.as_ref().map_or(0, |key| key.len());
    let producer = |fence: &ProducerFence| size_of::<ProducerFence>() + fence.producer.len();
    let content_type = append.event.body.as_ref().map_or(0, |body| body.content_type().len());
    size_of::<Append>()
        + append.event.size_bytes()
        + content_type
        + key_bytes
        + append.fence.as_deref().map_or(0, producer)
}

fn bytes_of_change(change: &RecordChange) -> usize {
    size_of::<RecordChange>() + change.key.len() + change.value.as_ref().map_or(0, Bytes::len)
}

/// What waits, and who for it.
pub(crate) struct Waiting {
    pub(crate) content: Content,
    pub(crate) bytes: usize,
    pub(crate) waiter: Waiter,
    pub(crate) fence: Option<Fence>,
    pub(crate) since: Duration,
}

/// What waits in the order in which it came.
#[derive(Default)]
pub(crate) struct Queue {
    all: VecDeque<Waiting>,
    bytes: usize,
}

impl Queue {
    /// However large it is, it fits where little else waits.
    pub(crate) fn push(&mut self, waiting: Waiting) -> Result<(), JournalError> {
        if self.bytes >= APPENDS_QUEUED_BYTES_MAX || self.all.len() >= APPENDS_QUEUED_MAX {
            return Err(JournalError::Busy);
        }
        self.bytes += waiting.bytes;
        self.all.push_back(waiting);
        Ok(())
    }

    /// What has waited for longest.
    pub(crate) fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.all.pop_front()?;
        self.bytes -= waiting.bytes;
        Some(waiting)
    }

    /// What has waited for longest, without taking it.
    pub(crate) fn first(&self) -> Option<&Waiting> {
        self.all.front()
    }

    /// What all of it takes at most.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What fits into one payload, and is under one fence.
    pub(crate) fn gather(&mut self, lane: Lane, now: ClockReading) -> Option<Gathered> {
        let first = self.pop()?;
        let (mut events, mut bytes) = (first.content.events(), first.bytes);
        let fence = first.fence.clone();
        let mut all = vec![first];
        while let Some(next) = self.first() {
            events += next.content.events();
            bytes += next.bytes;
            if events > EVENTS_PER_COMMIT_MAX || bytes > PIECE_BYTES_MAX || next.fence != fence {
                break;
            }
            all.extend(self.pop());
        }
        Some(Gathered { all, lane, now })
    }
}

/// What goes into one payload.
pub(crate) struct Gathered {
    all: Vec<Waiting>,
    lane: Lane,
    now: ClockReading,
}

impl Gathered {
    /// As it is appended; or who is to be told why it is not.
    pub(crate) fn commit(self) -> Result<Commit, (Vec<Waiter>, Error)> {
        let room = self.all.iter().map(|waiting| waiting.bytes).sum();
        let mut draft = Draft::at(self.now, room);
        let since = self.all.first().map_or(self.now.uptime, |first| first.since);
        let fence = self.all.first().and_then(|first| first.fence.clone());
        let mut waiters = Vec::with_capacity(self.all.len());
        for Waiting { content, waiter, .. } in self.all {
            match &content {
                Content::Appends(appends) => draft.put_appends(appends),
                Content::Records(changes) => draft.put_records(changes),
            }
            waiters.push(waiter);
        }
        match pieces(&draft.finish()) {
            Ok(pieces) => {
                let (lane, time) = (self.lane, self.now.wall);
                Ok(Commit { pieces, waiters, lane, fence, time, since })
            }
            Err(error) => Err((waiters, error)),
        }
    }
}
