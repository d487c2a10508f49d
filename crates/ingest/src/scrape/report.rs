//! What a server itself says of a scrape: `up`, and how much it was.

use std::time::Duration;

use bellwire_model::{Labels, LabelsError, METRIC_NAME, Sample, Timestamp};

use super::STALE_MARKER;

/// The series of a report, in the order of its values.
const NAMES: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// How a scrape went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// Whether all of it was taken.
    pub is_up: bool,
    /// How long it took.
    pub duration: Duration,
    /// Samples that the target exposes.
    pub exposed: usize,
    /// Those left after relabeling.
    pub kept: usize,
    /// Those of series that the scrape before did not have.
    pub new_series: usize,
}

impl Report {
    /// Its samples, with the labels of the target. Labels that leave no room for a name are an error.
    pub fn samples(&self, target: &Labels, time: Timestamp) -> Result<Vec<Sample>, LabelsError> {
        let values = [
            f64::from(u8::from(self.is_up)),
            self.duration.as_secs_f64(),
            self.exposed as f64,
            self.kept as f64,
            self.new_series as f64,
        ];
        samples(target, values, time)
    }
}

/// What ends a target's reports.
pub fn stale(target: &Labels, time: Timestamp) -> Result<Vec<Sample>, LabelsError> {
    samples(target, [STALE_MARKER; NAMES.len()], time)
}

fn samples(
    target: &Labels,
    values: [f64; NAMES.len()],
    time: Timestamp,
) -> Result<Vec<Sample>, LabelsError> {
    let sample =
        |(name, value)| Ok(Sample { series: target.with(METRIC_NAME, name)?, value, time });
    NAMES.into_iter().zip(values).map(sample).collect()
}
