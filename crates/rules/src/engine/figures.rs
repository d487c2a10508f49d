//! What an engine holds and has done, as numbers.

use std::sync::Arc;

use bellwire_model::limits::REJECTIONS_REPORTED_MAX;
use bellwire_model::{Labels, RuleName};
use thiserror::Error;

use crate::rule::Rule;

/// What an engine holds and has done since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Rules.
    pub rules: usize,
    /// Series that are remembered now.
    pub series: usize,
    /// Samples that wait for their time now.
    pub samples_ahead: usize,
    /// Pending, firing and resolved alerts now.
    pub alerts: AlertFigures,
    /// Samples that were dropped.
    pub dropped: DroppedFigures,
    /// Bytes of the samples that are kept because rules look back.
    pub samples_kept_bytes: usize,
    /// Samples that were forgotten although a rule looks back as far.
    pub cut: CutFigures,
    /// Evaluations that were put off because their part looks at so many series that it would take
    /// too much of the time.
    pub evaluations_spaced: u64,
    /// The metric of the series, or of the sample ahead of the time, that was refused last because
    /// there were too many.
    pub refused_metric: Option<Box<str>>,
    /// Evaluations that raised no alert because another one has the same labels.
    pub alerts_duplicate: u64,
    /// Evaluations that raised no alert because its labels break a bound.
    pub alerts_invalid: u64,
    /// Evaluations that raised no alert because there are too many.
    pub alerts_refused: u64,
    /// The rule whose alert was refused last because there were too many.
    pub refused_rule: Option<Arc<RuleName>>,
    /// Evaluations that came to nothing, and why the last one did.
    pub failures: Failures,
}

/// Samples that were forgotten although a rule looks back as far, because the samples that are kept
/// take as much memory as they may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CutFigures {
    /// How many there were.
    pub samples: u64,
    /// The rule that looks back furthest at the series that lost the last ones, and the series.
    pub last: Option<(Arc<RuleName>, Labels)>,
}

/// Samples of one batch that were refused because there was no room for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedSamples {
    /// How many there were.
    pub count: usize,
    /// The first [`REJECTIONS_REPORTED_MAX`] of them: their places in the batch, and why.
    pub first: Vec<(usize, SampleRefusal)>,
}

impl RefusedSamples {
    pub(super) fn note(&mut self, place: usize, refusal: SampleRefusal) {
        self.count += 1;
        if self.first.len() < REJECTIONS_REPORTED_MAX {
            self.first.push((place, refusal));
        }
    }
}

/// Why there was no room for a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SampleRefusal {
    /// Its series is new, and there are as many as there may be.
    #[error(
        "the series is new, and rules remember as many as they may: send fewer different labels, \
         or wait until others have been silent for long enough"
    )]
    Series,
    /// Its series is new, and its metric has its share of them.
    #[error(
        "the series is new, and so many of this metric are there that what room is left is for \
         others: send fewer different labels"
    )]
    SeriesOfMetric,
    /// It is ahead of the time, and too many others are.
    #[error("the sample is ahead of the server's clock, and so are too many others")]
    Ahead,
}

impl SampleRefusal {
    /// Its stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Series => "series_limit",
            Self::SeriesOfMetric => "metric_series_limit",
            Self::Ahead => "samples_ahead_limit",
        }
    }
}

/// Evaluations that came to nothing: two elements matched where one may, or a rule gave more than
/// its group allows. What the rule gave before stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many there were.
    pub count: u64,
    /// The rule that failed last, and why.
    pub last: Option<(Arc<RuleName>, Box<str>)>,
}

impl Failures {
    pub(super) fn note(&mut self, rule: &Rule, reason: String) {
        self.count += 1;
        self.last = Some((rule.name.clone(), reason.into()));
    }
}

/// Alerts by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertFigures {
    /// Their condition holds, but not long enough yet.
    pub pending: usize,
    /// They fire.
    pub firing: usize,
    /// They fired, and their series have fallen silent.
    pub data_lost: usize,
    /// They fired, and are still kept.
    pub resolved: usize,
}

/// Samples that were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedFigures {
    /// Older than the newest sample of their series, or than the lookback.
    pub late: u64,
    /// Ahead of the time when too many others were.
    pub ahead: u64,
    /// Of a new series when there were too many.
    pub series: u64,
}
