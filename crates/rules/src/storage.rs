//! Series in memory: the samples that expressions may still look at.
//!
//! Of each series as many samples are kept as [`Storage::keep`] is told to. Within the storage
//! series have small numbers; those of one metric are found without looking at the others.

mod pairs;
mod points;
mod snapshot;

use std::convert::Infallible;
use std::hash::BuildHasher;

use bellwire_model::{Labels, NameHasher, NameMap, Sample, Timestamp};
use hashbrown::HashTable;

pub(crate) use self::pairs::{PairSet, Pairs, set_hash};
pub(crate) use self::points::Points;
pub(crate) use self::snapshot::{SeriesCopy, Size, Snapshot, Wanted};
use crate::selector::Selector;

/// The value by which Prometheus says that a series has ended.
pub(crate) const STALE: f64 = Sample::STALE;

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
    by_metric: NameMap<Box<str>, Vec<SeriesId>>,
    free: Vec<SeriesId>,
    /// Their labels put together, by their numbers, where they are asked for again and again.
    whole: Vec<Labels>,
    /// The snapshot that is open: it comes before whatever changes.
    snapshot: Option<Box<Snapshot>>,
}

/// There is one for each series, so it is small.
#[derive(Debug)]
struct Series {
    points: Points,
    labels: PairSet,
    /// Of its labels.
    hash: ShortHash,
    /// Where it stands among the series of its metric.
    place: u32,
}

const _: () = assert!(size_of::<Option<Series>>() == 48);

/// A hash in little room: what it is spread from is looked at where two are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ShortHash(u32);

impl ShortHash {
    fn of(labels: &Labels) -> Self {
        let hash = NameHasher::default().hash_one(labels);
        Self((hash ^ (hash >> 32)) as u32)
    }

    /// As a table takes it, which looks at the highest bits and at the lowest.
    fn spread(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
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
        let hash = ShortHash::of(labels);
        let is_it = |id: &SeriesId| {
            let series = self.get(*id);
            series.hash == hash && self.pairs.are(series.labels, labels)
        };
        self.by_labels.find(hash.spread(), is_it).copied()
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
        let (hash, pairs) = (ShortHash::of(labels), self.pairs.take(labels));
        let series = Series { labels: pairs, hash, points: Points::default(), place };
        self.series[id.0 as usize] = Some(series);
        let all = &self.series;
        let hash_of = |id: &SeriesId| all[id.0 as usize].as_ref().map_or(0, |it| it.hash.spread());
        self.by_labels.insert_unique(hash.spread(), id, hash_of);
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.pass_over(id);
        }
        id
    }

    pub(crate) fn remove(&mut self, id: SeriesId) {
        self.copy_before_change(id);
        self.whole.clear();
        let series = self.series[id.0 as usize].take().expect("only series that exist are removed");
        let held = self.by_labels.find_entry(series.hash.spread(), |held| *held == id);
        held.expect("a series is among all").remove();
        let metric = self.pairs.metric_name(series.labels);
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
        self.pairs.give_back(series.labels);
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
            None => self.pairs.labels(self.get(id).labels),
        }
    }

    /// The pairs of all label sets that are kept: those of the series, and those that others keep.
    pub(crate) fn pairs(&self) -> &Pairs {
        &self.pairs
    }

    pub(crate) fn pairs_mut(&mut self) -> &mut Pairs {
        &mut self.pairs
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
        let Ok(selected) = self.select_while(selector, || Ok::<(), Infallible>(()));
        selected
    }

    /// The same, as long as it is wanted: it may take long.
    pub(crate) fn select_while<E>(
        &self,
        selector: &Selector,
        is_wanted: impl Fn() -> Result<(), E>,
    ) -> Result<Vec<SeriesId>, E> {
        let all = || self.by_labels.iter().copied().collect();
        let ids: Vec<SeriesId> = match selector.metric_name() {
            Some(metric) => self.by_metric.get(metric).cloned().unwrap_or_default(),
            None => all(),
        };
        let mut selected = Vec::new();
        for id in ids {
            is_wanted()?;
            let labels = self.labels(id);
            if selector.selects(&labels) {
                selected.push((labels, id));
            }
        }
        selected.sort_unstable();
        Ok(selected.into_iter().map(|(_, id)| id).collect())
    }
}

/// Makes room for one more. What there is very much of is not doubled: half of it would be empty.
pub(crate) fn grow_by_little<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact(room_by_little(list.len()));
    }
}

/// How much room a list of so many gets for more.
fn room_by_little(len: usize) -> usize {
    (len / 8).max(4)
}

/// The newest of samples at or before a time, with its place.
pub(crate) fn newest_at(points: &[Point], time: i64) -> Option<usize> {
    // Mostly it is the last one.
    match points.last() {
        Some(last) if last.time <= time => Some(points.len() - 1),
        _ => points.partition_point(|point| point.time <= time).checked_sub(1),
    }
}
