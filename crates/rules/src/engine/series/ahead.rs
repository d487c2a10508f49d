//! Samples that are ahead of the time, until it has come.

use std::collections::BTreeMap;

use bellwire_model::Timestamp;
use rustc_hash::{FxHashMap, FxHashSet};

use super::Reading;
use crate::storage::SeriesId;

/// The samples of all series that wait for their time. They are few.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    values: BTreeMap<(Timestamp, SeriesId), f64>,
    /// How many there are of each series.
    of_series: FxHashMap<SeriesId, u32>,
}

impl Ahead {
    /// Of several with one time the last counts.
    pub(super) fn put(&mut self, id: SeriesId, reading: Reading) {
        if self.values.insert((reading.time, id), reading.value).is_none() {
            *self.of_series.entry(id).or_default() += 1;
        }
    }

    /// Takes the next one whose time has come.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<(SeriesId, Reading)> {
        let entry = self.values.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((time, id), value) = entry.remove_entry();
        self.count_less(id);
        Some((id, Reading { time, value }))
    }

    /// Drops those of these series.
    pub(super) fn forget(&mut self, series: &FxHashSet<SeriesId>) {
        self.values.retain(|(_, id), _| !series.contains(id));
        self.of_series.retain(|id, _| !series.contains(id));
    }

    fn count_less(&mut self, id: SeriesId) {
        let count = self.of_series.get_mut(&id).expect("what waits is counted");
        *count -= 1;
        if *count == 0 {
            self.of_series.remove(&id);
        }
    }

    /// Whether there are some of a series.
    pub(super) fn has(&self, id: SeriesId) -> bool {
        self.of_series.contains_key(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SeriesId, Reading)> {
        let reading =
            |(&(time, id), &value): (&(Timestamp, SeriesId), &f64)| (id, Reading { time, value });
        self.values.iter().map(reading)
    }

    /// When the next one becomes visible.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.values.first_key_value().map(|((time, _), _)| *time)
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}
