//! The functions that Prometheus adds to Go's.

use std::rc::Rc;

use bellwire_model::duration;
use bellwire_re2::Regex;

use super::builtin::{Outcome, query_escaped};
use super::float::read_float;
use super::host::{without_domain, without_port};
use super::humanize::{
    four_digits, humanize, humanize_1024, humanize_duration, humanize_percentage, whole,
};
use super::quote::{Charset, quoted};
use super::signature::Kind;
use super::surroundings::Fill;
use super::time::time_text;
use super::title::{lower, title, upper};
use super::value::{List, Value};
use crate::number::go_text;

const NANOSECONDS: f64 = 1e9;

/// What Go says where a function looks into what is not there.
const NIL_POINTER: &str = "runtime error: invalid memory address or nil pointer dereference";

/// Calls a function of Prometheus'; its arguments are as many as it takes, and of its types.
pub(super) fn call(kind: Kind, given: &[Value], fill: &Fill<'_>) -> Option<Outcome> {
    Some(match (kind, given) {
        (Kind::Args, given) => {
            let named = |(at, value): (usize, &Value)| (format!("arg{at}"), value.clone());
            Ok(Value::Arguments(Rc::new(given.iter().enumerate().map(named).collect())))
        }
        (Kind::ExternalUrl, []) => Ok(Value::text(&*fill.externals.url)),
        (Kind::PathPrefix, []) => Ok(Value::text(path(&fill.externals.url))),
        (Kind::Now, []) => Ok(Value::Number(fill.queries.now().as_ms() as f64 / 1000.0)),
        (Kind::Query, [Value::Text(expression)]) => {
            fill.queries.query(expression).map(|elements| Value::List(List::new(elements)))
        }
        (Kind::First, [list]) => first(list),
        (Kind::Value | Kind::StringValue, [Value::Nil]) | (Kind::Label, [_, Value::Nil]) => {
            Err(NIL_POINTER.into())
        }
        (Kind::Value, [Value::Sample(sample)]) => Ok(Value::Number(sample.value)),
        (Kind::StringValue, [Value::Sample(sample)]) => {
            Ok(Value::text(sample.labels.get("__value__").unwrap_or_default()))
        }
        (Kind::Label, [Value::Text(label), Value::Sample(sample)]) => {
            Ok(Value::text(sample.labels.get(label).unwrap_or_default()))
        }
        (Kind::SortByLabel, [_, Value::Nil]) => Ok(Value::List(List::new(Vec::new()))),
        (Kind::SortByLabel, [Value::Text(label), Value::List(list)]) => {
            list.sort_by_label(label);
            Ok(Value::List(list.clone()))
        }
        (kind, [value]) => return of_number(kind, value).or_else(|| of_text(kind, value)),
        (Kind::Match, [Value::Text(pattern), Value::Text(text)]) => {
            regular_expression(pattern).map(|regex| Value::Bool(regex.is_match(text)))
        }
        (Kind::Replace, [Value::Text(pattern), Value::Text(replacement), Value::Text(text)]) => {
            regular_expression(pattern)
                .map(|regex| Value::text(regex.replace_all(text, replacement)))
                .map_err(|error| format!("regexp: Compile(`{pattern}`): {error}"))
        }
        _ => return None,
    })
}

fn first(list: &Value) -> Outcome {
    let element = if let Value::List(list) = list { list.get(0) } else { None };
    let reason = || "first() called on vector with no elements".to_owned();
    element.map(Value::Sample).ok_or_else(reason)
}

/// The functions of a number, or of what can be read as one.
fn of_number(kind: Kind, value: &Value) -> Option<Outcome> {
    let written = |write: fn(f64) -> String| number(value).map(|value| Value::text(write(value)));
    Some(match kind {
        Kind::Humanize => written(humanize),
        Kind::Humanize1024 => written(humanize_1024),
        Kind::HumanizeDuration => written(humanize_duration),
        Kind::HumanizePercentage => written(humanize_percentage),
        Kind::HumanizeTimestamp => number(value).and_then(|seconds| {
            if !seconds.is_finite() {
                return Ok(Value::text(four_digits(seconds)));
            }
            time(seconds).map(|time| Value::text(time_text(time)))
        }),
        Kind::ToTime => number(value).and_then(|seconds| time(seconds).map(Value::Time)),
        Kind::ToDuration => {
            number(value).map(|seconds| Value::Duration(whole(seconds * NANOSECONDS)))
        }
        _ => return None,
    })
}

fn of_text(kind: Kind, value: &Value) -> Option<Outcome> {
    let Value::Text(text) = value else { return None };
    let written = match kind {
        Kind::Upper => text.chars().map(upper).collect(),
        Kind::Lower => text.chars().map(lower).collect(),
        Kind::Title => title(text),
        Kind::SafeHtml => return Some(Ok(Value::Html(text.clone()))),
        Kind::QueryEscape => query_escaped(text),
        Kind::GraphLink => format!("/graph?g0.expr={}&g0.tab=0", query_escaped(text)),
        Kind::TableLink => format!("/graph?g0.expr={}&g0.tab=1", query_escaped(text)),
        Kind::StripPort => without_port(text).to_owned(),
        Kind::StripDomain => without_domain(text),
        Kind::ParseDuration => return Some(seconds(text).map(Value::Number)),
        _ => return None,
    };
    Some(Ok(Value::text(written)))
}

/// A value as a number; texts that say one count too.
fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Number(number) => Ok(*number),
        Value::Whole(whole) => Ok(*whole as f64),
        Value::Text(text) => read_float(text).map_err(|reason| {
            let text = quoted(text, Charset::Printable);
            format!("strconv.ParseFloat: parsing {text}: {reason}")
        }),
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

/// Seconds since 1970 as nanoseconds, whole in milliseconds.
fn time(seconds: f64) -> Result<i64, String> {
    if !seconds.is_finite() {
        return Err("value is NaN or Inf".into());
    }
    let nanoseconds = seconds * NANOSECONDS;
    if nanoseconds.abs() > i64::MAX as f64 {
        let seconds = go_text(seconds);
        return Err(format!(
            "{seconds} cannot be represented as a nanoseconds timestamp since it overflows int64"
        ));
    }
    Ok(whole(nanoseconds) / 1_000_000 * 1_000_000)
}

/// The seconds that a duration says.
fn seconds(text: &str) -> Result<f64, String> {
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => (-1.0, magnitude),
        None => (1.0, text),
    };
    let duration = duration::parse(magnitude).ok_or_else(|| no_duration(magnitude))?;
    Ok(sign * duration.as_secs_f64())
}

/// Why a text says no duration.
fn no_duration(text: &str) -> String {
    if text.is_empty() {
        return "empty duration string".into();
    }
    let whole = quoted(text, Charset::Printable);
    let mut rest = text;
    while let Some((_, behind)) =
        rest.find(|c: char| !c.is_ascii_digit()).map(|at| rest.split_at(at))
    {
        let digits = rest.len() - behind.len();
        let end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let unit = &behind[..end];
        if digits == 0 {
            break;
        }
        if !matches!(unit, "ms" | "s" | "m" | "h" | "d" | "w" | "y") {
            let unit = quoted(unit, Charset::Printable);
            return format!("unknown unit {unit} in duration {whole}");
        }
        rest = &behind[end..];
    }
    format!("not a valid duration string: {whole}")
}

fn regular_expression(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| error.to_string())
}

/// The path of an address.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.find('/').map_or("", |at| &rest[at..]);
    &rest[..rest.find(['?', '#']).unwrap_or(rest.len())]
}
