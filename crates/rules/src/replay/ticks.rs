//! The ticks of a test, on which samples are put.

use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::{LOOKBACK, SERIES_TEXT_VALUES_MAX};

use super::{Outcome, Stretch};
use crate::rule::{RuleKind, RuleSet};

/// Ticks of a test, if nobody says how far apart they are: at most so many, and so far apart.
const TICKS: i64 = 2_000;
const INTERVALS_S: [u64; 6] = [1, 5, 15, 30, 60, 300];

/// How far rules may look back beyond the beginning of what is compared.
const REACH_MAX: Duration = Duration::from_hours(6);

/// The ticks of a test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks {
    /// The time of tick 0.
    pub(super) zero: Timestamp,
    pub(super) interval: Duration,
    /// When what is compared begins and ends.
    pub(super) begins: Timestamp,
    pub(super) ends: Timestamp,
}

impl Ticks {
    /// Nothing where there would be too many.
    pub(super) fn of(
        rules: &RuleSet,
        outcome: &Outcome,
        stretch: Stretch,
        interval: Option<Duration>,
    ) -> Option<Self> {
        let (begins, ends) = (outcome.began.max(stretch.from), outcome.ended);
        let zero = begins.saturating_sub(reach(rules).min(REACH_MAX));
        let span_ms = ends.as_ms().saturating_sub(zero.as_ms());
        let is_enough = |interval: &Duration| span_ms / (interval.as_millis() as i64) <= TICKS;
        let longest = INTERVALS_S.map(Duration::from_secs);
        let interval = interval.filter(|interval| !interval.is_zero()).unwrap_or_else(|| {
            longest.into_iter().find(is_enough).unwrap_or(longest[longest.len() - 1])
        });
        let interval_ms = interval.as_millis().max(1) as i64;
        if span_ms / interval_ms >= SERIES_TEXT_VALUES_MAX as i64 - 1 {
            return None;
        }
        let zero = Timestamp::from_ms(zero.as_ms().div_euclid(interval_ms) * interval_ms);
        Some(Self { zero, interval, begins, ends })
    }

    fn interval_ms(self) -> i64 {
        self.interval.as_millis().max(1) as i64
    }

    /// The tick at a time or behind it, where there is one.
    pub(super) fn behind(self, time: Timestamp) -> Option<u32> {
        // What is still the newest at the beginning is there from the first tick on.
        let is_present = time.saturating_add(LOOKBACK) > self.zero;
        let after_ms = time.as_ms().saturating_sub(self.zero.as_ms());
        if !is_present || time > self.ends {
            return None;
        }
        let after_ms = after_ms.max(0);
        u32::try_from(
            after_ms.div_euclid(self.interval_ms()) + i64::from(after_ms % self.interval_ms() != 0),
        )
        .ok()
    }

    /// When a tick is, at a time or behind it.
    pub(super) fn time_behind(self, time: Timestamp) -> Option<Timestamp> {
        let tick = self.behind(time)?;
        Some(self.zero.saturating_add(self.interval * tick))
    }
}

/// How far the rules look back, and how long they wait.
fn reach(rules: &RuleSet) -> Duration {
    let all = || rules.groups().iter().flat_map(|group| &group.rules);
    let windows = all().flat_map(|rule| {
        let offset = rule.settings.query_offset;
        rule.plan.selections.iter().map(move |selection| selection.keep(offset, LOOKBACK))
    });
    let holds = all().filter_map(|rule| match &rule.kind {
        RuleKind::Alert(alert) => Some(alert.hold.saturating_add(alert.keep_firing)),
        RuleKind::Record(_) => None,
    });
    let longest = |of: &mut dyn Iterator<Item = Duration>| of.max().unwrap_or_default();
    longest(&mut windows.into_iter()) + longest(&mut holds.into_iter())
}
