//! What an expression looks at, without what it asks of it.
//!
//! Where an element is gone, either its condition no longer holds or there are no samples for it
//! any more. The expression without its conditions tells these apart: it still has the element in
//! the first case. Comparisons that filter, `unless`, and `topk` with its kin are conditions;
//! `absent` is one whose labels are always there.

use super::{
    Aggregate, Aggregation, Comparison, LabelJoin, LabelReplace, Match, Operator, Plan, Quantile,
    Root, Scalar, SetOperation, SetOperator, Side, Sort, Vector, Window, WindowCall, WithScalar,
};

/// What decides over an alert beside its condition.
#[derive(Clone, Debug)]
pub(crate) struct Hysteresis {
    /// `resolve_expr`: what ends an alert, over the selections of the whole plan.
    pub(crate) resolve: Option<Root>,
    /// The condition without what it asks: what there are samples for.
    pub(crate) presence: Option<Root>,
}

impl Plan {
    /// The expression without its conditions; nothing where it cannot be told apart, as values
    /// are labels.
    pub(crate) fn presence(&self) -> Option<Root> {
        match &self.root {
            Root::Vector(vector) => presence(vector).map(Root::Vector),
            Root::Scalar(_) | Root::Text(_) | Root::Window(_) => None,
        }
    }
}

fn presence(vector: &Vector) -> Option<Vector> {
    Some(match vector {
        Vector::Select(_) | Vector::SampleTime(_) | Vector::OfScalar(_) => vector.clone(),
        Vector::EvaluationTime(inner) => Vector::EvaluationTime(boxed(inner)?),
        Vector::Negated(inner) => Vector::Negated(boxed(inner)?),
        Vector::OverTime(call) => over_time(call)?,
        Vector::Absent(_, labels) | Vector::AbsentOverTime(_, labels) => {
            Vector::Absent(Box::new(nothing()), labels.clone())
        }
        Vector::Math(function, inner, parameters) => {
            Vector::Math(*function, boxed(inner)?, parameters.clone())
        }
        Vector::Calendar(function, inner) => {
            let inner = inner.as_ref().map(|inner| boxed(inner));
            Vector::Calendar(*function, if let Some(inner) = inner { Some(inner?) } else { None })
        }
        Vector::LabelReplace(replace) => {
            let vector = presence(&replace.vector)?;
            Vector::LabelReplace(Box::new(LabelReplace { vector, ..(**replace).clone() }))
        }
        Vector::LabelJoin(join) => {
            let vector = presence(&join.vector)?;
            Vector::LabelJoin(Box::new(LabelJoin { vector, ..(**join).clone() }))
        }
        Vector::HistogramQuantile(quantile) => {
            let vector = presence(&quantile.vector)?;
            Vector::HistogramQuantile(Box::new(Quantile { vector, ..(**quantile).clone() }))
        }
        Vector::Sort(sort) => {
            Vector::Sort(Box::new(Sort { vector: presence(&sort.vector)?, ..(**sort).clone() }))
        }
        Vector::Aggregation(aggregation) => aggregate(aggregation)?,
        Vector::WithScalar(with) if filters(with.operator, with.comparison) => {
            presence(&with.vector)?
        }
        Vector::WithScalar(with) => {
            let vector = presence(&with.vector)?;
            Vector::WithScalar(Box::new(WithScalar { vector, ..(**with).clone() }))
        }
        Vector::Match(matching) => match_vectors(matching)?,
        Vector::Set(set) => set_operation(set)?,
    })
}

fn boxed(vector: &Vector) -> Option<Box<Vector>> {
    presence(vector).map(Box::new)
}

fn filters(operator: Operator, comparison: Comparison) -> bool {
    operator.is_comparison() && comparison == Comparison::Filters
}

fn over_time(call: &WindowCall) -> Option<Vector> {
    let window = match &call.window {
        Window::Samples { .. } => call.window.clone(),
        Window::Subquery { inner, range_ms, step_ms, shift } => Window::Subquery {
            inner: presence(inner)?,
            range_ms: *range_ms,
            step_ms: *step_ms,
            shift: *shift,
        },
    };
    Some(Vector::OverTime(Box::new(WindowCall { window, ..call.clone() })))
}

fn aggregate(aggregation: &Aggregation) -> Option<Vector> {
    let vector = presence(&aggregation.vector)?;
    Some(match aggregation.function {
        Aggregate::CountValues(_) => return None,
        Aggregate::TopK(_)
        | Aggregate::BottomK(_)
        | Aggregate::LimitK(_)
        | Aggregate::LimitRatio(_) => vector,
        _ => Vector::Aggregation(Box::new(Aggregation { vector, ..aggregation.clone() })),
    })
}

/// Both sides must be there; what they come to does not matter.
fn match_vectors(matching: &Match) -> Option<Vector> {
    let left = presence(&matching.left)?;
    let right = presence(&matching.right)?;
    let comparison = Comparison::GivesNumber;
    Some(Vector::Match(Box::new(Match { left, right, comparison, ..matching.clone() })))
}

fn set_operation(set: &SetOperation) -> Option<Vector> {
    let left = presence(&set.left)?;
    if set.operator == SetOperator::Unless {
        return Some(left);
    }
    let right = presence(&set.right)?;
    Some(Vector::Set(Box::new(SetOperation { left, right, ..set.clone() })))
}

/// A vector without elements: `vector(0) > 0`.
fn nothing() -> Vector {
    let zero = || Scalar::Number(0.0);
    Vector::WithScalar(Box::new(WithScalar {
        operator: Operator::Greater,
        vector: Vector::OfScalar(Box::new(zero())),
        scalar: zero(),
        side: Side::Right,
        comparison: Comparison::Filters,
    }))
}
