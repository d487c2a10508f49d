//! The samples of a request as they come, and what bounds them.

use bellwire_model::limits::{SAMPLES_PER_REQUEST_BYTES_MAX, SAMPLES_PER_REQUEST_MAX};
use bellwire_model::{Sample, Timestamp};

use super::labels::{Attribute, Naming, Scope};
use super::point::Point;
use super::settings::Settings;
use super::targets::Targets;
use super::warnings::Warnings;
use crate::decoded::{Change, Decoded, Interval, Refusal};

const NANOSECONDS_PER_MS: u64 = 1_000_000;
/// The line of `target_info`, which is of no point.
const NO_POINT: usize = 0;

/// What a request's samples are written to.
#[derive(Debug)]
pub(super) struct Output<'s> {
    now: Timestamp,
    naming: Naming<'s>,
    /// Bytes that the samples take.
    bytes: usize,
    /// Bytes of all labels that were made, those of refused points too: what a resource adds is a
    /// copy for each point.
    made: usize,
    /// The time of the resource's latest point.
    latest: Option<Timestamp>,
    targets: Targets,
    warnings: Warnings,
    /// How many points there were.
    points: usize,
    decoded: Decoded,
}

/// Writes the samples of one point.
#[derive(Debug)]
pub(super) struct Pen<'o, 's> {
    output: &'o mut Output<'s>,
    point: &'o Point<'o>,
    time: Timestamp,
}

impl<'s> Output<'s> {
    pub(super) fn new(settings: &'s Settings, now: Timestamp) -> Self {
        Self {
            now,
            naming: Naming::new(settings),
            bytes: 0,
            made: 0,
            latest: None,
            targets: Targets::default(),
            warnings: Warnings::default(),
            points: 0,
            decoded: Decoded::default(),
        }
    }

    /// Ends the request. `target_info` comes last: it is of no point.
    pub(super) fn end(mut self) -> Decoded {
        for (series, time) in std::mem::take(&mut self.targets).into_newest() {
            if self.push(Sample { series, value: 1.0, time }).is_ok() {
                self.decoded.end_line(NO_POINT);
            }
        }
        self.decoded.warnings = self.warnings.into_told();
        self.decoded.items = self.points;
        self.decoded
    }

    pub(super) fn warn(&mut self, warning: impl FnOnce() -> String) {
        self.warnings.say(warning);
    }

    pub(super) fn begin_resource(&mut self, attributes: &[Attribute<'_>]) -> Result<(), Refusal> {
        self.latest = None;
        self.naming.begin_resource(attributes)
    }

    /// Ends a resource: now the time of its latest point is known, which is that of `target_info`.
    pub(super) fn end_resource(&mut self, attributes: &[Attribute<'_>]) {
        let Some(time) = self.latest else { return };
        let Some(labels) = self.naming.target_info(attributes, &mut self.warnings) else { return };
        self.targets.put(labels, time, &mut self.warnings);
    }

    pub(super) fn begin_scope(&mut self, scope: &Scope<'_>) -> Result<(), Refusal> {
        self.naming.begin_scope(scope)
    }

    /// Refuses so many points of a metric, beginning with the next.
    pub(super) fn refuse(&mut self, points: usize, refusal: Refusal, metric: &str) {
        if points > 0 {
            self.decoded.reject_several((self.points + 1, points), refusal, metric);
            self.points += points;
        }
    }

    /// Takes the next point, of a metric of this name: all of its samples, or none and says why.
    pub(super) fn point(
        &mut self,
        (point, metric): (&Point<'_>, &str),
        write: impl FnOnce(&mut Pen<'_, 's>) -> Result<(), Refusal>,
    ) {
        let (samples, bytes) = (self.decoded.samples.len(), self.bytes);
        let time = self.time_of(point);
        let written =
            time.and_then(|time| write(&mut Pen { output: self, point, time }).map(|()| time));
        match written {
            Ok(time) => {
                self.points += 1;
                self.decoded.end_line(self.points);
                self.latest = self.latest.max(Some(time));
            }
            Err(refusal) => {
                self.decoded.samples.truncate(samples);
                self.bytes = bytes;
                self.refuse(1, refusal, metric);
            }
        }
    }

    fn time_of(&self, point: &Point<'_>) -> Result<Timestamp, Refusal> {
        if point.time_ns == 0 {
            return Err(Refusal::new("timestamp_missing", "the point has no time"));
        }
        let time = Timestamp::from_ms((point.time_ns / NANOSECONDS_PER_MS) as i64);
        Sample::check_time(time, self.now)?;
        Ok(time)
    }

    fn push(&mut self, sample: Sample) -> Result<(), Refusal> {
        let bytes = self.bytes + size_of::<Sample>() + sample.series.size_bytes();
        let samples = &mut self.decoded.samples;
        if samples.len() >= SAMPLES_PER_REQUEST_MAX || bytes > SAMPLES_PER_REQUEST_BYTES_MAX {
            return Err(too_many());
        }
        self.bytes = bytes;
        samples.push(sample);
        Ok(())
    }
}

fn too_many() -> Refusal {
    let detail = format!(
        "a request has at most {SAMPLES_PER_REQUEST_MAX} samples, a bucket being one: have the \
         sender make smaller batches"
    );
    Refusal::new("too_many_samples", detail)
}

impl Pen<'_, '_> {
    /// Writes a sample of the series that these labels make of the point.
    pub(super) fn push(&mut self, own: &[(&str, &str)], value: f64) -> Result<(), Refusal> {
        let Output { naming, warnings, made, .. } = &mut *self.output;
        if *made > SAMPLES_PER_REQUEST_BYTES_MAX {
            return Err(too_many());
        }
        let series = naming.series(&self.point.attributes, own, warnings)?;
        *made += series.size_bytes();
        let value = if self.point.is_stale() { Sample::STALE } else { value };
        self.output.push(Sample { series, value, time: self.time })
    }

    /// Says that the point's samples are changes.
    pub(super) fn are_changes(&mut self) -> Result<(), Refusal> {
        let Point { start_ns, time_ns, .. } = *self.point;
        if start_ns > time_ns {
            let detail = "the point ends before it starts";
            return Err(Refusal::new("interval_invalid", detail));
        }
        let line = self.output.points as u32 + 1;
        let interval = Interval { start_ns, end_ns: time_ns };
        self.output.decoded.changes.push(Change { line, interval });
        Ok(())
    }
}
