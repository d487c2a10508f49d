//! The number that an expression of one series comes to: a column of one element, without the
//! column. Which element there can be is known from the expression alone, so no outline is needed.

use super::NotPlain;
use crate::evaluation::{Evaluation, Number, arithmetic, regression, seconds};
use crate::plan::{Scalar, Side, Vector, Window, WindowCall};

/// Whether a sample is an element of an expression [of samples](crate::plan::Plan::is_of_samples): what
/// [`Evaluation::single`] says, where nothing else is to be found out. Most conditions are as plain
/// as that, and most samples need no more than this.
pub(crate) fn keeps(vector: &Vector, value: f64) -> bool {
    match vector {
        Vector::WithScalar(with) => {
            let holds = match (&with.scalar, with.side) {
                (Scalar::Number(number), Side::Left) => with.operator.holds(*number, value),
                (Scalar::Number(number), Side::Right) => with.operator.holds(value, *number),
                _ => unreachable!("an expression of samples compares them with numbers"),
            };
            holds && keeps(&with.vector, value)
        }
        _ => true,
    }
}

impl Evaluation<'_> {
    /// The number that a series comes to, the only one of each selector. The expression
    /// [is of one series](Vector::is_of_one_series).
    pub(crate) fn single(
        &mut self,
        vector: &Vector,
        time: i64,
    ) -> Result<Option<Number>, NotPlain> {
        Ok(match vector {
            Vector::Select(instant) => {
                let span = (self.shifted(instant.shift, time), self.lookback_ms());
                let id = *self.series_of(instant.selector).first().ok_or(NotPlain)?;
                self.newest(id, instant.shift, span).map(|point| Number::still(point.value))
            }
            Vector::SampleTime(instant) => {
                let span = (self.shifted(instant.shift, time), self.lookback_ms());
                let id = *self.series_of(instant.selector).first().ok_or(NotPlain)?;
                self.newest(id, instant.shift, span).map(|point| Number::still(seconds(point.time)))
            }
            Vector::EvaluationTime(vector) => {
                let now = Number { value: seconds(time), drift: 1e-3 };
                self.single(vector, time)?.map(|_| now)
            }
            Vector::Negated(vector) => self.single(vector, time)?.map(arithmetic::negated),
            Vector::OverTime(call) => self.single_over_time(call, time)?,
            Vector::Calendar(function, Some(vector)) => {
                let number = self.single(vector, time)?;
                number.map(|number| self.calendar_number(*function, number, time))
            }
            Vector::Math(function, vector, parameters) => {
                let number = self.single(vector, time)?;
                let mut numbers = [1.0; 2];
                self.parameters(parameters, &mut numbers, time)?;
                let number = number.filter(|_| !function.gives_nothing(numbers));
                number.map(|number| number.becomes(function.of(number.value, numbers)))
            }
            Vector::WithScalar(with) => {
                let number = self.single(&with.vector, time)?;
                let scalar = self.scalar(&with.scalar, time)?;
                number.and_then(|number| self.keep_with(with, number, scalar, time))
            }
            _ => return Err(NotPlain),
        })
    }

    fn single_over_time(
        &mut self,
        call: &WindowCall,
        time: i64,
    ) -> Result<Option<Number>, NotPlain> {
        let Window::Samples { selector, range_ms, shift } = call.window else {
            return Err(NotPlain);
        };
        let mut parameters = [0.0; 2];
        self.parameters(&call.parameters, &mut parameters, time)?;
        regression::check_factors(call.function, parameters)?;
        let range = self.range(range_ms, shift, time);
        let id = *self.series_of(selector).first().ok_or(NotPlain)?;
        let (points, course) = self.inside(id, shift, range);
        if points.is_empty() {
            return Ok(None);
        }
        Ok(self.number_of(call.function, (&points, course), (range, time), parameters))
    }
}
