//! What a browser is told: in JSON, which its service worker words in its language.
//!
//! ```json
//! {"v":1,"language":"de","time":1800000000000,"firing":{"critical":2},"news":[{"fingerprint":"…",
//!  "state":"firing","alertname":"HighLoad","severity":"critical","labels":{"site":"oslo"},
//!  "summary":"…","since":1800000000000}],"more":0,"more_resolved":0}
//! ```
//!
//! A message stands for those before it, which it replaces where the browser has not had them: it says
//! what fires in all.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_model::limits::{
    PUSH_ALERTS_NAMED_MAX, PUSH_MESSAGE_BYTES_MAX, PUSH_SEVERITIES_COUNTED_MAX,
};
use bellwire_model::{Alert, Timestamp};
use serde::Serialize;

use super::news::{Turn, Untold};
use super::urgency::Urgency;

/// Bytes of a name, of a label's value and of a summary; what is longer is cut.
const NAME_BYTES_MAX: usize = 96;
const VALUE_BYTES_MAX: usize = 48;
const SUMMARY_BYTES_MAX: usize = 160;
const RESOLVED: &str = "resolved";
/// Labels that are named beside the alert's name and its severity.
const LABELS_MAX: usize = 3;

/// A message, not yet encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Payload {
    pub(super) text: Vec<u8>,
    pub(super) urgency: Urgency,
    /// Those with the same one replace each other where the browser has not had them.
    pub(super) topic: &'static str,
}

#[derive(Serialize)]
struct PayloadText<'a> {
    v: u8,
    language: &'a str,
    time: i64,
    firing: BTreeMap<&'a str, usize>,
    news: Vec<NewsText<'a>>,
    /// So many are new besides.
    more: usize,
    /// So many of those have resolved.
    more_resolved: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<&'static str>,
}

#[derive(Serialize)]
struct NewsText<'a> {
    fingerprint: String,
    state: &'static str,
    alertname: &'a str,
    severity: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    since: i64,
}

/// What fires in all of what somebody is told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct InAll {
    /// How many of each severity; of very many severities the rest is one.
    counts: BTreeMap<Box<str>, usize>,
    urgency: Option<Urgency>,
}

impl InAll {
    pub(super) fn of<'a>(firing: impl Iterator<Item = &'a Arc<Alert>>) -> Self {
        let mut all = Self::default();
        for alert in firing {
            let severity = cut(alert.severity(), VALUE_BYTES_MAX);
            all.urgency = all.urgency.max(Some(Urgency::of(severity)));
            if let Some(count) = all.counts.get_mut(severity) {
                *count += 1;
                continue;
            }
            let has_room = all.counts.len() < PUSH_SEVERITIES_COUNTED_MAX - 1;
            let severity = if has_room { severity } else { "" };
            *all.counts.entry(severity.into()).or_default() += 1;
        }
        all
    }
}

/// What is new of alerts, and what fires in all. It is as pressing as the most pressing of both: it may
/// take the place of a message that nobody has read, of what fires still.
pub(super) fn of_news(
    untold: &Untold,
    in_all: &InAll,
    (language, now): (&str, Timestamp),
) -> Payload {
    let mut changes: Vec<(Turn, &Arc<Alert>)> = untold.changes().collect();
    // The most pressing first, then the newest.
    changes.sort_by_cached_key(|(turn, alert)| {
        let urgency = Urgency::of(alert.severity());
        let name: Box<str> = alert.name().into();
        (*turn, Reverse((urgency, since(*turn, alert))), name)
    });
    let fires = changes.iter().filter(|(turn, _)| *turn == Turn::Fires);
    let urgency = fires.map(|(_, alert)| Urgency::of(alert.severity())).max();
    let others = untold.others();
    let urgency = urgency.max(others.urgency).max(in_all.urgency);
    let news: Vec<_> = changes.iter().take(PUSH_ALERTS_NAMED_MAX).map(news_text).collect();
    let unnamed = &changes[news.len()..];
    let resolved = unnamed.iter().filter(|(turn, _)| *turn == Turn::Resolved).count();
    let mut text = PayloadText {
        v: 1,
        language,
        time: now.as_ms(),
        firing: in_all.counts.iter().map(|(name, count)| (&**name, *count)).collect(),
        more: unnamed.len() + others.firing + others.resolved,
        more_resolved: resolved + others.resolved,
        news,
        about: None,
    };
    let topic = "alerts";
    Payload { text: fitting(&mut text), urgency: urgency.unwrap_or(Urgency::Low), topic }
}

/// What is to be said of a subscription itself: `test`, or `ended`.
pub(super) fn about(what: &'static str, (language, now): (&str, Timestamp)) -> Payload {
    let mut text = PayloadText {
        v: 1,
        language,
        time: now.as_ms(),
        firing: BTreeMap::new(),
        news: Vec::new(),
        more: 0,
        more_resolved: 0,
        about: Some(what),
    };
    Payload { text: fitting(&mut text), urgency: Urgency::Normal, topic: what }
}

/// Leaves out alerts where the message would be too long: quotes and control characters take more.
fn fitting(text: &mut PayloadText<'_>) -> Vec<u8> {
    loop {
        let json = serde_json::to_vec(text).expect("texts and numbers are JSON");
        if json.len() <= PUSH_MESSAGE_BYTES_MAX {
            return json;
        }
        if let Some(unnamed) = text.news.pop() {
            text.more += 1;
            text.more_resolved += usize::from(unnamed.state == RESOLVED);
        } else {
            text.firing.clear();
        }
    }
}

fn since(turn: Turn, alert: &Alert) -> Timestamp {
    match turn {
        Turn::Fires => alert.fired_at.unwrap_or(alert.active_at),
        Turn::Resolved => alert.resolved_at.unwrap_or(alert.active_at),
    }
}

fn news_text<'a>((turn, alert): &(Turn, &'a Arc<Alert>)) -> NewsText<'a> {
    let is_told_elsewhere = |name: &str| matches!(name, "alertname" | "severity");
    let labels = alert.labels.iter().filter(|(name, _)| !is_told_elsewhere(name));
    let labels = labels.take(LABELS_MAX);
    let labels =
        labels.map(|(name, value)| (cut(name, VALUE_BYTES_MAX), cut(value, VALUE_BYTES_MAX)));
    let summary = ["summary", "description"].iter().find_map(|name| alert.annotations.get(name));
    NewsText {
        fingerprint: alert.fingerprint.to_string(),
        state: if *turn == Turn::Fires { "firing" } else { RESOLVED },
        alertname: cut(alert.name(), NAME_BYTES_MAX),
        severity: cut(alert.severity(), VALUE_BYTES_MAX),
        labels: labels.collect(),
        summary: summary.map(|text| cut(text, SUMMARY_BYTES_MAX)),
        since: since(*turn, alert).as_ms(),
    }
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::push::news::Change;
    use crate::tests::fixture::posted;

    const NOW: Timestamp = Timestamp::from_ms(5_000);

    fn firing(name: &str, severity: &str) -> Arc<Alert> {
        let labels = [("alertname", name), ("severity", severity), ("site", "oslo")];
        Arc::new(posted(&labels, Timestamp::from_ms(4_000)))
    }

    fn untold(changes: &[(Turn, &Arc<Alert>)]) -> Untold {
        let mut untold = Untold::default();
        for (turn, alert) in changes {
            untold.add(&Change { alert: Arc::clone(alert), turn: *turn, found: None });
        }
        untold
    }

    fn read(message: &Payload) -> Value {
        serde_json::from_slice(&message.text).expect("JSON")
    }

    #[test]
    fn a_message_says_what_is_new_and_what_fires_in_all() {
        let [hot, wet, old] = [("Hot", "warning"), ("Wet", "critical"), ("Old", "info")]
            .map(|(name, severity)| firing(name, severity));
        let news = untold(&[(Turn::Fires, &hot), (Turn::Fires, &wet), (Turn::Resolved, &old)]);
        let message = of_news(&news, &InAll::of([&hot, &wet].into_iter()), ("de", NOW));
        assert_eq!(message.urgency, Urgency::High);
        let text = read(&message);
        let names: Vec<_> =
            text["news"].as_array().expect("a list").iter().map(|it| &it["alertname"]).collect();
        assert_eq!(names, ["Wet", "Hot", "Old"]);
        assert_eq!(text["firing"], json!({ "critical": 1, "warning": 1 }));
        let expected = json!({
            "fingerprint": wet.fingerprint.to_string(), "state": "firing", "alertname": "Wet",
            "severity": "critical", "labels": { "site": "oslo" }, "since": 4_000,
        });
        assert_eq!(text["news"][0], expected);
        assert_eq!((&text["language"], &text["more"]), (&json!("de"), &json!(0)));
        let over = untold(&[(Turn::Resolved, &wet)]);
        let urgency = |firing: &[&Arc<Alert>]| {
            of_news(&over, &InAll::of(firing.iter().copied()), ("de", NOW)).urgency
        };
        assert_eq!(urgency(&[]), Urgency::Low);
        // It may take the place of what said so.
        let still = firing("Still", "page");
        assert_eq!(urgency(&[&hot, &still]), Urgency::High);
    }

    #[test]
    fn what_is_not_named_is_counted_by_its_turn() {
        let name = |number: usize| firing(&format!("A{number}"), "warning");
        let alerts: Vec<_> = (0..9).map(name).collect();
        let turn = |number| if number < 3 { Turn::Fires } else { Turn::Resolved };
        let news: Vec<_> = alerts.iter().enumerate().map(|(at, it)| (turn(at), it)).collect();
        let text = read(&of_news(&untold(&news), &InAll::default(), ("en", NOW)));
        assert_eq!((&text["more"], &text["more_resolved"]), (&json!(4), &json!(4)));
    }

    #[test]
    fn a_message_always_fits() {
        // Each of these characters takes six bytes in JSON.
        let text = "\u{1}".repeat(1_000);
        let alerts: Vec<Arc<Alert>> = (0..50)
            .map(|number| {
                let number = format!("{number}{text}");
                let labels = [("alertname", &*number), ("severity", &number), ("a", &number)];
                Arc::new(posted(&labels, NOW))
            })
            .collect();
        let news: Vec<_> = alerts.iter().map(|alert| (Turn::Fires, alert)).collect();
        let message = of_news(&untold(&news), &InAll::of(alerts.iter()), ("en", NOW));
        assert!(message.text.len() <= PUSH_MESSAGE_BYTES_MAX, "{}", message.text.len());
        let text = read(&message);
        let named = text["news"].as_array().expect("a list").len();
        assert_eq!(text["more"], 50 - named);
        let sum: u64 =
            text["firing"].as_object().expect("counts").values().filter_map(Value::as_u64).sum();
        assert!(sum == 50 || sum == 0, "{sum}");
    }
}
