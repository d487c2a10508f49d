//! What rules and people tell of alerts, as events, and where.

use bellwire_journal::Append;
use bellwire_model::limits::{STATE_VALUE_BYTES_MAX, TOPIC_BYTES_MAX};
use bellwire_model::{Alert, Body, Event, Labels, Sample, Topic, Transition, TransitionKind};
use bellwire_rules::Recorded;
use bellwire_wire::json;

/// The state topic of alerts as they are now, keyed by fingerprint.
pub const ALERTS_ACTIVE: &str = Topic::OF_BOARD;

/// Transitions of all alerts.
pub(crate) const ALERTS_EVENTS: &str = "alerts/events";

/// What webhooks have taken, below it one topic for each receiver.
pub(crate) const NOTIFICATIONS: &str = "alerts/notifications";

/// The type of the event that tells that somebody has taken an alert up.
pub(crate) const ACKNOWLEDGED: &str = "alert.acknowledged";

/// The types of the events that tell that somebody is to see to an alert, or nobody any more, and what
/// somebody says of it.
pub(crate) const ASSIGNED: &str = "alert.assigned";
pub(crate) const UNASSIGNED: &str = "alert.unassigned";
pub(crate) const COMMENTED: &str = "alert.commented";

/// The type of the event that tells what was measured when an alert turned.
pub(crate) const SERIES: &str = "alert.series";

/// The type of the event that tells that nobody has any more, though the alert still fires.
pub(crate) const UNACKNOWLEDGED: &str = "alert.unacknowledged";

/// Whether an event tells what became of an alert by itself.
pub(crate) fn is_transition(event_type: &str) -> bool {
    use TransitionKind::{DataLost, Firing, Resolved};
    [Firing, DataLost, Resolved].iter().any(|kind| kind.event_type() == event_type)
}

/// Whether an event tells what somebody does with an alert, and not what becomes of it by itself.
pub(crate) fn is_of_people(event_type: &str) -> bool {
    matches!(event_type, ACKNOWLEDGED | UNACKNOWLEDGED | ASSIGNED | UNASSIGNED | COMMENTED)
}

/// The event of a transition that every subscriber of the alert must see.
pub(crate) fn announcement(transition: &Transition) -> Append {
    let alert = &transition.alert;
    let topic = event_topic(alert);
    let event = Event {
        topic,
        key: Some(alert.fingerprint.to_string().into()),
        event_type: Some(transition.kind.event_type().into()),
        time: transition.time,
        body: Some(Body::Json(json::transition(transition).into())),
    };
    Append::new(event, Some(transition.id().into()))
}

/// `alerts/events/<severity>/<alertname>`; what a topic cannot hold becomes `_`.
pub(crate) fn event_topic(alert: &Alert) -> Topic {
    let segment = |text: &str| -> String {
        let share = TOPIC_BYTES_MAX / 2 - ALERTS_EVENTS.len();
        let mut segment = String::new();
        for character in text.chars() {
            let fits = !(character.is_control() || matches!(character, '/' | '*'));
            segment.push(if fits { character } else { '_' });
            if segment.len() > share {
                segment.pop();
                break;
            }
        }
        if segment.is_empty() { "_".to_owned() } else { segment }
    };
    let topic = format!("{ALERTS_EVENTS}/{}/{}", segment(alert.severity()), segment(alert.name()));
    topic.parse().expect("the segments are valid and short")
}

/// The topic and the key on which a series is shown, where it is.
pub fn place_of_series(series: &Labels) -> Option<(Topic, String)> {
    let topic = format!("samples/{}", series.metric_name()?).parse().ok()?;
    Some((topic, json::state_key(series)))
}

/// A receiver's topic below another one; what a topic cannot hold becomes `_`.
pub(crate) fn topic_of_receiver(below: &str, receiver: &str) -> Topic {
    let room = TOPIC_BYTES_MAX - below.len() - 1;
    let receiver = &receiver[..receiver.floor_char_boundary(room)];
    let fits = |c: char| !(c.is_control() || matches!(c, '/' | '*'));
    let segment: String = receiver.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    format!("{below}/{segment}").parse().expect("the segments are valid and short")
}

/// `rules/<recorded name>`: the newest value of a series; none where the series has ended.
pub(crate) fn recorded_event(recorded: Recorded) -> Option<Event> {
    let Recorded { series, value, time, .. } = recorded;
    let topic: Topic = format!("rules/{}", series.metric_name()?).parse().ok()?;
    let key = Some(json::state_key(&series).into());
    let body = value.map(|value| json::sample(&Sample { series, value, time }));
    if body.as_ref().is_some_and(|body| body.len() > STATE_VALUE_BYTES_MAX) {
        return None;
    }
    let body = body.map(|body| Body::Json(body.into()));
    Some(Event { topic, key, event_type: None, time, body })
}
