//! What a node does now and then: it says that it is there, looks at the epoch and at how far it is behind,
//! and while it holds the lease for it, has keys go whose time is over and trims the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bellwire_journal::{Appended, Error as JournalError};
use bellwire_model::Epoch;
use bellwire_model::limits::STATE_LOOKS_MAX;
use bellwire_shared_log::{Fence, Position};

use crate::Error;
use crate::epoch;
use crate::fenced::is_fenced;
use crate::identity::ClusterId;
use crate::lease::{self, Lease, Stepped, Wanted};
use crate::mark::Mark;
use crate::nodes::{self, Announcer, BEAT};
use crate::queue::Content;
use crate::shared::Shared;
use crate::trimming::{TRIM_INTERVAL, TRIM_MARGIN, TRIM_STEP_MAX, Trimming};
use crate::window::Waiter;

/// Nothing moves for so long before it is said that the engine takes nothing.
const STUCK_AGE: Duration = Duration::from_secs(2);

/// How often the register of the epoch is told of a newer tail.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10);

/// Who has followed a log for so long that is of no cluster yet has it be of one. Those who have data that an
/// engine has lost are back before, and it is theirs.
const SETTLE_AGE: Duration = Duration::from_mins(1);

/// How often it is looked for keys whose time is over, where nobody knows better.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct House {
    shared: Arc<Shared>,
    announcer: Announcer,
    lease: Lease,
    /// The fence under which keys are deleted.
    keeping: Option<(Fence, Arc<Barrier>)>,
    /// Deletions that are not answered.
    deleting: Arc<AtomicUsize>,
    /// Something was kept out by the fence: the lease is another's, or gone with what the engine has lost.
    is_kept_out: Arc<AtomicBool>,
    /// An epoch of which nobody has said of which cluster it is, and since when this node follows it.
    unsettled: Option<(Epoch, Duration)>,
    next_beat: Duration,
    next_refresh: Duration,
    next_expiry: Duration,
    trimming: Trimming,
    next_trim: Duration,
}

impl House {
    pub(crate) fn new(shared: Arc<Shared>, announcer: Announcer, lease: Lease) -> Self {
        Self {
            shared,
            announcer,
            lease,
            keeping: None,
            deleting: Arc::new(AtomicUsize::new(0)),
            is_kept_out: Arc::default(),
            unsettled: None,
            next_beat: Duration::ZERO,
            next_refresh: Duration::ZERO,
            next_expiry: Duration::ZERO,
            trimming: Trimming::default(),
            next_trim: Duration::ZERO,
        }
    }

    fn now(&self) -> Duration {
        self.shared.clock.now().uptime
    }

    /// Does what is due. Returns how long there is nothing more.
    pub(crate) fn turn(&mut self) -> Duration {
        // In the log of others this node has no house.
        if self.shared.is_elsewhere.load(Ordering::Acquire) {
            return BEAT;
        }
        self.say();
        self.look_at_appends();
        let next = self.hold();
        if let Err(error) = self.keep() {
            tracing::warn!(%error, "What is kept for all nodes could not be seen to.");
        }
        next.min(self.next_beat).saturating_sub(self.now())
    }

    /// Says that the node is there, and what it has, where that is due.
    pub(crate) fn say(&mut self) {
        if self.now() >= self.next_beat {
            self.next_beat = self.now().saturating_add(BEAT);
            if let Err(error) = self.beat() {
                tracing::debug!(%error, "This node could not say that it is there.");
            }
        }
    }

    /// Lets go of what it holds.
    pub(crate) fn close(&mut self) {
        self.lease.want(Wanted::No);
        if self.lease.held(self.now()).is_some() {
            self.hold();
        }
    }

    fn beat(&mut self) -> Result<(), Error> {
        let shared = &self.shared;
        shared.look_at_tail()?;
        let mark = epoch::current(&*shared.log);
        let known = shared.cluster();
        if let Ok(Some(Mark { cluster: Some(cluster), .. })) = &mark
            && known.is_some_and(|known| known != *cluster)
        {
            shared.doubted.store(true, Ordering::Release);
            return Ok(());
        }
        if shared.standings.get().is_well() {
            self.look_at_epoch(mark?)?;
        }
        let shared = &self.shared;
        for node in shared.pins.nodes() {
            let applied = nodes::applied(&*shared.log, (&node, shared.replica.epoch()));
            // Where it cannot be read it is kept for as long as for whoever says nothing.
            if let Ok(Some(applied)) = applied {
                shared.pins.applied(&node, applied);
            }
        }
        self.announcer.announce(&*shared.log, (shared.applied(), shared.reached()))
    }

    /// Looks whether the epoch is still the one that is followed, and which cluster it is of.
    fn look_at_epoch(&mut self, mark: Option<Mark>) -> Result<(), Error> {
        let (shared, epoch) = (Arc::clone(&self.shared), self.shared.replica.epoch());
        let Some(mark) = mark.filter(|mark| mark.epoch == epoch) else {
            shared.doubted.store(true, Ordering::Release);
            return Ok(());
        };
        let Some(cluster) = mark.cluster else { return self.settle(epoch) };
        self.unsettled = None;
        if shared.know_cluster(cluster) {
            // It is kept with what is applied next, and maybe nobody publishes.
            let met = Waiter::Appends(Box::new(|_| ()));
            shared.outbox.queue(Content::Appends(Vec::new()), met, None)?;
        }
        Ok(())
    }

    /// Says which cluster it is, where the log does not: what the replica says, or one more after a while.
    fn settle(&mut self, epoch: Epoch) -> Result<(), Error> {
        let now = self.now();
        let since = self.unsettled.filter(|(of, _)| *of == epoch).map_or(now, |it| it.1);
        self.unsettled = Some((epoch, since));
        let is_due = now.saturating_sub(since) >= SETTLE_AGE;
        if let Some(cluster) = self.shared.cluster().or_else(|| is_due.then(ClusterId::random)) {
            epoch::settle(&*self.shared.log, epoch, cluster)?;
        }
        Ok(())
    }

    /// Says so where the engine takes nothing.
    fn look_at_appends(&self) {
        let now = self.now();
        let stuck = self.shared.outbox.stuck();
        let stuck = stuck.filter(|(since, _)| now.saturating_sub(*since) > STUCK_AGE);
        self.shared.standings.set_appending(stuck.map(|(_, why)| why));
    }

    /// Takes the lease, or goes on holding it. Returns when it is to be looked at next.
    fn hold(&mut self) -> Duration {
        if self.shared.closing.load(Ordering::Acquire) || !self.shared.standings.get().is_well() {
            self.lease.want(Wanted::No);
        } else {
            self.lease.want(Wanted::Yes);
        }
        if self.is_kept_out.swap(false, Ordering::AcqRel) {
            self.lease.doubt();
        }
        match lease::step(&mut self.lease, &*self.shared.log, &self.shared.clock) {
            Stepped::Waits(until) => until,
            Stepped::Unanswered => self.next_beat,
            Stepped::Looked(_) | Stepped::Set => self.now(),
        }
    }

    /// What the holder of the lease does.
    fn keep(&mut self) -> Result<(), Error> {
        let Some(fence) = self.lease.held(self.now()) else {
            self.keeping = None;
            return Ok(());
        };
        let shared = Arc::clone(&self.shared);
        let is_kept = |(before, barrier): &&(Fence, Arc<Barrier>)| {
            *before == fence && !barrier.has_failed.load(Ordering::Acquire)
        };
        let barrier = match self.keeping.as_ref().filter(is_kept) {
            Some((_, barrier)) => Arc::clone(barrier),
            None => self.ask(&fence)?,
        };
        if !barrier.was_met.load(Ordering::Acquire) || !shared.standings.get().is_well() {
            return Ok(());
        }
        let now = self.now();
        if now >= self.next_refresh {
            self.next_refresh = now.saturating_add(REFRESH_INTERVAL);
            let epoch = shared.replica.epoch();
            if let Some(tail) = shared.applies.tail() {
                epoch::refresh(&*shared.log, epoch, tail)?;
            }
        }
        if now >= self.next_expiry && self.deleting.load(Ordering::Acquire) == 0 {
            self.expire(fence)?;
        }
        if now >= self.next_trim {
            self.next_trim = now.saturating_add(TRIM_INTERVAL);
            self.trim(now)?;
        }
        Ok(())
    }

    /// Lets go of what nobody needs of the log any more, a part at a time.
    fn trim(&mut self, now: Duration) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        // Before the tail: one of before is never told as of a newer epoch.
        let epoch = shared.replica.epoch();
        let Some(tail) = shared.applies.tail() else { return Ok(()) };
        let span = shared.log.span()?;
        if span.tail.get().saturating_sub(tail.position.get()) > TRIM_MARGIN {
            // Registers may be in the log, too, as in that of NATS: what is before an entry of which
            // nothing comes can go.
            let met = Waiter::Appends(Box::new(|_| ()));
            shared.outbox.queue(Content::Appends(Vec::new()), met, None)?;
        }
        let Some(until) =
            self.trimming.look(&nodes::nodes(&*shared.log)?, (epoch, span.trimmed), now)
        else {
            return Ok(());
        };
        if until <= span.trimmed {
            return Ok(());
        }
        let step = Position::new(span.trimmed.get().saturating_add(TRIM_STEP_MAX));
        if step < until {
            self.next_trim = now.saturating_add(BEAT);
        }
        // So that whoever was away can tell that nothing was lost.
        if !epoch::refresh(&*shared.log, epoch, tail)? {
            return Ok(());
        }
        Ok(shared.log.trim(until.min(step).min(tail.position))?)
    }

    /// Puts nothing into the log, to meet it there.
    fn ask(&mut self, fence: &Fence) -> Result<Arc<Barrier>, Error> {
        let barrier = Arc::new(Barrier::default());
        let (met, is_kept_out) = (Arc::clone(&barrier), Arc::clone(&self.is_kept_out));
        let reply = Waiter::Appends(Box::new(move |answer| {
            note(&answer, &is_kept_out);
            let flag = if answer.is_ok() { &met.was_met } else { &met.has_failed };
            flag.store(true, Ordering::Release);
        }));
        let content = Content::Appends(Vec::new());
        self.shared.outbox.queue(content, reply, Some(fence.clone()))?;
        self.keeping = Some((fence.clone(), Arc::clone(&barrier)));
        Ok(barrier)
    }

    /// Puts into the log what deletes keys whose time is over.
    fn expire(&mut self, fence: Fence) -> Result<(), Error> {
        let now = self.shared.clock.now();
        let due = self.shared.replica.due(now, STATE_LOOKS_MAX)?;
        let soon = now.uptime.saturating_add(EXPIRY_INTERVAL);
        self.next_expiry = due.next.map_or(soon, |next| next.min(soon));
        for key in due.keys {
            let guard = Deleting::one(&self.deleting);
            // It may have got another value or another time meanwhile: then it stays.
            let is_kept_out = Arc::clone(&self.is_kept_out);
            let reply = Waiter::Appends(Box::new(move |answer| {
                note(&answer, &is_kept_out);
                drop(guard);
            }));
            let content = Content::Appends(vec![key.deletion(now.wall)]);
            self.shared.outbox.queue(content, reply, Some(fence.clone()))?;
        }
        Ok(())
    }
}

/// Says so where a fence has kept something out.
fn note(answer: &Result<Vec<Appended>, JournalError>, is_kept_out: &AtomicBool) {
    if answer.as_ref().is_err_and(is_fenced) {
        is_kept_out.store(true, Ordering::Release);
    }
}

/// An entry of which nothing comes: once it was met under a fence, all is applied here that was done under
/// the one before, and nothing more comes of that.
#[derive(Debug, Default)]
struct Barrier {
    was_met: AtomicBool,
    has_failed: AtomicBool,
}

/// A deletion that is not answered, whatever becomes of it.
struct Deleting(Arc<AtomicUsize>);

impl Deleting {
    fn one(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(all))
    }
}

impl Drop for Deleting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
