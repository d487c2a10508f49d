//! What must come of a check, and how it differs from what came.

use std::fmt;
use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_re2::Regex;

use crate::evaluation::{Element, Note, NoteKind, Series, Value};
use crate::number::go_text;
use crate::series_text::{Cell, SeriesText};

/// How far apart equal values may be, relative to them.
const TOLERANCE: f64 = 1e-6;

/// At which instants an expression is evaluated.
#[derive(Clone, Copy)]
pub(super) enum When {
    Instant(Timestamp),
    Range { start: Timestamp, end: Timestamp, step: Duration },
}

impl When {
    /// The instants.
    pub(super) fn times(self) -> impl Iterator<Item = Timestamp> {
        let (start, end, step) = match self {
            Self::Instant(time) => (time, time, Duration::from_millis(1)),
            Self::Range { start, end, step } => (start, end, step.max(Duration::from_millis(1))),
        };
        let next = move |time: &Timestamp| Some(time.saturating_add(step));
        std::iter::successors(Some(start), next).take_while(move |time| *time <= end)
    }
}

/// What must come of a check.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) series: Vec<SeriesText>,
    pub(super) scalar: Option<f64>,
    pub(super) text: Option<Box<str>>,
    /// The times of the values of a range vector.
    pub(super) matrix: Option<(Timestamp, Timestamp, Duration)>,
    pub(super) is_ordered: bool,
    pub(super) failure: Option<Said>,
    pub(super) warnings: NotesExpected,
    pub(super) infos: NotesExpected,
    pub(super) has_histograms: bool,
}

/// What an error or a note must say.
pub(super) enum Said {
    Anything,
    Text(Box<str>),
    Pattern(Regex),
}

/// Notes of one kind that must come with a value.
#[derive(Default)]
pub(super) enum NotesExpected {
    /// Whatever comes.
    #[default]
    Any,
    None,
    /// At least one, and for each of these one.
    Some(Vec<Said>),
}

impl Said {
    pub(super) fn is_met(&self, text: &str) -> bool {
        match self {
            Self::Anything => true,
            // Older scripts leave the place out, which stands at the end.
            Self::Text(wanted) => text.strip_prefix(&**wanted).is_some_and(is_place),
            Self::Pattern(regex) => regex.is_match(text),
        }
    }
}

/// Whether a text is nothing, or a line and column such as ` (1:25)`.
fn is_place(text: &str) -> bool {
    let inner = text.strip_prefix(" (").and_then(|text| text.strip_suffix(')'));
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    text.is_empty()
        || inner
            .and_then(|inner| inner.split_once(':'))
            .is_some_and(|(line, column)| is_number(line) && is_number(column))
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.write_str("any error"),
            Self::Text(text) => write!(f, "`{text}`"),
            Self::Pattern(regex) => write!(f, "`{regex}`"),
        }
    }
}

impl NotesExpected {
    pub(super) fn add(&mut self, said: Said) {
        match self {
            Self::Some(wanted) => wanted.push(said),
            _ => *self = Self::Some(vec![said]),
        }
    }

    fn check(&self, said: &[String], kind: &str) -> Result<(), String> {
        match self {
            Self::Any => Ok(()),
            Self::None if said.is_empty() => Ok(()),
            Self::None => Err(format!("expected no {kind}, got {said:?}")),
            Self::Some(_) if said.is_empty() => Err(format!("expected a {kind}, got none")),
            Self::Some(wanted) => {
                let is_met = |wanted: &&Said| !said.iter().any(|said| wanted.is_met(said));
                match wanted.iter().find(is_met) {
                    None => Ok(()),
                    Some(wanted) => Err(format!("expected the {kind} {wanted}, got {said:?}")),
                }
            }
        }
    }
}

impl Expected {
    pub(super) fn check_notes(&self, notes: &[Note], expression: &str) -> Result<(), String> {
        let of = |kind: NoteKind| -> Vec<String> {
            let notes = notes.iter().filter(|note| note.kind == kind);
            notes.map(|note| note.in_expression(expression)).collect()
        };
        self.warnings.check(&of(NoteKind::Warning), "warning")?;
        self.infos.check(&of(NoteKind::Info), "info")
    }
}

/// How what came differs from what must, if it does.
pub(super) fn difference(expected: &Expected, when: When, value: &Value) -> Option<String> {
    match (value, when) {
        (Value::Scalar(value), _) => {
            let is_equal = expected.scalar.is_some_and(|scalar| are_equal(scalar, *value));
            let wanted = expected.scalar.map_or("a vector".into(), go_text);
            (!is_equal).then(|| format!("expected {wanted}, got {}", go_text(*value)))
        }
        (Value::Text(text), _) => {
            let is_equal = expected.text.as_ref() == Some(text);
            (!is_equal).then(|| format!("expected {:?}, got {text:?}", expected.text))
        }
        (Value::Vector(elements), _) => vector_difference(expected, elements),
        (Value::Matrix(series), When::Range { start, end, step }) => {
            matrix_difference(expected, series, (start, end, step))
        }
        (Value::Matrix(series), When::Instant(_)) => match expected.matrix {
            Some(times) => matrix_difference(expected, series, times),
            None => Some("expected no range vector, got one".into()),
        },
    }
}

fn vector_difference(expected: &Expected, elements: &[Element]) -> Option<String> {
    if let Some(scalar) = expected.scalar {
        return Some(format!("expected {}, got {}", go_text(scalar), told(elements)));
    }
    let value_of = |series: &SeriesText| match series.values.first() {
        Some(Cell::Value(value)) => *value,
        _ => f64::NAN,
    };
    let is_met = |wanted: &SeriesText, element: &Element| {
        wanted.labels == element.labels && are_equal(value_of(wanted), element.value)
    };
    let wanted = &expected.series;
    let are_met = wanted.len() == elements.len()
        && if expected.is_ordered {
            wanted.iter().zip(elements).all(|(wanted, element)| is_met(wanted, element))
        } else {
            wanted.iter().all(|wanted| elements.iter().any(|element| is_met(wanted, element)))
        };
    let wanted = || -> Vec<Element> {
        let element = |s: &SeriesText| Element { labels: s.labels.clone(), value: value_of(s) };
        wanted.iter().map(element).collect()
    };
    (!are_met).then(|| format!("expected {}, got {}", told(&wanted()), told(elements)))
}

fn told(elements: &[Element]) -> String {
    let element = |element: &Element| format!("{} {}", element.labels, go_text(element.value));
    match elements {
        [] => "nothing".into(),
        elements => elements.iter().map(element).collect::<Vec<_>>().join(", "),
    }
}

fn matrix_difference(
    expected: &Expected,
    series: &[Series],
    (start, _, step): (Timestamp, Timestamp, Duration),
) -> Option<String> {
    let wanted: Vec<Series> = expected
        .series
        .iter()
        .map(|text| Series { labels: text.labels.clone(), values: at_steps(text, start, step) })
        .filter(|series| !series.values.is_empty())
        .collect();
    let is_met = |wanted: &Series, series: &Series| {
        let pairs = || wanted.values.iter().zip(&series.values);
        wanted.labels == series.labels
            && wanted.values.len() == series.values.len()
            && pairs().all(|(one, other)| one.0 == other.0 && are_equal(one.1, other.1))
    };
    let are_met = wanted.len() == series.len()
        && wanted.iter().all(|wanted| series.iter().any(|series| is_met(wanted, series)));
    (!are_met).then(|| format!("expected {}, got {}", told_series(&wanted), told_series(series)))
}

fn at_steps(text: &SeriesText, start: Timestamp, step: Duration) -> Vec<(Timestamp, f64)> {
    let mut time = start;
    let mut values = Vec::new();
    for cell in &text.values {
        if let Cell::Value(value) = cell {
            values.push((time, *value));
        }
        time = time.saturating_add(step);
    }
    values
}

fn told_series(series: &[Series]) -> String {
    let value = |(time, value): &(Timestamp, f64)| format!("{}@{time}", go_text(*value));
    let one = |series: &Series| {
        let values: Vec<String> = series.values.iter().map(value).collect();
        format!("{} {}", series.labels, values.join(" "))
    };
    match series {
        [] => "nothing".into(),
        series => series.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

/// Whether two values are equal, but for rounding.
#[expect(clippy::float_cmp, reason = "equal infinities differ by NaN")]
fn are_equal(wanted: f64, found: f64) -> bool {
    if wanted == found || (wanted.is_nan() && found.is_nan()) {
        return true;
    }
    let sum = wanted.abs() + found.abs();
    let difference = (wanted - found).abs();
    if wanted == 0.0 || found == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}
