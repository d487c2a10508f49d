//! Range vectors: the samples of a stretch of time, or an expression at every step of it.

use std::borrow::Cow;

use bellwire_model::limits::SUBQUERY_STEPS_MAX;
use bellwire_model::{Labels, NameMap};

use super::{Evaluated, Evaluation, EvaluationError};
use crate::plan::{Shift, Vector, Window};
use crate::storage::{Point, SeriesId};

/// Samples of a window that take as long to look at as a series.
const SAMPLES_PER_SERIES: usize = 16;

/// The samples of one series within a range, without stale markers. At least one.
#[derive(Clone, Debug)]
pub(crate) struct Stretch<'a> {
    pub(crate) labels: Labels,
    pub(crate) points: Cow<'a, [Point]>,
    pub(crate) course: Course,
    pub(crate) drops_name: bool,
}

/// How samples follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// None is lower than the one before.
    Rises,
    Unknown,
}

/// A range: after `start`, up to and including `end`. Both move with the time unless it is fixed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) moves: bool,
}

impl Range {
    pub(crate) fn seconds(self) -> f64 {
        (self.end - self.start) as f64 / 1e3
    }
}

/// Samples at the beginning of a window that are looked at one by one.
const LOOKED_AT: usize = 3;

/// Where the samples behind a time begin. Mostly all of them are, or all but the one that has just
/// left.
fn begin(points: &[Point], time: i64) -> usize {
    let found = points.iter().take(LOOKED_AT).position(|point| point.time > time);
    found.unwrap_or_else(|| points.partition_point(|point| point.time <= time))
}

impl<'a> Evaluation<'a> {
    pub(crate) fn window(
        &mut self,
        window: &Window,
        time: i64,
    ) -> Evaluated<(Range, Vec<Stretch<'a>>)> {
        let (Window::Samples { range_ms, shift, .. } | Window::Subquery { range_ms, shift, .. }) =
            window;
        let range = self.range(*range_ms, *shift, time);
        let stretches = match window {
            Window::Samples { selector, .. } => self.stretches(*selector, *shift, range),
            Window::Subquery { inner, step_ms, .. } => {
                self.steps(inner, *step_ms, *shift, range)?
            }
        };
        Ok((range, stretches))
    }

    /// The range that is looked at.
    pub(super) fn range(&self, range_ms: i64, shift: Shift, time: i64) -> Range {
        let end = self.shifted(shift, time);
        Range { start: end.saturating_sub(range_ms), end, moves: shift.at.is_none() }
    }

    fn stretches(
        &mut self,
        selector: crate::plan::SelectorId,
        shift: Shift,
        range: Range,
    ) -> Vec<Stretch<'a>> {
        let storage = self.storage;
        let mut stretches = Vec::new();
        for id in self.series_of(selector) {
            let (points, course) = self.inside(*id, shift, range);
            if !points.is_empty() {
                let labels = storage.labels(*id);
                stretches.push(Stretch { labels, points, course, drops_name: false });
            }
        }
        stretches
    }

    /// The samples of a series within a range, without stale markers.
    pub(super) fn inside(
        &mut self,
        id: SeriesId,
        shift: Shift,
        range: Range,
    ) -> (Cow<'a, [Point]>, Course) {
        let points = self.storage.points(id);
        let first = begin(points, range.start);
        let end = match points.last() {
            Some(last) if last.time > range.end => {
                first + points[first..].partition_point(|point| point.time <= range.end)
            }
            _ => points.len(),
        };
        let inside = &points[first..end];
        self.work += 1 + (inside.len() / SAMPLES_PER_SERIES) as u64;
        // The oldest leaves when the start of the range gets to it.
        let leaves = inside.first().map(|oldest| oldest.time + (range.end - range.start));
        self.wake_for(shift, leaves);
        self.wake_for(shift, points.get(end).map(|next| next.time));
        if self.storage.rises(id) {
            return (Cow::Borrowed(inside), Course::Rises);
        }
        if !inside.iter().any(|point| point.is_stale_marker()) {
            return (Cow::Borrowed(inside), Course::Unknown);
        }
        let kept = inside.iter().filter(|point| !point.is_stale_marker());
        (Cow::Owned(kept.copied().collect()), Course::Unknown)
    }

    /// A subquery: its steps are whole multiples of the step, whenever it is evaluated.
    fn steps(
        &mut self,
        inner: &Vector,
        step_ms: Option<i64>,
        shift: Shift,
        range: Range,
    ) -> Evaluated<Vec<Stretch<'a>>> {
        let default_ms = self.conventions.subquery_step.as_millis() as i64;
        let step_ms = step_ms.unwrap_or(default_ms).max(1);
        if (range.end - range.start) / step_ms > SUBQUERY_STEPS_MAX {
            let text = format!("a subquery has at most {SUBQUERY_STEPS_MAX} steps");
            return Err(EvaluationError::Parameter(text.into()));
        }
        let mut at = (range.start.div_euclid(step_ms) + 1).saturating_mul(step_ms);
        // What the inner expression says of its own time does not hold for ours.
        let outer = (self.wake, self.is_restless);
        let mut places: NameMap<(Labels, bool), usize> = NameMap::default();
        let mut stretches: Vec<Stretch<'a>> = Vec::new();
        let first = at;
        // At the end of all times there is no next step.
        let mut held = self.held();
        while at <= range.end && at < i64::MAX {
            let items = self.vector(inner, at)?;
            // What the step itself has looked at is gone.
            self.let_go(held);
            held += items.len();
            self.hold(items.len())?;
            for item in items {
                let point = Point { time: at, value: item.value() };
                let place = places.entry((item.labels, item.drops_name));
                let labels = place.key().0.clone();
                let drops_name = place.key().1;
                let place = *place.or_insert_with(|| {
                    let (points, course) = (Cow::Owned(vec![]), Course::Unknown);
                    stretches.push(Stretch { labels, points, course, drops_name });
                    stretches.len() - 1
                });
                stretches[place].points.to_mut().push(point);
            }
            at = at.saturating_add(step_ms);
        }
        (self.wake, self.is_restless) = outer;
        self.wake_for(shift, Some(at));
        self.wake_for(shift, Some(first.saturating_add(range.end - range.start)));
        Ok(stretches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_begins_behind_its_start_however_many_samples_have_left() {
        for len in 0..12 {
            let points: Vec<_> = (0..len).map(|n| Point { time: 10 * n, value: 0.0 }).collect();
            for time in -1..=10 * len {
                let expected = points.iter().filter(|point| point.time <= time).count();
                assert_eq!(begin(&points, time), expected, "{len} samples, {time}");
            }
        }
    }
}
