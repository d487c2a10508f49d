//! One sample as a JSON object: read in one pass into the pieces of text it consists of, which
//! are looked into afterwards. So a wrong type is one rejection and not the end of the array.

use std::borrow::Cow;
use std::fmt;

use bellwire_model::limits::NESTING_MAX;
use bellwire_model::{METRIC_NAME, Sample, Timestamp, is_nested_deeper};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::decoded::{Refusal, quoted, series};

/// Integers up to here have an exact double.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// One item: fails for broken syntax only.
pub(super) struct Item;

impl<'de> DeserializeSeed<'de> for Item {
    type Value = Result<Members<'de>, Refusal>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item {
    type Value = Result<Members<'de>, Refusal>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sample")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        let mut refusal = None;
        while let Some(Text(name)) = map.next_key()? {
            let raw = map.next_value::<&'de RawValue>()?.get();
            // The first counts; to put more of them into words would take its time.
            if refusal.is_none() {
                refusal = members.set(&name, raw).err();
            }
        }
        Ok(refusal.map_or(Ok(members), Err))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(no_object())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(no_object())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(no_object())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(no_object())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(no_object())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(no_object())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(no_object())
    }
}

fn no_object<'de>() -> Result<Members<'de>, Refusal> {
    let detail = "a sample is an object: {\"name\":\"temperature_celsius\",\"value\":21.5}";
    Err(Refusal::new("sample_invalid", detail))
}

/// A string, borrowed where it has no escapes.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        json.deserialize_str(TextVisitor)
    }
}

/// The members of an item: JSON text as it stands in the body.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    name: Option<&'a str>,
    labels: Option<&'a str>,
    value: Option<&'a str>,
    timestamp: Option<&'a str>,
}

impl<'a> Members<'a> {
    fn set(&mut self, name: &str, raw: &'a str) -> Result<(), Refusal> {
        let member = match name {
            "name" => &mut self.name,
            "labels" => &mut self.labels,
            "value" => &mut self.value,
            "timestamp" => &mut self.timestamp,
            _ => {
                let known = "name, labels, value and timestamp";
                let detail = format!("unknown field `{}`: a sample has {known}", quoted(name));
                return Err(Refusal::new("unknown_field", detail));
            }
        };
        if member.replace(raw).is_some() {
            return Err(Refusal::new(
                "duplicate_field",
                format!("the field `{name}` stands twice"),
            ));
        }
        Ok(())
    }

    pub(super) fn sample(self, now: Timestamp) -> Result<Sample, Refusal> {
        let Some(raw) = self.name else {
            return Err(Refusal::new("name_missing", "a sample names its metric: `name`"));
        };
        let Some(Text(name)) = string(raw) else {
            return Err(Refusal::new("type_invalid", "`name` is a string"));
        };
        let value = value(self.value)?;
        let time = match self.timestamp {
            None | Some("null") => now,
            Some(raw) => timestamp(raw)?,
        };
        Sample::check_time(time, now)?;
        let labels = match self.labels {
            None | Some("null") => Vec::new(),
            Some(raw) => labels(raw)?,
        };
        let pairs = labels.iter().map(|(name, value)| (name.0.as_ref(), value.0.as_ref()));
        Ok(Sample { series: series(&name, pairs)?, value, time })
    }
}

fn string(raw: &str) -> Option<Text<'_>> {
    match raw.strip_prefix('"')?.strip_suffix('"')? {
        plain if !plain.contains('\\') => Some(Text(Cow::Borrowed(plain))),
        _ => serde_json::from_str(raw).ok(),
    }
}

fn value(raw: Option<&str>) -> Result<f64, Refusal> {
    let Some(raw) = raw else {
        return Err(Refusal::new("value_missing", "a sample has a `value`"));
    };
    let is_number = raw.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let number: f64 = match string(raw) {
        // Others write what is not finite as a string; that deserves a better answer.
        Some(Text(text)) if text.parse().is_ok_and(|number: f64| !number.is_finite()) => f64::NAN,
        None if is_number => raw.parse().unwrap_or(f64::NAN),
        _ => return Err(Refusal::new("type_invalid", "`value` is a number, such as 21.5")),
    };
    Sample::check_value(number)?;
    Ok(number)
}

fn timestamp(raw: &str) -> Result<Timestamp, Refusal> {
    if let Ok(ms) = raw.parse() {
        return Ok(Timestamp::from_ms(ms));
    }
    // Some clients have no integers and write 1.7e12.
    match raw.parse::<f64>() {
        Ok(ms) if ms.fract() == 0.0 && ms.abs() <= EXACT_INTEGER_MAX => {
            Ok(Timestamp::from_ms(ms as i64))
        }
        _ => {
            let detail = "`timestamp` is a whole number of milliseconds since 1970";
            Err(Refusal::new("type_invalid", detail))
        }
    }
}

/// The pairs of `labels`.
fn labels(raw: &str) -> Result<Vec<(Text<'_>, Text<'_>)>, Refusal> {
    let mut json = serde_json::Deserializer::from_str(raw);
    let pairs = match json.deserialize_map(Pairs) {
        Ok(pairs) => pairs,
        Err(_) if is_nested_deeper(raw.as_bytes(), NESTING_MAX) => {
            let detail = format!("arrays and objects are nested more than {NESTING_MAX} times");
            return Err(Refusal::new("nesting_too_deep", detail));
        }
        Err(error) if error.is_data() => {
            return Err(Refusal::new("type_invalid", "`labels` is an object of strings"));
        }
        // The syntax is right already: what is left are halves of surrogate pairs.
        Err(_) => return Err(Refusal::new("label_invalid", "`labels` is not valid Unicode")),
    };
    if pairs.iter().any(|(name, _)| name.0 == METRIC_NAME) {
        let detail = "the label `__name__` is the metric's name: write it in `name`";
        return Err(Refusal::new("label_invalid", detail));
    }
    Ok(pairs)
}

/// Pairs in their order: a map would hide a name that stands twice.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(Text<'de>, Text<'de>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}
