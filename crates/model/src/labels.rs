//! Label sets: sorted name-value pairs that identify a series or an alert.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;
use thiserror::Error;

use crate::limits::{LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX};
use crate::text::has_control;

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

/// Labels that need no room of their own until they are a set.
const LABELS_EXPECTED: usize = 16;

/// Bytes of the longest index.
const INDEX_BYTES_MAX: usize = 1 + LABELS_PER_SERIES_MAX * 2 * END_CHARACTERS;

/// Room for a set that is made; more than this is not kept for the next one.
const SCRATCH_BYTES_MAX: usize = 16 * 1024;

thread_local! {
    /// Where sets are put together, so that each is allocated once, and as large as it is.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

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
        let mut kept = SmallVec::<[_; LABELS_EXPECTED]>::new();
        pairs.into_iter().try_for_each(|(name, value)| {
            check(name, value)?;
            if !value.is_empty() {
                kept.push((name, value));
            }
            Ok(())
        })?;
        Self::of_pairs(&mut kept)
    }

    /// A set of pairs that keep the bounds, each with a value.
    fn of_pairs(pairs: &mut [(&str, &str)]) -> Result<Self, LabelsError> {
        if pairs.len() > LABELS_PER_SERIES_MAX {
            return Err(LabelsError::TooMany { labels: pairs.len() });
        }
        // Most senders sort them.
        if !pairs.is_sorted_by(|(one, _), (next, _)| is_before(one, next)) {
            pairs.sort_unstable_by_key(|(name, _)| *name);
            if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(LabelsError::Duplicate { name: twice[0].0.into() });
            }
        }
        Ok(Self::of_sorted(pairs))
    }

    /// A set of pairs that are sorted by name, no name twice.
    fn of_sorted(pairs: &[(&str, &str)]) -> Self {
        let mut index = [0; INDEX_BYTES_MAX];
        index[0] = pairs.len() as u8;
        let (mut end, mut index_bytes) = (0, 1);
        let places = index[1..].as_chunks_mut::<END_CHARACTERS>().0.as_chunks_mut::<2>().0;
        for ((name, value), [name_end, value_end]) in pairs.iter().zip(places) {
            end += name.len();
            *name_end = written_end(end);
            end += value.len();
            *value_end = written_end(end);
            index_bytes += 2 * END_CHARACTERS;
        }
        SCRATCH.with_borrow_mut(|bytes| {
            bytes.clear();
            bytes.reserve(index_bytes + end);
            bytes.extend_from_slice(&index[..index_bytes]);
            for (name, value) in pairs {
                bytes.extend_from_slice(name.as_bytes());
                bytes.extend_from_slice(value.as_bytes());
            }
            let text = std::str::from_utf8(bytes).expect("the index is ASCII, and texts are UTF-8");
            let labels = Self(text.into());
            if bytes.capacity() > SCRATCH_BYTES_MAX {
                *bytes = Vec::new();
            }
            labels
        })
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

    /// All pairs as they lie there, sorted by name: a name with its value behind it, and how many
    /// bytes are the name's.
    pub fn joined(&self) -> impl Iterator<Item = (&[u8], usize)> {
        let ends_end = 1 + self.len() * 2 * END_CHARACTERS;
        let (ends, mut rest) = self.0.as_bytes().split_at(ends_end);
        let ends = ends[1..].as_chunks::<END_CHARACTERS>().0;
        let mut start = 0;
        ends.as_chunks::<2>().0.iter().map(move |[name_end, value_end]| {
            let (name_end, value_end) = (read_end(*name_end), read_end(*value_end));
            let (pair, others) = rest.split_at(value_end - start);
            let name_bytes = name_end - start;
            (start, rest) = (value_end, others);
            (pair, name_bytes)
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
        let mut pairs: Vec<_> =
            self.pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        Labels::of_pairs(&mut pairs)
    }
}

/// Whether a name comes before another. Mostly their first bytes tell.
fn is_before(one: &str, other: &str) -> bool {
    match (one.as_bytes(), other.as_bytes()) {
        ([one, ..], [other, ..]) if one != other => one < other,
        (one, other) => one < other,
    }
}

/// Where a name or a value ends, as the index of a set says it.
fn read_end(characters: [u8; END_CHARACTERS]) -> usize {
    characters.iter().rev().fold(0, |end, character| end << 7 | usize::from(*character))
}

/// The same, written.
fn written_end(end: usize) -> [u8; END_CHARACTERS] {
    std::array::from_fn(|place| (end >> (7 * place)) as u8 & 0x7f)
}

/// Refuses a label that breaks a bound.
#[inline]
fn check(name: &str, value: &str) -> Result<(), LabelsError> {
    if name.is_empty() {
        return Err(LabelsError::EmptyName);
    }
    // First of all: a text that many series name would be looked through for each of them.
    if name.len() > LABEL_NAME_BYTES_MAX {
        return Err(LabelsError::NameTooLong { bytes: name.len() });
    }
    if has_control(name) {
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
    fn pairs_lie_there_joined_as_they_are_read() {
        for pairs in [&[][..], &[("ä", "ö")], &[("a", "1"), ("bc", "23"), ("d", "")]] {
            let labels = Labels::from_pairs(pairs.iter().copied()).expect("labels");
            let joined = labels.joined().map(|(pair, name_bytes)| pair.split_at(name_bytes));
            let read = labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            assert!(joined.eq(read), "{labels}");
        }
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
