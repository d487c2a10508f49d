//! Rules as Prometheus evaluates them: every group at every tick, its rules one after the other.
//!
//! Tests of rules are told in ticks: what a rule records at one is what the next one sees, and an
//! alert changes at a tick or not at all. Here all samples are known and kept.

use std::collections::BTreeMap;

use bellwire_model::limits::DATA_LOST_RETENTION;
use bellwire_model::{AlertState, Labels, Sample, Timestamp};

use crate::alert_series;
use crate::ending::{Ending, Endings};
use crate::evaluation::{
    Answer, Conventions, Element, Evaluation, EvaluationError, Selected, Span,
};
use crate::evaluation::{Value, query, selected};
use crate::plan::Plan;
use crate::rule::{AlertRule, OnDataLost, Rule, RuleKind, RuleSet};
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
    alerts: BTreeMap<Labels, TickedAlert>,
    /// The series that it gave at the last tick.
    given: Vec<Labels>,
}

/// An alert at a tick.
#[derive(Clone, Debug)]
pub(crate) struct TickedAlert {
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    /// The labels of the element that it comes from.
    element: Labels,
    state: AlertState,
    active_at: Timestamp,
    /// Since when it goes on although its condition no longer holds.
    kept_since: Option<Timestamp>,
}

/// A rule that could not be evaluated, and why.
pub(crate) struct TickError {
    pub(crate) rule: Box<str>,
    pub(crate) reason: String,
}

impl Ticker {
    pub(crate) fn new(set: RuleSet, conventions: Conventions, externals: Externals) -> Self {
        let ticked = |rule| TickedRule { rule, alerts: BTreeMap::new(), given: Vec::new() };
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
        alerts.filter(|alert| alert.state == AlertState::Firing).cloned().collect()
    }

    /// What alerts are doing, and since when they are active, in milliseconds.
    #[cfg(test)]
    pub(crate) fn active(&self) -> BTreeMap<Labels, (AlertState, i64)> {
        let all = self.rules.iter().flat_map(|ticked| &ticked.alerts);
        all.map(|(id, alert)| (id.clone(), (alert.state, alert.active_at.as_ms()))).collect()
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

    /// What becomes of alerts of a rule whose elements are gone.
    fn endings(&self, index: usize, now: Timestamp) -> Result<Endings, String> {
        let TickedRule { rule, alerts, .. } = &self.rules[index];
        if alerts.is_empty() || rule.plan.hysteresis.is_none() {
            return Ok(Endings::default());
        }
        let time = now.saturating_sub(rule.settings.query_offset);
        let selected = selected(&rule.plan, &self.storage);
        let selected = Selected::Each(&selected);
        let span = Span::at(time);
        let mut evaluation = Evaluation::new(&self.storage, selected, &self.conventions, span);
        let endings = Endings::of(&rule.plan, &mut evaluation, time.as_ms());
        endings.map_err(|error| error.to_string())
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
        let endings = self.endings(index, now)?;
        let mut held: BTreeMap<Labels, TickedAlert> = BTreeMap::new();
        for Element { labels: element, value } in elements {
            let labels = &element;
            let fill = Fill { labels, value, externals: &self.externals, queries: self };
            let labels = rule.alert_labels(&fill).map_err(|error| error.to_string())?;
            let annotations = rule.alert_annotations(&fill);
            let (state, active_at, kept_since) = (AlertState::Pending, now, None);
            let key = labels.clone();
            let alert = TickedAlert { labels, annotations, element, state, active_at, kept_since };
            if held.insert(key, alert).is_some() {
                return Err("vector contains metrics with the same labelset after applying alert \
                            labels"
                    .into());
            }
        }
        let alerts = &mut self.rules[index].alerts;
        alerts.retain(|labels, alert| {
            if let Some(new) = held.remove(labels) {
                alert.annotations = new.annotations;
                alert.element = new.element;
                alert.go_on();
                return true;
            }
            alert.miss(endings.of_element(&alert.element), alert_rule, now)
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
            let holds_long_enough = now.saturating_since(alert.active_at) >= alert_rule.hold;
            if alert.state == AlertState::Pending && holds_long_enough {
                alert.state = AlertState::Firing;
            }
            let series = alert_series::series(&alert.labels, alert.state, alert.active_at);
            given.extend(series.map_err(|error| error.to_string())?);
        }
        Ok(given)
    }
}

impl TickedAlert {
    /// Its condition holds, or does not end it.
    fn go_on(&mut self) {
        self.kept_since = None;
        if self.state == AlertState::DataLost {
            self.state = AlertState::Firing;
        }
    }

    /// Its condition no longer holds. Says whether it goes on for a while.
    fn miss(&mut self, ending: Ending, rule: &AlertRule, now: Timestamp) -> bool {
        if ending == Ending::Between {
            self.go_on();
            return true;
        }
        let since = *self.kept_since.get_or_insert(now);
        let kept = now.saturating_since(since);
        let is_lost = ending == Ending::Lost;
        match self.state {
            AlertState::DataLost => is_lost && kept < DATA_LOST_RETENTION,
            AlertState::Firing if kept < rule.keep_firing => true,
            AlertState::Firing if is_lost && rule.on_data_lost == OnDataLost::Keep => {
                self.state = AlertState::DataLost;
                self.kept_since = Some(now);
                true
            }
            AlertState::Firing | AlertState::Pending | AlertState::Resolved => false,
        }
    }
}

impl Queries for Ticker {
    fn query(&self, text: &str) -> Result<Vec<Element>, String> {
        let plan = Plan::parse(text).map_err(|error| error.to_string())?;
        let plan = plan.for_any_rules().map_err(|error| error.to_string())?;
        self.elements(&plan, self.now).map_err(|error| error.to_string())
    }

    fn now(&self) -> Timestamp {
        self.now
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
