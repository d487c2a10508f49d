//! What waits of the board, without a log.

use bellwire_model::Body;

use super::*;

fn event(key: &str, value: &str, event_type: Option<&str>) -> Event {
    Event {
        topic: ALERTS_ACTIVE.parse().expect("a topic"),
        key: Some(key.into()),
        event_type: event_type.map(Into::into),
        time: Timestamp::from_ms(0),
        body: (!value.is_empty()).then(|| Body::Json(value.to_owned().into())),
    }
}

/// `key=value`, sorted, and what it is told as.
fn summary(events: &[Event]) -> Vec<String> {
    let line = |event: &Event| {
        let key = event.key.as_deref().unwrap_or_default();
        let body = event
            .body
            .as_ref()
            .map_or("gone", |body| std::str::from_utf8(body.bytes()).expect("a text"));
        format!("{key}={body} {}", event.event_type.as_deref().unwrap_or("-"))
    };
    let mut lines: Vec<String> = events.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn the_newest_of_each_alert_goes_at_once_and_values_wait() {
    let mut waiting = Waiting::default();
    waiting.put(event("a", "1", Some("alert.firing")), Urgency::Now);
    waiting.put(event("b", "1", None), Urgency::Soon);
    // Of one that is about to go the value may as well be the newest.
    waiting.put(event("a", "2", None), Urgency::Soon);
    let first = waiting.take();
    assert_eq!(summary(&first), ["a=2 alert.firing"]);
    // Nothing more while that is on its way.
    waiting.put(event("b", "2", Some("alert.resolved")), Urgency::Now);
    waiting.put(event("a", "3", None), Urgency::Soon);
    assert!(waiting.take().is_empty());
    waiting.is_under_way = false;
    assert_eq!(summary(&waiting.take()), ["b=2 alert.resolved"]);
    assert_eq!(waiting.values.len(), 1, "{waiting:?}");
}

#[test]
fn what_the_log_has_not_taken_is_offered_again_unless_there_is_something_newer() {
    let mut waiting = Waiting::default();
    for key in ["a", "b", "c", "d"] {
        waiting.put(event(key, "1", Some("alert.firing")), Urgency::Now);
    }
    let refused = waiting.take();
    waiting.put(event("a", "2", Some("alert.resolved")), Urgency::Now);
    waiting.put(event("b", "2", None), Urgency::Soon);
    waiting.put(event("c", "", None), Urgency::Now);
    waiting.is_under_way = false;
    waiting.put_back(refused);
    let expected = ["a=2 alert.resolved", "b=2 alert.firing", "c=gone -", "d=1 alert.firing"];
    assert_eq!(summary(&waiting.take()), expected);
    assert!(waiting.values.is_empty(), "{waiting:?}");
}

#[test]
fn a_key_of_before_is_claimed_by_whoever_shows_it() {
    let keys = ["a", "b"].map(Box::from);
    let unclaimed = keys.into_iter().collect();
    let mut waiting = Waiting { unclaimed, ..Waiting::default() };
    waiting.put(event("a", "1", None), Urgency::Now);
    assert_eq!(waiting.unclaimed.iter().map(|key| &**key).collect::<Vec<_>>(), ["b"]);
}
