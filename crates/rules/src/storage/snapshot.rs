//! What some selectors select as it is at one instant, copied in pieces while samples go on coming.
//!
//! Whoever is about to change a series that may be selected has it copied first, so a series is
//! copied once, in a piece or before its first change, whichever comes sooner. A bit for each series
//! says whether that is still to come:
//!
//! ```text
//! begin: a bit for each series that may be selected
//!        │ piece │ change of a series │ piece │ …  each looks at some, copies them and clears
//!        ▼                                         their bits
//! complete: no bit is left
//! ```
//!
//! What a text matches may take long to find out, and nobody may wait for that. So there are so many
//! steps for it, and a series of which it is not known when they are spent is copied as if it were
//! selected, and might be seen by whoever asks. Whoever asks looks again, and takes the time. Whether
//! it may be seen has steps of its own, so that no selector has others' series copied.

use bellwire_model::limits::{
    READING_CHANGE_STEPS, READING_PIECE_BYTES, READING_PIECE_SERIES, READING_PIECE_STEPS,
    READING_SERIES_STEPS, READING_SIGHT_STEPS,
};
use bellwire_model::{Labels, NameSet, Sight};

use super::{Point, Points, SAMPLE_BYTES, SeriesId, Storage};
use crate::selector::Selector;
use crate::sight::shows_within;

/// What a series takes of a copy beside its labels and samples.
const SERIES_BYTES: usize = 256;

/// A selector, and of when its samples count: after a time, and until another.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) selector: Selector,
    pub(crate) after: i64,
    pub(crate) until: i64,
}

/// A copy that is being taken.
#[derive(Debug)]
pub(crate) struct Snapshot {
    wanted: Vec<Wanted>,
    /// What is copied at most.
    sight: Sight,
    /// When samples count at all.
    widest: (i64, i64),
    left: Left,
    copies: Vec<SeriesCopy>,
    size: Size,
    /// Beyond so many samples it has failed, and copies nothing more.
    samples_max: usize,
}

/// How much has been copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) samples: usize,
    /// Bytes of what is not samples.
    pub(crate) bytes: usize,
}

/// A series as it was when the snapshot began.
#[derive(Debug)]
pub(crate) struct SeriesCopy {
    pub(crate) labels: Labels,
    pub(crate) points: Vec<Point>,
}

impl Snapshot {
    /// Begins: what there is from now on does not count.
    pub(crate) fn begin(
        storage: &Storage,
        (wanted, sight): (Vec<Wanted>, Sight),
        samples_max: usize,
    ) -> Self {
        let mut left = Left::new(storage.series.len());
        let metrics: NameSet<Option<&str>> =
            wanted.iter().map(|wanted| wanted.selector.metric_name()).collect();
        for metric in metrics {
            match metric {
                None => left.insert_all(),
                Some(metric) => storage.of_metric(metric).for_each(|id| left.insert(id)),
            }
        }
        let widest = wanted.iter().map(Wanted::span).reduce(both).unwrap_or_default();
        let (copies, size) = (Vec::new(), Size::default());
        Self { wanted, sight, widest, left, copies, size, samples_max }
    }

    /// Whether one piece is enough for what is wanted, so that it need not stay open while samples
    /// come.
    pub(crate) fn is_small(storage: &Storage, wanted: &[Wanted]) -> bool {
        let (mut series, mut bytes) = (0, 0);
        for Wanted { selector, .. } in wanted {
            let metric = selector.metric_name();
            series += metric.map_or(storage.series.len(), |metric| storage.len_of(metric));
            if series > READING_PIECE_SERIES {
                return false;
            }
            let each = |id: SeriesId| storage.has(id).then(|| storage.points(id).len());
            bytes += SAMPLE_BYTES
                * match metric {
                    None => storage.all().filter_map(each).sum::<usize>(),
                    Some(metric) => storage.of_metric(metric).filter_map(each).sum(),
                };
        }
        bytes <= READING_PIECE_BYTES
    }

    /// Takes the next piece; says whether it was the last.
    pub(crate) fn turn(&mut self, storage: &Storage) -> bool {
        let (mut series, mut bytes, mut steps) = (0, 0, 0);
        while series < READING_PIECE_SERIES
            && bytes < READING_PIECE_BYTES
            && steps < READING_PIECE_STEPS
        {
            let Some(id) = self.left.next() else { return true };
            series += 1;
            let mut left = READING_SERIES_STEPS;
            bytes += self.look_at(storage, id, &mut left);
            steps += READING_SERIES_STEPS - left;
        }
        false
    }

    /// Takes all of what [is small](Self::is_small).
    pub(crate) fn take_all(&mut self, storage: &Storage) {
        let mut steps = READING_PIECE_STEPS;
        while let Some(id) = self.left.next() {
            self.look_at(storage, id, &mut steps);
        }
    }

    /// How much has been copied.
    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// What was copied.
    pub(crate) fn into_copies(self) -> Vec<SeriesCopy> {
        self.copies
    }

    /// Copies a series before it changes, unless that has been done.
    fn mind(&mut self, storage: &Storage, id: SeriesId) {
        if self.left.has(id) {
            self.look_at(storage, id, &mut READING_CHANGE_STEPS.clone());
        }
    }

    /// A series is new, perhaps under the number of one that was there.
    pub(super) fn pass_over(&mut self, id: SeriesId) {
        self.left.remove(id);
    }

    /// Copies a series where it is selected, or where that takes more steps than are left to find
    /// out; says how many bytes that took.
    fn look_at(&mut self, storage: &Storage, id: SeriesId, steps: &mut usize) -> usize {
        self.left.remove(id);
        if !storage.has(id) {
            return 0;
        }
        let labels = storage.labels(id);
        let Some((after, until)) = self.span_of(&labels, steps) else { return 0 };
        let points = storage.points(id);
        let first = points.partition_point(|point| point.time <= after);
        let end = points.partition_point(|point| point.time <= until).max(first);
        let points = &points[first..end];
        if points.is_empty() {
            return 0;
        }
        self.size.samples += points.len();
        self.size.bytes += SERIES_BYTES + labels.size_bytes();
        if self.size.samples > self.samples_max {
            self.left = Left::default();
            return 0;
        }
        self.copies.push(SeriesCopy { labels, points: points.to_vec() });
        points.len() * SAMPLE_BYTES
    }

    /// When samples of a series count that is selected, or may be.
    fn span_of(&self, labels: &Labels, steps: &mut usize) -> Option<(i64, i64)> {
        let mut span = None;
        for wanted in &self.wanted {
            match wanted.selector.selects_within(labels, steps) {
                Some(false) => {}
                Some(true) => span = Some(span.map_or(wanted.span(), |it| both(it, wanted.span()))),
                None => {
                    span = Some(self.widest);
                    break;
                }
            }
        }
        // One that may not be seen is not copied, where that is known, also where a selector has
        // taken all steps: of others' series nobody may notice how many there are.
        let mut left = (*steps).max(READING_SIGHT_STEPS);
        let before = left;
        let span = span.filter(|_| shows_within(&self.sight, labels, &mut left) != Some(false));
        *steps = steps.saturating_sub(before - left);
        span
    }
}

impl Wanted {
    fn span(&self) -> (i64, i64) {
        (self.after, self.until)
    }
}

/// What is in one of two spans, and between them.
fn both(one: (i64, i64), other: (i64, i64)) -> (i64, i64) {
    (one.0.min(other.0), one.1.max(other.1))
}

/// The series that are still to be looked at: a bit for each number.
#[derive(Debug, Default)]
struct Left {
    words: Vec<u64>,
    /// No bit of the words before it is set.
    first: usize,
}

impl Left {
    /// None of so many.
    fn new(series: usize) -> Self {
        Self { words: vec![0; series.div_ceil(64)], first: 0 }
    }

    fn insert(&mut self, id: SeriesId) {
        self.words[id.0 as usize / 64] |= 1 << (id.0 % 64);
    }

    /// Also those beyond the last, which are not there until they are new.
    fn insert_all(&mut self) {
        self.words.fill(u64::MAX);
    }

    fn has(&self, id: SeriesId) -> bool {
        self.words.get(id.0 as usize / 64).is_some_and(|word| word & (1 << (id.0 % 64)) != 0)
    }

    fn remove(&mut self, id: SeriesId) {
        if let Some(word) = self.words.get_mut(id.0 as usize / 64) {
            *word &= !(1 << (id.0 % 64));
        }
    }

    fn next(&mut self) -> Option<SeriesId> {
        let is_set = |word: &u64| *word != 0;
        self.first += self.words.get(self.first..)?.iter().position(is_set)?;
        Some(SeriesId(self.first as u32 * 64 + self.words[self.first].trailing_zeros()))
    }
}

impl Storage {
    /// Whether a snapshot is open.
    pub(crate) fn has_open(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Goes on with a snapshot piece by piece: whatever changes meanwhile is copied first. One is
    /// open at a time, so that a change copies a series once, however many ask.
    pub(crate) fn open(&mut self, snapshot: Snapshot) {
        debug_assert!(self.snapshot.is_none(), "one snapshot is open at a time");
        self.snapshot = Some(Box::new(snapshot));
    }

    /// Takes the next piece of the open snapshot; says whether it was the last, and how much has been
    /// copied.
    pub(crate) fn read_on(&mut self) -> (bool, Size) {
        let Some(mut snapshot) = self.snapshot.take() else { return (true, Size::default()) };
        let read = (snapshot.turn(self), snapshot.size());
        self.snapshot = Some(snapshot);
        read
    }

    /// Ends the open snapshot.
    pub(crate) fn close(&mut self) -> Option<Snapshot> {
        self.snapshot.take().map(|snapshot| *snapshot)
    }

    pub(super) fn copy_before_change(&mut self, id: SeriesId) {
        if let Some(mut snapshot) = self.snapshot.take() {
            snapshot.mind(self, id);
            self.snapshot = Some(snapshot);
        }
    }

    fn all(&self) -> impl Iterator<Item = SeriesId> {
        (0..self.series.len() as u32).map(SeriesId)
    }

    pub(crate) fn of_metric(&self, metric: &str) -> impl Iterator<Item = SeriesId> {
        self.by_metric.get(metric).into_iter().flatten().copied()
    }

    /// Series that were copied. Of two with the same labels the first counts.
    pub(crate) fn of_copies(copies: impl Iterator<Item = SeriesCopy>) -> Self {
        let mut storage = Self::new();
        for SeriesCopy { labels, points } in copies {
            if storage.find(&labels).is_none() {
                let id = storage.insert(&labels);
                *storage.points_mut(id) = Points::of_sorted(points);
                storage.whole.push(labels);
            }
        }
        storage
    }
}
