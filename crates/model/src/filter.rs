//! Filters: what a subscriber follows.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::limits::{FILTERS_IN_COMMON_MAX, FILTERS_PER_CONNECTION_MAX};
use crate::topic::{LabelsOf, Topic, TopicError, check_name};

/// A topic, or a pattern of topics: `*` stands for exactly one segment, a last `**` for any
/// rest, none included. Wildcards never match a first segment that begins with `$` or is `query`, so
/// that `**` follows what users publish and neither the server's own figures nor others' queries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filter(Arc<str>);

impl Filter {
    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this filter is the name of one topic.
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// The one topic that it is the name of.
    pub fn topic(&self) -> Option<Topic> {
        self.is_exact().then(|| Topic::of_filter(Arc::clone(&self.0)))
    }

    /// Whether events of `topic` pass.
    pub fn matches(&self, topic: &Topic) -> bool {
        passes(&self.0, topic.as_str())
    }

    /// Whether every topic that passes `other` passes this filter too.
    pub fn covers(&self, other: &Self) -> bool {
        passes(&self.0, &other.0)
    }

    /// The filter that passes what passes both; `None` where nothing does. It may be longer than
    /// what a client may name.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        if self.covers(other) {
            return Some(other.clone());
        }
        if other.covers(self) {
            return Some(self.clone());
        }
        if is_kept_from(&self.0, &other.0) || is_kept_from(&other.0, &self.0) {
            return None;
        }
        let (mut ones, mut others) = (self.0.split('/'), other.0.split('/'));
        let mut shared = Vec::new();
        loop {
            match (ones.next(), others.next()) {
                (None, None) => break,
                // The rest of the one is what the other leaves open.
                (Some("**"), rest) => {
                    shared.extend(rest);
                    shared.extend(others);
                    break;
                }
                (rest, Some("**")) => {
                    shared.extend(rest);
                    shared.extend(ones);
                    break;
                }
                (Some("*"), Some(segment)) | (Some(segment), Some("*")) => shared.push(segment),
                (Some(one), Some(other)) if one == other => shared.push(one),
                _ => return None,
            }
        }
        Some(Self(shared.join("/").into()))
    }

    /// Whether any topic passes whose events have labels of this kind.
    pub fn reaches(&self, kind: LabelsOf) -> bool {
        match self.0.split('/').next() {
            Some("*" | "**") => true,
            Some(Topic::PRESENCE) => kind == LabelsOf::Alert && self.reaches_at_alerts(),
            first => LabelsOf::below(first.unwrap_or_default()) == Some(kind),
        }
    }

    /// Whether any topic passes that tells who has an alert open.
    fn reaches_at_alerts(&self) -> bool {
        let mut own = self.0.split('/');
        let names = [Topic::PRESENCE].into_iter().chain(Topic::AT_ALERTS.split('/'));
        for name in names {
            match own.next() {
                Some("**") => return true,
                Some(segment) if segment == "*" || segment == name => {}
                _ => return false,
            }
        }
        // What is behind is the fingerprint.
        own.next().is_some()
    }
}

/// Whether a pattern begins with a wildcard that never stands for what `name` begins with.
fn is_kept_from(pattern: &str, name: &str) -> bool {
    pattern.starts_with('*') && Topic::has_to_be_named(name)
}

/// Whether `name` passes `pattern`. `name` may be a pattern itself: then `*` in it stands for a
/// segment that only a wildcard covers, and `**` for a rest that only `**` covers.
fn passes(pattern: &str, name: &str) -> bool {
    if is_kept_from(pattern, name) {
        return false;
    }
    let (mut patterns, mut names) = (pattern.split('/'), name.split('/'));
    loop {
        match (patterns.next(), names.next()) {
            (Some("**"), _) | (None, None) => return true,
            (_, Some("**")) | (None, Some(_)) | (Some(_), None) => return false,
            (Some("*"), Some(_)) => {}
            (Some(pattern), Some(name)) if pattern != name => return false,
            (Some(_), Some(_)) => {}
        }
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        check_name(text)?;
        let mut segments = text.split('/').peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "*" => {}
                "**" if segments.peek().is_none() => {}
                "**" => return Err(FilterError::RestNotLast),
                _ if segment.contains('*') => return Err(FilterError::PartialWildcard),
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }
}

impl From<&Topic> for Filter {
    fn from(topic: &Topic) -> Self {
        Self(topic.as_str().into())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no filter, or filters are no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FilterError {
    /// It breaks a rule of topics.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// `**` before the end.
    #[error("`**` stands only at the end of a filter: `a/**`")]
    RestNotLast,
    /// `*` beside other characters.
    #[error("`*` stands for a whole segment: `a/*/c`, not `a/b*`")]
    PartialWildcard,
    /// A subscription that follows nothing.
    #[error("name at least one topic to follow: `?topic=alerts/**`")]
    Empty,
    /// More filters than [`FILTERS_PER_CONNECTION_MAX`].
    #[error("a connection follows at most {FILTERS_PER_CONNECTION_MAX} filters, not {filters}")]
    TooMany {
        /// The number found.
        filters: usize,
    },
    /// More than [`FILTERS_IN_COMMON_MAX`] in an intersection.
    #[error(
        "what is asked for and what is allowed have more than {FILTERS_IN_COMMON_MAX} filters in \
         common: follow fewer topics, or name them with fewer wildcards"
    )]
    IntersectionTooLarge,
}

/// What a connection follows: its filters in canonical form (sorted, none twice, none covered by
/// another), so that equal interests are equal values and share one lane.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterSet(Arc<[Filter]>);

impl FilterSet {
    /// The canonical form of `filters`.
    pub fn new(filters: impl IntoIterator<Item = Filter>) -> Result<Self, FilterError> {
        let filters: Vec<Filter> = filters.into_iter().collect();
        match filters.len() {
            0 => Err(FilterError::Empty),
            1..=FILTERS_PER_CONNECTION_MAX => Ok(Self::canonical(filters)),
            filters => Err(FilterError::TooMany { filters }),
        }
    }

    /// What passes either set. It may have more filters than a connection may name at once: whoever
    /// unites sets counts their filters.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::canonical(self.iter().chain(other.iter()).cloned().collect())
    }

    /// What passes both sets. Two sets of many filters may have very many in common, each of which
    /// would be held against each: such an intersection is refused.
    pub fn intersection(&self, other: &Self) -> Result<Self, FilterError> {
        if other.covers(self) {
            return Ok(self.clone());
        }
        if self.covers(other) {
            return Ok(other.clone());
        }
        let mut shared = BTreeSet::new();
        for (one, other) in self.iter().flat_map(|one| other.iter().map(move |it| (one, it))) {
            shared.extend(one.intersection(other));
            if shared.len() > FILTERS_IN_COMMON_MAX {
                return Err(FilterError::IntersectionTooLarge);
            }
        }
        Ok(Self::canonical(shared.into_iter().collect()))
    }

    /// The canonical form of any number of filters: of rights, whose bound is whoever grants them.
    pub fn gathered(filters: Vec<Filter>) -> Self {
        Self::canonical(filters)
    }

    pub(crate) fn canonical(mut filters: Vec<Filter>) -> Self {
        filters.sort_unstable();
        filters.dedup();
        // Of two that differ only one with wildcards can cover the other.
        let wide: Vec<&Filter> = filters.iter().filter(|filter| !filter.is_exact()).collect();
        let covered = |filter: &&Filter| wide.iter().any(|o| *o != *filter && o.covers(filter));
        Self(filters.iter().filter(|filter| !covered(filter)).cloned().collect())
    }

    /// Whether whatever passes `other` passes this set, too.
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|filter| self.iter().any(|wider| wider.covers(filter)))
    }

    /// Whether any topic passes whose events have labels of this kind.
    pub fn reaches(&self, kind: LabelsOf) -> bool {
        self.0.iter().any(|filter| filter.reaches(kind))
    }

    /// Whether nothing passes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What follows nothing.
    pub fn none() -> Self {
        Self(Arc::new([]))
    }

    /// Whether events of `topic` pass any of the filters.
    pub fn matches(&self, topic: &Topic) -> bool {
        self.0.iter().any(|filter| filter.matches(topic))
    }

    /// The filters, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Filter> {
        self.0.iter()
    }
}

impl From<Filter> for FilterSet {
    fn from(filter: Filter) -> Self {
        Self(Arc::new([filter]))
    }
}

impl fmt::Display for FilterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, filter) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(filter.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(text: &str) -> Filter {
        text.parse().expect(text)
    }

    fn set(texts: &[&str]) -> FilterSet {
        FilterSet::new(texts.iter().map(|text| filter(text))).expect("a set")
    }

    #[test]
    fn wildcards_stand_for_one_segment_or_the_rest() {
        let cases = [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/*", "a/b", true),
            ("a/*", "a", false),
            ("a/*", "a/b/c", false),
            ("a/*/c", "a/b/c", true),
            ("a/**", "a", true),
            ("a/**", "a/b/c", true),
            ("a/**", "ab", false),
            ("**", "a/b", true),
            ("**", "$sys/uptime", false),
            ("*/uptime", "$sys/uptime", false),
            ("$sys/**", "$sys/uptime", true),
        ];
        for (pattern, topic, expected) in cases {
            let topic: Topic = topic.parse().expect("a topic");
            assert_eq!(filter(pattern).matches(&topic), expected, "{pattern} on {topic}");
        }
    }

    #[test]
    fn misplaced_wildcards_are_refused() {
        assert_eq!("a/**/b".parse::<Filter>(), Err(FilterError::RestNotLast));
        assert_eq!("a/b*".parse::<Filter>(), Err(FilterError::PartialWildcard));
        assert_eq!("a/***".parse::<Filter>(), Err(FilterError::PartialWildcard));
        assert_eq!("".parse::<Filter>(), Err(FilterError::Topic(TopicError::EmptySegment)));
    }

    #[test]
    fn equal_interests_are_equal_sets() {
        assert_eq!(set(&["b", "a", "a"]), set(&["a", "b"]));
        assert_eq!(set(&["a/**", "a/b", "a/*"]), set(&["a/**"]));
        assert_eq!(set(&["$sys/x", "**"]).to_string(), "$sys/x **");
        assert_eq!(FilterSet::new([]), Err(FilterError::Empty));
    }

    #[test]
    fn a_union_is_the_set_of_all_filters_and_covers_both() {
        let (one, other) = (set(&["a/*", "b"]), set(&["a/x", "b", "c/**"]));
        let union = one.union(&other);
        assert_eq!(union, set(&["a/*", "b", "c/**"]));
        assert!(union.covers(&one) && union.covers(&other));
        assert!(!one.covers(&other) && !other.covers(&union));
    }

    #[test]
    fn what_is_gathered_is_as_much_as_there_is_in_canonical_form() {
        let many = || (0..3 * FILTERS_PER_CONNECTION_MAX).map(|it| filter(&format!("a/{it}")));
        let gathered = FilterSet::gathered(many().chain(many()).collect());
        assert_eq!(gathered.iter().count(), 3 * FILTERS_PER_CONNECTION_MAX);
        assert!(gathered.matches(&"a/100".parse().expect("a topic")));
        assert!(!gathered.matches(&"a/b".parse().expect("a topic")));
        let wide = FilterSet::gathered(many().chain([filter("a/*")]).collect());
        assert_eq!(wide, set(&["a/*"]));
        assert_eq!(FilterSet::gathered(Vec::new()), FilterSet::none());
    }

    #[test]
    fn two_filters_have_one_in_common_or_none() {
        let cases = [
            ("**", "a/b", Some("a/b")),
            ("**", "$sys/a", None),
            ("*/a", "$sys/**", None),
            ("$sys/*", "$sys/a/**", Some("$sys/a")),
            ("a/**", "a", Some("a")),
            ("a/**", "*", Some("a")),
            ("a/*/**", "a", None),
            ("a/*/**", "*/b/*", Some("a/b/*")),
            ("a/*", "*/b/**", Some("a/b")),
            ("a/*/c", "*/b/*", Some("a/b/c")),
            ("a/*", "a/*/c", None),
            ("a/**", "b/**", None),
            ("**", "*/**", Some("*/**")),
        ];
        for (one, other, shared) in cases {
            let (one, other) = (filter(one), filter(other));
            assert_eq!(one.intersection(&other), shared.map(filter), "{one} and {other}");
            assert_eq!(other.intersection(&one), shared.map(filter), "{other} and {one}");
        }
    }

    #[test]
    fn what_very_many_have_in_common_is_refused() {
        let columns = |count: usize| {
            FilterSet::new((0..count).map(|it| filter(&format!("*/{it}")))).expect("a set")
        };
        let rows = |count: usize| {
            FilterSet::new((0..count).map(|it| filter(&format!("{it}/*")))).expect("a set")
        };
        let shared = columns(16).intersection(&rows(16)).expect("few enough");
        assert_eq!(shared.iter().count(), 256);
        assert_eq!(columns(64).intersection(&rows(64)), Err(FilterError::IntersectionTooLarge));
        assert_eq!(columns(64).intersection(&columns(64)), Ok(columns(64)));
        let everything = FilterSet::from(filter("**"));
        assert_eq!(columns(64).intersection(&everything), Ok(columns(64)));
    }

    #[test]
    fn a_filter_reaches_what_may_have_labels() {
        let reached = |text: &str| {
            let kinds = LabelsOf::ALL.into_iter().filter(|kind| filter(text).reaches(*kind));
            kinds.collect::<Vec<_>>()
        };
        for text in ["**", "*/active", "*"] {
            assert_eq!(reached(text), LabelsOf::ALL, "{text}");
        }
        assert_eq!(reached("alerts/active"), [LabelsOf::Alert]);
        for text in
            ["**", "*/**", "alerts/**", "alerts/*/**", "alerts/at/*", "*/at/f8", "alerts/at/f8"]
        {
            assert_eq!(reached(&format!("presence/{text}")), [LabelsOf::Alert], "{text}");
        }
        for text in ["alerts/active", "rooms/**", "*/active", "alerts/at", "alerts/*", "*"] {
            assert!(reached(&format!("presence/{text}")).is_empty(), "{text}");
        }
        assert_eq!(reached("samples/**"), [LabelsOf::Series]);
        assert_eq!(reached("rules/*"), [LabelsOf::Series]);
        assert_eq!(reached("$alerts/**"), [LabelsOf::Series]);
        for text in ["a/**", "$sys/**", "alertsx/active"] {
            assert_eq!(reached(text), [], "{text}");
        }
    }

    prop_compose! {
        fn any_filter()(
            mut segments in prop::collection::vec(prop::sample::select(vec!["a", "b", "$c", "*"]), 1..4),
            rest in any::<bool>(),
        ) -> Filter {
            if rest {
                segments.push("**");
            }
            filter(&segments.join("/"))
        }
    }

    prop_compose! {
        fn any_topic()(
            segments in prop::collection::vec(prop::sample::select(vec!["a", "b", "$c"]), 1..5),
        ) -> Topic {
            segments.join("/").parse().expect("a topic")
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_matches_what_the_filters_match(
            filters in prop::collection::vec(any_filter(), 1..6),
            topic in any_topic(),
        ) {
            let expected = filters.iter().any(|filter| filter.matches(&topic));
            prop_assert_eq!(FilterSet::new(filters).expect("a set").matches(&topic), expected);
        }

        #[test]
        fn a_topic_passes_an_intersection_if_it_passes_both(
            one in prop::collection::vec(any_filter(), 1..6),
            other in prop::collection::vec(any_filter(), 1..6),
            topic in any_topic(),
        ) {
            let shared = one[0].intersection(&other[0]);
            let passes_both = one[0].matches(&topic) && other[0].matches(&topic);
            prop_assert_eq!(shared.as_ref().is_some_and(|it| it.matches(&topic)), passes_both);
            if let Some(shared) = shared {
                prop_assert_eq!(shared.as_str().parse(), Ok(shared.clone()), "it is a filter");
                prop_assert!(one[0].covers(&shared) && other[0].covers(&shared));
            }
            let [one, other] = [one, other].map(|it| FilterSet::new(it).expect("a set"));
            let shared = one.intersection(&other).expect("few");
            prop_assert_eq!(shared.matches(&topic), one.matches(&topic) && other.matches(&topic));
            prop_assert!(one.covers(&shared) && other.covers(&shared));
            prop_assert_eq!(&FilterSet::canonical(shared.iter().cloned().collect()), &shared);
            let is_same = shared.iter().eq(other.intersection(&one).expect("few").iter());
            prop_assert!(is_same || one.covers(&other) || other.covers(&one));
        }
    }
}
