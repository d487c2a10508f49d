//! In which order rules feed each other.

use bellwire_model::limits::RECORDING_CHAIN_MAX;
use bellwire_model::{Labels, METRIC_NAME};
use rustc_hash::FxHashMap;

use super::ticks::TickGroup;
use crate::rule::{Rule, RuleKind};
use crate::selector::Selector;

/// How many rules feed each rule, one after the other. Rules that feed each other in a circle have
/// the highest level there is: they see each other's results one evaluation late.
///
/// Rules of a group in tick mode have one level: they follow each other within it.
pub(super) struct Levels<'a> {
    rules: &'a [Rule],
    recorded: FxHashMap<&'a str, Vec<usize>>,
    /// For each rule the first one that is evaluated together with it.
    units: Vec<usize>,
    by_unit: Vec<u32>,
}

impl<'a> Levels<'a> {
    pub(super) fn new(rules: &'a [Rule], groups: &[TickGroup]) -> Self {
        let mut recorded: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
        for (index, rule) in rules.iter().enumerate() {
            if matches!(rule.kind, RuleKind::Record(_)) {
                recorded.entry(&rule.name.alert).or_default().push(index);
            }
        }
        let mut units: Vec<usize> = (0..rules.len()).collect();
        for group in groups {
            group.rules.iter().for_each(|rule| units[rule.place()] = group.rules[0].place());
        }
        Self { rules, recorded, units, by_unit: vec![0; rules.len()] }
    }

    /// The level of each rule.
    pub(super) fn settle(mut self) -> Vec<u32> {
        for _ in 0..RECORDING_CHAIN_MAX {
            if !self.raise() {
                break;
            }
        }
        self.units.iter().map(|unit| self.by_unit[*unit]).collect()
    }

    /// Lifts each rule above those that feed it. Says whether one had to be.
    fn raise(&mut self) -> bool {
        let mut has_raised = false;
        for (index, rule) in self.rules.iter().enumerate() {
            let unit = self.units[index];
            let feeders = rule.plan.selections.iter().flat_map(|s| self.feeders(&s.selector));
            let below = feeders.map(|feeder| self.units[*feeder]).filter(|below| *below != unit);
            let level = below.map(|below| self.by_unit[below] + 1).max().unwrap_or(0);
            if level > self.by_unit[unit] && level < RECORDING_CHAIN_MAX {
                self.by_unit[unit] = level;
                has_raised = true;
            }
        }
        has_raised
    }

    /// The rules whose results a selector may select.
    fn feeders(&self, selector: &Selector) -> Vec<&usize> {
        if let Some(metric) = selector.metric_name() {
            return self.recorded.get(metric).into_iter().flatten().collect();
        }
        let may_select = |metric: &str| {
            let labels = Labels::from_pairs([(METRIC_NAME, metric)]);
            labels.is_ok_and(|labels| selector.may_select(&labels))
        };
        let feeding = self.recorded.iter().filter(|(metric, _)| may_select(metric));
        feeding.flat_map(|(_, ids)| ids).collect()
    }
}
