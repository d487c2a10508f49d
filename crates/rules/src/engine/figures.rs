//! What an engine holds and has done, as numbers.

use std::sync::Arc;

use bellwire_model::RuleName;

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
