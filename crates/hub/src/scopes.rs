//! What may be seen through lanes. It is kept once by all that share it, and counted once.

use std::collections::BTreeMap;

use bellwire_model::{EffectiveFilter, LabelsOf, Scope};

/// The scopes of all lanes, by where they are kept.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    /// How many lanes have it.
    lanes: BTreeMap<usize, usize>,
    size_bytes: usize,
}

impl Scopes {
    /// Bytes of all of them.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes + self.lanes.len() * size_of::<(usize, usize)>()
    }

    /// A lane begins.
    pub(crate) fn add(&mut self, follows: &EffectiveFilter) {
        for (address, scope) in scopes(follows) {
            let lanes = self.lanes.entry(address).or_insert(0);
            if *lanes == 0 {
                self.size_bytes += scope.size_bytes();
            }
            *lanes += 1;
        }
    }

    /// A lane ends that was added.
    pub(crate) fn remove(&mut self, follows: &EffectiveFilter) {
        for (address, scope) in scopes(follows) {
            let lanes = self.lanes.get_mut(&address).expect("it was added");
            *lanes -= 1;
            if *lanes == 0 {
                self.lanes.remove(&address);
                self.size_bytes -= scope.size_bytes();
            }
        }
    }
}

fn scopes(follows: &EffectiveFilter) -> impl Iterator<Item = (usize, &Scope)> {
    let scopes = LabelsOf::ALL.into_iter().map(|kind| follows.sight().of(kind));
    scopes.filter_map(|scope| Some((scope.address()?, scope)))
}

#[cfg(test)]
mod tests {
    use bellwire_model::{FilterSet, Sight};

    use super::*;

    #[test]
    fn what_lanes_share_counts_once_and_as_long_as_one_has_it() {
        let scope = Scope::of(vec![r#"{team=~"a.*b.*c"}"#.parse().expect("matchers")]);
        let sight = Sight { alerts: scope.clone(), series: Scope::all() };
        let follows = |topic: &str| {
            let filters: FilterSet = topic.parse::<bellwire_model::Filter>().expect(topic).into();
            EffectiveFilter::from(filters.clone()).within(&filters, &sight).expect("few")
        };
        let (one, other) = (follows("alerts/**"), follows("alerts/active"));
        let mut scopes = Scopes::default();
        scopes.add(&one);
        let bytes = scopes.size_bytes();
        assert!(bytes > scope.size_bytes());
        scopes.add(&other);
        assert_eq!(scopes.size_bytes(), bytes);
        scopes.remove(&one);
        assert_eq!(scopes.size_bytes(), bytes);
        scopes.remove(&other);
        assert_eq!(scopes.size_bytes(), 0);
    }
}
