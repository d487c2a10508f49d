//! What a rule or a query costs, for people.

use std::fmt::Write as _;

use bellwire_server::{CostReport, PartsReport};

use crate::output::counted;

/// How often a series gets a sample where most of them do.
const INTERVAL_MS: u64 = 15_000;

/// A cost in one line.
pub(super) fn text(report: &CostReport) -> String {
    let CostReport { parts, interval_ms, selectors, kept_ms, series_bytes, sample_bytes, .. } =
        report;
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
    let restless = if report.restless { ", looked at each second" } else { "" };
    let spaced = match report.spacing_series_per_ms {
        None => String::new(),
        Some(series) => {
            format!(", each {series} series of a part keep its evaluations 1ms apart")
        }
    };
    format!("{parts}, {selectors}, {kept}, {memory}{held}{restless}{spaced}")
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
