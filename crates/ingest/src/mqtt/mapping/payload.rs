//! What is in a message: a number, or JSON.

use bellwire_model::limits::MQTT_NUMBER_BYTES_MAX;
use bellwire_model::{Labels, Sample, Timestamp};

use super::{EventTarget, JsonPath};
use crate::decoded::{Refusal, quoted};
use crate::mqtt::json_path::{Found, JsonPaths};
use crate::mqtt::publication::{Age, Out, Publication, retained};

/// What the messages of a topic are.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// A number as text, such as `21.5`.
    Number {
        /// Texts that stand for numbers.
        words: Vec<Word>,
    },
    /// JSON.
    Json(JsonPayload),
    /// Sparkplug B.
    Sparkplug,
    /// Anything: each message is an event.
    Event(EventTarget),
}

/// A text that stands for a number, such as `online`.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// The text.
    pub text: Box<str>,
    /// The number.
    pub value: f64,
}

/// The unit of times that are numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds, with fractions perhaps.
    Seconds,
    /// The default.
    #[default]
    Milliseconds,
    /// Thousandths of them.
    Microseconds,
    /// Millionths of them.
    Nanoseconds,
}

/// Where the numbers of a JSON document are.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPayload {
    values: Vec<JsonValue>,
    words: Vec<Word>,
    unit: TimeUnit,
    /// Those of the values, then that of the time.
    paths: JsonPaths,
    has_time: bool,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonValue {
    /// The metric's name, where it is not said otherwise.
    pub name: Option<Box<str>>,
    /// Where it is.
    pub path: JsonPath,
}

impl JsonPayload {
    /// Documents with these values, and perhaps the time of them: a number of these units, or a text
    /// as RFC 3339 has it.
    pub fn new(
        values: Vec<JsonValue>,
        words: Vec<Word>,
        time: Option<(JsonPath, TimeUnit)>,
    ) -> Self {
        let unit = time.as_ref().map_or_else(TimeUnit::default, |(_, unit)| *unit);
        let has_time = time.is_some();
        let paths = values.iter().map(|value| value.path.clone());
        let paths = JsonPaths::new(paths.chain(time.map(|(path, _)| path)));
        Self { values, words, unit, paths, has_time }
    }

    pub(super) fn values(&self) -> &[JsonValue] {
        &self.values
    }

    /// Takes what a document has of the values. What it has not is left out, but all of them.
    pub(super) fn read(
        &self,
        publication: Publication<'_>,
        series: &[Labels],
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let found = self.paths.follow(publication.payload);
        let mut found = found.map_err(|error| Refusal::new("json_invalid", error.to_string()))?;
        let time = if self.has_time { found.pop().flatten() } else { None };
        let time = self.time(time, publication)?;
        let mut is_empty = true;
        for ((found, series), value) in found.iter().zip(series).zip(&self.values) {
            let Some(found) = found else { continue };
            is_empty = false;
            match self.number(found) {
                Some(value) if value.is_finite() => out.take(series, (value, time)),
                _ => {
                    let name = value.name.as_deref().or(series.metric_name()).unwrap_or_default();
                    let detail = format!("the value of `{}` is no finite number", quoted(name));
                    out.refuse(Refusal::new("type_invalid", detail));
                }
            }
        }
        if is_empty {
            let detail = "the document has none of the values that are configured";
            return Err(Refusal::new("value_missing", detail));
        }
        Ok(())
    }

    fn time(
        &self,
        found: Option<Found>,
        publication: Publication<'_>,
    ) -> Result<Timestamp, Refusal> {
        let Publication { age, now, .. } = publication;
        let wrong = || {
            let detail = "the time is neither a number nor a text as RFC 3339 has it";
            Refusal::new("type_invalid", detail)
        };
        let time = match found {
            None if age == Age::Live => return Ok(now),
            None => return Err(retained()),
            Some(Found::Whole(units)) => self.unit.time(units),
            Some(Found::Number(units)) => self.unit.time_of_fraction(units).ok_or_else(wrong)?,
            Some(Found::Text(text)) => match text.parse() {
                Ok(units) => self.unit.time_of_fraction(units).ok_or_else(wrong)?,
                Err(_) => Timestamp::from_rfc3339(&text).ok_or_else(wrong)?,
            },
            Some(Found::Truth(_) | Found::Other) => return Err(wrong()),
        };
        Sample::check_time(time, now)?;
        Ok(time)
    }

    fn number(&self, found: &Found) -> Option<f64> {
        match found {
            Found::Number(number) => Some(*number),
            Found::Whole(number) => Some(*number as f64),
            Found::Truth(truth) => Some(f64::from(u8::from(*truth))),
            Found::Text(text) => number_of(text, &self.words),
            Found::Other => None,
        }
    }
}

impl TimeUnit {
    fn time(self, units: i64) -> Timestamp {
        Timestamp::from_ms(match self {
            Self::Seconds => units.saturating_mul(1_000),
            Self::Milliseconds => units,
            Self::Microseconds => units.div_euclid(1_000),
            Self::Nanoseconds => units.div_euclid(1_000_000),
        })
    }

    /// `None` for what is no number.
    fn time_of_fraction(self, units: f64) -> Option<Timestamp> {
        let ms = match self {
            Self::Seconds => units * 1e3,
            Self::Milliseconds => units,
            Self::Microseconds => units / 1e3,
            Self::Nanoseconds => units / 1e6,
        };
        // What is too large for any time is as far away as can be said.
        (!ms.is_nan()).then(|| Timestamp::from_ms(ms.floor() as i64))
    }
}

/// The number that a payload is.
pub(super) fn number(publication: Publication<'_>, words: &[Word]) -> Result<f64, Refusal> {
    if publication.age == Age::Retained {
        return Err(retained());
    }
    let text = publication.payload.trim_ascii();
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MQTT_NUMBER_BYTES_MAX);
    let Some(text) = text else {
        return Err(Refusal::new("value_invalid", "the payload is a number as text, such as 21.5"));
    };
    let Some(number) = number_of(text, words) else {
        let detail = format!("`{}` is no number, such as 21.5", quoted(text));
        return Err(Refusal::new("value_invalid", detail));
    };
    Sample::check_value(number)?;
    Ok(number)
}

fn number_of(text: &str, words: &[Word]) -> Option<f64> {
    let word = words.iter().find(|word| *word.text == *text);
    word.map(|word| word.value).or_else(|| match text {
        "true" => Some(1.0),
        "false" => Some(0.0),
        _ => text.parse().ok(),
    })
}
