//! Rules as Prometheus evaluates them: every group at every tick, its rules one after the other.
//!
//! Tests of rules are told in ticks: what a rule records at one is what the next one sees, and an
//! alert changes at a tick or not at all. Here all samples are known and kept.

use bellwire_model::{Fingerprint, Labels, METRIC_NAME, Sample, Timestamp};
use rustc_hash::FxHashMap;

use crate::evaluation::{Answer, Conventions, Element, EvaluationError, Value, query};
use crate::plan::Plan;
use crate::rule::{AlertRule, Rule, RuleKind, RuleSet};
use crate::storage::{STALE, Storage};
use crate::template::{Externals, Fill, Queries};

/// Rules, their samples, and the alerts as of the last tick.
pub(crate) struct Ticker {
    rules: Vec<TickedRule>,
    pub(crate) storage: Storage,
    conventions: Conventions,
    externals: Externals,
    now: Timestamp,
}

struct TickedRule {
    rule: Rule,
    /// The alerts that are active, or were.
    alerts: FxHashMap<Fingerprint, TickedAlert>,
    /// The series that it gave at the last tick.
    given: Vec<Labels>,
}

/// An alert at a tick.
#[derive(Clone, Debug)]
pub(crate) struct TickedAlert {
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    is_firing: bool,
    active_at: Timestamp,
    kept_since: Option<Timestamp>,
}

/// A rule that could not be evaluated, and why.
pub(crate) struct TickError {
    pub(crate) rule: Box<str>,
    pub(crate) reason: String,
}

impl Ticker {
    pub(crate) fn new(set: RuleSet, conventions: Conventions, externals: Externals) -> Self {
        let ticked = |rule| TickedRule { rule, alerts: FxHashMap::default(), given: Vec::new() };
        let rules = set.groups.into_iter().flat_map(|group| group.rules);
        let rules = rules.map(ticked).collect();
        let now = Timestamp::MIN;
        Self { rules, storage: Storage::new(), conventions, externals, now }
    }

    /// Evaluates every rule once.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Vec<TickError> {
        self.now = now;
        let mut errors = Vec::new();
        for index in 0..self.rules.len() {
            if let Err(reason) = self.evaluate(index, now) {
                let rule = (&*self.rules[index].rule.name.alert).into();
                errors.push(TickError { rule, reason });
            }
        }
        errors
    }

    /// The alerts of that name that fire.
    pub(crate) fn firing(&self, name: &str) -> Vec<TickedAlert> {
        let of_name = self
            .rules
            .iter()
            .filter(|ticked| *ticked.rule.name.alert == *name && ticked.rule.alert().is_some());
        let alerts = of_name.flat_map(|ticked| ticked.alerts.values());
        alerts.filter(|alert| alert.is_firing).cloned().collect()
    }

    /// Whether alerts fire, and since when they are active, in milliseconds.
    #[cfg(test)]
    pub(crate) fn active(&self) -> std::collections::BTreeMap<Fingerprint, (bool, i64)> {
        let all = self.rules.iter().flat_map(|ticked| &ticked.alerts);
        all.map(|(id, alert)| (*id, (alert.is_firing, alert.active_at.as_ms()))).collect()
    }

    fn evaluate(&mut self, index: usize, now: Timestamp) -> Result<(), String> {
        let rule = self.rules[index].rule.clone();
        let time = now.saturating_sub(rule.settings.query_offset);
        let elements = self.elements(&rule.plan, time).map_err(|error| error.to_string())?;
        let given = match &rule.kind {
            RuleKind::Record(_) => recorded(&rule, elements)?,
            RuleKind::Alert(alert) => self.alerts(index, (&rule, alert), elements, now)?,
        };
        let mut series = Vec::with_capacity(given.len());
        for Element { labels, value } in given {
            self.storage.add(&Sample { series: labels.clone(), value, time });
            series.push(labels);
        }
        let before = std::mem::replace(&mut self.rules[index].given, series);
        for gone in before {
            if !self.rules[index].given.contains(&gone) {
                self.storage.add(&Sample { series: gone, value: STALE, time });
            }
        }
        Ok(())
    }

    fn elements(&self, plan: &Plan, time: Timestamp) -> Result<Vec<Element>, EvaluationError> {
        let Answer { value, .. } = query(plan, &self.storage, &self.conventions, time)?;
        Ok(match value {
            Value::Vector(elements) => elements,
            Value::Scalar(value) => vec![Element { labels: Labels::empty(), value }],
            Value::Text(_) | Value::Matrix(_) => {
                unreachable!("rules of such expressions are not loaded")
            }
        })
    }

    /// Brings the alerts of a rule up to date; what they give are the series `ALERTS` and
    /// `ALERTS_FOR_STATE`.
    fn alerts(
        &mut self,
        index: usize,
        (rule, alert_rule): (&Rule, &AlertRule),
        elements: Vec<Element>,
        now: Timestamp,
    ) -> Result<Vec<Element>, String> {
        let mut held: FxHashMap<Fingerprint, TickedAlert> = FxHashMap::default();
        for Element { labels, value } in elements {
            let fill = Fill { labels: &labels, value, externals: &self.externals, queries: self };
            let labels = rule.alert_labels(&fill).map_err(|error| error.to_string())?;
            let annotations = rule.alert_annotations(&fill);
            let fingerprint = Fingerprint::of(&labels);
            let active_at = now;
            let alert =
                TickedAlert { labels, annotations, is_firing: false, active_at, kept_since: None };
            if held.insert(fingerprint, alert).is_some() {
                return Err("vector contains metrics with the same labelset after applying alert \
                            labels"
                    .into());
            }
        }
        let alerts = &mut self.rules[index].alerts;
        alerts.retain(|fingerprint, alert| {
            if let Some(new) = held.remove(fingerprint) {
                alert.annotations = new.annotations;
                alert.kept_since = None;
                return true;
            }
            let since = *alert.kept_since.get_or_insert(now);
            alert.is_firing && now.saturating_since(since) < alert_rule.keep_firing
        });
        alerts.extend(held);
        let limit = rule.settings.limit;
        if limit > 0 && alerts.len() as u64 > limit {
            let count = alerts.len();
            alerts.clear();
            return Err(format!("exceeded limit of {limit} with {count} alerts"));
        }
        let mut given = Vec::with_capacity(alerts.len() * 2);
        for alert in alerts.values_mut() {
            alert.is_firing |= now.saturating_since(alert.active_at) >= alert_rule.hold;
            given.extend(alert.series().map_err(|error| error.to_string())?);
        }
        Ok(given)
    }
}

impl TickedAlert {
    fn series(&self) -> Result<[Element; 2], bellwire_model::LabelsError> {
        let state = if self.is_firing { "firing" } else { "pending" };
        let alerts = self.labels.with(METRIC_NAME, "ALERTS")?.with("alertstate", state)?;
        let for_state = self.labels.with(METRIC_NAME, "ALERTS_FOR_STATE")?;
        let since = self.active_at.as_ms().div_euclid(1000) as f64;
        Ok([Element { labels: alerts, value: 1.0 }, Element { labels: for_state, value: since }])
    }
}

impl Queries for Ticker {
    fn query(&self, text: &str) -> Result<Vec<Element>, String> {
        let plan = Plan::parse(text).map_err(|error| error.to_string())?;
        let plan = plan.for_any_rules().map_err(|error| error.to_string())?;
        self.elements(&plan, self.now).map_err(|error| error.to_string())
    }
}

/// The series that a recording rule gives.
fn recorded(rule: &Rule, elements: Vec<Element>) -> Result<Vec<Element>, String> {
    let mut given: Vec<Element> = Vec::with_capacity(elements.len());
    for Element { labels, value } in elements {
        let labels = rule.recorded_labels(&labels).map_err(|error| error.to_string())?;
        if given.iter().any(|other| other.labels == labels) {
            return Err(
                "vector contains metrics with the same labelset after applying rule labels".into(),
            );
        }
        given.push(Element { labels, value });
    }
    let limit = rule.settings.limit;
    if limit > 0 && given.len() as u64 > limit {
        return Err(format!("exceeded limit of {limit} with {} series", given.len()));
    }
    Ok(given)
}
