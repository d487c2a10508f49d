//! The series `ALERTS` and `ALERTS_FOR_STATE`, by which expressions look at alerts.

use bellwire_model::{AlertState, Labels, LabelsError, METRIC_NAME, Timestamp};

use crate::evaluation::Element;

/// One for each alert and state, with the value 1.
pub(crate) const ALERTS: &str = "ALERTS";
/// One for each alert; its value is since when it is active, in seconds.
pub(crate) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";

/// The label that says what an alert is doing.
const STATE: &str = "alertstate";

/// The series that an alert gives while it is in a state.
pub(crate) fn series(
    alert: &Labels,
    state: AlertState,
    active_at: Timestamp,
) -> Result<[Element; 2], LabelsError> {
    let alerts = alert.with(METRIC_NAME, ALERTS)?.with(STATE, state.as_str())?;
    let for_state = alert.with(METRIC_NAME, ALERTS_FOR_STATE)?;
    let since = active_at.as_ms().div_euclid(1000) as f64;
    Ok([Element { labels: alerts, value: 1.0 }, Element { labels: for_state, value: since }])
}
