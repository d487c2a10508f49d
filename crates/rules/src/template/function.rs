//! The functions of templates.

use bellwire_model::Labels;
use bellwire_re2::Regex;

use super::Fill;
use super::expand::{Filled, Value};
use super::format::{
    humanize, humanize_1024, humanize_duration, humanize_percentage, humanize_timestamp, printf,
    query_escape,
};
use crate::duration;
use crate::evaluation::Element;
use crate::number::read_number;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Args,
    Equal,
    ExternalUrl,
    First,
    Greater,
    GreaterOrEqual,
    GraphLink,
    Humanize,
    Humanize1024,
    HumanizeDuration,
    HumanizePercentage,
    HumanizeTimestamp,
    Index,
    Label,
    Len,
    Less,
    LessOrEqual,
    Lower,
    Match,
    Not,
    NotEqual,
    Or,
    ParseDuration,
    PathPrefix,
    Print,
    Printf,
    Println,
    Query,
    QueryEscape,
    Replace,
    SafeHtml,
    SortByLabel,
    StringValue,
    StripDomain,
    StripPort,
    TableLink,
    Title,
    Upper,
    Value,
}

impl Function {
    /// The function of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "and" => Self::And,
            "args" => Self::Args,
            "eq" => Self::Equal,
            "externalURL" => Self::ExternalUrl,
            "first" => Self::First,
            "gt" => Self::Greater,
            "ge" => Self::GreaterOrEqual,
            "graphLink" => Self::GraphLink,
            "humanize" => Self::Humanize,
            "humanize1024" => Self::Humanize1024,
            "humanizeDuration" => Self::HumanizeDuration,
            "humanizePercentage" => Self::HumanizePercentage,
            "humanizeTimestamp" => Self::HumanizeTimestamp,
            "index" => Self::Index,
            "label" => Self::Label,
            "len" => Self::Len,
            "lt" => Self::Less,
            "le" => Self::LessOrEqual,
            "toLower" => Self::Lower,
            "match" => Self::Match,
            "not" => Self::Not,
            "ne" => Self::NotEqual,
            "or" => Self::Or,
            "parseDuration" => Self::ParseDuration,
            "pathPrefix" => Self::PathPrefix,
            "print" => Self::Print,
            "printf" => Self::Printf,
            "println" => Self::Println,
            "query" => Self::Query,
            "urlquery" | "urlQueryEscape" => Self::QueryEscape,
            "reReplaceAll" => Self::Replace,
            "safeHtml" | "html" => Self::SafeHtml,
            "sortByLabel" => Self::SortByLabel,
            "strvalue" => Self::StringValue,
            "stripDomain" => Self::StripDomain,
            "stripPort" => Self::StripPort,
            "tableLink" => Self::TableLink,
            "title" => Self::Title,
            "toUpper" => Self::Upper,
            "value" => Self::Value,
            _ => return None,
        })
    }
}

/// What a function comes to.
pub(super) fn call(function: Function, given: Vec<Value>, fill: &Fill<'_>) -> Filled<Value> {
    match function {
        Function::Humanize
        | Function::Humanize1024
        | Function::HumanizeDuration
        | Function::HumanizePercentage
        | Function::HumanizeTimestamp => {
            let [value] = arguments(given)?;
            Ok(Value::Text(humanized(function, number(&value)?)))
        }
        Function::Equal
        | Function::NotEqual
        | Function::Less
        | Function::LessOrEqual
        | Function::Greater
        | Function::GreaterOrEqual => compared(function, &given),
        Function::Query
        | Function::First
        | Function::Value
        | Function::Label
        | Function::StringValue
        | Function::SortByLabel => of_elements(function, given, fill),
        Function::And | Function::Or => given.into_iter().last().ok_or_else(too_few),
        Function::Not => {
            let [value] = arguments(given)?;
            Ok(Value::Bool(!value.is_true()))
        }
        Function::Len => {
            let [value] = arguments(given)?;
            length(&value)
        }
        Function::Index => indexed(&given),
        Function::ExternalUrl => Ok(Value::Text(fill.externals.url.to_string())),
        Function::PathPrefix => Ok(Value::Text(path(&fill.externals.url).to_owned())),
        Function::Args => Err("args is not supported".into()),
        function => of_texts(function, &given),
    }
}

fn arguments<const N: usize>(given: Vec<Value>) -> Filled<[Value; N]> {
    let count = given.len();
    given.try_into().map_err(|_| format!("wrong number of arguments: want {N} got {count}"))
}

fn too_few() -> String {
    "wrong number of arguments".into()
}

/// A value as a number; texts that say one count too.
pub(super) fn number(value: &Value) -> Filled<f64> {
    match value {
        Value::Number(number) => Ok(*number),
        Value::Whole(whole) => Ok(*whole as f64),
        Value::Text(text) => {
            read_number(text).ok_or_else(|| format!("can't convert {text:?} to a number"))
        }
        other => Err(format!("can't convert {} to a number", other.print())),
    }
}

fn humanized(function: Function, value: f64) -> String {
    match function {
        Function::Humanize => humanize(value),
        Function::Humanize1024 => humanize_1024(value),
        Function::HumanizeDuration => humanize_duration(value),
        Function::HumanizePercentage => humanize_percentage(value),
        _ => humanize_timestamp(value),
    }
}

fn compared(function: Function, given: &[Value]) -> Filled<Value> {
    let [one, others @ ..] = given else { return Err(too_few()) };
    let other = others.first().ok_or_else(too_few)?;
    let ordering = match (one, other) {
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        (Value::Text(_), _) | (_, Value::Text(_)) => {
            return Err("incompatible types for comparison".into());
        }
        (one, other) => number(one)?.partial_cmp(&number(other)?),
    };
    let is = |wanted: fn(std::cmp::Ordering) -> bool| ordering.is_some_and(wanted);
    Ok(Value::Bool(match function {
        // `eq` takes several, one of which must be equal.
        Function::Equal => {
            let equals = |other: &Value| {
                let same = compared(Function::LessOrEqual, &[one.clone(), other.clone()])?;
                let turned = compared(Function::GreaterOrEqual, &[one.clone(), other.clone()])?;
                Ok::<bool, String>(same.is_true() && turned.is_true())
            };
            let mut found = false;
            for other in others {
                found |= equals(other)?;
            }
            found
        }
        Function::NotEqual => !is(std::cmp::Ordering::is_eq),
        Function::Less => is(std::cmp::Ordering::is_lt),
        Function::LessOrEqual => is(std::cmp::Ordering::is_le),
        Function::Greater => is(std::cmp::Ordering::is_gt),
        _ => is(std::cmp::Ordering::is_ge),
    }))
}

fn of_elements(function: Function, given: Vec<Value>, fill: &Fill<'_>) -> Filled<Value> {
    match (function, &*given) {
        (Function::Query, [Value::Text(expression)]) => {
            fill.queries.query(expression).map(Value::List)
        }
        (Function::First, [Value::List(elements)]) => match elements.first() {
            Some(first) => Ok(Value::Element(first.clone())),
            None => Err("first() called on vector with no elements".into()),
        },
        (Function::Value, [Value::Element(element)]) => Ok(Value::Number(element.value)),
        (Function::Label, [Value::Text(label), Value::Element(element)]) => {
            Ok(Value::Text(element.labels.get(label).unwrap_or_default().to_owned()))
        }
        (Function::StringValue, [Value::Element(element)]) => {
            Ok(Value::Text(element.labels.get("__value__").unwrap_or_default().to_owned()))
        }
        (Function::SortByLabel, [Value::Text(label), Value::List(elements)]) => {
            let mut elements = elements.clone();
            let value =
                |element: &Element| element.labels.get(label).unwrap_or_default().to_owned();
            elements.sort_by_cached_key(value);
            Ok(Value::List(elements))
        }
        _ => Err(format!("wrong arguments for {function:?}")),
    }
}

fn length(value: &Value) -> Filled<Value> {
    Ok(Value::Whole(match value {
        Value::Text(text) => text.len() as i64,
        Value::Labels(labels) => labels.len() as i64,
        Value::List(elements) => elements.len() as i64,
        other => return Err(format!("len of {}", other.print())),
    }))
}

fn indexed(given: &[Value]) -> Filled<Value> {
    match given {
        [Value::Labels(labels), Value::Text(name)] => Ok(Value::Text(of(labels, name).to_owned())),
        [Value::List(elements), Value::Whole(at)] => {
            let element = usize::try_from(*at).ok().and_then(|at| elements.get(at));
            element.cloned().map(Value::Element).ok_or_else(|| format!("index out of range: {at}"))
        }
        _ => Err("can't index this".into()),
    }
}

fn of<'l>(labels: &'l Labels, name: &str) -> &'l str {
    labels.get(name).unwrap_or_default()
}

fn of_texts(function: Function, given: &[Value]) -> Filled<Value> {
    let texts: Vec<String> = given.iter().map(Value::print).collect();
    let text = || texts.last().map(String::as_str).ok_or_else(too_few);
    Ok(Value::Text(match function {
        Function::Print => texts.concat(),
        Function::Println => texts.join(" ") + "\n",
        Function::Printf => printf(&texts.first().cloned().ok_or_else(too_few)?, &given[1..])?,
        Function::Upper => text()?.to_uppercase(),
        Function::Lower => text()?.to_lowercase(),
        Function::Title => title(text()?),
        Function::SafeHtml => text()?.to_owned(),
        Function::QueryEscape => query_escape(text()?),
        Function::GraphLink => format!("/graph?g0.expr={}&g0.tab=0", query_escape(text()?)),
        Function::TableLink => format!("/graph?g0.expr={}&g0.tab=1", query_escape(text()?)),
        Function::StripPort => without_port(text()?).to_owned(),
        Function::StripDomain => without_domain(text()?),
        Function::ParseDuration => {
            let duration = duration::parse(text()?);
            let duration = duration.ok_or_else(|| format!("{texts:?} is no duration"))?;
            return Ok(Value::Number(duration.as_secs_f64()));
        }
        Function::Match => {
            let [pattern, text] = &*texts else { return Err(too_few()) };
            return Ok(Value::Bool(regex(pattern)?.is_match(text)));
        }
        Function::Replace => {
            let [pattern, replacement, text] = &*texts else { return Err(too_few()) };
            regex(pattern)?.replace_all(text, replacement)
        }
        other => return Err(format!("{other:?} is not supported")),
    }))
}

fn regex(pattern: &str) -> Filled<Regex> {
    Regex::new(pattern).map_err(|error| error.to_string())
}

/// The first letter of each word in upper case.
fn title(text: &str) -> String {
    let mut starts_word = true;
    let mut titled = String::with_capacity(text.len());
    for c in text.chars() {
        if starts_word {
            titled.extend(c.to_uppercase());
        } else {
            titled.push(c);
        }
        starts_word = !(c.is_alphanumeric() || c == '_' || c == '\'');
    }
    titled
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && !port.contains(']') => name,
        Some((name, _)) if name.starts_with('[') && name.ends_with(']') => &name[1..name.len() - 1],
        _ => host,
    }
}

fn without_domain(host: &str) -> String {
    let name = without_port(host);
    let port = &host[name.len().min(host.len())..];
    if name.parse::<core::net::IpAddr>().is_ok() {
        return host.to_owned();
    }
    let first = name.split('.').next().unwrap_or_default();
    format!("{first}{port}")
}

/// The path of an address.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}
