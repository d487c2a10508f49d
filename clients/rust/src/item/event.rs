//! An event, as it came.

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use thiserror::Error;

use super::Members;

/// What subscribers receive, on a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    json: String,
    topic: String,
    key: Option<String>,
    type_name: Option<String>,
    time_ms: i64,
    cursor: Option<String>,
    version: Option<String>,
    /// Where it is within the JSON.
    data: Option<Range<usize>>,
    encoding: Option<String>,
    content_type: Option<String>,
    is_deleted: bool,
    reason: Option<String>,
}

/// The data of an event is not what the application takes it for.
#[derive(Debug, Error)]
#[error("an event on `{topic}` has other data than is expected")]
pub struct DataError {
    topic: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Event {
    /// The event of some members of its JSON, which it gets behind that.
    pub(super) fn of(members: Members<'_>, json: &str) -> Self {
        let at = |part: &str| {
            let start = part.as_ptr().addr() - json.as_ptr().addr();
            start..start + part.len()
        };
        Self {
            json: String::new(),
            topic: members.topic.unwrap_or_default(),
            key: members.key,
            type_name: members.event_type,
            time_ms: members.time,
            cursor: members.cursor,
            version: members.version,
            data: members.data.map(|data| at(data.get())),
            encoding: members.encoding,
            content_type: members.content_type,
            is_deleted: members.deleted,
            reason: members.reason,
        }
    }

    pub(super) fn with_json(self, json: String) -> Self {
        Self { json, ..self }
    }

    /// Where it was published.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// On a state topic, which value this replaces; on a stream, the publisher's own.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Its type, such as `order.paid`.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        self.type_name.as_deref()
    }

    /// When the server took it in; of a sample, when it was measured.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        let since = Duration::from_millis(self.time_ms.unsigned_abs());
        let time = if self.time_ms < 0 {
            UNIX_EPOCH.checked_sub(since)
        } else {
            UNIX_EPOCH.checked_add(since)
        };
        time.unwrap_or(UNIX_EPOCH)
    }

    /// To go on from here misses nothing that comes behind it. Events of state topics have none,
    /// unless their changes are followed.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Which version of its key it is, on a state topic that clients may write.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whether a key of a state topic is gone: then there is no data.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    /// Of a key that is gone: `expired` where its time was over.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Its data as a type of the application's; `null` where it has none.
    pub fn data<'a, T: Deserialize<'a>>(&'a self) -> Result<T, DataError> {
        serde_json::from_str(self.data_json()).map_err(|error| self.other_data(error.into()))
    }

    /// Its data as JSON; `null` where it has none.
    #[must_use]
    pub fn data_json(&self) -> &str {
        self.data.clone().map_or("null", |data| &self.json[data])
    }

    /// The media type of [binary data](Self::bytes).
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Its data where that is binary; `None` where it is JSON or text.
    pub fn bytes(&self) -> Result<Option<Vec<u8>>, DataError> {
        if self.encoding.as_deref() != Some("base64") {
            return Ok(None);
        }
        let text: String = self.data()?;
        let bytes = STANDARD.decode(text).map_err(|error| self.other_data(error.into()))?;
        Ok(Some(bytes))
    }

    /// The whole of it, as it came, on one line.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    fn other_data(&self, source: Box<dyn std::error::Error + Send + Sync>) -> DataError {
        DataError { topic: self.topic.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Item;
    use super::*;

    fn read(json: &str) -> Event {
        match Item::read(json.to_owned()).expect("an event") {
            Item::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_event_has_its_members_and_its_text() {
        let json = r#"{"topic":"a/\u00f6","key":"k","type":"t","time":1500,"cursor":"e1-2","data":{"n": 7}}"#;
        let event = read(json);
        assert_eq!((event.topic(), event.key(), event.event_type()), ("a/ö", Some("k"), Some("t")));
        assert_eq!(event.time(), UNIX_EPOCH + Duration::from_millis(1_500));
        assert_eq!((event.cursor(), event.data_json()), (Some("e1-2"), "{\"n\": 7}"));
        assert_eq!(event.json(), json);
        assert_eq!(event.data::<serde_json::Value>().expect("JSON")["n"], 7);
        let error = event.data::<u64>().expect_err("an object").to_string();
        assert!(error.contains("`a/ö`"), "{error}");
        assert_eq!(event.bytes().expect("no bytes"), None);
    }

    #[test]
    fn an_event_of_several_lines_is_on_one() {
        let event = read("{\"topic\":\"a\",\n\"data\":[1,\n2]}");
        assert_eq!(event.json(), "{\"topic\":\"a\", \"data\":[1, 2]}");
        assert_eq!(event.data_json(), "[1, 2]");
        assert!(Item::read("{\"topic\":\"a\nb\"}".to_owned()).is_err());
    }

    #[test]
    fn binary_and_deleted_ones_are_told() {
        let json = r#"{"topic":"a","data":"AAE=","encoding":"base64","content_type":"image/x"}"#;
        let event = read(json);
        assert_eq!(event.bytes().expect("bytes"), Some(vec![0, 1]));
        assert_eq!(event.content_type(), Some("image/x"));
        let event = read(r#"{"topic":"a","key":"k","time":1,"deleted":true,"reason":"expired"}"#);
        assert!(event.is_deleted() && event.data::<Option<u8>>().expect("none").is_none());
        assert_eq!(event.reason(), Some("expired"));
    }
}
