//! The series that rules select, with the samples that they may still look at.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwire_model::{Labels, Timestamp};
use rustc_hash::FxHashSet;

use super::partitions::PartitionId;
use super::rules::RuleId;
use crate::storage::{Point, SeriesId, Storage, grow_by_little};

/// A value and when it was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) time: Timestamp,
    pub(super) value: f64,
}

/// What the engine knows of a series beside its samples.
#[derive(Debug, Default)]
pub(super) struct SeriesState {
    /// What is evaluated when it changes, in the order of the rules.
    pub(super) subscriptions: Box<[Subscription]>,
    /// How long samples are kept behind the newest one; zero keeps the newest alone.
    pub(super) keep: Duration,
    /// When its timer is due.
    pub(super) timer: Option<Timestamp>,
    /// Parts of rules that record it now.
    pub(super) recorders: u32,
    /// What it is called in the log; no other series of the process ever has this number.
    pub(super) number: u64,
    /// Samples that wait for their time.
    ahead: u32,
}

/// A part of a rule that looks at a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Subscription {
    pub(super) rule: RuleId,
    pub(super) partition: PartitionId,
}

/// All series.
#[derive(Debug, Default)]
pub(super) struct SeriesTable {
    storage: Storage,
    states: Vec<SeriesState>,
    /// Series that ever began.
    begun: u64,
    ahead: BTreeMap<(Timestamp, SeriesId), f64>,
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It counts.
    Taken,
    /// It is older than what is still looked at.
    Late,
}

impl SeriesTable {
    pub(super) fn storage(&self) -> &Storage {
        &self.storage
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

    pub(super) fn state(&self, id: SeriesId) -> &SeriesState {
        &self.states[id.0 as usize]
    }

    pub(super) fn state_mut(&mut self, id: SeriesId) -> &mut SeriesState {
        &mut self.states[id.0 as usize]
    }

    /// Its newest sample that is not ahead of the time.
    pub(super) fn newest(&self, id: SeriesId) -> Option<Point> {
        self.storage.points(id).last().copied()
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
        self.states[place] = SeriesState { keep, number, ..SeriesState::default() };
        id
    }

    /// Adds a sample that is not ahead of the time.
    pub(super) fn add(&mut self, id: SeriesId, reading: Reading) -> Added {
        let keep = self.state(id).keep;
        let point = Point { time: reading.time.as_ms(), value: reading.value };
        let newest = self.newest(id);
        let oldest = newest.map(|newest| Timestamp::from_ms(newest.time).saturating_sub(keep));
        if oldest.is_some_and(|oldest| reading.time < oldest) {
            return Added::Late;
        }
        let points = self.storage.points_mut(id);
        if keep.is_zero() {
            points.replace(point);
        } else {
            points.add(point);
            points.forget_until(reading.time.saturating_sub(keep).as_ms());
        }
        Added::Taken
    }

    /// Whether samples of it are still to come.
    pub(super) fn is_awaited(&self, id: SeriesId) -> bool {
        self.state(id).ahead > 0
    }

    pub(super) fn remove(&mut self, id: SeriesId) {
        self.storage.remove(id);
        self.states[id.0 as usize] = SeriesState::default();
    }

    /// Drops the readings of these series that wait for their time.
    pub(super) fn forget_ahead(&mut self, series: &FxHashSet<SeriesId>) {
        let states = &mut self.states;
        self.ahead.retain(|(_, id), _| {
            let stays = !series.contains(id);
            states[id.0 as usize].ahead -= u32::from(!stays);
            stays
        });
    }

    /// Keeps a reading until its time. Of several with one time the last counts.
    pub(super) fn put_ahead(&mut self, id: SeriesId, reading: Reading) {
        if self.ahead.insert((reading.time, id), reading.value).is_none() {
            self.state_mut(id).ahead += 1;
        }
    }

    /// The next reading whose time has come.
    pub(super) fn take_ahead(&mut self, now: Timestamp) -> Option<(SeriesId, Reading)> {
        let entry = self.ahead.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((time, id), value) = entry.remove_entry();
        self.state_mut(id).ahead -= 1;
        Some((id, Reading { time, value }))
    }

    /// When the next reading becomes visible.
    pub(super) fn next_ahead(&self) -> Option<Timestamp> {
        self.ahead.first_key_value().map(|((time, _), _)| *time)
    }

    /// All readings that wait for their time.
    pub(super) fn ahead(&self) -> impl Iterator<Item = (SeriesId, Reading)> {
        let reading =
            |(&(time, id), &value): (&(Timestamp, SeriesId), &f64)| (id, Reading { time, value });
        self.ahead.iter().map(reading)
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
