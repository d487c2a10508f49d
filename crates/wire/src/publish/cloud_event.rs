//! CloudEvents 1.0 as events: one JSON object, an array of them, or attributes in headers.
//!
//! Subscribers get the whole CloudEvent as JSON, in whichever form it came: nothing of it is lost,
//! and its `source`, `id` and extensions are where every SDK looks for them. Its `type` is the
//! event's, its `subject` the key, and `source` with `id` say which event it is.

use std::borrow::Cow;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bellwire_model::{Body, IdentityHash, Topic, WriteTerms, without_byte_order_mark};
use bytes::Bytes;
use serde::de::DeserializeSeed;
use serde_json::value::RawValue;

use super::array::{BatchError, elements};
use super::item::{Refusal, check_event, duplicate_field, text};
use super::{Identified, Publish, Rejection, check_event_type, check_key, share};
use crate::object::Object;

/// The one version that is understood.
const VERSION: &str = "1.0";

/// The code of whatever is wrong with a CloudEvent itself.
const CODE: &str = "event_invalid";

/// How CloudEvents are written in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloudEventMode {
    /// One JSON object.
    Structured,
    /// A JSON array of objects.
    Batch,
    /// The body is the data; the attributes are headers.
    Binary,
}

impl CloudEventMode {
    /// How a request with such a media type writes them. `None`: it has none.
    pub fn of(
        content_type: Option<&str>,
        has_version_header: impl FnOnce() -> bool,
    ) -> Option<Self> {
        let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let is = |known| essence.eq_ignore_ascii_case(known);
        if is("application/cloudevents+json") {
            Some(Self::Structured)
        } else if is("application/cloudevents-batch+json") {
            Some(Self::Batch)
        } else {
            has_version_header().then_some(Self::Binary)
        }
    }
}

/// Where CloudEvents are published. The key of one is that of the place, or else its subject where
/// that can be one.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The topic.
    pub topic: &'a Topic,
    /// The key that goes before the subject.
    pub key: Option<&'a str>,
}

impl Place<'_> {
    /// Reads one JSON object.
    pub fn structured(self, body: &Bytes) -> Result<Identified, Refusal> {
        let json: &RawValue = serde_json::from_slice(without_byte_order_mark(body))
            .map_err(|error| Refusal::new("json_invalid", error.to_string()))?;
        self.object(json.get(), share(body, json.get()))
    }

    /// Reads a JSON array of objects, each for itself.
    pub fn batch(self, body: &Bytes) -> Result<Vec<Result<Identified, Rejection>>, BatchError> {
        let mut events = Vec::new();
        let read = |json: &RawValue| {
            let index = events.len();
            let event = self.object(json.get(), share(body, json.get()));
            events.push(event.map_err(|refusal| refusal.at(index, None)));
        };
        elements(without_byte_order_mark(body), PhantomData, read)?;
        Ok(events)
    }

    /// Reads attributes by their names without `ce-`, and the data behind them.
    pub fn binary<'h>(
        self,
        attributes: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        (content_type, data): (Option<&str>, &Bytes),
    ) -> Result<Identified, Refusal> {
        let mut json = String::from("{");
        let mut names = Vec::new();
        for (name, value) in attributes {
            check_attribute(name)?;
            if names.contains(&name) {
                return Err(duplicate_field(name));
            }
            names.push(name);
            push_member(&mut json, name, &quoted(&unescaped(value)));
        }
        if let Some(content_type) = content_type {
            push_member(&mut json, "datacontenttype", &quoted(content_type));
        }
        if !data.is_empty() {
            let (name, data) = member_of_data(content_type, data)?;
            push_member(&mut json, name, &data);
        }
        json.push('}');
        let bytes = Bytes::from(json);
        self.object(std::str::from_utf8(&bytes).expect("made of text"), bytes.clone())
    }

    fn object(self, json: &str, bytes: Bytes) -> Result<Identified, Refusal> {
        check_event(json)?;
        let attributes = Attributes::read(json)?;
        check_event_type(&attributes.event_type)?;
        let key = match (self.key, &attributes.subject) {
            (Some(key), _) => Some(check_key(key).map(|()| Box::from(key))?),
            (None, Some(subject)) => check_key(subject).is_ok().then(|| Box::from(&**subject)),
            (None, None) => None,
        };
        let mut identity = IdentityHash::new("cloud event 1");
        identity.write_text(&attributes.source);
        identity.write_text(&attributes.id);
        let publish = Publish {
            topic: self.topic.clone(),
            key,
            event_type: Some(Box::from(&*attributes.event_type)),
            body: Body::Json(bytes),
            terms: WriteTerms::default(),
            fence: None,
        };
        let identity = format!("ce:{:032x}", identity.finish_wide());
        Ok(Identified { publish, identity: Some(identity.into()) })
    }
}

/// The attributes that mean something here.
struct Attributes<'a> {
    id: Cow<'a, str>,
    source: Cow<'a, str>,
    event_type: Cow<'a, str>,
    subject: Option<Cow<'a, str>>,
}

impl<'a> Attributes<'a> {
    fn read(json: &'a str) -> Result<Self, Refusal> {
        const NAMES: [&str; 7] =
            ["specversion", "id", "source", "type", "subject", "data", "data_base64"];
        let mut found = [None; NAMES.len()];
        let mut twice = None;
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let is_object = Object(|name: &str, raw| {
            let Some(place) = NAMES.iter().position(|known| *known == name) else { return };
            if found[place].replace(raw).is_some() {
                twice = Some(NAMES[place]);
            }
        })
        .deserialize(&mut deserializer)
        .map_err(|error| Refusal::new("json_invalid", error.to_string()))?;
        if !is_object {
            return Err(wrong("is a JSON object"));
        }
        if let Some(name) = twice {
            return Err(duplicate_field(name));
        }
        let [version, id, source, event_type, subject, data, data_base64] = found;
        if required("specversion", version)? != VERSION {
            return Err(wrong("has `specversion` 1.0 here"));
        }
        if data.is_some() && data_base64.is_some() {
            return Err(wrong("has `data` or `data_base64`, not both"));
        }
        Ok(Self {
            id: required("id", id)?,
            source: required("source", source)?,
            event_type: required("type", event_type)?,
            subject: text("subject", subject)?.filter(|subject| !subject.is_empty()),
        })
    }
}

fn required<'a>(name: &str, raw: Option<&'a str>) -> Result<Cow<'a, str>, Refusal> {
    let text = text(name, raw)?.filter(|text| !text.is_empty());
    text.ok_or_else(|| wrong(&format!("has a `{name}`")))
}

fn wrong(what_would_be_right: &str) -> Refusal {
    Refusal::new(CODE, format!("a CloudEvent {what_would_be_right}"))
}

/// Attributes are written in lower-case letters and digits. Those of the data have a place of their
/// own where they are headers.
fn check_attribute(name: &str) -> Result<(), Refusal> {
    let is_written_so = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_of_data = ["data", "datacontenttype"].contains(&name);
    if name.is_empty() || is_of_data || !name.bytes().all(is_written_so) {
        return Err(wrong("has attributes of letters and digits, `Content-Type` and a body"));
    }
    Ok(())
}

/// A header's value, in which bytes beyond ASCII are written as `%E2%82%AC`. There are SDKs that
/// write them as they are, in UTF-8 or in what headers once were, ISO 8859-1.
fn unescaped(value: &[u8]) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match (first, digit(behind.first()), digit(behind.get(1))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &behind[2..];
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect())
}

/// What the data is as a member of the JSON form.
fn member_of_data(
    content_type: Option<&str>,
    data: &Bytes,
) -> Result<(&'static str, String), Refusal> {
    let as_event = super::body(content_type, data.clone());
    match as_event.map_err(|error| Refusal::new(error.code(), error.to_string()))? {
        Body::Json(json) => Ok(("data", String::from_utf8_lossy(&json).into_owned())),
        Body::Text(text) => Ok(("data", quoted(&String::from_utf8_lossy(&text)))),
        Body::Binary { bytes, .. } => Ok(("data_base64", quoted(&STANDARD.encode(&bytes)))),
    }
}

fn push_member(json: &mut String, name: &str, value: &str) {
    if json.len() > 1 {
        json.push(',');
    }
    json.push_str(&quoted(name));
    json.push(':');
    json.push_str(value);
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"specversion":"1.0","id":"A-1","source":"/orders","type":"order.made",
        "subject":"42","time":"2026-11-29T10:00:00Z","tenant":"x","data":{"total":3.50}}"#;

    fn topic() -> Topic {
        "orders/made".parse().expect("a topic")
    }

    fn read(json: &str) -> Result<Identified, Refusal> {
        Place { topic: &topic(), key: None }.structured(&Bytes::copy_from_slice(json.as_bytes()))
    }

    #[test]
    fn the_whole_of_it_is_passed_on_with_its_type_and_subject() {
        let event = read(WHOLE).expect("a CloudEvent").publish;
        assert_eq!(event.body, Body::Json(WHOLE.into()));
        assert_eq!(event.event_type.as_deref(), Some("order.made"));
        assert_eq!(event.key.as_deref(), Some("42"));
        let place = Place { topic: &topic(), key: Some("mine") };
        let event = place.structured(&WHOLE.into()).expect("a CloudEvent").publish;
        assert_eq!(event.key.as_deref(), Some("mine"));
    }

    #[test]
    fn source_and_id_say_which_it_is() {
        let identity = |json: &str| read(json).expect("a CloudEvent").identity;
        assert_eq!(identity(WHOLE), identity(&WHOLE.replace("3.50", "4")));
        assert_ne!(identity(WHOLE), identity(&WHOLE.replace("A-1", "A-2")));
        let moved = WHOLE.replace("/orders", "/ordersA").replace("A-1", "-1");
        assert_ne!(identity(WHOLE), identity(&moved));
    }

    #[test]
    fn what_breaks_the_specification_is_refused_with_its_reason() {
        let cases = [
            (WHOLE.replace("1.0", "0.3"), "event_invalid", "`specversion` 1.0"),
            (WHOLE.replace("\"A-1\"", "\"\""), "event_invalid", "has a `id`"),
            (WHOLE.replace("\"source\"", "\"sauce\""), "event_invalid", "has a `source`"),
            (WHOLE.replace("\"A-1\"", "1"), "type_invalid", "`id` is a string"),
            (WHOLE.replace("\"tenant\"", "\"id\""), "duplicate_field", "`id` stands twice"),
            (WHOLE.replace("\"tenant\"", "\"data_base64\""), "event_invalid", "not both"),
            (WHOLE.replace("order.made", "gap"), "event_type_invalid", "reserved"),
            ("[1]".into(), "event_invalid", "a JSON object"),
            ("{".into(), "json_invalid", "EOF"),
        ];
        for (json, code, detail) in cases {
            let refusal = read(&json).expect_err(&json);
            assert_eq!(refusal.code, code, "{json}");
            assert!(refusal.detail.contains(detail), "{json}: {}", refusal.detail);
        }
    }

    #[test]
    fn a_subject_that_cannot_be_a_key_costs_the_event_nothing() {
        let event = read(&WHOLE.replace("\"42\"", &format!("\"{}\"", "s".repeat(300))));
        assert_eq!(event.expect("a CloudEvent").publish.key, None);
    }

    #[test]
    fn headers_and_a_body_are_the_same_as_one_object() {
        let attributes: [(&str, &[u8]); 5] = [
            ("specversion", b"1.0"),
            ("id", b"A-1"),
            ("source", b"/orders"),
            ("type", b"order.made"),
            ("subject", b"Euro%20%E2%82%AC%2"),
        ];
        assert_eq!(unescaped("tür 50 %".as_bytes()), "tür 50 %");
        assert_eq!(unescaped(b"t\xFCr"), "tür");
        let cases = [
            (Some("application/json"), "{\"total\":3}", r#""data":{"total":3}"#),
            (Some("text/plain"), "a\"b", r#""data":"a\"b""#),
            (Some("image/png"), "\u{1}", r#""data_base64":"AQ==""#),
        ];
        for (content_type, data, member) in cases {
            let place = Place { topic: &topic(), key: None };
            let data = Bytes::from(data);
            let event = place.binary(attributes, (content_type, &data)).expect("a CloudEvent");
            assert_eq!(event.publish.key.as_deref(), Some("Euro €%2"));
            let json = String::from_utf8(event.publish.body.bytes().to_vec()).expect("JSON");
            assert!(json.ends_with(&format!("{member}}}")), "{json}");
            assert_eq!(read(&json).expect("a CloudEvent").identity, event.identity);
        }
        let place = Place { topic: &topic(), key: None };
        let nothing = place.binary(attributes, (None, &Bytes::new())).expect("a CloudEvent");
        assert!(!String::from_utf8_lossy(nothing.publish.body.bytes()).contains("data"));
        for name in ["Upper", "with-dash", "data", ""] {
            let odd = attributes.into_iter().chain([(name, &b"x"[..])]);
            let refused = place.binary(odd, (None, &Bytes::new()));
            assert_eq!(refused.expect_err(name).code, "event_invalid");
        }
        let doubled = attributes.into_iter().chain([("tenant", &b"a"[..]), ("tenant", b"b")]);
        let refused = place.binary(doubled, (None, &Bytes::new()));
        assert_eq!(refused.expect_err("which one?").code, "duplicate_field");
    }

    #[test]
    fn one_that_is_wrong_in_a_batch_costs_itself_only() {
        let body = Bytes::from(format!("[{WHOLE},{{}},{WHOLE}]"));
        let place = Place { topic: &topic(), key: None };
        let events = place.batch(&body).expect("an array");
        assert_eq!(events.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(events[1].as_ref().expect_err("empty").index, 1);
        assert!(matches!(place.batch(&"{}".into()), Err(BatchError::Json { .. })));
        let many = format!("[{}1]", "1,".repeat(bellwire_model::limits::EVENTS_PER_REQUEST_MAX));
        assert_eq!(place.batch(&many.into()), Err(BatchError::TooMany));
    }
}
