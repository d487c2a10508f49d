//! Samples on their way to `samples/…`: shown while the rules have nothing to look at, so that no
//! alert waits for them.
//!
//! What waits here keeps its place in the intake, which bounds it.

use std::collections::VecDeque;

use bellwire_model::limits::{FORWARDED_PER_TURN, FORWARDS_BEHIND_MAX, STATE_VALUE_BYTES_MAX};
use bellwire_model::{Body, Event, Filter, Sample, Timestamp, Topic};
use bellwire_process::clock;
use bellwire_wire::json;

use super::intake::Batch;
use crate::figures::Figures;
use crate::states::StateTopics;

/// Samples that are to be shown.
pub(super) struct Forwarding {
    filters: Vec<Filter>,
    waiting: VecDeque<Batch>,
    /// How many samples of the first batch have been shown.
    shown: usize,
    /// Samples that wait.
    len: usize,
    /// The metric that was looked at last, with its topic where it is to be shown: those of a
    /// request are mostly of few metrics, one after the other.
    latest: Option<(Box<str>, Option<Topic>)>,
}

impl Forwarding {
    pub(super) fn new(filters: Vec<Filter>) -> Self {
        Self { filters, waiting: VecDeque::new(), shown: 0, len: 0, latest: None }
    }

    /// Shows samples when there is time.
    pub(super) fn push(&mut self, batch: Batch) {
        if !self.filters.is_empty() {
            self.len += batch.samples.len();
            self.waiting.push_back(batch);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether so many samples wait that it is their turn, whatever else there is.
    pub(super) fn is_behind(&self) -> bool {
        self.len > FORWARDS_BEHIND_MAX
    }

    /// Shows some of what waits.
    pub(super) fn turn(&mut self, states: &dyn StateTopics, figures: &Figures) {
        let Some(batch) = self.waiting.pop_front() else { return };
        let end = batch.samples.len().min(self.shown + FORWARDED_PER_TURN);
        let samples = &batch.samples[self.shown..end];
        let now = clock::slewed().now;
        let event = |sample| self.event(sample, (states, now));
        let events = samples.iter().filter_map(event).collect();
        states.wait_for_room();
        let refused = states.apply_measured(events).iter().filter(|result| result.is_err()).count();
        figures.values_refused.add(refused as u64);
        self.len -= samples.len();
        if end < batch.samples.len() {
            self.shown = end;
            self.waiting.push_front(batch);
        } else {
            self.shown = 0;
        }
    }

    /// `samples/<metric name>`: the newest sample of a series, where it is forwarded, and its value.
    fn event(
        &mut self,
        sample: &Sample,
        (states, now): (&dyn StateTopics, Timestamp),
    ) -> Option<(Event, Option<f64>)> {
        let topic = self.topic(sample.series.metric_name()?)?;
        let key = json::state_key(&sample.series);
        if states.time(&topic, &key).is_some_and(|shown| hides(shown, sample.time, now)) {
            return None;
        }
        // A series that has ended is shown no more.
        let body = (!sample.is_stale_marker()).then(|| json::sample(sample));
        if body.as_ref().is_some_and(|body| body.len() > STATE_VALUE_BYTES_MAX) {
            return None;
        }
        let value = body.is_some().then_some(sample.value);
        let body = body.map(|body| Body::Json(body.into()));
        let (key, time) = (Some(key.into()), sample.time);
        Some((Event { topic, key, event_type: None, time, body }, value))
    }

    fn topic(&mut self, name: &str) -> Option<Topic> {
        if let Some((latest, topic)) = &self.latest
            && **latest == *name
        {
            return topic.clone();
        }
        let topic = format!("samples/{name}").parse().ok();
        let topic = topic.filter(|topic| self.filters.iter().any(|filter| filter.matches(topic)));
        self.latest = Some((name.into(), topic.clone()));
        topic
    }
}

/// Whether the value that is shown stays: a late sample must not hide a newer one. But one whose
/// time is yet to come gives way to what has been measured meanwhile: a clock that was ahead for a
/// moment must not hide what comes after it.
fn hides(shown: Timestamp, time: Timestamp, now: Timestamp) -> bool {
    shown > time && (shown <= now || time > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_sample_hides_nothing_and_one_from_ahead_hides_nothing_that_comes_later() {
        let now = 1_000;
        for (shown, time, expected) in [
            (900, 901, false),
            (900, 900, false),
            (900, 899, true),
            (1_000, 999, true),
            (1_001, 1_000, false),
            (5_000, 1_000, false),
            (5_000, 10, false),
            (5_000, 4_999, true),
            (5_000, 5_001, false),
        ] {
            let [shown, time, now] = [shown, time, now].map(Timestamp::from_ms);
            assert_eq!(hides(shown, time, now), expected, "{shown:?} {time:?}");
        }
    }
}
