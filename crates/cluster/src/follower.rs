//! Follows the log, and applies what counts of it to the replica.
//!
//! ```text
//!            ┌── ended, another epoch, the replica failed ──┐
//!            ▼                                              │
//!  doubt: is the log the same? ──▶ follow behind the tail ──┴─▶ entry ─▶ Order ─▶ Replica::apply
//!            │ no                        ▲
//!            └──▶ begin anew ────────────┘
//! ```
//!
//! Everything begins with the doubt, also a start, and each time with what the replica has on its disk:
//! what was in memory only is read again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_journal::{
    ClockReading, Error as JournalError, Placed, PlacedBatch, RecordChange, Replica,
};
use bellwire_model::{Epoch, Offset, Timestamp};
use bellwire_shared_log::{Ended, Entry, Error as LogError, Following, Position, SharedLog, Span};
use bytes::Bytes;

use crate::Error;
use crate::applies::Applies;
use crate::batch::{self, Item};
use crate::behind::Behind;
use crate::clock::Clock;
use crate::envelope::{self, Head, MINOR, Piece, Unread};
use crate::epoch::{self, Own, Verdict as OfEpoch};
use crate::fields::{Fields, put_number};
use crate::nodes::Applied;
use crate::order::{Order, PREFIX, Tail, Verdict};
use crate::outbox::{Begin, Outbox, as_journal, as_refused, fail};
use crate::pins::Pins;
use crate::sightings::Sightings;
use crate::standing::{Standing, Standings};
use crate::window::{Met, Waiter};

/// So many bits of an offset say which event of an entry it is.
pub(crate) const EVENT_BITS: u32 = 14;

/// The place in the log of what is at an offset.
pub fn place_of(offset: Offset) -> Position {
    Position::new(offset.get() >> EVENT_BITS)
}

/// Where the ordinal of the replica's epoch is kept.
const ORDINAL: &str = "cluster/ordinal";

/// So often in a row what follows may end before anything has come of it, until that is told.
const DOUBTS_MAX: u32 = 5;

/// What has followed for so long without an end is sound, though nothing has come.
const SOUND_AGE: Duration = Duration::from_secs(5);

/// How long is waited before the next try, at first and at most.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

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
    /// The epoch of the log, where what comes next of it is gone.
    pub(crate) needs_snapshot: Mutex<Option<Epoch>>,
}

impl Shared {
    pub(crate) fn behind(&self) -> MutexGuard<'_, Behind> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_needs_snapshot(&self, epoch: Option<Epoch>) {
        *self.needs_snapshot.lock().unwrap_or_else(PoisonError::into_inner) = epoch;
    }

    /// Up to where others may trim the log, as far as it is this node's to say.
    pub(crate) fn applied(&self) -> Option<Applied> {
        let position = self.applies.resumes_after()?;
        let position = self.pins.least(self.clock.now().uptime, position);
        Some(Applied { epoch: self.replica.epoch(), position })
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
    fn now(&self, position: Position, made: Timestamp) -> ClockReading {
        let now = self.clock.now();
        let Some(since) = self.sightings.stored_since(position) else { return now };
        let latest = made.saturating_add(now.uptime.saturating_sub(since));
        ClockReading { wall: now.wall.min(latest), ..now }
    }
}

/// See the module.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    stage: Stage,
    retry: Duration,
    /// How often what followed has ended since something came of it.
    doubts: u32,
    /// The newest ordinal that was seen, in this process.
    ordinal: u64,
    /// An epoch of others that was looked at already.
    looked_at: Option<Epoch>,
}

enum Stage {
    /// Nothing is known.
    Doubt,
    Following(Box<Followed>),
    /// A newer Bellwire has written what is next.
    TooOld,
}

struct Followed {
    following: Box<dyn Following>,
    order: Order,
    epoch: Epoch,
    /// To be kept with what is applied next.
    ordinal: Option<u64>,
    /// Since when it is followed.
    since: Duration,
}

/// Why following goes no further.
enum Stop {
    /// Look again whether all is the same.
    Doubt(Box<str>),
    TooOld {
        position: Position,
        what: Box<str>,
    },
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

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let stage = Stage::Doubt;
        Self { shared, stage, retry: RETRY_MIN, doubts: 0, ordinal: 0, looked_at: None }
    }

    /// Goes on by a step, and waits for so long for entries. Returns how long to wait before the next
    /// one.
    pub(crate) fn turn(&mut self, patience: Duration) -> Duration {
        if self.shared.doubted.swap(false, Ordering::AcqRel)
            && let Stage::Following(_) = self.stage
        {
            self.stage = Stage::Doubt;
        }
        let turned = match &mut self.stage {
            Stage::TooOld => return RETRY_MAX,
            Stage::Doubt => self.begin(),
            Stage::Following(_) => self.follow(patience),
        };
        match turned {
            Ok(()) => Duration::ZERO,
            Err(stop) => self.stop(stop),
        }
    }

    fn stop(&mut self, stop: Stop) -> Duration {
        let shared = &self.shared;
        self.stage = Stage::Doubt;
        let standing = match stop {
            Stop::Doubt(_) if self.doubts < DOUBTS_MAX => {
                self.doubts += 1;
                return RETRY_MIN / 2;
            }
            Stop::Doubt(why) => Standing::Away { why },
            Stop::TooOld { position, what } => {
                let why = Error::TooOld { position, what }.to_string().into();
                tracing::error!("{why}");
                self.stage = Stage::TooOld;
                shared.outbox.refuse(&as_journal(&Error::Away(Box::clone(&why))));
                Standing::TooOld { why }
            }
            Stop::Failed(Error::Log(LogError::Away(why))) => Standing::Away { why: why.into() },
            Stop::Failed(error @ Error::Replica(_)) => {
                Standing::Stuck { why: bellwire_model::with_causes(&error).into() }
            }
            Stop::Failed(error) => {
                if let Error::Behind { epoch, .. } = error {
                    shared.set_needs_snapshot(Some(epoch));
                }
                Standing::Unfit { why: error.to_string().into() }
            }
        };
        shared.standings.set(standing);
        self.retry = (2 * self.retry).min(RETRY_MAX);
        self.retry
    }

    /// Looks whether the log is still the one that was followed, and follows it.
    fn begin(&mut self) -> Result<(), Stop> {
        let shared = Arc::clone(&self.shared);
        shared.applies.settle()?;
        // What has failed is tried by the replica itself.
        shared.replica.health()?;
        let records = shared.replica.records(PREFIX)?;
        let applied = place_of(shared.replica.bounds().tail);
        let (order, tail) = Order::load(&records, applied)?;
        let kept = records.iter().find(|record| *record.key == *ORDINAL);
        let kept = kept.map_or(Ok(0), |record| Fields::of(&record.value).number())?;
        self.ordinal = self.ordinal.max(kept);
        let own =
            Own { epoch: shared.replica.epoch(), ordinal: self.ordinal, began: applied, tail };
        // Before the look: whatever becomes of the log behind that ends what follows.
        let resumes_after = order.reads_after();
        let following = shared.log.follow(resumes_after);
        let mark = match epoch::attend(&*shared.log, own)? {
            OfEpoch::Anew(mark) => {
                self.ordinal = mark.ordinal;
                return self.begin_anew(mark.epoch, mark.floor);
            }
            OfEpoch::Same(mark) => mark,
        };
        self.ordinal = mark.ordinal;
        let following = match following {
            // Pieces of what is not complete are gone.
            Err(LogError::Trimmed(trimmed)) => {
                mark.anew(Span { trimmed, tail: trimmed })?;
                return self.begin_anew(mark.epoch, mark.floor);
            }
            following => following?,
        };
        if let Some(tail) = tail {
            shared.applies.begin((tail, resumes_after));
        }
        shared.outbox.begin(applied, mark.epoch, Begin::First);
        shared.standings.followed(applied);
        // Who has read nothing yet does not say that there is nothing.
        shared.look_at_tail()?;
        shared.set_needs_snapshot(None);
        if self.doubts < DOUBTS_MAX {
            shared.standings.set(Standing::Following { lag: 0 });
            self.retry = RETRY_MIN / 2;
        }
        let ordinal = (kept != mark.ordinal).then_some(mark.ordinal);
        let since = shared.clock.now().uptime;
        let followed = Followed { following, order, epoch: mark.epoch, ordinal, since };
        self.stage = Stage::Following(Box::new(followed));
        Ok(())
    }

    /// Forgets all, and begins behind there.
    fn begin_anew(&mut self, epoch: Epoch, behind: Position) -> Result<(), Stop> {
        let shared = &self.shared;
        tracing::warn!(%epoch, %behind, "The replica begins anew.");
        shared.applies.settle()?;
        shared.applies.forget();
        shared.behind().forget();
        shared.replica.begin_anew(epoch, Offset::new(behind.get() << EVENT_BITS))?;
        shared.outbox.begin(behind, epoch, Begin::Another);
        shared.standings.followed(behind);
        // Looked at once more: there may be another epoch by now.
        self.stage = Stage::Doubt;
        Ok(())
    }

    fn follow(&mut self, patience: Duration) -> Result<(), Stop> {
        let Stage::Following(followed) = &mut self.stage else { return Ok(()) };
        if let Some(error) = self.shared.applies.failure() {
            return Err(Stop::Failed(error.into()));
        }
        let entries = match followed.following.next(patience) {
            Ok(entries) => entries,
            Err(Ended::Lost(why)) => {
                tracing::info!(why, "What followed the log was lost; it is followed again.");
                return Err(Stop::Doubt(why.into()));
            }
            Err(ended @ Ended::Trimmed(_)) => return Err(Stop::Doubt(ended.to_string().into())),
        };
        let age = self.shared.clock.now().uptime.saturating_sub(followed.since);
        if self.doubts > 0 && (!entries.is_empty() || age >= SOUND_AGE) {
            (self.doubts, self.retry) = (0, RETRY_MIN / 2);
            self.shared.standings.set(Standing::Following { lag: 0 });
        }
        let (epoch, mut other_epoch) = (followed.epoch, None);
        let newest = entries.last().map(|entry| entry.position);
        for entry in entries {
            let head = followed.take(&self.shared, entry)?;
            other_epoch = head.map(|head| head.epoch).filter(|it| *it != epoch).or(other_epoch);
        }
        match newest {
            Some(position) => {
                self.shared.outbox.passed(position);
                self.shared.standings.followed(position);
            }
            None => self.shared.standings.drained(),
        }
        if other_epoch.is_some() && other_epoch != self.looked_at {
            self.looked_at = other_epoch;
            // What is of an epoch of before is read again and again, where nothing of it is applied.
            if epoch::current(&*self.shared.log)? != Some(epoch) {
                return Err(Stop::Doubt("the epoch is another one".into()));
            }
        }
        Ok(())
    }
}

impl Followed {
    /// Takes in an entry. Returns its head, where it is one of ours.
    fn take(&mut self, shared: &Shared, entry: Entry) -> Result<Option<Head>, Stop> {
        let position = entry.position;
        let Some(piece) = read(shared, entry)? else { return Ok(None) };
        let (head, minor, checksum) = (piece.head, piece.minor, piece.checksum);
        let verdict = self.order.admit(position, piece);
        let is_own = shared.outbox.is_own(head.incarnation);
        let met = match verdict {
            Verdict::Counts(_) | Verdict::Noted if is_own => {
                shared.outbox.met((head.incarnation, head.number))
            }
            Verdict::Stale if is_own => {
                let begin = Begin::InsteadOf(head.incarnation);
                shared.outbox.begin(position, self.epoch, begin);
                None
            }
            _ => None,
        };
        match verdict {
            Verdict::Counts(payload) => {
                let waiters = met.map_or_else(Vec::new, |met| met.waiters);
                let items = items(&payload, (head.time, minor), position)?;
                let (batches, mut records, waiting) = joined(items, waiters);
                records.extend(self.order.changes());
                let ordinal = self.ordinal.take();
                records.extend(ordinal.map(|ordinal| RecordChange {
                    key: ORDINAL.into(),
                    value: Some(number(ordinal)),
                }));
                let base = Offset::new(position.get() << EVENT_BITS);
                let now = shared.now(position, head.time);
                let placed = Placed { base, time: head.time, now, batches, records };
                let tail = Tail { position, checksum };
                let tail = (tail, self.order.resumes_after(position));
                shared.replica.apply(placed, shared.applies.reply(tail, waiting))?;
            }
            // Nothing comes of it: what was given up, or a fence has kept out.
            Verdict::Noted | Verdict::Repeat | Verdict::Hole | Verdict::Stale => {
                if let Some(Met { waiters, fence }) = met {
                    let register = fence.map_or_else(String::new, |fence| fence.register);
                    fail(waiters, &as_refused(&Error::Fenced(register.into())));
                }
            }
        }
        Ok(Some(head))
    }
}

/// What an entry is; nothing where it is none of ours.
fn read(shared: &Shared, entry: Entry) -> Result<Option<Piece>, Stop> {
    let position = entry.position;
    if let Ok(piece) = envelope::decode(&entry.batch) {
        return Ok(Some(piece));
    }
    // It may have been damaged on the way; what is left out has to be left out by all.
    let Some(again) = shared.log.entry(position)? else {
        let why = format!("{position} cannot be read, and is gone");
        return Err(Stop::Doubt(why.into()));
    };
    match envelope::decode(&again.batch) {
        Ok(piece) => Ok(Some(piece)),
        Err(Unread::Foreign) => {
            tracing::error!(%position, "An entry of the log is not of Bellwire; it is left out.");
            Ok(None)
        }
        Err(Unread::Major(major)) => {
            let what = format!("entries of version {major}").into();
            Err(Stop::TooOld { position, what })
        }
    }
}

/// What a payload says. What cannot be read stops the node: left out it would be missing for good.
fn items(
    payload: &Bytes,
    (time, minor): (Timestamp, u8),
    position: Position,
) -> Result<Vec<Item>, Stop> {
    batch::decode(payload, time).map_err(|error| {
        let of_version = if minor > MINOR { "of a newer version: " } else { "" };
        Stop::TooOld { position, what: format!("{of_version}{error}").into() }
    })
}

/// Batches with who waits for them, changes of records, and who waits for those.
fn joined(
    items: Vec<Item>,
    waiters: Vec<Waiter>,
) -> (Vec<PlacedBatch>, Vec<RecordChange>, Vec<Waiter>) {
    let (mut batches, mut records, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    let mut waiters = waiters.into_iter();
    for item in items {
        match (item, waiters.next()) {
            (Item::Appends(appends), Some(Waiter::Appends(reply))) => {
                batches.push(PlacedBatch { appends, reply: Some(reply) });
            }
            (Item::Appends(appends), _) => batches.push(PlacedBatch { appends, reply: None }),
            (Item::Records(changes), waiter) => {
                records.extend(changes);
                waiting.extend(waiter);
            }
        }
    }
    (batches, records, waiting)
}

fn number(number: u64) -> Bytes {
    let mut bytes = Vec::new();
    put_number(&mut bytes, number);
    bytes.into()
}
