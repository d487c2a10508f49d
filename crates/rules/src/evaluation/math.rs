//! Functions of each value: rounding, logarithms, trigonometry, clamps.

use super::{Evaluated, Evaluation, Items};
use crate::plan::{Scalar, Vector};

/// A function of a value and of up to two numbers beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Math {
    /// Of the value alone.
    OfValue(fn(f64) -> f64),
    /// `clamp_min`, `clamp_max`.
    WithNumber(fn(f64, f64) -> f64),
    /// `clamp`.
    Clamp,
    /// `round`.
    Round,
}

impl Math {
    /// The function of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(Self::OfValue(match name {
            "abs" => f64::abs,
            "ceil" => f64::ceil,
            "floor" => f64::floor,
            "exp" => f64::exp,
            "sqrt" => f64::sqrt,
            "ln" => f64::ln,
            "log2" => f64::log2,
            "log10" => f64::log10,
            "sgn" => sign,
            "deg" => f64::to_degrees,
            "rad" => f64::to_radians,
            "sin" => f64::sin,
            "cos" => f64::cos,
            "tan" => f64::tan,
            "asin" => f64::asin,
            "acos" => f64::acos,
            "atan" => f64::atan,
            "sinh" => f64::sinh,
            "cosh" => f64::cosh,
            "tanh" => f64::tanh,
            "asinh" => f64::asinh,
            "acosh" => f64::acosh,
            "atanh" => f64::atanh,
            "clamp_min" => return Some(Self::WithNumber(larger)),
            "clamp_max" => return Some(Self::WithNumber(smaller)),
            "clamp" => return Some(Self::Clamp),
            "round" => return Some(Self::Round),
            _ => return None,
        }))
    }
}

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

fn sign(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        value
    }
}

/// The larger of two; NaN where one is.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The smaller of two; NaN where one is.
fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}
