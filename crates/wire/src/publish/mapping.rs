//! Other people's JSON as events: where one goes, its key and its type are looked up in it.
//!
//! ```text
//! {"receiver":"ops","alerts":[{"status":"firing","labels":{"team":"web"}}, …]}
//!                    each                 │ topic = "teams/{labels.team}/alerts"
//!                                         ▼
//!                    teams/web/alerts  {"status":"firing","labels":{"team":"web"}}
//! ```

use std::marker::PhantomData;

use bellwire_model::limits::{MAPPING_PLACES_MAX, MAPPING_VALUE_BYTES_MAX};
use bellwire_model::{Body, IdentityHash, WriteTerms, without_byte_order_mark};
use bytes::Bytes;
use serde::de::DeserializeSeed;
use serde_json::value::RawValue;

use super::array::{BatchError, elements};
use super::item::{Refusal, check_event};
use super::{Identified, Publish, Rejection, check_event_type, check_key, share};
use crate::object::Object;

/// What is said of a webhook: templates, in which `{labels.team}` stands for a member of an item, or
/// of the body where the item has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct MappingText<'a> {
    /// The webhook's name. What two of them tell of is never the same.
    pub name: &'a str,
    /// The path of an array, each item of which is an event. `None`: the whole body is one.
    pub each: Option<&'a str>,
    /// The topic. A value is a part of one segment, whatever is in it.
    pub topic: &'a str,
    /// The event's type.
    pub event_type: Option<&'a str>,
    /// Its key.
    pub key: Option<&'a str>,
    /// What is the same where a sender tells of the same thing again.
    pub identity: Option<&'a str>,
}

/// Why templates are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct MappingError {
    /// Which: `each`, `topic`, `type`, `key` or `id`.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub reason: String,
}

/// How a sender's JSON becomes events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    name: Box<str>,
    each: Option<Path>,
    paths: Vec<Path>,
    topic: Template,
    event_type: Option<Template>,
    key: Option<Template>,
    identity: Option<Template>,
}

/// Names of members, from the outside in.
type Path = Box<[Box<str>]>;

/// Texts and places of values between them, as numbers of paths.
type Template = Vec<Piece>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Value(usize),
}

impl Mapping {
    /// Reads the templates.
    pub fn new(text: &MappingText<'_>) -> Result<Self, MappingError> {
        let mut paths = Vec::new();
        let each = text
            .each
            .map(|each| path(each).map_err(|reason| MappingError { field: "each", reason }));
        let each = each.transpose()?;
        let mut read = |field, text| {
            template(text, &mut paths).map_err(|reason| MappingError { field, reason })
        };
        let topic = read("topic", text.topic)?;
        let event_type = text.event_type.map(|text| read("type", text)).transpose()?;
        let key = text.key.map(|text| read("key", text)).transpose()?;
        let identity = text.identity.map(|text| read("id", text)).transpose()?;
        let name = text.name.into();
        let mapping = Self { name, each, paths, topic, event_type, key, identity };
        // Whatever is filled in, the rest of it has to make a topic.
        let filled =
            mapping.fill(&mapping.topic, &vec![Some("\"x\""); mapping.paths.len()], as_segment);
        let parsed = filled.expect("all is there").parse::<bellwire_model::Topic>();
        match parsed.map(|topic| topic.is_reserved()) {
            Ok(false) => Ok(mapping),
            Ok(true) => Err(MappingError {
                field: "topic",
                reason: "the topic belongs to the server: choose another first segment".into(),
            }),
            Err(error) => Err(MappingError { field: "topic", reason: error.to_string() }),
        }
    }

    /// Reads what a sender posted: an event, or what is wrong, for each item.
    pub fn read(&self, body: &Bytes) -> Result<Vec<Result<Identified, Rejection>>, BatchError> {
        let whole: &RawValue = serde_json::from_slice(without_byte_order_mark(body))
            .map_err(|error| BatchError::not_json(&error))?;
        let Some(each) = &self.each else {
            let event = self.event(whole.get(), &[], |json| share(body, json));
            return Ok(vec![event.map_err(|refusal| refusal.at(0, None))]);
        };
        let Some(items) = find(whole.get(), each) else {
            return Err(BatchError::NoArray { path: each.join(".").into() });
        };
        // What an item lacks and the body has is looked up once.
        let around: Vec<Option<&str>> =
            self.paths.iter().map(|path| find(whole.get(), path)).collect();
        let mut events = Vec::new();
        elements(items.as_bytes(), PhantomData, |item: &RawValue| {
            let index = events.len();
            let event = self.event(item.get(), &around, |json| share(body, json));
            events.push(event.map_err(|refusal| refusal.at(index, None)));
        })?;
        Ok(events)
    }

    fn event(
        &self,
        json: &str,
        around: &[Option<&str>],
        own: impl Fn(&str) -> Bytes,
    ) -> Result<Identified, Refusal> {
        check_event(json)?;
        let value = |(index, path): (usize, &Path)| {
            find(json, path).or_else(|| around.get(index).copied().flatten())
        };
        let values: Vec<Option<&str>> = self.paths.iter().enumerate().map(value).collect();
        let topic = self.fill(&self.topic, &values, as_segment)?;
        let topic = topic
            .parse()
            .map_err(|error| Refusal::new("topic_invalid", format!("`{topic}`: {error}")))?;
        let fill = |template: &Option<Template>| {
            template
                .as_ref()
                .map(|template| self.fill(template, &values, str::to_owned))
                .transpose()
        };
        let (key, event_type) = (fill(&self.key)?, fill(&self.event_type)?);
        key.as_deref().map(check_key).transpose()?;
        event_type.as_deref().map(check_event_type).transpose()?;
        let identity = self.identity.as_ref().map(|template| self.identity_of(template, &values));
        let identity = identity.transpose()?;
        let (key, event_type) = (key.map(Box::from), event_type.map(Box::from));
        let (body, terms) = (Body::Json(own(json)), WriteTerms::default());
        let publish = Publish { topic, key, event_type, body, terms, fence: None };
        Ok(Identified { publish, identity })
    }

    /// What says which event it is. Values are taken one by one: `1` and `23` are not `12` and `3`.
    fn identity_of(
        &self,
        template: &[Piece],
        values: &[Option<&str>],
    ) -> Result<Box<str>, Refusal> {
        let mut identity = IdentityHash::new("webhook 2");
        identity.write_text(&self.name);
        for piece in template {
            match piece {
                Piece::Text(text) => identity.write_text(text),
                Piece::Value(index) => identity.write_text(&self.value(*index, values)?),
            }
        }
        Ok(format!("wh:{:032x}", identity.finish_wide()).into())
    }

    fn fill(
        &self,
        template: &[Piece],
        values: &[Option<&str>],
        written: impl Fn(&str) -> String,
    ) -> Result<String, Refusal> {
        let mut text = String::new();
        for piece in template {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Value(index) => text.push_str(&written(&self.value(*index, values)?)),
            }
        }
        Ok(text)
    }

    fn value(&self, index: usize, values: &[Option<&str>]) -> Result<String, Refusal> {
        let json = values[index].filter(|json| json.len() <= MAPPING_VALUE_BYTES_MAX);
        json.and_then(plain).ok_or_else(|| {
            let path = self.paths[index].join(".");
            let detail = format!(
                "there is no text, number or truth of at most {MAPPING_VALUE_BYTES_MAX} bytes at \
                 `{path}`"
            );
            Refusal::new("member_missing", detail)
        })
    }
}

/// The JSON text of a member; the last of those with the same name, as most who read the event take it.
fn find<'a>(json: &'a str, path: &[Box<str>]) -> Option<&'a str> {
    path.iter().try_fold(json, |json, wanted| {
        let mut found = None;
        let member = Object(|name: &str, raw: &'a str| {
            if *name == **wanted {
                found = Some(raw);
            }
        });
        member.deserialize(&mut serde_json::Deserializer::from_str(json)).ok()?;
        found
    })
}

/// A value as it is written in a text.
fn plain(json: &str) -> Option<String> {
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(json.to_owned()),
    }
}

/// A value as a part of one segment of a topic: what would end the segment, or mean something in a
/// filter, is not let through.
fn as_segment(value: &str) -> String {
    let allowed = |c: char| if c == '/' || c == '*' || c.is_control() { '_' } else { c };
    if value.is_empty() { "_".to_owned() } else { value.chars().map(allowed).collect() }
}

fn path(text: &str) -> Result<Path, String> {
    let names: Path = text.split('.').map(Box::from).collect();
    if names.iter().any(|name| name.is_empty()) {
        return Err(format!(
            "`{text}` is no path: write the names of members, as in `labels.team`"
        ));
    }
    Ok(names)
}

fn template(text: &str, paths: &mut Vec<Path>) -> Result<Template, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((inside, after)) = behind.split_once('}') else {
            return Err(format!("`{text}`: a `{{` has no `}}` behind it"));
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.into()));
        }
        let path = path(inside)?;
        let index = paths.iter().position(|known| *known == path).unwrap_or_else(|| {
            paths.push(path);
            paths.len() - 1
        });
        if paths.len() > MAPPING_PLACES_MAX {
            return Err(format!("a webhook looks up at most {MAPPING_PLACES_MAX} members"));
        }
        pieces.push(Piece::Value(index));
        rest = after;
    }
    if rest.contains('}') {
        return Err(format!("`{text}`: a `}}` has no `{{` before it"));
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALERTMANAGER: &str = r#"{"receiver":"ops","status":"firing","alerts":[
        {"status":"firing","labels":{"alertname":"Hot","team":"web"},"fingerprint":"f1"},
        {"status":"resolved","labels":{"alertname":"Hot","team":"a/../*"},"fingerprint":"f2"},
        {"status":"firing","labels":{"alertname":"Hot"},"fingerprint":"f3"}]}"#;

    fn mapping(text: &MappingText<'_>) -> Mapping {
        Mapping::new(text).expect("a mapping")
    }

    #[test]
    fn each_item_goes_where_it_says() {
        let mapping = mapping(&MappingText {
            name: "am",
            each: Some("alerts"),
            topic: "{receiver}/teams/{labels.team}",
            event_type: Some("alert.{status}"),
            key: Some("{fingerprint}"),
            identity: Some("{fingerprint} {status}"),
        });
        let events = mapping.read(&ALERTMANAGER.into()).expect("JSON");
        let first = events[0].as_ref().expect("an event");
        assert_eq!(first.publish.topic.as_str(), "ops/teams/web");
        assert_eq!(first.publish.event_type.as_deref(), Some("alert.firing"));
        assert_eq!(first.publish.key.as_deref(), Some("f1"));
        assert!(first.publish.body.bytes().starts_with(b"{\"status\":\"firing\""));
        let second = events[1].as_ref().expect("an event");
        assert_eq!(second.publish.topic.as_str(), "ops/teams/a_..__");
        assert_ne!(first.identity, second.identity);
        let third = events[2].as_ref().expect_err("it has no team");
        assert_eq!((third.index, third.code), (2, "member_missing"));
        assert!(third.detail.contains("`labels.team`"), "{}", third.detail);
    }

    #[test]
    fn a_whole_body_is_one_event() {
        let mapping = mapping(&MappingText { topic: "ci/{project.id}", ..MappingText::default() });
        let body = Bytes::from(" {\"project\":{\"id\":7},\"ok\":true} ");
        let events = mapping.read(&body).expect("JSON");
        let event = events[0].as_ref().expect("an event");
        assert_eq!(event.publish.topic.as_str(), "ci/7");
        assert_eq!(&event.publish.body.bytes()[..], b"{\"project\":{\"id\":7},\"ok\":true}");
        assert_eq!(event.identity, None);
        for wrong in ["{\"project\":{\"id\":null}}", "{\"project\":7}", "[]", "3"] {
            let events = mapping.read(&Bytes::from(wrong)).expect("JSON");
            assert_eq!(events[0].as_ref().expect_err(wrong).code, "member_missing");
        }
    }

    #[test]
    fn what_is_told_twice_is_the_same_and_nothing_else_is() {
        let identity = |name, identity, body: &'static str| {
            let text = MappingText {
                name,
                topic: "t",
                identity: Some(identity),
                each: None,
                ..MappingText::default()
            };
            let events = mapping(&text).read(&body.into()).expect("JSON");
            events[0].as_ref().expect("an event").identity.clone().expect("it has an id")
        };
        let one = identity("ci", "{a}{b}", r#"{"a":"1","b":"23"}"#);
        assert_eq!(one, identity("ci", "{a}{b}", r#"{"b":"23","a":"1","c":0}"#));
        assert_ne!(one, identity("ci", "{a}{b}", r#"{"a":"12","b":"3"}"#));
        assert_ne!(one, identity("cd", "{a}{b}", r#"{"a":"1","b":"23"}"#));
    }

    /// Else each of very many items would have a copy of it.
    #[test]
    fn a_value_that_is_too_long_is_none() {
        let long = "x".repeat(MAPPING_VALUE_BYTES_MAX - 1);
        let each = MappingText {
            each: Some("all"),
            topic: "t",
            identity: Some("{of}"),
            ..MappingText::default()
        };
        let mapping = mapping(&each);
        let body = Bytes::from(format!(r#"{{"of":"{long}","all":[{{}},{{"of":1}}]}}"#));
        let events = mapping.read(&body).expect("JSON");
        assert_eq!(events[0].as_ref().expect_err("too long").code, "member_missing");
        assert!(events[1].is_ok());
    }

    #[test]
    fn of_two_members_the_one_counts_that_readers_take() {
        let mapping = mapping(&MappingText { topic: "t/{a}", ..MappingText::default() });
        let events = mapping.read(&"{\"a\":1,\"a\":2}".into()).expect("JSON");
        assert_eq!(events[0].as_ref().expect("an event").publish.topic.as_str(), "t/2");
    }

    #[test]
    fn what_is_no_json_or_has_no_array_is_refused_as_a_whole() {
        let each = MappingText { each: Some("a.b"), topic: "t", ..MappingText::default() };
        let mapping = mapping(&each);
        let code = |body: &'static str| mapping.read(&body.into()).expect_err(body).code();
        assert_eq!(code("{"), "json_invalid");
        assert_eq!(code("{\"a\":{}}"), "event_invalid");
        assert_eq!(code("{\"a\":{\"b\":1}}"), "json_invalid");
        assert_eq!(mapping.read(&"{\"a\":{\"b\":[]}}".into()), Ok(Vec::new()));
    }

    #[test]
    fn templates_that_cannot_work_are_refused_when_they_are_read() {
        let topic = |topic| MappingText { topic, ..MappingText::default() };
        let cases = [
            (topic("a/{b"), "topic", "no `}`"),
            (topic("a/b}"), "topic", "no `{`"),
            (topic("a/{}"), "topic", "is no path"),
            (topic("a//{b}"), "topic", "segment"),
            (topic(""), "topic", ""),
            (topic("alerts/{b}"), "topic", "belongs to the server"),
            (MappingText { each: Some("a..b"), ..topic("t") }, "each", "is no path"),
            (MappingText { key: Some("{"), ..topic("t") }, "key", "no `}`"),
        ];
        for (text, field, reason) in cases {
            let error = Mapping::new(&text).expect_err("refused");
            assert_eq!(error.field, field, "{text:?}");
            assert!(error.reason.contains(reason), "{text:?}: {}", error.reason);
        }
    }
}
