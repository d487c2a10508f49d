//! What tells routes apart that have the same matchers on their way and the same receiver, such as
//! one for the day and one for the night: each remembers for itself what it has told.
//!
//! Such a route is told by what else it says. So it is the same one wherever it stands among the
//! others, and where something changes by which it is not told. Where it has no such sibling any
//! more, or has got one, what it has told is looked for under the names that it had.

use bellwire_model::{Fnv1a, NameMap};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{GroupBy, Route};

/// Tells a route from others with its key and receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Variant(u64);

impl Variant {
    /// Of a route that has no such others.
    pub const ALONE: Self = Self(0);

    /// As it is stored.
    pub(crate) const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn stored(number: u64) -> Self {
        Self(number)
    }

    fn of(hash: Fnv1a) -> Self {
        Self(hash.finish().max(1))
    }
}

/// Finds out for each route by which variant it is known, and was or will be in other company.
pub(super) fn identify(routes: &mut [Route]) {
    let mut kin: NameMap<(Box<str>, Box<str>), Vec<usize>> = NameMap::default();
    for (index, route) in routes.iter().enumerate() {
        kin.entry((route.key.clone(), (*route.receiver).into())).or_default().push(index);
    }
    for kin in kin.into_values() {
        let names: Vec<[Variant; 2]> =
            kin.iter().map(|index| [coarse(&routes[*index]), fine(&routes[*index])]).collect();
        let count = |side: usize, name| names.iter().filter(|names| names[side] == name).count();
        let mut seen: FxHashMap<Variant, usize> = FxHashMap::default();
        let variants: Vec<Variant> = names
            .iter()
            .map(|[coarse, fine]| match (kin.len(), count(0, *coarse), count(1, *fine)) {
                (1, ..) => Variant::ALONE,
                (_, 1, _) => *coarse,
                (_, _, 1) => *fine,
                // Who says all the same can take the other's place.
                _ => {
                    let number = seen.entry(*fine).or_default();
                    *number += 1;
                    numbered(*fine, *number)
                }
            })
            .collect();
        let taken: FxHashSet<Variant> = variants.iter().copied().collect();
        for ((index, variant), [coarse, fine]) in kin.iter().zip(variants).zip(&names) {
            let others = [Variant::ALONE, *coarse, *fine, numbered(*fine, 1)];
            let is_free = |variant: &Variant| !taken.contains(variant);
            routes[*index].variant = variant;
            routes[*index].other_variants = others.into_iter().filter(is_free).collect();
        }
    }
}

/// By how alerts are grouped, and when it may speak.
fn coarse(route: &Route) -> Variant {
    let mut hash = Fnv1a::default();
    match &route.group_by {
        GroupBy::All => hash.write_text("..."),
        GroupBy::Labels(names) => {
            let mut names: Vec<&str> = names.iter().map(|name| &**name).collect();
            names.sort_unstable();
            for name in names {
                hash.write_text(name);
            }
        }
    }
    for (sign, intervals) in [("+", &route.active_intervals), ("-", &route.mute_intervals)] {
        hash.write_text(sign);
        let mut names: Vec<&str> = intervals.iter().map(|interval| &*interval.name).collect();
        names.sort_unstable();
        for name in names {
            hash.write_text(name);
        }
    }
    Variant::of(hash)
}

/// By its times, too.
fn fine(route: &Route) -> Variant {
    let mut hash = Fnv1a::default();
    hash.write_text(&coarse(route).0.to_string());
    let timing = &route.timing;
    for time in [timing.wait, timing.interval, timing.repeat_interval] {
        hash.write_text(&time.as_millis().to_string());
    }
    Variant::of(hash)
}

fn numbered(fine: Variant, number: usize) -> Variant {
    let mut hash = Fnv1a::default();
    hash.write_text(&fine.0.to_string());
    hash.write_text(&number.to_string());
    Variant::of(hash)
}
