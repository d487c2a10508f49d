//! What events of the journal tell of which alerts.

use bellwire_alerts::past::{Happened, Place};
use bellwire_model::{Body, Entry, Event, Fingerprint, Offset, Timestamp, TransitionKind};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Index;
use crate::events::{ACKNOWLEDGED, UNACKNOWLEDGED};

impl Index {
    /// Takes in an event.
    pub(super) fn note(&mut self, entry: &Entry) {
        let Entry { offset, event, .. } = entry;
        let place = |what| Place { offset: *offset, time: event.time, what };
        match what_of(event) {
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

/// A dead letter, as far as it names alerts.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    payload: Option<Payload>,
    fingerprints: Vec<String>,
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
    let Named { payload, fingerprints } = named.unwrap_or_default();
    let of_payload = payload.unwrap_or_default().alerts.into_iter().map(|alert| alert.fingerprint);
    of_payload.chain(fingerprints).filter_map(|text| text.parse().ok()).collect()
}

/// What is told of a letter to whoever sees one of its alerts: neither the other alerts nor what is
/// said of them.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    receiver: Option<&'a RawValue>,
    #[serde(borrow)]
    webhook: Option<&'a RawValue>,
    #[serde(borrow)]
    group_key: Option<&'a RawValue>,
    #[serde(borrow)]
    reason: Option<&'a RawValue>,
    #[serde(borrow)]
    attempts: Option<&'a RawValue>,
    #[serde(borrow)]
    last_status: Option<&'a RawValue>,
    #[serde(borrow)]
    due_at: Option<&'a RawValue>,
    #[serde(borrow)]
    given_up_at: Option<&'a RawValue>,
}

/// A letter without what it says.
pub(super) fn envelope(mut event: Event) -> Event {
    let envelope = json_of(&event).and_then(|json| {
        let envelope: Envelope<'_> = serde_json::from_slice(json).ok()?;
        serde_json::to_vec(&envelope).ok()
    });
    event.body = envelope.map(|json| Body::Json(json.into()));
    event
}
