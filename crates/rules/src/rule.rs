//! Rules as they are once loaded.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::LABEL_VALUE_BYTES_MAX;
use bellwire_model::{Labels, LabelsBuilder, LabelsError, METRIC_NAME, RuleName};

use crate::expression::Condition;
use crate::template::Template;

/// The label that holds an alert's name.
pub(crate) const ALERT_NAME: &str = "alertname";

/// All rules of all files, in the order of the files.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    pub(crate) groups: Vec<Group>,
}

impl RuleSet {
    /// The groups, in the order of the files.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The number of rules.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|group| group.rules.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A group of a rule file.
#[derive(Clone, Debug)]
pub struct Group {
    /// The rule file's name as given.
    pub file: Arc<str>,
    /// The group's name, unique in its file.
    pub name: Arc<str>,
    /// How often Prometheus would evaluate it. Here rules are evaluated when something changes.
    pub interval: Option<Duration>,
    /// Its rules, in the order of the file.
    pub rules: Vec<Rule>,
}

/// An alerting rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where it stands.
    pub name: Arc<RuleName>,
    /// Its expression as written.
    pub expression: Box<str>,
    /// How long its condition must hold before it fires: `for`.
    pub hold: Duration,
    pub(crate) condition: Condition,
    pub(crate) labels: Box<[(Box<str>, Template)]>,
    pub(crate) annotations: Box<[(Box<str>, Template)]>,
    /// Whether an alert's labels change with the value.
    pub(crate) labels_use_value: bool,
    /// Whether an alert's annotations change with the value.
    pub(crate) annotations_use_value: bool,
}

impl Rule {
    /// The labels of the alert that a series raises: the series' without the metric name, the
    /// rule's over them, and the alert's name over all.
    pub(crate) fn alert_labels(&self, series: &Labels, value: f64) -> Result<Labels, LabelsError> {
        let replaced = |name: &str| {
            name == METRIC_NAME
                || name == ALERT_NAME
                || self.labels.iter().any(|(own, _)| **own == *name)
        };
        let mut labels = LabelsBuilder::default();
        for (name, value) in series.iter().filter(|(name, _)| !replaced(name)) {
            labels.push(name, value)?;
        }
        for (name, template) in &self.labels {
            labels.push(name, &template.fill(series, value))?;
        }
        labels.push(ALERT_NAME, &self.name.alert)?;
        labels.build()
    }

    /// The annotations, filled in, each cut where it is longer than a label value may be.
    pub(crate) fn alert_annotations(&self, series: &Labels, value: f64) -> Labels {
        let mut labels = LabelsBuilder::default();
        for (name, template) in &self.annotations {
            let text = template.fill(series, value);
            let cut = &text[..text.floor_char_boundary(LABEL_VALUE_BYTES_MAX)];
            labels.push(name, cut).expect("names are checked at load, the text is cut");
        }
        labels.build().expect("names and their number are checked at load")
    }
}
