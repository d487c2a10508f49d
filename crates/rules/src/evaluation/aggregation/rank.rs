//! Aggregations that keep some elements as they are: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use std::cmp::Ordering;

use bellwire_model::{Fnv1a, Labels, NameMap};

use crate::evaluation::{Evaluated, Evaluation, EvaluationError, Item, Items, NoteKind};
use crate::number::go_text;
use crate::plan::{Aggregate, Aggregation, LabelSet, Scalar};

impl Evaluation<'_> {
    /// The first, the largest or the smallest `count` elements of each group.
    pub(super) fn ranked(
        &mut self,
        given: &Aggregation,
        count: &Scalar,
        time: i64,
    ) -> Evaluated<Items> {
        let number = self.scalar(count, time)?;
        self.follow(number);
        let count = whole(number.value)?;
        let items = self.vector(&given.vector, time)?;
        if count < 1 {
            return Ok(Vec::new());
        }
        let order = given.function.order();
        if order.is_some() {
            self.follow_all(&items);
        }
        let mut ranked = Vec::new();
        for mut group in grouped(items, &given.grouping) {
            if let Some(order) = order {
                // Among equals the labels decide, so that it does not matter who came first.
                group.sort_by(|a, b| {
                    let by_labels = || a.labels.iter().cmp(b.labels.iter());
                    order(a.value(), b.value()).then_with(by_labels)
                });
            }
            group.truncate(usize::try_from(count).unwrap_or(usize::MAX));
            ranked.append(&mut group);
        }
        Ok(ranked)
    }

    /// `limit_ratio`: a share of the elements, chosen by a hash of their labels; a negative ratio
    /// is the rest of what a positive one leaves.
    pub(super) fn share(
        &mut self,
        given: &Aggregation,
        ratio: &Scalar,
        time: i64,
    ) -> Evaluated<Items> {
        let number = self.scalar(ratio, time)?;
        self.follow(number);
        let mut ratio = number.value;
        if ratio.is_nan() {
            return Err(EvaluationError::Parameter("Ratio value is NaN".into()));
        }
        if !(-1.0..=1.0).contains(&ratio) {
            let capped = ratio.clamp(-1.0, 1.0);
            let text = format!(
                "ratio value should be between -1 and 1, got {}, capping to {}",
                go_text(ratio),
                go_text(capped)
            );
            self.note(NoteKind::Warning, given.noted_at, text);
            ratio = capped;
        }
        let mut items = self.vector(&given.vector, time)?;
        items.retain(|item| {
            let place = place(&item.labels);
            if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
        });
        Ok(items)
    }
}

impl Aggregate {
    /// How `topk` and `bottomk` order values.
    pub(in crate::evaluation) fn order(&self) -> Option<fn(f64, f64) -> Ordering> {
        match self {
            Self::TopK(_) => Some(descending),
            Self::BottomK(_) => Some(ascending),
            _ => None,
        }
    }
}

/// A number of elements.
pub(in crate::evaluation) fn whole(count: f64) -> Evaluated<i64> {
    let refusal = |text: String| Err(EvaluationError::Parameter(text.into()));
    if count.is_nan() {
        return refusal("Parameter value is NaN".into());
    }
    if count > i64::MAX as f64 {
        return refusal(format!("Scalar value {} overflows int64", go_text(count)));
    }
    if count < i64::MIN as f64 {
        return refusal(format!("Scalar value {} underflows int64", go_text(count)));
    }
    Ok(count as i64)
}

/// Where labels fall between 0 and 1, evenly.
fn place(labels: &Labels) -> f64 {
    let mut hash = Fnv1a::default();
    for (name, value) in labels.iter() {
        hash.write_text(name);
        hash.write_text(value);
    }
    // Its high bits depend little on the last bytes, so they are mixed once more.
    let mut hash = hash.finish();
    hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (hash ^ (hash >> 32)) as f64 / u64::MAX as f64
}

/// The elements of each group, in the order of the first ones.
fn grouped(items: Items, grouping: &LabelSet) -> Vec<Vec<Item>> {
    let mut places: NameMap<Labels, usize> = NameMap::default();
    let mut groups: Vec<Vec<Item>> = Vec::new();
    for item in items {
        let labels = item.labels.filtered(|name| grouping.has(name));
        let place = *places.entry(labels).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(item);
    }
    groups
}

/// Largest first, NaN last.
fn descending(a: f64, b: f64) -> Ordering {
    a.is_nan().cmp(&b.is_nan()).then(b.partial_cmp(&a).unwrap_or(Ordering::Equal))
}

/// Smallest first, NaN last.
fn ascending(a: f64, b: f64) -> Ordering {
    a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(&b).unwrap_or(Ordering::Equal))
}
