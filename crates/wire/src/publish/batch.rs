//! Many events in one request: a JSON array, or one object a line.
//!
//! Each item is read in one pass: its members are kept as the pieces of text they are, and
//! looked into afterwards. So a wrong item is one rejection and its neighbours stand; only broken
//! syntax in an array, where nobody can say where the next item begins, refuses the request.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bellwire_model::limits::{EVENT_BYTES_MAX, EVENTS_PER_REQUEST_MAX};
use bellwire_model::{Body, Topic};
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{Publish, check_content_type, check_event_type, check_key};

/// Bytes of a name that a rejection quotes.
const QUOTED_BYTES_MAX: usize = 64;
/// An event shares the request's bytes if it is at least this part of them; a smaller one is
/// copied, because it would keep the whole request in memory for as long as it lives itself.
const SHARED_PART_MIN: usize = 4;

/// How the events of one request are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchFormat {
    /// One JSON array of objects.
    Json,
    /// One object on each line.
    Ndjson,
}

/// Why one event of a batch is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Which, from 0.
    pub index: usize,
    /// Where it stands in NDJSON, from 1.
    pub line: Option<usize>,
    /// The stable code of the problem.
    pub code: &'static str,
    /// What is wrong and what would be right.
    pub detail: String,
}

/// Why a request cannot be read as a batch at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BatchError {
    /// It is not a JSON array.
    #[error("the body is not a JSON array of events: {detail}")]
    Json {
        /// The line of the first error, from 1.
        line: usize,
        /// The column of the first error, from 1.
        column: usize,
        /// What is wrong, with the line and the column.
        detail: String,
    },
    /// It has more than [`EVENTS_PER_REQUEST_MAX`] events.
    #[error("a request has at most {EVENTS_PER_REQUEST_MAX} events: send several requests")]
    TooMany,
}

impl BatchError {
    /// The stable code of the problem.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "json_invalid",
            Self::TooMany => "too_many_events",
        }
    }
}

/// Reads the items `{"topic","key"?,"type"?,"data"}` of a request.
///
/// `data` is any JSON and is passed on as it came; with `"encoding":"base64"` it is a string of
/// base64, and the event is binary of the `"content_type"` given, or `application/octet-stream`.
/// An optional member that is null is as good as left out.
pub fn batch(
    format: BatchFormat,
    body: &Bytes,
) -> Result<Vec<Result<Publish, Rejection>>, BatchError> {
    match format {
        BatchFormat::Json => array(body),
        BatchFormat::Ndjson => lines(body),
    }
}

fn array(body: &Bytes) -> Result<Vec<Result<Publish, Rejection>>, BatchError> {
    let mut items = Items { body, results: Vec::new(), at_bound: false };
    let mut json = serde_json::Deserializer::from_slice(body);
    match serde::Deserializer::deserialize_seq(&mut json, &mut items).and_then(|()| json.end()) {
        Ok(()) => Ok(items.results),
        Err(_) if items.at_bound => Err(BatchError::TooMany),
        Err(error) => Err(BatchError::Json {
            line: error.line(),
            column: error.column(),
            detail: error.to_string(),
        }),
    }
}

fn lines(body: &Bytes) -> Result<Vec<Result<Publish, Rejection>>, BatchError> {
    let mut results = Vec::new();
    for (number, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if results.len() == EVENTS_PER_REQUEST_MAX {
            return Err(BatchError::TooMany);
        }
        let mut json = serde_json::Deserializer::from_slice(line);
        let item = Item.deserialize(&mut json).and_then(|item| json.end().map(|()| item));
        let result = match item {
            Ok(item) => item.and_then(|members| members.publish(body)),
            Err(error) => Err(Refusal::new("json_invalid", line_detail(&error))),
        };
        results.push(result.map_err(|refusal| refusal.at(results.len(), Some(number + 1))));
    }
    Ok(results)
}

/// A line is read by itself, so the only line that the parser knows is 1.
fn line_detail(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// What is wrong with an item, before it is known where it stands.
struct Refusal {
    code: &'static str,
    detail: String,
}

impl Refusal {
    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    fn at(self, index: usize, line: Option<usize>) -> Rejection {
        Rejection { index, line, code: self.code, detail: self.detail }
    }
}

/// The array: reads one item after the other.
struct Items<'b> {
    body: &'b Bytes,
    results: Vec<Result<Publish, Rejection>>,
    /// Whether the array was left at its bound and not for its syntax.
    at_bound: bool,
}

impl<'de> Visitor<'de> for &mut Items<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element_seed(Item)? {
            if self.results.len() == EVENTS_PER_REQUEST_MAX {
                self.at_bound = true;
                return Err(serde::de::Error::custom(BatchError::TooMany));
            }
            let result = item.and_then(|members| members.publish(self.body));
            self.results.push(result.map_err(|refusal| refusal.at(self.results.len(), None)));
        }
        Ok(())
    }
}

/// One item: fails for broken syntax only.
struct Item;

impl<'de> DeserializeSeed<'de> for Item {
    type Value = Result<Members<'de>, Refusal>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item {
    type Value = Result<Members<'de>, Refusal>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        let mut refusal = None;
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let raw = map.next_value::<&'de RawValue>()?.get();
            if let Err(wrong) = members.set(&name.0, raw) {
                refusal.get_or_insert(wrong);
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
    let detail = "an event is an object: {\"topic\":\"a/b\",\"data\":{}}";
    Err(Refusal::new("event_invalid", detail))
}

/// A member's name, borrowed where it has no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        json.deserialize_str(NameVisitor)
    }
}

/// The members of an item: JSON text as it stands in the request.
#[derive(Default)]
struct Members<'a> {
    topic: Option<&'a str>,
    key: Option<&'a str>,
    event_type: Option<&'a str>,
    data: Option<&'a str>,
    encoding: Option<&'a str>,
    content_type: Option<&'a str>,
}

impl<'a> Members<'a> {
    fn set(&mut self, name: &str, raw: &'a str) -> Result<(), Refusal> {
        let member = match name {
            "topic" => &mut self.topic,
            "key" => &mut self.key,
            "type" => &mut self.event_type,
            "data" => &mut self.data,
            "encoding" => &mut self.encoding,
            "content_type" => &mut self.content_type,
            _ => {
                let name = &name[..name.floor_char_boundary(QUOTED_BYTES_MAX)];
                let known = "topic, key, type, data, encoding and content_type";
                let detail = format!("unknown field `{name}`: an event has {known}");
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

    fn publish(self, request: &Bytes) -> Result<Publish, Refusal> {
        let Some(topic) = text("topic", self.topic)? else {
            return Err(Refusal::new("topic_missing", "an event names its `topic`"));
        };
        let topic: Topic =
            topic.parse().map_err(|error| Refusal::new("topic_invalid", format!("{error}")))?;
        let key = text("key", self.key)?;
        if let Some(key) = &key {
            check_key(key).map_err(|error| Refusal::new(error.code(), error.to_string()))?;
        }
        let event_type = text("type", self.event_type)?;
        if let Some(event_type) = &event_type {
            check_event_type(event_type)
                .map_err(|error| Refusal::new(error.code(), error.to_string()))?;
        }
        let body = self.body(request)?;
        if body.bytes().len() > EVENT_BYTES_MAX {
            let detail = format!("an event has at most {EVENT_BYTES_MAX} bytes of data");
            return Err(Refusal::new("event_too_large", detail));
        }
        let (key, event_type) = (key.map(Box::from), event_type.map(Box::from));
        Ok(Publish { topic, key, event_type, body })
    }

    fn body(&self, request: &Bytes) -> Result<Body, Refusal> {
        let Some(data) = self.data else {
            return Err(Refusal::new("data_missing", "an event has `data`; it may be null"));
        };
        let content_type = text("content_type", self.content_type)?;
        match (text("encoding", self.encoding)?.as_deref(), content_type) {
            (None, None) => Ok(Body::Json(owned(request, data))),
            (None, Some(_)) => {
                let detail =
                    "`content_type` goes with `\"encoding\":\"base64\"`; other data is JSON";
                Err(Refusal::new("content_type_invalid", detail))
            }
            (Some("base64"), content_type) => {
                let content_type = content_type.unwrap_or("application/octet-stream".into());
                check_content_type(&content_type)
                    .map_err(|error| Refusal::new(error.code(), error.to_string()))?;
                let encoded = text("data", Some(data))?.unwrap_or_default();
                let bytes = STANDARD.decode(encoded.as_bytes()).map_err(|error| {
                    Refusal::new("base64_invalid", format!("`data` is not base64: {error}"))
                })?;
                Ok(Body::Binary { content_type: content_type.into(), bytes: bytes.into() })
            }
            (Some(_), _) => {
                let detail = "the only `encoding` is `base64`; leave it out for JSON";
                Err(Refusal::new("encoding_invalid", detail))
            }
        }
    }
}

/// The text of a string member; `None` where it is left out or null.
fn text<'a>(name: &str, raw: Option<&'a str>) -> Result<Option<Cow<'a, str>>, Refusal> {
    let Some(raw) = raw.filter(|raw| *raw != "null") else { return Ok(None) };
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Some(Cow::Borrowed(plain))),
        Some(_) => match serde_json::from_str(raw) {
            Ok(text) => Ok(Some(Cow::Owned(text))),
            // The syntax is right already: what is left are halves of surrogate pairs.
            Err(_) => Err(Refusal::new("json_invalid", format!("`{name}` is not valid Unicode"))),
        },
        None => Err(Refusal::new("type_invalid", format!("`{name}` is a string"))),
    }
}

fn owned(request: &Bytes, part: &str) -> Bytes {
    if part.len() >= request.len() / SHARED_PART_MIN {
        request.slice_ref(part.as_bytes())
    } else {
        Bytes::copy_from_slice(part.as_bytes())
    }
}
