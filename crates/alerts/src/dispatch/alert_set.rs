//! Alerts of a record, as compact as they are stored.

use std::sync::Arc;

use bellwire_model::Fingerprint;

/// Some alerts, by their fingerprints: eight bytes each, in order. Cloning it is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AlertSet(Arc<[Fingerprint]>);

impl FromIterator<Fingerprint> for AlertSet {
    fn from_iter<I: IntoIterator<Item = Fingerprint>>(alerts: I) -> Self {
        let mut alerts: Vec<Fingerprint> = alerts.into_iter().collect();
        alerts.sort_unstable();
        alerts.dedup();
        Self(alerts.into())
    }
}

impl AlertSet {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Fingerprint> {
        self.0.iter().copied()
    }

    pub(super) fn contains(&self, alert: Fingerprint) -> bool {
        self.0.binary_search(&alert).is_ok()
    }

    /// Those that are wanted.
    pub(super) fn filtered(&self, is_wanted: impl Fn(Fingerprint) -> bool) -> Self {
        Self(self.iter().filter(|alert| is_wanted(*alert)).collect())
    }

    pub(super) fn is_subset(&self, of: &Self) -> bool {
        if self.is_empty() || Arc::ptr_eq(&self.0, &of.0) {
            return true;
        }
        let mut others = of.iter();
        self.iter().all(|alert| others.by_ref().find(|other| *other >= alert) == Some(alert))
    }

    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        let (few, many) = if self.len() < other.len() { (self, other) } else { (other, self) };
        !few.iter().any(|alert| many.contains(alert))
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        if other.is_subset(self) {
            return self.clone();
        }
        self.iter().chain(other.iter()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(numbers: &[u64]) -> AlertSet {
        numbers.iter().map(|number| Fingerprint::from_u64(*number)).collect()
    }

    proptest! {
        #[test]
        fn it_is_the_set_of_its_members(
            one in prop::collection::vec(0..12_u64, 0..12),
            two in prop::collection::vec(0..12_u64, 0..12),
        ) {
            let [a, b] = [&one, &two].map(|of| of.iter().copied().collect::<BTreeSet<_>>());
            let (one, two) = (set(&one), set(&two));
            let numbers = |set: &AlertSet| set.iter().map(Fingerprint::get).collect::<Vec<_>>();
            prop_assert_eq!(numbers(&one), a.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!((one.len(), one.is_empty()), (a.len(), a.is_empty()));
            prop_assert_eq!(one.is_subset(&two), a.is_subset(&b));
            prop_assert_eq!(one.is_disjoint(&two), a.is_disjoint(&b));
            prop_assert_eq!(numbers(&one.union(&two)), a.union(&b).copied().collect::<Vec<_>>());
            let even = one.filtered(|alert| alert.get() % 2 == 0);
            prop_assert!(a.iter().all(|n| even.contains(Fingerprint::from_u64(*n)) == (n % 2 == 0)));
        }
    }
}
