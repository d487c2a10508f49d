//! What alerts are made from at one instant: the time, what the rules say, and the samples that
//! there are.

use bellwire_model::{Fingerprint, Labels, NameMap, Timestamp};

use super::ids::RuleId;
use super::rules::RuleTable;
use super::series::Reading;
use super::terms::Terms;
use crate::evaluation::{Answer, Element, EvaluationError, Value, query};
use crate::plan::Plan;
use crate::rule::{AlertRule, Rule};
use crate::storage::Storage;
use crate::template::{Fill, Queries};

/// What alerts are made from at one instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) now: Timestamp,
    pub(super) terms: &'a Terms,
    pub(super) rules: &'a RuleTable,
    pub(super) storage: &'a Storage,
}

/// An element for which a condition holds, and the alert that it stands for.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) element: Labels,
    pub(super) reading: Reading,
    /// Those of the alert.
    pub(super) labels: Labels,
    pub(super) fingerprint: Fingerprint,
}

/// Alerts that are raised already, by their labels.
#[derive(Debug)]
pub(super) enum Raised {
    Few(Vec<(Labels, Fingerprint)>),
    Many(NameMap<Labels, Fingerprint>),
}

impl Raised {
    /// The fingerprint of the one with these labels.
    fn get(&self, labels: &Labels) -> Option<Fingerprint> {
        match self {
            Self::Few(raised) => {
                raised.iter().find(|(of, _)| of == labels).map(|(_, raised)| *raised)
            }
            Self::Many(raised) => raised.get(labels).copied(),
        }
    }
}

impl<'a> Scene<'a> {
    pub(super) fn rule(&self, rule: RuleId) -> &'a Rule {
        self.rules.rule(rule)
    }

    /// What an alerting rule has beside its expression.
    pub(super) fn alert_rule(&self, rule: RuleId) -> &'a AlertRule {
        self.rule(rule).alert().expect("only alerting rules raise alerts")
    }

    /// The alert that an element stands for, unless its labels break a bound.
    pub(super) fn identify(&self, rule: RuleId, element: Labels, reading: Reading) -> Option<Held> {
        self.identify_among(rule, element, reading, &Raised::Few(Vec::new()))
    }

    /// The same, where it may be one of those that are raised already.
    pub(super) fn identify_among(
        &self,
        rule: RuleId,
        element: Labels,
        reading: Reading,
        raised: &Raised,
    ) -> Option<Held> {
        let labels = self.alert_labels(rule, &element, reading.value)?;
        let fingerprint = raised.get(&labels).unwrap_or_else(|| Fingerprint::of(&labels));
        Some(Held { element, reading, labels, fingerprint })
    }

    /// The labels of the alert that an element stands for, unless they break a bound.
    pub(super) fn alert_labels(
        &self,
        rule: RuleId,
        element: &Labels,
        value: f64,
    ) -> Option<Labels> {
        self.rule(rule).alert_labels(&self.fill(element, value)).ok()
    }

    /// What the templates of an element's alert are filled in with.
    pub(super) fn fill<'f>(&'f self, labels: &'f Labels, value: f64) -> Fill<'f> {
        Fill { labels, value, externals: &self.terms.settings.externals, queries: self }
    }
}

impl Queries for Scene<'_> {
    fn query(&self, text: &str) -> Result<Vec<Element>, String> {
        let plan = Plan::parse(text).map_err(|error| error.to_string())?;
        let answer = query(&plan, self.storage, &self.terms.conventions, self.now);
        match answer.map_err(|error: EvaluationError| error.to_string())? {
            Answer { value: Value::Vector(elements), .. } => Ok(elements),
            Answer { value: Value::Scalar(value), .. } => {
                Ok(vec![Element { labels: Labels::empty(), value }])
            }
            _ => Err("query result is not a vector or scalar".into()),
        }
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}
