//! Label sets: sorted name-value pairs that identify a series or an alert.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::limits::{LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX};

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";

/// An immutable label set: sorted by name, no name twice, no empty value; cloning shares it.
///
/// All of it lies in one piece of text, so that a set is one pointer and one allocation however
/// many labels it has:
///
/// ```text
/// number of labels │ where each name and each value ends │ name value name value …
/// ╰ one character ─╯ ╰─ three ASCII characters each ─────╯
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

/// Characters that say where a name or a value ends; each holds seven bits.
const END_CHARACTERS: usize = 3;

// What the characters can say is enough for the longest labels.
const _: () = assert!(
    LABELS_PER_SERIES_MAX < 1 << 7
        && LABELS_PER_SERIES_MAX * (LABEL_NAME_BYTES_MAX + LABEL_VALUE_BYTES_MAX)
            < 1 << (7 * END_CHARACTERS)
);

impl Labels {
    /// The empty set.
    pub fn empty() -> Self {
        Self::of_sorted(&[])
    }

    /// A set of these pairs; empty values are left out, as Prometheus does.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, LabelsError> {
        let pairs = pairs.into_iter();
        let mut kept = Vec::with_capacity(pairs.size_hint().0);
        for (name, value) in pairs {
            check(name, value)?;
            if !value.is_empty() {
                kept.push((name, value));
            }
        }
        Self::of_pairs(kept)
    }

    /// A set of pairs that keep the bounds, each with a value.
    fn of_pairs(mut pairs: Vec<(&str, &str)>) -> Result<Self, LabelsError> {
        if pairs.len() > LABELS_PER_SERIES_MAX {
            return Err(LabelsError::TooMany { labels: pairs.len() });
        }
        pairs.sort_unstable();
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(LabelsError::Duplicate { name: twice[0].0.into() });
        }
        Ok(Self::of_sorted(&pairs))
    }

    /// A set of pairs that are sorted by name, no name twice.
    fn of_sorted(pairs: &[(&str, &str)]) -> Self {
        let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        let mut text = String::with_capacity(1 + pairs.len() * 2 * END_CHARACTERS + bytes);
        text.push(char::from(pairs.len() as u8));
        let mut end = 0;
        for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
            end += part.len();
            for place in 0..END_CHARACTERS {
                text.push(char::from((end >> (7 * place)) as u8 & 0x7f));
            }
        }
        for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
            text.push_str(part);
        }
        Self(text.into())
    }

    /// The number of labels, the metric name included.
    pub fn len(&self) -> usize {
        usize::from(self.0.as_bytes()[0])
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
        let ends_end = 1 + self.len() * 2 * END_CHARACTERS;
        let ends = self.0.as_bytes()[1..ends_end].as_chunks::<END_CHARACTERS>().0;
        let text = &self.0[ends_end..];
        let mut start = 0;
        ends.as_chunks::<2>().0.iter().map(move |[name_end, value_end]| {
            let (name_end, value_end) = (read_end(*name_end), read_end(*value_end));
            let name = &text[start..name_end];
            let value = &text[name_end..value_end];
            start = value_end;
            (name, value)
        })
    }

    /// The labels whose names are kept.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut kept = Vec::with_capacity(self.len());
        kept.extend(self.iter().filter(|(name, _)| keep(name)));
        if kept.len() == self.len() { self.clone() } else { Self::of_sorted(&kept) }
    }

    /// These labels with `name` set to `value`; an empty value takes the label away.
    pub fn with(&self, name: &str, value: &str) -> Result<Self, LabelsError> {
        let others = self.iter().filter(|(other, _)| *other != name);
        Self::from_pairs(others.chain([(name, value)]))
    }

    /// Bytes on the heap.
    pub fn size_bytes(&self) -> usize {
        self.0.len()
    }
}

impl Ord for Labels {
    /// Pair by pair, as Prometheus orders series.
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
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
        check(name, value)?;
        if !value.is_empty() {
            self.pairs.push((name.into(), value.into()));
        }
        Ok(())
    }

    /// The set.
    pub fn build(self) -> Result<Labels, LabelsError> {
        Labels::of_pairs(self.pairs.iter().map(|(name, value)| (&**name, &**value)).collect())
    }
}

/// Where a name or a value ends, as the index of a set says it.
fn read_end(characters: [u8; END_CHARACTERS]) -> usize {
    characters.iter().rev().fold(0, |end, character| end << 7 | usize::from(*character))
}

/// Refuses a label that breaks a bound.
fn check(name: &str, value: &str) -> Result<(), LabelsError> {
    if name.is_empty() {
        return Err(LabelsError::EmptyName);
    }
    // First of all: a text that many series name would be looked through for each of them.
    if name.len() > LABEL_NAME_BYTES_MAX {
        return Err(LabelsError::NameTooLong { bytes: name.len() });
    }
    // Most names are ASCII, where control characters are told by their bytes.
    let is_plain = name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_plain && name.chars().any(char::is_control) {
        return Err(LabelsError::ControlCharacter);
    }
    if value.len() > LABEL_VALUE_BYTES_MAX {
        return Err(LabelsError::ValueTooLong { name: name.into(), bytes: value.len() });
    }
    Ok(())
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
    fn the_longest_labels_are_read_as_they_were_written() {
        let value = "ö".repeat(LABEL_VALUE_BYTES_MAX / 2);
        let names: Vec<String> = (10..10 + LABELS_PER_SERIES_MAX)
            .map(|number| format!("{number}{}", "n".repeat(LABEL_NAME_BYTES_MAX - 2)))
            .collect();
        let pairs = names.iter().map(|name| (name.as_str(), value.as_str()));
        let labels = Labels::from_pairs(pairs.clone()).expect("labels");
        assert_eq!(labels.len(), LABELS_PER_SERIES_MAX);
        assert!(labels.iter().eq(pairs));
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
        // It is too long before it is looked through.
        let long = "a\n".repeat(LABEL_NAME_BYTES_MAX);
        let bytes = long.len();
        assert_eq!(Labels::from_pairs([(&*long, "1")]), Err(LabelsError::NameTooLong { bytes }));
    }
}
