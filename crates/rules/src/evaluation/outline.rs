//! What a plan can give for a fixed set of series, as far as their labels tell.
//!
//! Which elements meet, which fall into one group and what they are called follows from labels
//! alone, and labels change seldom. So that is found once for each part of a rule: its outline.
//! What is left for each evaluation is numbers: see [`column`](super::column).
//!
//! An outline holds for the plain cases. Where labels could collide, or an operator makes labels
//! of values, there is none, and the plain evaluator does the work, errors included.

use bellwire_model::{Labels, NameMap, NameSet};

use super::histogram::{self, BOUND};
use super::{Evaluation, NameRemoval, without_name};
use crate::plan::{
    Aggregate, Aggregation, Cardinality, Match, Quantile, Scalar, SetOperation, SetOperator,
    Vector, Window,
};

/// The elements that a node of a plan can give, in their order; those of its inputs are within.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outline {
    /// One for each series of a selector.
    Series,
    /// One, whatever there is.
    One,
    /// Those of the only input.
    Same(Box<Outline>),
    /// One where the input has none.
    Absent(Box<Outline>),
    /// One for each group of the input's.
    Groups(Box<Outline>, Grouping),
    /// The input's, of each group only some.
    Ranked(Box<Outline>, Grouping),
    /// One for each histogram among the input's, with the bounds of its buckets as bits.
    Histograms(Box<Outline>, Grouping, Box<[u64]>),
    /// One for each pair of the many side and the one side.
    Pairs(Box<[Outline; 2]>, Box<[[u32; 2]]>),
    /// Those of the left side, or of both; by the key that each is matched by.
    Keyed(Box<[Outline; 2]>, Keys),
}

/// Elements by group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Grouping {
    /// All of them are one group.
    One,
    Many {
        /// The elements of the first group, then those of the second, …
        members: Box<[u32]>,
        /// Where each group ends.
        ends: Box<[u32]>,
        /// That of the groups is the order of the first elements present, so it is known where
        /// all of them are.
        order: ElementOrder,
    },
}

/// Whether the order of elements matters to what is made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ElementOrder {
    Matters,
    IsFree,
}

/// The keys of the elements of both sides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Keys {
    pub(crate) left: Box<[u32]>,
    pub(crate) right: Box<[u32]>,
    /// How many different ones there are.
    pub(crate) count: u32,
}

/// An outline while it is found, with the labels of its elements.
type LabelledOutline = (Outline, Vec<Labels>);

impl Evaluation<'_> {
    /// The outline of a whole expression, with the labels of what it gives; there is none where
    /// the plain evaluator has to look at labels each time.
    pub(crate) fn outline(&self, vector: &Vector) -> Option<LabelledOutline> {
        let at_once = self.conventions.names == NameRemoval::AtOnce;
        at_once.then(|| self.outlined(vector, ElementOrder::IsFree))?
    }

    /// `order`: that of the elements.
    fn outlined(&self, vector: &Vector, order: ElementOrder) -> Option<LabelledOutline> {
        match vector {
            Vector::Select(instant) => {
                Some((Outline::Series, self.labels_of(instant.selector).collect()))
            }
            Vector::SampleTime(instant) => {
                let labels = self.labels_of(instant.selector).map(|labels| without_name(&labels));
                distinct(Outline::Series, labels.collect())
            }
            Vector::OverTime(call) => {
                let Window::Samples { selector, .. } = call.window else { return None };
                plain(&call.parameters)?;
                let keeps_name = call.function.keeps_name();
                let named = |labels| if keeps_name { labels } else { without_name(&labels) };
                distinct(Outline::Series, self.labels_of(selector).map(named).collect())
            }
            Vector::AbsentOverTime(window, labels) => {
                let Window::Samples { .. } = **window else { return None };
                Some((Outline::Series, vec![labels.clone()]))
            }
            Vector::Absent(vector, labels) => {
                let (inner, _) = self.outlined(vector, ElementOrder::IsFree)?;
                Some((Outline::Absent(inner.into()), vec![labels.clone()]))
            }
            Vector::OfScalar(scalar) => {
                plain(std::slice::from_ref(scalar))?;
                Some((Outline::One, vec![Labels::empty()]))
            }
            Vector::Calendar(_, None) => Some((Outline::One, vec![Labels::empty()])),
            Vector::EvaluationTime(vector)
            | Vector::Negated(vector)
            | Vector::Calendar(_, Some(vector)) => self.nameless(vector, order),
            Vector::Math(_, vector, parameters) => {
                plain(parameters)?;
                self.nameless(vector, order)
            }
            Vector::WithScalar(with) => {
                plain(std::slice::from_ref(&with.scalar))?;
                if with.drops_name() {
                    return self.nameless(&with.vector, order);
                }
                let (inner, labels) = self.outlined(&with.vector, order)?;
                Some((Outline::Same(inner.into()), labels))
            }
            Vector::LabelReplace(replace) => {
                let replaced = |labels: &Labels| replace.labels(labels).ok();
                self.renamed(&replace.vector, order, replaced)
            }
            Vector::LabelJoin(join) => {
                self.renamed(&join.vector, order, |labels| join.labels(labels).ok())
            }
            Vector::HistogramQuantile(quantile) => self.histograms_outlined(quantile, order),
            Vector::Aggregation(aggregation) => self.groups_outlined(aggregation, order),
            Vector::Match(matching) => self.pairs_outlined(matching, order),
            Vector::Set(operation) => self.sets_outlined(operation, order),
            Vector::Sort(_) => None,
        }
    }

    fn labels_of(&self, selector: crate::plan::SelectorId) -> impl Iterator<Item = Labels> {
        self.series_of(selector).iter().map(|id| self.storage.labels(*id))
    }

    /// Other values of the same elements, which are no longer the metric.
    fn nameless(&self, vector: &Vector, order: ElementOrder) -> Option<LabelledOutline> {
        self.renamed(vector, order, |labels| Some(without_name(labels)))
    }

    fn renamed(
        &self,
        vector: &Vector,
        order: ElementOrder,
        rename: impl Fn(&Labels) -> Option<Labels>,
    ) -> Option<LabelledOutline> {
        let (inner, labels) = self.outlined(vector, order)?;
        let renamed = labels.iter().map(rename).collect::<Option<_>>()?;
        distinct(Outline::Same(inner.into()), renamed)
    }

    fn groups_outlined(&self, given: &Aggregation, order: ElementOrder) -> Option<LabelledOutline> {
        plain(given.function.parameter())?;
        match given.function {
            Aggregate::TopK(_) | Aggregate::BottomK(_) if order == ElementOrder::IsFree => {
                let (inner, labels) = self.outlined(&given.vector, ElementOrder::IsFree)?;
                let mut order: Vec<usize> = (0..labels.len()).collect();
                // Among equals the labels decide.
                order.sort_by(|a, b| labels[*a].iter().cmp(labels[*b].iter()));
                let keys = order.into_iter().map(|place| {
                    (place as u32, labels[place].filtered(|name| given.grouping.has(name)))
                });
                let (grouping, _) = Grouping::of(keys, ElementOrder::IsFree);
                Some((Outline::Ranked(inner.into(), grouping), labels))
            }
            Aggregate::TopK(_)
            | Aggregate::BottomK(_)
            | Aggregate::LimitK(_)
            | Aggregate::LimitRatio(_)
            | Aggregate::CountValues(_) => None,
            _ => {
                let of_inner = match given.function {
                    Aggregate::Count | Aggregate::Group | Aggregate::Quantile(_) => {
                        ElementOrder::IsFree
                    }
                    _ => ElementOrder::Matters,
                };
                let (inner, labels) = self.outlined(&given.vector, of_inner)?;
                let key = |labels: &Labels| labels.filtered(|name| given.grouping.has(name));
                let keys = (0..).zip(labels.iter().map(key));
                let (grouping, groups) = Grouping::of(keys, order);
                Some((Outline::Groups(inner.into(), grouping), groups))
            }
        }
    }

    fn histograms_outlined(
        &self,
        given: &Quantile,
        order: ElementOrder,
    ) -> Option<LabelledOutline> {
        plain(std::slice::from_ref(&given.level))?;
        let (inner, labels) = self.outlined(&given.vector, ElementOrder::Matters)?;
        let bounds: Option<Box<[u64]>> =
            labels.iter().map(|labels| Some(histogram::bound(labels)?.to_bits())).collect();
        let key = |labels: &Labels| labels.filtered(|name| name != BOUND);
        let (grouping, groups) = Grouping::of((0..).zip(labels.iter().map(key)), order);
        let nameless = groups.iter().map(without_name).collect();
        distinct(Outline::Histograms(inner.into(), grouping, bounds?), nameless)
    }

    fn pairs_outlined(&self, matching: &Match, order: ElementOrder) -> Option<LabelledOutline> {
        let left = self.outlined(&matching.left, order)?;
        let right = self.outlined(&matching.right, order)?;
        let many_is_left = matching.cardinality.many_is_left();
        let (many, one) = if many_is_left { (&left, &right) } else { (&right, &left) };
        let key = |labels: &Labels| labels.filtered(|name| matching.matching.has(name));
        let mut ones: NameMap<Labels, u32> = NameMap::default();
        for (place, labels) in (0..).zip(&one.1) {
            if ones.insert(key(labels), place).is_some() {
                return None;
            }
        }
        let (mut pairs, mut labels) = (Vec::new(), Vec::new());
        let mut matched = NameSet::default();
        for (place, of_many) in (0..).zip(&many.1) {
            let key = key(of_many);
            let Some(other) = ones.get(&key) else { continue };
            if matching.cardinality == Cardinality::OneToOne && !matched.insert(key) {
                return None;
            }
            pairs.push([place, *other]);
            let of_one = &one.1[*other as usize];
            labels.push(self.result_labels(matching, of_many, of_one).ok()?);
        }
        let sides = if many_is_left { [left.0, right.0] } else { [right.0, left.0] };
        distinct(Outline::Pairs(sides.into(), pairs.into()), labels)
    }

    fn sets_outlined(&self, given: &SetOperation, order: ElementOrder) -> Option<LabelledOutline> {
        let (left, mut labels) = self.outlined(&given.left, order)?;
        // Of `and` and `unless` the right side says no more than what is there.
        let is_or = given.operator == SetOperator::Or;
        let (right, others) =
            self.outlined(&given.right, if is_or { order } else { ElementOrder::IsFree })?;
        let mut keys: NameMap<Labels, u32> = NameMap::default();
        let mut of = |labels: &[Labels]| -> Box<[u32]> {
            let key = |labels: &Labels| {
                let next = keys.len() as u32;
                let key = labels.filtered(|name| given.matching.has(name));
                *keys.entry(key).or_insert(next)
            };
            labels.iter().map(key).collect()
        };
        let (of_left, of_right) = (of(&labels), of(&others));
        let keys = Keys { left: of_left, right: of_right, count: keys.len() as u32 };
        if is_or {
            labels.extend(others);
        }
        distinct(Outline::Keyed([left, right].into(), keys), labels)
    }
}

impl Grouping {
    /// The groups of elements with these keys, in the order of their first ones, with their keys.
    fn of(keyed: impl Iterator<Item = (u32, Labels)>, order: ElementOrder) -> (Self, Vec<Labels>) {
        let mut places: NameMap<Labels, usize> = NameMap::default();
        let mut groups: Vec<Vec<u32>> = Vec::new();
        let mut keys = Vec::new();
        let mut is_in_order = true;
        for (next, (element, key)) in keyed.enumerate() {
            let place = *places.entry(key).or_insert_with_key(|key| {
                keys.push(key.clone());
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[place].push(element);
            is_in_order &= element as usize == next;
        }
        if groups.len() == 1 && is_in_order {
            return (Self::One, keys);
        }
        let end = |end: &mut u32, group: &Vec<u32>| {
            *end += group.len() as u32;
            Some(*end)
        };
        let ends = groups.iter().scan(0, end).collect();
        let members = groups.concat().into();
        (Self::Many { members, ends, order }, keys)
    }
}

/// Refuses elements that might have the same labels.
fn distinct(outline: Outline, labels: Vec<Labels>) -> Option<LabelledOutline> {
    let mut seen = NameSet::default();
    let is_distinct = labels.len() < 2 || labels.iter().all(|labels| seen.insert(labels));
    is_distinct.then_some((outline, labels))
}

/// Refuses numbers that come from vectors.
fn plain(scalars: &[Scalar]) -> Option<()> {
    scalars.iter().all(|scalar| !scalar.is_of_vector()).then_some(())
}
