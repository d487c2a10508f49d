//! Follows the log, and applies what counts of it to the replica.
//!
//! ```text
//!            ┌── ended, another epoch, the replica failed ──┐
//!            ▼                                              │
//!  doubt: is the log the same? ──▶ follow behind the tail ──┴─▶ entry ─▶ Order ─▶ Replica::apply
//!            │ no                        ▲
//!            └──▶ go on in another epoch, or begin anew, or get a snapshot
//! ```
//!
//! Everything begins with the doubt, also a start, and each time with what the replica has on its disk:
//! what was in memory only is read again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bellwire_journal::{ClockReading, Placed};
use bellwire_model::{Epoch, Offset, Timestamp};
use bellwire_shared_log::{Ended, Entry, Error as LogError, Following, Position, Span};

use crate::Error;
use crate::envelope::Head;
use crate::epoch::{self, Own, Raise, Verdict as OfEpoch};
use crate::identity::ClusterId;
use crate::loaded::{Loaded, kept_ordinal};
use crate::mark::Mark;
use crate::order::{Order, Tail, Verdict};
use crate::outbox::{Begin, as_journal, as_refused, fail};
use crate::places::EVENT_BITS;
use crate::raising::{Raising, Vigil};
use crate::reading::{items, joined, read};
use crate::shared::{Shared, Stop};
use crate::standing::Standing;
use crate::window::Met;

/// So often in a row what follows may end before anything has come of it, until that is told.
const DOUBTS_MAX: u32 = 5;

/// What has followed for so long without an end is sound, though nothing has come.
const SOUND_AGE: Duration = Duration::from_secs(5);

/// How long is waited before the next try, at first and at most.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

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
    raising: Raising,
    /// In this process, in the epoch of what it had.
    has_followed: bool,
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
    /// How far places are beyond those of the log.
    shift: u64,
    /// To be kept with what is applied next.
    ordinal: Option<u64>,
    /// Which cluster it is, as the replica says.
    cluster: Option<ClusterId>,
    /// Since when it is followed.
    since: Duration,
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>, vigil: Vigil) -> Self {
        let (stage, raising) = (Stage::Doubt, Raising::with(vigil));
        let (retry, doubts, ordinal, looked_at) = (RETRY_MIN, 0, 0, None);
        Self { shared, stage, retry, doubts, ordinal, looked_at, raising, has_followed: false }
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
            Stop::Lost => {
                let why =
                    "the log has lost what it had acknowledged: it is looked who has most of it";
                shared.standings.set(Standing::Away { why: why.into() });
                return 2 * RETRY_MIN;
            }
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
                if let Error::Behind { epoch, .. } | Error::LacksBase { epoch } = error {
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
        let Loaded { mut own, order, shift } = Loaded::of(&*shared.replica, self.ordinal)?;
        let kept_cluster = own.cluster;
        own.cluster = kept_cluster.or_else(|| shared.cluster());
        let in_log = |place: Position| Position::new(place.get().saturating_sub(shift));
        // Before the look: whatever becomes of the log behind that ends what follows.
        let resumes_after = in_log(order.reads_after());
        let following = shared.log.follow(resumes_after);
        let mark = match self.attend(own)? {
            OfEpoch::Anew(mark) => return self.begin_anew(mark),
            OfEpoch::GoesOn(mark) => return self.go_on(mark, order),
            OfEpoch::Lost => return Err(Stop::Lost),
            OfEpoch::Same(mark) => mark,
        };
        self.ordinal = mark.ordinal;
        if let Some(cluster) = mark.cluster.or(kept_cluster) {
            shared.know_cluster(cluster);
        }
        self.raising.is_over();
        self.has_followed = true;
        if own.foundation().is_some() {
            // From now on it is a node's like any other.
            let records = vec![kept_ordinal(mark.ordinal)];
            shared.replica.enter_epoch(own.epoch, Offset::ZERO, records)?;
            self.stage = Stage::Doubt;
            return Ok(());
        }
        let following = match following {
            // Pieces of what is not complete are gone.
            Err(LogError::Trimmed(trimmed)) => {
                mark.anew(own, Span { trimmed, tail: trimmed })?;
                return self.begin_anew(mark);
            }
            following => following?,
        };
        if own.fingerprint.is_some() {
            shared.applies.begin(own.tail, resumes_after);
        }
        shared.outbox.begin((own.place, own.began), mark.epoch, Begin::First);
        shared.standings.followed(own.began);
        // Who has read nothing yet does not say that there is nothing.
        shared.look_at_tail()?;
        shared.set_needs_snapshot(None);
        if self.doubts < DOUBTS_MAX {
            shared.standings.set(Standing::Following { lag: 0 });
            self.retry = RETRY_MIN / 2;
        }
        let ordinal = (own.kept_ordinal != mark.ordinal).then_some(mark.ordinal);
        let since = shared.clock.now().uptime;
        let epoch = mark.epoch;
        let cluster = kept_cluster;
        let followed = Followed { following, order, epoch, shift, ordinal, cluster, since };
        self.stage = Stage::Following(Box::new(followed));
        Ok(())
    }

    /// Whether the log is still the one that was followed. Raises the epoch where it is not, once this node
    /// is the one to do that.
    fn attend(&mut self, own: Own) -> Result<OfEpoch, Stop> {
        let shared = Arc::clone(&self.shared);
        let (log, now) = (&*shared.log, shared.clock.now().uptime);
        let attended = epoch::attend(log, own, Raise::No);
        let lacking = match &attended {
            Err(Error::LacksBase { epoch } | Error::Behind { epoch, .. })
                if own.fingerprint.is_some() && *epoch != own.epoch =>
            {
                Some(*epoch)
            }
            _ => None,
        };
        shared.keeps_vigil.store(lacking.is_some(), Ordering::Release);
        let raise = match lacking {
            Some(epoch) => match self.raising.is_abandoned(log, epoch, now) {
                Ok(true) => Raise::InPlaceOf(epoch),
                Ok(false) | Err(_) => Raise::No,
            },
            None if matches!(attended, Ok(OfEpoch::Lost)) => Raise::Yes,
            None => Raise::No,
        };
        // What was lost is so until the engine says otherwise.
        if !matches!(attended, Err(Error::Log(_))) {
            shared.raising.store(raise != Raise::No, Ordering::Release);
            let elsewhere = attended.as_ref().err();
            let elsewhere = elsewhere.filter(|it| matches!(it, Error::OtherCluster { .. }));
            shared.set_elsewhere(elsewhere.cloned());
        }
        if raise == Raise::No {
            self.raising.is_not_lost();
            return Ok(attended?);
        }
        // Who has followed the log knows that it is its own, whoever has begun another epoch in it.
        let is_foreign = |epoch: &Epoch| !self.has_followed && *epoch != own.epoch;
        let foreign = match raise {
            Raise::Yes => epoch::current_epoch(log).map(|epoch| epoch.filter(is_foreign)),
            _ => Ok(None),
        };
        let may_raise =
            foreign.and_then(|foreign| self.raising.may_raise(log, (&own, foreign), now));
        if may_raise.is_err() {
            self.raising.is_not_lost();
        }
        if !may_raise? {
            return Ok(OfEpoch::Lost);
        }
        tracing::error!("The log has lost what it had acknowledged; the epoch is raised.");
        // Others go by what the register says, so that this is not to be lost with the power.
        shared.replica.enter_epoch(own.epoch, Offset::ZERO, Vec::new())?;
        Ok(epoch::attend(log, own, raise)?)
    }

    /// Forgets all, and begins behind the epoch's floor.
    fn begin_anew(&mut self, mark: Mark) -> Result<(), Stop> {
        let (shared, epoch, behind) = (&self.shared, mark.epoch, mark.floor);
        self.ordinal = mark.ordinal;
        tracing::warn!(%epoch, %behind, "The replica begins anew.");
        shared.applies.settle()?;
        shared.applies.forget();
        shared.behind().forget();
        shared.replica.begin_anew(epoch, Offset::new(behind.get() << EVENT_BITS))?;
        shared.outbox.begin((behind, behind), epoch, Begin::Another);
        shared.standings.followed(behind);
        // Looked at once more: there may be another epoch by now.
        self.stage = Stage::Doubt;
        Ok(())
    }

    /// Goes on with what there is, which is the base of this epoch. All who do so have the same then.
    fn go_on(&mut self, mark: Mark, mut order: Order) -> Result<(), Stop> {
        let (shared, epoch, began) = (&self.shared, mark.epoch, mark.began(order.fold()));
        self.ordinal = mark.ordinal;
        tracing::warn!(%epoch, place = %began.place, "The replica goes on in another epoch.");
        order.take_back_pieces();
        let mut records = order.changes();
        records.extend([began.change(), kept_ordinal(mark.ordinal)]);
        records.extend(mark.cluster.map(ClusterId::change));
        shared.applies.forget();
        shared.behind().forget();
        let base = Offset::new(began.place.get() << EVENT_BITS);
        shared.replica.enter_epoch(epoch, base, records)?;
        shared.outbox.begin((began.place, mark.floor), epoch, Begin::Another);
        shared.standings.followed(mark.floor);
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
            if epoch::current_epoch(&*self.shared.log)? != Some(epoch) {
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
        let place = Position::new(position.get() + self.shift);
        let Some(piece) = read(shared, entry)? else { return Ok(None) };
        let (head, minor, checksum) = (piece.head, piece.minor, piece.checksum);
        let verdict = self.order.admit(place, piece);
        let is_own = shared.outbox.is_own(head.incarnation);
        let met = match verdict {
            Verdict::Counts(_) | Verdict::Noted if is_own => {
                shared.outbox.met((head.incarnation, head.number))
            }
            Verdict::Stale if is_own => {
                let begin = Begin::InsteadOf(head.incarnation);
                shared.outbox.begin((place, position), self.epoch, begin);
                None
            }
            _ => None,
        };
        match verdict {
            Verdict::Counts(payload) => {
                let waiters = met.map_or_else(Vec::new, |met| met.waiters);
                let items = items(&payload, (head.time, minor), position)?;
                let (batches, mut records, waiting) = joined(items, waiters);
                let tail = Tail { position, checksum };
                let resumes_after = self.order.resumes_after(place).get() - self.shift;
                let applied = shared.applies.reply((tail, Position::new(resumes_after)), waiting);
                let applied = shared.watchers.before(&records, applied);
                records.extend(self.order.changes());
                let ordinal = self.ordinal.take();
                records.extend(ordinal.map(kept_ordinal));
                let cluster = shared.cluster().filter(|it| self.cluster != Some(*it));
                records.extend(cluster.map(ClusterId::change));
                self.cluster = cluster.or(self.cluster);
                let base = Offset::new(place.get() << EVENT_BITS);
                let now = shared.now(position, head.time);
                let time = self.order.time(place).unwrap_or(head.time);
                // It was made as long ago as its maker's clock says, whatever time it is for all.
                let wall = Timestamp::from_ms(
                    time.as_ms().saturating_add(now.wall.as_ms()).saturating_sub(head.time.as_ms()),
                );
                let now = ClockReading { wall, ..now };
                let placed = Placed { base, time, now, batches, records };
                shared.replica.apply(placed, applied)?;
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
