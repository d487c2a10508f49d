//! Reading back what [`alert`](super::alert) wrote: a restart rebuilds the board from it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bellwire_model::{
    Acknowledgement, Alert, AlertSource, AlertState, Body, Event, Fingerprint, Labels, LabelsError,
    LabelsOf, METRIC_NAME, RuleName, Timestamp, Topic,
};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use thiserror::Error;

/// Why a text is not an alert.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AlertError {
    /// It is not JSON of an alert's shape.
    #[error("not an alert: {0}")]
    Json(#[from] serde_json::Error),
    /// Its labels or annotations break a rule.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// Its state is none of those there are.
    #[error("an alert is pending, firing, data_lost or resolved, not `{0}`")]
    State(Box<str>),
    /// Its value is neither a number nor the text of one.
    #[error("an alert's value is a number, \"NaN\", \"+Inf\" or \"-Inf\"")]
    Value,
}

#[derive(Deserialize)]
struct AlertText<'a> {
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(borrow)]
    labels: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(borrow)]
    annotations: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    value: Option<serde_json::Value>,
    active_at: i64,
    fired_at: Option<i64>,
    resolved_at: Option<i64>,
    sample_time: Option<i64>,
    #[serde(borrow)]
    rule: Option<RuleText<'a>>,
    #[serde(borrow)]
    generator_url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    acknowledged: Option<AcknowledgementText<'a>>,
}

#[derive(Deserialize)]
struct AcknowledgementText<'a> {
    #[serde(borrow)]
    by: Cow<'a, str>,
    #[serde(borrow)]
    note: Cow<'a, str>,
    at: i64,
}

#[derive(Deserialize)]
struct RuleText<'a> {
    #[serde(borrow)]
    file: Cow<'a, str>,
    #[serde(borrow)]
    group: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// Reads an alert. Its fingerprint is computed anew from its labels.
pub fn read_alert(json: &[u8]) -> Result<Alert, AlertError> {
    let text: AlertText<'_> = serde_json::from_slice(json)?;
    let state = AlertState::named(&text.state);
    let state = state.ok_or_else(|| AlertError::State((&*text.state).into()))?;
    alert_of(text, state)
}

/// Reads an alert as it is [shown](super::shown_alert): whatever is made of it, it fires unless its
/// own state says otherwise. With who has acknowledged it, where it says so.
pub fn read_shown_alert(json: &[u8]) -> Result<(Alert, Option<Acknowledgement>), AlertError> {
    let mut text: AlertText<'_> = serde_json::from_slice(json)?;
    let state = AlertState::named(&text.state).unwrap_or(AlertState::Firing);
    let acknowledged = text.acknowledged.take().map(|said| Acknowledgement {
        by: said.by.into(),
        note: said.note.into(),
        at: Timestamp::from_ms(said.at),
    });
    Ok((alert_of(text, state)?, acknowledged))
}

fn alert_of(text: AlertText<'_>, state: AlertState) -> Result<Alert, AlertError> {
    let labels = |pairs: &BTreeMap<Cow<'_, str>, Cow<'_, str>>| {
        Labels::from_pairs(pairs.iter().map(|(name, value)| (&**name, &**value)))
    };
    let alert_labels = labels(&text.labels)?;
    let source = match text.rule {
        Some(RuleText { file, group, name }) => AlertSource::Rule(Arc::new(RuleName {
            file: file.into(),
            group: group.into(),
            alert: name.into(),
        })),
        None => AlertSource::Posted { generator_url: text.generator_url.map(Into::into) },
    };
    Ok(Alert {
        fingerprint: Fingerprint::of(&alert_labels),
        source,
        state,
        labels: alert_labels,
        annotations: labels(&text.annotations)?,
        value: text.value.as_ref().map_or(Ok(0.0), number)?,
        active_at: Timestamp::from_ms(text.active_at),
        fired_at: text.fired_at.map(Timestamp::from_ms),
        resolved_at: text.resolved_at.map(Timestamp::from_ms),
        sample_time: Timestamp::from_ms(text.sample_time.unwrap_or(text.active_at)),
    })
}

/// The labels of what an event tells of: of an alert, or of a series with its name among them.
/// `None` where it tells of neither, as a dead letter does, or is no such JSON.
pub fn labels_of(event: &Event) -> Option<Labels> {
    let kind = event.topic.labels_of()?;
    let Some(Body::Json(json)) = &event.body else { return None };
    match kind {
        LabelsOf::Alert if !tells_of_alert(&event.topic) => None,
        LabelsOf::Alert => {
            let AlertLabels { labels: Pairs(pairs) } = serde_json::from_slice(json).ok()?;
            Labels::from_pairs(pairs.iter().map(|(name, value)| (&*name.0, &*value.0))).ok()
        }
        LabelsOf::Series => labels_of_series(json),
    }
}

/// The labels of a value that [`sample`](super::sample) has written, on whichever topic: with its
/// name among them, if it has one.
pub fn labels_of_series(json: &[u8]) -> Option<Labels> {
    let SeriesLabels { name, labels: Pairs(pairs) } = serde_json::from_slice(json).ok()?;
    let labels = pairs.iter().map(|(name, value)| (&*name.0, &*value.0));
    Labels::from_pairs(labels.chain([(METRIC_NAME, &*name)])).ok()
}

/// Whether the body of an event has an alert's labels: it is one, or of somebody who has one open.
fn tells_of_alert(topic: &Topic) -> bool {
    let is_alert = || matches!(topic.segments().nth(1), Some("active" | "events"));
    topic.followed_alert().is_some() || is_alert()
}

#[derive(Deserialize)]
struct AlertLabels<'a> {
    #[serde(borrow)]
    labels: Pairs<'a>,
}

#[derive(Deserialize)]
struct SeriesLabels<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    labels: Pairs<'a>,
}

/// The members of an object, all of them texts.
struct Pairs<'a>(Vec<(Text<'a>, Text<'a>)>);

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(8);
                while let Some(pair) = members.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[derive(Deserialize)]
struct SeriesHistoryText<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    labels: Pairs<'a>,
    timestamps: Vec<i64>,
    values: Vec<serde_json::Value>,
}

/// Reads the past of a series as [`series_history`](super::series_history) writes it, its name among its
/// labels; nothing where it is none.
pub fn read_series_history(json: &[u8]) -> Option<(Labels, Vec<(Timestamp, f64)>)> {
    let text: SeriesHistoryText<'_> = serde_json::from_slice(json).ok()?;
    let SeriesHistoryText { name, labels: Pairs(pairs), timestamps, values } = text;
    let labels = pairs.iter().map(|(name, value)| (&*name.0, &*value.0));
    let labels = Labels::from_pairs(labels.chain([(METRIC_NAME, &*name)])).ok()?;
    let values = values.iter().map(number).collect::<Result<Vec<f64>, _>>().ok()?;
    let times = timestamps.into_iter().map(Timestamp::from_ms);
    (times.len() == values.len()).then(|| (labels, times.zip(values).collect()))
}

fn number(value: &serde_json::Value) -> Result<f64, AlertError> {
    match value.as_str() {
        Some("NaN") => Ok(f64::NAN),
        Some("+Inf") => Ok(f64::INFINITY),
        Some("-Inf") => Ok(f64::NEG_INFINITY),
        Some(_) => Err(AlertError::Value),
        None => value.as_f64().ok_or(AlertError::Value),
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::Sample;

    use super::*;

    #[test]
    fn an_alert_reads_back_what_was_written() {
        let labels = Labels::from_pairs([("alertname", "Hot \"one\""), ("site", "höhe")]);
        let labels = labels.expect("labels");
        let rule = RuleName { file: "a.yml".into(), group: "g".into(), alert: "Hot".into() };
        let rule = AlertSource::Rule(Arc::new(rule));
        let posted = |url: Option<&str>| AlertSource::Posted { generator_url: url.map(Into::into) };
        for (value, fired_at, source) in [
            (21.5, Some(3), rule.clone()),
            (f64::INFINITY, None, rule),
            (0.0, Some(2), posted(None)),
            (0.0, Some(2), posted(Some("http://prometheus/graph?a=\"b\""))),
        ] {
            let alert = Alert {
                fingerprint: Fingerprint::of(&labels),
                source,
                state: AlertState::Firing,
                labels: labels.clone(),
                annotations: Labels::empty(),
                value,
                active_at: Timestamp::from_ms(2),
                fired_at: fired_at.map(Timestamp::from_ms),
                resolved_at: None,
                sample_time: Timestamp::from_ms(2),
            };
            let json = crate::json::alert(&alert);
            assert_eq!(read_alert(&json).expect("an alert"), alert);
        }
    }

    fn event(topic: &str, body: Body) -> Event {
        let (key, event_type, time) = (None, None, Timestamp::from_ms(1));
        Event { topic: topic.parse().expect("a topic"), key, event_type, time, body: Some(body) }
    }

    #[test]
    fn the_labels_of_events_are_those_that_were_written() {
        let pairs =
            [("alertname", "Hot \"one\" \\"), ("labels", "{\"team\":\"b\"}"), ("team", "a")];
        let labels = Labels::from_pairs(pairs).expect("labels");
        let alert = Alert {
            fingerprint: Fingerprint::of(&labels),
            source: AlertSource::Posted { generator_url: None },
            state: AlertState::Firing,
            annotations: Labels::from_pairs([("labels", "\"labels\":{}")]).expect("labels"),
            labels: labels.clone(),
            value: 0.0,
            active_at: Timestamp::from_ms(2),
            fired_at: None,
            resolved_at: None,
            sample_time: Timestamp::from_ms(2),
        };
        let body = || Body::Json(crate::json::alert(&alert).into());
        for topic in ["alerts/active", "alerts/events/none/Hot"] {
            assert_eq!(labels_of(&event(topic, body())).as_ref(), Some(&labels), "{topic}");
        }
        for topic in ["alerts/dead-letters/pager", "alerts", "lab/a", "samples/up"] {
            assert_eq!(labels_of(&event(topic, body())), None, "{topic}");
        }
        let series = labels.with(METRIC_NAME, "up").expect("labels");
        let sample = Sample { series: series.clone(), value: 1.0, time: Timestamp::from_ms(1) };
        let body = || Body::Json(crate::json::sample(&sample).into());
        for topic in ["samples/up", "rules/up"] {
            assert_eq!(labels_of(&event(topic, body())).as_ref(), Some(&series), "{topic}");
        }
        let body = crate::json::series_history(&series, &[(Timestamp::from_ms(1), f64::NAN)]);
        let measured = event(Topic::OF_SERIES_OF_ALERTS, Body::Json(body.into()));
        assert_eq!(labels_of(&measured).as_ref(), Some(&series));
        let others = [
            "{}",
            "[]",
            "{\"labels\":1}",
            "{\"labels\":{\"a\":1}}",
            "{\"labels\":{},\"labels\":{}}",
        ];
        for text in others {
            let body = Body::Json(text.as_bytes().into());
            assert_eq!(labels_of(&event("alerts/active", body)), None, "{text}");
        }
    }

    #[test]
    fn the_past_of_a_series_reads_back_what_was_written() {
        let pairs = [(METRIC_NAME, "t"), ("site", "h\u{f6}he \"1\"")];
        let series = Labels::from_pairs(pairs).expect("labels");
        let values = [21.5, f64::INFINITY, -0.0, 1e300, f64::NEG_INFINITY];
        let points: Vec<_> = (1..).map(Timestamp::from_ms).zip(values).collect();
        for points in [&points[..], &points[..1], &[]] {
            let json = crate::json::series_history(&series, points);
            let read = read_series_history(&json).expect("a past");
            assert_eq!(read, (series.clone(), points.to_vec()));
        }
        for wrong in ["", "{}", r#"{"name":"t","labels":{},"timestamps":[1],"values":[]}"#] {
            assert_eq!(read_series_history(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "{}", "[]", "{\"state\":1}"] {
            assert!(matches!(read_alert(text.as_bytes()), Err(AlertError::Json(_))), "{text}");
        }
    }
}
