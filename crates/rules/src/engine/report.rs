//! What becomes of each rule, for people to look at.

use std::sync::Arc;

use bellwire_model::{Alert, AlertState, Labels, Sample};

use super::Engine;
use super::health::Health;
use super::ids::RuleId;
use crate::alert_series;
use crate::evaluation::Element;
use crate::plan::Plan;
use crate::rule::Rule;
use crate::storage::Storage;

/// A rule, and what it gives now.
#[derive(Debug)]
pub struct RuleReport<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The alerts that it raises, pending and firing.
    pub alerts: Vec<Arc<Alert>>,
    /// How its evaluations go.
    pub health: Health,
}

impl Engine {
    /// All rules in the order of the files, with what they give.
    pub fn report(&self) -> impl Iterator<Item = RuleReport<'_>> {
        self.rules.ids().map(|id| {
            let (rule, health) = (self.rules.rule(id), self.parts.of(id).health());
            RuleReport { rule, alerts: self.raised(id), health }
        })
    }

    /// A copy of what an expression looks at, to be queried elsewhere. The series of alerts are in
    /// it as they are now, also where no rule names them and none are kept.
    pub fn excerpt(&self, plan: &Plan) -> Storage {
        let mut excerpt = self.storage().excerpt(plan.selectors());
        if self.rules.names_alerts() {
            return excerpt;
        }
        let is_selected = |labels: &Labels| {
            plan.selections.iter().any(|selection| selection.selector.selects(labels))
        };
        for alert in self.active().filter(|alert| alert.state != AlertState::Resolved) {
            let given = alert_series::series(&alert.labels, alert.state, alert.active_at);
            let given = given.into_iter().flatten();
            // Whoever asks may have taken the time before the last step.
            let since = alert.fired_at.unwrap_or(alert.active_at);
            let time = since.max(self.now.saturating_sub(self.terms.settings.lookback / 2));
            for Element { labels, value } in given.filter(|given| is_selected(&given.labels)) {
                excerpt.add(&Sample { series: labels, value, time });
            }
        }
        excerpt
    }

    pub(super) fn raised(&self, rule: RuleId) -> Vec<Arc<Alert>> {
        let raised = self.parts.of(rule).iter().flat_map(|(_, part)| part.raised());
        let entries = raised.filter_map(|fingerprint| self.alerts.get(*fingerprint));
        let scene = self.scene();
        let mut alerts: Vec<_> = entries.map(|entry| entry.current(&scene)).collect();
        alerts.sort_unstable_by(|a, b| a.labels.iter().cmp(b.labels.iter()));
        alerts
    }
}
