//! Expressions that look at each series on its own.

use super::{Comparison, Root, Scalar, Shift, Vector, Window};

impl Vector {
    /// Whether it comes to one element at most for a series of its only selector, which one it is
    /// being known from the expression alone.
    pub(crate) fn is_of_one_series(&self) -> bool {
        let are_numbers = |scalars: &[Scalar]| !scalars.iter().any(Scalar::is_of_vector);
        match self {
            Self::Select(_) | Self::SampleTime(_) => true,
            Self::EvaluationTime(vector) | Self::Negated(vector) => vector.is_of_one_series(),
            Self::Calendar(_, vector) => vector.as_deref().is_some_and(Self::is_of_one_series),
            Self::OverTime(call) => {
                matches!(call.window, Window::Samples { .. }) && are_numbers(&call.parameters)
            }
            Self::Math(_, vector, parameters) => {
                vector.is_of_one_series() && are_numbers(parameters)
            }
            Self::WithScalar(with) => with.vector.is_of_one_series() && !with.scalar.is_of_vector(),
            _ => false,
        }
    }

    /// Whether its elements are samples as they were taken, of which comparisons with numbers leave
    /// some out.
    fn is_of_samples(&self) -> bool {
        match self {
            Self::Select(instant) => instant.shift == Shift::default(),
            Self::WithScalar(with) => {
                with.operator.is_comparison()
                    && with.comparison == Comparison::Filters
                    && matches!(with.scalar, Scalar::Number(_))
                    && with.vector.is_of_samples()
            }
            _ => false,
        }
    }
}

impl super::Plan {
    /// Whether it comes to one element at most for a series of its only selector.
    pub(crate) fn is_of_one_series(&self) -> bool {
        matches!(&self.root, Root::Vector(vector) if vector.is_of_one_series())
    }

    /// Whether its elements are samples as they were taken, and nothing else says when they end.
    pub(crate) fn is_of_samples(&self) -> bool {
        self.resolve().is_none()
            && matches!(&self.root, Root::Vector(vector) if vector.is_of_samples())
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::Plan;

    #[test]
    fn what_looks_at_each_series_alone_is_known() {
        for (text, is_of_one_series, is_of_samples) in [
            ("x", true, true),
            ("1 < x > 0.5 != 3", true, true),
            ("x offset 1m > 1", true, false),
            ("x > time() - 5", true, false),
            ("x > bool 1", true, false),
            ("x > 0 + x", false, false),
            ("clamp(-abs(rate(x[5m])), 0, 1) > 1", true, false),
            ("hour(timestamp(x)) > 5", true, false),
            ("quantile_over_time(scalar(y), x[5m])", false, false),
            ("max_over_time(x[5m:1m])", false, false),
            ("label_replace(x, \"a\", \"b\", \"c\", \"d\")", false, false),
            ("sum(x)", false, false),
            ("1", false, false),
        ] {
            let plan = Plan::parse(text).expect(text);
            assert_eq!(plan.is_of_one_series(), is_of_one_series, "{text}");
            assert_eq!(plan.is_of_samples(), is_of_samples, "{text}");
        }
    }
}
