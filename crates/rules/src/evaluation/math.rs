//! Functions of each value: rounding, logarithms, trigonometry, clamps.

use super::{Evaluated, Evaluation, Items};
use crate::plan::{Math, Scalar, Vector, larger, smaller};

impl Math {
    /// What it makes of a value.
    pub(super) fn of(self, value: f64, [first, second]: [f64; 2]) -> f64 {
        match self {
            Self::OfValue(of) => of(value),
            Self::WithNumber(of) => of(value, first),
            Self::Clamp => larger(first, smaller(second, value)),
            Self::Round => {
                // The inverse is used, as it can be told exactly where its number cannot.
                let inverse = 1.0 / first;
                (value * inverse + 0.5).floor() / inverse
            }
        }
    }

    /// Whether no value is left, whatever it is.
    pub(super) fn gives_nothing(self, [first, second]: [f64; 2]) -> bool {
        matches!(self, Self::Clamp) && second < first
    }
}

impl Evaluation<'_> {
    pub(super) fn math(
        &mut self,
        function: Math,
        vector: &Vector,
        parameters: &[Scalar],
        time: i64,
    ) -> Evaluated<Items> {
        let items = self.vector(vector, time)?;
        // What `round` rounds to where it is not told.
        let mut numbers = [1.0; 2];
        self.parameters(parameters, &mut numbers, time)?;
        if function.gives_nothing(numbers) {
            return Ok(Vec::new());
        }
        self.map(items, |number| number.becomes(function.of(number.value, numbers)))
    }

    /// The numbers beside a vector; anything that is made with one that moves moves too.
    pub(super) fn parameters(
        &mut self,
        given: &[Scalar],
        numbers: &mut [f64; 2],
        time: i64,
    ) -> Evaluated<()> {
        for (number, parameter) in numbers.iter_mut().zip(given) {
            let parameter = self.scalar(parameter, time)?;
            self.follow(parameter);
            *number = parameter.value;
        }
        Ok(())
    }
}
