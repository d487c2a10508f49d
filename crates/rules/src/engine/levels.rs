//! In which order rules feed each other.

use bellwire_model::limits::RECORDING_CHAIN_MAX;
use bellwire_model::{METRIC_NAME, NameMap};
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
    /// By the metric that they record.
    recorded: NameMap<&'a str, Highest>,
    /// By the name of their alerts.
    alerting: NameMap<&'a str, Highest>,
    /// For each rule the first one that is evaluated together with it.
    units: Vec<usize>,
    /// Those that are evaluated together, by the first.
    together: FxHashMap<usize, Vec<usize>>,
    by_unit: Vec<u32>,
}

/// The highest level of those rules that give one thing. They may be very many, and who looks at it
/// very many too.
#[derive(Clone, Copy, Debug, Default)]
struct Highest {
    /// The level, and the unit that has it.
    first: Option<(u32, usize)>,
    /// The highest of all other units.
    second: Option<u32>,
}

impl Highest {
    /// A unit has come to a level; levels only rise.
    fn note(&mut self, unit: usize, level: u32) {
        match self.first {
            Some((highest, of)) if of != unit && level <= highest => {
                self.second = self.second.max(Some(level));
            }
            Some((highest, of)) if of != unit => {
                self.second = Some(highest);
                self.first = Some((level, unit));
            }
            _ => self.first = Some((level, unit)),
        }
    }

    /// That of all units but one.
    fn beside(&self, unit: usize) -> Option<u32> {
        match self.first {
            Some((_, of)) if of == unit => self.second,
            first => first.map(|(level, _)| level),
        }
    }
}

impl<'a> Levels<'a> {
    pub(super) fn new(rules: &'a [Rule], groups: &[TickGroup]) -> Self {
        let mut units: Vec<usize> = (0..rules.len()).collect();
        let mut together: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
        for group in groups {
            let places: Vec<usize> = group.rules.iter().map(|rule| rule.place()).collect();
            let first = places[0];
            for place in &places {
                units[*place] = first;
            }
            together.insert(first, places);
        }
        let (recorded, alerting) = (NameMap::default(), NameMap::default());
        let by_unit = vec![0; rules.len()];
        let mut levels = Self { rules, recorded, alerting, units, together, by_unit };
        (0..rules.len()).for_each(|place| levels.note(place));
        levels
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

    /// Notes the level of a rule under what it gives.
    fn note(&mut self, place: usize) {
        let rule = &self.rules[place];
        let unit = self.units[place];
        let given = match rule.kind {
            RuleKind::Record(_) => &mut self.recorded,
            RuleKind::Alert(_) => &mut self.alerting,
        };
        given.entry(&rule.name.alert).or_default().note(unit, self.by_unit[unit]);
    }

    /// Lifts each rule above those that feed it. Says whether one had to be.
    fn raise(&mut self) -> bool {
        let mut has_raised = false;
        for (place, rule) in self.rules.iter().enumerate() {
            let unit = self.units[place];
            let selections = rule.plan.selections.iter();
            let below = selections.filter_map(|s| self.highest_feeder(&s.selector, unit)).max();
            let level = below.map_or(0, |below| below + 1);
            if level <= self.by_unit[unit] || level >= RECORDING_CHAIN_MAX {
                continue;
            }
            self.by_unit[unit] = level;
            has_raised = true;
            match self.together.remove(&unit) {
                None => self.note(place),
                Some(places) => {
                    for place in &places {
                        self.note(*place);
                    }
                    self.together.insert(unit, places);
                }
            }
        }
        has_raised
    }

    /// The highest level of those rules, but of one unit, whose results a selector may select.
    fn highest_feeder(&self, selector: &Selector, unit: usize) -> Option<u32> {
        let Some(metric) = selector.metric_name() else {
            let may_select = |metric: &str| {
                selector.may_select(|label| (label == METRIC_NAME).then_some(metric))
            };
            let recorded = self.recorded.iter().filter(|(metric, _)| may_select(metric));
            return recorded.filter_map(|(_, highest)| highest.beside(unit)).max();
        };
        let recorded = self.recorded.get(metric).and_then(|highest| highest.beside(unit));
        if !names_alerts(selector) {
            return recorded;
        }
        let may_select = |alert: &str| {
            selector.may_select(|label| match label {
                METRIC_NAME => Some(metric),
                ALERT_NAME => Some(alert),
                _ => None,
            })
        };
        let alerting = self.alerting.iter().filter(|(alert, _)| may_select(alert));
        alerting.filter_map(|(_, highest)| highest.beside(unit)).max().max(recorded)
    }
}

/// Whether a selector names a series of alerts.
pub(super) fn names_alerts(selector: &Selector) -> bool {
    selector.metric_name().is_some_and(|name| [ALERTS, ALERTS_FOR_STATE].contains(&name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::{RuleFile, load};

    /// As [`Levels`] finds them, but looking at each pair of rules.
    fn looked_at_one_by_one(rules: &[Rule], units: &[usize]) -> Vec<u32> {
        let feeds = |feeder: &Rule, selector: &Selector| {
            let name = &*feeder.name.alert;
            let is_record = matches!(feeder.kind, RuleKind::Record(_));
            let metrics: &[&str] = if is_record { &[name] } else { &[ALERTS, ALERTS_FOR_STATE] };
            // Only who names the series of alerts looks at them.
            (is_record || names_alerts(selector))
                && metrics.iter().any(|metric| {
                    selector.may_select(|label| match label {
                        METRIC_NAME => Some(metric),
                        ALERT_NAME if !is_record => Some(name),
                        _ => None,
                    })
                })
        };
        let mut by_unit = vec![0; rules.len()];
        for _ in 0..RECORDING_CHAIN_MAX {
            let before = by_unit.clone();
            for (place, rule) in rules.iter().enumerate() {
                let selects =
                    |feeder: &Rule| rule.plan.selections.iter().any(|s| feeds(feeder, &s.selector));
                let others = rules
                    .iter()
                    .enumerate()
                    .filter(|(other, feeder)| units[*other] != units[place] && selects(feeder));
                let level = others.map(|(other, _)| by_unit[units[other]] + 1).max().unwrap_or(0);
                if level < RECORDING_CHAIN_MAX {
                    by_unit[units[place]] = level.max(by_unit[units[place]]);
                }
            }
            if by_unit == before {
                break;
            }
        }
        units.iter().map(|unit| by_unit[*unit]).collect()
    }

    const EXPRESSIONS: [&str; 8] = [
        "a > 0",
        "b > 0",
        "a + c > 0",
        "{__name__=~\"[bc]\"} > 0",
        "d > 0",
        "ALERTS{alertname=\"a\"} > 0",
        "ALERTS_FOR_STATE > 0",
        "x > 0",
    ];

    proptest! {
        #[test]
        fn levels_are_those_that_a_look_at_each_pair_of_rules_finds(
            rules in proptest::collection::vec((0..4_usize, 0..2_usize, 0..8_usize), 1..12),
            ticking in proptest::collection::vec(proptest::bool::weighted(0.3), 4),
        ) {
            // Groups of three, some of which are in tick mode.
            let mut text = String::from("groups:\n");
            for (place, (name, kind, expression)) in rules.iter().enumerate() {
                if place % 3 == 0 {
                    let mode = if ticking[place / 3] { "tick" } else { "stream" };
                    let group = format!("- name: g{place}\n  mode: {mode}\n  rules:\n");
                    text.push_str(&group);
                }
                let name = ["a", "b", "c", "d"][*name];
                let kind = ["record", "alert"][*kind];
                let rule = format!("  - {{{kind}: {name}, expr: '{}'}}\n", EXPRESSIONS[*expression]);
                text.push_str(&rule);
            }
            let set = load(&[RuleFile { name: "f", text: &text }]).expect("rules");
            let mut rules: Vec<Rule> = Vec::new();
            let mut groups = Vec::new();
            let mut units = Vec::new();
            for group in set.groups {
                let place = rules.len();
                let count = group.rules.len();
                rules.extend(group.rules);
                let ticked = TickGroup::of(&rules[place..], place);
                let first = |own: usize| if ticked.is_some() { place } else { own };
                units.extend((place..place + count).map(first));
                groups.extend(ticked);
            }
            let expected = looked_at_one_by_one(&rules, &units);
            prop_assert_eq!(Levels::new(&rules, &groups).settle(), expected, "{}", text);
        }
    }
}
