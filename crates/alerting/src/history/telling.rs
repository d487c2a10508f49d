//! What events of the journal tell of which alerts.

use bellwire_alerts::past::{Happened, Place};
use bellwire_model::{Body, Entry, Event, Fingerprint, Offset, Timestamp, TransitionKind};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Index;
use crate::events::{ACKNOWLEDGED, ASSIGNED, COMMENTED, SERIES, UNACKNOWLEDGED, UNASSIGNED};

/// By whose events it is told how far back history goes: when those of others were is for those who
/// may see all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Horizon {
    OfAll,
    OfItsOwn,
}

impl Horizon {
    /// By whose events it is told of this alert, if it is one: by its own, or by all.
    pub(super) fn of(self, alert: Option<Fingerprint>) -> Option<Fingerprint> {
        alert.filter(|_| self == Self::OfItsOwn)
    }
}

impl Index {
    /// Takes in an event.
    pub(super) fn note(&mut self, entry: &Entry) {
        let Entry { offset, event, .. } = entry;
        let place = |what| Place { offset: *offset, time: event.time, what };
        match what_of(event) {
            Some((alert, Happened::Measured)) => {
                self.series.note(alert, place(Happened::Measured));
            }
            Some((alert, Happened::Attended)) => {
                self.letters.note(alert, place(Happened::Attended));
            }
            Some((alert, what)) => self.events.note(alert, place(what)),
            None => {
                for alert in alerts_of(event) {
                    self.letters.note(alert, place(Happened::Notified));
                }
            }
        }
    }

    /// The newest event that is gone or lost, or that there was no room for.
    pub(super) fn gone(&self, trimmed: Offset) -> Offset {
        let crowded_out = self.events.crowded_out().max(self.letters.crowded_out());
        trimmed.max(self.lost).max(crowded_out.unwrap_or(Offset::ZERO))
    }
}

#[derive(Deserialize)]
struct FiredAt {
    fired_at: Option<i64>,
}

/// What an event of an alert tells, and of which; nothing where it is another kind of event.
fn what_of(event: &Event) -> Option<(Fingerprint, Happened)> {
    let alert = event.key.as_deref()?.parse().ok()?;
    let what = match event.event_type.as_deref()? {
        ACKNOWLEDGED => Happened::Acknowledged,
        UNACKNOWLEDGED => Happened::Unacknowledged,
        ASSIGNED | UNASSIGNED | COMMENTED => Happened::Attended,
        SERIES => Happened::Measured,
        kind if kind == TransitionKind::DataLost.event_type() => Happened::LostData,
        kind if kind == TransitionKind::Resolved.event_type() => Happened::Resolved,
        kind if kind == TransitionKind::Firing.event_type() => {
            let fired_at = json_of(event).and_then(|json| serde_json::from_slice(json).ok());
            let fired_at = fired_at.and_then(|FiredAt { fired_at }| fired_at);
            match fired_at.map(Timestamp::from_ms) {
                Some(fired_at) if fired_at != event.time => Happened::FiresOn,
                _ => Happened::Fired,
            }
        }
        _ => return None,
    };
    Some((alert, what))
}

fn json_of(event: &Event) -> Option<&[u8]> {
    match &event.body {
        Some(Body::Json(json)) => Some(json),
        _ => None,
    }
}

/// A letter, delivered or dead, as far as it names alerts.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    payload: Option<Payload>,
    fingerprints: Vec<String>,
    firing: Vec<String>,
    resolved: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload {
    alerts: Vec<NamedAlert>,
}

#[derive(Deserialize)]
struct NamedAlert {
    fingerprint: String,
}

/// The alerts that a letter tells of.
fn alerts_of(event: &Event) -> Vec<Fingerprint> {
    let named = json_of(event).and_then(|json| serde_json::from_slice::<Named>(json).ok());
    let Named { payload, fingerprints, firing, resolved } = named.unwrap_or_default();
    let of_payload = payload.unwrap_or_default().alerts.into_iter().map(|alert| alert.fingerprint);
    let named = of_payload.chain(fingerprints).chain(firing).chain(resolved);
    named.filter_map(|text| text.parse().ok()).collect()
}

/// What is told of a letter to whoever sees one of its alerts: neither the other alerts nor what is
/// said of them.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    receiver: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    webhook: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    group_key: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    notification_reason: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    reason: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    attempts: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    last_status: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    due_at: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    sent_at: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    given_up_at: Option<&'a RawValue>,
    /// As what the webhook was told of the alert.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    told_as: Option<&'static str>,
}

/// A letter without what it says, for somebody who asks for one of its alerts. Why it could not be
/// delivered may quote what the webhook says of others, and how many alerts there were.
pub(super) fn envelope(mut event: Event, alert: Fingerprint, horizon: Horizon) -> Event {
    let envelope = json_of(&event).and_then(|json| {
        let mut envelope: Envelope<'_> = serde_json::from_slice(json).ok()?;
        envelope.reason = envelope.reason.filter(|_| horizon == Horizon::OfAll);
        envelope.told_as = told_as(json, alert);
        serde_json::to_vec(&envelope).ok()
    });
    event.body = envelope.map(|json| Body::Json(json.into()));
    event
}

/// As what a letter that was delivered tells of an alert.
fn told_as(json: &[u8], alert: Fingerprint) -> Option<&'static str> {
    let Named { firing, resolved, .. } = serde_json::from_slice(json).ok()?;
    let has = |named: &[String]| named.iter().any(|text| text.parse() == Ok(alert));
    match () {
        () if has(&firing) => Some("firing"),
        () if has(&resolved) => Some("resolved"),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(json: &str) -> Event {
        let topic = "alerts/notifications/ops".parse().expect("a topic");
        let body = Some(Body::Json(json.as_bytes().to_vec().into()));
        Event { topic, key: None, event_type: None, time: Timestamp::from_ms(1), body }
    }

    #[test]
    fn a_letter_tells_whoever_sees_one_alert_nothing_of_the_others() {
        let shown = |json: &str, horizon| {
            let event = envelope(letter(json), Fingerprint::from_u64(0xa), horizon);
            String::from_utf8(json_of(&event).expect("a body").to_vec()).expect("text")
        };
        let dead = r#"{"receiver":"ops","reason":"it says: Down of team blue","attempts":3,
            "payload":{"alerts":[{"fingerprint":"a"},{"fingerprint":"b"}]}}"#;
        assert_eq!(alerts_of(&letter(dead)).len(), 2);
        assert_eq!(shown(dead, Horizon::OfItsOwn), r#"{"receiver":"ops","attempts":3}"#);
        assert!(shown(dead, Horizon::OfAll).contains("of team blue"));
        let sent = r#"{"receiver":"ops","alerts":3,"firing":["b","c"],"resolved":["a"]}"#;
        assert_eq!(alerts_of(&letter(sent)).len(), 3);
        for horizon in [Horizon::OfAll, Horizon::OfItsOwn] {
            assert_eq!(shown(sent, horizon), r#"{"receiver":"ops","told_as":"resolved"}"#);
        }
    }
}
