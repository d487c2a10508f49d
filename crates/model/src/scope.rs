//! Scopes: which alerts and which series somebody may see, by their labels.

use std::sync::Arc;

use crate::labels::Labels;
use crate::matcher::{Matcher, Matchers};
use crate::topic::{LabelsOf, Topic};

/// Which labelled things may be seen: all of them, or those that pass any of some matchers. In
/// canonical form, so that rights which are written differently and mean the same are equal.
///
/// A thin pointer: most may see everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope(Option<Arc<Vec<Matchers>>>);

impl Scope {
    /// Everything, also what has no labels.
    pub const fn all() -> Self {
        Self(None)
    }

    /// Nothing.
    pub fn none() -> Self {
        Self::of(Vec::new())
    }

    /// What passes all matchers of any of these. Matchers that are none let everything pass.
    pub fn of(sets: Vec<Matchers>) -> Self {
        let mut sets: Vec<Matchers> = sets.iter().map(Matchers::canonical).collect();
        if sets.iter().any(Matchers::is_empty) {
            return Self::all();
        }
        sets.sort_unstable();
        sets.dedup();
        let kept = sets.iter().filter(|set| !is_covered(&sets, set)).cloned().collect();
        Self(Some(Arc::new(kept)))
    }

    /// Whether everything may be seen.
    pub const fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether something with these labels may be seen.
    pub fn passes(&self, labels: &Labels) -> bool {
        self.0.as_ref().is_none_or(|sets| sets.iter().any(|set| set.matches(labels)))
    }

    /// The same; nothing where it takes more steps than are left to find out.
    pub fn passes_within(&self, labels: &Labels, steps: &mut usize) -> Option<bool> {
        let Some(sets) = &self.0 else { return Some(true) };
        for set in sets.iter() {
            if set.matches_within(labels, steps)? {
                return Some(true);
            }
        }
        Some(false)
    }

    /// What passes either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        match (&self.0, &other.0) {
            (Some(ones), Some(others)) if self != other => {
                Self::of(ones.iter().chain(others.iter()).cloned().collect())
            }
            (Some(_), Some(_)) => self.clone(),
            _ => Self::all(),
        }
    }

    /// Whether what passes `other` passes this, too, as far as the matchers' texts tell: each of the
    /// other's sets asks for all that one of these does.
    pub fn covers(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wider), Some(narrower)) => narrower
                .iter()
                .all(|narrower| wider.iter().any(|wider| asks_for_all(narrower, wider))),
        }
    }

    /// Whether whatever passes these matchers passes this, as far as the matchers' texts tell.
    pub fn covers_all_of(&self, matchers: &Matchers) -> bool {
        self.0.as_ref().is_none_or(|sets| sets.iter().any(|wider| asks_for_all(matchers, wider)))
    }

    /// Bytes that it keeps, about. Its clones keep the same ones.
    pub fn size_bytes(&self) -> usize {
        self.sets().unwrap_or_default().iter().map(Matchers::size_bytes).sum()
    }

    /// Where it keeps them, for as long as it or a clone is there; `None` where it keeps nothing.
    pub fn address(&self) -> Option<usize> {
        self.0.as_ref().map(|sets| Arc::as_ptr(sets).addr())
    }

    /// The matchers of which any lets pass; `None` where everything passes.
    pub fn sets(&self) -> Option<&[Matchers]> {
        self.0.as_ref().map(|sets| sets.as_slice())
    }
}

/// Whether what passes `narrower` passes `wider`, since it has all matchers of that.
fn asks_for_all(narrower: &Matchers, wider: &Matchers) -> bool {
    wider.iter().all(|matcher| narrower.iter().any(|other| other == matcher))
}

/// Whether another of these sets asks for less than `narrower` does. All are sorted, and none is there
/// twice: those that begin alike stand together, and no beginning is looked at more than once.
fn is_covered(sets: &[Matchers], narrower: &Matchers) -> bool {
    is_covered_from(sets, 0, narrower.iter().as_slice(), narrower)
}

/// The same, where all sets begin with the same `depth` matchers, and so much of `narrower` is left.
fn is_covered_from(sets: &[Matchers], depth: usize, rest: &[Matcher], narrower: &Matchers) -> bool {
    // The shortest comes first.
    if sets.first().is_some_and(|set| set.iter().len() == depth && set != narrower) {
        return true;
    }
    rest.iter().enumerate().any(|(index, matcher)| {
        let start = sets.partition_point(|set| set.iter().nth(depth) < Some(matcher));
        let alike = &sets[start..];
        let end = alike.partition_point(|set| set.iter().nth(depth) == Some(matcher));
        end > 0 && is_covered_from(&alike[..end], depth + 1, &rest[index + 1..], narrower)
    })
}

/// What somebody may see of what has labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sight {
    /// Alerts.
    pub alerts: Scope,
    /// Series.
    pub series: Scope,
}

impl Sight {
    /// Everything.
    pub const fn all() -> Self {
        Self { alerts: Scope::all(), series: Scope::all() }
    }

    /// Whether everything may be seen.
    pub const fn is_all(&self) -> bool {
        self.alerts.is_all() && self.series.is_all()
    }

    /// What may be seen of one kind.
    pub const fn of(&self, kind: LabelsOf) -> &Scope {
        match kind {
            LabelsOf::Alert => &self.alerts,
            LabelsOf::Series => &self.series,
        }
    }

    /// What may be seen on a topic whose events have labels; `None` where that is everything.
    pub fn on(&self, topic: &Topic) -> Option<&Scope> {
        if self.is_all() {
            return None;
        }
        topic.labels_of().map(|kind| self.of(kind)).filter(|scope| !scope.is_all())
    }

    /// Whether an event of `topic` with these labels may be seen. One without labels may where
    /// everything may.
    pub fn shows<'a>(&self, topic: &Topic, labels: impl FnOnce() -> Option<&'a Labels>) -> bool {
        let Some(scope) = self.on(topic) else { return true };
        labels().is_some_and(|labels| scope.passes(labels))
    }

    /// The same where only these kinds are reached: who reaches none of a kind sees what everybody
    /// sees of it, and may share.
    pub(crate) fn reaching(&self, is_reached: impl Fn(LabelsOf) -> bool) -> Self {
        let of = |kind| if is_reached(kind) { self.of(kind).clone() } else { Scope::all() };
        Self { alerts: of(LabelsOf::Alert), series: of(LabelsOf::Series) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(sets: &[&str]) -> Scope {
        Scope::of(sets.iter().map(|set| set.parse().expect("matchers")).collect())
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("labels")
    }

    #[test]
    fn equal_rights_are_equal_values() {
        let cases: [(&[&str], &[&str]); 6] = [
            (&["team=a"], &["team=a", "team=a"]),
            (&["team=a,site=x"], &["site=x,team=a,site=x"]),
            (&["team=a", "team=b"], &["team=b", "team=a"]),
            (&["team=a"], &["team=a", "team=a,site=x"]),
            (&[""], &["team=a", "{}"]),
            (&[], &[]),
        ];
        for (one, other) in cases {
            assert_eq!(scope(one), scope(other), "{one:?} {other:?}");
        }
        assert_eq!(scope(&[""]), Scope::all());
        assert_eq!(scope(&[]), Scope::none());
        assert_ne!(Scope::none(), Scope::all());
        assert_ne!(scope(&["team=a"]), scope(&["team=~a"]), "they are compared by their texts");
    }

    #[test]
    fn what_has_no_labels_is_for_those_who_see_all_of_its_kind() {
        let payments = Sight { alerts: scope(&["team=payments"]), series: Scope::all() };
        let (theirs, others) = (labels(&[("team", "payments")]), labels(&[("team", "search")]));
        let shows = |topic: &str, labels: Option<&Labels>| {
            payments.shows(&topic.parse().expect("a topic"), || labels)
        };
        for topic in ["alerts/active", "alerts/events/critical/Down", "alerts/dead-letters/x"] {
            assert!(shows(topic, Some(&theirs)), "{topic}");
            assert!(!shows(topic, Some(&others)), "{topic}");
            assert!(!shows(topic, None), "{topic}");
        }
        for topic in ["samples/up", "rules/up", "lab/a", "$sys/alerts"] {
            assert!(shows(topic, Some(&others)) && shows(topic, None), "{topic}");
        }
        let blind = Sight { alerts: Scope::none(), series: Scope::none() };
        for topic in ["alerts/active", "samples/up", "rules/up"] {
            assert!(!blind.shows(&topic.parse().expect("a topic"), || Some(&theirs)), "{topic}");
        }
    }

    prop_compose! {
        fn any_scope()(
            sets in prop::collection::vec(
                prop::sample::subsequence(
                    vec!["team=a", "team=b", "team!=a", "site=~x|y", "site=x"], 0..3,
                ),
                0..4,
            ),
        ) -> (Vec<String>, Scope) {
            let sets: Vec<String> = sets.iter().map(|set| set.join(",")).collect();
            let scope = scope(&sets.iter().map(String::as_str).collect::<Vec<_>>());
            (sets, scope)
        }
    }

    prop_compose! {
        fn any_labels()(
            team in prop::sample::select(vec!["", "a", "b", "c"]),
            site in prop::sample::select(vec!["", "x", "y", "z"]),
        ) -> Labels {
            labels(&[("team", team), ("site", site)])
        }
    }

    /// Matchers of a few, often with the same beginnings.
    fn any_sets() -> impl Strategy<Value = Vec<String>> {
        let few = ["a=1", "b=1", "b=2", "c!=1", "d=~x", "e=1"];
        let set = prop::sample::subsequence(few.to_vec(), 1..5).prop_map(|set| set.join(","));
        prop::collection::vec(set, 0..16)
    }

    proptest! {
        #[test]
        fn of_sets_those_are_kept_that_ask_for_less_than_all_others(texts in any_sets()) {
            let sets: Vec<Matchers> = texts.iter().map(|it| it.parse().expect("matchers")).collect();
            let is_kept = |set: &&Matchers| {
                !sets.iter().any(|wider| wider != *set && asks_for_all(set, wider))
            };
            let mut kept: Vec<Matchers> = sets.iter().filter(is_kept).cloned().collect();
            kept.sort_unstable();
            kept.dedup();
            let scope = Scope::of(sets.clone());
            prop_assert_eq!(scope.sets(), Some(&*kept));
        }

        #[test]
        fn a_scope_passes_what_any_of_its_sets_does(
            (sets, one) in any_scope(),
            (others, other) in any_scope(),
            labels in any_labels(),
        ) {
            let passes = |sets: &[String]| {
                sets.iter().any(|set| set.parse::<Matchers>().expect("matchers").matches(&labels))
            };
            prop_assert_eq!(one.passes(&labels), passes(&sets));
            let union = one.union(&other);
            prop_assert_eq!(union.passes(&labels), passes(&sets) || passes(&others));
            prop_assert!(union.covers(&one) && union.covers(&other));
            prop_assert_eq!(other.union(&one), union);
            let all = &mut usize::MAX.clone();
            prop_assert_eq!(one.passes_within(&labels, all), Some(one.passes(&labels)));
            for set in other.sets().unwrap_or_default() {
                prop_assert_eq!(one.covers_all_of(set), one.covers(&Scope::of(vec![set.clone()])));
            }
            if one.covers(&other) && other.passes(&labels) {
                prop_assert!(one.passes(&labels));
            }
            prop_assert_eq!(one.covers(&other) && other.covers(&one), one == other);
        }
    }
}
