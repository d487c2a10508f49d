//! Messages that become events: on which topic, and with which key.

use bellwire_model::Topic;
use bellwire_model::limits::KEY_BYTES_MAX;

use crate::decoded::{Refusal, quoted};
use crate::mqtt::topic::Matched;

/// The place of what stands for the metric's name elsewhere.
const NAME: &str = "name";

/// Where the events of an entry go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTarget {
    topic: Text,
    key: Option<Text>,
}

/// A text with places of the entry's topic, such as `devices/{device}`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Text(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Plain(Box<str>),
    Place(Box<str>),
}

impl EventTarget {
    /// Reads the topic of events, and their key where it is a state topic.
    pub fn parse(topic: &str, key: Option<&str>) -> Result<Self, String> {
        let (topic, key) = (Text::parse(topic)?, key.map(Text::parse).transpose()?);
        // What is wrong here would be wrong of each.
        let filled = topic.fill(|_| Some("x")).unwrap_or_default();
        let parsed = filled.parse::<Topic>().map_err(|error| format!("`{filled}`: {error}"))?;
        if parsed.is_reserved() {
            return Err(format!("`{parsed}` belongs to the server"));
        }
        Ok(Self { topic, key })
    }

    /// The places that it names.
    pub(super) fn places(&self) -> impl Iterator<Item = &str> {
        let pieces = self.topic.0.iter().chain(self.key.iter().flat_map(|key| &key.0));
        pieces.filter_map(|piece| match piece {
            Piece::Place(name) => Some(&**name),
            Piece::Plain(_) => None,
        })
    }

    /// The topic of an event, and its key.
    pub(super) fn fill(&self, matched: &Matched<'_>) -> Result<Target, Refusal> {
        let value = |name: &str| match name {
            NAME => matched.name,
            name => matched.labels.iter().find(|(known, _)| *known == name).map(|(_, text)| *text),
        };
        let topic = self.topic.fill(value).unwrap_or_default();
        let topic = topic.parse::<Topic>().map_err(|error| {
            Refusal::new("topic_invalid", format!("`{}`: {error}", quoted(&topic)))
        })?;
        let key = self.key.as_ref().map(|key| key.fill(value).unwrap_or_default());
        if key.as_ref().is_some_and(|key| {
            key.is_empty() || key.len() > KEY_BYTES_MAX || key.contains(char::is_control)
        }) {
            let detail = format!("a key has 1 to {KEY_BYTES_MAX} bytes and no control characters");
            return Err(Refusal::new("key_invalid", detail));
        }
        Ok(Target { topic, key: key.map(Into::into) })
    }
}

/// Where an event goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) topic: Topic,
    pub(super) key: Option<Box<str>>,
}

impl Target {
    /// What it takes in memory, beside what the table has for each topic.
    pub(super) fn size_bytes(&self) -> usize {
        let key = self.key.as_ref().map_or(0, |key| key.len());
        size_of::<Self>() + self.topic.as_str().len() + key
    }
}

impl Text {
    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| format!("`{text}`: a brace without its other"))?;
            pieces.push(Piece::Plain(before.into()));
            pieces.push(Piece::Place(name.into()));
            rest = after;
        }
        if rest.contains('}') {
            return Err(format!("`{text}`: a brace without its other"));
        }
        pieces.push(Piece::Plain(rest.into()));
        Ok(Self(pieces))
    }

    fn fill<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        let mut filled = String::new();
        for piece in &self.0 {
            filled.push_str(match piece {
                Piece::Plain(text) => text,
                Piece::Place(name) => value(name)?,
            });
        }
        Some(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoded::Decoded;
    use crate::mqtt::mapping::{Learned, Mapping, MappingError, Payload, TopicRule};
    use crate::mqtt::publication::{Age, Publication};
    use crate::mqtt::topic::Template;
    use bellwire_model::Timestamp;

    fn rule(topic: &str, event: &str, key: Option<&str>) -> TopicRule {
        TopicRule {
            topic: Template::parse(topic).expect("a topic"),
            name: None,
            labels: Vec::new(),
            payload: Payload::Event(EventTarget::parse(event, key).expect("a target")),
        }
    }

    #[test]
    fn messages_are_events_where_an_entry_says_so() {
        let rules = vec![
            rule("doors/{site}/{name}", "at/{site}/door-{name}/moved", None),
            rule("locks/{lock}", "locks", Some("{lock}!")),
        ];
        let (mapping, mut learned) = (Mapping::new(rules).expect("entries"), Learned::default());
        let mut read = |topic: &str, age| {
            let mut decoded = Decoded::default();
            let now = Timestamp::from_ms(1);
            let publication = Publication { topic, payload: b"open", from: "d", age, now };
            mapping.read(&mut learned, publication, (3, &mut decoded));
            let code = decoded.rejections.first().map(|rejection| rejection.code);
            assert!(decoded.samples.is_empty());
            (decoded.events.pop(), code)
        };
        for _ in 0..2 {
            let (event, _) = read("doors/oslo/front", Age::Live);
            let event = event.expect("an event");
            assert_eq!((event.topic.as_str(), event.line), ("at/oslo/door-front/moved", 3));
            assert_eq!((event.key, &*event.payload), (None, &b"open"[..]));
        }
        let (event, _) = read("locks/7", Age::Live);
        assert_eq!(event.expect("an event").key.as_deref(), Some("7!"));
        assert_eq!(read("doors/oslo/front", Age::Retained), (None, Some("retained_without_time")));
        assert_eq!(read("doors//front", Age::Live), (None, Some("topic_invalid")));
    }

    #[test]
    fn what_cannot_be_an_event_is_said_at_the_start() {
        for wrong in ["", "a//b", "a/{b", "a}", "$sys/{b}", "alerts/x"] {
            assert!(EventTarget::parse(wrong, None).is_err(), "{wrong}");
        }
        for rule in [
            rule("a/{b}", "a/{c}", None),
            rule("a/{b}", "a/{name}", None),
            rule("a/{b}", "a", Some("{c}")),
            TopicRule { name: Some("n".into()), ..rule("a/{b}", "a/{b}", None) },
            TopicRule { labels: vec![("l".into(), "v".into())], ..rule("a/{b}", "a/{b}", None) },
        ] {
            let refused = Mapping::new(vec![rule]).expect_err("wrong");
            assert!(matches!(refused, MappingError::Event { .. }), "{refused}");
        }
    }
}
