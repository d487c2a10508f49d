//! Whether what an expression comes to may move while no sample arrives, and how.
//!
//! The evaluator foretells when values that move in a straight line cross a threshold. Where a
//! decision depends on one that moves in any other way, the rule is restless: it is looked at again
//! and again. This finds from the plan alone whether that can come about.

use super::{
    Aggregate, Aggregation, Comparison, Operator, OverTime, Plan, Root, Scalar, Vector, Window,
    WindowCall,
};

/// How a value moves with the time, from the calmest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Motion {
    Still,
    Straight,
    Curved,
}

impl Plan {
    /// Whether a decision in it may depend on a value that moves in no straight line.
    pub(crate) fn is_restless(&self) -> bool {
        let mut watcher = Watcher { is_restless: false };
        for root in [Some(&self.root), self.resolve()].into_iter().flatten() {
            match root {
                Root::Scalar(scalar) => _ = watcher.scalar(scalar),
                Root::Vector(vector) => _ = watcher.vector(vector),
                Root::Text(_) | Root::Window(_) => {}
            }
        }
        watcher.is_restless
    }
}

/// Walks a plan as the evaluator does.
struct Watcher {
    is_restless: bool,
}

impl Watcher {
    /// Something depends on this value other than in a straight line.
    fn follow(&mut self, motion: Motion) {
        self.is_restless |= motion != Motion::Still;
    }

    /// Something depends on where this value is along its line.
    fn foretell(&mut self, motion: Motion) {
        self.is_restless |= motion == Motion::Curved;
    }

    fn scalar(&mut self, scalar: &Scalar) -> Motion {
        match scalar {
            Scalar::Number(_) => Motion::Still,
            Scalar::Time => Motion::Straight,
            Scalar::OfVector(vector) => self.vector(vector),
            Scalar::Negated(scalar) => self.scalar(scalar),
            Scalar::Operation(operation) => {
                let (operator, left, right) = &**operation;
                let sides = (self.scalar(left), self.scalar(right));
                self.operate(*operator, sides)
            }
        }
    }

    fn operate(&mut self, operator: Operator, (left, right): (Motion, Motion)) -> Motion {
        if operator.is_comparison() {
            self.foretell(left.max(right));
            return Motion::Still;
        }
        let is_straight = match operator {
            Operator::Add | Operator::Subtract => true,
            Operator::Multiply => left.min(right) == Motion::Still,
            Operator::Divide => right == Motion::Still,
            _ => false,
        };
        if is_straight { left.max(right) } else { bent(left.max(right)) }
    }

    /// What an operator with a vector gives: a comparison that filters keeps a side as it is.
    fn keep(
        &mut self,
        operation: (Operator, Comparison),
        sides: (Motion, Motion),
        kept: Motion,
    ) -> Motion {
        let (operator, comparison) = operation;
        let result = self.operate(operator, sides);
        let filters = operator.is_comparison() && comparison == Comparison::Filters;
        if filters { kept } else { result }
    }

    fn vector(&mut self, vector: &Vector) -> Motion {
        match vector {
            Vector::EvaluationTime(vector) => {
                self.vector(vector);
                Motion::Straight
            }
            Vector::OfScalar(scalar) => self.scalar(scalar),
            Vector::Negated(vector) => self.vector(vector),
            Vector::OverTime(call) => self.over_time(call),
            Vector::Absent(vector, _) => {
                self.vector(vector);
                Motion::Still
            }
            // The samples in a range, and the steps of a subquery, come and go at known times.
            Vector::Select(_) | Vector::SampleTime(_) | Vector::AbsentOverTime(..) => Motion::Still,
            Vector::Math(_, vector, parameters) => {
                self.follow_all(parameters);
                bent(self.vector(vector))
            }
            Vector::Calendar(_, vector) => {
                let motion = vector.as_deref().map_or(Motion::Straight, |v| self.vector(v));
                self.foretell(motion);
                Motion::Still
            }
            Vector::LabelReplace(replace) => self.vector(&replace.vector),
            Vector::LabelJoin(join) => self.vector(&join.vector),
            Vector::HistogramQuantile(quantile) => {
                let level = self.scalar(&quantile.level);
                self.follow(level);
                bent(self.vector(&quantile.vector))
            }
            Vector::Sort(sort) => self.vector(&sort.vector),
            Vector::Aggregation(aggregation) => self.aggregate(aggregation),
            Vector::WithScalar(with) => {
                let sides = (self.vector(&with.vector), self.scalar(&with.scalar));
                self.keep((with.operator, with.comparison), sides, sides.0)
            }
            Vector::Match(matching) => {
                let sides = (self.vector(&matching.left), self.vector(&matching.right));
                self.keep((matching.operator, matching.comparison), sides, sides.0)
            }
            Vector::Set(set) => self.vector(&set.left).max(self.vector(&set.right)),
        }
    }

    fn over_time(&mut self, call: &WindowCall) -> Motion {
        self.follow_all(&call.parameters);
        let (Window::Samples { shift, .. } | Window::Subquery { shift, .. }) = &call.window;
        let extrapolates = matches!(
            call.function,
            OverTime::Rate | OverTime::Increase | OverTime::Delta | OverTime::PredictLinear
        );
        if extrapolates && shift.at.is_none() { Motion::Straight } else { Motion::Still }
    }

    fn aggregate(&mut self, aggregation: &Aggregation) -> Motion {
        self.follow_all(aggregation.function.parameter());
        let motion = self.vector(&aggregation.vector);
        match aggregation.function {
            Aggregate::Sum | Aggregate::Avg | Aggregate::LimitK(_) | Aggregate::LimitRatio(_) => {
                motion
            }
            Aggregate::Count | Aggregate::Group => Motion::Still,
            Aggregate::Min | Aggregate::Max | Aggregate::Stddev | Aggregate::Stdvar => bent(motion),
            Aggregate::Quantile(_) | Aggregate::CountValues(_) => {
                self.follow(motion);
                Motion::Still
            }
            Aggregate::TopK(_) | Aggregate::BottomK(_) => {
                self.follow(motion);
                motion
            }
        }
    }

    fn follow_all(&mut self, scalars: &[Scalar]) {
        for scalar in scalars {
            let motion = self.scalar(scalar);
            self.follow(motion);
        }
    }
}

/// What becomes of a line that is bent.
fn bent(motion: Motion) -> Motion {
    if motion == Motion::Still { Motion::Still } else { Motion::Curved }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_foretold_is_restless() {
        let table = [
            ("x > 1", false),
            ("rate(x[5m]) > 1", false),
            ("2 * sum by (a) (rate(x[5m])) > rate(y[5m])", false),
            ("rate(x[5m]) / 2 > 1", false),
            ("rate(x[5m]) / rate(y[5m])", false),
            ("rate(x[5m]) / rate(y[5m]) > 1", true),
            ("time() - timestamp(x) > 60", false),
            ("abs(delta(x[5m])) > 1", true),
            ("abs(x) > 1", false),
            ("max(rate(x[5m])) > 1", true),
            ("max(rate(x[5m]) > bool 1)", false),
            ("max(rate(x[5m]) > 1) > 2", true),
            ("max(x) > 1", false),
            ("topk(2, rate(x[5m]))", true),
            ("topk(2, x)", false),
            ("quantile(0.9, rate(x[5m]))", true),
            ("histogram_quantile(0.9, rate(x_bucket[5m])) > 1", true),
            ("max_over_time(rate(x[5m])[1h:1m]) > 1", false),
            ("x and on () hour() > 5", false),
            ("day_of_week(timestamp(x) + time() * time()) > 5", true),
            ("predict_linear(x[1h], 3600) < 0", false),
            ("predict_linear(x[1h], time()) < 0", true),
            ("rate(x[5m] @ 5) * rate(x[5m] @ 5) > 1", false),
            ("1", false),
        ];
        for (text, is_restless) in table {
            let plan = Plan::parse(text).expect(text);
            assert_eq!(plan.is_restless(), is_restless, "{text}");
        }
    }
}
