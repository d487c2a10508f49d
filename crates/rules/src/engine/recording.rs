//! Recording rules: what they come to becomes samples of series that other rules may select.
//!
//! A series gets a sample whenever its value changes, and one each interval at least, so that it
//! stays within the lookback and windows over it have what Prometheus would give them. When an
//! element is gone its series ends with a stale marker.

use std::time::Duration;

use bellwire_model::Labels;

use super::membership::Selecting;
use super::rules::Shape;
use super::series::{Reading, Subscription};
use super::{Change, Engine, Recorded};
use crate::evaluation::{EvaluationError, Item};
use crate::storage::{STALE, SeriesId};

impl Engine {
    pub(super) fn record_items(
        &mut self,
        part: Subscription,
        items: Vec<Item>,
        changes: &mut Vec<Change>,
    ) {
        // In tick mode a sample bears the time that its rule has looked at.
        let entry = self.rules.get(part.rule);
        let is_ticked = entry.shape == Shape::Ticked;
        let offset = if is_ticked { entry.rule.settings.query_offset } else { Duration::ZERO };
        let time = self.now.saturating_sub(offset);
        let before = self.recorded_mut(part, std::mem::take);
        let mut after: Vec<SeriesId> = Vec::with_capacity(items.len());
        for item in items {
            let Ok(labels) = self.rules.rule(part.rule).recorded_labels(&item.labels) else {
                self.alerts.invalid += 1;
                continue;
            };
            let Some(id) = self.recorded_series(&labels) else { continue };
            if after.contains(&id) {
                let error = EvaluationError::SameLabels;
                self.fail(part, error.to_string());
                continue;
            }
            after.push(id);
            let is_new = !before.contains(&id);
            self.series.state_mut(id).recorders += u32::from(is_new);
            let held = self.series.newest(id).map(|held| held.value.to_bits());
            if is_new || held != Some(item.value().to_bits()) {
                changes.push(self.recorded(part, id, Some(item.value())));
            }
            self.take_reading(id, Reading { time, value: item.value() });
        }
        if before != after {
            self.log_recorded(part, &after);
        }
        for id in before {
            if !after.contains(&id) {
                self.series.state_mut(id).recorders -= 1;
                changes.push(self.recorded(part, id, None));
                self.take_reading(id, Reading { time, value: STALE });
            }
        }
        self.recorded_mut(part, |recorded| *recorded = after);
    }

    pub(super) fn recorded(&self, part: Subscription, id: SeriesId, value: Option<f64>) -> Change {
        Change::Recorded(Recorded {
            rule: self.rules.rule(part.rule).name.clone(),
            series: self.series.labels(id),
            value,
            time: self.now,
        })
    }

    /// The series that a rule records; it is kept though no rule selects it, so that queries see it.
    fn recorded_series(&mut self, labels: &Labels) -> Option<SeriesId> {
        if let Some(id) = self.series.find(labels) {
            return Some(id);
        }
        self.begin_series(labels, Selecting::Nothing)
    }

    pub(super) fn recorded_mut<T>(
        &mut self,
        part: Subscription,
        change: impl FnOnce(&mut Vec<SeriesId>) -> T,
    ) -> T {
        let partitions = &mut self.rules.get_mut(part.rule).partitions;
        change(&mut partitions.get_mut(part.partition).recorded)
    }
}
