//! The numbers that a plan comes to, where its [`Outline`] says which elements there can be.
//!
//! Each node of the plan gives a column: a number, or nothing, for each element of its outline.
//! Each operator makes its numbers with the very functions of the plain evaluator, in the same
//! order, so that both agree to the last bit; no label is looked at, and nothing is allocated. Where
//! there is one series and one element, a column is a number ([`Evaluation::single`]).

pub(crate) mod single;

use super::aggregation::quantile::quantile;
use super::aggregation::{rank, reduce};
use super::histogram::{self, Bucket};
use super::outline::{ElementOrder, Grouping, Keys, Outline};
use super::{Evaluation, EvaluationError, Number, arithmetic, calendar, regression, seconds};
use crate::plan::{
    Aggregate, Aggregation, Calendar, Match, Quantile, SetOperation, SetOperator, Vector, Window,
    WindowCall,
};

/// What there is of each element.
pub(crate) type Column = Vec<Option<Number>>;

/// Room that evaluations use one after the other.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    columns: Vec<Column>,
    numbers: Vec<Number>,
    buckets: Vec<Bucket>,
}

/// The plain evaluator has to look: something fails, or depends on more than numbers.
#[derive(Debug)]
pub(crate) struct NotPlain;

impl From<EvaluationError> for NotPlain {
    fn from(_: EvaluationError) -> Self {
        Self
    }
}

type Computed = Result<Column, NotPlain>;

impl Spare {
    fn column(&mut self) -> Column {
        self.columns.pop().unwrap_or_default()
    }

    /// Takes a column back that is needed no longer.
    pub(crate) fn put(&mut self, mut column: Column) {
        column.clear();
        self.columns.push(column);
    }
}

impl Evaluation<'_> {
    /// The numbers of a whole expression with this outline.
    pub(crate) fn column(
        &mut self,
        of: (&Vector, &Outline),
        time: i64,
        spare: &mut Spare,
    ) -> Computed {
        let column = self.column_of_node(of, time, spare)?;
        self.operated(column.len())?;
        Ok(column)
    }

    fn column_of_node(
        &mut self,
        (vector, outline): (&Vector, &Outline),
        time: i64,
        spare: &mut Spare,
    ) -> Computed {
        match (vector, outline) {
            (Vector::Select(instant), _) => {
                let span = (self.shifted(instant.shift, time), self.lookback_ms());
                let mut column = spare.column();
                for id in self.series_of(instant.selector) {
                    let point = self.newest(*id, instant.shift, span);
                    column.push(point.map(|point| Number::still(point.value)));
                }
                Ok(column)
            }
            (Vector::SampleTime(instant), _) => {
                let span = (self.shifted(instant.shift, time), self.lookback_ms());
                let mut column = spare.column();
                for id in self.series_of(instant.selector) {
                    let point = self.newest(*id, instant.shift, span);
                    column.push(point.map(|point| Number::still(seconds(point.time))));
                }
                Ok(column)
            }
            (Vector::OverTime(call), _) => self.over_time_column(call, time, spare),
            (Vector::AbsentOverTime(window, _), _) => Ok(self.absent_column(window, time, spare)),
            (Vector::OfScalar(scalar), _) => {
                let number = self.scalar(scalar, time)?;
                Ok(one(number, spare))
            }
            (Vector::Absent(vector, _), Outline::Absent(inner)) => {
                let column = self.column((vector, inner), time, spare)?;
                let is_absent = column.iter().all(Option::is_none);
                spare.put(column);
                let mut column = spare.column();
                column.push(is_absent.then_some(Number::still(1.0)));
                Ok(column)
            }
            (_, Outline::Same(inner)) => self.same_column((vector, inner), time, spare),
            (Vector::Calendar(function, None), _) => {
                let number = Number { value: seconds(time), drift: 1e-3 };
                let number = self.calendar_number(*function, number, time);
                Ok(one(number, spare))
            }
            (Vector::HistogramQuantile(given), Outline::Histograms(inner, grouping, bounds)) => {
                self.histogram_column(given, (inner, grouping, bounds), time, spare)
            }
            (Vector::Aggregation(given), Outline::Groups(inner, grouping)) => {
                self.groups_column(given, (inner, grouping), time, spare)
            }
            (Vector::Aggregation(given), Outline::Ranked(inner, grouping)) => {
                self.ranked_column(given, (inner, grouping), time, spare)
            }
            (Vector::Match(given), Outline::Pairs(sides, pairs)) => {
                self.pairs_column(given, (sides, pairs), time, spare)
            }
            (Vector::Set(given), Outline::Keyed(sides, keys)) => {
                self.set_column(given, (sides, keys), time, spare)
            }
            _ => unreachable!("an outline is that of its plan"),
        }
    }

    /// Each element on its own.
    fn same_column(
        &mut self,
        (vector, inner): (&Vector, &Outline),
        time: i64,
        spare: &mut Spare,
    ) -> Computed {
        match vector {
            Vector::EvaluationTime(vector) => {
                let now = Number { value: seconds(time), drift: 1e-3 };
                let column = self.column((vector, inner), time, spare)?;
                Ok(mapped(column, |_| Some(now)))
            }
            Vector::Negated(vector) => {
                let column = self.column((vector, inner), time, spare)?;
                Ok(mapped(column, |number| Some(arithmetic::negated(number))))
            }
            Vector::Calendar(function, Some(vector)) => {
                let column = self.column((vector, inner), time, spare)?;
                Ok(mapped(column, |number| Some(self.calendar_number(*function, number, time))))
            }
            Vector::Math(function, vector, parameters) => {
                let column = self.column((vector, inner), time, spare)?;
                let mut numbers = [1.0; 2];
                self.parameters(parameters, &mut numbers, time)?;
                let gives_nothing = function.gives_nothing(numbers);
                Ok(mapped(column, |number| {
                    (!gives_nothing).then(|| number.becomes(function.of(number.value, numbers)))
                }))
            }
            Vector::WithScalar(with) => {
                let column = self.column((&with.vector, inner), time, spare)?;
                let scalar = self.scalar(&with.scalar, time)?;
                Ok(mapped(column, |number| self.keep_with(with, number, scalar, time)))
            }
            Vector::LabelReplace(replace) => self.column((&replace.vector, inner), time, spare),
            Vector::LabelJoin(join) => self.column((&join.vector, inner), time, spare),
            _ => unreachable!("an outline is that of its plan"),
        }
    }

    fn over_time_column(&mut self, call: &WindowCall, time: i64, spare: &mut Spare) -> Computed {
        let Window::Samples { selector, range_ms, shift } = call.window else {
            unreachable!("an outline is that of its plan")
        };
        let mut parameters = [0.0; 2];
        self.parameters(&call.parameters, &mut parameters, time)?;
        regression::check_factors(call.function, parameters)?;
        let range = self.range(range_ms, shift, time);
        let mut column = spare.column();
        for id in self.series_of(selector) {
            let (points, course) = self.inside(*id, shift, range);
            let number = if points.is_empty() {
                None
            } else {
                self.number_of(call.function, (&points, course), (range, time), parameters)
            };
            column.push(number);
        }
        Ok(column)
    }

    fn absent_column(&mut self, window: &Window, time: i64, spare: &mut Spare) -> Column {
        let Window::Samples { selector, range_ms, shift } = *window else {
            unreachable!("an outline is that of its plan")
        };
        let range = self.range(range_ms, shift, time);
        let mut is_absent = true;
        for id in self.series_of(selector) {
            is_absent &= self.inside(*id, shift, range).0.is_empty();
        }
        let mut column = spare.column();
        column.push(is_absent.then_some(Number::still(1.0)));
        column
    }

    fn calendar_number(&mut self, function: Calendar, number: Number, time: i64) -> Number {
        self.wake_at_boundary(function, number, time);
        Number::still(calendar::part(function, number.value))
    }

    fn groups_column(
        &mut self,
        given: &Aggregation,
        (inner, grouping): (&Outline, &Grouping),
        time: i64,
        spare: &mut Spare,
    ) -> Computed {
        let mut level = None;
        if let Aggregate::Quantile(scalar) = &given.function {
            let number = self.scalar(scalar, time)?;
            self.follow(number);
            level = Some(number.value);
        }
        let input = self.column((&given.vector, inner), time, spare)?;
        if level.is_some() {
            input.iter().flatten().for_each(|number| self.follow(*number));
        }
        grouping.check_order(&input)?;
        let mut column = spare.column();
        let mut numbers = std::mem::take(&mut spare.numbers);
        grouping.for_each(&input, |members| {
            numbers.clear();
            numbers.extend(members.filter_map(|member| input[member]));
            column.push(match level {
                _ if numbers.is_empty() => None,
                Some(level) => {
                    let mut values: Vec<f64> = numbers.iter().map(|n| n.value).collect();
                    Some(Number::still(quantile(level, &mut values)))
                }
                None => Some(reduce(&given.function, &numbers)),
            });
        });
        spare.numbers = numbers;
        spare.put(input);
        Ok(column)
    }

    fn ranked_column(
        &mut self,
        given: &Aggregation,
        (inner, grouping): (&Outline, &Grouping),
        time: i64,
        spare: &mut Spare,
    ) -> Computed {
        let (Some(order), [count]) = (given.function.order(), given.function.parameter()) else {
            unreachable!("an outline is that of its plan")
        };
        let number = self.scalar(count, time)?;
        self.follow(number);
        let count = rank::whole(number.value)?;
        let mut column = self.column((&given.vector, inner), time, spare)?;
        if count < 1 {
            column.fill(None);
            return Ok(column);
        }
        column.iter().flatten().for_each(|number| self.follow(*number));
        let input = column.clone();
        grouping.for_each(&input, |members| {
            let value = |member: usize| input[member].map(|number| (member, number.value));
            let mut ranked: Vec<(usize, f64)> = members.filter_map(value).collect();
            // Equals stay in the order of their labels.
            ranked.sort_by(|a, b| order(a.1, b.1));
            for (member, _) in ranked.iter().skip(usize::try_from(count).unwrap_or(usize::MAX)) {
                column[*member] = None;
            }
        });
        Ok(column)
    }

    fn histogram_column(
        &mut self,
        given: &Quantile,
        (inner, grouping, bounds): (&Outline, &Grouping, &[u64]),
        time: i64,
        spare: &mut Spare,
    ) -> Computed {
        let level = self.scalar(&given.level, time)?;
        self.follow(level);
        let input = self.column((&given.vector, inner), time, spare)?;
        grouping.check_order(&input)?;
        let mut column = spare.column();
        let mut buckets = std::mem::take(&mut spare.buckets);
        grouping.for_each(&input, |members| {
            buckets.clear();
            let mut moves = false;
            for member in members {
                let Some(Number { value: count, drift }) = input[member] else { continue };
                moves |= drift != 0.0;
                buckets.push(Bucket { bound: f64::from_bits(bounds[member]), count });
            }
            column.push((!buckets.is_empty()).then(|| {
                let (value, _) = histogram::quantile(level.value, &mut buckets);
                Number { value, drift: if moves { f64::NAN } else { 0.0 } }
            }));
        });
        spare.buckets = buckets;
        spare.put(input);
        Ok(column)
    }

    fn pairs_column(
        &mut self,
        given: &Match,
        (sides, pairs): (&[Outline; 2], &[[u32; 2]]),
        time: i64,
        spare: &mut Spare,
    ) -> Computed {
        let many_is_left = given.cardinality.many_is_left();
        let outlines = if many_is_left { [&sides[0], &sides[1]] } else { [&sides[1], &sides[0]] };
        let left = self.column((&given.left, outlines[0]), time, spare)?;
        let right = self.column((&given.right, outlines[1]), time, spare)?;
        let mut column = spare.column();
        for [many, one] in pairs {
            let (of_left, of_right) = if many_is_left { (many, one) } else { (one, many) };
            let number = match (left[*of_left as usize], right[*of_right as usize]) {
                (Some(of_left), Some(of_right)) => {
                    let operation = (given.operator, given.comparison);
                    self.keep(operation, (of_left, of_right), of_left, time)
                }
                _ => None,
            };
            column.push(number);
        }
        spare.put(left);
        spare.put(right);
        Ok(column)
    }

    fn set_column(
        &mut self,
        given: &SetOperation,
        (sides, keys): (&[Outline; 2], &Keys),
        time: i64,
        spare: &mut Spare,
    ) -> Computed {
        let mut left = self.column((&given.left, &sides[0]), time, spare)?;
        let mut right = self.column((&given.right, &sides[1]), time, spare)?;
        // What is there of one side decides what is kept of the other.
        let mut present = spare.column();
        present.resize(keys.count as usize, None);
        let is_or = given.operator == SetOperator::Or;
        let (deciding, keys_of) = if is_or { (&left, &keys.left) } else { (&right, &keys.right) };
        for (number, key) in deciding.iter().zip(keys_of) {
            present[*key as usize] = present[*key as usize].or(*number);
        }
        let wants_present = given.operator == SetOperator::And;
        let (kept, keys_of) =
            if is_or { (&mut right, &keys.right) } else { (&mut left, &keys.left) };
        for (number, key) in kept.iter_mut().zip(keys_of) {
            *number = number.filter(|_| present[*key as usize].is_some() == wants_present);
        }
        if is_or {
            left.extend_from_slice(&right);
        }
        spare.put(right);
        spare.put(present);
        Ok(left)
    }
}

impl Grouping {
    /// Where the order of the groups matters it is known only if every element is there.
    fn check_order(&self, input: &[Option<Number>]) -> Result<(), NotPlain> {
        match self {
            Self::Many { ends, order: ElementOrder::Matters, .. }
                if ends.len() > 1 && input.iter().any(Option::is_none) =>
            {
                Err(NotPlain)
            }
            _ => Ok(()),
        }
    }

    /// Does something with the members of each group.
    fn for_each(
        &self,
        input: &[Option<Number>],
        mut visit: impl FnMut(&mut dyn Iterator<Item = usize>),
    ) {
        match self {
            Self::One => visit(&mut (0..input.len())),
            Self::Many { members, ends, .. } => {
                let mut start = 0;
                for end in ends {
                    let group = &members[start..*end as usize];
                    visit(&mut group.iter().map(|member| *member as usize));
                    start = *end as usize;
                }
            }
        }
    }
}

fn one(number: Number, spare: &mut Spare) -> Column {
    let mut column = spare.column();
    column.push(Some(number));
    column
}

fn mapped(mut column: Column, mut change: impl FnMut(Number) -> Option<Number>) -> Column {
    for number in &mut column {
        *number = number.and_then(&mut change);
    }
    column
}

#[cfg(test)]
mod tests;
