//! Groups of rules in tick mode: evaluated together, one after the other, at each interval.
//!
//! A group ticks at the whole multiples of its interval since 1970, in UTC.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::Timestamp;

use super::ids::RuleId;
use crate::rule::{Rule, RuleMode};

/// The rules of a group that are evaluated together.
#[derive(Debug)]
pub(super) struct TickGroup {
    pub(super) name: Arc<str>,
    pub(super) interval: Duration,
    /// In the order of the file.
    pub(super) rules: Vec<RuleId>,
    /// It may use what rules of lower levels record.
    pub(super) level: u32,
}

impl TickGroup {
    /// The rules of a group that are in tick mode, if there are any; the first of the group has this
    /// place among all.
    pub(super) fn of(rules: &[Rule], place: usize) -> Option<Self> {
        let ids = (place..).map(RuleId::at).zip(rules);
        let ticked = ids.filter(|(_, rule)| rule.mode.rule_mode() == RuleMode::Tick);
        let ticked: Vec<RuleId> = ticked.map(|(id, _)| id).collect();
        let first = rules.first().filter(|_| !ticked.is_empty())?;
        Some(Self {
            name: first.name.group.clone(),
            interval: first.interval(),
            rules: ticked,
            level: 0,
        })
    }

    /// The first tick at or after a time.
    pub(super) fn tick_from(&self, time: Timestamp) -> Timestamp {
        let interval_ms = i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX);
        let passed_ms = time.as_ms().rem_euclid(interval_ms);
        let left_ms = if passed_ms == 0 { 0 } else { interval_ms - passed_ms };
        Timestamp::from_ms(time.as_ms().saturating_add(left_ms))
    }
}
