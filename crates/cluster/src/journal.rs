//! The journal of a node: what is appended goes into the shared log, what is read comes from the replica.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bellwire_journal::{
    Append, Bounds, ClockReading, ClockStep, Ended, Error as JournalError, Journal, Page,
    ReadLimit, Record, RecordChange, RecordReply, RecordWatcher, Reply, StateHorizons, StatePage,
    TopicFigures,
};
use bellwire_model::{Epoch, FilterSet, Offset};
use bellwire_shared_log::{Assurance, Fence, Position, Span};

use crate::identity::ClusterId;
use crate::nodes::{self, NodeMark};
use crate::order::PREFIX;
use crate::outbox::{PATIENCE, as_journal};
use crate::pins::Pin;
use crate::queue::Content;
use crate::secret::Secret;
use crate::shared::Shared;
use crate::standing::Standing;
use crate::threads::Threads;
use crate::window::Waiter;
use crate::{Error, epoch};

/// How many offsets another node may be ahead. A cursor from beyond that was given out by none.
const AHEAD_MAX: u64 = 1 << 40;

/// See the module.
#[derive(Debug)]
pub struct ClusterJournal {
    pub(crate) shared: Arc<Shared>,
    pub(crate) threads: Threads,
}

impl ClusterJournal {
    /// How this node stands to the shared log.
    pub fn standing(&self) -> Standing {
        self.shared.standings.get()
    }

    /// For how long this node has known of something in the log that it has not applied; nothing, where
    /// it does not follow.
    pub fn behind(&self) -> Duration {
        let shared = &self.shared;
        if !shared.standings.get().is_well() {
            return Duration::ZERO;
        }
        let reached = shared.applies.reached(shared.standings.upto());
        shared.behind().look(reached, shared.clock.now().uptime)
    }

    /// Whether nothing that was appended waits.
    pub fn is_idle(&self) -> bool {
        self.shared.outbox.is_idle()
    }

    /// For how long the log has taken nothing of what was appended here; not at all where it has all.
    pub fn silence(&self) -> Duration {
        let shared = &self.shared;
        let since = shared.outbox.stuck_since();
        since.map_or(Duration::ZERO, |since| shared.clock.now().uptime.saturating_sub(since))
    }

    /// Gives up what waits to be appended, so that whoever closes it does not wait for that either.
    pub fn give_up(&self) {
        self.shared.outbox.refuse(&JournalError::Closed);
    }

    /// The nodes of the cluster, as they say themselves. Waits for the engine.
    pub fn nodes(&self) -> Result<Vec<NodeMark>, Error> {
        nodes::nodes(&*self.shared.log)
    }

    /// Whether other nodes know this one by this secret: a log that has lost everything may have got another.
    /// Waits for the engine.
    pub fn is_known_by(&self, secret: &Secret) -> Result<bool, Error> {
        secret.counts(&*self.shared.log)
    }

    /// Forgets a node that is gone. Waits for the engine.
    pub fn forget_node(&self, id: &str) -> Result<(), Error> {
        nodes::forget(&*self.shared.log, id)
    }

    /// What the engine may lose. Waits for it.
    pub fn assurance(&self) -> Result<Assurance, Error> {
        Ok(self.shared.log.assurance()?)
    }

    /// Appends in the server's own lane, if the register of the fence is still of that generation where
    /// the engine stores it: for who holds a [`Lease`](crate::Lease).
    pub fn append_fenced(
        &self,
        batch: Vec<Append>,
        fence: Fence,
        reply: Reply,
    ) -> Result<(), JournalError> {
        self.shared.replica.check_room(&batch)?;
        self.shared.outbox.queue(Content::Appends(batch), Waiter::Appends(reply), Some(fence))
    }

    /// The same of changes of records.
    pub fn write_records_fenced(
        &self,
        changes: Vec<RecordChange>,
        fence: Fence,
        reply: RecordReply,
    ) -> Result<(), JournalError> {
        self.shared.replica.check_room_for_records(&changes)?;
        self.shared.outbox.queue(Content::Records(changes), Waiter::Records(reply), Some(fence))
    }

    /// Up to where the log was applied here, which is what others may trim at most.
    pub fn applied(&self) -> Option<Position> {
        let applies = &self.shared.applies;
        applies.tail().map(|tail| tail.position).or_else(|| applies.resumes_after())
    }

    /// The epoch of the log, where what comes next of it is gone: only a snapshot helps then.
    pub fn needs_snapshot(&self) -> Option<Epoch> {
        *self.shared.needs_snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which cluster it is, once the log says so or what is here does.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.shared.cluster()
    }

    /// Whether this node goes on with what it has in the end, where nobody comes who gives it a snapshot.
    pub fn keeps_vigil(&self) -> bool {
        self.shared.keeps_vigil.load(Ordering::Acquire)
    }

    /// How far the log was read, whether or not anything of it was applied.
    pub fn followed(&self) -> Position {
        self.shared.standings.upto()
    }

    /// Keeps the log behind what was applied here from being trimmed, for a node that gets a snapshot which
    /// is made from now on. Nothing, where nothing was applied yet.
    pub fn pin(&self, node: &str) -> Option<Pin> {
        let at = self.shared.applies.resumes_after()?;
        Some(self.shared.pins.pin(at, node, &self.shared.clock))
    }

    /// Where the log begins and ends. Waits for the engine.
    pub fn span(&self) -> Result<Span, Error> {
        Ok(self.shared.log.span()?)
    }

    /// Lets go of the log up to what is placed there, which was applied here. Replicas that have not got
    /// there begin anew. Waits for the engine.
    pub fn trim_log(&self, until: Position) -> Result<(), Error> {
        let epoch = self.shared.replica.epoch();
        let Some(tail) = self.shared.applies.tail() else { return Ok(()) };
        // So that whoever was away can tell that nothing was lost.
        if !epoch::refresh(&*self.shared.log, epoch, tail)? {
            return Ok(());
        }
        Ok(self.shared.log.trim(until.min(tail.position))?)
    }
}

impl Journal for ClusterJournal {
    fn epoch(&self) -> Epoch {
        self.shared.replica.epoch()
    }

    fn append(&self, batch: Vec<Append>, reply: Reply) -> Result<(), JournalError> {
        self.shared.replica.check_room(&batch)?;
        self.shared.outbox.queue(Content::Appends(batch), Waiter::Appends(reply), None)
    }

    fn bounds(&self) -> Bounds {
        self.shared.replica.bounds()
    }

    /// Whoever comes over from a node that is ahead has seen what comes here in a moment.
    fn known(&self) -> Offset {
        Offset::new(self.bounds().tail.get().saturating_add(AHEAD_MAX))
    }

    fn trimmed(&self, filters: &FilterSet) -> Offset {
        self.shared.replica.trimmed(filters)
    }

    fn read(
        &self,
        after: Offset,
        filters: &FilterSet,
        limit: ReadLimit,
    ) -> Result<Page, JournalError> {
        self.shared.replica.read(after, filters, limit)
    }

    fn state(&self, after: Offset, limit: ReadLimit) -> Result<StatePage, JournalError> {
        self.shared.replica.state(after, limit)
    }

    fn state_horizons(&self) -> Result<StateHorizons, JournalError> {
        self.shared.replica.state_horizons()
    }

    fn ended(&self, topic: &str) -> Option<Ended> {
        self.shared.replica.ended(topic)
    }

    fn list_topics(&self, prefix: &str, after: &str, limit: usize) -> Vec<TopicFigures> {
        self.shared.replica.list_topics(prefix, after, limit)
    }

    fn write_records(
        &self,
        changes: Vec<RecordChange>,
        reply: RecordReply,
    ) -> Result<(), JournalError> {
        self.shared.replica.check_room_for_records(&changes)?;
        self.shared.outbox.queue(Content::Records(changes), Waiter::Records(reply), None)
    }

    fn watch_records(&self, prefix: &'static str, watcher: RecordWatcher) {
        self.shared.watchers.add(prefix, watcher);
    }

    /// Those of the node's own are no part of it.
    fn records(&self, prefix: &str) -> Result<Vec<Record>, JournalError> {
        let mut records = self.shared.replica.records(prefix)?;
        records.retain(|record| !record.key.starts_with(PREFIX));
        Ok(records)
    }

    fn health(&self) -> Result<(), JournalError> {
        self.shared.replica.health()?;
        match self.standing() {
            Standing::Following { .. } => Ok(()),
            Standing::Starting => Err(as_journal(&Error::Away("it was not reached yet".into()))),
            Standing::Away { why }
            | Standing::Unfit { why }
            | Standing::Stuck { why }
            | Standing::TooOld { why } => Err(as_journal(&Error::Away(why))),
        }
    }

    fn damaged(&self) -> u64 {
        self.shared.replica.damaged()
    }

    fn damaged_blocks(&self) -> u64 {
        self.shared.replica.damaged_blocks()
    }

    fn apply_retention(&self, now: ClockReading) -> Result<Option<ClockStep>, JournalError> {
        self.shared.replica.apply_retention(now)
    }

    /// Whoever holds the lease for it does so by itself.
    fn expire(&self, _: ClockReading) -> Result<Option<Duration>, JournalError> {
        Ok(None)
    }

    fn close(&self) -> Result<(), JournalError> {
        self.shared.outbox.drain(PATIENCE);
        self.shared.closing.store(true, Ordering::Release);
        self.threads.join();
        self.shared.replica.close()
    }
}

impl Drop for ClusterJournal {
    fn drop(&mut self) {
        // Whoever wants to know how it went calls `close`.
        self.shared.outbox.refuse(&JournalError::Closed);
        self.shared.closing.store(true, Ordering::Release);
    }
}
