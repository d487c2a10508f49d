//! The methods of times and durations.

use super::format::print;
use super::signature::Parameter;
use super::time::{Moment, duration_text, time_text};
use super::value::Value;

const NANOSECONDS: i64 = 1_000_000_000;

/// What the method of that name takes.
pub(super) fn named(value: &Value, name: &str) -> Option<&'static [Parameter]> {
    match (value, name) {
        (Value::Time(_), "Format") => Some(&[Parameter::Text]),
        (Value::Time(_), "Add") => Some(&[Parameter::Duration]),
        (Value::Time(_), "After" | "Before" | "Equal") => Some(&[Parameter::Time]),
        (
            Value::Time(_),
            "Unix" | "UnixMilli" | "UnixNano" | "Year" | "Month" | "Day" | "Hour" | "Minute"
            | "Second" | "Nanosecond" | "Weekday" | "YearDay" | "UTC" | "String" | "IsZero",
        )
        | (
            Value::Duration(_),
            "Hours" | "Minutes" | "Seconds" | "Milliseconds" | "Microseconds" | "Nanoseconds"
            | "String",
        )
        | (Value::Month(_) | Value::Weekday(_), "String") => Some(&[]),
        _ => None,
    }
}

/// Calls a method with what it takes.
pub(super) fn call(value: &Value, name: &str, given: &[Value]) -> Result<Value, String> {
    let outcome = match value {
        Value::Time(time) => of_time(*time, name, given),
        Value::Duration(duration) => of_duration(*duration, name),
        other => Some(Value::text(print(std::slice::from_ref(other)))),
    };
    outcome.ok_or_else(|| "this time does not exist".into())
}

fn of_time(time: i64, name: &str, given: &[Value]) -> Option<Value> {
    let moment = Moment::of(time);
    Some(match (name, given) {
        ("Format", [Value::Text(layout)]) => Value::text(moment.text(layout)),
        ("Add", [Value::Duration(duration)]) => Value::Time(time.checked_add(*duration)?),
        ("After", [Value::Time(other)]) => Value::Bool(time > *other),
        ("Before", [Value::Time(other)]) => Value::Bool(time < *other),
        ("Equal", [Value::Time(other)]) => Value::Bool(time == *other),
        ("Unix", _) => Value::Whole(time.div_euclid(NANOSECONDS)),
        ("UnixMilli", _) => Value::Whole(time.div_euclid(1_000_000)),
        ("UnixNano", _) => Value::Whole(time),
        ("Year", _) => Value::Whole(moment.date.year),
        ("Month", _) => Value::Month(moment.date.month),
        ("Day", _) => Value::Whole(moment.date.day),
        ("Hour", _) => Value::Whole(moment.hour()),
        ("Minute", _) => Value::Whole(moment.minute()),
        ("Second", _) => Value::Whole(moment.second()),
        ("Nanosecond", _) => Value::Whole(moment.nanosecond()),
        ("Weekday", _) => Value::Weekday(moment.weekday()),
        ("YearDay", _) => Value::Whole(moment.day_of_year()),
        ("IsZero", _) => Value::Bool(false),
        ("UTC", _) => Value::Time(time),
        ("String", _) => Value::text(time_text(time)),
        _ => return None,
    })
}

fn of_duration(duration: i64, name: &str) -> Option<Value> {
    let of = |unit: i64| (duration / unit) as f64 + (duration % unit) as f64 / unit as f64;
    Some(match name {
        "Hours" => Value::Number(of(3600 * NANOSECONDS)),
        "Minutes" => Value::Number(of(60 * NANOSECONDS)),
        "Seconds" => Value::Number(of(NANOSECONDS)),
        "Milliseconds" => Value::Whole(duration / 1_000_000),
        "Microseconds" => Value::Whole(duration / 1_000),
        "Nanoseconds" => Value::Whole(duration),
        "String" => Value::text(duration_text(duration)),
        _ => return None,
    })
}
