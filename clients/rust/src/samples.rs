//! Sending what sensors have measured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ArgumentError, Error};
use crate::outbox::{Letter, Outbox, Repeat, Terms, Tries};
use crate::problem::SampleError;

/// One measured value of a series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    name: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
}

impl Sample {
    /// Of a metric; without a time it is of when it arrives.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), labels: BTreeMap::new(), value, timestamp: None }
    }

    /// One more label.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// When it was measured. Such a sample counts once however often it is sent.
    #[must_use]
    pub fn at(self, time: SystemTime) -> Self {
        let ms = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        };
        self.at_ms(ms)
    }

    /// As [`at`](Self::at), in milliseconds since 1970.
    #[must_use]
    pub fn at_ms(mut self, ms: i64) -> Self {
        self.timestamp = Some(ms);
        self
    }
}

/// What the server says of samples.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SamplesTaken {
    /// How many the rules have seen.
    pub accepted: u64,
    /// How many were refused.
    pub rejected: u64,
    /// What is wrong with the first of those.
    pub errors: Vec<SampleError>,
}

/// Samples that are to be sent, before they are.
#[derive(Debug)]
#[must_use = "nothing is sent before `send` is called and awaited"]
pub struct SendSamples {
    outbox: Arc<Outbox>,
    samples: Result<Vec<Value>, serde_json::Error>,
    terms: Terms,
}

impl SendSamples {
    pub(crate) fn new<S: Serialize>(
        outbox: Arc<Outbox>,
        samples: impl IntoIterator<Item = S>,
    ) -> Self {
        let samples = samples.into_iter().map(serde_json::to_value).collect();
        Self { outbox, samples, terms: Terms::default() }
    }

    /// How long it is tried; a minute by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.terms.timeout = timeout;
        self
    }

    /// Tries it once, and hands it back where that fails.
    pub fn once(mut self) -> Self {
        self.terms.tries = Tries::One;
        self
    }

    /// Returns once the rules have seen them. Where any of them has no time of its own, they are not
    /// sent again once the server may have them.
    pub async fn send(self) -> Result<SamplesTaken, Error> {
        let samples = self.samples.map_err(ArgumentError::Json)?;
        let have_times = samples.iter().all(|sample| sample["timestamp"].is_i64());
        let body = serde_json::to_vec(&samples).map_err(ArgumentError::Json)?;
        let json = HeaderValue::from_static("application/json");
        let letter = Letter {
            method: Method::POST,
            path: "/v1/samples".to_owned(),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, json)]),
            body: body.into(),
            repeat: if have_times { Repeat::Harmless } else { Repeat::Never },
            idempotency_key: None,
        };
        self.outbox.send(letter, self.terms).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_as_the_server_reads_them() {
        let time = UNIX_EPOCH + Duration::from_millis(1_500);
        let samples = [
            Sample::new("t", 1.5).label("site", "oslo").at(time),
            Sample::new("u", -2.0),
            Sample::new("v", 0.0).at(UNIX_EPOCH - Duration::from_millis(3)),
        ];
        let json = serde_json::to_string(&samples).expect("JSON");
        let expected = r#"[{"name":"t","labels":{"site":"oslo"},"value":1.5,"timestamp":1500},{"name":"u","value":-2.0},{"name":"v","value":0.0,"timestamp":-3}]"#;
        assert_eq!(json, expected);
    }
}
