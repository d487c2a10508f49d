//! What happened beside what other rules would have done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::LOOKBACK;
use bellwire_model::{Fingerprint, Labels, RuleName, Timestamp};

use super::episodes::{Episode, Track};

/// How far apart two times that an alert fired may be and still be taken for one: a condition that
/// is smoothed, or must hold for longer, begins when another has ended already.
const PAIRED_WITHIN: Duration = LOOKBACK;

/// How a time that an alert fired differs between what happened and what would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// It fired, and would not have.
    OnlyThen,
    /// It would have fired, and did not.
    OnlyNow,
    /// It would have fired earlier.
    Earlier,
    /// It would have fired later.
    Later,
    /// It fired at that time, and would have resolved earlier.
    Shorter,
    /// It fired at that time, and would have resolved later.
    Longer,
    /// It fired at that time with another value, or lost its data at another time.
    Value,
    /// It is the same.
    Same,
}

/// A time that an alert fired, or would have.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The alert's labels.
    pub labels: Labels,
    /// The rule that raises it now, or raised it then.
    pub rule: Option<Arc<RuleName>>,
    /// How both differ.
    pub difference: Difference,
    /// What happened.
    pub then: Option<Episode>,
    /// What would have happened.
    pub now: Option<Episode>,
}

impl Compared {
    /// By how many milliseconds it would have fired later; below zero earlier.
    pub fn fires_later_ms(&self) -> Option<i64> {
        let (then, now) = (self.then.as_ref()?, self.now.as_ref()?);
        Some(now.fired_at.as_ms() - then.fired_at.as_ms())
    }

    /// By how many milliseconds it would have resolved later; below zero earlier.
    pub fn resolves_later_ms(&self) -> Option<i64> {
        let (then, now) = (self.then.as_ref()?.resolved_at?, self.now.as_ref()?.resolved_at?);
        Some(now.as_ms() - then.as_ms())
    }

    fn began(&self) -> Option<Timestamp> {
        [&self.then, &self.now].into_iter().flatten().map(|episode| episode.fired_at).min()
    }
}

/// All times that alerts fired, in the order in which they began.
pub(super) fn compare(
    then: BTreeMap<Fingerprint, Track>,
    mut now: BTreeMap<Fingerprint, Track>,
) -> Vec<Compared> {
    let mut all = Vec::new();
    for (fingerprint, then) in then {
        let Track { labels, rule, episodes, .. } = then;
        let (rule, later) = match now.remove(&fingerprint) {
            Some(now) => (now.rule, now.episodes),
            None => (rule, Vec::new()),
        };
        all.extend(
            paired(episodes, later).map(|(then, now)| compared((&labels, &rule), then, now)),
        );
    }
    for Track { labels, rule, episodes, .. } in now.into_values() {
        all.extend(episodes.into_iter().map(|now| compared((&labels, &rule), None, Some(now))));
    }
    all.sort_by(|one, other| {
        one.began().cmp(&other.began()).then_with(|| one.labels.iter().cmp(other.labels.iter()))
    });
    all
}

type Pair = (Option<Episode>, Option<Episode>);

/// Brings together what is of one time, in order.
fn paired(then: Vec<Episode>, now: Vec<Episode>) -> impl Iterator<Item = Pair> {
    let (mut then, mut now) = (then.into_iter().peekable(), now.into_iter().peekable());
    std::iter::from_fn(move || match (then.peek(), now.peek()) {
        (None, None) => None,
        (Some(before), Some(after)) if is_before(before, after) => Some((then.next(), None)),
        (Some(before), Some(after)) if is_before(after, before) => Some((None, now.next())),
        (Some(_), Some(_)) => Some((then.next(), now.next())),
        (_, None) => Some((then.next(), None)),
        (None, _) => Some((None, now.next())),
    })
}

/// Whether one has ended so long before another that they have nothing to do with each other.
fn is_before(one: &Episode, other: &Episode) -> bool {
    one.resolved_at.is_some_and(|ended| ended.saturating_add(PAIRED_WITHIN) < other.fired_at)
}

fn compared(
    (labels, rule): (&Labels, &Option<Arc<RuleName>>),
    then: Option<Episode>,
    now: Option<Episode>,
) -> Compared {
    let difference = match (&then, &now) {
        (Some(then), Some(now)) => difference(then, now),
        (Some(_), None) => Difference::OnlyThen,
        _ => Difference::OnlyNow,
    };
    Compared { labels: labels.clone(), rule: rule.clone(), difference, then, now }
}

fn difference(then: &Episode, now: &Episode) -> Difference {
    use std::cmp::Ordering::{Equal, Greater, Less};
    // What goes on ends last.
    let end = |episode: &Episode| episode.resolved_at.unwrap_or(Timestamp::MAX);
    match (now.fired_at.cmp(&then.fired_at), end(now).cmp(&end(then))) {
        (Less, _) => Difference::Earlier,
        (Greater, _) => Difference::Later,
        (Equal, Less) => Difference::Shorter,
        (Equal, Greater) => Difference::Longer,
        (Equal, Equal) => {
            let is_same = now.value.to_bits() == then.value.to_bits()
                && now.data_lost_at == then.data_lost_at;
            if is_same { Difference::Same } else { Difference::Value }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds between which alerts fire.
    type Spans = &'static [(i64, i64)];

    fn episode(fired_s: i64, resolved_s: i64) -> Episode {
        Episode {
            fired_at: Timestamp::from_ms(fired_s * 1_000),
            resolved_at: (resolved_s > 0).then(|| Timestamp::from_ms(resolved_s * 1_000)),
            data_lost_at: None,
            value: 1.0,
        }
    }

    #[test]
    fn what_is_of_one_time_is_compared() {
        use Difference::{Earlier, Later, Longer, OnlyNow, OnlyThen, Same, Shorter};
        let table: [(Spans, Spans, &[Difference]); 7] = [
            (&[(10, 20)], &[(10, 20)], &[Same]),
            (&[(10, 20)], &[(10, 30)], &[Longer]),
            (&[(10, 0)], &[(10, 30)], &[Shorter]),
            (&[(10, 20), (1_000, 1_100)], &[(990, 0)], &[OnlyThen, Earlier]),
            // It fires when the other has ended, but it is of the same time.
            (&[(10, 20)], &[(200, 300)], &[Later]),
            (&[(10, 20)], &[(400, 500)], &[OnlyThen, OnlyNow]),
            (&[(10, 2_000)], &[(10, 20), (1_000, 1_100)], &[Shorter, OnlyNow]),
        ];
        for (then, now, expected) in table {
            let episodes = |spans: Spans| {
                spans.iter().map(|(fired, resolved)| episode(*fired, *resolved)).collect()
            };
            let labels = Labels::empty();
            let found: Vec<Difference> = paired(episodes(then), episodes(now))
                .map(|(then, now)| compared((&labels, &None), then, now).difference)
                .collect();
            assert_eq!(found, expected, "{then:?} {now:?}");
        }
    }
}
