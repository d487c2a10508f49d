//! A query that stands: an engine keeps up with it as samples and time come in.

use std::collections::BTreeSet;

use bellwire_model::{Labels, METRIC_NAME, Sample, Timestamp};

use super::Engine;
use super::ids::RuleId;
use super::terms::Settings;
use crate::evaluation::{Conventions, Element, Evaluated, finished};
use crate::plan::Plan;
use crate::rule::{ALERT_NAME, RuleSet};

/// An engine with one rule: an alert for every element that the query comes to.
#[derive(Debug)]
pub(crate) struct Standing {
    engine: Engine,
    /// Whether it has been evaluated.
    has_begun: bool,
}

/// What a standing query comes to.
#[derive(Debug)]
pub(crate) struct StandingAnswer {
    /// The elements, in the order of the parts that the query falls into.
    pub(crate) elements: Vec<Element>,
    /// Labels of elements that the engine holds and that are not there, or the other way round: it
    /// has missed a change.
    pub(crate) missed: Option<Labels>,
}

impl Standing {
    /// A query over no samples yet.
    pub(crate) fn new(plan: Plan, conventions: Conventions) -> Self {
        let mut engine = Engine::with_settings(RuleSet::of_query(plan), Settings::default());
        engine.terms.conventions = conventions;
        Self { engine, has_begun: false }
    }

    /// Samples arrive, or time passes.
    pub(crate) fn apply(&mut self, now: Timestamp, samples: &[Sample]) {
        if samples.is_empty() && self.has_begun {
            self.engine.advance(now);
        } else {
            self.engine.apply(now, samples);
            self.has_begun = true;
        }
    }

    /// What it comes to now.
    pub(crate) fn read(&self) -> Evaluated<StandingAnswer> {
        let rule = self.engine.rules.ids().next().expect("there is one rule");
        let mut items = Vec::new();
        for part in self.engine.parts.ids(rule) {
            items.extend(self.engine.items(part)?);
        }
        let elements: Vec<Element> = finished(items)?
            .into_iter()
            .map(|item| Element { value: item.value(), labels: item.labels })
            .collect();
        let missed = self.missed(rule, &elements);
        Ok(StandingAnswer { elements, missed })
    }

    fn missed(&self, rule: RuleId, elements: &[Element]) -> Option<Labels> {
        let bare =
            |labels: &Labels| labels.filtered(|name| ![METRIC_NAME, ALERT_NAME].contains(&name));
        let alerts = self.engine.raised(rule);
        let held: BTreeSet<Labels> = alerts.map(|alert| bare(&alert.labels)).collect();
        let there: BTreeSet<Labels> =
            elements.iter().map(|element| bare(&element.labels)).collect();
        held.symmetric_difference(&there).next().cloned()
    }
}
