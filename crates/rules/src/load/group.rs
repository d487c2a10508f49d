//! Groups and rules out of a file's YAML.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::{LabelsBuilder, METRIC_NAME, NameSet, RuleName};

use super::yaml::{Kind, Node, Scalar};
use super::{Loader, Reason, Scope, UnknownFields};
use crate::duration;
use crate::plan::Plan;
use crate::rule::{
    ALERT_NAME, AlertRule, Group, GroupSettings, Mode, OnDataLost, RecordRule, Rule, RuleKind,
    RuleMode, Templates, TickReason,
};
use crate::template::Template;

const FILE: &str = "a rule file";
const GROUP: &str = "a group";
const RULE: &str = "a rule";

/// The fields of a group.
const GROUP_FIELDS: [&str; 8] =
    ["name", "rules", "interval", "labels", "limit", "query_offset", "mode", "on_data_lost"];

/// The fields of a rule: its name, its expression, and what it does with it.
const RULE_FIELDS: [&str; 9] = [
    "alert",
    "record",
    "expr",
    "for",
    "keep_firing_for",
    "labels",
    "annotations",
    "resolve_expr",
    "on_data_lost",
];

/// Where among them `resolve_expr` is.
const RESOLVE_EXPR: usize = 7;

/// The values of [`RULE_FIELDS`], where they are set.
type RuleFields<'n> = [Option<&'n Node>; 9];

/// What a group says for all of its rules beside its settings.
struct Shared {
    labels: Templates,
    mode: Mode,
    on_data_lost: OnDataLost,
}

/// An expression that a rule may have.
struct Expression {
    plan: Plan,
    /// As written.
    text: Box<str>,
    /// Why it is evaluated on a tick only.
    on_tick_only: Option<TickReason>,
}

type Pairs = Vec<(Box<str>, Template)>;

impl Loader<'_> {
    /// A document: a Prometheus rule file, or a Kubernetes object around one.
    pub(super) fn document(&mut self, root: &Rc<Node>) {
        if root.is_null() {
            return;
        }
        let kind = root.field("kind").and_then(text_of);
        let rules = if kind == Some("PrometheusRule") { root.field("spec") } else { Some(&**root) };
        let Some(rules) = rules else {
            return self.refuse(root.offset, Reason::FieldMissing { name: "spec", within: FILE });
        };
        let Some([groups]) = self.fields(rules, FILE, ["groups"]) else { return };
        for group in self.list(groups) {
            self.group(&group);
        }
    }

    fn group(&mut self, node: &Node) {
        let Some(fields) = self.fields(node, GROUP, GROUP_FIELDS) else { return };
        let [name, rules, interval, labels, limit, query_offset, mode, on_data_lost] = fields;
        let name = self.group_name(node, name);
        let settings = GroupSettings {
            interval: interval.and_then(|interval| self.duration(interval)),
            limit: limit.and_then(|limit| self.whole(limit)).unwrap_or_default(),
            query_offset: query_offset.and_then(|offset| self.duration(offset)).unwrap_or_default(),
        };
        let labels = labels.map_or_else(Vec::new, |labels| self.labels(labels));
        let on_data_lost = on_data_lost.and_then(|node| self.on_data_lost(node));
        let shared = Shared {
            labels: Templates::new(labels),
            mode: self.mode(mode),
            on_data_lost: on_data_lost.unwrap_or_default(),
        };
        let nodes = self.list(rules);
        let rules = Vec::with_capacity(nodes.len().min(self.rules_left));
        let mut group = Group { file: self.source.file(), name, settings, rules };
        for node in nodes {
            let Some(left) = self.rules_left.checked_sub(1) else {
                return self.refuse(node.offset, Reason::TooManyRules);
            };
            self.rules_left = left;
            let errors_before = self.errors.len();
            if let Some(rule) = self.rule(&node, &group, &shared) {
                group.rules.push(rule);
            }
            if self.errors.len() == errors_before {
                continue;
            }
            let name = rule_name(&node, &group).map(Arc::new);
            for error in &mut self.errors[errors_before..] {
                error.rule.clone_from(&name);
            }
        }
        self.groups.push(group);
    }

    fn group_name(&mut self, group: &Node, name: Option<&Node>) -> Arc<str> {
        let Some(node) = name else {
            self.refuse(group.offset, Reason::FieldMissing { name: "name", within: GROUP });
            return "".into();
        };
        let name: Arc<str> = self.text(node).map_or("", |name| &name.text).into();
        if name.is_empty() {
            self.refuse(node.offset, Reason::EmptyName);
        } else if !self.group_names.insert(Arc::clone(&name)) {
            self.refuse(node.offset, Reason::GroupTwice { name: (&*name).into() });
        }
        name
    }

    /// A rule, if it has no error; all of its errors are noted.
    fn rule(&mut self, node: &Node, group: &Group, shared: &Shared) -> Option<Rule> {
        let errors_before = self.errors.len();
        let fields = self.fields(node, RULE, RULE_FIELDS)?;
        let [alert, record, expression, ..] = fields;
        match (alert, record) {
            (None, None) => self.refuse(node.offset, Reason::NoName),
            (Some(_), Some(_)) => self.refuse_at(record, Reason::AlertAndRecord),
            _ => {}
        }
        let name = alert.or(record).and_then(|name| self.name(name));
        if expression.is_none() {
            self.refuse(node.offset, Reason::FieldMissing { name: "expr", within: RULE });
        }
        let expression = expression.and_then(|expression| self.expression(expression, None));
        let kind = match alert {
            Some(_) => RuleKind::Alert(self.alert(fields, shared)),
            None => RuleKind::Record(self.record(fields, &shared.labels)),
        };
        let Expression { mut plan, text: expression, mut on_tick_only } = expression?;
        if let RuleKind::Alert(alert) = &kind {
            let other = match fields[RESOLVE_EXPR] {
                Some(node) => Some(self.expression(node, Some(&plan))?),
                None => None,
            };
            if other.is_some() || alert.on_data_lost == OnDataLost::Keep {
                let (other, reason) = other.map(|o| (o.plan, o.on_tick_only)).unzip();
                plan = plan.ended_by(other);
                on_tick_only = on_tick_only.or(reason.flatten());
            }
        }
        if let RuleKind::Record(record) = &kind {
            plan = plan.recorded_with(&record.labels);
        }
        let mode = on_tick_only.map_or_else(|| shared.mode.clone(), Mode::Tick);
        let (file, settings) = (group.file.clone(), group.settings);
        let name = RuleName { file, group: group.name.clone(), alert: name?.into() };
        let rule = Rule {
            name: Arc::new(name),
            line: self.source.line_and_column(node.offset).0,
            mode,
            expression: expression.into(),
            kind,
            settings,
            plan,
        };
        (self.errors.len() == errors_before).then_some(rule)
    }

    /// What an alerting rule has beside its expression.
    fn alert(&mut self, fields: RuleFields<'_>, shared: &Shared) -> AlertRule {
        let [_, _, _, hold, keep_firing, labels, annotations, resolve, on_data_lost] = fields;
        let mut duration =
            |node: Option<&Node>| node.and_then(|node| self.duration(node)).unwrap_or_default();
        let (hold, keep_firing) = (duration(hold), duration(keep_firing));
        let labels = labels.map_or_else(Vec::new, |labels| self.labels(labels));
        let annotations = annotations.map_or_else(Vec::new, |node| self.templates(node));
        let on_data_lost = on_data_lost.and_then(|node| self.on_data_lost(node));
        AlertRule {
            hold,
            keep_firing,
            resolve_expression: resolve.and_then(text_of).map(|text| text.trim().into()),
            on_data_lost: on_data_lost.unwrap_or(shared.on_data_lost),
            // An alert's name is its rule's, whatever its labels say.
            labels: shared.labels.under(labels).without(ALERT_NAME),
            annotations: Templates::new(annotations),
        }
    }

    /// What a recording rule has beside its expression.
    fn record(&mut self, fields: RuleFields<'_>, group_labels: &Templates) -> RecordRule {
        let [_, _, _, hold, keep_firing, labels, annotations, resolve, on_data_lost] = fields;
        let for_alerts = [
            ("for", hold),
            ("keep_firing_for", keep_firing),
            ("annotations", annotations),
            ("resolve_expr", resolve),
            ("on_data_lost", on_data_lost),
        ];
        for (name, field) in for_alerts {
            if field.is_some() {
                self.refuse_at(field, Reason::OnlyForAlerts { name });
            }
        }
        let labels = labels.map_or_else(Vec::new, |labels| self.labels(labels));
        // Nothing is filled in here: a series has no value to speak of yet.
        let labels = group_labels.under(labels);
        let pairs = labels.iter().map(|(name, template)| (name.clone(), template.text().into()));
        RecordRule { labels: pairs.collect() }
    }

    /// An expression, alone or beside another one that is evaluated together with it.
    fn expression(&mut self, node: &Node, beside: Option<&Plan>) -> Option<Expression> {
        let scalar = self.text(node)?;
        let plan = match beside {
            Some(plan) => plan.parse_beside(&scalar.text, &mut self.known.patterns),
            None => Plan::parse_with(&scalar.text, &mut self.known.patterns),
        };
        let plan = plan.and_then(|plan| match self.reading.scope {
            Scope::Server => plan.for_rules(),
            Scope::Tests => plan.for_any_rules(),
        });
        match plan {
            Ok(plan) => {
                let reason = plan.on_tick_only().map(|error| {
                    let offset = self.source.offset_within(scalar, error.offset);
                    let (line, column) = self.source.line_and_column(offset);
                    TickReason::Expression { line, column, reason: error.reason.clone() }
                });
                let text = scalar.text.trim().into();
                Some(Expression { plan, text, on_tick_only: reason })
            }
            Err(error) => {
                let offset = self.source.offset_within(scalar, error.offset);
                self.refuse(offset, error.reason.into());
                None
            }
        }
    }

    /// How the rules of a group are evaluated.
    fn mode(&mut self, node: Option<&Node>) -> Mode {
        let choices = RuleMode::ALL.map(|mode| (mode.as_str(), mode));
        match node.map(|node| self.choice(node, &choices, "`stream` and `tick`")) {
            Some(Some(RuleMode::Tick)) => Mode::Tick(TickReason::Group),
            None if self.reading.mode == RuleMode::Tick => Mode::Tick(TickReason::Setting),
            _ => Mode::Stream,
        }
    }

    fn on_data_lost(&mut self, node: &Node) -> Option<OnDataLost> {
        let choices = [("keep", OnDataLost::Keep), ("resolve", OnDataLost::Resolve)];
        self.choice(node, &choices, "`keep` and `resolve`")
    }

    fn choice<T: Copy>(
        &mut self,
        node: &Node,
        choices: &[(&str, T)],
        named: &'static str,
    ) -> Option<T> {
        let text = &*self.text(node)?.text;
        let chosen = choices.iter().find(|(name, _)| *name == text);
        if chosen.is_none() {
            self.refuse(node.offset, Reason::Choice { text: text.into(), choices: named });
        }
        chosen.map(|(_, choice)| *choice)
    }

    fn labels(&mut self, node: &Node) -> Pairs {
        let entries = if let Kind::Map(entries) = &node.kind { &**entries } else { &[] };
        for (key, _) in entries {
            if text_of(key) == Some(METRIC_NAME) {
                self.refuse(key.offset, Reason::ReservedLabel { name: METRIC_NAME.into() });
            }
        }
        self.templates(node)
    }

    fn templates(&mut self, node: &Node) -> Pairs {
        let mut templates = Pairs::new();
        let mut checked = LabelsBuilder::default();
        for (key, value) in self.entries(node) {
            let (Some(name), Some(text)) = (self.text(&key), self.text(&value)) else { continue };
            // What is not set is empty, however it is written.
            let content = if value.is_null() { "" } else { &*text.text };
            // The value may be empty; the check of the number of labels must count it.
            let stand_in = if content.is_empty() { "-" } else { content };
            if let Err(error) = checked.push(&name.text, stand_in) {
                self.refuse(key.offset, error.into());
            }
            match self.known.template(content) {
                Ok(template) => templates.push((name.text.as_str().into(), template)),
                Err(error) => {
                    let offset = self.source.offset_within(text, error.offset);
                    self.refuse(offset, error.reason.into());
                }
            }
        }
        if let Err(error) = checked.build() {
            self.refuse(node.offset, error.into());
        }
        templates
    }

    /// The values of the fields `known`, where they are set. Notes what is unknown or stands twice.
    fn fields<'n, const N: usize>(
        &mut self,
        node: &'n Node,
        within: &'static str,
        known: [&'static str; N],
    ) -> Option<[Option<&'n Node>; N]> {
        let Kind::Map(_) = &node.kind else {
            self.refuse(node.offset, Reason::Kind { expected: within, found: node.noun() });
            return None;
        };
        for (key, _) in self.entries(node) {
            match text_of(&key) {
                Some(name) if known.contains(&name) => {}
                Some(_) if self.reading.unknown_fields == UnknownFields::Ignored => {}
                name => {
                    let name = name.unwrap_or(key.noun()).into();
                    self.refuse(key.offset, Reason::UnknownField { name, within });
                }
            }
        }
        Some(known.map(|name| node.field(name).filter(|value| !value.is_null())))
    }

    /// The entries of a map, each key once.
    fn entries(&mut self, node: &Node) -> Vec<(Rc<Node>, Rc<Node>)> {
        let Kind::Map(entries) = &node.kind else {
            self.refuse(node.offset, Reason::Kind { expected: "a map", found: node.noun() });
            return Vec::new();
        };
        let mut seen = NameSet::default();
        let mut unique = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            match text_of(key) {
                Some(name) if !seen.insert(name) => {
                    self.refuse(key.offset, Reason::FieldTwice { name: name.into() });
                }
                _ => unique.push((key.clone(), value.clone())),
            }
        }
        unique
    }

    fn list(&mut self, node: Option<&Node>) -> Vec<Rc<Node>> {
        let Some(node) = node else { return Vec::new() };
        if let Kind::List(nodes) = &node.kind {
            return nodes.clone();
        }
        self.refuse(node.offset, Reason::Kind { expected: "a list", found: node.noun() });
        Vec::new()
    }

    fn text<'n>(&mut self, node: &'n Node) -> Option<&'n Scalar> {
        if let Kind::Scalar(scalar) = &node.kind {
            return Some(scalar);
        }
        self.refuse(node.offset, Reason::Kind { expected: "a text", found: node.noun() });
        None
    }

    fn name<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        let name = &*self.text(node)?.text;
        let mut checked = LabelsBuilder::default();
        if name.is_empty() {
            self.refuse(node.offset, Reason::EmptyName);
        } else if let Err(error) = checked.push(ALERT_NAME, name) {
            self.refuse(node.offset, error.into());
        }
        Some(name)
    }

    fn duration(&mut self, node: &Node) -> Option<Duration> {
        let text = &*self.text(node)?.text;
        let duration = duration::parse(text);
        if duration.is_none() {
            self.refuse(node.offset, Reason::Duration { text: text.into() });
        }
        duration
    }

    fn whole(&mut self, node: &Node) -> Option<u64> {
        let text = &*self.text(node)?.text;
        let number = text.parse().ok();
        if number.is_none() {
            self.refuse(node.offset, Reason::Whole { text: text.into() });
        }
        number
    }

    fn refuse_at(&mut self, node: Option<&Node>, reason: Reason) {
        self.refuse(node.map_or(0, |node| node.offset), reason);
    }
}

/// What a rule calls itself, whether or not it can be loaded.
fn rule_name(node: &Node, group: &Group) -> Option<RuleName> {
    let alert = node.field("alert").or_else(|| node.field("record")).and_then(text_of)?;
    Some(RuleName { file: group.file.clone(), group: group.name.clone(), alert: alert.into() })
}

fn text_of(node: &Node) -> Option<&str> {
    if let Kind::Scalar(scalar) = &node.kind { Some(&scalar.text) } else { None }
}
