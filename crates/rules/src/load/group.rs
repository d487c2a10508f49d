//! Groups and rules out of a file's YAML.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::{LabelsBuilder, METRIC_NAME, RuleName};
use rustc_hash::FxHashSet;

use super::yaml::{Kind, Node, Scalar};
use super::{Loader, Reason};
use crate::duration;
use crate::expression::Condition;
use crate::rule::{ALERT_NAME, Group, Rule};
use crate::template::Template;

const FILE: &str = "a rule file";
const GROUP: &str = "a group";
const RULE: &str = "a rule";

type Templates = Vec<(Box<str>, Template)>;

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
        let names = ["name", "rules", "interval", "labels", "limit", "query_offset"];
        let Some(fields) = self.fields(node, GROUP, names) else { return };
        let [name, rules, interval, labels, limit, query_offset] = fields;
        let name = self.group_name(node, name);
        let interval = interval.and_then(|interval| self.duration(interval));
        let labels = labels.map_or_else(Vec::new, |labels| self.labels(labels));
        if limit.is_some_and(|limit| self.whole(limit) > Some(0)) {
            self.refuse_at(limit, Reason::Unsupported("a group's `limit` is"));
        }
        if query_offset.is_some_and(|offset| self.duration(offset) > Some(Duration::ZERO)) {
            self.refuse_at(query_offset, Reason::Unsupported("a group's `query_offset` is"));
        }
        let mut group = Group { file: self.source.file(), name, interval, rules: Vec::new() };
        for node in self.list(rules) {
            let Some(left) = self.rules_left.checked_sub(1) else {
                return self.refuse(node.offset, Reason::TooManyRules);
            };
            self.rules_left = left;
            let errors_before = self.errors.len();
            if let Some(rule) = self.rule(&node, &group, &labels) {
                group.rules.push(rule);
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
        } else if self.groups.iter().any(|group| group.name == name) {
            self.refuse(node.offset, Reason::GroupTwice { name: (&*name).into() });
        }
        name
    }

    /// A rule, if it has no error; all of its errors are noted.
    fn rule(&mut self, node: &Node, group: &Group, group_labels: &Templates) -> Option<Rule> {
        let names = ["alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"];
        let errors_before = self.errors.len();
        let fields = self.fields(node, RULE, names)?;
        let [alert, record, expression, hold, keep_firing_for, labels, annotations] = fields;
        match (alert, record) {
            (None, None) => self.refuse(node.offset, Reason::NoAlert),
            (Some(_), Some(_)) => self.refuse_at(record, Reason::AlertAndRecord),
            (None, Some(_)) => self.refuse_at(record, Reason::Unsupported("recording rules are")),
            (Some(_), None) => {}
        }
        let alert = alert.and_then(|alert| self.name(alert));
        if expression.is_none() {
            self.refuse(node.offset, Reason::FieldMissing { name: "expr", within: RULE });
        }
        let expression = expression.and_then(|expression| self.expression(expression));
        let hold = hold.and_then(|hold| self.duration(hold)).unwrap_or_default();
        if keep_firing_for.is_some_and(|keep| self.duration(keep) > Some(Duration::ZERO)) {
            self.refuse_at(keep_firing_for, Reason::Unsupported("`keep_firing_for` is"));
        }
        let labels = labels.map_or_else(Vec::new, |labels| self.labels(labels));
        let annotations = annotations.map_or_else(Vec::new, |node| self.templates(node));
        let labels = merged(group_labels, labels);
        let uses_value = |(_, template): &(_, Template)| template.uses_value();
        let (condition, expression) = expression?;
        let file = group.file.clone();
        let name = RuleName { file, group: group.name.clone(), alert: alert?.into() };
        (self.errors.len() == errors_before).then(|| Rule {
            name: Arc::new(name),
            expression,
            hold,
            condition,
            labels_use_value: labels.iter().any(uses_value),
            annotations_use_value: annotations.iter().any(uses_value),
            labels: labels.into(),
            annotations: annotations.into(),
        })
    }

    fn expression(&mut self, node: &Node) -> Option<(Condition, Box<str>)> {
        let scalar = self.text(node)?;
        match Condition::parse(&scalar.text) {
            Ok(condition) => Some((condition, scalar.text.trim().into())),
            Err(error) => {
                let offset = self.source.offset_within(scalar, error.offset);
                self.refuse(offset, error.reason.into());
                None
            }
        }
    }

    fn labels(&mut self, node: &Node) -> Templates {
        let entries = if let Kind::Map(entries) = &node.kind { &**entries } else { &[] };
        for (key, _) in entries {
            if let Some(name) = text_of(key).filter(|name| [ALERT_NAME, METRIC_NAME].contains(name))
            {
                self.refuse(key.offset, Reason::ReservedLabel { name: name.into() });
            }
        }
        self.templates(node)
    }

    fn templates(&mut self, node: &Node) -> Templates {
        let mut templates = Templates::new();
        let mut checked = LabelsBuilder::default();
        for (key, value) in self.entries(node) {
            let (Some(name), Some(text)) = (self.text(&key), self.text(&value)) else { continue };
            // The value may be empty; the check of the number of labels must count it.
            let stand_in = if text.text.is_empty() { "-" } else { &text.text };
            if let Err(error) = checked.push(&name.text, stand_in) {
                self.refuse(key.offset, error.into());
            }
            match Template::parse(&text.text) {
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
        let mut seen = FxHashSet::default();
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

/// A group's labels under a rule's own.
fn merged(group: &[(Box<str>, Template)], own: Templates) -> Templates {
    let is_own = |name: &str| own.iter().any(|(own, _)| **own == *name);
    let mut labels: Templates = group.iter().filter(|(name, _)| !is_own(name)).cloned().collect();
    labels.extend(own);
    labels
}
