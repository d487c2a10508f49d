//! What a rule costs, told from its plan before any sample has come.

use std::time::Duration;

use bellwire_model::limits::{LIVE_TICK, LOOKBACK, PART_SERIES_PER_MS};

use crate::engine::series_bytes;
use crate::plan::{Plan, SelectionKind};
use crate::rule::{GroupSettings, Parts, Rule, RuleMode};
use crate::storage::SAMPLE_BYTES;

/// What a rule costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// What is evaluated together.
    pub parts: Parts,
    /// How often it is evaluated, in tick mode. In stream mode it is when a sample comes.
    pub interval: Option<Duration>,
    /// The selectors of the expression.
    pub selectors: usize,
    /// The ranges that it looks at, each once, the shortest first.
    pub windows: Box<[Duration]>,
    /// How long samples of its series are kept behind the newest one; zero keeps the newest alone.
    /// Rules that select the same series share their samples.
    pub kept: Duration,
    /// Whether it may have to be looked at each second, or each interval of its group if that is
    /// shorter, because values that move in no straight line decide.
    pub is_restless: bool,
    /// Bytes that the rule adds to each series that it selects, beside the samples.
    pub series_bytes: usize,
    /// Bytes of each sample that is kept.
    pub sample_bytes: usize,
    /// Series that a part may have for each millisecond between two of its evaluations: one with
    /// more than some thousands is not evaluated with each sample. Nothing where each series is a
    /// part of its own, and in tick mode.
    pub spacing_series_per_ms: Option<u64>,
}

impl Cost {
    /// What a query costs that is followed, and which is evaluated by itself each so often where it is
    /// not as samples come. Whoever would be refused is told why.
    pub fn of_followed(text: &str) -> Result<Self, String> {
        let (plan, _) = Plan::standing(text).map_err(|error| error.to_string())?;
        plan.check_followed()?;
        let interval = plan.is_on_tick().then_some(LIVE_TICK);
        let cost = Self::of(&Rule::of_query(plan, GroupSettings::default()));
        let parts = if interval.is_some() { Parts::Whole } else { cost.parts };
        Ok(Self { interval, parts, spacing_series_per_ms: None, ..cost })
    }

    /// What a rule costs.
    pub fn of(rule: &Rule) -> Self {
        let plan = &rule.plan;
        let parts = Parts::of(rule);
        let is_ticked = rule.mode.rule_mode() == RuleMode::Tick;
        // In tick mode a rule finds its series anew each time.
        let places = if is_ticked { 0 } else { plan.selections.len() };
        let series_bytes = places * series_bytes(&parts);
        let kept = plan
            .selections
            .iter()
            .map(|selection| selection.keep(rule.settings.query_offset, LOOKBACK));
        Self {
            selectors: plan.selections.len(),
            windows: windows(plan),
            kept: kept.max().unwrap_or_default(),
            is_restless: !is_ticked && plan.is_restless(),
            interval: is_ticked.then(|| rule.interval()),
            series_bytes,
            sample_bytes: SAMPLE_BYTES,
            spacing_series_per_ms: (!is_ticked && parts != Parts::EachSeries)
                .then_some(PART_SERIES_PER_MS),
            parts,
        }
    }
}

fn windows(plan: &Plan) -> Box<[Duration]> {
    let ranges = plan.selections.iter().filter(|selection| selection.kind == SelectionKind::Range);
    let mut windows: Vec<_> =
        ranges.map(|range| Duration::from_millis(range.reach_ms.unsigned_abs())).collect();
    windows.sort_unstable();
    windows.dedup();
    windows.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{RuleFile, load};

    fn cost(expression: &str) -> Cost {
        let text = format!("groups: [{{name: g, rules: [{{record: r, expr: '{expression}'}}]}}]");
        let set = load(&[RuleFile { name: "f", text: &text }]).expect(expression);
        Cost::of(&set.groups()[0].rules[0])
    }

    #[test]
    fn costs_are_told_from_the_plan() {
        let by = |labels: &[&str]| Parts::By(labels.iter().map(|label| (*label).into()).collect());
        let without =
            |labels: &[&str]| Parts::Without(labels.iter().map(|label| (*label).into()).collect());
        let table = [
            ("x > 1", Parts::EachSeries, vec![], 0),
            ("rate(x[5m]) > 1", Parts::EachSeries, vec![5], 5),
            ("rate(x[5m]) > rate(x[1m] offset 9m)", without(&[]), vec![5, 10], 10),
            ("sum by (b, a) (rate(x[5m]))", by(&["a", "b"]), vec![5], 5),
            ("histogram_quantile(0.9, rate(x[2m]))", without(&["le"]), vec![2], 2),
            ("absent(x)", Parts::Whole, vec![], 0),
            ("x offset 1m", Parts::EachSeries, vec![], 6),
            ("max_over_time(x[1h:1m])", Parts::EachSeries, vec![], 65),
            ("vector(1)", Parts::Whole, vec![], 0),
        ];
        for (text, parts, windows, kept) in table {
            let cost = cost(text);
            assert_eq!(cost.parts, parts, "{text}");
            let minutes = |minutes: &u64| Duration::from_mins(*minutes);
            assert_eq!(*cost.windows, *windows.iter().map(minutes).collect::<Vec<_>>(), "{text}");
            assert_eq!(cost.kept, Duration::from_mins(kept), "{text}");
        }
    }
}
