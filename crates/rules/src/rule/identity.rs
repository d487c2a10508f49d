//! What tells each rule of a set from all others.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Rule, RuleSet};

/// The identities of rules, one after the other. Rules of one name and expression are told apart by
/// their order.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    taken: FxHashSet<u64>,
    /// How many rules there are of one name and expression, by the identity of the first.
    namesakes: FxHashMap<u64, u32>,
}

impl Identities {
    /// That of the next rule.
    pub(crate) fn next_of(&mut self, rule: &Rule) -> u64 {
        // Those with a lower number are taken, however many there are.
        let namesakes = self.namesakes.entry(rule.identity(0)).or_default();
        let mut identities = (*namesakes..).map(|nth| rule.identity(nth));
        *namesakes += 1;
        let identity = identities.find(|identity| !self.taken.contains(identity));
        let identity = identity.expect("there are more numbers than rules");
        self.taken.insert(identity);
        identity
    }
}

impl RuleSet {
    /// What tells its rules from all others, the same in every process.
    pub(crate) fn identities(&self) -> FxHashSet<u64> {
        let mut identities = Identities::default();
        for rule in self.groups.iter().flat_map(|group| &group.rules) {
            identities.next_of(rule);
        }
        identities.taken
    }
}
