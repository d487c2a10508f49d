//! What the log says of floods and of rules that fail: who it is, and seldom enough to be read.

use std::time::Duration;

use bellwire_model::limits::COMPLAINT_INTERVAL;
use bellwire_rules::Figures;

/// What was complained of last, and when.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    told_at: Option<Duration>,
    told: Counts,
}

/// What there is to complain of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    series: u64,
    ahead: u64,
    alerts: u64,
    cut: u64,
    failures: u64,
}

impl Counts {
    fn of(figures: &Figures) -> Self {
        Self {
            series: figures.dropped.series,
            ahead: figures.dropped.ahead,
            alerts: figures.alerts_refused,
            cut: figures.cut.samples,
            failures: figures.failures.count,
        }
    }
}

impl Complaints {
    /// Complains of what has grown since the last time, unless that was just now: so much has passed
    /// since the process began.
    pub(super) fn mind(&mut self, figures: &Figures, passed: Duration) {
        let (counts, told) = (Counts::of(figures), self.told);
        let is_early =
            self.told_at.is_some_and(|at| passed.saturating_sub(at) < COMPLAINT_INTERVAL);
        if is_early || counts == told {
            return;
        }
        (self.told_at, self.told) = (Some(passed), counts);
        let metric = figures.refused_metric.as_deref().unwrap_or_default();
        let rule = figures.refused_rule.as_deref().map_or("", |rule| &*rule.alert);
        // `last` is what the last one was of.
        for (refused, last, complaint) in [
            (
                counts.series - told.series,
                metric,
                "There are as many series as rules may remember; samples of new ones are dropped.",
            ),
            (
                counts.ahead - told.ahead,
                metric,
                "Too many samples are ahead of the clock; more are dropped.",
            ),
            (
                counts.alerts - told.alerts,
                rule,
                "There are as many alerts as there may be; new ones are not raised.",
            ),
        ] {
            if refused > 0 {
                tracing::warn!(refused, last, "{complaint}");
            }
        }
        if let Some((rule, series)) = &figures.cut.last
            && counts.cut > told.cut
        {
            let samples = counts.cut - told.cut;
            let (file, group, rule) = (&*rule.file, &*rule.group, &*rule.alert);
            tracing::warn!(samples, file, group, rule, %series, "The samples that rules look back at take as much memory as they may; windows lose their oldest ones. The rule is the one that looks back furthest at the last series.");
        }
        if let Some((rule, reason)) = &figures.failures.last
            && counts.failures > told.failures
        {
            let failures = counts.failures - told.failures;
            let (file, group, rule) = (&*rule.file, &*rule.group, &*rule.alert);
            tracing::warn!(failures, file, group, rule, %reason, "Evaluations of rules fail. The rule is that of the last one.");
        }
    }
}
