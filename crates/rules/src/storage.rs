//! Series in memory: the samples that expressions may still look at.
//!
//! Of each series as many samples are kept as [`Storage::keep`] is told to. Within the storage
//! series have small numbers; those of one metric are found without looking at the others.

mod pairs;
mod snapshot;

use std::hash::BuildHasher;

use bellwire_model::{Labels, Sample, Timestamp};
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};

use self::pairs::{PairId, Pairs};
pub(crate) use self::snapshot::{SeriesCopy, Size, Snapshot, Wanted};
use crate::selector::Selector;

/// The value by which Prometheus says that a series has ended.
pub(crate) const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// A value and when it was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// Milliseconds since the Unix epoch.
    pub(crate) time: i64,
    pub(crate) value: f64,
}

impl Point {
    /// Whether it says that its series has ended.
    pub(crate) fn is_stale_marker(self) -> bool {
        self.value.to_bits() == STALE.to_bits()
    }
}

/// What a sample takes that is kept.
pub(crate) const SAMPLE_BYTES: usize = size_of::<Point>();

/// The number of a series; used again once the series is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SeriesId(pub(crate) u32);

/// Series and their samples.
#[derive(Debug, Default)]
pub struct Storage {
    series: Vec<Option<Series>>,
    pairs: Pairs,
    by_labels: HashTable<SeriesId>,
    by_metric: FxHashMap<Box<str>, Vec<SeriesId>>,
    free: Vec<SeriesId>,
    /// Their labels put together, by their numbers, where they are asked for again and again.
    whole: Vec<Labels>,
    /// The snapshot that is open: it comes before whatever changes.
    snapshot: Option<Box<Snapshot>>,
}

#[derive(Debug)]
struct Series {
    labels: Box<[PairId]>,
    /// Of its labels.
    hash: u64,
    points: Points,
    /// Where it stands among the series of its metric.
    place: u32,
}

/// Samples of one series in the order of their times, each time once.
#[derive(Debug, Default)]
pub(crate) struct Points {
    held: Held,
    /// How many of them are stale markers, and how many are lower than the one before.
    uneven: u32,
}

#[derive(Debug)]
enum Held {
    /// The only one: most series have no more.
    One(Point),
    Window {
        points: Vec<Point>,
        /// How many at the front no longer count. They are moved out of the way when there is no
        /// more room, so that what counts lies in one piece.
        gone: u32,
    },
}

impl Default for Held {
    fn default() -> Self {
        Self::Window { points: Vec::new(), gone: 0 }
    }
}

impl Storage {
    /// A storage without series.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample. Of two with one time the last counts.
    pub fn add(&mut self, sample: &Sample) {
        let id = match self.find(&sample.series) {
            Some(id) => id,
            None => self.insert(&sample.series),
        };
        self.points_mut(id).add(Point { time: sample.time.as_ms(), value: sample.value });
    }

    /// Drops every sample at or before a time, and the series that have none left.
    pub fn forget_until(&mut self, time: Timestamp) {
        for index in 0..self.series.len() {
            let id = SeriesId(index as u32);
            if !self.has(id) {
                continue;
            }
            self.points_mut(id).forget_until(time.as_ms());
            if self.points(id).is_empty() {
                self.remove(id);
            }
        }
    }

    /// The number of series.
    pub fn len(&self) -> usize {
        self.by_labels.len()
    }

    /// The number of series of one metric.
    pub(crate) fn len_of(&self, metric: &str) -> usize {
        self.by_metric.get(metric).map_or(0, Vec::len)
    }

    /// Whether there are no series.
    pub fn is_empty(&self) -> bool {
        self.by_labels.is_empty()
    }

    pub(crate) fn find(&self, labels: &Labels) -> Option<SeriesId> {
        let hash = FxBuildHasher.hash_one(labels);
        let is_it = |id: &SeriesId| {
            let series = self.get(*id);
            series.hash == hash && self.pairs.are(&series.labels, labels)
        };
        self.by_labels.find(hash, is_it).copied()
    }

    /// A series that is new, without samples.
    pub(crate) fn insert(&mut self, labels: &Labels) -> SeriesId {
        let id = self.free.pop().unwrap_or_else(|| {
            grow_by_little(&mut self.series);
            self.series.push(None);
            SeriesId(self.series.len() as u32 - 1)
        });
        let metric = labels.metric_name().unwrap_or_default();
        if !self.by_metric.contains_key(metric) {
            self.by_metric.insert(metric.into(), Vec::new());
        }
        let of_metric = self.by_metric.get_mut(metric).expect("it was put there a line ago");
        let place = of_metric.len() as u32;
        of_metric.push(id);
        let (hash, pairs) = (FxBuildHasher.hash_one(labels), self.pairs.take(labels));
        let series = Series { labels: pairs, hash, points: Points::default(), place };
        self.series[id.0 as usize] = Some(series);
        let all = &self.series;
        let hash_of = |id: &SeriesId| all[id.0 as usize].as_ref().map_or(0, |series| series.hash);
        self.by_labels.insert_unique(hash, id, hash_of);
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.pass_over(id);
        }
        id
    }

    pub(crate) fn remove(&mut self, id: SeriesId) {
        self.copy_before_change(id);
        self.whole.clear();
        let series = self.series[id.0 as usize].take().expect("only series that exist are removed");
        let held = self.by_labels.find_entry(series.hash, |held| *held == id);
        held.expect("a series is among all").remove();
        let metric = self.pairs.metric_name(&series.labels);
        let of_metric = self.by_metric.get_mut(metric).expect("a series is among its metric's");
        of_metric.swap_remove(series.place as usize);
        match of_metric.get(series.place as usize) {
            Some(moved) => {
                let moved = self.series[moved.0 as usize].as_mut();
                moved.expect("ids in use are of series that exist").place = series.place;
            }
            None if of_metric.is_empty() => _ = self.by_metric.remove(metric),
            None => {}
        }
        self.pairs.give_back(&series.labels);
        self.free.push(id);
    }

    /// Whether there is a series with this number.
    pub(crate) fn has(&self, id: SeriesId) -> bool {
        self.series.get(id.0 as usize).is_some_and(Option::is_some)
    }

    /// Its labels, mostly put together anew.
    pub(crate) fn labels(&self, id: SeriesId) -> Labels {
        match self.whole.get(id.0 as usize) {
            Some(labels) => labels.clone(),
            None => self.pairs.labels(&self.get(id).labels),
        }
    }

    /// The samples of a series, oldest first.
    pub(crate) fn points(&self, id: SeriesId) -> &[Point] {
        self.get(id).points.as_slice()
    }

    /// Whether the samples of a series have no stale marker, and none is lower than the one before.
    pub(crate) fn rises(&self, id: SeriesId) -> bool {
        self.get(id).points.rise()
    }

    /// Bytes that the samples of a series take beside the newest one.
    pub(crate) fn points_bytes(&self, id: SeriesId) -> usize {
        self.get(id).points.bytes()
    }

    pub(crate) fn points_mut(&mut self, id: SeriesId) -> &mut Points {
        if self.snapshot.is_some() {
            self.copy_before_change(id);
        }
        let series = self.series[id.0 as usize].as_mut();
        &mut series.expect("ids in use are of series that exist").points
    }

    fn get(&self, id: SeriesId) -> &Series {
        self.series[id.0 as usize].as_ref().expect("ids in use are of series that exist")
    }

    /// The series that a selector selects, in the order of their labels.
    pub(crate) fn select(&self, selector: &Selector) -> Vec<SeriesId> {
        let all = || self.by_labels.iter().copied().collect();
        let ids: Vec<SeriesId> = match selector.metric_name() {
            Some(metric) => self.by_metric.get(metric).cloned().unwrap_or_default(),
            None => all(),
        };
        let mut selected: Vec<_> = ids.into_iter().map(|id| (self.labels(id), id)).collect();
        selected.retain(|(labels, _)| selector.selects(labels));
        selected.sort_unstable();
        selected.into_iter().map(|(_, id)| id).collect()
    }
}

impl Points {
    /// Adds a sample in its place. Of two with one time the last counts.
    pub(crate) fn add(&mut self, point: Point) {
        let before = self.as_slice().last().copied();
        if before.is_none_or(|last| last.time < point.time) {
            self.uneven += unevenness(before, point);
            self.push(point);
            return;
        }
        let (points, gone) = self.window();
        let held = &points[gone..];
        let found = held.binary_search_by_key(&point.time, |held| held.time);
        let (at, replaced) = match found {
            Ok(at) => (at, Some(held[at])),
            Err(at) => (at, None),
        };
        // What is next to it alone changes.
        let before = at.checked_sub(1).map(|before| held[before]);
        let after = held.get(at + usize::from(replaced.is_some())).copied();
        let of = |middle: Option<Point>| {
            let behind = middle.or(before);
            middle.map_or(0, |middle| unevenness(before, middle))
                + after.map_or(0, |after| unevenness(behind, after))
        };
        let (less, more) = (of(replaced), of(Some(point)));
        match found {
            Ok(at) => points[gone + at] = point,
            Err(at) => points.insert(gone + at, point),
        }
        self.uneven = self.uneven - less + more;
    }

    /// Makes a sample the only one.
    pub(crate) fn replace(&mut self, point: Point) {
        *self = Self { held: Held::One(point), uneven: unevenness(None, point) };
    }

    /// Drops every sample at or before a time.
    pub(crate) fn forget_until(&mut self, time: i64) {
        let held = self.as_slice();
        let (mut dropped, mut less) = (0, 0);
        while let Some(point) = held.get(dropped).filter(|point| point.time <= time) {
            let next = held.get(dropped + 1);
            less += u32::from(point.is_stale_marker());
            less += u32::from(next.is_some_and(|next| next.value < point.value));
            dropped += 1;
        }
        if dropped > 0 {
            self.uneven -= less;
            self.window();
            if let Held::Window { gone, .. } = &mut self.held {
                *gone += dropped as u32;
            }
        }
    }

    /// Drops the oldest of them, an eighth: there is no room for a longer window. Says how many.
    pub(crate) fn shorten(&mut self) -> usize {
        let held = self.as_slice();
        let Some(last) = (held.len() / 8).checked_sub(1) else { return 0 };
        let time = held[last].time;
        self.forget_until(time);
        last + 1
    }

    /// Whether one more sample takes more memory.
    pub(crate) fn is_full(&self) -> bool {
        match &self.held {
            Held::One(_) => true,
            Held::Window { points, gone } => points.len() == points.capacity() && *gone == 0,
        }
    }

    /// Bytes that a window takes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.held {
            Held::One(_) => 0,
            Held::Window { points, .. } => points.capacity() * SAMPLE_BYTES,
        }
    }

    pub(crate) fn as_slice(&self) -> &[Point] {
        match &self.held {
            Held::One(point) => std::slice::from_ref(point),
            Held::Window { points, gone } => &points[*gone as usize..],
        }
    }

    /// Whether none is a stale marker, and none lower than the one before.
    pub(crate) fn rise(&self) -> bool {
        self.uneven == 0
    }

    /// Adds a sample behind the others.
    fn push(&mut self, point: Point) {
        let (points, gone) = self.window();
        if points.len() == points.capacity() && gone > 0 {
            points.drain(..gone);
            points.shrink_to(points.len() * 2);
            if let Held::Window { gone, .. } = &mut self.held {
                *gone = 0;
            }
        }
        let (points, _) = self.window();
        grow_by_little(points);
        points.push(point);
    }

    /// As a window, with how many at the front no longer count.
    fn window(&mut self) -> (&mut Vec<Point>, usize) {
        if let Held::One(point) = self.held {
            self.held = Held::Window { points: vec![point], gone: 0 };
        }
        match &mut self.held {
            Held::Window { points, gone } => (points, *gone as usize),
            Held::One(_) => unreachable!("it was made a window a line ago"),
        }
    }
}

/// What a sample behind another adds to what is uneven.
fn unevenness(before: Option<Point>, point: Point) -> u32 {
    let falls = before.is_some_and(|before| point.value < before.value);
    u32::from(point.is_stale_marker()) + u32::from(falls)
}

/// Makes room for one more. What there is very much of is not doubled: half of it would be empty.
pub(crate) fn grow_by_little<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 8).max(4));
    }
}

/// The newest of samples at or before a time, with its place.
pub(crate) fn newest_at(points: &[Point], time: i64) -> Option<usize> {
    // Mostly it is the last one.
    match points.last() {
        Some(last) if last.time <= time => Some(points.len() - 1),
        _ => points.partition_point(|point| point.time <= time).checked_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_uneven_is_known_however_samples_come(
            added in prop::collection::vec((0..40_i64, 0..6_u8), 1..80),
            forgotten in prop::collection::vec(0..45_i64, 80),
        ) {
            let mut points = Points::default();
            for ((time, value), until) in added.into_iter().zip(forgotten) {
                let value = if value == 5 { STALE } else { f64::from(value) };
                points.add(Point { time, value });
                if until < 20 {
                    points.forget_until(until);
                } else if until == 20 {
                    points.shorten();
                }
                let held = points.as_slice();
                let before = |at: usize| at.checked_sub(1).map(|before| held[before]);
                let all = held.iter().enumerate().map(|(at, point)| unevenness(before(at), *point));
                prop_assert_eq!(points.uneven, all.sum::<u32>());
                prop_assert!(held.is_sorted_by(|one, other| one.time < other.time));
            }
        }
    }
}
