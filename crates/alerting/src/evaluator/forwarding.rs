//! Samples on their way to `samples/…`: shown while the rules have nothing to look at, so that no
//! alert waits for them.
//!
//! What waits here keeps its place in the intake, which bounds it.

use std::collections::VecDeque;

use bellwire_model::limits::{FORWARDED_PER_TURN, FORWARDS_BEHIND_MAX, STATE_VALUE_BYTES_MAX};
use bellwire_model::{Body, Event, Filter, Sample, Topic};
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
        let events = samples.iter().filter_map(|sample| self.event(sample, states)).collect();
        let refused = states.apply(events).iter().filter(|result| result.is_err()).count();
        figures.values_refused.add(refused as u64);
        self.len -= samples.len();
        if end < batch.samples.len() {
            self.shown = end;
            self.waiting.push_front(batch);
        } else {
            self.shown = 0;
        }
    }

    /// `samples/<metric name>`: the newest sample of a series, where it is forwarded.
    fn event(&mut self, sample: &Sample, states: &dyn StateTopics) -> Option<Event> {
        let topic = self.topic(sample.series.metric_name()?)?;
        let key = json::state_key(&sample.series);
        // A late sample must not hide a newer one.
        if states.time(&topic, &key).is_some_and(|shown| shown > sample.time) {
            return None;
        }
        let body = json::sample(sample);
        if body.len() > STATE_VALUE_BYTES_MAX {
            return None;
        }
        let (key, body) = (Some(key.into()), Some(Body::Json(body.into())));
        Some(Event { topic, key, event_type: None, time: sample.time, body })
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
