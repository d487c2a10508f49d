//! What somebody is told of rules: of those that are theirs, and of how these go.

use bellwire_access::Rights;
use bellwire_model::{Labels, METRIC_NAME};
use bellwire_rules::{ALERT_NAME, Rule, RuleReport};

/// A rule as somebody is told of it.
pub(super) struct Told {
    pub(super) report: RuleReport,
    pub(super) health: HealthTold,
}

/// What somebody is told of how the evaluations of a rule go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HealthTold {
    All,
    /// Not why it fails: that quotes labels of whatever series it is about.
    InOneWord,
    /// Nothing: it may be about what others have alone.
    Nothing,
}

impl Told {
    /// A rule is somebody's where the labels that it gives are, or where one of its alerts is.
    pub(super) fn to(rights: &Rights, mut report: RuleReport) -> Option<Self> {
        if rights.alerts.is_all() {
            let all = rights.query.is_all();
            let health = if all { HealthTold::All } else { HealthTold::InOneWord };
            return Some(Self { report, health });
        }
        report.alerts.retain(|alert| rights.alerts.passes(&alert.labels));
        let health = match () {
            () if gives_labels_in_sight(&report.rule, rights) => HealthTold::InOneWord,
            () if !report.alerts.is_empty() => HealthTold::Nothing,
            () => return None,
        };
        Some(Self { report, health })
    }
}

/// Whether the labels that a rule itself gives to its alerts or its series are such as somebody may
/// see, whatever others those have.
fn gives_labels_in_sight(rule: &Rule, rights: &Rights) -> bool {
    let (name, scope) = match rule.alert() {
        Some(_) => (ALERT_NAME, &rights.alerts),
        None => (METRIC_NAME, &rights.query),
    };
    let is_fixed =
        |(label, text): &(&str, &str)| *label != name && !text.contains(TEMPLATE_OPENING);
    let fixed = rule.labels().into_iter().filter(is_fixed);
    let labels = Labels::from_pairs(fixed.chain([(name, &*rule.name.alert)]));
    labels.is_ok_and(|labels| scope.passes(&labels))
}

/// What a label's text has that differs from alert to alert.
const TEMPLATE_OPENING: &str = "{{";
