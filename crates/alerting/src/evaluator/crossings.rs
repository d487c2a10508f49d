//! What was measured when alerts turned: the recent past of the series that an alert is of, up to the
//! sample that turned it, as events on a topic of their own.
//!
//! They come behind the transitions and are waited for by nobody: what the journal does not take is
//! not kept. Of a storm some are, and each step of the rules reads few of them.

use std::time::Duration;

use bellwire_journal::{Append, Journal};
use bellwire_model::limits::{
    ALERT_SERIES_BURST, ALERT_SERIES_INTERVAL, ALERT_SERIES_PER_STEP_MAX, ALERT_SERIES_POINTS_MAX,
};
use bellwire_model::{Body, Event, Topic, Transition};
use bellwire_wire::json;

use crate::events::{SERIES, place_of_series};
use crate::states::StateTopics;

/// How many may be kept now.
#[derive(Debug)]
pub(super) struct Crossings {
    left: u32,
    /// Up to when time has been counted, since some beginning.
    counted: Duration,
}

impl Crossings {
    pub(super) fn new() -> Self {
        Self { left: ALERT_SERIES_BURST, counted: Duration::ZERO }
    }

    /// Those of a step that may be kept, the first of them.
    pub(super) fn choose(&mut self, step: &mut Vec<Transition>, passed: Duration) {
        let turns =
            passed.saturating_sub(self.counted).as_millis() / ALERT_SERIES_INTERVAL.as_millis();
        let turns = u32::try_from(turns).unwrap_or(u32::MAX);
        self.counted += ALERT_SERIES_INTERVAL.saturating_mul(turns);
        self.left = self.left.saturating_add(turns).min(ALERT_SERIES_BURST);
        step.truncate(ALERT_SERIES_PER_STEP_MAX.min(self.left as usize));
        self.left -= step.len() as u32;
    }
}

/// Has the journal keep what was measured.
pub(super) fn keep(step: &[Transition], states: &dyn StateTopics, journal: &dyn Journal) {
    let events: Vec<Append> = step.iter().filter_map(|turned| event(turned, states)).collect();
    if !events.is_empty() {
        // Nobody waits for them.
        let _ = journal.append(events, Box::new(|_| {}));
    }
}

/// `$alerts/series`: what was measured up to a transition.
fn event(turned: &Transition, states: &dyn StateTopics) -> Option<Append> {
    let sample = turned.sample.as_deref()?;
    let (topic, key) = place_of_series(&sample.series)?;
    let mut points = states.past(&topic, &key, ALERT_SERIES_POINTS_MAX);
    // What is shown may be behind what rules have seen, or ahead of it where that has changed since.
    points.retain(|(time, _)| *time < sample.time);
    points.drain(..points.len().saturating_sub(ALERT_SERIES_POINTS_MAX - 1));
    points.push((sample.time, sample.value));
    let body = json::series_history(&sample.series, &points);
    let event = Event {
        topic: Topic::OF_SERIES_OF_ALERTS.parse().expect("a topic"),
        key: Some(turned.alert.fingerprint.to_string().into()),
        event_type: Some(SERIES.into()),
        time: turned.time,
        body: Some(Body::Json(body.into())),
    };
    Some(Append::new(event, None))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bellwire_model::{Timestamp, TransitionKind};

    use super::*;
    use crate::tests::fixture::posted;

    fn turned() -> Transition {
        let time = Timestamp::from_ms(1);
        let alert = posted(&[("alertname", "Hot")], time);
        let kind = TransitionKind::Firing;
        Transition { kind, time, alert: Arc::new(alert), expression: None, sample: None }
    }

    #[test]
    fn of_a_storm_some_are_kept_and_more_as_time_goes_on() {
        let mut crossings = Crossings::new();
        let mut kept = |count: usize, passed: Duration| {
            let mut step = vec![turned(); count];
            crossings.choose(&mut step, passed);
            step.len()
        };
        let burst = ALERT_SERIES_BURST as usize;
        let steps = (0..100).map(|_| kept(1_000, Duration::ZERO)).collect::<Vec<_>>();
        assert_eq!((steps[0], steps.iter().sum::<usize>()), (ALERT_SERIES_PER_STEP_MAX, burst));
        assert_eq!(kept(10, ALERT_SERIES_INTERVAL * 3), 3);
        assert_eq!(kept(10, ALERT_SERIES_INTERVAL * 7 / 2), 0);
        assert_eq!(kept(10, ALERT_SERIES_INTERVAL * 4), 1, "half a turn is not lost");
        assert_eq!(kept(10, Duration::from_hours(1)), 10);
    }
}
