//! Rules as they are once loaded.

mod identity;
mod mode;
mod parts;

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::{LABEL_VALUE_BYTES_MAX, RULE_INTERVAL};
use bellwire_model::{Fnv1a, Labels, LabelsBuilder, LabelsError, METRIC_NAME, RuleName};

pub(crate) use self::identity::Identities;
pub use self::mode::{Mode, RuleMode, TickReason};
pub use self::parts::Parts;
use crate::plan::Plan;
use crate::template::{Fill, Template};

/// The label that holds an alert's name.
pub const ALERT_NAME: &str = "alertname";

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

    /// One rule that raises an alert for everything that a query comes to.
    pub(crate) fn of_query(plan: Plan) -> Self {
        let rule = Rule::of_query(plan, GroupSettings::default());
        let (file, name, settings) =
            (rule.name.file.clone(), rule.name.group.clone(), rule.settings);
        Self { groups: vec![Group { file, name, settings, rules: vec![rule] }] }
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
    /// What the group sets for its rules.
    pub settings: GroupSettings,
    /// Its rules, in the order of the file.
    pub rules: Vec<Rule>,
}

/// What a group sets for its rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupSettings {
    /// How often it is evaluated in tick mode. In stream mode rules are evaluated when something
    /// changes, and this is how often the series of a recording rule get a sample at least.
    pub interval: Option<Duration>,
    /// The most alerts or series that a rule may give; zero is no limit.
    pub limit: u64,
    /// How far back expressions are evaluated.
    pub query_offset: Duration,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where it stands, and what it is called.
    pub name: Arc<RuleName>,
    /// The line of its file where it begins, from 1; 0 where it is in none.
    pub line: usize,
    /// How it is evaluated.
    pub mode: Mode,
    /// Its expression as written.
    pub expression: Arc<str>,
    /// What it does with what the expression comes to.
    pub kind: RuleKind,
    pub(crate) settings: GroupSettings,
    pub(crate) plan: Plan,
}

/// What a rule does with what its expression comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Each element is an alert.
    Alert(AlertRule),
    /// Each element becomes a sample of a series with the rule's name.
    Record(RecordRule),
}

/// What an alerting rule has beside its expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertRule {
    /// How long the condition must hold before it fires: `for`.
    pub hold: Duration,
    /// How long it keeps firing after the condition no longer holds: `keep_firing_for`.
    pub keep_firing: Duration,
    /// What ends it, where that is not the condition alone: `resolve_expr`.
    pub resolve_expression: Option<Box<str>>,
    /// What becomes of it when its series fall silent while it fires: `on_data_lost`.
    pub on_data_lost: OnDataLost,
    pub(crate) labels: Templates,
    pub(crate) annotations: Templates,
}

impl AlertRule {
    /// The names of the labels that it sets.
    pub fn label_names(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(|(name, _)| &**name)
    }
}

/// What becomes of an alert whose series fall silent while it fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDataLost {
    /// It resolves, as in Prometheus.
    #[default]
    Resolve,
    /// It is kept, and shown as one whose data is lost.
    Keep,
}

/// What a recording rule has beside its expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRule {
    /// Labels that its series get.
    pub(crate) labels: Box<[(Box<str>, Box<str>)]>,
}

/// Labels or annotations to fill in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Templates {
    pairs: Box<[(Box<str>, Template)]>,
    /// Whether what they come to changes with the value.
    pub(crate) use_value: bool,
}

impl Templates {
    pub(crate) fn new(pairs: Vec<(Box<str>, Template)>) -> Self {
        let use_value = pairs.iter().any(|(_, template)| template.depends_on_value());
        Self { pairs: pairs.into(), use_value }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Box<str>, Template)> {
        self.pairs.iter()
    }

    /// These but the one of a name.
    pub(crate) fn without(self, name: &str) -> Self {
        let pairs = self.pairs.into_iter().filter(|(own, _)| **own != *name);
        Self::new(pairs.collect())
    }

    fn texts(&self) -> Vec<(&str, &str)> {
        self.iter().map(|(name, template)| (&**name, template.text())).collect()
    }

    /// These under others of the same name.
    pub(crate) fn under(&self, others: Vec<(Box<str>, Template)>) -> Self {
        let is_other = |name: &str| others.iter().any(|(other, _)| **other == *name);
        let mut pairs: Vec<_> = self.iter().filter(|(name, _)| !is_other(name)).cloned().collect();
        pairs.extend(others);
        Self::new(pairs)
    }
}

impl Rule {
    /// One of no file, which everything that a query comes to concerns.
    pub(crate) fn of_query(plan: Plan, settings: GroupSettings) -> Self {
        let [file, group, alert] = ["", "", "query"].map(Arc::from);
        Self {
            name: Arc::new(RuleName { file, group, alert }),
            line: 0,
            mode: Mode::Stream,
            expression: Arc::from(""),
            kind: RuleKind::Alert(AlertRule::default()),
            settings,
            plan,
        }
    }

    /// What tells it from other rules, the same in every process: 64-bit FNV-1a over its group,
    /// what it is called, its expression, the parts that it falls into, and which of several such
    /// rules it is. Not over its file, which may be elsewhere on another machine.
    ///
    /// What is known of a rule is known of its parts: who parts it otherwise does not know it.
    fn identity(&self, nth: u32) -> u64 {
        let RuleName { group, alert, .. } = &*self.name;
        let mut hash = Fnv1a::default();
        let mut write = |text: &str| hash.write_text(text);
        match &self.kind {
            RuleKind::Alert(rule) => {
                write("alert");
                write(rule.resolve_expression.as_deref().unwrap_or_default());
            }
            RuleKind::Record(_) => write("record"),
        }
        write(group);
        write(alert);
        write(&self.expression);
        write(self.mode.rule_mode().as_str());
        Parts::of(self).names().into_iter().for_each(&mut write);
        write(&nth.to_string());
        hash.finish()
    }

    /// Whether another rule with the same identity says the same, wherever its file is.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let Self { name, mode, expression, kind, settings, .. } = self;
        (&name.group, &name.alert) == (&other.name.group, &other.name.alert)
            && (mode.rule_mode(), expression) == (other.mode.rule_mode(), &other.expression)
            && (kind, settings) == (&other.kind, &other.settings)
    }

    /// How often its group is evaluated, or would be.
    pub fn interval(&self) -> Duration {
        self.settings.interval.unwrap_or(RULE_INTERVAL).max(Duration::from_millis(1))
    }

    /// The alerting rule that it is, if it is one.
    pub fn alert(&self) -> Option<&AlertRule> {
        match &self.kind {
            RuleKind::Alert(alert) => Some(alert),
            RuleKind::Record(_) => None,
        }
    }

    /// What its group sets for it.
    pub fn group_settings(&self) -> GroupSettings {
        self.settings
    }

    /// The labels that it gives, as written.
    pub fn labels(&self) -> Vec<(&str, &str)> {
        match &self.kind {
            RuleKind::Alert(alert) => alert.labels.texts(),
            RuleKind::Record(record) => {
                record.labels.iter().map(|(name, value)| (&**name, &**value)).collect()
            }
        }
    }

    /// The annotations of its alerts, as written.
    pub fn annotations(&self) -> Vec<(&str, &str)> {
        self.alert().map(|alert| alert.annotations.texts()).unwrap_or_default()
    }

    /// The labels of the alert that an element raises: the element's without the metric name, the
    /// rule's over them, and the alert's name over all.
    pub(crate) fn alert_labels(&self, fill: &Fill<'_>) -> Result<Labels, LabelsError> {
        let alert = self.alert().expect("only alerting rules raise alerts");
        let replaced = |name: &str| {
            name == METRIC_NAME
                || name == ALERT_NAME
                || alert.labels.iter().any(|(own, _)| **own == *name)
        };
        let mut labels = LabelsBuilder::default();
        for (name, value) in fill.labels.iter().filter(|(name, _)| !replaced(name)) {
            labels.push(name, value)?;
        }
        for (name, template) in alert.labels.iter() {
            labels.push(name, &template.fill(&self.name.alert, fill))?;
        }
        labels.push(ALERT_NAME, &self.name.alert)?;
        labels.build()
    }

    /// The annotations, filled in, each cut where it is longer than a label value may be.
    pub(crate) fn alert_annotations(&self, fill: &Fill<'_>) -> Labels {
        let alert = self.alert().expect("only alerting rules raise alerts");
        let mut labels = LabelsBuilder::default();
        for (name, template) in alert.annotations.iter() {
            let text = template.fill(&self.name.alert, fill);
            let cut = &text[..text.floor_char_boundary(LABEL_VALUE_BYTES_MAX)];
            labels.push(name, cut).expect("names are checked at load, the text is cut");
        }
        labels.build().expect("names and their number are checked at load")
    }

    /// The series that an element is recorded as.
    pub(crate) fn recorded_labels(&self, element: &Labels) -> Result<Labels, LabelsError> {
        let RuleKind::Record(record) = &self.kind else {
            unreachable!("only recording rules record")
        };
        let replaced =
            |name: &str| name == METRIC_NAME || record.labels.iter().any(|(own, _)| **own == *name);
        let mut labels = LabelsBuilder::default();
        for (name, value) in element.iter().filter(|(name, _)| !replaced(name)) {
            labels.push(name, value)?;
        }
        for (name, value) in &record.labels {
            labels.push(name, value)?;
        }
        labels.push(METRIC_NAME, &self.name.alert)?;
        labels.build()
    }
}
