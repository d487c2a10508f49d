//! What comes from the keeper: lines of JSON, as any client of NDJSON gets them.

use std::borrow::Cow;

use bellwire_model::limits::MIRROR_LINE_BYTES_MAX;
use bellwire_model::{Body, Event, Timestamp};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::lines::{self, TooLong};

/// What one line says.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// A value, or the end of one, and the number that it tells of.
    Value(Event, Option<f64>),
    /// All values have come that there were.
    Ready,
    /// The keeper ends.
    Bye,
    /// Something that does not matter here.
    Other,
}

/// Why what comes is not taken.
#[derive(Debug, Error)]
pub(super) enum LineError {
    #[error(transparent)]
    TooLong(#[from] TooLong),
    #[error("a line is not what nodes say to each other: {0}")]
    Malformed(String),
}

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow, default)]
    control: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    topic: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "type")]
    event_type: Option<Cow<'a, str>>,
    #[serde(default)]
    time: i64,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// What is measured, in the value of a series.
#[derive(Deserialize)]
struct Measured {
    value: f64,
}

/// Cuts what comes into lines.
#[derive(Debug, Default)]
pub(super) struct Lines(lines::Lines<MIRROR_LINE_BYTES_MAX>);

impl Lines {
    /// What is complete with this piece.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<Vec<Line>, LineError> {
        let mut taken = Vec::new();
        self.0.take(piece, |line| {
            taken.push(read(line?)?);
            Ok::<(), LineError>(())
        })?;
        Ok(taken)
    }
}

fn read(line: &[u8]) -> Result<Line, LineError> {
    let malformed = |error: &dyn std::fmt::Display| LineError::Malformed(error.to_string());
    let told: Told<'_> = serde_json::from_slice(line).map_err(|error| malformed(&error))?;
    match told.control.as_deref() {
        Some("ready") => return Ok(Line::Ready),
        Some("bye") => return Ok(Line::Bye),
        Some(_) => return Ok(Line::Other),
        None => {}
    }
    let topic = told.topic.as_deref().unwrap_or_default().parse();
    let topic = topic.map_err(|error: bellwire_model::TopicError| malformed(&error))?;
    let number = told.data.and_then(|data| serde_json::from_str::<Measured>(data.get()).ok());
    let body = |data: &RawValue| Body::Json(Bytes::copy_from_slice(data.get().as_bytes()));
    let event = Event {
        topic,
        key: told.key.map(Into::into),
        event_type: told.event_type.filter(|_| told.data.is_some()).map(Into::into),
        time: Timestamp::from_ms(told.time),
        body: told.data.map(body),
    };
    Ok(Line::Value(event, number.map(|measured| measured.value)))
}

#[cfg(test)]
mod tests {
    use bellwire_wire::json;

    use super::*;

    fn event(key: &str, body: Option<&str>) -> Event {
        Event {
            topic: "samples/temperature".parse().expect("a topic"),
            key: Some(key.into()),
            event_type: None,
            time: Timestamp::from_ms(7),
            body: body.map(|body| Body::Json(body.to_owned().into())),
        }
    }

    #[test]
    fn what_is_told_is_read_as_it_was_however_it_comes() {
        let value =
            r#"{"name":"temperature","labels":{"site":"Ålesund \"2\""},"value":1.5,"timestamp":7}"#;
        let told = [
            event("{site=\"Ålesund \\\"2\\\"\"}", Some(value)),
            event("query", Some(r#"{"query":"x","mode":"tick"}"#)),
            event("gone", None),
        ];
        let position = bellwire_wire::Position { cursor: None, version: None };
        let mut bytes = Vec::new();
        for event in &told {
            bytes.extend(json::event(position, event));
            bytes.extend(b"\n\n");
        }
        bytes.extend(b"{\"control\":\"ready\",\"cursor\":\"e1-1\"}\n{\"control\":\"bye\"}\n{\"control\":\"x\"}\n{");
        let [one, two, three] = told;
        let expected = [
            Line::Value(one, Some(1.5)),
            Line::Value(two, None),
            Line::Value(three, None),
            Line::Ready,
            Line::Bye,
            Line::Other,
        ];
        for step in [1, 7, bytes.len()] {
            let mut lines = Lines::default();
            let taken = bytes.chunks(step).flat_map(|piece| lines.take(piece).expect("lines"));
            assert_eq!(taken.collect::<Vec<_>>(), expected, "{step}");
        }
    }

    #[test]
    fn what_is_no_line_or_too_long_ends_it() {
        for text in ["{}\n", "[]\n", "{\"topic\":\"a//b\",\"time\":1}\n"] {
            assert!(Lines::default().take(text.as_bytes()).is_err(), "{text}");
        }
        let mut lines = Lines::default();
        let half = vec![b' '; MIRROR_LINE_BYTES_MAX / 2 + 1];
        assert!(lines.take(&half).is_ok());
        assert!(matches!(lines.take(&half), Err(LineError::TooLong(_))));
    }
}
