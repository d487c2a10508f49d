//! The functions that Go's templates have by themselves.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::rc::Rc;

use super::format::{Printer, print, print_line, printed_together};
use super::printf::print_format;
use super::quote::is_printable;
use super::signature::Kind;
use super::value::Value;

/// What a function comes to, and the reason where it fails.
pub(super) type Outcome = Result<Value, String>;

/// Calls a function of Go's; its arguments are as many as it takes. Texts that it makes are
/// bounded by `bytes_max`, or little more.
pub(super) fn call(kind: Kind, given: &[Value], bytes_max: usize) -> Option<Outcome> {
    let text = |text: String| Ok(Value::text(text));
    Some(match (kind, given) {
        (Kind::Html, given) => text(html(&printed_together(given))),
        (Kind::Javascript, given) => text(javascript(&printed_together(given))),
        (Kind::UrlQuery, given) => text(query_escaped(&printed_together(given))),
        (Kind::Print, given) => text(print(given)),
        (Kind::PrintLine, given) => text(print_line(given)),
        (Kind::PrintFormat, [Value::Text(format), values @ ..]) => {
            print_format(format, values, bytes_max).map(Value::text)
        }
        (Kind::Index, [item, indexes @ ..]) => index(item, indexes),
        (Kind::Slice, [item, indexes @ ..]) => slice(item, indexes),
        (Kind::Length, [item]) => length(item),
        (Kind::Not, [value]) => Ok(Value::Bool(!value.is_true())),
        (Kind::Equal, [one, others @ ..]) => equal(one, others).map(Value::Bool),
        (Kind::NotEqual, [one, other]) => {
            equal(one, std::slice::from_ref(other)).map(|is_equal| Value::Bool(!is_equal))
        }
        (Kind::Less, [one, other]) => less(one, other).map(Value::Bool),
        (Kind::LessOrEqual, [one, other]) => at_most(one, other).map(Value::Bool),
        (Kind::Greater, [one, other]) => {
            at_most(one, other).map(|is_at_most| Value::Bool(!is_at_most))
        }
        (Kind::GreaterOrEqual, [one, other]) => {
            less(one, other).map(|is_less| Value::Bool(!is_less))
        }
        _ => return None,
    })
}

fn index(item: &Value, indexes: &[Value]) -> Outcome {
    if matches!(item, Value::Nil) {
        return Err("index of untyped nil".into());
    }
    let mut item = item.clone();
    for index in indexes {
        item = indexed(&item, index)?;
    }
    Ok(item)
}

fn indexed(item: &Value, index: &Value) -> Outcome {
    match (item, index) {
        (Value::Text(text) | Value::Html(text), index) => {
            let at = position(index, text.len())?;
            let byte = text.as_bytes().get(at);
            byte.map(|byte| Value::Byte(*byte))
                .ok_or_else(|| "reflect: string index out of range".into())
        }
        (Value::List(list), index) => {
            let at = position(index, list.len())?;
            let element = list.get(at).map(Value::Sample);
            element.ok_or_else(|| "reflect: slice index out of range".into())
        }
        (Value::Labels(labels), Value::Text(name)) => {
            Ok(Value::text(labels.get(name).unwrap_or_default()))
        }
        (Value::Arguments(arguments), Value::Text(name)) => {
            Ok(arguments.get(&**name).cloned().unwrap_or(Value::Nil))
        }
        (Value::Labels(_) | Value::Arguments(_), Value::Nil) => {
            Err("value is nil; should be of type string".into())
        }
        (Value::Labels(_) | Value::Arguments(_), index) => {
            Err(format!("value has type {}; should be string", index.type_name()))
        }
        (Value::Nil, _) => Err("index of nil pointer".into()),
        (item, _) => Err(format!("can't index item of type {}", pointee(item))),
    }
}

/// What Go calls the type that is left where it looks behind a pointer.
fn pointee(value: &Value) -> &'static str {
    value.type_name().trim_start_matches('*')
}

/// An index as a place up to `bound`.
fn position(index: &Value, bound: usize) -> Result<usize, String> {
    let at = match index {
        Value::Whole(at) | Value::Month(at) | Value::Weekday(at) => *at,
        Value::Byte(at) => i64::from(*at),
        Value::Nil => return Err("cannot index slice/array with nil".into()),
        other => {
            return Err(format!("cannot index slice/array with type {}", other.type_name()));
        }
    };
    let place = usize::try_from(at).ok().filter(|place| *place <= bound);
    place.ok_or_else(|| format!("index out of range: {at}"))
}

fn slice(item: &Value, indexes: &[Value]) -> Outcome {
    if matches!(item, Value::Nil) {
        return Err("slice of untyped nil".into());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let (length, capacity) = match item {
        Value::Text(_) | Value::Html(_) if indexes.len() == 3 => {
            return Err("cannot 3-index slice a string".into());
        }
        Value::Text(text) | Value::Html(text) => (text.len(), text.len()),
        Value::List(list) => (list.len(), list.capacity()),
        item => return Err(format!("can't slice item of type {}", pointee(item))),
    };
    let mut places = [0, length, capacity];
    for (place, index) in places.iter_mut().zip(indexes) {
        *place = position(index, capacity)?;
    }
    let [start, end, reach] = places;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    if indexes.len() == 3 && end > reach {
        return Err(format!("invalid slice index: {end} > {reach}"));
    }
    // A part of a character is replaced by the sign for what is none.
    let part = |text: &str| String::from_utf8_lossy(&text.as_bytes()[start..end]).into_owned();
    Ok(match item {
        Value::Html(text) => Value::Html(part(text).into()),
        Value::List(list) => Value::List(list.part(start, end, reach)),
        Value::Text(text) => Value::text(part(text)),
        _ => Value::Nil,
    })
}

fn length(item: &Value) -> Outcome {
    let length = match item {
        Value::Text(text) | Value::Html(text) => text.len(),
        Value::Labels(labels) => labels.len(),
        Value::Arguments(arguments) => arguments.len(),
        Value::List(list) => list.len(),
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".into()),
        other => return Err(format!("len of type {}", pointee(other))),
    };
    Ok(Value::Whole(length as i64))
}

/// What of a value can be compared.
enum Comparable<'a> {
    Bool(bool),
    Whole(i64),
    Number(f64),
    Text(&'a str),
    /// Anything else; it has no order.
    Other,
}

fn comparable(value: &Value) -> Comparable<'_> {
    match value {
        Value::Bool(value) => Comparable::Bool(*value),
        Value::Whole(value) | Value::Month(value) | Value::Weekday(value) => {
            Comparable::Whole(*value)
        }
        Value::Byte(value) => Comparable::Whole(i64::from(*value)),
        Value::Number(value) => Comparable::Number(*value),
        Value::Text(text) | Value::Html(text) => Comparable::Text(text),
        _ => Comparable::Other,
    }
}

fn incompatible(one: &Value, other: &Value) -> String {
    let (one, other) = (one.type_name(), other.type_name());
    format!("incompatible types for comparison: {one} and {other}")
}

/// Whether one value equals one of the others.
fn equal(one: &Value, others: &[Value]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        let is_equal = match (comparable(one), comparable(other)) {
            (Comparable::Bool(one), Comparable::Bool(other)) => one == other,
            (Comparable::Whole(one), Comparable::Whole(other)) => one == other,
            #[expect(clippy::float_cmp, reason = "templates compare as Go does")]
            (Comparable::Number(one), Comparable::Number(other)) => one == other,
            (Comparable::Text(one), Comparable::Text(other)) => one == other,
            (Comparable::Other, Comparable::Other) => same(one, other)?,
            _ if matches!(one, Value::Nil) || matches!(other, Value::Nil) => false,
            _ => return Err(incompatible(one, other)),
        };
        if is_equal {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether two values that are neither numbers nor texts are the same.
fn same(one: &Value, other: &Value) -> Result<bool, String> {
    match (one, other) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Sample(one), Value::Sample(other)) => Ok(Rc::ptr_eq(one, other)),
        // Two pointers, each to a time of its own.
        (Value::Sample(_) | Value::Time(_) | Value::Duration(_), other) if is_pointer(other) => {
            Ok(false)
        }
        (one, other) if family(one) == family(other) => {
            Err(format!("non-comparable type {}: {}", told(other), other.type_name()))
        }
        (one, other) => {
            let (one_type, other_type) = (one.type_name(), other.type_name());
            let (one, other) = (told(one), print(std::slice::from_ref(other)));
            Err(format!("non-comparable types {one}: {one_type}, {other_type}: {other}"))
        }
    }
}

/// As Go's `%s` prints it.
fn told(value: &Value) -> String {
    let mut printer = Printer::default();
    printer.print(value, 's');
    printer.text
}

fn is_pointer(value: &Value) -> bool {
    matches!(value, Value::Sample(_) | Value::Time(_) | Value::Duration(_))
}

/// Which kind of type Go takes a value for.
fn family(value: &Value) -> &'static str {
    match value {
        Value::Labels(_) | Value::Arguments(_) => "map",
        Value::List(_) => "slice",
        Value::Data(_) => "struct",
        _ => "pointer",
    }
}

fn less(one: &Value, other: &Value) -> Result<bool, String> {
    let ordering = match (comparable(one), comparable(other)) {
        (Comparable::Other, _)
        | (_, Comparable::Other)
        | (Comparable::Bool(_), Comparable::Bool(_)) => {
            return Err("invalid type for comparison".into());
        }
        (Comparable::Whole(one), Comparable::Whole(other)) => Some(one.cmp(&other)),
        (Comparable::Number(one), Comparable::Number(other)) => one.partial_cmp(&other),
        (Comparable::Text(one), Comparable::Text(other)) => Some(one.cmp(other)),
        _ => return Err(incompatible(one, other)),
    };
    Ok(ordering == Some(Ordering::Less))
}

fn at_most(one: &Value, other: &Value) -> Result<bool, String> {
    Ok(less(one, other)? || equal(one, std::slice::from_ref(other))?)
}

fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => escaped.push(char::REPLACEMENT_CHARACTER),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn javascript(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => escaped.extend(['\\', c]),
            '<' | '>' | '&' | '=' | '\0'..' ' => _ = write!(escaped, "\\u{:04X}", u32::from(c)),
            c if c.is_ascii() || is_printable(c) => escaped.push(c),
            c => _ = write!(escaped, "\\u{:04X}", u32::from(c)),
        }
    }
    escaped
}

/// A text as part of a query.
pub(super) fn query_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(byte as char);
            }
            b' ' => escaped.push('+'),
            byte => _ = write!(escaped, "%{byte:02X}"),
        }
    }
    escaped
}
