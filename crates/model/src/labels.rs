//! Label sets: sorted name-value pairs that identify a series or an alert.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::limits::{LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX};

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";

/// An immutable label set: sorted by name, no name twice, no empty value; cloning shares it.
///
/// The text lies in one piece (`name value name value …`) with the ends of its parts beside it,
/// so that a set costs two allocations however many labels it has.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels {
    ends: Arc<[u32]>,
    text: Arc<str>,
}

impl Labels {
    /// The empty set.
    pub fn empty() -> Self {
        Self { ends: Arc::new([]), text: Arc::from("") }
    }

    /// A set of these pairs; empty values are left out, as Prometheus does.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, LabelsError> {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.push(name, value)?;
        }
        builder.build()
    }

    /// The number of labels, the metric name included.
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(n, value)| (n == name).then_some(value))
    }

    /// The metric name, where there is one.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// All pairs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.as_chunks::<2>().0.iter().map(move |&[name_end, value_end]| {
            let name = &self.text[start..name_end as usize];
            let value = &self.text[name_end as usize..value_end as usize];
            start = value_end as usize;
            (name, value)
        })
    }

    /// The labels whose names are kept.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut text = String::with_capacity(self.text.len());
        let mut ends = Vec::with_capacity(self.ends.len());
        for (name, value) in self.iter().filter(|(name, _)| keep(name)) {
            text.push_str(name);
            ends.push(text.len() as u32);
            text.push_str(value);
            ends.push(text.len() as u32);
        }
        if ends.len() == self.ends.len() {
            return self.clone();
        }
        Self { ends: ends.into(), text: text.into() }
    }

    /// These labels with `name` set to `value`; an empty value takes the label away.
    pub fn with(&self, name: &str, value: &str) -> Result<Self, LabelsError> {
        let others = self.iter().filter(|(other, _)| *other != name);
        Self::from_pairs(others.chain([(name, value)]))
    }

    /// Bytes on the heap.
    pub fn size_bytes(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<u32>()
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Labels {
    /// As Prometheus writes a series: `name{label="value"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric_name().unwrap_or_default())?;
        let mut separator = "{";
        for (name, value) in self.iter().filter(|(name, _)| *name != METRIC_NAME) {
            write!(f, "{separator}{name}={value:?}")?;
            separator = ",";
        }
        match (separator, self.is_empty()) {
            (",", _) => f.write_str("}"),
            (_, true) => f.write_str("{}"),
            (_, false) => Ok(()),
        }
    }
}

/// Collects pairs in any order.
#[derive(Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(Box<str>, Box<str>)>,
}

impl LabelsBuilder {
    /// Adds a pair. An empty value is the same as no label.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), LabelsError> {
        if name.is_empty() {
            return Err(LabelsError::EmptyName);
        }
        if name.chars().any(char::is_control) {
            return Err(LabelsError::ControlCharacter);
        }
        if name.len() > LABEL_NAME_BYTES_MAX {
            return Err(LabelsError::NameTooLong { bytes: name.len() });
        }
        if value.len() > LABEL_VALUE_BYTES_MAX {
            return Err(LabelsError::ValueTooLong { name: name.into(), bytes: value.len() });
        }
        if !value.is_empty() {
            self.pairs.push((name.into(), value.into()));
        }
        Ok(())
    }

    /// The set.
    pub fn build(mut self) -> Result<Labels, LabelsError> {
        if self.pairs.len() > LABELS_PER_SERIES_MAX {
            return Err(LabelsError::TooMany { labels: self.pairs.len() });
        }
        self.pairs.sort_unstable();
        let mut text = String::new();
        let mut ends = Vec::with_capacity(self.pairs.len() * 2);
        for (index, (name, value)) in self.pairs.iter().enumerate() {
            if index > 0 && self.pairs[index - 1].0 == *name {
                return Err(LabelsError::Duplicate { name: name.clone() });
            }
            text.push_str(name);
            ends.push(text.len() as u32);
            text.push_str(value);
            ends.push(text.len() as u32);
        }
        Ok(Labels { ends: ends.into(), text: text.into() })
    }
}

/// Why pairs are no label set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LabelsError {
    /// A label without a name.
    #[error("a label has a name")]
    EmptyName,
    /// A name with a control character, such as a line break.
    #[error("a label name has no control characters")]
    ControlCharacter,
    /// A name longer than [`LABEL_NAME_BYTES_MAX`].
    #[error("a label name has at most {LABEL_NAME_BYTES_MAX} bytes, this one has {bytes}")]
    NameTooLong {
        /// The length found.
        bytes: usize,
    },
    /// A value longer than [`LABEL_VALUE_BYTES_MAX`].
    #[error(
        "a label value has at most {LABEL_VALUE_BYTES_MAX} bytes, the one of `{name}` has {bytes}"
    )]
    ValueTooLong {
        /// Whose value.
        name: Box<str>,
        /// The length found.
        bytes: usize,
    },
    /// More labels than [`LABELS_PER_SERIES_MAX`].
    #[error("a series has at most {LABELS_PER_SERIES_MAX} labels, this one has {labels}")]
    TooMany {
        /// The number found.
        labels: usize,
    },
    /// One name twice.
    #[error("the label `{name}` stands twice")]
    Duplicate {
        /// Which.
        name: Box<str>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_empty_values_do_not_matter() {
        let one = Labels::from_pairs([("b", "2"), ("a", "1"), ("c", "")]).expect("labels");
        let two = Labels::from_pairs([("a", "1"), ("b", "2")]).expect("labels");
        assert_eq!(one, two);
        assert_eq!(one.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!((one.get("b"), one.get("c")), (Some("2"), None));
    }

    #[test]
    fn labels_are_kept_set_and_taken_away() {
        let labels = Labels::from_pairs([("a", "1"), ("b", "2"), ("c", "3")]).expect("labels");
        assert_eq!(labels.filtered(|name| name != "b").to_string(), r#"{a="1",c="3"}"#);
        assert_eq!(labels.filtered(|_| true), labels);
        assert_eq!(labels.filtered(|_| false), Labels::empty());
        let set = |name, value| labels.with(name, value).map(|labels| labels.to_string());
        assert_eq!(set("b", "x").as_deref(), Ok(r#"{a="1",b="x",c="3"}"#));
        assert_eq!(set("aa", "x").as_deref(), Ok(r#"{a="1",aa="x",b="2",c="3"}"#));
        assert_eq!(set("b", "").as_deref(), Ok(r#"{a="1",c="3"}"#));
        assert!(labels.with("", "x").is_err());
    }

    #[test]
    fn pairs_that_share_their_text_are_still_different() {
        let one = Labels::from_pairs([("a", "bc")]).expect("labels");
        let two = Labels::from_pairs([("ab", "c")]).expect("labels");
        assert_ne!(one, two);
    }

    #[test]
    fn it_prints_as_prometheus_does() {
        let labels = Labels::from_pairs([(METRIC_NAME, "up"), ("job", "a\"b")]).expect("labels");
        assert_eq!(labels.to_string(), r#"up{job="a\"b"}"#);
        assert_eq!(Labels::from_pairs([(METRIC_NAME, "up")]).expect("labels").to_string(), "up");
        assert_eq!(Labels::empty().to_string(), "{}");
    }

    #[test]
    fn each_broken_rule_is_named() {
        let twice = Labels::from_pairs([("a", "1"), ("a", "2")]);
        assert_eq!(twice, Err(LabelsError::Duplicate { name: "a".into() }));
        assert_eq!(Labels::from_pairs([("", "1")]), Err(LabelsError::EmptyName));
        assert_eq!(Labels::from_pairs([("a\n", "1")]), Err(LabelsError::ControlCharacter));
    }
}
