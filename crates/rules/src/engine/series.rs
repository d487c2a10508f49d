//! The series that rules select, with the samples that they may still look at.

mod ahead;
mod keep;
mod late;
mod touched;

use std::time::Duration;

use bellwire_model::{Labels, Timestamp};
use rustc_hash::FxHashSet;

use self::ahead::Ahead;
use self::keep::Keep;
use self::touched::TouchedParts;
use super::ids::PartId;
use super::terms::Settings;
use super::timers::Agenda;
use crate::storage::{Point, Points, SAMPLE_BYTES, SeriesId, Storage, grow_by_little};

/// A value and when it was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) time: Timestamp,
    pub(super) value: f64,
}

impl Reading {
    /// Whether both say the same. A value that is no number is the same as another such.
    pub(super) fn is_same(self, other: Self) -> bool {
        (self.time, self.value.to_bits()) == (other.time, other.value.to_bits())
    }
}

/// What the engine knows of a series beside its samples. There is one for each, so it is small.
#[derive(Debug)]
struct SeriesState {
    /// What is evaluated when it changes, in the order of the rules.
    parts: TouchedParts,
    /// When its timer is due; [`NEVER`] where it has none.
    timer: Timestamp,
    /// What it is called in the log; no other series of the process ever has this number.
    number: u64,
    /// How long samples are kept behind the newest one.
    keep: Keep,
    /// Parts of rules that record it now.
    recorders: u32,
}

const _: () = assert!(size_of::<SeriesState>() == 40);

/// The timer of a series that has none.
const NEVER: Timestamp = Timestamp::MAX;

impl Default for SeriesState {
    fn default() -> Self {
        Self {
            parts: TouchedParts::default(),
            timer: NEVER,
            number: 0,
            keep: Keep::default(),
            recorders: 0,
        }
    }
}

/// All series.
#[derive(Debug)]
pub(super) struct SeriesTable {
    storage: Storage,
    states: Vec<SeriesState>,
    /// Series that ever began.
    begun: u64,
    ahead: Ahead,
    /// Samples that are older than the newest of their series, until they are put in their places
    /// all at once.
    late: Vec<(SeriesId, Point)>,
    /// When the lookback of a series may end, or nothing may look at it any more.
    leaving: Agenda<SeriesId>,
    /// How long a series is present after its newest sample.
    lookback: Duration,
    /// What the windows of all series take, and what they may.
    kept_bytes: usize,
    kept_bytes_max: usize,
}

/// Samples that a window has whatever the windows of others take.
const WINDOW_SAMPLES_MIN: usize = 16;

/// The series whose timers were due.
#[derive(Debug, Default)]
pub(super) struct Expired {
    /// They have left the lookback, so what looks at them may come to something else.
    pub(super) left: Vec<SeriesId>,
    /// Nothing looks at their samples any more.
    pub(super) silent: Vec<SeriesId>,
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It counts.
    Taken,
    /// It counts, and so many of the oldest ones that rules would look at do no longer: the windows
    /// of all series take as much as they may.
    InPlaceOf(usize),
    /// It is older than what is still looked at.
    Late,
}

impl SeriesTable {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            storage: Storage::default(),
            states: Vec::new(),
            begun: 0,
            ahead: Ahead::default(),
            late: Vec::new(),
            leaving: Agenda::default(),
            lookback: settings.lookback,
            kept_bytes: 0,
            kept_bytes_max: settings.samples_kept_bytes_max,
        }
    }

    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(super) fn storage_mut(&mut self) -> &mut Storage {
        &mut self.storage
    }

    pub(super) fn len(&self) -> usize {
        self.storage.len()
    }

    pub(super) fn find(&self, labels: &Labels) -> Option<SeriesId> {
        self.storage.find(labels)
    }

    pub(super) fn labels(&self, id: SeriesId) -> Labels {
        self.storage.labels(id)
    }

    fn state(&self, id: SeriesId) -> &SeriesState {
        &self.states[id.0 as usize]
    }

    fn state_mut(&mut self, id: SeriesId) -> &mut SeriesState {
        &mut self.states[id.0 as usize]
    }

    /// What is evaluated when it changes.
    pub(super) fn parts(&self, id: SeriesId) -> &[PartId] {
        self.state(id).parts.as_slice()
    }

    pub(super) fn set_parts(&mut self, id: SeriesId, parts: Vec<PartId>) {
        self.state_mut(id).parts = parts.into();
    }

    /// How long samples are kept behind the newest one.
    pub(super) fn keep(&self, id: SeriesId) -> Duration {
        Duration::from_millis(self.state(id).keep.as_ms().unsigned_abs())
    }

    pub(super) fn set_keep(&mut self, id: SeriesId, keep: Duration) {
        self.state_mut(id).keep = Keep::of(keep);
    }

    /// What it is called in the log.
    pub(super) fn number(&self, id: SeriesId) -> u64 {
        self.state(id).number
    }

    /// One more part of a rule records it.
    pub(super) fn add_recorder(&mut self, id: SeriesId) {
        self.state_mut(id).recorders += 1;
    }

    /// A part of a rule records it no longer.
    pub(super) fn drop_recorder(&mut self, id: SeriesId) {
        self.state_mut(id).recorders -= 1;
    }

    /// Whether a part of a rule records it now.
    pub(super) fn is_recorded(&self, id: SeriesId) -> bool {
        self.state(id).recorders > 0
    }

    /// Its newest sample that is not ahead of the time.
    pub(super) fn newest(&self, id: SeriesId) -> Option<Point> {
        self.storage.points(id).last().copied()
    }

    /// Its newest sample, if that is within the lookback and no stale marker.
    pub(super) fn newest_visible(&self, id: SeriesId, now: Timestamp) -> Option<Reading> {
        let newest = self.newest(id).filter(|newest| !newest.is_stale_marker())?;
        let time = Timestamp::from_ms(newest.time);
        let is_visible = time.saturating_add(self.lookback) > now;
        is_visible.then_some(Reading { time, value: newest.value })
    }

    pub(super) fn insert(&mut self, labels: &Labels, keep: Duration) -> SeriesId {
        let id = self.storage.insert(labels);
        let place = id.0 as usize;
        if self.states.len() <= place {
            grow_by_little(&mut self.states);
            self.states.resize_with(place + 1, SeriesState::default);
        }
        self.begun += 1;
        let number = self.begun;
        let keep = Keep::of(keep);
        self.states[place] = SeriesState { number, keep, ..SeriesState::default() };
        id
    }

    /// Adds a sample that is not ahead of the time. One that is older than the newest is seen once
    /// all of them [are put in their places](Self::settle).
    pub(super) fn add(&mut self, id: SeriesId, reading: Reading) -> Added {
        let keep_ms = self.state(id).keep.as_ms();
        let point = Point { time: reading.time.as_ms(), value: reading.value };
        let oldest = point.time.saturating_sub(keep_ms);
        let newest = self.newest(id).map_or(i64::MIN, |newest| newest.time);
        if point.time < newest.saturating_sub(keep_ms) {
            return Added::Late;
        }
        if point.time < newest {
            self.late.push((id, point));
            return Added::Taken;
        }
        let points = self.storage.points_mut(id);
        let before = points.bytes();
        if keep_ms == 0 {
            points.replace(point);
            self.kept_bytes -= before;
            return Added::Taken;
        }
        let mut cut = 0;
        let is_beyond =
            |growth_bytes| growth_bytes > 0 && self.kept_bytes + growth_bytes > self.kept_bytes_max;
        if is_beyond(points.growth_bytes()) {
            points.forget_until(oldest);
            if points.growth_bytes() > 0 && points.as_slice().len() >= WINDOW_SAMPLES_MIN {
                cut = points.shorten();
            }
        }
        points.add(point);
        points.forget_until(oldest);
        self.kept_bytes = self.kept_bytes - before + points.bytes();
        if cut > 0 { Added::InPlaceOf(cut) } else { Added::Taken }
    }

    /// Takes the samples of a series that has none as they were written down, which is much faster
    /// than one by one. Gives them back where they are out of order, ahead of the time, or more than
    /// may be kept.
    pub(super) fn take_window(
        &mut self,
        id: SeriesId,
        mut points: Vec<Point>,
        now: Timestamp,
    ) -> Vec<Point> {
        let keep_ms = self.state(id).keep.as_ms();
        let Some(newest) = points.last().map(|last| last.time) else { return points };
        let bytes = points.len() * SAMPLE_BYTES;
        let is_plain = keep_ms > 0
            && newest <= now.as_ms()
            && self.kept_bytes + bytes <= self.kept_bytes_max
            && points.is_sorted_by(|one, next| one.time < next.time);
        if !is_plain {
            return points;
        }
        let oldest = newest.saturating_sub(keep_ms);
        let gone = points.partition_point(|point| point.time <= oldest);
        points.drain(..gone);
        points.shrink_to_fit();
        let held = self.storage.points_mut(id);
        *held = Points::of_sorted(points);
        self.kept_bytes += held.bytes();
        Vec::new()
    }

    /// Bytes that the windows of all series take.
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Whether samples of it are still to come.
    pub(super) fn is_awaited(&self, id: SeriesId) -> bool {
        self.ahead.has(id)
    }

    /// Sees to it that it is looked at once its newest sample, which is of this time, has left the
    /// lookback. One timer for each series, however many samples: mostly it is set anew when it is
    /// due.
    pub(super) fn watch(&mut self, id: SeriesId, newest: Timestamp) {
        let due = newest.saturating_add(self.lookback);
        if self.state(id).timer > due {
            self.arm(id, due);
        }
    }

    fn arm(&mut self, id: SeriesId, due: Timestamp) {
        if std::mem::replace(&mut self.state_mut(id).timer, due) != NEVER {
            self.leaving.cancel();
        }
        self.leaving.arm(due, id);
    }

    /// As [`watch`](Self::watch), for one with samples of long ago.
    pub(super) fn watch_restored(&mut self, id: SeriesId, now: Timestamp) {
        if let Some(newest) = self.newest(id) {
            let leaves = Timestamp::from_ms(newest.time).saturating_add(self.lookback);
            self.arm(id, leaves.max(now));
        }
    }

    /// It is looked at again by and by, though its samples say nothing any more.
    pub(super) fn postpone(&mut self, id: SeriesId, now: Timestamp) {
        let due = now.saturating_add(self.lookback);
        let timer = self.state(id).timer;
        self.arm(id, timer.min(due));
    }

    /// The series that leave the lookback now, and those that nothing looks at.
    pub(super) fn expire(&mut self, now: Timestamp) -> Expired {
        let mut expired = Expired::default();
        for (due, id) in self.leaving.take_due(now) {
            if self.state(id).timer != due {
                continue;
            }
            self.state_mut(id).timer = NEVER;
            let newest = self.newest(id).expect("a series with a timer has a sample");
            let newest = Timestamp::from_ms(newest.time);
            let leaves_lookback = newest.saturating_add(self.lookback);
            let leaves = newest.saturating_add(self.keep(id).max(self.lookback));
            let next = if leaves_lookback > now { leaves_lookback } else { leaves };
            if leaves_lookback <= now {
                expired.left.push(id);
            }
            if next > now {
                self.arm(id, next);
            } else {
                expired.silent.push(id);
            }
        }
        expired
    }

    /// Drops timers that were cancelled, where there are many.
    pub(super) fn clean(&mut self) {
        if self.leaving.is_cluttered() {
            let states = &self.states;
            self.leaving.clean(|due, id| states[id.0 as usize].timer == due);
        }
    }

    /// When the next series may leave, or the next reading becomes visible.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        [self.leaving.next(), self.ahead.next()].into_iter().flatten().min()
    }

    pub(super) fn remove(&mut self, id: SeriesId) {
        if self.state(id).timer != NEVER {
            self.leaving.cancel();
        }
        self.kept_bytes -= self.storage.points_bytes(id);
        self.storage.remove(id);
        self.states[id.0 as usize] = SeriesState::default();
    }

    /// Drops the readings of these series that wait for their time.
    pub(super) fn forget_ahead(&mut self, series: &FxHashSet<SeriesId>) {
        self.ahead.forget(series);
    }

    /// Keeps a reading until its time. Of several with one time the last counts.
    pub(super) fn put_ahead(&mut self, id: SeriesId, reading: Reading) {
        self.ahead.put(id, reading);
    }

    /// The next reading whose time has come.
    pub(super) fn take_ahead(&mut self, now: Timestamp) -> Option<(SeriesId, Reading)> {
        self.ahead.take(now)
    }

    /// All readings that wait for their time.
    pub(super) fn ahead(&self) -> impl Iterator<Item = (SeriesId, Reading)> {
        self.ahead.iter()
    }

    /// The series from a place on, with the place behind each.
    pub(super) fn from(&self, place: usize) -> impl Iterator<Item = (usize, SeriesId)> {
        let all = (place..self.states.len()).map(|place| (place + 1, SeriesId(place as u32)));
        all.filter(|(_, id)| self.storage.has(*id))
    }

    pub(super) fn ahead_len(&self) -> usize {
        self.ahead.len()
    }
}
