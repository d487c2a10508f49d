//! Subscriptions: where a browser is reached, what it is told of, and in whose name.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_alerts::Matchers;
use bellwire_model::limits::{
    PUSH_ENDPOINT_BYTES_MAX, PUSH_LANGUAGE_BYTES_MAX, PUSH_MATCHERS_BYTES_MAX, PUSH_SEVERITIES_MAX,
    PUSH_SEVERITY_BYTES_MAX,
};
use bellwire_model::{Alert, Holder, Timestamp};
use bellwire_wire::problem::{Code, Problem};
use serde::{Deserialize, Serialize};
use url::Url;

use super::encryption::ReceiverKeys;

/// What a browser asks to be told of, and where.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    /// Where it is reached: whoever knows it, and the keys, may tell it something.
    pub endpoint: Box<str>,
    /// The browser's key, and the secret for messages to it, as base64url.
    pub p256dh: Box<str>,
    /// See `p256dh`.
    pub auth: Box<str>,
    /// Severities of the alerts that it is told of; none: all.
    pub severities: Vec<Box<str>>,
    /// Matchers that these pass besides.
    pub matchers: Box<str>,
    /// Whether it is told when they resolve, too.
    pub resolved: bool,
    /// In which language.
    pub language: Box<str>,
    /// Who may list it and take it back.
    pub owner: Box<str>,
    /// In whose name alerts are looked at: what [`Standing`](super::Standing) is asked with.
    pub mandate: Box<str>,
}

/// A subscription as its record has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SubscriptionRecord {
    pub(super) endpoint: Box<str>,
    p256dh: Box<str>,
    auth: Box<str>,
    pub(super) severities: Vec<Box<str>>,
    pub(super) matchers: Box<str>,
    pub(super) resolved: bool,
    pub(super) language: Box<str>,
    pub(super) owner: Box<str>,
    pub(super) mandate: Box<str>,
    pub(super) made_at: i64,
    /// When its browser has asked for it last.
    pub(super) renewed_at: i64,
}

/// One that is kept.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) id: Box<str>,
    pub(super) record: SubscriptionRecord,
    pub(super) endpoint: Url,
    pub(super) keys: ReceiverKeys,
    pub(super) matchers: Matchers,
    state: Mutex<SubscriptionState>,
}

/// How it goes with a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionState {
    /// When its push service has taken something last, since the server's start.
    pub told_at: Option<Timestamp>,
    /// Since when it takes nothing, and why.
    pub failing: Option<(Timestamp, Box<str>)>,
    /// It has ended, and its record is about to go.
    pub(super) is_over: bool,
}

/// A subscription as it is shown: nothing of it tells a browser anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSubscription {
    /// Its name.
    pub id: Box<str>,
    /// The host of the push service.
    pub service: Box<str>,
    /// Severities that it is told of; none: all.
    pub severities: Vec<Box<str>>,
    /// Matchers besides.
    pub matchers: Box<str>,
    /// Whether it is told when alerts resolve.
    pub resolved: bool,
    /// In which language.
    pub language: Box<str>,
    /// When it was made, when its browser has asked for it last, and when it ends unless that does.
    pub made_at: Timestamp,
    /// See `made_at`.
    pub renewed_at: Timestamp,
    /// See `made_at`.
    pub ends_at: Timestamp,
    /// How it goes.
    pub state: SubscriptionState,
}

fn invalid(detail: impl std::fmt::Display) -> Problem {
    Problem::new(Code::BodyInvalid, detail)
}

impl NewSubscription {
    /// What is to be kept, if all of it is as it has to be.
    pub(super) fn read(self, id: Box<str>, now: Timestamp) -> Result<Subscription, Problem> {
        let is_severity = |text: &str| !text.is_empty() && text.len() <= PUSH_SEVERITY_BYTES_MAX;
        let severities = &self.severities;
        if severities.len() > PUSH_SEVERITIES_MAX || !severities.iter().all(|it| is_severity(it)) {
            let detail = format!(
                "`severities` are at most {PUSH_SEVERITIES_MAX} texts of 1 to {PUSH_SEVERITY_BYTES_MAX} bytes"
            );
            return Err(invalid(detail));
        }
        if self.matchers.len() > PUSH_MATCHERS_BYTES_MAX {
            return Err(invalid(format!(
                "`matchers` have at most {PUSH_MATCHERS_BYTES_MAX} bytes"
            )));
        }
        let is_language = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        if self.language.len() > PUSH_LANGUAGE_BYTES_MAX || !self.language.bytes().all(is_language)
        {
            return Err(invalid("`language` is a tag such as `en` or `de-AT`"));
        }
        let keys = ReceiverKeys::read(&self.p256dh, &self.auth).map_err(invalid)?;
        let (p256dh, auth) = keys.texts();
        let record = SubscriptionRecord {
            endpoint: self.endpoint,
            p256dh: p256dh.into(),
            auth: auth.into(),
            severities: self.severities,
            matchers: self.matchers,
            resolved: self.resolved,
            language: self.language,
            owner: self.owner,
            mandate: self.mandate,
            made_at: now.as_ms(),
            renewed_at: now.as_ms(),
        };
        Subscription::read(id, record).map_err(invalid)
    }
}

impl SubscriptionRecord {
    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }

    pub(super) fn holder(&self) -> Holder {
        Holder::named(&self.owner)
    }

    /// Whether both are of one browser: it alone knows these.
    pub(super) fn is_of_browser_of(&self, other: &Self) -> bool {
        (&self.endpoint, &self.p256dh, &self.auth) == (&other.endpoint, &other.p256dh, &other.auth)
    }
}

impl Subscription {
    /// Of a record.
    pub(super) fn read(id: Box<str>, record: SubscriptionRecord) -> Result<Self, String> {
        let endpoint = read_endpoint(&record.endpoint)?;
        let keys = ReceiverKeys::read(&record.p256dh, &record.auth).map_err(|it| it.to_string())?;
        let matchers: Matchers =
            record.matchers.parse().map_err(|error| format!("`matchers`: {error}"))?;
        Ok(Self { id, record, endpoint, keys, matchers, state: Mutex::default() })
    }

    /// Bytes that count for the bounds.
    pub(super) fn bytes(&self) -> usize {
        self.id.len() + self.record.json().len()
    }

    /// Whether it asks to be told of this alert, and how many steps it took to say so.
    pub(super) fn wants(&self, alert: &Alert) -> (bool, usize) {
        let severities = &self.record.severities;
        let is_severe =
            severities.is_empty() || severities.iter().any(|it| **it == *alert.severity());
        if is_severe { self.matchers.matches_briefly(&alert.labels) } else { (false, 1) }
    }

    /// Whether it asks for the same alerts as another one.
    pub(super) fn wants_same_as(&self, other: &Self) -> bool {
        let (one, other) = (&self.record, &other.record);
        one.severities == other.severities && one.matchers == other.matchers
    }

    pub(super) fn state(&self) -> MutexGuard<'_, SubscriptionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same browser, with what was said of it until now.
    pub(super) fn carry_on(self, old: &Self) -> Self {
        let state = Mutex::new(old.state().clone());
        let record = SubscriptionRecord { made_at: old.record.made_at, ..self.record };
        Self { id: old.id.clone(), record, state, ..self }
    }

    pub(super) fn ends_at(&self, lasts: std::time::Duration) -> Timestamp {
        Timestamp::from_ms(self.record.renewed_at).saturating_add(lasts)
    }

    pub(super) fn listed(self: &Arc<Self>, lasts: std::time::Duration) -> ListedSubscription {
        let SubscriptionRecord { severities, matchers, resolved, language, .. } = &self.record;
        ListedSubscription {
            id: self.id.clone(),
            service: self.endpoint.host_str().unwrap_or_default().into(),
            severities: severities.clone(),
            matchers: matchers.clone(),
            resolved: *resolved,
            language: language.clone(),
            made_at: Timestamp::from_ms(self.record.made_at),
            renewed_at: Timestamp::from_ms(self.record.renewed_at),
            ends_at: self.ends_at(lasts),
            state: self.state().clone(),
        }
    }
}

/// Reads where a browser is reached.
fn read_endpoint(text: &str) -> Result<Url, String> {
    if text.len() > PUSH_ENDPOINT_BYTES_MAX {
        return Err(format!("`endpoint` has at most {PUSH_ENDPOINT_BYTES_MAX} bytes"));
    }
    let url = Url::parse(text).map_err(|error| format!("`endpoint` is no URL: {error}"))?;
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if url.scheme() != "https" || url.host().is_none() || !is_plain {
        return Err(
            "`endpoint` is an `https://` URL without name, password and fragment".to_owned()
        );
    }
    Ok(url)
}

#[cfg(test)]
pub(super) mod tests {
    use bellwire_model::Labels;

    use super::*;
    use crate::push::encryption::tests::{POINT, SECRET};
    use crate::tests::fixture::posted;

    pub(in crate::push) fn new(endpoint: &str) -> NewSubscription {
        NewSubscription {
            endpoint: endpoint.into(),
            p256dh: POINT.into(),
            auth: SECRET.into(),
            severities: Vec::new(),
            matchers: "".into(),
            resolved: true,
            language: "en".into(),
            owner: "ada".into(),
            mandate: "ada".into(),
        }
    }

    const NOW: Timestamp = Timestamp::from_ms(1_000);

    #[test]
    fn what_a_browser_cannot_have_asked_for_is_refused() {
        let read = |new: NewSubscription| new.read("i".into(), NOW).map(|_| ());
        assert_eq!(read(new("https://push.example/a?b=c")), Ok(()));
        for endpoint in [
            "",
            "push",
            "http://push.example/",
            "https://a@push.example/",
            "https://push.example/#a",
            "file:///etc/passwd",
        ] {
            let problem = read(new(endpoint)).expect_err(endpoint);
            assert!(problem.detail().contains("endpoint"), "{problem:?}");
        }
        let long = "x".repeat(PUSH_ENDPOINT_BYTES_MAX);
        let usual = || new("https://push.example/a");
        let wrong = [
            new(&format!("https://push.example/{long}")),
            NewSubscription { severities: vec!["".into()], ..usual() },
            NewSubscription { severities: vec!["a".into(); PUSH_SEVERITIES_MAX + 1], ..usual() },
            NewSubscription { matchers: "a=~\"(\"".into(), ..usual() },
            NewSubscription { matchers: "a".into(), ..usual() },
            NewSubscription { language: "d e".into(), ..usual() },
            NewSubscription { auth: "AAAA".into(), ..usual() },
            NewSubscription { p256dh: "AAAA".into(), ..usual() },
        ];
        for new in wrong {
            let text = format!("{new:?}");
            assert_eq!(read(new).map_err(|it| it.code), Err(Code::BodyInvalid), "{text}");
        }
    }

    #[test]
    fn a_record_brings_back_its_subscription() {
        let made = new("https://push.example/a").read("i".into(), NOW).expect("valid");
        let read: SubscriptionRecord = serde_json::from_slice(&made.record.json()).expect("JSON");
        assert_eq!(read, made.record);
        assert_eq!(Subscription::read("i".into(), read).expect("valid").keys, made.keys);
    }

    #[test]
    fn severities_and_matchers_say_what_is_told() {
        let wants = |severities: &[&str], matchers: &str, labels: &[(&str, &str)]| {
            let severities = severities.iter().map(|&it| it.into()).collect();
            let matchers = matchers.into();
            let new = NewSubscription { severities, matchers, ..new("https://push.example/a") };
            let made = new.read("i".into(), NOW).expect("valid");
            made.wants(&posted(labels, NOW)).0
        };
        let labels = [("alertname", "A"), ("severity", "critical"), ("site", "oslo")];
        assert!(wants(&[], "", &labels) && wants(&["warning", "critical"], "site=oslo", &labels));
        assert!(!wants(&["warning"], "", &labels) && !wants(&[], "site!=oslo", &labels));
        assert!(wants(&["none"], "", &[("alertname", "A")]));
        assert_eq!(posted(&labels, NOW).labels.get("site"), Some("oslo"));
        assert!(Labels::empty().is_empty());
    }
}
