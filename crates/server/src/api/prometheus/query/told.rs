//! What a query came to, as its clients read it: written out at once, without a tree of it.

use std::io;

use bellwire_model::limits::QUERY_ANSWER_BYTES_MAX;
use bellwire_model::{Labels, Timestamp};
use bellwire_rules::{
    Allowance, Answer, Element, EvaluationError, NoteKind, Series, Value, plain_text, sample_text,
};
use bytes::Bytes;
use serde::ser::{SerializeMap as _, Serializer};
use serde::{Serialize, ser::SerializeSeq as _};

use super::super::Failure;

/// The answer in JSON.
pub(super) fn told(
    answer: &Answer,
    text: &str,
    time: Timestamp,
    allowance: Allowance,
) -> Result<Bytes, Failure> {
    let notes = |wanted: NoteKind| {
        let notes = answer.notes.iter().filter(move |note| note.kind == wanted);
        notes.map(|note| note.in_expression(text)).collect()
    };
    let (kind, result) = (kind(&answer.value), Told { value: &answer.value, time });
    let success = Success {
        status: "success",
        data: Data { kind, result },
        warnings: notes(NoteKind::Warning),
        infos: notes(NoteKind::Info),
    };
    written(&success, allowance)
}

/// An answer in JSON, however long. Its bytes are held of what the query may take until they are
/// sent.
pub(in super::super) fn written(
    answer: &impl Serialize,
    mut allowance: Allowance,
) -> Result<Bytes, Failure> {
    let mut writer = Writer { bytes: Vec::new(), allowance: &mut allowance, refused: None };
    let written = serde_json::to_writer(&mut writer, answer);
    let Writer { bytes, refused, .. } = writer;
    if let Some(refused) = refused {
        return Err(refused.into());
    }
    written.map_err(|error| Failure::execution(error.to_string()))?;
    allowance.hold_only(bytes.capacity());
    Ok(Bytes::from_owner(Held { bytes, _allowance: allowance }))
}

/// Bytes of an answer that are on their way.
struct Held {
    bytes: Vec<u8>,
    _allowance: Allowance,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why an answer is not written.
enum Refused {
    TooLong,
    Allowance(EvaluationError),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Allowance(error) => error.into(),
            Refused::TooLong => Self::execution(format!(
                "the answer would have more than {QUERY_ANSWER_BYTES_MAX} bytes: ask for fewer \
                 series, a shorter range or a larger step"
            )),
        }
    }
}

/// Collects bytes, as many as there may be.
struct Writer<'a> {
    bytes: Vec<u8>,
    allowance: &'a mut Allowance,
    refused: Option<Refused>,
}

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let held = self.allowance.hold_bytes(bytes.len()).and_then(|()| self.allowance.check());
        let refused = match held {
            Err(error) => Some(Refused::Allowance(error)),
            Ok(()) if self.bytes.len() + bytes.len() > QUERY_ANSWER_BYTES_MAX => {
                Some(Refused::TooLong)
            }
            Ok(()) => None,
        };
        if refused.is_some() {
            self.refused = refused;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Serialize)]
struct Success<'a> {
    status: &'static str,
    data: Data<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    infos: Vec<String>,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(rename = "resultType")]
    kind: &'static str,
    result: Told<'a>,
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Scalar(_) => "scalar",
        Value::Text(_) => "string",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
    }
}

struct Told<'a> {
    value: &'a Value,
    time: Timestamp,
}

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Scalar(value) => Point(self.time, plain_text(*value)).serialize(serializer),
            Value::Text(text) => (Seconds(self.time), text).serialize(serializer),
            Value::Vector(elements) => {
                let sample = |Element { labels, value }: &'_ Element| Sample {
                    metric: Metric(labels.clone()),
                    value: Point(self.time, sample_text(*value)),
                };
                serializer.collect_seq(elements.iter().map(sample))
            }
            Value::Matrix(series) => serializer.collect_seq(series.iter().map(Values::of)),
        }
    }
}

#[derive(Serialize)]
struct Sample {
    metric: Metric,
    value: Point,
}

#[derive(Serialize)]
struct Values<'a> {
    metric: Metric,
    values: Points<'a>,
}

impl<'a> Values<'a> {
    fn of(series: &'a Series) -> Self {
        Self { metric: Metric(series.labels.clone()), values: Points(&series.values) }
    }
}

struct Points<'a>(&'a [(Timestamp, f64)]);

impl Serialize for Points<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(time, value)| Point(*time, sample_text(*value))))
    }
}

/// The labels of a series, as an object.
pub(in super::super) struct Metric(pub(in super::super) Labels);

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// When, and what.
struct Point(Timestamp, String);

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_seq(Some(2))?;
        pair.serialize_element(&Seconds(self.0))?;
        pair.serialize_element(&self.1)?;
        pair.end()
    }
}

/// Whole seconds without a fraction, as Prometheus writes them.
struct Seconds(Timestamp);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_ms() % 1000 {
            0 => serializer.serialize_i64(self.0.as_ms() / 1000),
            _ => serializer.serialize_f64(self.0.as_ms() as f64 / 1000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwire_rules::QueryMemory;

    use super::*;

    #[test]
    fn answers_are_written_as_prometheus_does_and_held_until_they_are_sent() {
        let labels = Labels::from_pairs([("__name__", "a"), ("q", "\"")]).expect("labels");
        let values =
            vec![(Timestamp::from_ms(1_500), f64::NAN), (Timestamp::from_ms(2_000), f64::INFINITY)];
        let value = Value::Matrix(vec![Series { labels, values }]);
        let memory = QueryMemory::new(1 << 20);
        let (allowance, _waiter) = bellwire_rules::Allowance::new(10, &memory);
        let answer = Answer { value, notes: Vec::new() };
        let bytes = told(&answer, "a", Timestamp::from_ms(0), allowance).expect("there is memory");
        let expected = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"a","q":"\""},"values":[[1.5,"NaN"],[2,"+Inf"]]}]}}"#;
        assert_eq!(std::str::from_utf8(&bytes), Ok(expected));
        let left = memory.left();
        assert!(left < 1 << 20 && left >= (1 << 20) - 2 * expected.len());
        drop(bytes);
        assert_eq!(memory.left(), 1 << 20);
    }

    #[test]
    fn an_answer_for_which_there_is_no_room_is_refused() {
        let value = Value::Text("x".repeat(100).into());
        let (allowance, _waiter) = bellwire_rules::Allowance::new(10, &QueryMemory::new(50));
        let answer = Answer { value, notes: Vec::new() };
        let refused = told(&answer, "a", Timestamp::from_ms(0), allowance);
        assert_eq!(refused.err().map(|failure| failure.kind), Some("unavailable"));
    }
}
