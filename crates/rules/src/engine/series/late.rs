//! Samples that came late: they wait until a step has taken all of its samples, and are then put in
//! their places together. A backlog costs what it and the windows that it falls into hold, and
//! what it takes to sort it, in whatever order it came.

use super::{SeriesTable, WINDOW_SAMPLES_MIN};
use crate::storage::{Point, SAMPLE_BYTES, SeriesId};

impl SeriesTable {
    /// Puts the samples in their places that came late, so that many of them cost little more than
    /// one, in whatever order they came. Gives the series whose windows have become shorter than
    /// rules would have them, and by how many samples.
    pub(in crate::engine) fn settle(&mut self) -> Vec<(SeriesId, usize)> {
        let mut late = std::mem::take(&mut self.late);
        // Of two with one time the last stays the last.
        late.sort_by_key(|(id, point)| (*id, point.time));
        let of_series = late.chunk_by(|one, next| one.0 == next.0);
        let shorter = of_series.filter_map(|late| {
            let id = late[0].0;
            let cut = self.put_late(id, late);
            (cut > 0).then_some((id, cut))
        });
        shorter.collect()
    }

    /// Whether samples came late that are not in their places yet.
    pub(in crate::engine) fn is_unsettled(&self) -> bool {
        !self.late.is_empty()
    }

    /// Puts late samples of a series in their places; says how many of the oldest go for that,
    /// because the windows of all series take as much as they may.
    fn put_late(&mut self, id: SeriesId, late: &[(SeriesId, Point)]) -> usize {
        let keep_ms = self.state(id).keep.as_ms();
        let newest = self.newest(id).map_or(i64::MIN, |newest| newest.time);
        let oldest = newest.saturating_sub(keep_ms);
        let of_a_time = late.chunk_by(|one, next| one.1.time == next.1.time);
        let last = of_a_time.filter_map(|of_a_time| of_a_time.last()).map(|(_, point)| *point);
        let late: Vec<Point> = last.filter(|point| point.time > oldest).collect();
        let points = self.storage.points_mut(id);
        let before = points.bytes();
        let free_bytes = self.kept_bytes_max.saturating_sub(self.kept_bytes);
        let room = points.capacity() + free_bytes / SAMPLE_BYTES;
        points.forget_until(oldest);
        let cut = points.merge(&late, room.max(WINDOW_SAMPLES_MIN));
        self.kept_bytes = self.kept_bytes - before + points.bytes();
        cut
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwire_model::{Labels, METRIC_NAME, Timestamp};

    use super::super::{Added, Reading};
    use super::*;
    use crate::engine::Settings;

    /// One by one, each would move those behind it.
    #[test]
    fn late_samples_are_put_in_their_places_all_at_once() {
        let mut table = SeriesTable::new(&Settings::default());
        let labels = Labels::from_pairs([(METRIC_NAME, "x")]).expect("labels");
        let id = table.insert(&labels, Duration::from_hours(1));
        let add = |table: &mut SeriesTable, second: i64, value: f64| {
            let time = Timestamp::from_ms(second * 1_000);
            assert_eq!(table.add(id, Reading { time, value }), Added::Taken);
        };
        (2_000..3_000).for_each(|second| add(&mut table, second, 1.0));
        for second in (0..2_000).rev() {
            add(&mut table, second, 2.0);
        }
        // Some come twice, others in place of those that are there.
        (1_990..2_010).for_each(|second| add(&mut table, second, 3.0));
        assert_eq!(table.storage().points(id).len(), 1_000);
        assert!(table.is_unsettled());
        assert_eq!(table.settle(), []);
        assert!(!table.is_unsettled());
        let points = table.storage().points(id);
        let value = |second: i64| match second {
            ..1_990 => 2.0,
            1_990..2_010 => 3.0,
            2_010.. => 1.0,
        };
        let expected: Vec<(i64, f64)> =
            (0..3_000).map(|second| (second * 1_000, value(second))).collect();
        let held: Vec<(i64, f64)> = points.iter().map(|it| (it.time, it.value)).collect();
        assert_eq!(held, expected);
        assert_eq!(table.kept_bytes(), table.storage().points_bytes(id));
    }
}
