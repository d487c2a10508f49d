//! Which expressions may be followed, what that costs, and the bounds.

use std::fmt::Write as _;

use bellwire_model::limits::{
    LIVE_ELEMENTS_MAX, LIVE_EVALUATION_LOOKS_MAX, LIVE_PART_SERIES_MAX, LIVE_REACH_MAX,
    LIVE_SELECTORS_MAX, LIVE_SERIES_MAX,
};
use bellwire_rules::Cost;
use bellwire_server::CostReport;
use serde::Serialize;

use super::cost;

/// What is said of expressions; its JSON is for programs to rely on.
#[derive(Debug, Serialize)]
pub(super) struct QueriesReport {
    queries: Vec<QueryReport>,
    bounds: Bounds,
}

#[derive(Debug, Serialize)]
struct QueryReport {
    query: String,
    mode: Mode,
    /// Why it may not be followed.
    reason: Option<String>,
    cost: Option<CostReport>,
}

/// When it is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Stream,
    Tick,
    Refused,
}

/// What a query that is followed may have, whatever its expression is.
#[derive(Debug, Serialize)]
struct Bounds {
    selectors: usize,
    series: usize,
    series_of_part: usize,
    elements: usize,
    reach_ms: u64,
    /// What one evaluation may do, as so many series looked at by their numbers.
    looks: u64,
}

impl QueriesReport {
    pub(super) fn of(expressions: &[String]) -> Self {
        let bounds = Bounds {
            selectors: LIVE_SELECTORS_MAX,
            series: LIVE_SERIES_MAX,
            series_of_part: LIVE_PART_SERIES_MAX,
            elements: LIVE_ELEMENTS_MAX,
            reach_ms: LIVE_REACH_MAX.as_secs() * 1_000,
            looks: LIVE_EVALUATION_LOOKS_MAX,
        };
        Self { queries: expressions.iter().map(|text| QueryReport::of(text)).collect(), bounds }
    }

    /// How many may not be followed.
    pub(super) fn refused(&self) -> usize {
        self.queries.iter().filter(|query| query.mode == Mode::Refused).count()
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and numbers are JSON")
    }

    /// A line for each expression, and one for the bounds.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for QueryReport { query, mode, reason, cost } in &self.queries {
            let mode = match mode {
                Mode::Stream => "stream",
                Mode::Tick => "tick",
                Mode::Refused => "refused",
            };
            let cost = cost.as_ref().map(cost::text);
            let said = reason.as_ref().or(cost.as_ref()).map(String::as_str).unwrap_or_default();
            let _ = writeln!(text, "{mode:<9}{query}: {said}");
        }
        let Bounds { selectors, series, series_of_part, elements, reach_ms, looks } = &self.bounds;
        let hours = reach_ms / 3_600_000;
        let _ = write!(
            text,
            "at most: {selectors} selectors, {series} series, {series_of_part} in one evaluation, \
             {elements} elements, {hours}h back, {looks} series looked at by their numbers or as much"
        );
        text
    }
}

impl QueryReport {
    fn of(text: &str) -> Self {
        let query = text.to_owned();
        match Cost::of_followed(text) {
            Ok(cost) => {
                let mode = if cost.interval.is_some() { Mode::Tick } else { Mode::Stream };
                Self { query, mode, reason: None, cost: Some(CostReport::new(&cost)) }
            }
            Err(reason) => Self { query, mode: Mode::Refused, reason: Some(reason), cost: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_expression_has_its_mode_and_cost_and_the_bounds_stand_below() {
        let texts = ["sum by (a) (rate(x[5m]))", "x @ end()", "x[5m]", "max_over_time(x[9d])"];
        let report = QueriesReport::of(&texts.map(str::to_owned));
        assert_eq!(report.refused(), 2);
        let text = report.text();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("stream   sum by (a) (rate(x[5m])): by a, 1 selector, "),
            "{text}"
        );
        assert!(lines[1].starts_with("tick     x @ end(): whole each 1s, "), "{text}");
        assert!(
            lines[2].starts_with("refused  x[5m]: a query that is followed is a vector"),
            "{text}"
        );
        assert!(lines[3].contains("looks 777600 s back"), "{text}");
        assert!(lines[4].starts_with("at most: 64 selectors, 100000 series"), "{text}");
    }
}
