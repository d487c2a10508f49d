//! The plainest conditions: a selector whose values are compared with numbers.

use crate::plan::{Comparison, Operator, Plan, Root, Scalar, Shift, Side, Vector};

/// What the value of a series must be: all comparisons must hold.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    comparisons: Box<[Bound]>,
}

#[derive(Clone, Copy, Debug)]
struct Bound {
    operator: Operator,
    number: f64,
    side: Side,
}

impl Condition {
    /// The condition that a plan is, if it is as plain as that.
    pub(crate) fn of(plan: &Plan) -> Option<Self> {
        let (Root::Vector(root), None) = (&plan.root, plan.resolve()) else { return None };
        let mut vector = root;
        let mut comparisons = Vec::new();
        loop {
            match vector {
                Vector::Select(instant) if instant.shift == Shift::default() => {
                    return Some(Self { comparisons: comparisons.into() });
                }
                Vector::WithScalar(with) if with.comparison == Comparison::Filters => {
                    let (Scalar::Number(number), true) =
                        (&with.scalar, with.operator.is_comparison())
                    else {
                        return None;
                    };
                    let (operator, number, side) = (with.operator, *number, with.side);
                    comparisons.push(Bound { operator, number, side });
                    vector = &with.vector;
                }
                _ => return None,
            }
        }
    }

    /// Whether the condition holds for a value of a selected series.
    pub(crate) fn holds(&self, value: f64) -> bool {
        self.comparisons.iter().all(|Bound { operator, number, side }| match side {
            Side::Left => operator.holds(*number, value),
            Side::Right => operator.holds(value, *number),
        })
    }
}
