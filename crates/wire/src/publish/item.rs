//! One event as a JSON object: its members are kept as the pieces of text they are, and looked
//! into afterwards. So a wrong type is one refusal, and not the end of the array around it.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bellwire_model::limits::{EVENT_BYTES_MAX, STATE_TTL_MAX, STATE_TTL_MIN};
use bellwire_model::{
    Body, Closure, Condition, Fence, KeyVersionError, Topic, WriteTerms, duration, excerpt,
};
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer};

use super::fence::{FenceError, FenceTexts};
use super::{
    NameError, NestingError, Post, Publish, check_content_type, check_event_type, check_key,
    check_nesting,
};
use crate::object::Object;

/// Bytes of a client's text that a refusal quotes.
const QUOTED_BYTES_MAX: usize = 64;
/// The members that an event may have.
const MEMBERS: [&str; 13] = [
    "topic",
    "key",
    "type",
    "data",
    "encoding",
    "content_type",
    "if_version",
    "if_absent",
    "end",
    "ttl",
    "producer_id",
    "producer_epoch",
    "producer_seq",
];

/// What is wrong with an item, without where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code of the problem.
    pub code: &'static str,
    /// What is wrong and what would be right.
    pub detail: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: excerpt(detail.into()) }
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<FenceError> for Refusal {
    fn from(error: FenceError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<NestingError> for Refusal {
    fn from(error: NestingError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// `owner` has no member of this name, only those that are `known`.
pub(crate) fn unknown_field(name: &str, owner: &str, known: &[&str]) -> Refusal {
    let (name, known) = (quoted(name), known.join(", "));
    Refusal::new("unknown_field", format!("unknown field `{name}`: {owner} has {known}"))
}

/// The beginning of a text, for a refusal to quote: what is quoted is sent back.
pub(crate) fn quoted(text: &str) -> &str {
    &text[..text.floor_char_boundary(QUOTED_BYTES_MAX)]
}

pub(crate) fn duplicate_field(name: &str) -> Refusal {
    Refusal::new("duplicate_field", format!("the field `{name}` stands twice"))
}

/// One item: fails for broken syntax only.
#[derive(Clone, Copy)]
pub(super) struct Item;

impl<'de> DeserializeSeed<'de> for Item {
    type Value = Result<Members<'de>, Refusal>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        let mut members = Members::default();
        let mut refusal = None;
        let is_object = Object(|name: &str, raw| {
            // The first counts; to put more of them into words would take its time.
            if refusal.is_none() {
                refusal = members.set(name, raw).err();
            }
        })
        .deserialize(json)?;
        if !is_object {
            let detail = "an event is an object: {\"topic\":\"a/b\",\"data\":{}}";
            refusal = Some(Refusal::new("event_invalid", detail));
        }
        Ok(refusal.map_or(Ok(members), Err))
    }
}

/// The members of an item: JSON text as it stands in the request.
#[derive(Default)]
pub(crate) struct Members<'a> {
    pub(crate) topic: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
    pub(crate) event_type: Option<&'a str>,
    pub(crate) data: Option<&'a str>,
    pub(crate) encoding: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) end: Option<&'a str>,
    pub(crate) terms: TermMembers<'a>,
    pub(crate) fence: FenceMembers<'a>,
}

/// The members that say whose event it is, and which of theirs.
#[derive(Clone, Copy, Default)]
pub(crate) struct FenceMembers<'a> {
    pub(crate) producer: Option<&'a str>,
    pub(crate) epoch: Option<&'a str>,
    pub(crate) sequence: Option<&'a str>,
}

impl FenceMembers<'_> {
    fn read(self) -> Result<Option<Box<Fence>>, Refusal> {
        let given = |raw: &&str| *raw != "null";
        let producer = text("producer_id", self.producer)?;
        FenceTexts {
            producer: producer.as_deref(),
            epoch: self.epoch.filter(given),
            sequence: self.sequence.filter(given),
        }
        .read()
        .map_err(Refusal::from)
    }
}

/// The members that say how a key is to be written.
#[derive(Clone, Copy, Default)]
pub(crate) struct TermMembers<'a> {
    pub(crate) if_version: Option<&'a str>,
    pub(crate) if_absent: Option<&'a str>,
    pub(crate) ttl: Option<&'a str>,
}

impl TermMembers<'_> {
    pub(crate) fn terms(self) -> Result<WriteTerms, Refusal> {
        let if_version = text("if_version", self.if_version)?;
        let if_absent = truth("if_absent", self.if_absent)?;
        let ttl = text("ttl", self.ttl)?;
        TermTexts { if_version: if_version.as_deref(), if_absent, ttl: ttl.as_deref() }.read()
    }
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
            "if_version" => &mut self.terms.if_version,
            "if_absent" => &mut self.terms.if_absent,
            "end" => &mut self.end,
            "ttl" => &mut self.terms.ttl,
            "producer_id" => &mut self.fence.producer,
            "producer_epoch" => &mut self.fence.epoch,
            "producer_seq" => &mut self.fence.sequence,
            _ => return Err(unknown_field(name, "an event", &MEMBERS)),
        };
        if member.replace(raw).is_some() {
            return Err(duplicate_field(name));
        }
        Ok(())
    }

    /// What is asked of the topic. `own` makes a piece of the request outlive it.
    pub(crate) fn post(self, own: impl Fn(&str) -> Bytes) -> Result<Post, Refusal> {
        let has_event = self.data.is_some() || self.key.is_some() || self.event_type.is_some();
        match choice("end", self.end)? {
            None => Ok(Post::Event(self.publish(own)?)),
            Some(true) if has_event => Ok(Post::Last(self.publish(own)?)),
            Some(_) if self.fence.read()?.is_some() => Err(FenceError::NoEvent.into()),
            Some(true) => Ok(Post::Closure(topic(self.topic)?, Closure::End)),
            Some(false) if has_event => {
                let detail = "`\"end\":false` reopens a topic: send it by itself, then the event";
                Err(Refusal::new("event_invalid", detail))
            }
            Some(false) => Ok(Post::Closure(topic(self.topic)?, Closure::Reopened)),
        }
    }

    /// The event. `own` makes a piece of the request outlive it.
    pub(crate) fn publish(self, own: impl Fn(&str) -> Bytes) -> Result<Publish, Refusal> {
        let topic = topic(self.topic)?;
        let key = text("key", self.key)?;
        if let Some(key) = &key {
            check_key(key)?;
        }
        let event_type = text("type", self.event_type)?;
        if let Some(event_type) = &event_type {
            check_event_type(event_type)?;
        }
        let body = self.body(own)?;
        if body.bytes().len() > EVENT_BYTES_MAX {
            let detail = format!("an event has at most {EVENT_BYTES_MAX} bytes of data");
            return Err(Refusal::new("event_too_large", detail));
        }
        let (terms, fence) = (self.terms.terms()?, self.fence.read()?);
        let (key, event_type) = (key.map(Box::from), event_type.map(Box::from));
        Ok(Publish { topic, key, event_type, body, terms, fence })
    }

    fn body(&self, own: impl Fn(&str) -> Bytes) -> Result<Body, Refusal> {
        let Some(data) = self.data else {
            return Err(Refusal::new("data_missing", "an event has `data`; it may be null"));
        };
        let content_type = text("content_type", self.content_type)?;
        match (text("encoding", self.encoding)?.as_deref(), content_type) {
            (None, None) => {
                check_nesting(data)?;
                Ok(Body::Json(own(data)))
            }
            (None, Some(_)) => {
                let detail =
                    "`content_type` goes with `\"encoding\":\"base64\"`; other data is JSON";
                Err(Refusal::new("content_type_invalid", detail))
            }
            (Some("base64"), content_type) => {
                let content_type = content_type.unwrap_or("application/octet-stream".into());
                check_content_type(&content_type)?;
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

/// Refuses JSON that is too large for an event, or nested too deep in it.
pub(super) fn check_event(json: &str) -> Result<(), Refusal> {
    if json.len() > EVENT_BYTES_MAX {
        let detail = format!("an event has at most {EVENT_BYTES_MAX} bytes");
        return Err(Refusal::new("event_too_large", detail));
    }
    Ok(check_nesting(json)?)
}

/// The topic that a member names.
pub(crate) fn topic(raw: Option<&str>) -> Result<Topic, Refusal> {
    let Some(topic) = text("topic", raw)? else {
        return Err(Refusal::new("topic_missing", "an event names its `topic`"));
    };
    topic.parse().map_err(|error| Refusal::new("topic_invalid", format!("{error}")))
}

/// Whether a member is true; `None` where it is left out or null.
fn choice(name: &str, raw: Option<&str>) -> Result<Option<bool>, Refusal> {
    match raw {
        None | Some("null") => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(Refusal::new("type_invalid", format!("`{name}` is true or false"))),
    }
}

/// The text of a string member; `None` where it is left out or null.
pub(crate) fn text<'a>(name: &str, raw: Option<&'a str>) -> Result<Option<Cow<'a, str>>, Refusal> {
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

/// How a key is to be written, as a publisher says it.
#[derive(Clone, Copy, Debug, Default)]
pub struct TermTexts<'a> {
    /// The version that it has to have.
    pub if_version: Option<&'a str>,
    /// Whether it has to be absent.
    pub if_absent: bool,
    /// After which time the value goes by itself.
    pub ttl: Option<&'a str>,
}

impl TermTexts<'_> {
    /// What that means.
    pub fn read(self) -> Result<WriteTerms, Refusal> {
        let invalid = |detail: String| Refusal::new("parameter_invalid", detail);
        let condition = match (self.if_version, self.if_absent) {
            (None, false) => Condition::Always,
            (None, true) => Condition::Absent,
            (Some(version), false) => {
                let version = version.parse();
                Condition::At(version.map_err(|error: KeyVersionError| invalid(error.to_string()))?)
            }
            (Some(_), true) => {
                let detail =
                    "what is absent has no version: say either `if_version` or `if_absent`";
                return Err(invalid(detail.to_owned()));
            }
        };
        let ttl = self.ttl.map(read_ttl).transpose().map_err(invalid)?;
        Ok(WriteTerms { condition, ttl })
    }
}

fn read_ttl(text: &str) -> Result<Duration, String> {
    let ttl = duration::parse(text).filter(|ttl| (STATE_TTL_MIN..=STATE_TTL_MAX).contains(ttl));
    ttl.ok_or_else(|| {
        let (least, days) = (STATE_TTL_MIN.as_secs(), STATE_TTL_MAX.as_secs() / (24 * 3_600));
        let text = quoted(text);
        format!("`ttl` is a duration such as `30s` from {least}s to {days}d, not `{text}`; what is to stay has none")
    })
}

/// Whether a member is true; one that is left out or null is not.
fn truth(name: &str, raw: Option<&str>) -> Result<bool, Refusal> {
    Ok(choice(name, raw)?.unwrap_or(false))
}
