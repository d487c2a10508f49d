//! Aggregations: `sum by (…) (…)` and its kin. Those that keep whole elements are in [`rank`],
//! `quantile` in [`quantile`].

pub(crate) mod quantile;
pub(super) mod rank;

use bellwire_model::{Labels, NameMap};

use self::quantile::quantile;
use super::sum::{Mean, Sum};
use super::{Evaluated, Evaluation, Item, Items, NoteKind, Number};
use crate::number::plain_text;
use crate::plan::{Aggregate, Aggregation, LabelSet};

/// The elements of one group, at least one.
struct Group {
    labels: Labels,
    drops_name: bool,
    numbers: Vec<Number>,
}

impl Evaluation<'_> {
    pub(super) fn aggregate(&mut self, given: &Aggregation, time: i64) -> Evaluated<Items> {
        match &given.function {
            Aggregate::TopK(count) | Aggregate::BottomK(count) | Aggregate::LimitK(count) => {
                self.ranked(given, count, time)
            }
            Aggregate::LimitRatio(ratio) => self.share(given, ratio, time),
            Aggregate::CountValues(label) => self.count_values(given, label, time),
            Aggregate::Quantile(level) => {
                let level = self.scalar(level, time)?;
                self.follow(level);
                self.note_quantile(level.value, given.noted_at);
                let items = self.vector(&given.vector, time)?;
                self.follow_all(&items);
                let reduce = |numbers: &[Number]| {
                    let mut values: Vec<f64> = numbers.iter().map(|n| n.value).collect();
                    Number::still(quantile(level.value, &mut values))
                };
                Ok(reduced(groups(items, &given.grouping), reduce))
            }
            function => {
                let items = self.vector(&given.vector, time)?;
                let reduce = |numbers: &[Number]| reduce(function, numbers);
                Ok(reduced(groups(items, &given.grouping), reduce))
            }
        }
    }

    /// Elements compare with each other, so that any that moves may change the result.
    fn follow_all(&mut self, items: &[Item]) {
        for item in items {
            self.follow(item.number);
        }
    }

    pub(super) fn note_quantile(&mut self, level: f64, offset: usize) {
        if !(0.0..=1.0).contains(&level) {
            let level = crate::number::go_text(level);
            let text = format!("quantile value should be between 0 and 1, got {level}");
            self.note(NoteKind::Warning, offset, text);
        }
    }

    /// `count_values`: the value becomes a label.
    fn count_values(&mut self, given: &Aggregation, label: &str, time: i64) -> Evaluated<Items> {
        let items = self.vector(&given.vector, time)?;
        self.follow_all(&items);
        let mut grouping = given.grouping.clone();
        if let LabelSet::Only(names) = &mut grouping {
            *names = names.iter().cloned().chain([label.into()]).collect();
        }
        let mut counted = Vec::with_capacity(items.len());
        for mut item in items {
            item.labels = item.labels.with(label, &plain_text(item.value()))?;
            counted.push(item);
        }
        let count = |numbers: &[Number]| Number::still(numbers.len() as f64);
        Ok(reduced(groups(counted, &grouping), count))
    }
}

/// The groups, in the order of their first elements.
fn groups(items: Items, grouping: &LabelSet) -> Vec<Group> {
    let mut places: NameMap<Labels, usize> = NameMap::default();
    let mut groups: Vec<Group> = Vec::new();
    for Item { labels, number, drops_name } in items {
        let labels = labels.filtered(|name| grouping.has(name));
        let place = *places.entry(labels).or_insert_with_key(|labels| {
            groups.push(Group { labels: labels.clone(), drops_name: false, numbers: Vec::new() });
            groups.len() - 1
        });
        let group = &mut groups[place];
        group.drops_name |= drops_name;
        group.numbers.push(number);
    }
    groups
}

fn reduced(groups: Vec<Group>, reduce: impl Fn(&[Number]) -> Number) -> Items {
    let item = |group: Group| Item {
        number: reduce(&group.numbers),
        labels: group.labels,
        drops_name: group.drops_name,
    };
    groups.into_iter().map(item).collect()
}

/// One number of many, at least one.
pub(super) fn reduce(function: &Aggregate, numbers: &[Number]) -> Number {
    let count = numbers.len() as f64;
    let drift = |share: f64| -> f64 { numbers.iter().map(|number| number.drift * share).sum() };
    match function {
        Aggregate::Sum => Number { value: sum(numbers), drift: drift(1.0) },
        Aggregate::Avg => Number { value: mean(numbers), drift: drift(1.0 / count) },
        Aggregate::Count => Number::still(count),
        Aggregate::Group => Number::still(1.0),
        Aggregate::Min => curved(numbers, extreme(numbers, |new, held| new < held)),
        Aggregate::Max => curved(numbers, extreme(numbers, |new, held| new > held)),
        Aggregate::Stddev => curved(numbers, variance(numbers).sqrt()),
        Aggregate::Stdvar => curved(numbers, variance(numbers)),
        other => unreachable!("{other:?} is computed elsewhere"),
    }
}

fn sum(numbers: &[Number]) -> f64 {
    let mut sum = Sum::of(numbers[0].value);
    for number in &numbers[1..] {
        sum.add(number.value);
    }
    sum.total()
}

fn mean(numbers: &[Number]) -> f64 {
    let mut mean = Mean::of(numbers[0].value);
    for number in &numbers[1..] {
        mean.add(number.value);
    }
    mean.value()
}

/// NaN is taken only where there is nothing else.
fn extreme(numbers: &[Number], is_better: fn(f64, f64) -> bool) -> f64 {
    let values = numbers.iter().map(|number| number.value);
    let better = |held: f64, new: f64| {
        if is_better(new, held) || held.is_nan() { new } else { held }
    };
    values.reduce(better).expect("a group has an element")
}

fn variance(numbers: &[Number]) -> f64 {
    let (mut mean, mut squares) = (numbers[0].value, 0.0);
    if !mean.is_finite() {
        return f64::NAN;
    }
    for (index, number) in numbers.iter().enumerate().skip(1) {
        let delta = number.value - mean;
        mean += delta / (index + 1) as f64;
        squares += delta * (number.value - mean);
    }
    squares / numbers.len() as f64
}

/// A value that does not follow its inputs in a straight line.
fn curved(numbers: &[Number], value: f64) -> Number {
    let moves = numbers.iter().any(|number| number.drift != 0.0);
    Number { value, drift: if moves { f64::NAN } else { 0.0 } }
}
