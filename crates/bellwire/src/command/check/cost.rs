//! What a rule costs, for programs and for people.

use std::fmt::Write as _;
use std::time::Duration;

use bellwire_rules::{Cost, Parts};
use serde::Serialize;

use crate::output::counted;

/// How often a series gets a sample where most of them do.
const INTERVAL_MS: u64 = 15_000;

/// The cost of a rule; its JSON is for programs to rely on.
#[derive(Debug, Serialize)]
pub(super) struct CostReport {
    /// What is evaluated together.
    parts: PartsReport,
    /// How often it is evaluated; `null` where it is when a sample comes.
    interval_ms: Option<u64>,
    /// The selectors of the expression.
    selectors: usize,
    /// The ranges that it looks at.
    windows_ms: Vec<u64>,
    /// How long samples are kept behind the newest one; 0 keeps the newest alone.
    kept_ms: u64,
    /// Whether it may have to be looked at each second.
    restless: bool,
    /// What the rule adds to each series, beside its samples.
    series_bytes: usize,
    /// What each sample takes that is kept.
    sample_bytes: usize,
    /// Series of a part for each millisecond between two evaluations; `null` where that is no matter.
    spacing_series_per_ms: Option<u64>,
}

/// The series that are evaluated together.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "labels")]
enum PartsReport {
    EachSeries,
    By(Vec<String>),
    Without(Vec<String>),
    Whole,
}

impl CostReport {
    pub(super) fn new(cost: &Cost) -> Self {
        let owned = |labels: &[Box<str>]| labels.iter().map(ToString::to_string).collect();
        Self {
            parts: match &cost.parts {
                Parts::EachSeries => PartsReport::EachSeries,
                Parts::By(labels) => PartsReport::By(owned(labels)),
                Parts::Without(labels) => PartsReport::Without(owned(labels)),
                Parts::Whole => PartsReport::Whole,
            },
            interval_ms: cost.interval.map(ms),
            selectors: cost.selectors,
            windows_ms: cost.windows.iter().copied().map(ms).collect(),
            kept_ms: ms(cost.kept),
            restless: cost.is_restless,
            series_bytes: cost.series_bytes,
            sample_bytes: cost.sample_bytes,
            spacing_series_per_ms: cost.spacing_series_per_ms,
        }
    }

    /// In one line.
    pub(super) fn text(&self) -> String {
        let Self { parts, interval_ms, selectors, kept_ms, series_bytes, sample_bytes, .. } = self;
        let mut parts = match parts {
            PartsReport::EachSeries => "each series".to_owned(),
            PartsReport::By(labels) => format!("by {}", labels.join(", ")),
            PartsReport::Without(labels) if labels.is_empty() => "each set of labels".to_owned(),
            PartsReport::Without(labels) => format!("without {}", labels.join(", ")),
            PartsReport::Whole => "whole".to_owned(),
        };
        if let Some(interval_ms) = interval_ms {
            let _ = write!(parts, " each {}", duration(*interval_ms));
        }
        if *selectors == 0 {
            return format!("{parts}, no series");
        }
        let selectors = counted(*selectors as u64, "selector");
        let kept = match kept_ms {
            0 => "the newest sample".to_owned(),
            kept_ms => format!("samples of {}", duration(*kept_ms)),
        };
        let memory = format!("{series_bytes} B a series and {sample_bytes} B a sample");
        let held = match kept_ms / INTERVAL_MS * *sample_bytes as u64 {
            0 => String::new(),
            bytes => format!(" ({bytes} B in all for a series with one each 15s)"),
        };
        let restless = if self.restless { ", looked at each second" } else { "" };
        let spaced = match self.spacing_series_per_ms {
            None => String::new(),
            Some(series) => {
                format!(", each {series} series of a part keep its evaluations 1ms apart")
            }
        };
        format!("{parts}, {selectors}, {kept}, {memory}{held}{restless}{spaced}")
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration as rule files write it.
fn duration(ms: u64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut left = ms;
    let mut text = String::new();
    for (name, unit) in units {
        if left >= unit {
            let _ = write!(text, "{}{name}", left / unit);
            left %= unit;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_rule_files() {
        let table =
            [(300_000, "5m"), (5_400_000, "1h30m"), (172_800_001, "2d1ms"), (90_000, "1m30s")];
        for (ms, text) in table {
            assert_eq!(duration(ms), text);
        }
    }
}
