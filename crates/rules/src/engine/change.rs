//! What a step changed.

use std::sync::Arc;

use bellwire_model::{Fingerprint, Labels, RuleName, Timestamp, Transition};

/// What a step changed, in the order in which it happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An alert changed its state.
    Transition(Transition),
    /// An alert is forgotten: delete it from whatever shows alerts. It follows the transition of
    /// a pending alert to inactive, and comes when a resolved one has been kept for long enough.
    Removed(Fingerprint),
    /// A series that a recording rule gives has another value.
    Recorded(Recorded),
}

/// A value that a recording rule gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The rule.
    pub rule: Arc<RuleName>,
    /// The series, its metric name that of the rule.
    pub series: Labels,
    /// Its value; nothing where the series has ended.
    pub value: Option<f64>,
    /// When.
    pub time: Timestamp,
}
