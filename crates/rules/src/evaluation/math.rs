//! Functions of each value: rounding, logarithms, trigonometry, clamps.

use super::{Evaluated, Evaluation, Items, Number};
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

impl Evaluation<'_> {
    pub(super) fn math(
        &mut self,
        function: Math,
        vector: &Vector,
        parameters: &[Scalar],
        time: i64,
    ) -> Evaluated<Items> {
        let items = self.vector(vector, time)?;
        let mut numbers = [0.0; 2];
        for (number, parameter) in numbers.iter_mut().zip(parameters) {
            let parameter = self.scalar(parameter, time)?;
            self.follow(parameter);
            *number = parameter.value;
        }
        let [first, second] = numbers;
        match function {
            Math::OfValue(of) => self.map(items, |number| number.becomes(of(number.value))),
            Math::WithNumber(of) => {
                self.map(items, |number| number.becomes(of(number.value, first)))
            }
            Math::Clamp if second < first => Ok(Vec::new()),
            Math::Clamp => self.map(items, |number: Number| {
                number.becomes(larger(first, smaller(second, number.value)))
            }),
            Math::Round => {
                // The inverse is used, as it can be told exactly where its number cannot.
                let inverse = if parameters.is_empty() { 1.0 } else { 1.0 / first };
                self.map(items, |number| {
                    number.becomes((number.value * inverse + 0.5).floor() / inverse)
                })
            }
        }
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
