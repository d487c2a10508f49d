//! The metric that a value is in the unit of.

use crate::plan::{
    Aggregate, Comparison, Math, Operator, OverTime, Plan, Root, SelectorId, SetOperator, Vector,
    Window,
};

/// What a value is measured in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Measure {
    pub(super) metric: Box<str>,
    /// Whether it is that by the second.
    pub(super) is_per_second: bool,
}

impl Measure {
    /// Of what an expression comes to; nothing where it has no unit or that of no one metric.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        match &plan.root {
            Root::Vector(vector) => of_vector(plan, vector),
            _ => None,
        }
    }

    fn of_selector(plan: &Plan, SelectorId(id): SelectorId) -> Option<Self> {
        let selection = plan.selections.get(usize::try_from(id).ok()?)?;
        let metric = selection.selector.metric_name()?.into();
        Some(Self { metric, is_per_second: false })
    }
}

fn of_vector(plan: &Plan, vector: &Vector) -> Option<Measure> {
    match vector {
        Vector::Select(instant) => Measure::of_selector(plan, instant.selector),
        Vector::Negated(vector) => of_vector(plan, vector),
        Vector::OverTime(call) => {
            let measure = of_window(plan, &call.window)?;
            match call.function {
                OverTime::Rate | OverTime::Irate | OverTime::Deriv => {
                    Some(Measure { is_per_second: true, ..measure })
                        .filter(|_| !measure.is_per_second)
                }
                OverTime::Changes
                | OverTime::Resets
                | OverTime::Count
                | OverTime::Present
                | OverTime::Stdvar
                | OverTime::TimeOfMin
                | OverTime::TimeOfMax
                | OverTime::TimeOfLast
                | OverTime::TimeOfFirst => None,
                _ => Some(measure),
            }
        }
        Vector::Math(math, vector, _) if keeps_unit(*math) => of_vector(plan, vector),
        Vector::LabelReplace(replace) => of_vector(plan, &replace.vector),
        Vector::LabelJoin(join) => of_vector(plan, &join.vector),
        Vector::Sort(sort) => of_vector(plan, &sort.vector),
        // Buckets are counted, and their bounds are in the unit of what they count.
        Vector::HistogramQuantile(quantile) => {
            let measure = of_vector(plan, &quantile.vector)?;
            let metric = measure.metric.strip_suffix("_bucket")?.into();
            Some(Measure { metric, is_per_second: false })
        }
        Vector::Aggregation(aggregation) => match aggregation.function {
            Aggregate::Count | Aggregate::Group | Aggregate::Stdvar | Aggregate::CountValues(_) => {
                None
            }
            _ => of_vector(plan, &aggregation.vector),
        },
        Vector::WithScalar(with) => match with.operator {
            operator if operator.is_comparison() => {
                let filters = with.comparison == Comparison::Filters;
                of_vector(plan, &with.vector).filter(|_| filters)
            }
            Operator::Add | Operator::Subtract => of_vector(plan, &with.vector),
            _ => None,
        },
        Vector::Match(matching) => {
            let (left, right) = (of_vector(plan, &matching.left), of_vector(plan, &matching.right));
            match matching.operator {
                operator if operator.is_comparison() => {
                    left.filter(|_| matching.comparison == Comparison::Filters)
                }
                // Of two metrics it is in the unit of both where that is the same.
                Operator::Add | Operator::Subtract => {
                    let (left, right) = (left?, right?);
                    let is_one = left.is_per_second == right.is_per_second
                        && last_word(&left.metric) == last_word(&right.metric);
                    is_one.then_some(left)
                }
                _ => None,
            }
        }
        Vector::Set(set) => match set.operator {
            SetOperator::And | SetOperator::Unless => of_vector(plan, &set.left),
            SetOperator::Or => {
                let (left, right) = (of_vector(plan, &set.left), of_vector(plan, &set.right));
                left.filter(|left| right.as_ref() == Some(left))
            }
        },
        _ => None,
    }
}

fn of_window(plan: &Plan, window: &Window) -> Option<Measure> {
    match window {
        Window::Samples { selector, .. } => Measure::of_selector(plan, *selector),
        Window::Subquery { inner, .. } => of_vector(plan, inner),
    }
}

/// By which names end that are in the same unit.
fn last_word(metric: &str) -> &str {
    metric.rsplit('_').next().unwrap_or(metric)
}

/// Whether what it makes of a value is such a value, too: `abs`, `ceil` and `floor` are those that stay
/// within one of it.
fn keeps_unit(math: Math) -> bool {
    match math {
        Math::OfValue(function) => {
            [7.25, 1_000_000.25].iter().all(|value| (function(*value) - value).abs() < 1.0)
        }
        Math::WithNumber(_) | Math::Clamp | Math::Round => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_unit_of_its_metric_as_far_as_the_expression_keeps_it() {
        let cases = [
            ("x_bytes", Some(("x_bytes", false))),
            ("max by (job) (avg_over_time(x_bytes[5m]) - 5)", Some(("x_bytes", false))),
            ("sum(rate(x_bytes_total[5m]))", Some(("x_bytes_total", true))),
            ("x_free_bytes - on (host) x_used_bytes", Some(("x_free_bytes", false))),
            ("x_bytes - y_seconds", None),
            ("x_free_bytes / x_size_bytes", None),
            ("x_bytes * 8", None),
            ("count(x_bytes)", None),
            ("deriv(rate(x_bytes[1m])[5m:])", None),
            (
                "histogram_quantile(0.9, sum by (le) (rate(x_seconds_bucket[5m])))",
                Some(("x_seconds", false)),
            ),
            ("abs(x_bytes) and on () up", Some(("x_bytes", false))),
            ("x_bytes or y_bytes", None),
            ("{a=\"b\"}", None),
            ("time()", None),
        ];
        for (expression, expected) in cases {
            let plan = Plan::parse(expression).expect(expression);
            let found = Measure::of(&plan);
            let found = found.as_ref().map(|it| (&*it.metric, it.is_per_second));
            assert_eq!(found, expected, "{expression}");
        }
    }
}
