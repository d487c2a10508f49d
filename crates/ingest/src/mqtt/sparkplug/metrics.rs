//! What a node or device has announced: its metrics by name and by number.

use bellwire_model::{Labels, NameMap, NameSet, Sample, Timestamp};

use super::payload::{Metric, is_measured};
use super::{LIFE, Out, Place, Refusal, Time, UNBORN, quoted};
use crate::scrape::STALE_MARKER as STALE;

/// Bytes that a metric counts for beside its texts.
const METRIC_OVERHEAD_BYTES: usize = 160;
/// Bytes of the number of one that is not measured.
const UNMEASURED_BYTES: usize = 32;
/// Metrics by which hosts command: they are not measured.
const COMMANDS: [&str; 2] = ["Node Control/", "Device Control/"];

/// Metrics that were announced.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    known: Vec<Known>,
    by_name: NameMap<Box<str>, usize>,
    by_alias: NameMap<u64, usize>,
    /// Numbers of metrics that are not measured.
    unmeasured: NameSet<u64>,
    bytes: usize,
    /// Whether its numbers mean nothing any more.
    is_forgotten: bool,
    /// The time of its newest value, which may be ahead of the clock.
    latest: Timestamp,
}

/// A series, with its value and when that was measured.
type Measured<'a> = (&'a Labels, (f64, Timestamp));

/// One of them.
#[derive(Debug)]
struct Known {
    series: Labels,
    datatype: u32,
}

impl Metrics {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes in what is announced, for which there is so much room.
    pub(super) fn announce(
        &mut self,
        place: Place<'_>,
        metrics: &[Metric],
        room: usize,
    ) -> Result<(), Refusal> {
        for metric in metrics {
            self.announce_one(place, metric)?;
            if self.bytes > room {
                return Err(is_full());
            }
        }
        // A node without metrics takes room, too.
        if room == 0 { Err(is_full()) } else { Ok(()) }
    }

    fn announce_one(&mut self, place: Place<'_>, metric: &Metric) -> Result<(), Refusal> {
        let Some(name) = metric.name.as_deref() else {
            return Err(Refusal::new("sparkplug_name", "a metric is announced with its name"));
        };
        let datatype = metric.datatype.unwrap_or_default();
        if !is_measured(datatype) || is_command(name) || name == LIFE {
            self.bytes += UNMEASURED_BYTES;
            self.unmeasured.extend(metric.alias);
            return Ok(());
        }
        let series = place.series(name)?;
        self.bytes += METRIC_OVERHEAD_BYTES + series.size_bytes() + name.len();
        let number = self.known.len();
        let is_twice = self.by_name.insert(name.into(), number).is_some()
            || metric.alias.is_some_and(|alias| self.by_alias.insert(alias, number).is_some());
        if is_twice {
            let detail = format!("the metric `{}`, or its number, stands twice", quoted(name));
            return Err(Refusal::new("sparkplug_twice", detail));
        }
        self.known.push(Known { series, datatype });
        Ok(())
    }

    /// Takes the values of metrics that were announced. Says whether all of them were.
    pub(super) fn data(&mut self, metrics: &[Metric], time: Time, out: &mut Out<'_>) -> bool {
        let mut are_known = true;
        let mut latest = self.latest;
        for metric in metrics {
            match self.sample(metric, time) {
                Ok(Some((series, measured))) => {
                    latest = latest.max(measured.1);
                    out.take(series, measured);
                }
                Ok(None) => {}
                Err(refusal) => {
                    are_known &= refusal.code() != UNBORN;
                    out.refuse(refusal);
                }
            }
        }
        self.latest = latest;
        are_known
    }

    fn sample(&self, metric: &Metric, time: Time) -> Result<Option<Measured<'_>>, Refusal> {
        let by_alias = || {
            let alias = metric.alias.filter(|_| !self.is_forgotten)?;
            self.by_alias.get(&alias)
        };
        let number = match metric.name.as_deref() {
            Some(name) if is_command(name) || name == LIFE => return Ok(None),
            Some(name) => self.by_name.get(name),
            None => by_alias(),
        };
        let is_unmeasured = || {
            let datatype = metric.datatype.filter(|_| metric.name.is_some());
            metric.alias.is_some_and(|alias| self.unmeasured.contains(&alias))
                || datatype.is_some_and(|datatype| !is_measured(datatype))
        };
        let Some(Known { series, datatype }) = number.map(|number| &self.known[*number]) else {
            if is_unmeasured() {
                return Ok(None);
            }
            let detail = "a value of a metric that was not announced";
            return Err(Refusal::new(UNBORN, detail));
        };
        let time = time.of_metric(metric)?;
        let value = if metric.is_null == Some(true) {
            STALE
        } else {
            let number = metric.number(*datatype);
            let wrong = || Refusal::new("type_invalid", "a value is not of its metric's type");
            let value = number.ok_or_else(wrong)?;
            Sample::check_value(value)?;
            value
        };
        Ok(Some((series, (value, time))))
    }

    /// Ends the series of those that were there before and are not here, after their newest value.
    pub(super) fn end_those_gone(&mut self, before: &Self, time: Timestamp, out: &mut Out<'_>) {
        let here: NameSet<&Labels> = self.known.iter().map(|known| &known.series).collect();
        let gone = before.known.iter().filter(|known| !here.contains(&known.series));
        let time = time.max(before.latest);
        gone.for_each(|known| out.take(&known.series, (STALE, time)));
        self.latest = before.latest;
    }

    /// Ends all its series, after their newest value.
    pub(super) fn end(self, time: Timestamp, out: &mut Out<'_>) {
        let time = time.max(self.latest);
        self.known.iter().for_each(|known| out.take(&known.series, (STALE, time)));
    }

    /// Takes no numbers until they are announced again.
    pub(super) fn forget_numbers(&mut self) {
        self.is_forgotten = true;
    }
}

fn is_full() -> Refusal {
    Refusal::new("sparkplug_full", "there is no room for the metrics of more nodes and devices")
}

fn is_command(name: &str) -> bool {
    COMMANDS.iter().any(|prefix| name.starts_with(prefix))
}
