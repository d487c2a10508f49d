//! Which firing alerts keep which others quiet.
//!
//! A rule has sources and targets: while a source fires, targets that have the same values of the
//! rule's `equal` labels are inhibited. An alert that is on both sides does not inhibit another one
//! that is, or each would silence the other.

use std::collections::BTreeSet;

use bellwire_model::{Fingerprint, Labels, NameMap, NameSet};

use crate::Matchers;

/// One rule, as the configuration has it.
#[derive(Clone, Debug, PartialEq)]
pub struct InhibitionRule {
    /// Which alerts inhibit.
    pub sources: Matchers,
    /// Which are inhibited.
    pub targets: Matchers,
    /// Labels that both must have the same values of; one that both lack is the same.
    pub equal: Vec<Box<str>>,
}

/// Which side of a rule a source stands on beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    SourceAlone,
    Both,
}

/// The alerts that one rule concerns, by the values of its `equal` labels.
#[derive(Debug)]
struct Concerned {
    rule: InhibitionRule,
    by_values: NameMap<Values, Pair>,
    /// Whose targets may be inhibited by another source than before, or by none.
    touched: NameSet<Values>,
}

/// The values of a rule's `equal` labels, in the rule's order.
type Values = Box<[Box<str>]>;

/// Sources that fire, and targets whether they fire or not.
#[derive(Debug, Default)]
struct Pair {
    sources: BTreeSet<(Side, Fingerprint)>,
    targets: BTreeSet<Fingerprint>,
}

/// Knows the alerts that inhibit others, and those that could be inhibited. What a question costs
/// does not depend on how many there are.
#[derive(Debug, Default)]
pub struct Inhibitors {
    rules: Vec<Concerned>,
}

impl Inhibitors {
    /// Of these rules, with no alert there.
    pub fn new(rules: &[InhibitionRule]) -> Self {
        let concerned = |rule: &InhibitionRule| Concerned {
            rule: rule.clone(),
            by_values: NameMap::default(),
            touched: NameSet::default(),
        };
        Self { rules: rules.iter().map(concerned).collect() }
    }

    /// An alert is there, firing or not: it may be inhibited.
    pub fn on_known(&mut self, fingerprint: Fingerprint, labels: &Labels) {
        for concerned in self.rules.iter_mut().filter(|own| own.rule.targets.matches(labels)) {
            let values = concerned.rule.values(labels);
            concerned.by_values.entry(values).or_default().targets.insert(fingerprint);
        }
    }

    /// An alert is there no more.
    pub fn on_forgotten(&mut self, fingerprint: Fingerprint, labels: &Labels) {
        for concerned in &mut self.rules {
            concerned.change(labels, |pair| {
                pair.targets.remove(&fingerprint);
            });
        }
    }

    /// An alert fires.
    pub fn on_firing(&mut self, fingerprint: Fingerprint, labels: &Labels) {
        for concerned in self.rules.iter_mut().filter(|own| own.rule.sources.matches(labels)) {
            let is_target = concerned.rule.targets.matches(labels);
            let side = if is_target { Side::Both } else { Side::SourceAlone };
            let values = concerned.rule.values(labels);
            let pair = concerned.by_values.entry(values.clone()).or_default();
            pair.sources.insert((side, fingerprint));
            // The first one alone inhibits: in a storm of sources few are that.
            if pair.sources.first() == Some(&(side, fingerprint)) {
                concerned.touched.insert(values);
            }
        }
    }

    /// An alert no longer fires.
    pub fn on_ended(&mut self, fingerprint: Fingerprint, labels: &Labels) {
        for concerned in &mut self.rules {
            let mut was_first = false;
            concerned.change(labels, |pair| {
                was_first = pair.sources.first().is_some_and(|(_, first)| *first == fingerprint);
                for side in [Side::SourceAlone, Side::Both] {
                    pair.sources.remove(&(side, fingerprint));
                }
            });
            if was_first {
                concerned.touched.insert(concerned.rule.values(labels));
            }
        }
    }

    /// The alerts that may be inhibited by another one than when this was asked last, or by none:
    /// each once, however many have fired and ended.
    pub fn take_touched(&mut self) -> BTreeSet<Fingerprint> {
        let mut touched = BTreeSet::new();
        for Concerned { by_values, touched: values, .. } in &mut self.rules {
            for values in values.drain() {
                touched.extend(by_values.get(&values).iter().flat_map(|pair| &pair.targets));
            }
        }
        touched
    }

    /// The alerts that inhibit one with these labels: one of each rule that does.
    pub fn inhibited_by(&self, labels: &Labels) -> Vec<Fingerprint> {
        let mut inhibitors = Vec::new();
        for concerned in self.rules.iter().filter(|own| own.rule.targets.matches(labels)) {
            let pair = concerned.by_values.get(&concerned.rule.values(labels));
            // Those on the source's side alone come first.
            let Some(&(side, fingerprint)) = pair.and_then(|pair| pair.sources.first()) else {
                continue;
            };
            let is_on_both = concerned.rule.sources.matches(labels);
            if side == Side::SourceAlone || !is_on_both {
                inhibitors.push(fingerprint);
            }
        }
        inhibitors.sort_unstable();
        inhibitors.dedup();
        inhibitors
    }
}

impl Concerned {
    /// Changes the alerts with the values of these labels, and forgets values that nobody has.
    fn change(&mut self, labels: &Labels, change: impl FnOnce(&mut Pair)) {
        let values = self.rule.values(labels);
        let Some(pair) = self.by_values.get_mut(&values) else { return };
        change(pair);
        if pair.sources.is_empty() && pair.targets.is_empty() {
            self.by_values.remove(&values);
        }
    }
}

impl InhibitionRule {
    fn values(&self, labels: &Labels) -> Values {
        self.equal.iter().map(|name| labels.get(name).unwrap_or_default().into()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        let pairs = text.split(',').map(|pair| pair.split_once('=').expect("a pair"));
        Labels::from_pairs(pairs).expect("labels")
    }

    fn inhibitors() -> Inhibitors {
        let rule = |sources: &str, targets: &str, equal: &[&str]| InhibitionRule {
            sources: sources.parse().expect("matchers"),
            targets: targets.parse().expect("matchers"),
            equal: equal.iter().map(|name| (*name).into()).collect(),
        };
        Inhibitors::new(&[
            rule("alertname=NodeDown", "severity!=critical", &["node"]),
            rule("severity=critical", "severity=warning", &["site", "alertname"]),
        ])
    }

    #[test]
    fn a_source_inhibits_targets_with_equal_labels_while_it_fires() {
        let mut inhibitors = inhibitors();
        let down = labels("alertname=NodeDown,node=a,severity=critical");
        let fingerprint = Fingerprint::of(&down);
        let target = labels("alertname=Slow,node=a");
        inhibitors.on_known(Fingerprint::of(&target), &target);
        for _ in 0..2 {
            inhibitors.on_firing(fingerprint, &down);
            let touched = inhibitors.take_touched();
            assert!(touched.contains(&Fingerprint::of(&target)), "once more changes nothing");
            assert_eq!((touched.len(), inhibitors.take_touched().len()), (1, 0));
        }
        let table = [
            ("alertname=Slow,node=a,severity=warning", true),
            ("alertname=Slow,node=a", true),
            ("alertname=Slow,node=b,severity=warning", false),
            ("alertname=Slow,severity=warning", false),
            ("alertname=Disk,node=a,severity=critical", false),
        ];
        for (alert, is_inhibited) in table {
            let expected = if is_inhibited { vec![fingerprint] } else { Vec::new() };
            assert_eq!(inhibitors.inhibited_by(&labels(alert)), expected, "{alert}");
        }
        inhibitors.on_ended(fingerprint, &down);
        assert_eq!(inhibitors.take_touched(), BTreeSet::from([Fingerprint::of(&target)]));
        inhibitors.on_ended(fingerprint, &down);
        assert_eq!(inhibitors.take_touched(), BTreeSet::new());
        for (alert, _) in table {
            assert_eq!(inhibitors.inhibited_by(&labels(alert)), [], "{alert}");
        }
        inhibitors.on_forgotten(Fingerprint::of(&target), &target);
        assert!(inhibitors.rules.iter().all(|concerned| concerned.by_values.is_empty()));
    }

    #[test]
    fn labels_that_both_lack_are_equal() {
        let mut inhibitors = inhibitors();
        let critical = labels("alertname=Hot,severity=critical");
        inhibitors.on_firing(Fingerprint::of(&critical), &critical);
        assert_eq!(inhibitors.inhibited_by(&labels("alertname=Hot,severity=warning")).len(), 1);
        let elsewhere = labels("alertname=Hot,severity=warning,site=oslo");
        assert_eq!(inhibitors.inhibited_by(&elsewhere), []);
    }

    #[test]
    fn alerts_on_both_sides_do_not_inhibit_each_other() {
        let any: Matchers = "site=oslo".parse().expect("matchers");
        let rule = InhibitionRule { sources: any.clone(), targets: any, equal: Vec::new() };
        let source_only = InhibitionRule {
            sources: "site=~oslo|rome".parse().expect("matchers"),
            targets: rule.targets.clone(),
            equal: Vec::new(),
        };
        let (one, two) = (labels("site=oslo,a=1"), labels("site=oslo,a=2"));
        let rome = labels("site=rome");
        let mut inhibitors = Inhibitors::new(&[rule, source_only]);
        for alert in [&one, &two] {
            inhibitors.on_firing(Fingerprint::of(alert), alert);
        }
        assert_eq!(inhibitors.inhibited_by(&one), []);
        inhibitors.on_firing(Fingerprint::of(&rome), &rome);
        assert_eq!(inhibitors.inhibited_by(&one), [Fingerprint::of(&rome)]);
    }
}
