//! Notifications as webhooks get them: the format of Alertmanager's webhooks, version 4.

use bellwire_alerts::notification::{Notification, Update};
use bellwire_model::{AlertSource, Labels, Timestamp};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The format's version.
const VERSION: &str = "4";

/// What Alertmanager's own language writes for a time that is not set.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The body of a request to a webhook that takes so many alerts at most.
pub(super) fn json(
    notification: &Notification,
    alerts_max: Option<usize>,
    external_url: &str,
) -> Vec<u8> {
    let alerts = notification.in_reading_order();
    let told = &alerts[..alerts.len().min(alerts_max.unwrap_or(usize::MAX))];
    let labels = || told.iter().map(|update| &update.alert.labels);
    let annotations = || told.iter().map(|update| &update.alert.annotations);
    let payload = Payload {
        receiver: &escaped(&notification.address.receiver),
        status: status(told),
        alerts: told.iter().map(|update| alert(update, external_url)).collect(),
        notification_reason: notification.reason.as_str(),
        group_labels: Pairs(&notification.group_labels),
        common_labels: Pairs(&shared(labels())),
        common_annotations: Pairs(&shared(annotations())),
        route_labels: Pairs(&Labels::empty()),
        external_url,
        version: VERSION,
        group_key: &notification.address.group_key,
        truncated_alerts: alerts.len() - told.len(),
    };
    serde_json::to_vec(&payload).expect("texts and numbers")
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<Alert<'a>>,
    #[serde(rename = "notification_reason")]
    notification_reason: &'static str,
    group_labels: Pairs<'a>,
    common_labels: Pairs<'a>,
    common_annotations: Pairs<'a>,
    route_labels: Pairs<'a>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    status: &'static str,
    labels: Pairs<'a>,
    annotations: Pairs<'a>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

fn alert<'a>(update: &'a Update, external_url: &'a str) -> Alert<'a> {
    let alert = &*update.alert;
    let rfc3339 = |time: Timestamp| time.rfc3339().to_string();
    Alert {
        status: status(&[update]),
        labels: Pairs(&alert.labels),
        annotations: Pairs(&alert.annotations),
        starts_at: rfc3339(alert.fired_at.unwrap_or(alert.active_at)),
        ends_at: alert.resolved_at.map_or_else(|| NEVER.to_owned(), rfc3339),
        generator_url: match &alert.source {
            AlertSource::Rule(_) => external_url,
            AlertSource::Posted { generator_url } => generator_url.as_deref().unwrap_or_default(),
        },
        fingerprint: alert.fingerprint.to_string(),
    }
}

/// Resolved where all of them are.
fn status(updates: &[&Update]) -> &'static str {
    if updates.iter().all(|update| update.is_resolved()) { "resolved" } else { "firing" }
}

/// The pairs that all of them have.
fn shared<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let Some(first) = sets.next() else { return Labels::empty() };
    let mut shared = first.clone();
    for set in sets {
        if shared.is_empty() {
            break;
        }
        let before = shared.clone();
        shared = before.filtered(|name| before.get(name) == set.get(name));
    }
    shared
}

/// A receiver's name, with what is special in a regular expression escaped, as Alertmanager has it.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for character in name.chars() {
        if r"\.+*?()|[]{}^$".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// Labels as a map.
struct Pairs<'a>(&'a Labels);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bellwire_alerts::notification::{Address, NotificationReason};
    use bellwire_alerts::route::Variant;
    use bellwire_model::{AlertState, AlertStatus, Fingerprint};

    use super::*;

    fn update(site: &str, resolved_at: Option<Timestamp>) -> Update {
        let pairs = [("alertname", "Hot"), ("site", site)];
        let labels = Labels::from_pairs(pairs).expect("labels");
        let alert = bellwire_model::Alert {
            fingerprint: Fingerprint::of(&labels),
            source: AlertSource::Posted { generator_url: Some("http://p/graph".into()) },
            state: AlertState::Firing,
            labels,
            annotations: Labels::from_pairs([("summary", "hot"), ("at", site)]).expect("labels"),
            value: 0.0,
            active_at: Timestamp::from_ms(0),
            fired_at: Some(Timestamp::from_ms(1_500)),
            resolved_at,
            sample_time: Timestamp::from_ms(0),
        };
        Update { alert: Arc::new(alert), status: AlertStatus::default() }
    }

    fn notification() -> Notification {
        Notification {
            address: Address {
                receiver: "team-x.y".into(),
                webhook: 0,
                group_key: r#"{}:{alertname="Hot"}"#.into(),
                variant: Variant::ALONE,
            },
            group_labels: Labels::from_pairs([("alertname", "Hot")]).expect("labels"),
            alerts: vec![update("bergen", Some(Timestamp::from_ms(60_000))), update("oslo", None)],
            reason: NotificationReason::SomeResolved,
            time: Timestamp::from_ms(61_000),
            deadline: Timestamp::from_ms(361_000),
        }
    }

    #[test]
    fn a_webhook_gets_the_members_of_version_4() {
        let json = json(&notification(), None, "http://b");
        let expected = concat!(
            r#"{"receiver":"team-x\\.y","status":"firing","alerts":["#,
            r#"{"status":"resolved","labels":{"alertname":"Hot","site":"bergen"},"#,
            r#""annotations":{"at":"bergen","summary":"hot"},"#,
            r#""startsAt":"1970-01-01T00:00:01.500Z","endsAt":"1970-01-01T00:01:00.000Z","#,
            r#""generatorURL":"http://p/graph","fingerprint":"844d708d99f0c324"},"#,
            r#"{"status":"firing","labels":{"alertname":"Hot","site":"oslo"},"#,
            r#""annotations":{"at":"oslo","summary":"hot"},"#,
            r#""startsAt":"1970-01-01T00:00:01.500Z","endsAt":"0001-01-01T00:00:00Z","#,
            r#""generatorURL":"http://p/graph","fingerprint":"d0027341adb4d7a8"}],"#,
            r#""notification_reason":"some alerts resolved","groupLabels":{"alertname":"Hot"},"#,
            r#""commonLabels":{"alertname":"Hot"},"commonAnnotations":{"summary":"hot"},"#,
            r#""routeLabels":{},"externalURL":"http://b","version":"4","#,
            r#""groupKey":"{}:{alertname=\"Hot\"}","truncatedAlerts":0}"#,
        );
        assert_eq!(String::from_utf8(json).expect("text"), expected);
    }

    #[test]
    fn alerts_beyond_the_webhooks_bound_are_counted() {
        let json = json(&notification(), Some(1), "");
        let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(json["truncatedAlerts"], 1);
        assert_eq!(json["alerts"].as_array().expect("a list").len(), 1);
        assert_eq!(
            (&json["status"], &json["commonLabels"]["site"]),
            (&"resolved".into(), &"bergen".into())
        );
    }
}
