//! What is written down of series and alerts.

use std::sync::Arc;

use bellwire_model::{Alert, Labels, Timestamp};

use super::PartName;
use crate::storage::Point;

/// A series and its samples, in the order in which they came.
#[derive(Clone, Debug)]
pub(crate) struct SavedSeries {
    pub(crate) labels: Labels,
    pub(crate) points: Vec<Point>,
}

/// An alert, and what else an engine knows of it.
#[derive(Clone, Debug)]
pub(crate) struct SavedAlert {
    pub(crate) alert: Arc<Alert>,
    /// The labels of the element that it comes from.
    pub(crate) element: Labels,
    /// Since when it fires although its condition no longer holds.
    pub(crate) kept_since: Option<Timestamp>,
    /// Who raises it.
    pub(crate) part: Option<PartName>,
}
