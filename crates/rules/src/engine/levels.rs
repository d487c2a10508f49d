//! In which order rules feed each other.

use bellwire_model::limits::RECORDING_CHAIN_MAX;
use bellwire_model::{Labels, METRIC_NAME};
use rustc_hash::FxHashMap;

use super::groups::TickGroup;
use crate::alert_series::{ALERTS, ALERTS_FOR_STATE};
use crate::rule::{ALERT_NAME, Rule, RuleKind};
use crate::selector::Selector;

/// How many rules feed each rule, one after the other. Rules that feed each other in a circle have
/// the highest level there is: they see each other's results one evaluation late.
///
/// Rules of a group in tick mode have one level: they follow each other within it.
pub(super) struct Levels<'a> {
    rules: &'a [Rule],
    recorded: FxHashMap<&'a str, Vec<usize>>,
    alerting: Vec<usize>,
    /// For each rule the first one that is evaluated together with it.
    units: Vec<usize>,
    by_unit: Vec<u32>,
}

impl<'a> Levels<'a> {
    pub(super) fn new(rules: &'a [Rule], groups: &[TickGroup]) -> Self {
        let mut recorded: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
        let mut alerting = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            match rule.kind {
                RuleKind::Record(_) => recorded.entry(&rule.name.alert).or_default().push(index),
                RuleKind::Alert(_) => alerting.push(index),
            }
        }
        let mut units: Vec<usize> = (0..rules.len()).collect();
        for group in groups {
            group.rules.iter().for_each(|rule| units[rule.place()] = group.rules[0].place());
        }
        Self { rules, recorded, alerting, units, by_unit: vec![0; rules.len()] }
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
            let below = feeders.map(|feeder| self.units[feeder]).filter(|below| *below != unit);
            let level = below.map(|below| self.by_unit[below] + 1).max().unwrap_or(0);
            if level > self.by_unit[unit] && level < RECORDING_CHAIN_MAX {
                self.by_unit[unit] = level;
                has_raised = true;
            }
        }
        has_raised
    }

    /// The rules whose results a selector may select.
    fn feeders(&self, selector: &Selector) -> Vec<usize> {
        let Some(metric) = selector.metric_name() else {
            let may_select = |metric: &str| may_select(selector, &[(METRIC_NAME, metric)]);
            let recorded = self.recorded.iter().filter(|(metric, _)| may_select(metric));
            return recorded.flat_map(|(_, ids)| ids).copied().collect();
        };
        let mut feeders = self.recorded.get(metric).cloned().unwrap_or_default();
        if names_alerts(selector) {
            feeders.extend(self.alerting.iter().filter(|rule| {
                let alert = &*self.rules[**rule].name.alert;
                may_select(selector, &[(METRIC_NAME, metric), (ALERT_NAME, alert)])
            }));
        }
        feeders
    }
}

/// Whether a selector names a series of alerts.
pub(super) fn names_alerts(selector: &Selector) -> bool {
    selector.metric_name().is_some_and(|name| [ALERTS, ALERTS_FOR_STATE].contains(&name))
}

fn may_select(selector: &Selector, known: &[(&str, &str)]) -> bool {
    Labels::from_pairs(known.iter().copied()).is_ok_and(|known| selector.may_select(&known))
}
