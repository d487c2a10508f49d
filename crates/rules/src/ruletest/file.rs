//! The format of test files.

use std::rc::Rc;
use std::time::Duration;

use bellwire_model::{Labels, Timestamp};
use thiserror::Error;

use super::TestFile;
use crate::duration;
use crate::load::yaml::{Kind, Node, read};
use crate::number::read_number;
use crate::series_text::{Cell, series, values};
use crate::template::Externals;

/// The interval of evaluations, and of the values of series, where none is set.
const INTERVAL: Duration = Duration::from_mins(1);

/// A test file.
pub(super) struct Suite {
    pub(super) evaluation_interval: Duration,
    pub(super) group_order: Vec<Box<str>>,
    pub(super) comparison: Comparison,
    pub(super) tests: Vec<Test>,
}

/// How equal equal values must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Exact,
    /// They may be next to each other.
    Fuzzy,
}

/// A test: series, and what must come of them.
pub(super) struct Test {
    pub(super) name: Box<str>,
    pub(super) interval: Duration,
    pub(super) start: Timestamp,
    pub(super) series: Vec<(Labels, Vec<Cell>)>,
    pub(super) alerts: Vec<AlertCheck>,
    pub(super) expressions: Vec<ExpressionCheck>,
    pub(super) externals: Externals,
}

/// The alerts of one name that must fire.
pub(super) struct AlertCheck {
    pub(super) after: Duration,
    pub(super) name: Box<str>,
    /// The labels, the alert's name among them, and the annotations.
    pub(super) expected: Vec<(Labels, Labels)>,
}

/// What an expression must come to.
pub(super) struct ExpressionCheck {
    pub(super) after: Duration,
    pub(super) expression: Box<str>,
    pub(super) expected: Vec<(Labels, f64)>,
    /// Whether native histograms are expected, which are not evaluated.
    pub(super) has_histograms: bool,
}

/// Why a test file cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{line}: {reason}")]
pub struct Fault {
    file: Box<str>,
    line: usize,
    reason: Box<str>,
}

/// A fault without the place in its file.
type Read<T> = Result<T, (usize, String)>;

/// The patterns of the rule files that a test file names, relative to it.
pub fn rule_files(test: &TestFile<'_>) -> Result<Vec<String>, Fault> {
    placed(test, |root| {
        root.texts("rule_files").map(|names| names.iter().map(ToString::to_string).collect())
    })
}

pub(super) fn suite(test: &TestFile<'_>) -> Result<Suite, Fault> {
    placed(test, |root| {
        root.only([
            "rule_files",
            "evaluation_interval",
            "group_eval_order",
            "fuzzy_compare",
            "tests",
        ])?;
        let interval = root.duration("evaluation_interval")?.filter(|i| !i.is_zero());
        let mut tests = Vec::new();
        for (index, node) in root.list("tests")?.into_iter().enumerate() {
            tests.push(read_test(Fields(&node), index)?);
        }
        let is_fuzzy = root.text("fuzzy_compare")?.is_some_and(|text| text == "true");
        Ok(Suite {
            evaluation_interval: interval.unwrap_or(INTERVAL),
            group_order: root.texts("group_eval_order")?,
            comparison: if is_fuzzy { Comparison::Fuzzy } else { Comparison::Exact },
            tests,
        })
    })
}

/// Reads the file's document, and tells faults with their lines.
fn placed<T>(
    test: &TestFile<'_>,
    read_root: impl FnOnce(Fields<'_>) -> Read<T>,
) -> Result<T, Fault> {
    let result = read(test.text).and_then(|documents| match &*documents {
        [root] => read_root(Fields(root)),
        _ => Err((0, "a test file is one document".into())),
    });
    result.map_err(|(offset, reason)| Fault {
        file: test.name.into(),
        line: test.text[..offset.min(test.text.len())].matches('\n').count() + 1,
        reason: reason.into(),
    })
}

fn read_test(test: Fields<'_>, index: usize) -> Read<Test> {
    test.only([
        "interval",
        "input_series",
        "name",
        "alert_rule_test",
        "promql_expr_test",
        "external_labels",
        "external_url",
        "start_timestamp",
    ])?;
    let name = test.text("name")?.map_or_else(|| format!("test {}", index + 1), str::to_owned);
    let mut given = Vec::new();
    for node in test.list("input_series")? {
        given.push(read_series(Fields(&node))?);
    }
    let mut alerts = Vec::new();
    for node in test.list("alert_rule_test")? {
        alerts.push(read_alert_check(Fields(&node))?);
    }
    let mut expressions = Vec::new();
    for node in test.list("promql_expr_test")? {
        expressions.push(read_expression_check(Fields(&node))?);
    }
    let url = test.text("external_url")?.unwrap_or_default().into();
    Ok(Test {
        name: name.into(),
        interval: test.duration("interval")?.filter(|i| !i.is_zero()).unwrap_or(INTERVAL),
        start: start(test)?,
        series: given,
        alerts,
        expressions,
        externals: Externals { labels: test.labels("external_labels")?, url },
    })
}

fn read_series(given: Fields<'_>) -> Read<(Labels, Vec<Cell>)> {
    given.only(["series", "values"])?;
    let labels = given.read("series", |text| series(text).map_err(|error| error.to_string()))?;
    let cells = given.read("values", |text| values(text).map_err(|error| error.to_string()))?;
    Ok((labels, cells))
}

fn read_alert_check(check: Fields<'_>) -> Read<AlertCheck> {
    check.only(["eval_time", "alertname", "exp_alerts"])?;
    let name = check.text("alertname")?.unwrap_or_default();
    let mut expected = Vec::new();
    for node in check.list("exp_alerts")? {
        let alert = Fields(&node);
        alert.only(["exp_labels", "exp_annotations"])?;
        let labels = alert.labels("exp_labels")?.with(crate::rule::ALERT_NAME, name);
        let labels = labels.map_err(|error| (node.offset, error.to_string()))?;
        expected.push((labels, alert.labels("exp_annotations")?));
    }
    let after = check.duration("eval_time")?.unwrap_or_default();
    Ok(AlertCheck { after, name: name.into(), expected })
}

fn read_expression_check(check: Fields<'_>) -> Read<ExpressionCheck> {
    check.only(["expr", "eval_time", "exp_samples"])?;
    let mut expected = Vec::new();
    let mut has_histograms = false;
    for node in check.list("exp_samples")? {
        let sample = Fields(&node);
        sample.only(["labels", "value", "histogram"])?;
        has_histograms |= sample.text("histogram")?.is_some_and(|text| !text.is_empty());
        let labels = match sample.text("labels")?.filter(|text| !text.trim().is_empty()) {
            Some(text) => series(text).map_err(|error| (node.offset, error.to_string()))?,
            None => Labels::empty(),
        };
        let value = match sample.text("value")? {
            Some(_) => sample.read("value", |text| {
                let plain = text.trim_start_matches('.');
                read_number(text)
                    .or_else(|| read_number(plain))
                    .ok_or_else(|| format!("`{text}` is no number"))
            })?,
            None => 0.0,
        };
        expected.push((labels, value));
    }
    let after = check.duration("eval_time")?.unwrap_or_default();
    Ok(ExpressionCheck {
        after,
        expression: check.text("expr")?.unwrap_or_default().into(),
        expected,
        has_histograms,
    })
}

/// When the test begins: seconds since 1970, or a date and time.
fn start(test: Fields<'_>) -> Read<Timestamp> {
    let Some(_) = test.text("start_timestamp")? else { return Ok(Timestamp::from_ms(0)) };
    test.read("start_timestamp", |text| {
        let seconds = read_number(text).map(|seconds| (seconds * 1e3).round() as i64);
        seconds
            .map(Timestamp::from_ms)
            .or_else(|| Timestamp::from_rfc3339(text))
            .ok_or_else(|| format!("`{text}` is no time: write seconds, or 2024-01-01T00:00:00Z"))
    })
}

/// The fields of a map.
#[derive(Clone, Copy)]
struct Fields<'n>(&'n Node);

impl<'n> Fields<'n> {
    /// Refuses a map that has other fields.
    fn only<const N: usize>(self, known: [&str; N]) -> Read<()> {
        let Kind::Map(entries) = &self.0.kind else {
            return Err((self.0.offset, format!("expected a map, found {}", self.0.noun())));
        };
        for (key, _) in entries {
            match &key.kind {
                Kind::Scalar(name) if known.contains(&name.text.as_str()) => {}
                Kind::Scalar(name) => {
                    return Err((key.offset, format!("unknown field `{}`", name.text)));
                }
                _ => return Err((key.offset, "a field's name is a text".into())),
            }
        }
        Ok(())
    }

    fn field(self, name: &str) -> Option<&'n Node> {
        self.0.field(name).filter(|node| !node.is_null())
    }

    fn list(self, name: &str) -> Read<Vec<Rc<Node>>> {
        match self.field(name) {
            None => Ok(Vec::new()),
            Some(Node { kind: Kind::List(nodes), .. }) => Ok(nodes.clone()),
            Some(node) => Err((node.offset, format!("expected a list, found {}", node.noun()))),
        }
    }

    fn text(self, name: &str) -> Read<Option<&'n str>> {
        match self.field(name) {
            None => Ok(None),
            Some(Node { kind: Kind::Scalar(scalar), .. }) => Ok(Some(&scalar.text)),
            Some(node) => Err((node.offset, format!("expected a text, found {}", node.noun()))),
        }
    }

    fn texts(self, name: &str) -> Read<Vec<Box<str>>> {
        let text = |node: Rc<Node>| match &node.kind {
            Kind::Scalar(scalar) => Ok(scalar.text.as_str().into()),
            _ => Err((node.offset, format!("expected a text, found {}", node.noun()))),
        };
        self.list(name)?.into_iter().map(text).collect()
    }

    /// A field that must be there, read.
    fn read<T>(self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Read<T> {
        let Some(text) = self.text(name)? else {
            return Err((self.0.offset, format!("the field `{name}` is missing")));
        };
        let offset = self.field(name).map_or(self.0.offset, |node| node.offset);
        read(text).map_err(|reason| (offset, reason))
    }

    fn duration(self, name: &str) -> Read<Option<Duration>> {
        match self.text(name)? {
            None => Ok(None),
            Some(_) => self.read(name, |text| {
                duration::parse(text).map(Some).ok_or_else(|| format!("`{text}` is no duration"))
            }),
        }
    }

    fn labels(self, name: &str) -> Read<Labels> {
        let Some(node) = self.field(name) else { return Ok(Labels::empty()) };
        let Kind::Map(entries) = &node.kind else {
            return Err((node.offset, format!("expected a map, found {}", node.noun())));
        };
        let mut pairs = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            match (&key.kind, &value.kind) {
                (Kind::Scalar(key), Kind::Scalar(value)) => pairs.push((&*key.text, &*value.text)),
                _ => return Err((key.offset, "labels are texts".into())),
            }
        }
        Labels::from_pairs(pairs).map_err(|error| (node.offset, error.to_string()))
    }
}
