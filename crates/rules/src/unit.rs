//! What of a set of rules can be evaluated on its own.

use std::collections::BTreeMap;

use bellwire_model::{METRIC_NAME, NameMap};

use crate::alert_series::{ALERTS, ALERTS_FOR_STATE};
use crate::rule::{ALERT_NAME, Group, Rule, RuleKind, RuleSet};
use crate::selector::Selector;

/// Groups that feed one another, directly or through others, or that give alerts or series of the
/// same name: the least of a set of rules that an engine can have to itself.
///
/// Engines of all units come to what one engine of the whole set comes to, and what one of them
/// knows can be taken from a state of the whole: [`State::take_unit`](crate::State::take_unit).
#[derive(Clone, Debug)]
pub struct Unit {
    rules: RuleSet,
}

impl Unit {
    /// The units of a set of rules, in the order of their first groups.
    pub fn of(set: RuleSet) -> Vec<Self> {
        let mut ties = Ties::new(set.groups.len());
        ties.tie(&set);
        let mut units: BTreeMap<usize, Vec<Group>> = BTreeMap::new();
        for (place, group) in set.groups.into_iter().enumerate() {
            units.entry(ties.first(place)).or_default().push(group);
        }
        units.into_values().map(|groups| Self { rules: RuleSet { groups } }).collect()
    }

    /// Its rules.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Its rules, for an engine.
    pub fn into_rules(self) -> RuleSet {
        self.rules
    }
}

/// Which groups belong together.
struct Ties {
    /// For each group one before it that it is tied to, or itself.
    before: Vec<usize>,
}

impl Ties {
    fn new(groups: usize) -> Self {
        Self { before: (0..groups).collect() }
    }

    /// The first of all groups that one is tied to.
    fn first(&mut self, group: usize) -> usize {
        let mut first = group;
        while self.before[first] != first {
            self.before[first] = self.before[self.before[first]];
            first = self.before[first];
        }
        first
    }

    fn add(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        self.before[one.max(other)] = one.min(other);
    }

    /// Ties groups that give the same, and those that look at what others give.
    fn tie(&mut self, set: &RuleSet) {
        let mut given = Given::default();
        let of_groups = || set.groups.iter().enumerate();
        let rules =
            || of_groups().flat_map(|(place, group)| group.rules.iter().map(move |r| (place, r)));
        for (place, rule) in rules() {
            // Alerts with the same labels are one, and so are series.
            self.add(place, given.first_of(rule, place));
        }
        for (place, rule) in rules() {
            for selection in &rule.plan.selections {
                for feeder in given.to(&selection.selector) {
                    self.add(place, feeder);
                }
            }
        }
    }
}

/// What rules give, by name, each with the first group that does.
#[derive(Default)]
struct Given<'a> {
    recorded: NameMap<&'a str, usize>,
    alerts: NameMap<&'a str, usize>,
}

impl<'a> Given<'a> {
    /// The first group that gives what a rule gives.
    fn first_of(&mut self, rule: &'a Rule, group: usize) -> usize {
        let given = match rule.kind {
            RuleKind::Record(_) => &mut self.recorded,
            RuleKind::Alert(_) => &mut self.alerts,
        };
        *given.entry(&rule.name.alert).or_insert(group)
    }

    /// The groups of which a selector may select something.
    fn to(&self, selector: &Selector) -> Vec<usize> {
        let Some(metric) = selector.metric_name() else {
            let may_select = |metric: &str| {
                selector.may_select(|label| (label == METRIC_NAME).then_some(metric))
            };
            let recorded = self.recorded.iter().filter(|(metric, _)| may_select(metric));
            return recorded.map(|(_, group)| *group).collect();
        };
        let mut groups: Vec<usize> = self.recorded.get(metric).copied().into_iter().collect();
        if [ALERTS, ALERTS_FOR_STATE].contains(&metric) {
            let may_select = |alert: &str| {
                selector.may_select(|label| match label {
                    METRIC_NAME => Some(metric),
                    ALERT_NAME => Some(alert),
                    _ => None,
                })
            };
            let alerts = self.alerts.iter().filter(|(alert, _)| may_select(alert));
            groups.extend(alerts.map(|(_, group)| *group));
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{RuleFile, load};

    #[test]
    fn groups_that_feed_one_another_are_one_unit() {
        let text = "groups:
- {name: a, rules: [{record: r, expr: x}]}
- {name: b, rules: [{alert: B, expr: y > 1}]}
- {name: c, rules: [{alert: C, expr: q > 1}, {record: s, expr: z}]}
- {name: d, rules: [{record: q, expr: 'rate(r[5m])'}]}
- {name: e, rules: [{alert: E, expr: 'ALERTS{alertname=\"B\"}'}]}
- {name: f, rules: [{alert: F, expr: '{job=\"x\",__name__=~\"s|t\"} > 1'}]}
- {name: g, rules: [{record: t, expr: w}]}
- {name: h, rules: [{record: u, expr: w}]}
- {name: i, rules: [{record: u, expr: v}]}
";
        let set = load(&[RuleFile { name: "f", text }]).expect("rules");
        let names = |unit: &Unit| -> String {
            unit.rules().groups().iter().map(|group| &*group.name).collect()
        };
        let units = Unit::of(set);
        assert_eq!(units.iter().map(names).collect::<Vec<_>>(), ["acdfg", "be", "hi"]);
    }
}
