//! What is remembered of series on state topics, and how it is told: as an event that has all of it.

use std::time::Duration;

use bellwire_hub::{PastCopy, PastLimits, Point, StateTable, Value};
use bellwire_model::limits::{PAST_POINTS, PAST_WINDOW};
use bellwire_model::{Body, Event, Filter, Timestamp, Topic};
use bellwire_wire::json;

use crate::frames::Frames;

/// How much is remembered of the series on topics that match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastRule {
    /// The topics.
    pub pattern: Filter,
    /// How far back; zero for nothing.
    pub window: Duration,
    /// Points of one series.
    pub points_max: u16,
}

impl PastRule {
    fn limits(&self) -> PastLimits {
        let window_ms = u32::try_from(self.window.as_millis()).unwrap_or(u32::MAX);
        PastLimits { window_ms, points_max: self.points_max }
    }
}

/// How much is remembered of which series: the first match, or else what goes without saying.
#[derive(Clone, Debug, Default)]
pub struct PastRules {
    rules: Vec<PastRule>,
    bytes_max: usize,
}

impl PastRules {
    /// All series together are remembered in so many bytes.
    pub fn new(rules: Vec<PastRule>, bytes_max: usize) -> Self {
        Self { rules, bytes_max }
    }

    /// In how many bytes.
    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// How much is remembered of each series on a topic.
    pub(crate) fn limits(&self, topic: &Topic) -> PastLimits {
        let rule = self.rules.iter().find(|rule| rule.pattern.matches(topic));
        let unsaid =
            PastLimits { window_ms: PAST_WINDOW.as_millis() as u32, points_max: PAST_POINTS };
        rule.map_or(unsaid, PastRule::limits)
    }

    /// What takes in points that come together.
    pub(crate) fn memory(&self, now: Timestamp) -> Memory<'_> {
        Memory { rules: self, now_ms: now.as_ms(), latest: None }
    }
}

/// Takes in points.
#[derive(Debug)]
pub(crate) struct Memory<'a> {
    rules: &'a PastRules,
    now_ms: i64,
    /// The topic that was looked at last: those that come together are mostly of few.
    latest: Option<(Topic, PastLimits)>,
}

impl Memory<'_> {
    pub(crate) fn take(
        &mut self,
        table: &mut StateTable<Frames>,
        (topic, key): (&Topic, &str),
        point: Point,
    ) {
        if self.rules.bytes_max == 0 {
            return;
        }
        let limits = match &self.latest {
            Some((latest, limits)) if latest == topic => *limits,
            _ => {
                let limits = self.rules.limits(topic);
                self.latest = Some((topic.clone(), limits));
                limits
            }
        };
        table.remember((topic, key), (point, self.now_ms), (limits, self.rules.bytes_max));
    }
}

/// The type of events that tell of the past of a series.
pub const HISTORY: &str = "history";

/// The past of a value's series from then on, as an event. `None`: it has none, or its labels cannot
/// be read.
pub fn past_event(value: &Value<Frames>, past: &PastCopy, since: Timestamp) -> Option<Event> {
    let event = value.payload.event();
    // Answers of queries have labels that no right asks for: they were made of what may be seen.
    let labels = json::labels_of_series(event.body.as_ref()?.bytes())?;
    let points: Vec<(Timestamp, f64)> = past
        .points()
        .map(|point| (Timestamp::from_ms(point.time_ms), point.value))
        .skip_while(|(time, _)| *time < since)
        .collect();
    let (time, _) = points.last()?;
    Some(Event {
        topic: event.topic.clone(),
        key: event.key.clone(),
        event_type: Some(HISTORY.into()),
        time: *time,
        body: Some(Body::Json(json::series_history(&labels, &points).into())),
    })
}
