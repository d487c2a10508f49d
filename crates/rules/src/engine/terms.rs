//! What an engine works by.

use std::time::Duration;

use bellwire_model::limits::{
    ALERTS_ACTIVE_MAX, LIVE_JOINS_MAX, LIVE_JOINS_RESERVED, LOOKBACK, RESOLVED_RETENTION,
    SAMPLES_AHEAD_MAX, SAMPLES_KEPT_BYTES_MAX, SERIES_MAX, SERIES_RESERVED,
};

use crate::evaluation::Conventions;
use crate::template::Externals;

/// The bounds and times that an engine works with; the defaults are those of
/// [`limits`](bellwire_model::limits).
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a series is present after its newest sample.
    pub lookback: Duration,
    /// How long a resolved alert is kept.
    pub resolved_retention: Duration,
    /// Series that are remembered.
    pub series_max: usize,
    /// Series beyond these that only rules themselves may begin.
    pub series_reserved: usize,
    /// Series that all standing queries look at, each query's counted by themselves.
    pub live_joins_max: usize,
    /// Series beyond these that may come to queries that stand.
    pub live_joins_reserved: usize,
    /// Samples that wait for their time.
    pub samples_ahead_max: usize,
    /// Bytes of the samples that are kept for ranges; beyond it windows are cut, and do not grow.
    pub samples_kept_bytes_max: usize,
    /// Alerts that are remembered; beyond it the oldest resolved ones go, then new ones are refused.
    pub alerts_max: usize,
    /// What templates may name beside the labels and the value.
    pub externals: Externals,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lookback: LOOKBACK,
            resolved_retention: RESOLVED_RETENTION,
            series_max: SERIES_MAX,
            series_reserved: SERIES_RESERVED,
            live_joins_max: LIVE_JOINS_MAX,
            live_joins_reserved: LIVE_JOINS_RESERVED,
            samples_ahead_max: SAMPLES_AHEAD_MAX,
            samples_kept_bytes_max: SAMPLES_KEPT_BYTES_MAX,
            alerts_max: ALERTS_ACTIVE_MAX,
            externals: Externals::default(),
        }
    }
}

/// What an engine works by; it never changes.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) settings: Settings,
    pub(super) conventions: Conventions,
}

impl Terms {
    /// Those of an engine with these settings.
    pub(super) fn new(settings: Settings) -> Self {
        let conventions = Conventions { lookback: settings.lookback, ..Conventions::default() };
        Self { settings, conventions }
    }
}
