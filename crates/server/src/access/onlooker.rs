//! What somebody sees of the desk: alerts by their labels, and silences by what they ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwire_access::Rights;
use bellwire_alerting::Alerting;
use bellwire_alerts::Matchers;
use bellwire_alerts::desk::Case;
use bellwire_model::{Alert, AlertStatus, Fingerprint, SilenceId};

/// Somebody who looks at the desk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Onlooker<'a>(&'a Rights);

/// An alert as somebody sees it.
#[derive(Debug)]
pub(crate) struct SeenCase {
    case: Case,
    /// What stands in the place of its status, where some of that is not to be seen.
    named: Option<AlertStatus>,
}

impl SeenCase {
    pub(crate) fn alert(&self) -> &Arc<Alert> {
        self.case.alert()
    }

    pub(crate) fn case(&self) -> &Case {
        &self.case
    }

    /// The silences and alerts that mute it, as far as they may be named. What it is, muted or not,
    /// is for its own status to say.
    pub(crate) fn named(&self) -> &AlertStatus {
        self.named.as_ref().unwrap_or(self.case.status())
    }
}

impl<'a> Onlooker<'a> {
    pub(crate) fn with(rights: &'a Rights) -> Self {
        Self(rights)
    }

    /// Whether a silence with these matchers is seen: it can match no alert but such as are.
    pub(crate) fn sees_silence(self, matchers: &Matchers) -> bool {
        self.0.alerts.covers_all_of(matchers) || self.0.attend.covers_all_of(matchers)
    }

    /// Alerts that are seen, and of what mutes them only what is seen, too.
    pub(crate) fn see(self, alerting: &Alerting, cases: Vec<Case>) -> Vec<SeenCase> {
        if self.0.alerts.is_all() {
            return cases.into_iter().map(|case| SeenCase { case, named: None }).collect();
        }
        let seen = self.seen_among(alerting, &cases);
        let see = |case: Case| {
            let mut named = case.status().clone();
            let before = named.silenced_by.len();
            named.silenced_by.retain(|id| seen.silences.contains(id));
            named.has_more_silences |= named.silenced_by.len() < before;
            named.inhibited_by.retain(|fingerprint| seen.alerts.contains(fingerprint));
            SeenCase { case, named: Some(named) }
        };
        cases.into_iter().map(see).collect()
    }

    /// What is seen of all that mutes these alerts. The desk is free while labels are looked at.
    fn seen_among(self, alerting: &Alerting, cases: &[Case]) -> Seen {
        let silences = cases.iter().flat_map(|case| &case.status().silenced_by);
        let silences: BTreeSet<SilenceId> = silences.copied().collect();
        let inhibitors = cases.iter().flat_map(|case| &case.status().inhibited_by);
        let inhibitors: BTreeSet<Fingerprint> = inhibitors.copied().collect();
        let (silences, alerts) = {
            let desk = alerting.desk();
            let matchers_of = |id| Some((id, desk.silence(id)?.matchers.clone()));
            let silences: BTreeMap<SilenceId, Matchers> =
                silences.into_iter().filter_map(matchers_of).collect();
            let alert_of =
                |fingerprint| desk.case(fingerprint).map(|case| Arc::clone(case.alert()));
            let alerts: Vec<Arc<Alert>> = inhibitors.into_iter().filter_map(alert_of).collect();
            (silences, alerts)
        };
        let silences = silences.into_iter().filter(|(_, matchers)| self.sees_silence(matchers));
        let alerts = alerts.into_iter().filter(|alert| self.0.alerts.passes(&alert.labels));
        Seen {
            silences: silences.map(|(id, _)| id).collect(),
            alerts: alerts.map(|alert| alert.fingerprint).collect(),
        }
    }
}

/// Silences and alerts that somebody sees.
#[derive(Debug)]
struct Seen {
    silences: BTreeSet<SilenceId>,
    alerts: BTreeSet<Fingerprint>,
}
