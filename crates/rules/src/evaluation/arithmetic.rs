//! `+ - * / % ^ atan2` and `== != > < >= <=`: between numbers, and between a vector and a number.

use super::{Evaluated, Evaluation, Item, Items, Number};
use crate::plan::{Comparison, Operator, Side, Vector, WithScalar};

impl Operator {
    /// How fast the result moves.
    fn drift(self, left: Number, right: Number) -> f64 {
        let (moves_left, moves_right) = (left.drift != 0.0, right.drift != 0.0);
        match self {
            _ if !moves_left && !moves_right => 0.0,
            Self::Add => left.drift + right.drift,
            Self::Subtract => left.drift - right.drift,
            Self::Multiply if !moves_right => left.drift * right.value,
            Self::Multiply if !moves_left => left.value * right.drift,
            Self::Divide if !moves_right => left.drift / right.value,
            _ => f64::NAN,
        }
    }
}

pub(super) fn negated(number: Number) -> Number {
    Number { value: -number.value, drift: -number.drift }
}

impl Evaluation<'_> {
    /// What an operator makes of two numbers.
    pub(super) fn operate(
        &mut self,
        operator: Operator,
        left: Number,
        right: Number,
        time: i64,
    ) -> Number {
        let value = operator.number(left.value, right.value);
        if operator.is_comparison() {
            self.watch(left, right, time);
            return Number::still(value);
        }
        Number { value, drift: operator.drift(left, right) }
    }

    /// What an operator makes of an element, if it keeps it: `kept` is its value where a
    /// comparison filters.
    pub(super) fn keep(
        &mut self,
        operation: (Operator, Comparison),
        sides: (Number, Number),
        kept: Number,
        time: i64,
    ) -> Option<Number> {
        let (operator, comparison) = operation;
        let result = self.operate(operator, sides.0, sides.1, time);
        if !operator.is_comparison() || comparison == Comparison::GivesNumber {
            return Some(result);
        }
        (result.value != 0.0).then_some(kept)
    }

    /// Wakes when two numbers that move meet or part.
    fn watch(&mut self, left: Number, right: Number, time: i64) {
        let drift = left.drift - right.drift;
        let distance = right.value - left.value;
        if drift.is_nan() {
            self.is_restless = true;
        } else if drift != 0.0 && distance.is_finite() {
            self.wake_in(time, distance / drift);
        }
    }

    /// Wakes for something that happens `ahead_ms` from now, as far as can be computed: at the last
    /// whole millisecond before it, then at each one until it is past.
    pub(super) fn wake_in(&mut self, time: i64, ahead_ms: f64) {
        if (-2.0..1e15).contains(&ahead_ms) {
            self.wake(time.saturating_add((ahead_ms as i64).max(1)));
        }
    }

    /// What an operation with a scalar makes of an element, if it keeps it.
    pub(super) fn keep_with(
        &mut self,
        operation: &WithScalar,
        number: Number,
        scalar: Number,
        time: i64,
    ) -> Option<Number> {
        let sides = match operation.side {
            Side::Left => (scalar, number),
            Side::Right => (number, scalar),
        };
        self.keep((operation.operator, operation.comparison), sides, number, time)
    }

    pub(super) fn with_scalar(&mut self, operation: &WithScalar, time: i64) -> Evaluated<Items> {
        let items = self.vector(&operation.vector, time)?;
        let scalar = self.scalar(&operation.scalar, time)?;
        let drops_name = operation.drops_name();
        let mut results = Vec::with_capacity(items.len());
        for mut item in items {
            let kept = self.keep_with(operation, item.number, scalar, time);
            let Some(number) = kept else { continue };
            item.number = number;
            if drops_name {
                self.drop_name(&mut item);
            }
            results.push(item);
        }
        if drops_name { self.checked(results) } else { Ok(results) }
    }

    pub(super) fn negate(&mut self, vector: &Vector, time: i64) -> Evaluated<Items> {
        let items: Vec<Item> = self.vector(vector, time)?;
        self.map(items, negated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_moves_as_its_sides_do() {
        let at = |value, drift| Number { value, drift };
        let table = [
            ("+", at(1.0, 2.0), at(5.0, 3.0), 5.0),
            ("-", at(1.0, 2.0), at(5.0, 3.0), -1.0),
            ("*", at(1.0, 2.0), at(5.0, 0.0), 10.0),
            ("*", at(3.0, 0.0), at(5.0, 4.0), 12.0),
            ("/", at(1.0, 2.0), at(4.0, 0.0), 0.5),
            ("%", at(1.0, 0.0), at(0.0, 0.0), 0.0),
            ("*", at(f64::INFINITY, 0.0), at(5.0, 0.0), 0.0),
        ];
        for (text, left, right, drift) in table {
            let operator = Operator::of(text).expect(text);
            assert!((operator.drift(left, right) - drift).abs() < 1e-12, "{text}");
        }
        let curved = [("*", 1.0, 1.0), ("/", 0.0, 1.0), ("^", 1.0, 0.0), ("%", 1.0, 0.0)];
        for (text, left, right) in curved {
            let operator = Operator::of(text).expect(text);
            assert!(operator.drift(at(1.0, left), at(1.0, right)).is_nan(), "{text}");
        }
    }
}
