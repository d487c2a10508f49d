//! The series `ALERTS` and `ALERTS_FOR_STATE`: they are there where a rule names one of them.
//!
//! A part of an alerting rule gives them as one of a recording rule gives its series: a sample when
//! an alert changes and one each interval at least, in tick mode one at each tick, and a stale
//! marker when an alert is no longer in that state. What an alert does is not recorded by anybody,
//! so no [`Change`](super::change::Change) tells of it.

use std::time::Duration;

use bellwire_model::Timestamp;
use rustc_hash::FxHashSet;

use super::Engine;
use super::ids::PartId;
use super::intake::Origin;
use super::series::Reading;
use crate::alert_series;
use crate::evaluation::Element;
use crate::storage::SeriesId;

/// When a part gives its series a sample.
struct Pace {
    /// The time of the samples.
    time: Timestamp,
    /// How old the newest one may be; nothing in tick mode.
    interval: Duration,
}

impl Engine {
    /// Whether a part must give the series of its alerts, or has given some.
    pub(super) fn has_alert_series(&self, part: PartId) -> bool {
        let part = self.parts.get(part);
        let gives = self.rules.names_alerts() && !part.raised().is_empty();
        gives || !part.recorded().is_empty()
    }

    /// Brings the series of a part's alerts in line with the alerts.
    pub(super) fn give_alert_series(&mut self, part: PartId) {
        if !self.has_alert_series(part) {
            return;
        }
        let pace = self.pace(part);
        let before = self.parts.get_mut(part).take_recorded();
        let known: FxHashSet<SeriesId> = before.iter().copied().collect();
        let mut after: Vec<SeriesId> = Vec::new();
        for Element { labels, value } in self.alert_series(part) {
            let found = self.series.find(&labels);
            let begin = || self.begin_series(&labels, Origin::Own).ok().flatten();
            let Some(id) = found.or_else(begin) else { continue };
            after.push(id);
            let is_new = !known.contains(&id);
            if is_new {
                self.series.add_recorder(id);
            }
            let is_fresh = self.series.newest(id).is_some_and(|newest| {
                let due = Timestamp::from_ms(newest.time).saturating_add(pace.interval);
                newest.value.to_bits() == value.to_bits() && due > pace.time
            });
            if is_new || !is_fresh {
                self.take_reading(id, Reading { time: pace.time, value });
            }
        }
        let is_given = !after.is_empty();
        self.record_only(part, (before, after.into()), pace.time);
        if is_given && !self.parts.is_ticked(part) {
            self.parts.wake_by(part, self.now.saturating_add(pace.interval), self.now);
        }
    }

    fn pace(&self, part: PartId) -> Pace {
        let is_ticked = self.parts.is_ticked(part);
        let interval = if is_ticked { Duration::ZERO } else { self.parts.interval(part) };
        Pace { time: self.recording_time(part), interval }
    }

    fn alert_series(&self, part: PartId) -> Vec<Element> {
        if !self.rules.names_alerts() {
            return Vec::new();
        }
        let raised = self.parts.get(part).raised().iter();
        let raised = raised.filter_map(|raised| self.alerts.get(*raised));
        let series = raised.filter_map(|entry| {
            let alert = &entry.alert;
            alert_series::series(&alert.labels, alert.state, alert.active_at).ok()
        });
        series.flatten().collect()
    }
}
