//! What a query or a rule costs, for programs.

use std::time::Duration;

use bellwire_rules::{Cost, Parts};
use serde::{Deserialize, Serialize};

/// The cost of an expression; its JSON is for programs to rely on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CostReport {
    /// What is evaluated together.
    pub parts: PartsReport,
    /// How often it is evaluated; `null` where it is when a sample comes.
    pub interval_ms: Option<u64>,
    /// The selectors of the expression.
    pub selectors: usize,
    /// The ranges that it looks at.
    pub windows_ms: Vec<u64>,
    /// How long samples are kept behind the newest one; 0 keeps the newest alone.
    pub kept_ms: u64,
    /// Whether it may have to be looked at each second.
    pub restless: bool,
    /// What the expression adds to each series, beside its samples.
    pub series_bytes: usize,
    /// What each sample takes that is kept.
    pub sample_bytes: usize,
    /// Series of a part for each millisecond between two evaluations; `null` where that is no matter.
    pub spacing_series_per_ms: Option<u64>,
}

/// The series that are evaluated together.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "labels")]
pub enum PartsReport {
    /// Each by itself.
    EachSeries,
    /// Those with the same values of these labels.
    By(Vec<String>),
    /// Those with the same values of all other labels.
    Without(Vec<String>),
    /// All.
    Whole,
}

impl CostReport {
    /// What is told of a cost.
    pub fn new(cost: &Cost) -> Self {
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
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
