//! An expression as it is evaluated: a tree whose types say what each part comes to.
//!
//! A scalar cannot stand where a vector belongs, and what an operator needs is beside it. The tree
//! is made by [`compile`] from the parser's; nothing here knows how it is evaluated.

mod aggregate;
mod compile;
mod function;
mod motion;
mod operator;
mod partition;
mod presence;
mod series;

use std::collections::BTreeSet;
use std::time::Duration;

use bellwire_model::limits::{
    LIVE_REACH_MAX, LIVE_REGEX_BYTES_MAX, LIVE_SELECTORS_MAX, LIVE_TABLES_BYTES_MAX,
};

use crate::alert_series::{ALERTS, ALERTS_FOR_STATE};
use crate::expression::{ExpressionError, ExpressionReason};
use crate::patterns::Patterns;
use crate::selector::Selector;

pub(crate) use self::aggregate::Aggregate;
pub(crate) use self::function::{Calendar, Math, OverTime, larger, smaller};
pub(crate) use self::operator::Operator;
pub(crate) use self::partition::PartitionKey;
pub(crate) use self::presence::Hysteresis;

/// An expression that can be evaluated.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) root: Root,
    /// All selectors, in the order of the text; nodes refer to them by [`SelectorId`].
    pub(crate) selections: Box<[Selection]>,
    /// What decides over an alert beside its condition.
    pub(crate) hysteresis: Option<Box<Hysteresis>>,
    /// Labels that what it comes to loses to those of its rule, so that they tell nothing apart.
    replaced: Box<[Box<str>]>,
    /// The first part that is not evaluated as samples arrive, and where it stands.
    on_tick_only: Option<ExpressionError>,
    /// The first part that needs samples of a time that stands still, and where it stands.
    unkept: Option<ExpressionError>,
    /// Where the expression starts in its text.
    start: usize,
    /// What its regular expressions take.
    regex_bytes: usize,
}

/// A selector among those of its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SelectorId(pub(crate) u32);

/// A selector, and how far back an evaluation looks through it.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(crate) selector: Selector,
    /// The oldest sample that counts is younger than this; where it is the newest before an
    /// instant that counts, the lookback comes on top.
    pub(crate) reach_ms: i64,
    pub(crate) kind: SelectionKind,
}

impl Selection {
    /// How long samples are kept for it behind the newest one; zero keeps the newest alone.
    pub(crate) fn keep(&self, query_offset: Duration, lookback: Duration) -> Duration {
        let reach = Duration::from_millis(self.reach_ms.unsigned_abs());
        let reach = reach.saturating_add(query_offset);
        match self.kind {
            SelectionKind::Instant if reach.is_zero() => Duration::ZERO,
            SelectionKind::Instant => reach.saturating_add(lookback),
            SelectionKind::Range => reach,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SelectionKind {
    Instant,
    Range,
}

/// What a whole expression comes to.
#[derive(Clone, Debug)]
pub(crate) enum Root {
    Scalar(Scalar),
    Vector(Vector),
    Text(Box<str>),
    /// A range vector, which only a query may ask for.
    Window(Window),
}

/// An expression whose value is one number.
#[derive(Clone, Debug)]
pub(crate) enum Scalar {
    Number(f64),
    /// `time()`.
    Time,
    /// `scalar(…)`.
    OfVector(Box<Vector>),
    Negated(Box<Scalar>),
    /// Between two scalars; a comparison gives 0 or 1.
    Operation(Box<(Operator, Scalar, Scalar)>),
}

/// An expression whose value is an instant vector.
#[derive(Clone, Debug)]
pub(crate) enum Vector {
    Select(Instant),
    /// `timestamp(…)` of a selector: when each sample was taken.
    SampleTime(Instant),
    /// `timestamp(…)` of anything else: when it is evaluated.
    EvaluationTime(Box<Vector>),
    /// `vector(…)`.
    OfScalar(Box<Scalar>),
    Negated(Box<Vector>),
    /// A function of a range: `rate(x[5m])`.
    OverTime(Box<WindowCall>),
    /// `absent(…)`, with the labels that it gives.
    Absent(Box<Vector>, Absence),
    /// `absent_over_time(…)`, with the labels that it gives.
    AbsentOverTime(Box<Window>, Absence),
    /// A function of each value: `abs(…)`, `clamp(…)`.
    Math(Math, Box<Vector>, Vec<Scalar>),
    /// `hour(…)` and its kin; without a vector, of the time of the evaluation.
    Calendar(Calendar, Option<Box<Vector>>),
    /// `label_replace(…)`.
    LabelReplace(Box<LabelReplace>),
    /// `label_join(…)`.
    LabelJoin(Box<LabelJoin>),
    /// `histogram_quantile(…)`.
    HistogramQuantile(Box<Quantile>),
    /// `sort(…)` and its kin.
    Sort(Box<Sort>),
    Aggregation(Box<Aggregation>),
    /// Between a vector and a scalar.
    WithScalar(Box<WithScalar>),
    /// Arithmetic or a comparison between two vectors.
    Match(Box<Match>),
    /// `and`, `or`, `unless`.
    Set(Box<SetOperation>),
}

/// When to look: at the time of the evaluation less an offset, or at a fixed time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shift {
    /// `offset`; negative where it looks ahead.
    pub(crate) offset_ms: i64,
    /// `@`.
    pub(crate) at: Option<At>,
}

/// What `@` fixes the time at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Time(i64),
    Start,
    End,
}

/// A selector at one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instant {
    pub(crate) selector: SelectorId,
    pub(crate) shift: Shift,
}

/// A range vector.
#[derive(Clone, Debug)]
pub(crate) enum Window {
    /// The samples of a selector.
    Samples { selector: SelectorId, range_ms: i64, shift: Shift },
    /// An expression at every step.
    Subquery { inner: Vector, range_ms: i64, step_ms: Option<i64>, shift: Shift },
}

/// A function of a range vector.
#[derive(Clone, Debug)]
pub(crate) struct WindowCall {
    pub(crate) function: OverTime,
    pub(crate) window: Window,
    /// Numbers beside the range: `predict_linear(x[1h], 3600)`.
    pub(crate) parameters: Vec<Scalar>,
    /// Where the function stands, and the argument that a note on it points at.
    pub(crate) noted_at: usize,
}

/// The labels that `absent` gives: those that its selector fixes to one value.
pub(crate) type Absence = bellwire_model::Labels;

/// `label_replace(vector, target, replacement, source, regex)`.
#[derive(Clone, Debug)]
pub(crate) struct LabelReplace {
    pub(crate) vector: Vector,
    pub(crate) target: Box<str>,
    pub(crate) replacement: Box<str>,
    pub(crate) source: Box<str>,
    pub(crate) regex: bellwire_re2::Regex,
}

/// `label_join(vector, target, separator, sources…)`.
#[derive(Clone, Debug)]
pub(crate) struct LabelJoin {
    pub(crate) vector: Vector,
    pub(crate) target: Box<str>,
    pub(crate) separator: Box<str>,
    pub(crate) sources: Box<[Box<str>]>,
}

/// `histogram_quantile(quantile, vector)`.
#[derive(Clone, Debug)]
pub(crate) struct Quantile {
    pub(crate) level: Scalar,
    pub(crate) vector: Vector,
    /// Where the level stands, and where the vector.
    pub(crate) noted_at: usize,
    pub(crate) vector_at: usize,
}

/// `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`.
#[derive(Clone, Debug)]
pub(crate) struct Sort {
    pub(crate) vector: Vector,
    /// Labels to sort by; none sorts by value.
    pub(crate) labels: Option<Box<[Box<str>]>>,
    pub(crate) order: SortOrder,
    pub(crate) noted_at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SortOrder {
    Ascending,
    Descending,
}

/// Labels that are looked at, or all but those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LabelSet {
    /// `by (…)`, `on (…)`.
    Only(Box<[Box<str>]>),
    /// `without (…)`, `ignoring (…)`; the metric name is never looked at.
    AllBut(Box<[Box<str>]>),
}

/// An aggregation.
#[derive(Clone, Debug)]
pub(crate) struct Aggregation {
    pub(crate) function: Aggregate,
    pub(crate) vector: Vector,
    pub(crate) grouping: LabelSet,
    /// Where the parameter stands.
    pub(crate) noted_at: usize,
}

/// An operation between a vector and a scalar.
#[derive(Clone, Debug)]
pub(crate) struct WithScalar {
    pub(crate) operator: Operator,
    pub(crate) vector: Vector,
    pub(crate) scalar: Scalar,
    /// On which side the scalar stands.
    pub(crate) side: Side,
    pub(crate) comparison: Comparison,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// What a comparison makes of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// Elements for which it does not hold are left out.
    Filters,
    /// `bool`: 0 or 1.
    GivesNumber,
}

/// An operation between two vectors.
#[derive(Clone, Debug)]
pub(crate) struct Match {
    pub(crate) operator: Operator,
    pub(crate) left: Vector,
    pub(crate) right: Vector,
    pub(crate) matching: LabelSet,
    pub(crate) cardinality: Cardinality,
    pub(crate) comparison: Comparison,
}

/// How many elements of each side match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cardinality {
    OneToOne,
    /// `group_left` or `group_right`: the side with many, and the labels taken from the other.
    Grouped {
        many: Side,
        include: Box<[Box<str>]>,
    },
}

/// `and`, `or`, `unless` between two vectors.
#[derive(Clone, Debug)]
pub(crate) struct SetOperation {
    pub(crate) operator: SetOperator,
    pub(crate) left: Vector,
    pub(crate) right: Vector,
    pub(crate) matching: LabelSet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetOperator {
    And,
    Or,
    Unless,
}

impl Plan {
    /// Reads an expression; refuses what is no `PromQL` or cannot be evaluated, with its place.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        Self::parse_with(text, &mut Patterns::default())
    }

    /// The same, with regular expressions that may be known already.
    pub(crate) fn parse_with(text: &str, patterns: &mut Patterns) -> Result<Self, ExpressionError> {
        compile::compile(text, Vec::new(), patterns)
    }

    /// Reads an expression that is evaluated together with this one: over the same series, and the
    /// selections of both.
    pub(crate) fn parse_beside(
        &self,
        text: &str,
        patterns: &mut Patterns,
    ) -> Result<Self, ExpressionError> {
        compile::compile(text, self.selections.to_vec(), patterns)
    }

    /// Reads a selector, which selects together with those of this plan: what comes of it is all of
    /// their series.
    pub fn with_selector(&self, text: &str) -> Result<Self, ExpressionError> {
        self.parse_beside(text, &mut Patterns::default())
    }

    /// Reads an expression that can be followed, as samples come or [on a tick](Self::is_on_tick), and what is the same for all that
    /// say the same, however they are written.
    pub fn standing(text: &str) -> Result<(Self, String), ExpressionError> {
        let mut patterns = Patterns::within(LIVE_TABLES_BYTES_MAX);
        let plan = Self::parse_with(text, &mut patterns)?;
        let refused = plan.unkept.clone().or_else(|| {
            let reason = match plan.root {
                Root::Scalar(_) | Root::Vector(_) if !plan.names_alerts() => return None,
                Root::Scalar(_) | Root::Vector(_) => ExpressionReason::AlertsFollowed,
                _ => ExpressionReason::NotFollowed(plan.noun()),
            };
            Some(ExpressionError { offset: plan.start, reason })
        });
        if let Some(error) = refused {
            return Err(error);
        }
        let tree = crate::expression::tree::syntax_tree(text)?;
        Ok((plan, tree.to_string()))
    }

    /// The metrics that it selects; nothing where one of its selectors names none.
    pub fn metrics(&self) -> Option<BTreeSet<&str>> {
        self.selections.iter().map(|selection| selection.selector.metric_name()).collect()
    }

    /// Refuses an expression that is larger than those that are followed may be: says what it has and
    /// what the bound is.
    pub fn check_followed(&self) -> Result<(), String> {
        let refuse = |has: String, max: String| {
            Err(format!("it {has}, and a query that is followed {max} at most"))
        };
        let (selectors, reach_s) = (self.selectors(), self.reach().as_secs());
        if selectors > LIVE_SELECTORS_MAX {
            return refuse(format!("has {selectors} selectors"), LIVE_SELECTORS_MAX.to_string());
        }
        if self.reach() > LIVE_REACH_MAX {
            let max = format!("{} s", LIVE_REACH_MAX.as_secs());
            return refuse(format!("looks {reach_s} s back"), max);
        }
        if self.regex_bytes > LIVE_REGEX_BYTES_MAX {
            let has = format!("has regular expressions of {} bytes", self.regex_bytes);
            return refuse(has, format!("{LIVE_REGEX_BYTES_MAX} bytes, compiled,"));
        }
        Ok(())
    }

    /// Bytes of its regular expressions, compiled.
    pub fn regex_bytes(&self) -> usize {
        self.regex_bytes
    }

    /// How far back its selectors look at most.
    pub fn reach(&self) -> Duration {
        let reaches = self.selections.iter().map(|it| it.reach_ms.unsigned_abs());
        Duration::from_millis(reaches.max().unwrap_or_default())
    }

    /// How many selectors it has.
    pub(crate) fn selectors(&self) -> usize {
        self.selections.len()
    }

    /// Whether a selector names a series of alerts.
    fn names_alerts(&self) -> bool {
        let mut names = self.selections.iter().filter_map(|it| it.selector.metric_name());
        names.any(|name| [ALERTS, ALERTS_FOR_STATE].contains(&name))
    }

    /// Whether its expression is a selector and nothing else.
    pub fn is_selector(&self) -> bool {
        let Root::Vector(Vector::Select(Instant { shift, .. })) = &self.root else { return false };
        *shift == Shift::default()
    }

    /// Lets an alert end only when another expression, which was read beside this one, gives its
    /// element.
    pub(crate) fn ended_by(self, other: Option<Self>) -> Self {
        let presence = self.presence();
        let (resolve, selections, on_tick_only) = match other {
            None => (None, self.selections, self.on_tick_only),
            Some(other) => {
                let on_tick_only = self.on_tick_only.or(other.on_tick_only);
                (Some(other.root), other.selections, on_tick_only)
            }
        };
        let hysteresis = Some(Box::new(Hysteresis { resolve, presence }));
        Self { selections, hysteresis, on_tick_only, ..self }
    }

    /// Records what it comes to with these labels over its own.
    pub(crate) fn recorded_with(self, labels: &[(Box<str>, Box<str>)]) -> Self {
        let replaced = labels.iter().map(|(name, _)| name.clone()).collect();
        Self { replaced, ..self }
    }

    /// What ends an alert, where that is not the condition alone.
    pub(crate) fn resolve(&self) -> Option<&Root> {
        self.hysteresis.as_ref().and_then(|hysteresis| hysteresis.resolve.as_ref())
    }

    /// Refuses an expression that a rule cannot have although a query can: it needs samples that
    /// would have to be kept for ever.
    pub(crate) fn for_rules(self) -> Result<Self, ExpressionError> {
        match &self.unkept {
            Some(error) => Err(error.clone()),
            None => self.for_any_rules(),
        }
    }

    /// The part for which a rule must be evaluated on a tick, if there is one.
    pub(crate) fn on_tick_only(&self) -> Option<&ExpressionError> {
        self.on_tick_only.as_ref()
    }

    /// Whether it is evaluated on a tick, and not as samples come.
    pub fn is_on_tick(&self) -> bool {
        self.on_tick_only.is_some()
    }

    /// Refuses an expression that comes to nothing that a rule could use.
    pub(crate) fn for_any_rules(self) -> Result<Self, ExpressionError> {
        match self.root {
            Root::Scalar(_) | Root::Vector(_) => Ok(self),
            _ => {
                let reason = ExpressionReason::NotForRules(self.noun());
                Err(ExpressionError { offset: self.start, reason })
            }
        }
    }

    /// Whether it looks at no sample beyond the reach of its selectors: none of a time that is fixed
    /// or to come.
    pub(crate) fn looks_back(&self) -> bool {
        self.unkept.is_none() && self.on_tick_only.is_none()
    }

    /// Whether it comes to an instant vector.
    pub(crate) fn is_vector(&self) -> bool {
        matches!(self.root, Root::Vector(_))
    }

    /// What a whole expression comes to, in words.
    pub(crate) fn noun(&self) -> &'static str {
        match self.root {
            Root::Scalar(_) => "a number",
            Root::Vector(_) => "a vector",
            Root::Text(_) => "a text",
            Root::Window(_) => "a range of samples",
        }
    }
}

impl WithScalar {
    /// Whether what it gives is no longer the metric.
    pub(crate) fn drops_name(&self) -> bool {
        !self.operator.is_comparison() || self.comparison == Comparison::GivesNumber
    }
}

impl Cardinality {
    /// Whether the side of which many elements may meet one is the left one.
    pub(crate) fn many_is_left(&self) -> bool {
        !matches!(self, Self::Grouped { many: Side::Right, .. })
    }
}

impl LabelSet {
    /// Whether a label is looked at.
    pub(crate) fn has(&self, label: &str) -> bool {
        match self {
            Self::Only(names) => names.iter().any(|name| **name == *label),
            Self::AllBut(names) => {
                label != bellwire_model::METRIC_NAME && names.iter().all(|name| **name != *label)
            }
        }
    }
}
