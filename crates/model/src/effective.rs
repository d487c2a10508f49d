//! Effective filters: what a subscriber follows, how often it wants to hear of it, and what of it it
//! may see.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::filter::{Filter, FilterError, FilterSet};
use crate::limits::{
    FILTERS_IN_COMMON_MAX, FILTERS_PER_CONNECTION_MAX, UPDATE_INTERVAL_MAX, UPDATE_INTERVAL_MIN,
};
use crate::scope::Sight;
use crate::topic::{LabelsOf, Topic};

/// How many updates of one key of a state topic a subscriber wants in a second at most. Kept as the
/// time between two of them, so that rates which do the same are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaxRate {
    interval_ms: NonZeroU32,
}

impl MaxRate {
    /// This many a second; less than one is fine, such as 0.2 for one in five seconds.
    pub fn per_second(updates: f64) -> Result<Self, MaxRateError> {
        let slowest = 1.0 / UPDATE_INTERVAL_MAX.as_secs_f64();
        let fastest = 1.0 / UPDATE_INTERVAL_MIN.as_secs_f64();
        if !(slowest..=fastest).contains(&updates) {
            return Err(MaxRateError);
        }
        // Rounded up: never more than was asked for.
        let interval_ms = NonZeroU32::new((1000.0 / updates).ceil() as u32);
        Ok(Self { interval_ms: interval_ms.expect("at least the shortest interval") })
    }

    /// Milliseconds between two updates of a key, at least.
    pub fn interval_ms(self) -> u64 {
        u64::from(self.interval_ms.get())
    }
}

impl FromStr for MaxRate {
    type Err = MaxRateError;

    fn from_str(text: &str) -> Result<Self, MaxRateError> {
        Self::per_second(text.parse().map_err(|_| MaxRateError)?)
    }
}

/// This is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "it is a number of updates a second for each key, such as 5 or 0.2: from {} to {}",
    1.0 / UPDATE_INTERVAL_MAX.as_secs_f64(),
    1.0 / UPDATE_INTERVAL_MIN.as_secs_f64()
)]
pub struct MaxRateError;

/// A filter and how often it brings each key; `None` is no limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacedFilter {
    /// Which topics.
    pub filter: Filter,
    /// How often.
    pub max_rate: Option<MaxRate>,
}

impl PacedFilter {
    /// Whether this brings all that `other` brings, as often.
    fn outdoes(&self, other: &Self) -> bool {
        self.filter.covers(&other.filter) && self.interval() <= other.interval()
    }

    /// No limit is no time at all between two updates.
    fn interval(&self) -> u32 {
        self.max_rate.map_or(0, |rate| rate.interval_ms.get())
    }
}

/// What a connection follows: its filters, each with the rate that it has, in canonical form, and
/// which of the labelled things there it may see. Equal interests of those who may see the same are
/// equal values and share one lane.
///
/// ```text
/// a/**            a/b is covered: dropped
/// a/** at 1/s     a/b at 5/s brings more: kept; a/c at 0.2/s is dropped
/// ```
///
/// A topic that several filters reach has the highest of their rates. Streams have none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EffectiveFilter {
    filters: FilterSet,
    /// A thin pointer: those without rates and scopes are many, and do not pay for those with.
    restraint: Option<Arc<Restraint>>,
}

/// What those have who do not get everything that passes their filters: a rate, or less than all to
/// see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Restraint {
    /// Every filter with its rate, if any has one. It may be more of them than those without are.
    paced: Option<Box<[PacedFilter]>>,
    /// All of each kind that no filter reaches.
    sight: Sight,
}

/// What most may see.
static EVERYTHING: Sight = Sight::all();

impl EffectiveFilter {
    /// The canonical form of filters and their rates.
    pub fn new(filters: impl IntoIterator<Item = PacedFilter>) -> Result<Self, FilterError> {
        let paced: Vec<PacedFilter> = filters.into_iter().collect();
        match paced.len() {
            0 => Err(FilterError::Empty),
            1..=FILTERS_PER_CONNECTION_MAX => Ok(Self::canonical(paced)),
            filters => Err(FilterError::TooMany { filters }),
        }
    }

    /// What follows nothing.
    pub fn none() -> Self {
        FilterSet::none().into()
    }

    /// The same rate for all of these.
    pub fn paced(filters: FilterSet, max_rate: Option<MaxRate>) -> Self {
        let paced = |filter: &Filter| PacedFilter { filter: filter.clone(), max_rate };
        let paced = max_rate.map(|_| filters.iter().map(paced).collect());
        Self::restrained(filters, paced, Sight::all())
    }

    fn restrained(filters: FilterSet, paced: Option<Box<[PacedFilter]>>, sight: Sight) -> Self {
        let is_restrained = paced.is_some() || !sight.is_all();
        let restraint = is_restrained.then(|| Arc::new(Restraint { paced, sight }));
        Self { filters, restraint }
    }

    /// Every filter with its rate, if any has one.
    fn rates(&self) -> Option<&[PacedFilter]> {
        self.restraint.as_ref()?.paced.as_deref()
    }

    /// The same for somebody who sees this.
    fn seeing(self, sight: Sight) -> Self {
        if sight == *self.sight() {
            return self;
        }
        Self::restrained(self.filters.clone(), self.rates().map(Into::into), sight)
    }

    /// What is left of it for somebody who may follow only these topics, and see only this of what
    /// has labels. Rates stay as they are.
    pub fn within(self, allowed: &FilterSet, sight: &Sight) -> Result<Self, FilterError> {
        let narrowed = if allowed.covers(&self.filters) {
            self
        } else if self.rates().is_none() {
            self.filters.intersection(allowed)?.into()
        } else {
            Self::canonical(self.intersected(allowed)?)
        };
        let sight = sight.reaching(|kind| narrowed.filters.reaches(kind));
        Ok(narrowed.seeing(sight))
    }

    /// What each filter has in common with each that is allowed.
    fn intersected(&self, allowed: &FilterSet) -> Result<Vec<PacedFilter>, FilterError> {
        let mut shared = BTreeSet::new();
        for PacedFilter { filter, max_rate } in self.iter() {
            let filters = allowed.iter().filter_map(|other| filter.intersection(other));
            shared.extend(filters.map(|filter| PacedFilter { filter, max_rate }));
            if shared.len() > FILTERS_IN_COMMON_MAX {
                return Err(FilterError::IntersectionTooLarge);
            }
        }
        Ok(shared.into_iter().collect())
    }

    /// What of the labelled things among these topics may be seen.
    pub fn sight(&self) -> &Sight {
        self.restraint.as_ref().map_or(&EVERYTHING, |restraint| &restraint.sight)
    }

    /// Topics, without rates: what has to match.
    pub fn filters(&self) -> &FilterSet {
        &self.filters
    }

    /// How often the keys of `topic`, which passes, may change; `None` is no limit.
    pub fn max_rate(&self, topic: &Topic) -> Option<MaxRate> {
        let reaching = self.rates()?.iter().filter(|paced| paced.filter.matches(topic));
        reaching.min_by_key(|paced| paced.interval())?.max_rate
    }

    /// Whether any of the filters has a rate.
    pub fn is_paced(&self) -> bool {
        self.rates().is_some()
    }

    /// What either brings, as often as either does, to somebody who sees the same through both. It
    /// may have more filters than a connection may name at once: whoever unites them counts.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        assert!(self.sees_like(other), "what one sees is not shown through what another follows");
        let of = |kind| {
            let reaching = if self.filters.reaches(kind) { self } else { other };
            reaching.sight().of(kind).clone()
        };
        let sight = Sight { alerts: of(LabelsOf::Alert), series: of(LabelsOf::Series) };
        Self::canonical(self.iter().chain(other.iter()).collect()).seeing(sight)
    }

    /// Whether the same may be seen through both, of each kind that both reach.
    pub fn sees_like(&self, other: &Self) -> bool {
        LabelsOf::ALL.into_iter().all(|kind| {
            let both_reach = self.filters.reaches(kind) && other.filters.reaches(kind);
            !both_reach || self.sight().of(kind) == other.sight().of(kind)
        })
    }

    /// Whether this brings all that `other` brings, as often, to somebody who sees the same.
    pub fn covers(&self, other: &Self) -> bool {
        self.sees_like(other) && other.iter().all(|narrower| self.brings(&narrower))
    }

    /// Whether this brings all that `paced` brings, as often.
    pub fn brings(&self, paced: &PacedFilter) -> bool {
        self.iter().any(|wider| wider.outdoes(paced))
    }

    /// What this was made of, unless that is these very filters: others of them may cover some, and
    /// only a part of some may be followed.
    pub fn unless_these(&self, mut asked: Vec<PacedFilter>) -> Vec<PacedFilter> {
        asked.sort_unstable();
        asked.dedup();
        if self.iter().eq(asked.iter().cloned()) {
            return Vec::new();
        }
        asked.shrink_to_fit();
        asked
    }

    /// The filters, sorted, with their rates.
    pub fn iter(&self) -> impl Iterator<Item = PacedFilter> {
        let plain = if self.rates().is_none() { Some(&self.filters) } else { None };
        let plain = plain.into_iter().flat_map(FilterSet::iter);
        let plain = plain.map(|filter| PacedFilter { filter: filter.clone(), max_rate: None });
        plain.chain(self.rates().unwrap_or_default().iter().cloned())
    }

    fn canonical(mut paced: Vec<PacedFilter>) -> Self {
        // Of equal filters the one with the highest rate comes first, and stays.
        paced.sort_unstable_by(|one, other| {
            one.filter.cmp(&other.filter).then(one.interval().cmp(&other.interval()))
        });
        paced.dedup_by(|later, earlier| later.filter == earlier.filter);
        let is_outdone = |narrower: &&PacedFilter| {
            let mut others = paced.iter().filter(|other| other.filter != narrower.filter);
            others.any(|wider| wider.outdoes(narrower))
        };
        let kept: Vec<_> = paced.iter().filter(|paced| !is_outdone(paced)).cloned().collect();
        let filters = FilterSet::canonical(kept.iter().map(|kept| kept.filter.clone()).collect());
        let is_paced = kept.iter().any(|kept| kept.max_rate.is_some());
        Self::restrained(filters, is_paced.then(|| kept.into()), Sight::all())
    }
}

impl From<FilterSet> for EffectiveFilter {
    fn from(filters: FilterSet) -> Self {
        Self { filters, restraint: None }
    }
}

impl fmt::Display for EffectiveFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, PacedFilter { filter, max_rate }) in self.iter().enumerate() {
            let space = if index > 0 { " " } else { "" };
            write!(f, "{space}{filter}")?;
            if let Some(rate) = max_rate {
                write!(f, "@{}ms", rate.interval_ms)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scope::Scope;

    fn effective(filters: &[(&str, Option<f64>)]) -> EffectiveFilter {
        let paced = |(filter, rate): &(&str, Option<f64>)| PacedFilter {
            filter: filter.parse().expect("a filter"),
            max_rate: rate.map(|rate| MaxRate::per_second(rate).expect("a rate")),
        };
        EffectiveFilter::new(filters.iter().map(paced)).expect("a filter")
    }

    #[test]
    fn a_rate_is_a_time_between_updates() {
        let cases = [
            ("5", 200),
            ("0.2", 5_000),
            ("3", 334),
            ("1000", 1),
            ("0.001", 1_000_000),
            ("1e2", 10),
        ];
        for (text, interval_ms) in cases {
            assert_eq!(text.parse().map(MaxRate::interval_ms), Ok(interval_ms), "{text}");
        }
        for text in ["", "0", "-1", "fast", "NaN", "inf", "-inf", "1001", "0.0009", "5/s"] {
            assert_eq!(text.parse::<MaxRate>(), Err(MaxRateError), "{text}");
        }
        let range =
            "it is a number of updates a second for each key, such as 5 or 0.2: from 0.001 to 1000";
        assert_eq!(MaxRateError.to_string(), range);
    }

    #[test]
    fn equal_interests_are_equal_values() {
        let cases: [(&[_], &str); 8] = [
            (&[("a", None), ("b/*", None)], "a b/*"),
            (&[("a", Some(5.0)), ("a", Some(1.0))], "a@200ms"),
            (&[("a", Some(5.0)), ("a", None)], "a"),
            (&[("a/**", None), ("a/b", Some(5.0))], "a/**"),
            (&[("a/**", Some(1.0)), ("a/b", Some(5.0))], "a/**@1000ms a/b@200ms"),
            (&[("a/**", Some(1.0)), ("a/b", Some(0.2))], "a/**@1000ms"),
            (&[("a/**", Some(1.0)), ("a/b", None)], "a/**@1000ms a/b"),
            (&[("b", None), ("a", Some(1.0))], "a@1000ms b"),
        ];
        for (filters, expected) in cases {
            assert_eq!(effective(filters).to_string(), expected);
        }
        let paced = effective(&[("a/**", Some(1.0)), ("a/b", Some(5.0))]);
        assert_eq!(paced.filters().to_string(), "a/**");
        let plain = FilterSet::from("a".parse::<Filter>().expect("a filter"));
        assert_eq!(effective(&[("a", None)]), plain.clone().into());
        let rate = MaxRate::per_second(5.0).ok();
        assert_eq!(effective(&[("a", Some(5.0))]), EffectiveFilter::paced(plain, rate));
    }

    #[test]
    fn what_was_asked_for_is_remembered_where_something_else_is_followed() {
        let paced = |filter: &str| PacedFilter {
            filter: filter.parse().expect("a filter"),
            max_rate: None,
        };
        let remembered = |asked: &[&str], allowed: &FilterSet| {
            let asked: Vec<_> = asked.iter().map(|filter| paced(filter)).collect();
            let kept = EffectiveFilter::new(asked.clone()).expect("a filter");
            let kept = kept.within(allowed, &Sight::all()).expect("few filters");
            let remembered = kept.unless_these(asked);
            let remembered: Vec<_> = remembered.iter().map(|it| it.filter.to_string()).collect();
            (kept.to_string(), remembered.join(" "))
        };
        let everything = allowed(&["**"]);
        assert_eq!(remembered(&["b", "a/*", "b"], &everything), ("a/* b".into(), String::new()));
        let covered = remembered(&["b", "a/b", "a/**", "a/b"], &everything);
        assert_eq!(covered, ("a/** b".into(), "a/** a/b b".into()));
        let narrowed = remembered(&["a/**"], &allowed(&["a/b", "c"]));
        assert_eq!(narrowed, ("a/b".into(), "a/**".into()));
    }

    fn team(name: &str) -> Sight {
        let scope = Scope::of(vec![format!("team={name}").parse().expect("matchers")]);
        Sight { alerts: scope.clone(), series: scope }
    }

    fn allowed(filters: &[&str]) -> FilterSet {
        FilterSet::new(filters.iter().map(|it| it.parse().expect("a filter"))).expect("a set")
    }

    #[test]
    fn who_may_see_the_same_of_what_they_follow_follows_the_same() {
        let everything = allowed(&["**", "$sys/**"]);
        let within = |filter, name| {
            effective(&[(filter, None)]).within(&everything, &team(name)).expect("few filters")
        };
        assert_eq!(within("devices/**", "a"), within("devices/**", "b"));
        assert_eq!(within("$sys/**", "a"), effective(&[("$sys/**", None)]));
        for reaching in ["alerts/active", "samples/up", "rules/up", "*/x", "**"] {
            assert_eq!(within(reaching, "a"), within(reaching, "a"));
            assert_ne!(within(reaching, "a"), within(reaching, "b"), "{reaching}");
        }
        assert!(within("alerts/**", "a").sight().series.is_all(), "it reaches no series");
        let both = within("alerts/**", "a").union(&within("samples/**", "a"));
        assert_eq!(both.sight(), &team("a"));
        assert!(!within("alerts/**", "b").covers(&within("alerts/active", "a")));
    }

    #[test]
    #[should_panic(expected = "not shown through what another follows")]
    fn what_is_seen_differently_is_not_united() {
        let everything = allowed(&["**"]);
        let [one, other] = ["a", "b"].map(|name| {
            effective(&[("alerts/**", None)]).within(&everything, &team(name)).expect("few filters")
        });
        let _ = one.union(&other);
    }

    #[test]
    fn who_may_follow_nothing_of_it_follows_nothing() {
        let nothing = effective(&[("a/*", Some(1.0)), ("b", None)]);
        let nothing = nothing.within(&allowed(&["c/**"]), &team("a")).expect("few filters");
        assert_eq!(nothing, EffectiveFilter::none());
    }

    prop_compose! {
        fn any_effective()(
            filters in prop::collection::vec(
                (
                    prop::sample::select(vec!["a", "a/b", "a/*", "a/**", "**", "b"]),
                    prop::option::of(prop::sample::select(vec![0.2, 1.0, 5.0])),
                ),
                1..5,
            ),
        ) -> (Vec<(&'static str, Option<f64>)>, EffectiveFilter) {
            let effective = effective(&filters);
            (filters, effective)
        }
    }

    proptest! {
        #[test]
        fn a_topic_has_the_highest_rate_of_its_filters(
            (filters, paced) in any_effective(),
            (others, other) in any_effective(),
            topic in prop::sample::select(vec!["a", "a/b", "a/c", "b", "c"]),
        ) {
            let topic: Topic = topic.parse().expect("a topic");
            let union = paced.union(&other);
            let both = filters.iter().chain(&others);
            let reaching = both.filter(|(filter, _)| {
                filter.parse::<Filter>().expect("a filter").matches(&topic)
            });
            let intervals = reaching.map(|(_, rate)| {
                rate.map_or(0, |rate| MaxRate::per_second(rate).expect("a rate").interval_ms())
            });
            let expected = intervals.min();
            prop_assert_eq!(union.filters().matches(&topic), expected.is_some());
            let rate = union.max_rate(&topic).map_or(0, MaxRate::interval_ms);
            prop_assert_eq!(rate, expected.unwrap_or_default());
            prop_assert!(union.covers(&paced) && union.covers(&other));
            prop_assert_eq!(paced.covers(&other), union == paced);
        }

        #[test]
        fn what_may_be_followed_keeps_its_rate(
            (_, paced) in any_effective(),
            (_, others) in any_effective(),
            topic in prop::sample::select(vec!["a", "a/b", "a/c", "b", "c"]),
        ) {
            let topic: Topic = topic.parse().expect("a topic");
            let allowed = others.filters();
            let within = paced.clone().within(allowed, &team("a")).expect("few filters");
            let passes_both = paced.filters().matches(&topic) && allowed.matches(&topic);
            prop_assert_eq!(within.filters().matches(&topic), passes_both);
            if passes_both {
                prop_assert_eq!(within.max_rate(&topic), paced.max_rate(&topic));
            }
            let again = within.clone().within(allowed, &team("a"));
            prop_assert_eq!(again, Ok(within));
        }
    }
}
