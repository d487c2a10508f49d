//! Samples: what sensors send.

use thiserror::Error;

use crate::labels::{Labels, LabelsError};
use crate::limits::{METRIC_NAME_BYTES_MAX, SAMPLE_FUTURE_MAX, SAMPLE_PAST_MAX};
use crate::text::has_control;
use crate::time::Timestamp;

/// One measured value of one series at one time. Samples feed rules; they are not journaled.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The series, its metric name under [`METRIC_NAME`](crate::METRIC_NAME).
    pub series: Labels,
    /// The value. Sources that cannot mean NaN or infinity refuse them.
    pub value: f64,
    /// When it was measured.
    pub time: Timestamp,
}

impl Sample {
    /// The value that says that the series has none any more: Prometheus' marker, which is told
    /// from other NaN by its bits.
    pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

    /// Whether it says that its series has ended.
    pub fn is_stale_marker(&self) -> bool {
        self.value.to_bits() == Self::STALE.to_bits()
    }

    /// Refuses a time so far from `now` that it can only be a wrong unit or a wrong clock.
    pub fn check_time(time: Timestamp, now: Timestamp) -> Result<(), SampleError> {
        if time > now.saturating_add(SAMPLE_FUTURE_MAX) {
            return Err(SampleError::TooNew { time, now });
        }
        if time < now.saturating_sub(SAMPLE_PAST_MAX) {
            return Err(SampleError::TooOld { time, now });
        }
        Ok(())
    }

    /// Refuses NaN and infinities.
    pub fn check_value(value: f64) -> Result<(), SampleError> {
        if value.is_finite() { Ok(()) } else { Err(SampleError::NotFinite) }
    }

    /// Refuses an empty metric name, or one that is too long or has control characters.
    pub fn check_name(name: &str) -> Result<(), SampleError> {
        let too_long = name.len() > METRIC_NAME_BYTES_MAX;
        if name.is_empty() || too_long || has_control(name) {
            return Err(SampleError::Name);
        }
        Ok(())
    }
}

/// Why a sample is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SampleError {
    /// The metric name is empty, too long or has control characters.
    #[error("a metric name has 1 to {METRIC_NAME_BYTES_MAX} bytes and no control characters")]
    Name,
    /// The value is NaN or infinite.
    #[error("the value is not finite: leave the sample out where there is no value")]
    NotFinite,
    /// The time is more than [`SAMPLE_FUTURE_MAX`] ahead.
    #[error(
        "the timestamp {time} ms is more than {} s ahead of the server's clock, {now} ms; \
         is its unit milliseconds?",
        SAMPLE_FUTURE_MAX.as_secs()
    )]
    TooNew {
        /// The sample's time.
        time: Timestamp,
        /// The server's time.
        now: Timestamp,
    },
    /// The time is more than [`SAMPLE_PAST_MAX`] ago.
    #[error(
        "the timestamp {time} ms is more than {} s behind the server's clock, {now} ms; \
         is its unit milliseconds?",
        SAMPLE_PAST_MAX.as_secs()
    )]
    TooOld {
        /// The sample's time.
        time: Timestamp,
        /// The server's time.
        now: Timestamp,
    },
    /// The labels break a rule.
    #[error(transparent)]
    Labels(#[from] LabelsError),
}
