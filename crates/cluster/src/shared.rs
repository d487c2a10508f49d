//! What the threads of a node share, and why following stops.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_journal::{ClockReading, Error as JournalError, Replica};
use bellwire_model::{Epoch, Timestamp};
use bellwire_shared_log::{Error as LogError, Position, SharedLog};

use crate::Error;
use crate::applies::Applies;
use crate::behind::Behind;
use crate::clock::Clock;
use crate::identity::ClusterId;
use crate::nodes::Applied;
use crate::outbox::Outbox;
use crate::pins::Pins;
use crate::places::place_of;
use crate::sightings::Sightings;
use crate::standing::Standings;
use crate::watchers::Watchers;

/// What the threads of a node share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) log: Arc<dyn SharedLog>,
    pub(crate) replica: Arc<dyn Replica>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) standings: Standings,
    pub(crate) behind: Mutex<Behind>,
    pub(crate) clock: Clock,
    /// Somebody has a reason to look at the epoch.
    pub(crate) doubted: AtomicBool,
    pub(crate) closing: AtomicBool,
    pub(crate) applies: Arc<Applies>,
    pub(crate) sightings: Sightings,
    /// What others are to be left of the log.
    pub(crate) pins: Pins,
    pub(crate) watchers: Watchers,
    /// The epoch of the log, where this node cannot get there by itself.
    pub(crate) needs_snapshot: Mutex<Option<Epoch>>,
    /// Something is lost, and it is waited for what others say, or for the engine.
    pub(crate) raising: AtomicBool,
    /// It is waited for somebody who has the base of the epoch.
    pub(crate) keeps_vigil: AtomicBool,
    /// Which cluster it is, where the log says so, or what the replica has.
    pub(crate) cluster: Mutex<Option<ClusterId>>,
    /// The log is of another one: nothing is set there.
    pub(crate) is_elsewhere: AtomicBool,
}

impl Shared {
    pub(crate) fn behind(&self) -> MutexGuard<'_, Behind> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_needs_snapshot(&self, epoch: Option<Epoch>) {
        *self.needs_snapshot.lock().unwrap_or_else(PoisonError::into_inner) = epoch;
    }

    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        *self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which cluster it is. Returns whether nothing was known of that.
    pub(crate) fn know_cluster(&self, cluster: ClusterId) -> bool {
        let mut known = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        known.replace(cluster).is_none()
    }

    /// Whether others are to know already what this node has, though it has not caught up.
    pub(crate) fn is_to_be_heard(&self) -> bool {
        self.raising.load(Ordering::Acquire) || self.keeps_vigil.load(Ordering::Acquire)
    }

    /// The log is of another cluster, or is not.
    pub(crate) fn set_elsewhere(&self, why: Option<Error>) {
        self.is_elsewhere.store(why.is_some(), Ordering::Release);
        if why.is_some() {
            // Of nobody there.
            self.set_needs_snapshot(None);
        }
        self.outbox.hold(why);
    }

    /// Up to where others may trim the log, as far as it is this node's to say. Nothing while something is lost:
    /// places are those of a log that is gone, and nobody trims then.
    pub(crate) fn applied(&self) -> Option<Applied> {
        if self.raising.load(Ordering::Acquire) {
            return None;
        }
        let position = self.applies.resumes_after()?;
        let position = self.pins.least(self.clock.now().uptime, position);
        Some(Applied { epoch: self.replica.epoch(), position })
    }

    /// Up to which place the replica has what there is.
    pub(crate) fn reached(&self) -> Option<Applied> {
        let epoch = self.replica.epoch();
        let position = place_of(self.replica.bounds().tail);
        Some(Applied { epoch, position }).filter(|_| position > Position::START)
    }

    /// Looks where the log ends.
    pub(crate) fn look_at_tail(&self) -> Result<(), LogError> {
        let now = self.clock.now().uptime;
        let tail = self.log.span()?.tail;
        self.sightings.note(tail, now);
        self.standings.set_tail(tail);
        self.behind().know(tail, now);
        Ok(())
    }

    /// What the clocks say of an entry that was made at that time. Where it is known when it was stored at
    /// the earliest, no more has passed since, however far its maker's clock and this one's are apart.
    pub(crate) fn now(&self, position: Position, made: Timestamp) -> ClockReading {
        let now = self.clock.now();
        let Some(since) = self.sightings.stored_since(position) else { return now };
        let latest = made.saturating_add(now.uptime.saturating_sub(since));
        ClockReading { wall: now.wall.min(latest), ..now }
    }
}

/// Why following goes no further.
pub(crate) enum Stop {
    /// Look again whether all is the same.
    Doubt(Box<str>),
    TooOld {
        position: Position,
        what: Box<str>,
    },
    /// The epoch is to be raised, and this node waits for another one.
    Lost,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<LogError> for Stop {
    fn from(error: LogError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        Self::Failed(error.into())
    }
}
