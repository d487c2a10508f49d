//! Topics: `/`-separated names such as `alerts/events/critical/BoilerHot`.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::limits::{TOPIC_BYTES_MAX, TOPIC_SEGMENTS_MAX};

/// A checked topic name; cloning shares the text.
///
/// One to [`TOPIC_SEGMENTS_MAX`] segments separated by `/`, none of them empty,
/// [`TOPIC_BYTES_MAX`] bytes at most, UTF-8 without control characters or `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// A filter without wildcards is a topic.
    pub(crate) fn of_filter(text: Arc<str>) -> Self {
        Self(text)
    }

    /// The topic as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments in order.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Where alerts are told of that cannot have a topic of their own, because there are as many
    /// topics as there may be. There is always room for this one.
    pub const OF_ALERTS_WITHOUT: &str = "alerts/events/_/_";

    /// The same for dead letters.
    pub const OF_LETTERS_WITHOUT: &str = "alerts/dead-letters/_";

    /// The same for notifications that were delivered.
    pub const OF_NOTIFICATIONS_WITHOUT: &str = "alerts/notifications/_";

    /// The first segment of the answers of queries that are followed.
    pub const QUERIES: &str = "query";

    /// What was measured when alerts turned. Whoever may see an alert need not see its series, so that
    /// this one has to be named.
    pub const OF_SERIES_OF_ALERTS: &str = "$alerts/series";

    /// The alerts as they are now.
    pub const OF_BOARD: &str = "alerts/active";

    /// The first segment of the topics that tell who follows others.
    pub const PRESENCE: &str = "presence";

    /// What the topics are below on which those meet who have the same alert open, by fingerprint.
    /// Nothing is published there: it is for their presence.
    pub const AT_ALERTS: &str = "alerts/at";

    /// Who did what on this server.
    pub const OF_AUDIT: &str = "$sys/audit";

    /// Whether there is always room for this one.
    pub fn always_has_room(&self) -> bool {
        matches!(
            self.as_str(),
            Self::OF_ALERTS_WITHOUT
                | Self::OF_LETTERS_WITHOUT
                | Self::OF_NOTIFICATIONS_WITHOUT
                | Self::OF_AUDIT
        )
    }

    /// What the labels of its events are of. Where there is something, an event whose labels nobody
    /// knows is for those alone who may see all of the kind.
    pub fn labels_of(&self) -> Option<LabelsOf> {
        let first = self.segments().next()?;
        // Who has an alert open tells that there is that alert.
        let is_of_alert = first == Self::PRESENCE && self.followed_alert().is_some();
        if is_of_alert { Some(LabelsOf::Alert) } else { LabelsOf::below(first) }
    }

    /// The fingerprint of the alert that those have open who follow this topic.
    pub fn alert(&self) -> Option<&str> {
        alert_of(&self.0)
    }

    /// The same where this topic tells who they are.
    pub fn followed_alert(&self) -> Option<&str> {
        alert_of(self.0.strip_prefix(Self::PRESENCE)?.strip_prefix('/')?)
    }

    /// Whether the server owns this topic, so that clients may read but not publish.
    pub fn is_reserved(&self) -> bool {
        let first = self.segments().next().unwrap_or_default();
        first.starts_with('$')
            || matches!(first, "alerts" | "rules" | "samples" | Self::QUERIES | Self::PRESENCE)
    }

    /// Whether a topic or filter begins with what no wildcard stands for, so that it has to be named:
    /// the server's own figures, the answers of standing queries, and who follows what.
    pub fn has_to_be_named(text: &str) -> bool {
        let first = || text.split('/').next().unwrap_or_default();
        text.starts_with('$') || matches!(first(), Self::QUERIES | Self::PRESENCE)
    }
}

fn alert_of(text: &str) -> Option<&str> {
    let fingerprint = text.strip_prefix(Topic::AT_ALERTS)?.strip_prefix('/')?;
    (!fingerprint.contains('/')).then_some(fingerprint)
}

/// What the labels of an event are of, and so which right asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LabelsOf {
    /// Of an alert: `alerts/…`.
    Alert,
    /// Of a series: `samples/…`, `rules/…` for what rules record, and `$alerts/…` for what was
    /// measured when alerts turned.
    Series,
}

impl LabelsOf {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Alert, Self::Series];

    /// What those of the topics are of that begin with this segment.
    pub(crate) fn below(first_segment: &str) -> Option<Self> {
        match first_segment {
            "alerts" => Some(Self::Alert),
            "samples" | "rules" | "$alerts" => Some(Self::Series),
            _ => None,
        }
    }
}

/// Topics are found by their text: the two compare and hash alike.
impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        check_name(text)?;
        if text.contains('*') {
            return Err(TopicError::Wildcard);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rules that topics and filters share.
pub(crate) fn check_name(text: &str) -> Result<(), TopicError> {
    if text.len() > TOPIC_BYTES_MAX {
        return Err(TopicError::TooLong { bytes: text.len() });
    }
    if text.chars().any(char::is_control) {
        return Err(TopicError::ControlCharacter);
    }
    let mut segments = 0;
    for segment in text.split('/') {
        segments += 1;
        if segment.is_empty() {
            return Err(TopicError::EmptySegment);
        }
    }
    if segments > TOPIC_SEGMENTS_MAX {
        return Err(TopicError::TooDeep { segments });
    }
    Ok(())
}

/// Why a text is no topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TopicError {
    /// Longer than [`TOPIC_BYTES_MAX`].
    #[error("a topic has at most {TOPIC_BYTES_MAX} bytes, this one has {bytes}")]
    TooLong {
        /// The length found.
        bytes: usize,
    },
    /// More segments than [`TOPIC_SEGMENTS_MAX`].
    #[error("a topic has at most {TOPIC_SEGMENTS_MAX} segments, this one has {segments}")]
    TooDeep {
        /// The number found.
        segments: usize,
    },
    /// Nothing between two `/`, or at an end.
    #[error("a topic has no empty segment: `a/b`, not `/a`, `a//b` or `a/`")]
    EmptySegment,
    /// A control character, such as a line break.
    #[error("a topic has no control characters")]
    ControlCharacter,
    /// A `*` in a topic: only filters have wildcards.
    #[error("a topic has no `*`: wildcards are for subscribers' filters")]
    Wildcard,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_within_the_rules_are_topics() {
        let deep = vec!["a"; TOPIC_SEGMENTS_MAX].join("/");
        let long = "x".repeat(TOPIC_BYTES_MAX);
        for text in ["a", "a/b/c", "$sys/uptime", "höhe/°C", "a b", deep.as_str(), long.as_str()]
        {
            assert_eq!(text.parse::<Topic>().expect(text).as_str(), text);
        }
    }

    #[test]
    fn each_broken_rule_is_named() {
        let deep = vec!["a"; TOPIC_SEGMENTS_MAX + 1].join("/");
        let long = "x".repeat(TOPIC_BYTES_MAX + 1);
        let cases = [
            ("", TopicError::EmptySegment),
            ("/a", TopicError::EmptySegment),
            ("a/", TopicError::EmptySegment),
            ("a//b", TopicError::EmptySegment),
            ("a\n", TopicError::ControlCharacter),
            ("a/*", TopicError::Wildcard),
            (&deep, TopicError::TooDeep { segments: TOPIC_SEGMENTS_MAX + 1 }),
            (&long, TopicError::TooLong { bytes: TOPIC_BYTES_MAX + 1 }),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Topic>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn who_has_an_alert_open_is_told_to_those_who_see_it() {
        let topic = |text: &str| text.parse::<Topic>().expect(text);
        let at = topic("alerts/at/f80fe52511abebdc");
        assert_eq!((at.alert(), at.followed_alert()), (Some("f80fe52511abebdc"), None));
        let who = topic("presence/alerts/at/f80fe52511abebdc");
        assert_eq!((who.alert(), who.followed_alert()), (None, Some("f80fe52511abebdc")));
        assert_eq!(who.labels_of(), Some(LabelsOf::Alert));
        for text in ["alerts/at", "alerts/at/a/b", "alerts/active", "alerts/atx/a", "rooms/at/a"] {
            assert_eq!(topic(text).alert(), None, "{text}");
            let of_others = topic(&format!("presence/{text}"));
            assert_eq!((of_others.followed_alert(), of_others.labels_of()), (None, None), "{text}");
        }
    }

    #[test]
    fn the_server_owns_its_topics() {
        for text in [
            "alerts/active",
            "rules/x",
            "samples/x",
            "query/x",
            "presence/x",
            "$sys/uptime",
            "alerts",
        ] {
            assert!(text.parse::<Topic>().expect(text).is_reserved(), "{text}");
        }
        assert!(!"alertsx/active".parse::<Topic>().expect("valid").is_reserved());
    }
}
