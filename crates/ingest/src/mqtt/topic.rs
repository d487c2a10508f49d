//! Topic templates: `sensors/{site}/{device}/{name}` takes a topic apart into a metric's name and
//! labels.
//!
//! | in a template | stands for |
//! |---|---|
//! | `sensors` | itself |
//! | `{site}` | one level, which becomes the label `site` |
//! | `dev-{id}` | a level that begins so; the rest becomes the label `id` |
//! | `{path...}` | all levels that are left, one at least; only at the end |
//! | `{name}`, `{name...}` | the same, for the metric's name |
//! | `+`, `#` | one level, all that are left: they become nothing |
//!
//! Where two templates take one topic the more special one counts. Where neither is, that is an
//! error of whoever wrote them.

use bellwire_model::METRIC_NAME;
use bellwire_model::limits::{LABEL_NAME_BYTES_MAX, MQTT_TOPIC_BYTES_MAX, TOPIC_SEGMENTS_MAX};
use thiserror::Error;

/// The place of the metric's name.
const NAME: &str = "name";
/// What follows the name of a place that takes all levels that are left.
const REST: &str = "...";

/// A template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    levels: Vec<Level>,
    rest: Option<Place>,
}

/// One level.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Literal(Box<str>),
    /// Any text between these two, which may be empty.
    Between {
        before: Box<str>,
        after: Box<str>,
        place: Place,
    },
}

/// What becomes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Nothing,
    Name,
    Label(Box<str>),
}

/// What a topic says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched<'a> {
    /// The text at the place of the metric's name, where there is one.
    pub name: Option<&'a str>,
    /// The labels.
    pub labels: Vec<(&'a str, &'a str)>,
}

/// How the topics of two templates are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// No topic is of both.
    Disjoint,
    /// All are.
    Same,
    /// Those of the first are some of the second's.
    Special,
    /// Those of the second are some of the first's.
    General,
    /// Some are, and each has others.
    Overlapping,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// It is empty or too long.
    #[error(
        "a topic has 1 to {MQTT_TOPIC_BYTES_MAX} bytes and {TOPIC_SEGMENTS_MAX} levels at most"
    )]
    Length,
    /// A brace without its other, or two places in one level.
    #[error("a level of a topic has one place at most, such as {{device}}: `{level}`")]
    Braces {
        /// The level.
        level: Box<str>,
    },
    /// A place has no name, or one that is no label's.
    #[error("`{name}` is no name of a label: letters, digits and `_`, not a digit first")]
    LabelName {
        /// The name.
        name: Box<str>,
    },
    /// A name stands twice.
    #[error("`{name}` stands twice")]
    Twice {
        /// The name.
        name: Box<str>,
    },
    /// What takes all that is left is not at the end.
    #[error("`#` and `{{path...}}` stand alone at the end")]
    RestNotLast,
    /// A wildcard is only a part of a level.
    #[error("`+` and `#` are a level of their own")]
    Wildcard,
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let levels_max = TOPIC_SEGMENTS_MAX;
        if text.is_empty() || text.len() > MQTT_TOPIC_BYTES_MAX {
            return Err(TemplateError::Length);
        }
        let mut template = Self { text: text.into(), levels: Vec::new(), rest: None };
        for level in text.split('/') {
            if template.rest.is_some() {
                return Err(TemplateError::RestNotLast);
            }
            if template.levels.len() == levels_max {
                return Err(TemplateError::Length);
            }
            template.push(level)?;
        }
        let mut names: Vec<&str> = template.places().filter_map(Place::said).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(TemplateError::Twice { name: pair[0].into() }),
            None => Ok(template),
        }
    }

    fn push(&mut self, level: &str) -> Result<(), TemplateError> {
        match level {
            "+" => {
                let (before, after) = Default::default();
                self.levels.push(Level::Between { before, after, place: Place::Nothing });
                return Ok(());
            }
            "#" => {
                self.rest = Some(Place::Nothing);
                return Ok(());
            }
            _ if level.contains(['+', '#']) => return Err(TemplateError::Wildcard),
            _ => {}
        }
        let braces = || TemplateError::Braces { level: level.into() };
        let Some((before, rest)) = level.split_once('{') else {
            if level.contains('}') {
                return Err(braces());
            }
            self.levels.push(Level::Literal(level.into()));
            return Ok(());
        };
        let (name, after) = rest.split_once('}').ok_or_else(braces)?;
        if [before, name, after].iter().any(|part| part.contains(['{', '}'])) {
            return Err(braces());
        }
        if let Some(name) = name.strip_suffix(REST) {
            if !before.is_empty() || !after.is_empty() {
                return Err(TemplateError::RestNotLast);
            }
            self.rest = Some(Place::of(name)?);
            return Ok(());
        }
        let (before, after, place) = (before.into(), after.into(), Place::of(name)?);
        self.levels.push(Level::Between { before, after, place });
        Ok(())
    }

    /// The template as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The filter of MQTT with which a client asks for its topics, and perhaps for some more.
    pub fn filter(&self) -> String {
        let level = |level: &Level| match level {
            Level::Literal(text) => text.to_string(),
            Level::Between { .. } => "+".to_owned(),
        };
        let mut levels: Vec<String> = self.levels.iter().map(level).collect();
        levels.extend(self.rest.as_ref().map(|_| "#".to_owned()));
        levels.join("/")
    }

    /// Whether a topic says the metric's name.
    pub fn says_name(&self) -> bool {
        self.places().any(|place| *place == Place::Name)
    }

    /// The labels that a topic says.
    pub fn label_names(&self) -> impl Iterator<Item = &str> {
        self.places().filter_map(|place| match place {
            Place::Label(name) => Some(&**name),
            Place::Nothing | Place::Name => None,
        })
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        let of_levels = self.levels.iter().filter_map(|level| match level {
            Level::Between { place, .. } => Some(place),
            Level::Literal(_) => None,
        });
        of_levels.chain(&self.rest)
    }

    /// What the topic says, where it is one of the template's.
    pub fn matched<'a>(&'a self, topic: &'a str) -> Option<Matched<'a>> {
        let mut matched = Matched::default();
        let mut left = Some(topic);
        for level in &self.levels {
            let (text, next) = match left?.split_once('/') {
                Some((text, next)) => (text, Some(next)),
                None => (left?, None),
            };
            left = next;
            match level {
                Level::Literal(literal) if **literal == *text => {}
                Level::Literal(_) => return None,
                Level::Between { before, after, place } => {
                    matched.put(place, between(text, before, after)?);
                }
            }
        }
        match (&self.rest, left) {
            (None, None) => Some(matched),
            (Some(place), Some(rest)) => {
                matched.put(place, rest);
                Some(matched)
            }
            _ => None,
        }
    }

    /// How the topics of this one are to another's.
    pub fn relation(&self, other: &Self) -> Relation {
        let mut relation = Relation::Same;
        let levels = self.levels.len().max(other.levels.len());
        for place in 0..levels {
            let of_level = match (self.levels.get(place), other.levels.get(place)) {
                (Some(level), Some(other)) => level.relation(other),
                (Some(_), None) if other.rest.is_some() => Relation::Special,
                (None, Some(_)) if self.rest.is_some() => Relation::General,
                _ => Relation::Disjoint,
            };
            relation = relation.and(of_level);
        }
        let at_end = match (&self.rest, &other.rest) {
            (Some(_), Some(_)) | (None, None) => Relation::Same,
            // What takes one level at least takes none where the other ends.
            (Some(_), None) if other.levels.len() <= self.levels.len() => Relation::Disjoint,
            (None, Some(_)) if self.levels.len() <= other.levels.len() => Relation::Disjoint,
            (Some(_), None) => Relation::General,
            (None, Some(_)) => Relation::Special,
        };
        relation.and(at_end)
    }
}

impl Place {
    fn of(name: &str) -> Result<Self, TemplateError> {
        if name == NAME {
            return Ok(Self::Name);
        }
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let begins = name.starts_with(|first: char| !first.is_ascii_digit());
        if !is_plain || !begins || name.len() > LABEL_NAME_BYTES_MAX || name == METRIC_NAME {
            return Err(TemplateError::LabelName { name: name.into() });
        }
        Ok(Self::Label(name.into()))
    }

    fn said(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Name => Some(NAME),
            Self::Label(name) => Some(name),
        }
    }
}

impl<'a> Matched<'a> {
    fn put(&mut self, place: &'a Place, text: &'a str) {
        match place {
            Place::Nothing => {}
            Place::Name => self.name = Some(text),
            Place::Label(name) => self.labels.push((name, text)),
        }
    }
}

/// The text between the two.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.strip_prefix(before)?.strip_suffix(after)
}

impl Level {
    fn relation(&self, other: &Self) -> Relation {
        match (self, other) {
            (Self::Literal(text), Self::Literal(other)) if text == other => Relation::Same,
            (Self::Literal(_), Self::Literal(_)) => Relation::Disjoint,
            (Self::Literal(text), Self::Between { before, after, .. }) => {
                between(text, before, after).map_or(Relation::Disjoint, |_| Relation::Special)
            }
            (Self::Between { .. }, Self::Literal(_)) => other.relation(self).turned(),
            (
                Self::Between { before, after, .. },
                Self::Between { before: other_before, after: other_after, .. },
            ) => {
                let at = |one: &str, other: &str, is_within: fn(&str, &str) -> bool| match (
                    is_within(one, other),
                    is_within(other, one),
                ) {
                    (true, true) => Relation::Same,
                    (true, false) => Relation::Special,
                    (false, true) => Relation::General,
                    (false, false) => Relation::Disjoint,
                };
                at(before, other_before, |one, other| one.starts_with(other)).and(at(
                    after,
                    other_after,
                    |one, other| one.ends_with(other),
                ))
            }
        }
    }
}

impl Relation {
    /// That of the second to the first.
    const fn turned(self) -> Self {
        match self {
            Self::Special => Self::General,
            Self::General => Self::Special,
            same => same,
        }
    }

    /// Where both hold, each of a part of the topic.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Disjoint, _) | (_, Self::Disjoint) => Self::Disjoint,
            (Self::Same, relation) | (relation, Self::Same) => relation,
            (relation, other) if relation == other => relation,
            _ => Self::Overlapping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of the name, and the labels.
    type Said<'a> = (Option<&'a str>, &'a [(&'a str, &'a str)]);

    fn template(text: &str) -> Template {
        Template::parse(text).expect(text)
    }

    #[test]
    fn a_topic_is_taken_apart_as_its_template_says() {
        let cases: [(&str, &str, Option<Said<'_>>); 14] = [
            ("a/{name}", "a/t", Some((Some("t"), &[]))),
            ("a/{name}", "a", None),
            ("a/{name}", "a/t/u", None),
            ("a/{name}", "b/t", None),
            ("{site}/{name}", "oslo/t", Some((Some("t"), &[("site", "oslo")]))),
            ("{site}/{name}", "/t", Some((Some("t"), &[("site", "")]))),
            ("dev-{id}/t", "dev-7/t", Some((None, &[("id", "7")]))),
            ("dev-{id}/t", "7/t", None),
            ("{id}.local/t", "a.local/t", Some((None, &[("id", "a")]))),
            ("a/{path...}", "a/b/c", Some((None, &[("path", "b/c")]))),
            ("a/{path...}", "a", None),
            ("+/{name}/#", "x/t/y/z", Some((Some("t"), &[]))),
            ("/{name}", "/t", Some((Some("t"), &[]))),
            ("é/{name}", "é/ü", Some((Some("ü"), &[]))),
        ];
        for (text, topic, expected) in cases {
            let template = template(text);
            let matched = template.matched(topic);
            let said = matched.as_ref().map(|matched| (matched.name, &matched.labels[..]));
            assert_eq!(said, expected, "{text} of {topic}");
        }
    }

    #[test]
    fn what_is_no_template_says_why() {
        let long = "a/".repeat(TOPIC_SEGMENTS_MAX + 1);
        for (text, expected) in [
            ("", "1 to"),
            (&*long, "levels at most"),
            ("{a}{b}", "one place at most"),
            ("{a", "one place at most"),
            ("a}", "one place at most"),
            ("{}", "no name of a label"),
            ("{9a}", "no name of a label"),
            ("{__name__}", "no name of a label"),
            ("{a}/{a}", "stands twice"),
            ("{name}/{name...}", "stands twice"),
            ("#/a", "at the end"),
            ("{a...}/b", "at the end"),
            ("b{a...}", "at the end"),
            ("a+/b", "a level of their own"),
        ] {
            let error = Template::parse(text).expect_err(text);
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_more_special_template_is_known() {
        for (one, other, expected) in [
            ("a/{x}", "a/{y}", Relation::Same),
            ("a/b", "a/{y}", Relation::Special),
            ("a/{y}", "c/{y}", Relation::Disjoint),
            ("a/{x}", "{y}/b", Relation::Overlapping),
            ("a/{x}/c", "a/#", Relation::Special),
            ("a/#", "a", Relation::Disjoint),
            ("a/#", "#", Relation::Special),
            ("a/#", "{x}/b", Relation::Overlapping),
            ("a/+/#", "a/b", Relation::Disjoint),
            ("a/+/#", "a/#", Relation::Special),
            ("dev-{x}", "{x}", Relation::Special),
            ("dev-{x}", "dev-{x}.l", Relation::General),
            ("dev-{x}", "{x}.l", Relation::Overlapping),
            ("dev-{x}", "cab-{x}", Relation::Disjoint),
            ("dev-7", "dev-{x}", Relation::Special),
            ("a/b/c", "a/b", Relation::Disjoint),
        ] {
            let (first, second) = (template(one), template(other));
            assert_eq!(first.relation(&second), expected, "{one} to {other}");
            assert_eq!(second.relation(&first), expected.turned(), "{other} to {one}");
        }
    }

    #[test]
    fn a_template_is_asked_for_by_a_filter() {
        for (text, filter) in [
            ("sensors/{site}/{name}", "sensors/+/+"),
            ("a/dev-{x}/b", "a/+/b"),
            ("a/{path...}", "a/#"),
            ("#", "#"),
        ] {
            assert_eq!(template(text).filter(), filter);
        }
    }
}
