//! What messages mean: the configured topics, each with what its payloads are.

use bellwire_model::limits::{
    JSON_PATHS_MAX, MQTT_TOPIC_BYTES_MAX, MQTT_TOPICS_CACHED_BYTES_MAX, MQTT_TOPICS_MAX,
};
use bellwire_model::{Labels, NameMap};
use thiserror::Error;

use super::json_path::JsonPath;
use super::publication::{Age, Out, Publication, TOPIC_UNKNOWN, retained};
use super::sparkplug::{self, Rebirth, Sparkplug};
use super::topic::{Matched, Relation, Template};
use crate::decoded::{Decoded, Refusal, quoted, series};
use crate::name::push_metric_name;

mod event;
mod payload;

use event::Target;

pub use event::EventTarget;
pub use payload::{JsonPayload, JsonValue, Payload, TimeUnit, Word};

/// The topics of one entry of the configuration, and what is published there.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicRule {
    /// Which topics.
    pub topic: Template,
    /// The metric's name, where neither topic nor payload say it.
    pub name: Option<Box<str>>,
    /// Labels of each sample.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// What is published there.
    pub payload: Payload,
}

/// Why entries cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MappingError {
    /// There are too many.
    #[error("there are at most {MQTT_TOPICS_MAX} entries of topics")]
    TooMany,
    /// Some topics would be of both, and neither is the more special one.
    #[error("`{first}` and `{second}` share topics, and neither is the more special one")]
    Conflict {
        /// The one.
        first: Box<str>,
        /// The other.
        second: Box<str>,
    },
    /// Nothing says the metric's name, or two things do.
    #[error(
        "`{topic}`: the metric's name comes either from `{{name}}` in the topic, or from `name`, \
         or from `values`"
    )]
    Name {
        /// The entry.
        topic: Box<str>,
    },
    /// A name or a label breaks a rule.
    #[error("`{topic}`: {detail}")]
    Series {
        /// The entry.
        topic: Box<str>,
        /// What is wrong.
        detail: Box<str>,
    },
    /// JSON without paths, or with too many.
    #[error("`{topic}`: JSON has 1 to {JSON_PATHS_MAX} values")]
    Paths {
        /// The entry.
        topic: Box<str>,
    },
    /// An event's topic or key has a place that the entry's topic has not; or the entry says what only
    /// samples have.
    #[error(
        "`{topic}`: places of `event` and `key` are those of the topic, and events have no `name` and \
         no `labels`"
    )]
    Event {
        /// The entry.
        topic: Box<str>,
    },
    /// Sparkplug has topics of its own.
    #[error("`{topic}`: Sparkplug B is published under `spBv1.0/#`, or `spBv1.0/<group>/#`")]
    Sparkplug {
        /// The entry.
        topic: Box<str>,
    },
}

/// All entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping {
    rules: Vec<TopicRule>,
}

/// What was learned of messages, by those who read them one after the other: the series of topics,
/// and what Sparkplug's nodes have announced.
#[derive(Debug, Default)]
pub struct Learned {
    topics: NameMap<Box<str>, Known>,
    topics_bytes: usize,
    /// Messages of topics for which there was no room, but for as many of topics that were known.
    unkept: usize,
    sparkplug: Sparkplug,
}

/// What is known of a topic.
#[derive(Clone, Debug)]
struct Known {
    rule: usize,
    /// One for each value of its messages.
    series: Box<[Labels]>,
    /// Where they go that are events.
    target: Option<Box<Target>>,
}

impl Learned {
    /// Messages for whoever can publish them, which ask nodes of Sparkplug to announce themselves again.
    pub fn rebirths(&mut self) -> Vec<Rebirth> {
        self.sparkplug.rebirths()
    }
}

/// Bytes of a topic that is known, beside its text and the texts of its series.
const KNOWN_OVERHEAD_BYTES: usize = 96;

impl Mapping {
    /// Checks entries, and that of each topic it is known whose it is.
    pub fn new(rules: Vec<TopicRule>) -> Result<Self, MappingError> {
        if rules.len() > MQTT_TOPICS_MAX {
            return Err(MappingError::TooMany);
        }
        for (place, rule) in rules.iter().enumerate() {
            rule.check()?;
            for other in &rules[..place] {
                if matches!(
                    rule.topic.relation(&other.topic),
                    Relation::Same | Relation::Overlapping
                ) {
                    let (first, second) = (other.topic.text().into(), rule.topic.text().into());
                    return Err(MappingError::Conflict { first, second });
                }
            }
        }
        Ok(Self { rules })
    }

    /// The filters with which a client asks for all of its topics.
    pub fn filters(&self) -> Vec<String> {
        let mut filters: Vec<_> = self.rules.iter().map(|rule| rule.topic.filter()).collect();
        filters.sort_unstable();
        filters.dedup();
        filters
    }

    /// Appends the samples of a message, and what of it is none; both are of that line.
    pub fn read(
        &self,
        learned: &mut Learned,
        publication: Publication<'_>,
        (line, decoded): (usize, &mut Decoded),
    ) {
        let mut out = Out { decoded, line, topic: publication.topic };
        if let Err(refusal) = self.take(learned, publication, &mut out) {
            out.refuse(refusal);
        }
        decoded.end_line(line);
    }

    fn take(
        &self,
        learned: &mut Learned,
        publication: Publication<'_>,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let found;
        let Known { rule, series, target } =
            if let Some(known) = learned.topics.get(publication.topic) {
                learned.unkept = learned.unkept.saturating_sub(1);
                known
            } else {
                found = self.find(publication.topic)?;
                learned.keep(publication.topic, &found);
                &found
            };
        let rule = &self.rules[*rule];
        match &rule.payload {
            Payload::Number { words } => {
                let value = payload::number(publication, words)?;
                out.take(&series[0], (value, publication.now));
                Ok(())
            }
            Payload::Json(json) => json.read(publication, series, out),
            Payload::Sparkplug => learned.sparkplug.read(publication, &rule.labels, out),
            Payload::Event(_) => match target {
                // It was of some other time, and would be told as of now.
                _ if publication.age == Age::Retained => Err(retained()),
                Some(target) => {
                    let Target { topic, key } = &**target;
                    out.announce((topic, key.as_deref()), publication.payload);
                    Ok(())
                }
                None => Ok(()),
            },
        }
    }

    /// Whose a topic is, and the series of its messages.
    fn find(&self, topic: &str) -> Result<Known, Refusal> {
        if topic.len() > MQTT_TOPIC_BYTES_MAX {
            let detail = format!("a topic has at most {MQTT_TOPIC_BYTES_MAX} bytes");
            return Err(Refusal::new("topic_too_long", detail));
        }
        let mut best: Option<(usize, Matched<'_>)> = None;
        for (place, rule) in self.rules.iter().enumerate() {
            if let Some(matched) = rule.topic.matched(topic) {
                let is_better = best.as_ref().is_none_or(|(best, _)| {
                    rule.topic.relation(&self.rules[*best].topic) == Relation::Special
                });
                if is_better {
                    best = Some((place, matched));
                }
            }
        }
        let Some((rule, matched)) = best else {
            let detail = format!("no entry of `[[mqtt.topics]]` has `{}`", quoted(topic));
            return Err(Refusal::new(TOPIC_UNKNOWN, detail));
        };
        let series = self.rules[rule].series(&matched)?;
        let target = match &self.rules[rule].payload {
            Payload::Event(event) => Some(Box::new(event.fill(&matched)?)),
            _ => None,
        };
        Ok(Known { rule, series, target })
    }
}

impl Learned {
    /// Keeps what is known of a topic, where there is room. Where there is none, those that are kept
    /// stay, so that most are known where there are a few too many. Once most are not, all of them
    /// go: others have come in their place.
    fn keep(&mut self, topic: &str, known: &Known) {
        let bytes = known.series.iter().map(Labels::size_bytes).sum::<usize>();
        let bytes = bytes + known.target.as_ref().map_or(0, |target| target.size_bytes());
        let bytes = bytes + topic.len() + KNOWN_OVERHEAD_BYTES;
        if self.topics_bytes + bytes > MQTT_TOPICS_CACHED_BYTES_MAX {
            self.unkept += 1;
            if self.unkept <= self.topics.len() {
                return;
            }
            (self.topics_bytes, self.unkept) = (0, 0);
            self.topics.clear();
        }
        self.topics_bytes += bytes;
        self.topics.insert(topic.into(), known.clone());
    }
}

impl TopicRule {
    fn check(&self) -> Result<(), MappingError> {
        let topic: Box<str> = self.topic.text().into();
        let one_name = usize::from(self.topic.says_name()) + usize::from(self.name.is_some());
        let is_named = match &self.payload {
            Payload::Number { .. } => one_name == 1,
            Payload::Json(json) => {
                if json.values().is_empty() || json.values().len() >= JSON_PATHS_MAX {
                    return Err(MappingError::Paths { topic });
                }
                let named = json.values().iter().filter(|value| value.name.is_some()).count();
                match (one_name, named) {
                    (1, 0) => json.values().len() == 1,
                    (0, named) => named == json.values().len(),
                    _ => false,
                }
            }
            Payload::Sparkplug => {
                let text = self.topic.text();
                if !text.starts_with("spBv1.0/") || !text.ends_with('#') {
                    return Err(MappingError::Sparkplug { topic });
                }
                one_name == 0
            }
            Payload::Event(event) => {
                let is_place = |name: &str| {
                    name == "name" && self.topic.says_name()
                        || self.topic.label_names().any(|known| known == name)
                };
                let is_bare = self.name.is_none() && self.labels.is_empty();
                if !is_bare || !event.places().all(is_place) {
                    return Err(MappingError::Event { topic });
                }
                true
            }
        };
        if !is_named {
            return Err(MappingError::Name { topic });
        }
        // As a topic could be: what is wrong here would be wrong of each.
        let of_payload = match self.payload {
            Payload::Sparkplug => &sparkplug::LABELS[..],
            _ => &[],
        };
        let names = self.topic.label_names().chain(of_payload.iter().copied());
        let labels = names.map(|name| (name, "x")).collect();
        let name = self.topic.says_name().then_some("x");
        self.series(&Matched { name, labels })
            .map(|_| ())
            .map_err(|refusal| MappingError::Series { topic, detail: refusal.detail.into() })
    }

    /// The series of a topic's messages, one for each value.
    fn series(&self, matched: &Matched<'_>) -> Result<Box<[Labels]>, Refusal> {
        let mut said = String::new();
        if let Some(name) = matched.name {
            push_metric_name(&mut said, name);
        }
        let name = self.name.as_deref().unwrap_or(&said);
        let of_name = |name: &str| {
            let own = self.labels.iter().map(|(name, value)| (&**name, &**value));
            let pairs = matched.labels.iter().copied().chain(own);
            series(name, pairs).map_err(Refusal::from)
        };
        match &self.payload {
            Payload::Number { .. } => Ok([of_name(name)?].into()),
            Payload::Json(json) => {
                let names = json.values().iter().map(|value| value.name.as_deref());
                names.map(|of_value| of_name(of_value.unwrap_or(name))).collect()
            }
            Payload::Event(_) => Ok(Box::default()),
            // Their names are in the payload.
            Payload::Sparkplug => {
                of_name("x")?;
                Ok(Box::default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::METRIC_NAME;
    use bellwire_model::limits::{LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX};

    use super::*;

    /// How many of these topics are known, when each of them comes in turn.
    fn known(learned: &mut Learned, topics: std::ops::Range<usize>, series: &Known) -> usize {
        let mut count = 0;
        for topic in topics.map(|number| format!("sensors/{number}")) {
            if learned.topics.contains_key(&*topic) {
                learned.unkept = learned.unkept.saturating_sub(1);
                count += 1;
            } else {
                learned.keep(&topic, series);
            }
            assert!(learned.topics_bytes <= MQTT_TOPICS_CACHED_BYTES_MAX);
        }
        count
    }

    #[test]
    fn most_topics_are_known_where_there_are_too_many_and_others_may_come_in_their_place() {
        let value = "x".repeat(LABEL_VALUE_BYTES_MAX);
        let names: Vec<String> = (1..LABELS_PER_SERIES_MAX).map(|n| format!("n{n}")).collect();
        let pairs = names.iter().map(|name| (&**name, &*value)).chain([(METRIC_NAME, "t")]);
        let labels = Labels::from_pairs(pairs).expect("labels");
        let room = MQTT_TOPICS_CACHED_BYTES_MAX / (labels.size_bytes() + KNOWN_OVERHEAD_BYTES + 16);
        let series = Known { rule: 0, series: [labels].into(), target: None };
        let mut learned = Learned::default();
        let too_many = 0..room * 3 / 2;
        assert_eq!(known(&mut learned, too_many.clone(), &series), 0);
        for _ in 0..10 {
            assert!(known(&mut learned, too_many.clone(), &series) >= room);
        }
        // Other sensors: the first of them have to wait until most of what comes is not known.
        let others = 10_000..10_000 + room / 2;
        let rounds = (0..10).find(|_| known(&mut learned, others.clone(), &series) == room / 2);
        assert!(rounds.is_some_and(|rounds| rounds <= 4), "{rounds:?}");
    }
}
