//! Numbers, in each of the ways in which Protocol Buffers' JSON has them.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde_json::value::RawValue;

use crate::decoded::quoted;
use crate::otlp::point::Temporality;

/// An unsigned integer: `1`, `"1"`, `1.0` or `1e0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unsigned(pub(super) u64);

/// An integer, likewise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Signed(pub(super) i64);

/// A number: `0.5`, `"0.5"`, `"NaN"`, `"Infinity"` or `"-Infinity"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Double(pub(super) f64);

/// How points count: 1, 2, or the names of these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Aggregation(pub(super) Temporality);

/// What a number in JSON can be read as.
trait Number: Sized {
    const EXPECTED: &str;

    fn of_integer(integer: i128) -> Option<Self>;
    fn of_double(double: f64) -> Option<Self> {
        whole(double).and_then(Self::of_integer)
    }
    fn of_text(text: &str) -> Option<Self>;
}

/// A whole number that a double holds exactly.
fn whole(double: f64) -> Option<i128> {
    let is_whole = double.fract() == 0.0 && double.abs() <= (1_u64 << f64::MANTISSA_DIGITS) as f64;
    is_whole.then_some(double as i128)
}

fn integer_of_text(text: &str) -> Option<i128> {
    text.parse().ok().or_else(|| whole(text.parse().ok()?))
}

impl Number for Unsigned {
    const EXPECTED: &str = "an unsigned integer";

    fn of_integer(integer: i128) -> Option<Self> {
        integer.try_into().ok().map(Self)
    }

    fn of_text(text: &str) -> Option<Self> {
        integer_of_text(text).and_then(Self::of_integer)
    }
}

impl Number for Signed {
    const EXPECTED: &str = "an integer";

    fn of_integer(integer: i128) -> Option<Self> {
        integer.try_into().ok().map(Self)
    }

    fn of_text(text: &str) -> Option<Self> {
        integer_of_text(text).and_then(Self::of_integer)
    }
}

impl Number for Aggregation {
    const EXPECTED: &str = "an aggregation temporality";

    fn of_integer(integer: i128) -> Option<Self> {
        integer.try_into().ok().map(|number| Self(Temporality::of(number)))
    }

    fn of_text(text: &str) -> Option<Self> {
        Some(Self(match text.strip_prefix("AGGREGATION_TEMPORALITY_")? {
            "DELTA" => Temporality::Delta,
            "CUMULATIVE" => Temporality::Cumulative,
            _ => Temporality::Unspecified,
        }))
    }
}

struct NumberVisitor<N>(PhantomData<N>);

impl<N: Number> Visitor<'_> for NumberVisitor<N> {
    type Value = N;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(N::EXPECTED)
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<N, E> {
        let wrong = || E::invalid_value(Unexpected::Unsigned(integer), &self);
        N::of_integer(integer.into()).ok_or_else(wrong)
    }

    fn visit_i64<E: Error>(self, integer: i64) -> Result<N, E> {
        let wrong = || E::invalid_value(Unexpected::Signed(integer), &self);
        N::of_integer(integer.into()).ok_or_else(wrong)
    }

    fn visit_f64<E: Error>(self, double: f64) -> Result<N, E> {
        N::of_double(double).ok_or_else(|| E::invalid_value(Unexpected::Float(double), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<N, E> {
        N::of_text(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

fn number<'de, N: Number, D: Deserializer<'de>>(json: D) -> Result<N, D::Error> {
    json.deserialize_any(NumberVisitor(PhantomData))
}

impl<'de> Deserialize<'de> for Unsigned {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        number(json)
    }
}

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        number(json)
    }
}

impl<'de> Deserialize<'de> for Double {
    /// By its text: what `serde_json` makes of it may be off in its last digit.
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(json)?.get();
        let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let double = match number {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            // Rust has more words for what is no number.
            _ if number.ends_with(|last: char| last.is_ascii_digit() || last == '.') => {
                number.parse().ok()
            }
            _ => None,
        };
        let wrong = || D::Error::invalid_value(Unexpected::Other(quoted(text)), &"a number");
        double.map(Self).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Aggregation {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        number(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn integers_come_as_numbers_and_as_texts() {
        for (json, expected) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("\"18446744073709551615\"", Some(u64::MAX)),
            ("\"18446744073709551616\"", None),
            ("1e3", Some(1000)),
            ("\"1e3\"", Some(1000)),
            ("1.0", Some(1)),
            ("1.5", None),
            ("-1", None),
            ("\"\"", None),
            ("\"x\"", None),
            ("true", None),
            ("1e300", None),
        ] {
            assert_eq!(read(json).map(|Unsigned(number)| number), expected, "{json}");
        }
        for (json, expected) in [
            ("-9223372036854775808", Some(i64::MIN)),
            ("\"-9223372036854775808\"", Some(i64::MIN)),
            ("\"9223372036854775808\"", None),
            ("-1.0", Some(-1)),
        ] {
            assert_eq!(read(json).map(|Signed(number)| number), expected, "{json}");
        }
    }

    #[test]
    fn doubles_may_be_no_number() {
        for (json, expected) in [
            ("1", Some(1.0)),
            ("-0.5", Some(-0.5)),
            ("\"2.5\"", Some(2.5)),
            ("\"Infinity\"", Some(f64::INFINITY)),
            ("\"-Infinity\"", Some(f64::NEG_INFINITY)),
            ("\"inf\"", None),
            ("\"infinity\"", None),
            ("\"nan\"", None),
            ("{}", None),
        ] {
            assert_eq!(read(json).map(|Double(number)| number), expected, "{json}");
        }
        assert!(read::<Double>("\"NaN\"").is_some_and(|Double(number)| number.is_nan()));
    }

    #[test]
    fn enumerations_come_as_numbers_and_as_names() {
        for (json, expected) in [
            ("1", Some(Temporality::Delta)),
            ("2", Some(Temporality::Cumulative)),
            ("0", Some(Temporality::Unspecified)),
            ("7", Some(Temporality::Unspecified)),
            ("\"AGGREGATION_TEMPORALITY_DELTA\"", Some(Temporality::Delta)),
            ("\"AGGREGATION_TEMPORALITY_CUMULATIVE\"", Some(Temporality::Cumulative)),
            ("\"DELTA\"", None),
        ] {
            assert_eq!(read(json).map(|Aggregation(it)| it), expected, "{json}");
        }
    }
}
