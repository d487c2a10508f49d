//! Which series whoever asks may see. Those of alerts show alerts.

use bellwire_model::{Labels, METRIC_NAME, Sight};

/// One for each alert and state, with the value 1.
pub(crate) const ALERTS: &str = "ALERTS";
/// One for each alert; its value is since when it is active, in seconds.
pub(crate) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";

/// The label that says what an alert is doing.
pub(crate) const STATE: &str = "alertstate";

/// Whether somebody may see a series: of alerts, those whose alerts they may see, too. Nothing where
/// it takes more steps than are left to find out.
pub(crate) fn shows_within(sight: &Sight, series: &Labels, steps: &mut usize) -> Option<bool> {
    if sight.is_all() {
        return Some(true);
    }
    if !sight.series.passes_within(series, steps)? {
        return Some(false);
    }
    if sight.alerts.is_all() || !matches!(series.metric_name(), Some(ALERTS | ALERTS_FOR_STATE)) {
        return Some(true);
    }
    let alert = series.filtered(|name| name != METRIC_NAME && name != STATE);
    sight.alerts.passes_within(&alert, steps)
}

/// The same, however long it takes.
pub(crate) fn shows(sight: &Sight, series: &Labels) -> bool {
    shows_within(sight, series, &mut usize::MAX.clone()).unwrap_or(false)
}
