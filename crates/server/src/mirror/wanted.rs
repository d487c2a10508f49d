//! Which filters are to be followed at the keeper, for those who follow something here.

use std::time::Duration;

use bellwire_model::limits::{MIRROR_FILTERS_MAX, MIRROR_GRACE};
use bellwire_model::{Filter, FilterSet, NameMap};

/// What is followed here, and was a moment ago: whoever comes back finds it. A pure state machine, which is
/// told the time.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// When each was followed last.
    seen: NameMap<Filter, Duration>,
}

impl Wanted {
    /// What to follow, of these topics: all of them where that is many filters. These of them are followed
    /// now.
    pub(super) fn look(
        &mut self,
        topics: &FilterSet,
        followed: &FilterSet,
        now: Duration,
    ) -> FilterSet {
        for filter in followed.iter() {
            self.seen.insert(filter.clone(), now);
        }
        self.seen.retain(|_, at| now.saturating_sub(*at) < MIRROR_GRACE);
        if self.seen.len() > MIRROR_FILTERS_MAX {
            return topics.clone();
        }
        FilterSet::gathered(self.seen.keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(all: &[&str]) -> FilterSet {
        FilterSet::gathered(all.iter().map(|it| it.parse().expect("a filter")).collect())
    }

    #[test]
    fn what_nobody_follows_any_more_is_followed_for_a_while() {
        let (mut wanted, topics) = (Wanted::default(), filters(&["samples/**", "rules/**"]));
        let (one, none) = (filters(&["samples/a"]), FilterSet::none());
        let after = |part: u32| MIRROR_GRACE / 4 * part;
        assert_eq!(wanted.look(&topics, &none, after(0)), none);
        assert_eq!(wanted.look(&topics, &one, after(1)), one);
        let both = filters(&["rules/*", "samples/a"]);
        assert_eq!(wanted.look(&topics, &filters(&["rules/*"]), after(2)), both);
        assert_eq!(wanted.look(&topics, &none, after(4)), both);
        assert_eq!(wanted.look(&topics, &none, after(5)), filters(&["rules/*"]));
        assert_eq!(wanted.look(&topics, &none, after(6)), none);
    }

    #[test]
    fn many_filters_are_all_there_may_be() {
        let (mut wanted, topics) = (Wanted::default(), filters(&["samples/**"]));
        let of = |number: usize| filters(&[&format!("samples/m{number}")]);
        let mut looked = FilterSet::none();
        for number in 0..=MIRROR_FILTERS_MAX {
            assert_ne!(looked, topics);
            looked = wanted.look(&topics, &of(number), Duration::ZERO);
        }
        assert_eq!(looked, topics, "however fast others come, and go");
    }
}
