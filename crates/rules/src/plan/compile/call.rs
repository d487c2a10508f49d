//! Calls of functions.

use bellwire_model::limits::EXPRESSION_REGEX_BYTES_MAX;
use bellwire_model::{Labels, LabelsBuilder, METRIC_NAME};
use bellwire_re2::Regex;
use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{Call, Expr};

use super::{Compiled, Compiler, refusal, unsupported};
use crate::expression::{ExpressionReason, Tier};
use crate::plan::{
    Calendar, LabelJoin, LabelReplace, Math, OverTime, Quantile, Root, Scalar, Sort, SortOrder,
    Vector, Window, WindowCall,
};

/// The arguments of a call, taken in their order, and where they stand.
struct Arguments {
    /// The function's name.
    name: &'static str,
    /// Where the name stands.
    place: usize,
    values: std::vec::IntoIter<Root>,
    /// Where the first argument stands, and where the second.
    first: usize,
    second: usize,
}

impl Arguments {
    fn vector(&mut self) -> Vector {
        match self.values.next() {
            Some(Root::Vector(vector)) => vector,
            other => unreachable!("the parser has checked that {other:?} is a vector"),
        }
    }

    fn window(&mut self) -> Window {
        match self.values.next() {
            Some(Root::Window(window)) => window,
            other => unreachable!("the parser has checked that {other:?} is a range"),
        }
    }

    fn scalar(&mut self) -> Scalar {
        self.next_scalar().expect("the parser has counted the arguments")
    }

    fn next_scalar(&mut self) -> Option<Scalar> {
        self.values.next().map(|value| match value {
            Root::Scalar(scalar) => scalar,
            other => unreachable!("the parser has checked that {other:?} is a number"),
        })
    }

    fn text(&mut self) -> Box<str> {
        self.next_text().expect("the parser has counted the arguments")
    }

    fn next_text(&mut self) -> Option<Box<str>> {
        self.values.next().map(|value| match value {
            Root::Text(text) => text,
            other => unreachable!("the parser has checked that {other:?} is a text"),
        })
    }
}

impl Compiler<'_> {
    pub(super) fn call(&mut self, call: &Call) -> Compiled<Root> {
        let name = call.func.name;
        let place = self.expect(name);
        self.expect("(");
        let first = self.offset();
        let mut second = first;
        let mut values = Vec::with_capacity(call.args.len());
        for (nth, argument) in call.args.args.iter().enumerate() {
            self.accept(",");
            if nth == 1 {
                second = self.offset();
            }
            values.push(self.expression(argument)?);
        }
        self.expect(")");
        let arguments = Arguments { name, place, values: values.into_iter(), first, second };
        if call.func.experimental {
            self.note_tick(place, &format!("`{name}(…)`"));
        }
        if let Some(scalar) = scalar_function(name) {
            return Ok(Root::Scalar(scalar));
        }
        if name == "scalar" {
            let mut arguments = arguments;
            return Ok(Root::Scalar(Scalar::OfVector(Box::new(arguments.vector()))));
        }
        if name == "label_replace" {
            return self.label_replace(arguments).map(Root::Vector);
        }
        vector_function(arguments, &call.args.args).map(Root::Vector)
    }

    fn label_replace(&mut self, mut given: Arguments) -> Compiled<Vector> {
        let vector = given.vector();
        let [target, replacement, source, pattern] = std::array::from_fn(|_| given.text());
        let Ok(regex) = Regex::new(&format!("^(?s:{pattern})$")) else {
            let text = format!("invalid regular expression in label_replace(): {pattern}");
            return Err(invalid(&given, text));
        };
        self.regex_bytes += regex.bytes();
        if self.regex_bytes > EXPRESSION_REGEX_BYTES_MAX {
            return Err(refusal(given.place, ExpressionReason::RegexesTooLarge));
        }
        check_label("destination", &target, &given)?;
        let replace = LabelReplace { vector, target, replacement, source, regex };
        Ok(Vector::LabelReplace(Box::new(replace)))
    }
}

fn vector_function(mut given: Arguments, parsed: &[Box<Expr>]) -> Compiled<Vector> {
    if let Some(function) = OverTime::named(given.name) {
        return Ok(Vector::OverTime(Box::new(window_call(function, given))));
    }
    if let Some(function) = Math::named(given.name) {
        let vector = Box::new(given.vector());
        let parameters = std::iter::from_fn(|| given.next_scalar()).collect();
        return Ok(Vector::Math(function, vector, parameters));
    }
    if let Some(function) = Calendar::named(given.name) {
        let vector = (given.values.len() > 0).then(|| Box::new(given.vector()));
        return Ok(Vector::Calendar(function, vector));
    }
    Ok(match given.name {
        "vector" => Vector::OfScalar(Box::new(given.scalar())),
        "timestamp" => match given.vector() {
            Vector::Select(instant) => Vector::SampleTime(instant),
            vector => Vector::EvaluationTime(Box::new(vector)),
        },
        "absent" => Vector::Absent(Box::new(given.vector()), absence(&parsed[0])),
        "absent_over_time" => Vector::AbsentOverTime(Box::new(given.window()), absence(&parsed[0])),
        "histogram_quantile" => {
            let level = given.scalar();
            let vector = given.vector();
            let (noted_at, vector_at) = (given.first, given.second);
            Vector::HistogramQuantile(Box::new(Quantile { level, vector, noted_at, vector_at }))
        }
        "sort" => sort(given, SortOrder::Ascending),
        "sort_desc" => sort(given, SortOrder::Descending),
        "sort_by_label" => sort_by_label(given, SortOrder::Ascending),
        "sort_by_label_desc" => sort_by_label(given, SortOrder::Descending),
        "label_join" => return label_join(given),
        name => {
            return unsupported(given.place, format!("`{name}(…)`"), Tier::Third);
        }
    })
}

fn scalar_function(name: &str) -> Option<Scalar> {
    Some(match name {
        "time" => Scalar::Time,
        "pi" => Scalar::Number(std::f64::consts::PI),
        _ => return None,
    })
}

fn window_call(function: OverTime, mut given: Arguments) -> WindowCall {
    let mut parameters = Vec::new();
    if function == OverTime::Quantile {
        parameters.push(given.scalar());
    }
    let window = given.window();
    parameters.extend(std::iter::from_fn(|| given.next_scalar()));
    WindowCall { function, window, parameters, noted_at: given.first }
}

fn sort(mut given: Arguments, order: SortOrder) -> Vector {
    let vector = given.vector();
    Vector::Sort(Box::new(Sort { vector, labels: None, order, noted_at: given.place }))
}

fn sort_by_label(mut given: Arguments, order: SortOrder) -> Vector {
    let vector = given.vector();
    let labels = std::iter::from_fn(|| given.next_text()).collect();
    Vector::Sort(Box::new(Sort { vector, labels: Some(labels), order, noted_at: given.place }))
}

fn label_join(mut given: Arguments) -> Compiled<Vector> {
    let vector = given.vector();
    let [target, separator] = std::array::from_fn(|_| given.text());
    check_label("destination", &target, &given)?;
    let sources: Box<[Box<str>]> = std::iter::from_fn(|| given.next_text()).collect();
    for source in &sources {
        check_label("source", source, &given)?;
    }
    Ok(Vector::LabelJoin(Box::new(LabelJoin { vector, target, separator, sources })))
}

/// Refuses a text that cannot be a label's name.
fn check_label(which: &str, label: &str, given: &Arguments) -> Compiled<()> {
    if LabelsBuilder::default().push(label, "x").is_ok() {
        return Ok(());
    }
    Err(invalid(given, format!("invalid {which} label name in {}(): {label}", given.name)))
}

fn invalid(given: &Arguments, text: String) -> crate::expression::ExpressionError {
    refusal(given.place, ExpressionReason::Syntax { text: text.into() })
}

/// The labels that `absent` gives: what the selector in it fixes to one value.
fn absence(argument: &Expr) -> Labels {
    let matchers = match argument {
        Expr::Paren(paren) => return absence(&paren.expr),
        Expr::VectorSelector(selector) => &selector.matchers.matchers,
        Expr::MatrixSelector(matrix) => &matrix.vs.matchers.matchers,
        _ => return Labels::empty(),
    };
    let mut fixed: Vec<(&str, Option<&str>)> = Vec::new();
    for Matcher { op, name, value } in matchers.iter().filter(|m| m.name != METRIC_NAME) {
        let known = fixed.iter_mut().find(|(label, _)| label == name);
        match (op, known) {
            (MatchOp::Equal, None) => fixed.push((name, Some(value))),
            // A label that two matchers look at is not fixed by either.
            (_, Some((_, value))) => *value = None,
            (_, None) => {}
        }
    }
    let pairs = fixed.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Labels::from_pairs(pairs).unwrap_or_else(|_| Labels::empty())
}
