//! The series `ALERTS` and `ALERTS_FOR_STATE`, by which expressions look at alerts.

use bellwire_model::{AlertState, Labels, LabelsError, METRIC_NAME, Timestamp};

use crate::evaluation::Element;
use crate::sight::STATE;
pub(crate) use crate::sight::{ALERTS, ALERTS_FOR_STATE};

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
