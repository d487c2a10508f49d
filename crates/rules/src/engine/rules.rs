//! What the rules say: by the metrics that they select and in the order in which they feed each
//! other. Nothing here changes while they are evaluated, but for standing queries, which come and go;
//! what they come to is in [`parts`](super::parts).

mod queries;
mod selectors;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::LIVE_SELECT_STEPS_MAX;
use bellwire_model::{Labels, NameMap, QueryId, RuleName, Sight};
use rustc_hash::FxHashMap;

use self::selectors::Selectors;
use super::groups::TickGroup;
use super::ids::{GroupId, RuleId};
use super::levels::{Levels, names_alerts};
use crate::plan::{PartitionKey, Selection, SelectorId};
use crate::rule::{Identities, Parts, Rule, RuleKind, RuleMode, RuleSet};
use crate::sight::shows;

/// A rule and what its evaluation needs.
#[derive(Debug)]
pub(super) struct RuleEntry {
    /// Shared with those who report on it.
    pub(super) rule: Arc<Rule>,
    /// Whether each part is of one series and comes to one number at most.
    pub(super) is_of_one_series: bool,
    /// Whether its elements are samples as they were taken.
    pub(super) is_of_samples: bool,
    pub(super) shape: Shape,
    /// It may use what rules of lower levels record.
    pub(super) level: u32,
    /// The same for the same rule in every process.
    pub(super) identity: u64,
    /// What a standing query has beside its expression; nothing for a rule.
    pub(super) query: Option<Box<QueryEntry>>,
}

/// What a standing query has beside its expression.
#[derive(Clone, Debug)]
pub(super) struct QueryEntry {
    pub(super) id: QueryId,
    /// The series that it looks at: to those who follow it there are no others.
    pub(super) sight: Sight,
    pub(super) stage: QueryStage,
}

/// How far a standing query has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryStage {
    /// Not all of its series have joined it.
    Gathers,
    /// It is evaluated.
    Stands,
    /// It selects nothing any more; what it had is taken from it.
    Ends,
}

/// How a rule falls into parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Every series is a part.
    EachSeries,
    /// The series with the same labels of the key are a part.
    Keyed(PartitionKey),
    /// There is one part, be there series or not.
    Whole,
    /// There is one part, and the rule is evaluated at each interval of its group alone.
    Ticked,
}

/// All rules.
#[derive(Debug)]
pub(super) struct RuleTable {
    entries: Vec<RuleEntry>,
    by_identity: FxHashMap<u64, RuleId>,
    identities: Identities,
    selectors: Selectors,
    /// A query with a selector that takes too long to compare with a series.
    slow: Cell<Option<RuleId>>,
    /// Those with rules in tick mode.
    groups: Vec<TickGroup>,
    /// Alerting rules, by the names of their alerts.
    alerting: NameMap<Arc<str>, Vec<RuleId>>,
    /// Recording rules, by the names of their series.
    recording: NameMap<Arc<str>, Vec<RuleId>>,
    /// Whether one of them names a series of alerts.
    names_alerts: bool,
    /// The longest interval of a group in tick mode.
    tick_interval_max: Duration,
    lookback: Duration,
    /// The longest that samples of any series are kept behind the newest one.
    keep_max: Duration,
    /// How many are rules; standing queries come behind them.
    rules: usize,
    queries: NameMap<QueryId, RuleId>,
    /// Places of queries that have ended.
    free: Vec<RuleId>,
    /// That of all queries: they see what rules have come to.
    query_level: u32,
}

impl RuleTable {
    pub(super) fn new(set: RuleSet, lookback: Duration) -> Self {
        let mut groups: Vec<TickGroup> = Vec::new();
        let mut rules: Vec<Rule> = Vec::with_capacity(set.len());
        for group in set.groups {
            let place = rules.len();
            rules.extend(group.rules);
            groups.extend(TickGroup::of(&rules[place..], place));
        }
        let levels = Levels::new(&rules, &groups).settle();
        for group in &mut groups {
            group.level = levels[group.rules[0].place()];
        }
        let mut table = Self {
            entries: Vec::with_capacity(rules.len()),
            by_identity: FxHashMap::default(),
            identities: Identities::default(),
            selectors: Selectors::default(),
            slow: Cell::default(),
            alerting: NameMap::default(),
            recording: NameMap::default(),
            names_alerts: false,
            tick_interval_max: groups.iter().map(|g| g.interval).max().unwrap_or_default(),
            lookback,
            keep_max: Duration::ZERO,
            rules: rules.len(),
            queries: NameMap::default(),
            free: Vec::new(),
            query_level: levels.iter().map(|level| level + 1).max().unwrap_or_default(),
            groups,
        };
        for (rule, level) in rules.into_iter().zip(levels) {
            table.push(rule, level);
        }
        table
    }

    fn push(&mut self, rule: Rule, level: u32) {
        let id = RuleId::at(self.entries.len());
        let shape = Shape::of(&rule);
        let identity = self.identify(&rule, id);
        let by_name = match rule.kind {
            RuleKind::Alert(_) => &mut self.alerting,
            RuleKind::Record(_) => &mut self.recording,
        };
        by_name.entry(rule.name.alert.clone()).or_default().push(id);
        for (index, selection) in rule.plan.selections.iter().enumerate() {
            self.selectors.add((id, SelectorId(index as u32)), &selection.selector);
        }
        let entry = self.enlist(Arc::new(rule), shape);
        self.entries.push(RuleEntry { level, identity, ..entry });
    }

    /// Notes what a rule looks at.
    fn enlist(&mut self, rule: Arc<Rule>, shape: Shape) -> RuleEntry {
        for selection in &rule.plan.selections {
            self.names_alerts |= names_alerts(&selection.selector);
            let keep = selection.keep(rule.settings.query_offset, self.lookback);
            self.keep_max = self.keep_max.max(keep);
        }
        let is_plain = rule.settings.query_offset.is_zero();
        let is_of_one_series = shape == Shape::EachSeries && rule.plan.is_of_one_series();
        let is_of_samples = is_plain && rule.plan.is_of_samples();
        let (level, identity, query) = (0, 0, None);
        RuleEntry { rule, is_of_one_series, is_of_samples, shape, level, identity, query }
    }

    fn identify(&mut self, rule: &Rule, id: RuleId) -> u64 {
        let identity = self.identities.next_of(rule);
        self.by_identity.insert(identity, id);
        identity
    }

    /// The rule with an identity.
    pub(super) fn find(&self, identity: u64) -> Option<RuleId> {
        self.by_identity.get(&identity).copied()
    }

    /// How many rules there are.
    pub(super) fn len(&self) -> usize {
        self.rules
    }

    /// The level of all queries, which is above those of all rules.
    pub(super) fn query_level(&self) -> usize {
        self.query_level as usize
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = RuleId> + use<> {
        (0..self.entries.len()).map(RuleId::at)
    }

    /// The rule at a place, if there are so many.
    pub(super) fn at(&self, place: usize) -> Option<RuleId> {
        (place < self.entries.len()).then(|| RuleId::at(place))
    }

    pub(super) fn get(&self, id: RuleId) -> &RuleEntry {
        &self.entries[id.place()]
    }

    /// Whether a rule names a series of alerts.
    pub(super) fn names_alerts(&self) -> bool {
        self.names_alerts
    }

    /// The rules whose alerts have this name, in the order of the files.
    pub(super) fn alerting(&self, name: &str) -> &[RuleId] {
        self.alerting.get(name).map_or(&[], Vec::as_slice)
    }

    /// The rules whose series have this name, in the order of the files.
    pub(super) fn recording(&self, name: &str) -> &[RuleId] {
        self.recording.get(name).map_or(&[], Vec::as_slice)
    }

    /// The rules that may go on with an alert of a rule that is gone: those of its group, or
    /// where there are none, all that raise alerts of its name.
    pub(super) fn heirs_of(&self, rule: &RuleName) -> Vec<RuleId> {
        let all = self.alerting(&rule.alert);
        let is_of_group = |id: &&RuleId| self.rule(**id).name.group == rule.group;
        let of_group: Vec<RuleId> = all.iter().filter(is_of_group).copied().collect();
        if of_group.is_empty() { all.to_vec() } else { of_group }
    }

    /// Whether a rule is evaluated at each interval of its group alone.
    pub(super) fn is_ticked(&self, id: RuleId) -> bool {
        self.get(id).shape == Shape::Ticked
    }

    /// The groups with rules in tick mode.
    pub(super) fn groups(&self) -> &[TickGroup] {
        &self.groups
    }

    pub(super) fn group_ids(&self) -> impl Iterator<Item = GroupId> + use<> {
        (0..self.groups.len()).map(GroupId::at)
    }

    pub(super) fn group(&self, id: GroupId) -> &TickGroup {
        &self.groups[id.place()]
    }

    pub(super) fn rule(&self, id: RuleId) -> &Rule {
        &self.get(id).rule
    }

    /// The selectors that select a series, in the order of the files.
    pub(super) fn select(&self, series: &Labels) -> Vec<(RuleId, SelectorId)> {
        let selectors = self.selectors.of(series);
        let mut selected: Vec<_> = selectors.filter(|id| self.selects(*id, series)).collect();
        selected.sort_unstable_by_key(|(rule, selector)| (*rule, selector.0));
        selected
    }

    /// The selectors of one query that select a series.
    pub(super) fn select_of(&self, rule: RuleId, series: &Labels) -> Vec<(RuleId, SelectorId)> {
        let selectors = 0..self.rule(rule).plan.selections.len() as u32;
        let ids = selectors.map(|selector| (rule, SelectorId(selector)));
        ids.filter(|id| self.selects(*id, series)).collect()
    }

    fn selects(&self, id: (RuleId, SelectorId), series: &Labels) -> bool {
        let selector = &self.selection(id).selector;
        let Some(query) = self.get(id.0).query.as_deref() else { return selector.selects(series) };
        let mut steps = LIVE_SELECT_STEPS_MAX;
        let selects = selector.selects_within(series, &mut steps);
        if selects.is_none() {
            self.slow.set(Some(id.0));
        }
        selects == Some(true) && shows(&query.sight, series)
    }

    /// A query of which it cannot be said soon enough whether it selects a series.
    pub(super) fn take_slow(&self) -> Option<QueryId> {
        Some(self.get(self.slow.take()?).query.as_ref()?.id)
    }

    fn selection(&self, (rule, selector): (RuleId, SelectorId)) -> &Selection {
        &self.rule(rule).plan.selections[selector.0 as usize]
    }

    /// How long samples are kept for a selector behind the newest one.
    pub(super) fn keep(&self, id: (RuleId, SelectorId)) -> Duration {
        self.selection(id).keep(self.rule(id.0).settings.query_offset, self.lookback)
    }

    /// The longest interval of a group in tick mode.
    pub(super) fn tick_interval_max(&self) -> Duration {
        self.tick_interval_max
    }

    /// Whether there are rules in tick mode.
    pub(super) fn have_ticked(&self) -> bool {
        !self.tick_interval_max.is_zero()
    }

    /// How long samples are kept at most, whatever their series.
    pub(super) fn keep_max(&self) -> Duration {
        self.keep_max
    }
}

impl Shape {
    fn of(rule: &Rule) -> Self {
        match Parts::of(rule) {
            _ if rule.mode.rule_mode() == RuleMode::Tick => Self::Ticked,
            Parts::EachSeries => Self::EachSeries,
            Parts::Whole => Self::Whole,
            Parts::By(_) | Parts::Without(_) => Self::Keyed(PartitionKey::of(&rule.plan)),
        }
    }
}
