//! Values of attributes as texts: what they become as values of labels, which is what the
//! collector's `AsString` makes of them and so what Prometheus stores.

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bellwire_model::limits::{LABEL_VALUE_BYTES_MAX, OTLP_VALUE_BYTES_MAX, OTLP_VALUE_NESTING_MAX};

use crate::decoded::Refusal;

/// An attribute's value, as both encodings have it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// None of the kinds that are known here.
    Empty,
    Text(Cow<'a, str>),
    Bool(bool),
    Integer(i64),
    Double(f64),
    Bytes(Cow<'a, [u8]>),
    List(Vec<Value<'a>>),
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// The value of a label. A list or a map is JSON.
    pub(super) fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Empty => Cow::Borrowed(""),
            Self::Text(text) => text,
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Integer(integer) => Cow::Owned(integer.to_string()),
            Self::Double(double) if !double.is_finite() => Cow::Borrowed(not_finite(double)),
            Self::Bytes(bytes) => Cow::Owned(STANDARD.encode(bytes)),
            Self::Double(_) | Self::List(_) | Self::Map(_) => {
                let mut json = String::new();
                self.write_json(&mut json);
                Cow::Owned(json)
            }
        }
    }

    fn write_json(self, json: &mut String) {
        match self {
            Self::Empty => json.push_str("null"),
            Self::Text(text) => write_string(json, &text),
            Self::Bool(_) | Self::Integer(_) => json.push_str(&self.into_text()),
            // JSON has none. The collector loses all of the value by it.
            Self::Double(double) if !double.is_finite() => write_string(json, not_finite(double)),
            Self::Double(double) => write_double(json, double),
            // As the collector has it.
            Self::Bytes(bytes) if bytes.is_empty() => json.push_str("null"),
            Self::Bytes(_) => write_string(json, &self.into_text()),
            Self::List(values) => {
                let mut separator = '[';
                for value in values {
                    json.push(std::mem::replace(&mut separator, ','));
                    value.write_json(json);
                }
                json.push_str(if separator == '[' { "[]" } else { "]" });
            }
            Self::Map(mut pairs) => {
                pairs.sort_by(|one, other| one.0.cmp(&other.0));
                // Of two values of one key the later counts.
                pairs.reverse();
                pairs.dedup_by(|one, other| one.0 == other.0);
                pairs.reverse();
                let mut separator = '{';
                for (key, value) in pairs {
                    json.push(std::mem::replace(&mut separator, ','));
                    write_string(json, &key);
                    json.push(':');
                    value.write_json(json);
                }
                json.push_str(if separator == '{' { "{}" } else { "}" });
            }
        }
    }
}

/// Refuses a value of so many bytes before anything is made of it, where it could be no label.
pub(super) fn check_size(bytes: usize) -> Result<(), Refusal> {
    if bytes <= OTLP_VALUE_BYTES_MAX {
        return Ok(());
    }
    let detail = format!("a label value has at most {LABEL_VALUE_BYTES_MAX} bytes");
    Err(Refusal::new("label_invalid", detail))
}

pub(super) fn too_deep() -> Refusal {
    let levels = OTLP_VALUE_NESTING_MAX;
    let detail = format!("the lists and maps of an attribute are nested more than {levels} times");
    Refusal::new("nesting_too_deep", detail)
}

fn not_finite(double: f64) -> &'static str {
    match double {
        _ if double.is_nan() => "NaN",
        _ if double > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}

/// The shortest digits, with an exponent where the number is very small or very large.
fn write_double(json: &mut String, double: f64) {
    let size = double.abs();
    // Writing to a string does not fail.
    let _ = if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{double:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        write!(json, "{digits}e{sign}{exponent}")
    } else {
        write!(json, "{double}")
    };
}

/// A string, with what Go escapes in it.
fn write_string(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        let _ = match character {
            '"' | '\\' => write!(json, "\\{character}"),
            '\n' => json.write_str("\\n"),
            '\r' => json.write_str("\\r"),
            '\t' => json.write_str("\\t"),
            '\u{8}' => json.write_str("\\b"),
            '\u{c}' => json.write_str("\\f"),
            '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                write!(json, "\\u{:04x}", u32::from(character))
            }
            _ => json.write_char(character),
        };
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value<'_> {
        Value::Text(Cow::Borrowed(text))
    }

    #[test]
    fn each_kind_has_its_text() {
        let pairs = |pairs: &[(&'static str, Value<'static>)]| {
            Value::Map(pairs.iter().cloned().map(|(key, value)| (key.into(), value)).collect())
        };
        for (value, expected) in [
            (Value::Empty, ""),
            (text("a\"<b>"), "a\"<b>"),
            (Value::Bool(true), "true"),
            (Value::Bool(false), "false"),
            (Value::Integer(i64::MIN), "-9223372036854775808"),
            (Value::Double(1.0), "1"),
            (Value::Double(-0.5), "-0.5"),
            (Value::Double(1e20), "100000000000000000000"),
            (Value::Double(1e21), "1e+21"),
            (Value::Double(-2.5e-7), "-2.5e-7"),
            (Value::Double(0.0), "0"),
            (Value::Double(f64::NAN), "NaN"),
            (Value::Double(f64::NEG_INFINITY), "-Infinity"),
            (Value::Bytes(Cow::Borrowed(b"\xff\x00")), "/wA="),
            (Value::List(vec![]), "[]"),
            (Value::List(vec![Value::Bytes(Cow::Borrowed(b""))]), "[null]"),
            (
                Value::List(vec![text("<&>\n\u{2028}"), Value::Empty, Value::Double(f64::NAN)]),
                "[\"<&>\\n\\u2028\",null,\"NaN\"]",
            ),
            (pairs(&[]), "{}"),
            (
                pairs(&[("b", Value::Integer(1)), ("a", text("x")), ("b", Value::Bool(true))]),
                "{\"a\":\"x\",\"b\":true}",
            ),
        ] {
            assert_eq!(value.clone().into_text(), expected, "{value:?}");
        }
    }
}
