//! `histogram_quantile` over classic buckets: one series for each upper bound, label `le`.

use bellwire_model::{Labels, NameMap};

use super::{Evaluated, Evaluation, Item, Items, NoteKind, Number};
use crate::number::read_number;
use crate::plan::Quantile;

/// The label that holds a bucket's upper bound.
pub(super) const BOUND: &str = "le";

/// Counts that differ by less than this, relative to them, differ by rounding alone.
const ROUNDING: f64 = 1e-12;

/// How many observations were not above a bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    pub(super) bound: f64,
    pub(super) count: f64,
}

/// The buckets of one histogram.
struct Histogram {
    labels: Labels,
    drops_name: bool,
    moves: bool,
    buckets: Vec<Bucket>,
}

impl Evaluation<'_> {
    pub(super) fn histogram_quantile(&mut self, given: &Quantile, time: i64) -> Evaluated<Items> {
        let level = self.scalar(&given.level, time)?;
        self.follow(level);
        let items = self.vector(&given.vector, time)?;
        self.note_quantile(level.value, given.noted_at);
        let histograms = self.histograms(items, given.vector_at);
        let mut results = Vec::with_capacity(histograms.len());
        for mut histogram in histograms {
            let (value, was_forced) = quantile(level.value, &mut histogram.buckets);
            if was_forced {
                self.note_forced(histogram.labels.metric_name(), given.vector_at);
            }
            let number = Number { value, drift: if histogram.moves { f64::NAN } else { 0.0 } };
            let drops_name = histogram.drops_name;
            let mut item = Item { labels: histogram.labels, number, drops_name };
            self.drop_name(&mut item);
            results.push(item);
        }
        self.checked(results)
    }

    /// Series that differ in their bound alone are one histogram.
    fn histograms(&mut self, items: Items, offset: usize) -> Vec<Histogram> {
        let mut places: NameMap<Labels, usize> = NameMap::default();
        let mut histograms: Vec<Histogram> = Vec::new();
        for Item { labels, number, drops_name } in items {
            let bound = labels.get(BOUND).unwrap_or_default();
            let Some(upper) = read_number(bound) else {
                let name = labels.metric_name().unwrap_or_default();
                let text = format!(
                    "bucket label {BOUND:?} is missing or has a malformed value of {bound:?} for \
                     metric name {name:?}"
                );
                self.note(NoteKind::Warning, offset, text);
                continue;
            };
            let labels = labels.filtered(|name| name != BOUND);
            let place = *places.entry(labels).or_insert_with_key(|labels| {
                let labels = labels.clone();
                histograms.push(Histogram { labels, drops_name, moves: false, buckets: vec![] });
                histograms.len() - 1
            });
            histograms[place].moves |= number.drift != 0.0;
            histograms[place].buckets.push(Bucket { bound: upper, count: number.value });
        }
        histograms
    }

    fn note_forced(&mut self, metric: Option<&str>, offset: usize) {
        let metric = metric.map(|name| format!(" for metric name {name:?}")).unwrap_or_default();
        let text = format!(
            "input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/\
             #histogram_quantile){metric}"
        );
        self.note(NoteKind::Info, offset, text);
    }
}

/// The upper bound of a bucket.
pub(super) fn bound(labels: &Labels) -> Option<f64> {
    read_number(labels.get(BOUND).unwrap_or_default())
}

/// The quantile, and whether counts had to be made to rise with the bounds.
pub(super) fn quantile(level: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if level.is_nan() {
        return (f64::NAN, false);
    }
    if !(0.0..=1.0).contains(&level) {
        return (f64::INFINITY.copysign(level), false);
    }
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return (f64::NAN, false);
    }
    merge_equal_bounds(buckets);
    let was_forced = make_rise(buckets);
    let observations = buckets[buckets.len() - 1].count;
    if buckets.len() < 2 || observations == 0.0 || observations.is_nan() {
        return (f64::NAN, was_forced);
    }
    (interpolated(level * observations, buckets), was_forced)
}

/// Where the observation of this rank lies, if those of a bucket are spread evenly.
fn interpolated(rank: f64, buckets: &[Bucket]) -> f64 {
    let finite = &buckets[..buckets.len() - 1];
    let place = finite.partition_point(|bucket| bucket.count < rank);
    let Some(bucket) = finite.get(place) else { return finite[finite.len() - 1].bound };
    let Some(before) = place.checked_sub(1).map(|place| finite[place]) else {
        if bucket.bound <= 0.0 {
            return bucket.bound;
        }
        return bucket.bound * (rank / bucket.count);
    };
    let share = (rank - before.count) / (bucket.count - before.count);
    before.bound + (bucket.bound - before.bound) * share
}

#[expect(clippy::float_cmp, reason = "bounds are equal where they are written alike")]
fn merge_equal_bounds(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, held| {
        let is_same = next.bound == held.bound;
        if is_same {
            held.count += next.count;
        }
        is_same
    });
}

/// Counts never fall from one bound to the next; where they do, they are raised. Says whether
/// there was more to it than rounding.
#[expect(clippy::float_cmp, reason = "equal counts need nothing")]
fn make_rise(buckets: &mut [Bucket]) -> bool {
    let mut was_forced = false;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if is_rounding(before, count) {
            bucket.count = before;
        } else if count < before {
            bucket.count = before;
            was_forced = true;
        } else {
            before = count;
        }
    }
    was_forced
}

fn is_rounding(a: f64, b: f64) -> bool {
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < ROUNDING * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < ROUNDING
}
