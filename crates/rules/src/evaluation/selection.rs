//! Instant selectors: the newest sample of each series.

use super::{Evaluated, Evaluation, Item, Items, LookbackEnds, Number, seconds};
use crate::plan::{At, Instant, Shift, Vector};
use crate::storage::{Point, SeriesId, newest_at};

impl Evaluation<'_> {
    /// The newest sample of each series, unless it is older than the lookback or says that the
    /// series has ended.
    pub(super) fn select(&mut self, instant: &Instant, time: i64) -> Items {
        let storage = self.storage;
        let present = self.present(instant, time);
        let item = |(id, point): (SeriesId, Point)| Item {
            labels: storage.labels(id),
            number: Number::still(point.value),
            drops_name: false,
        };
        present.into_iter().map(item).collect()
    }

    /// `timestamp(selector)`.
    pub(super) fn sample_times(&mut self, instant: &Instant, time: i64) -> Evaluated<Items> {
        let storage = self.storage;
        let present = self.present(instant, time);
        let item = |(id, point): (SeriesId, Point)| Item {
            labels: storage.labels(id),
            number: Number::still(seconds(point.time)),
            drops_name: false,
        };
        let items = present.into_iter().map(item).collect();
        self.map(items, |number| number)
    }

    /// `timestamp(expression)`.
    pub(super) fn evaluation_times(&mut self, vector: &Vector, time: i64) -> Evaluated<Items> {
        let items = self.vector(vector, time)?;
        let number = Number { value: seconds(time), drift: 1e-3 };
        self.map(items, |_| number)
    }

    fn present(&mut self, instant: &Instant, time: i64) -> Vec<(SeriesId, Point)> {
        let at = self.shifted(instant.shift, time);
        let lookback_ms = self.lookback_ms();
        let mut present = Vec::new();
        for id in self.series_of(instant.selector) {
            let point = self.newest(*id, instant.shift, (at, lookback_ms));
            present.extend(point.map(|point| (*id, point)));
        }
        present
    }

    /// The newest sample of a series at a time that is looked at, with the lookback.
    pub(super) fn newest(
        &mut self,
        id: SeriesId,
        shift: Shift,
        (at, lookback_ms): (i64, i64),
    ) -> Option<Point> {
        self.work += 1;
        let points = self.storage.points(id);
        let newest = newest_at(points, at);
        let next = points.get(newest.map_or(0, |newest| newest + 1));
        self.wake_for(shift, next.map(|next| next.time));
        let point = points[newest?];
        let end = point.time.saturating_add(lookback_ms);
        let is_present = end > at && !point.is_stale_marker();
        let is_seen = self.ends == LookbackEnds::Seen && shift == Shift::default();
        if is_present && !is_seen {
            self.wake_for(shift, Some(end));
        }
        is_present.then_some(point)
    }

    /// The time that is looked at.
    pub(super) fn shifted(&self, shift: Shift, time: i64) -> i64 {
        let time = match shift.at {
            None => time,
            Some(At::Time(fixed)) => fixed,
            Some(At::Start) => self.span.start.as_ms(),
            Some(At::End) => self.span.end.as_ms(),
        };
        time.saturating_sub(shift.offset_ms)
    }

    /// Wakes when the time that is looked at gets to `at`, if it moves at all.
    pub(super) fn wake_for(&mut self, shift: Shift, at: Option<i64>) {
        if let (Some(at), None) = (at, shift.at) {
            self.wake(at.saturating_add(shift.offset_ms));
        }
    }

    pub(super) fn lookback_ms(&self) -> i64 {
        i64::try_from(self.conventions.lookback.as_millis()).unwrap_or(i64::MAX)
    }
}
