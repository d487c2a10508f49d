//! Recording rules: what they come to becomes samples of series that other rules may select.
//!
//! A series gets a sample whenever its value changes, and one each interval at least, so that it
//! stays within the lookback and windows over it have what Prometheus would give them. When an
//! element is gone its series ends with a stale marker.

use bellwire_model::{Labels, NameMap, Timestamp};
use rustc_hash::FxHashSet;

use super::Engine;
use super::change::{Change, Recorded};
use super::ids::PartId;
use super::intake::Origin;
use super::series::Reading;
use crate::evaluation::Item;
use crate::short_list::ShortList;
use crate::storage::{STALE, SeriesId};

/// What Prometheus says where elements would be one series.
const SAME_LABELS: &str =
    "vector contains metrics with the same labelset after applying rule labels";

impl Engine {
    pub(super) fn record_items(
        &mut self,
        part: PartId,
        items: Vec<Item>,
        changes: &mut Vec<Change>,
    ) {
        let time = self.recording_time(part);
        let mut given: NameMap<Labels, Item> = NameMap::default();
        let mut order: Vec<Labels> = Vec::with_capacity(items.len());
        for item in items {
            let Ok(labels) = self.rules.rule(part.rule).recorded_labels(&item.labels) else {
                self.alerts.note_invalid();
                continue;
            };
            // Of an evaluation that fails nothing is recorded, and nothing ends.
            if given.insert(labels.clone(), item).is_some() {
                return self.fail(part, SAME_LABELS.to_owned());
            }
            order.push(labels);
        }
        let before = self.parts.get_mut(part).take_recorded();
        let known: FxHashSet<SeriesId> = before.iter().copied().collect();
        let mut after: Vec<SeriesId> = Vec::with_capacity(order.len());
        for labels in order {
            let item = &given[&labels];
            let Some(id) = self.recorded_series(&labels) else { continue };
            after.push(id);
            let is_new = !known.contains(&id);
            if is_new {
                self.series.add_recorder(id);
            }
            let held = self.series.newest(id).map(|held| held.value.to_bits());
            if is_new || held != Some(item.value().to_bits()) {
                changes.push(self.recorded(part, id, Some(item.value())));
            }
            self.take_reading(id, Reading { time, value: item.value() });
        }
        for id in self.record_only(part, (before, after.into()), time) {
            changes.push(self.recorded(part, id, None));
        }
    }

    /// A sample bears the time that its rule has looked at.
    pub(super) fn recording_time(&self, part: PartId) -> Timestamp {
        self.now.saturating_sub(self.rules.rule(part.rule).settings.query_offset)
    }

    /// What a part records after what it recorded before. The series that are no longer among them
    /// end, and are given back.
    pub(super) fn record_only(
        &mut self,
        part: PartId,
        (before, after): (ShortList<SeriesId>, ShortList<SeriesId>),
        time: Timestamp,
    ) -> Vec<SeriesId> {
        if before == after {
            self.parts.get_mut(part).set_recorded(after);
            return Vec::new();
        }
        self.log_recorded(part, &after);
        let given: FxHashSet<SeriesId> = after.iter().copied().collect();
        self.parts.get_mut(part).set_recorded(after);
        let gone: Vec<SeriesId> = before.iter().filter(|id| !given.contains(id)).copied().collect();
        for id in &gone {
            self.series.drop_recorder(*id);
            self.take_reading(*id, Reading { time, value: STALE });
        }
        gone
    }

    pub(super) fn recorded(&self, part: PartId, id: SeriesId, value: Option<f64>) -> Change {
        Change::Recorded(Recorded {
            rule: self.rules.rule(part.rule).name.clone(),
            series: self.series.labels(id),
            value,
            time: self.recording_time(part),
        })
    }

    /// The series that a rule records; it is kept though no rule selects it, so that queries see it.
    fn recorded_series(&mut self, labels: &Labels) -> Option<SeriesId> {
        if let Some(id) = self.series.find(labels) {
            return Some(id);
        }
        self.begin_series(labels, Origin::Recorded).ok().flatten()
    }
}
